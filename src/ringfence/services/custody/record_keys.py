"""What a record is called in the store: blinded, so that neither its name nor whose it is can be guessed from it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ringfence.core.key_custody import KeyCustody


def blind_records(keys: KeyCustody, datasets: Sequence[str], subject_ref: bytes, records: Sequence[str]) -> list[bytes]:
    """Give the blinded name, 16 bytes, of each record of one subject.

    Args:
        keys: the custodian's keys.
        datasets: of each record.
        subject_ref: 16 bytes.
        records: the records' names within the user's dataset.
    """
    heads = {dataset: _head(dataset, subject_ref) for dataset in {*datasets}}
    values = [heads[dataset] + record.encode() for dataset, record in zip(datasets, records, strict=True)]
    return keys.indexes("record", values)


def blind_record(keys: KeyCustody, dataset: str, subject_ref: bytes, record: str) -> bytes:
    """Give the blinded name of a single record: see `blind_records`."""
    return keys.index("record", _head(dataset, subject_ref) + record.encode())


def blind_named(keys: KeyCustody, names: Iterable[tuple[str, bytes, str]]) -> list[bytes]:
    """Give the blinded name of each (dataset, subject reference, record): see `blind_records`."""
    return keys.indexes("record", [_head(dataset, of) + record.encode() for dataset, of, record in names])


def _head(dataset: str, subject_ref: bytes) -> bytes:
    return b"%b%b\x00" % (subject_ref, dataset.encode())
