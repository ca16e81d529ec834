"""Sealing the first versions of one user's records: with the reading of them, or when they are stored.

Most users of a migration are new to the vault. Their records are sealed as soon as they are read, by the process that
reads, under a reference and keys made there; when the user turns out to be known that work is thrown away.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from hashlib import sha256
from itertools import compress
from typing import Final

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ringfence.core.charter import PROTECTED
from ringfence.core.envelope import (
    NONCE_SIZE_BYTES,
    PartName,
    WrappedKey,
    contexts_of_new,
    open_part,
    seal_new_parts,
)
from ringfence.core.key_custody import KeyCustody
from ringfence.core.ports import IDENTITY_DATASET, JURISDICTION_DATASET, TAKEN_DATASET, KeyRow
from ringfence.services.custody.opening import decode_name, render_plaintext
from ringfence.services.custody.record_keys import blind_records
from ringfence.services.custody.wards import Ward
from ringfence.services.intake.messages import ManyRows, Piece, Row, SealedRows, SealedRun, fill_column, runs_of, spread

NONCES_PER_CALL: Final = 1_000


class Nonces:
    """Random nonces, many for each call of the system."""

    def __init__(self) -> None:
        self._block = b""
        self._used = 0

    def take(self, count: int = 1) -> bytes:
        """Give so many nonces that were never given before, one after the other."""
        start, size = self._used, count * NONCE_SIZE_BYTES
        if start + size > len(self._block):
            self._block, start = os.urandom(max(NONCES_PER_CALL * NONCE_SIZE_BYTES, size)), 0
        self._used = start + size
        return self._block[start : self._used]


class UserSealer:
    """Seals for one user.

    Args:
        keys: the custodian's keys.
        ward: the user, new or known.
        identity_dataset: the dataset that holds the user's id: its entry names what this program keeps for itself.
        nonces: gives nonces.
    """

    def __init__(self, keys: KeyCustody, ward: Ward, *, identity_dataset: str, nonces: Nonces) -> None:
        self._keys = keys
        self._ward = ward
        self._identity_dataset = identity_dataset
        self._nonces = nonces

    def seal_piece(self, rows: Sequence[Row], many: ManyRows, *, first: bool) -> SealedRows:
        """Seal everything of a piece; with the first one the user's id."""
        draft = _Draft()
        for row in rows:
            self._add(draft, row)
            self._add_mark(draft, row)
        draft.add_many(many)
        sealed = self._seal(draft)
        if first:
            self._add_identity(sealed)
        return sealed

    def seal_row(self, row: Row) -> SealedRows:
        """Seal one record, and what marks its content as taken."""
        draft = _Draft()
        self._add(draft, row)
        self._add_mark(draft, row)
        return self._seal(draft)

    def seal_mark(self, row: Row) -> SealedRows:
        """Seal what marks a record's content as taken, if anything does: see `ports.TAKEN_DATASET`."""
        draft = _Draft()
        self._add_mark(draft, row)
        return self._seal(draft)

    def seal_many(self, many: ManyRows) -> SealedRows:
        """Seal records of the simpler kind."""
        draft = _Draft()
        draft.add_many(many)
        return self._seal(draft)

    def _add(self, draft: _Draft, row: Row) -> None:
        for label, text in row.searched:
            if text:
                draft.searched.append((len(draft.records), label, text))
        draft.add(SealedRun(row.dataset, 1, self._entry_dataset(row), counted=True), row.record, row.parts)

    def _add_mark(self, draft: _Draft, row: Row) -> None:
        if row.mark:
            name = mark_name(row)
            run = SealedRun(TAKEN_DATASET, 1, self._entry_dataset(row), counted=False)
            draft.add(run, name, [(PROTECTED, render_plaintext(name, {}))])

    def _entry_dataset(self, row: Row) -> str:
        return self._identity_dataset if row.dataset == JURISDICTION_DATASET else row.dataset

    def _add_identity(self, rows: SealedRows) -> None:
        for name, sealed in self._ward.identity_part(self._keys):
            rows.runs.append(SealedRun(IDENTITY_DATASET, 1, self._identity_dataset, counted=False))
            rows.keys.append(name.record_key)
            for data_class, (parts, digests) in rows.parts.items():
                parts.append(sealed if data_class == name.data_class else b"")
                digests.append(sha256(sealed).digest() if data_class == name.data_class else b"")

    # -- all of one class at once, whatever their dataset: most datasets have few records ------------------------------

    def _seal(self, draft: _Draft) -> SealedRows:
        datasets = draft.datasets()
        keys = blind_records(self._keys, datasets, self._ward.subject_ref, draft.records)
        parts = {name: self._seal_class(name, datasets, keys, texts) for name, texts in draft.columns()}
        index = self._keys.index
        searched = [
            (label, keys[place], index(label, text.encode("utf-8", "surrogatepass")))
            for place, label, text in draft.searched
        ]
        return SealedRows(draft.runs, keys, parts, searched)

    def _seal_class(
        self, data_class: str, datasets: Sequence[str], keys: Sequence[bytes], texts: Sequence[bytes]
    ) -> tuple[list[bytes], list[bytes]]:
        """Give the sealed parts of one class and their digests; b"" for a record that has none."""
        if b"" in texts:
            there = [*map(bool, texts)]
            dense = [*compress(datasets, there)], [*compress(keys, there)], [*filter(None, texts)]
            parts, digests = self._seal_class(data_class, *dense)
            return _fill(parts, there), _fill(digests, there)
        contexts = contexts_of_new(datasets, self._ward.subject_ref, data_class, keys)
        cipher, nonces = self._ward.cipher(data_class, self._keys), self._nonces.take(len(texts))
        parts = seal_new_parts(cipher, contexts=contexts, plaintexts=texts, nonces=nonces)
        return parts, [sha256(part).digest() for part in parts]


