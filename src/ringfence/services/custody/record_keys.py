"""What a record is called in the store: blinded, so that neither its name nor whose it is can be guessed from it."""

from __future__ import annotations

from collections.abc import Iterable

from ringfence.core.key_custody import KeyCustody


def blind_records(keys: KeyCustody, dataset: str, subject_ref: bytes, records: Iterable[str]) -> list[bytes]:
    """Give the blinded name, 16 bytes, of each record of one subject's dataset.

    Args:
        keys: the custodian's keys.
        dataset: the dataset's name.
        subject_ref: 16 bytes.
        records: the records' names within the user's dataset.
    """
    return keys.indexes("record", record_values(dataset, subject_ref, records))


def blind_record(keys: KeyCustody, dataset: str, subject_ref: bytes, record: str) -> bytes:
    """Give the blinded name of a single record: see `blind_records`."""
    return keys.index("record", _head(dataset, subject_ref) + record.encode())


def blind_named(keys: KeyCustody, names: Iterable[tuple[str, bytes, str]]) -> list[bytes]:
    """Give the blinded name of each (dataset, subject reference, record): see `blind_records`."""
    return keys.indexes("record", [_head(dataset, of) + record.encode() for dataset, of, record in names])


def record_values(dataset: str, subject_ref: bytes, records: Iterable[str]) -> list[bytes]:
    """Give what is blinded of each name, as in `blind_records`, which does so for a single dataset."""
    head = _head(dataset, subject_ref)
    return [head + record.encode() for record in records]


def _head(dataset: str, subject_ref: bytes) -> bytes:
    return b"%b%b\x00" % (subject_ref, dataset.encode())