class _Draft:
    """Records of one user before they are sealed: see `SealedRows`; `searched` names the place of its record."""

    __slots__ = ("_parts", "records", "runs", "searched")

    def __init__(self) -> None:
        self.runs: list[SealedRun] = []
        self.records: list[str] = []
        self.searched: list[tuple[int, str, str]] = []
        self._parts: dict[str, list[bytes]] = {}

    def add(self, run: SealedRun, record: str, parts: Iterable[tuple[str, bytes]]) -> None:
        """Take one record."""
        for data_class, text in parts:
            self._column(data_class).append(text)
        self.runs.append(run)
        self.records.append(record)

    def add_many(self, many: ManyRows) -> None:
        """Take records of the simpler kind."""
        for data_class, texts in many.parts.items():
            column = self._column(data_class)
            column += texts
        self.runs += [SealedRun(dataset, length, dataset, counted=True) for dataset, length in many.runs]
        self.records += many.records

    def datasets(self) -> list[str]:
        """Give the dataset of each record."""
        return spread((run.dataset, run.length) for run in self.runs)

    def columns(self) -> list[tuple[str, list[bytes]]]:
        """Give each class with one text a record; b"" where a record has no part of it."""
        return [(data_class, self._column(data_class)) for data_class in self._parts]

    def _column(self, data_class: str) -> list[bytes]:
        """Give the texts of one class, for every record so far."""
        return fill_column(self._parts, data_class, len(self.records))


def _fill(found: Sequence[bytes], there: Sequence[bool]) -> list[bytes]:
    """Give b"" where nothing is there."""
    following = iter(found)
    return [next(following) if is_there else b"" for is_there in there]


class PieceSealer:
    """Seals exports that are one piece, each user as if new to the vault.

    Args:
        keys: the custodian's keys.
        identity_dataset: see `UserSealer`.
    """

    def __init__(self, keys: KeyCustody, *, identity_dataset: str) -> None:
        self._keys = keys
        self._identity_dataset = identity_dataset
        self._nonces = Nonces()

    def seal(self, piece: Piece) -> Piece:
        """Give the piece with its rows sealed."""
        ward = Ward(piece.user, b"", None)
        sealer = UserSealer(self._keys, ward, identity_dataset=self._identity_dataset, nonces=self._nonces)
        rows = sealer.seal_piece(piece.rows, piece.many, first=True)
        keys = [(key.row.data_class, key.row.key_epoch, *key.row.key) for key in ward.new_keys()]
        return piece.with_sealed(subject_ref=ward.subject_ref, keys=keys, rows=rows)


def open_piece(piece: Piece, keys: KeyCustody) -> Piece:
    """Give a piece as it was before it was sealed: what is not there any more is opened again.

    Raises:
        IntegrityError: it was not sealed with these keys.
    """
    if piece.sealed is None:
        return piece
    reference, rows = piece.sealed.subject_ref, piece.sealed.rows
    # What was `many` stands between the rows, most with a mark, and the user's id.
    first, last = sum(2 if row.mark else 1 for row in piece.rows), len(rows.keys) - 1
    datasets, names = rows.datasets()[first:last], rows.keys[first:last]
    parts: dict[str, list[bytes]] = {}
    for data_class, key_epoch, *key in piece.sealed.keys:
        sealed = rows.parts[data_class][0][first:last]
        if any(sealed):
            cipher = AESGCM(keys.unwrap(KeyRow(reference, data_class, key_epoch, WrappedKey(*key))))
            parts[data_class] = [
                open_part(cipher, PartName(dataset, reference, name, data_class), version=1, sealed=part)
                if part
                else b""
                for dataset, name, part in zip(datasets, names, sealed, strict=True)
            ]
    records = [decode_name(next(filter(None, texts))) for texts in zip(*parts.values(), strict=True)]
    return msgspec.structs.replace(piece, many=ManyRows(runs_of(datasets), records, parts), sealed=None)


def mark_name(row: Row) -> str:
    """Give the name of what marks a record's content as taken."""
    return f"{row.dataset}/{row.record}/{row.mark.hex()}"
