"""Sealing the first versions of one user's records: with the reading of them, or when they are stored.

Most users of a migration are new to the vault. Their records are sealed as soon as they are read, by the process that
reads, under a reference and keys made there; when the user turns out to be known that work is thrown away.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import accumulate, compress
from typing import Final

from ringfence.core.charter import PROTECTED
from ringfence.core.envelope import NONCE_SIZE_BYTES, contexts_of_new, seal_new_parts
from ringfence.core.key_custody import KeyCustody
from ringfence.core.ports import IDENTITY_DATASET, JURISDICTION_DATASET, TAKEN_DATASET
from ringfence.services.custody.opening import render_plaintext
from ringfence.services.custody.record_keys import record_values
from ringfence.services.custody.wards import Ward
from ringfence.services.intake.messages import ManyRows, Piece, Row, SealedRows

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

    def seal_piece(self, rows: Sequence[Row], many: Sequence[ManyRows], *, first: bool) -> list[SealedRows]:
        """Seal everything of a piece; with the first one the user's id."""
        drafts = [draft for row in rows for draft in (self._draft(row), self._draft_mark(row)) if draft]
        sealed = self._seal([*drafts, *map(_draft_many, many)])
        return [*sealed, *self._seal_identity()] if first else sealed

    def seal_row(self, row: Row) -> list[SealedRows]:
        """Seal one record, and what marks its content as taken."""
        return self._seal([draft for draft in (self._draft(row), self._draft_mark(row)) if draft])

    def seal_mark(self, row: Row) -> list[SealedRows]:
        """Seal what marks a record's content as taken, if anything does: see `ports.TAKEN_DATASET`."""
        return self._seal([draft for draft in (self._draft_mark(row),) if draft])

    def seal_many(self, many: ManyRows) -> list[SealedRows]:
        """Seal records of one dataset."""
        return self._seal([_draft_many(many)])

    def _draft(self, row: Row) -> _Draft:
        parts = {data_class: [text] for data_class, text in row.parts}
        return _Draft(row.dataset, self._entry_dataset(row), 1, [row.record], parts, row.searched)

    def _draft_mark(self, row: Row) -> _Draft | None:
        if not row.mark:
            return None
        name = mark_name(row)
        parts = {PROTECTED: [render_plaintext(name, {})]}
        return _Draft(TAKEN_DATASET, self._entry_dataset(row), 0, [name], parts)

    def _entry_dataset(self, row: Row) -> str:
        return self._identity_dataset if row.dataset == JURISDICTION_DATASET else row.dataset

    def _seal_identity(self) -> list[SealedRows]:
        return [
            SealedRows(
                IDENTITY_DATASET,
                self._identity_dataset,
                0,
                [name.record_key],
                {name.data_class: ([sealed], [sha256(sealed).digest()])},
            )
            for name, sealed in self._ward.identity_part(self._keys)
        ]

    # -- all of one class at once: most datasets have few records, so that a round for each would cost more than theirs

    def _seal(self, drafts: Sequence[_Draft]) -> list[SealedRows]:
        reference = self._ward.subject_ref
        values = [value for draft in drafts for value in record_values(draft.dataset, reference, draft.records)]
        blinded = self._keys.indexes("record", values)
        ends = [*accumulate(len(draft.records) for draft in drafts)]
        keys = [blinded[end - len(draft.records) : end] for end, draft in zip(ends, drafts, strict=True)]
        classes = dict.fromkeys(data_class for draft in drafts for data_class in draft.parts)
        sealed = {data_class: self._seal_class(data_class, drafts, keys) for data_class in classes}
        return [
            SealedRows(
                draft.dataset,
                draft.entry_dataset,
                draft.count,
                names,
                {data_class: next(sealed[data_class]) for data_class in draft.parts},
                self._tokens(draft, names),
            )
            for draft, names in zip(drafts, keys, strict=True)
        ]

    def _seal_class(
        self, data_class: str, drafts: Sequence[_Draft], keys: Sequence[Sequence[bytes]]
    ) -> Iterator[tuple[list[bytes], list[bytes]]]:
        """Give the sealed parts and their digests for each draft that has the class; b"" where a record has no part."""
        contexts: list[bytes] = []
        plaintexts: list[bytes] = []
        reference = self._ward.subject_ref
        for draft, names in zip(drafts, keys, strict=True):
            texts = draft.parts.get(data_class)
            if texts is not None:
                contexts += contexts_of_new(draft.dataset, reference, data_class, names)
                plaintexts += texts
        parts, digests = self._seal_texts(data_class, contexts, plaintexts)
        place = 0
        for draft in drafts:
            if data_class in draft.parts:
                end = place + len(draft.records)
                yield parts[place:end], digests[place:end]
                place = end

    def _seal_texts(
        self, data_class: str, contexts: Sequence[bytes], plaintexts: Sequence[bytes]
    ) -> tuple[list[bytes], list[bytes]]:
        if b"" in plaintexts:
            there = [*map(bool, plaintexts)]
            found = self._seal_texts(data_class, [*compress(contexts, there)], [*compress(plaintexts, there)])
            return _fill(found[0], there), _fill(found[1], there)
        cipher, nonces = self._ward.cipher(data_class, self._keys), self._nonces.take(len(plaintexts))
        parts = seal_new_parts(cipher, contexts=contexts, plaintexts=plaintexts, nonces=nonces)
        return parts, [sha256(part).digest() for part in parts]

    def _tokens(self, draft: _Draft, names: Sequence[bytes]) -> list[tuple[str, bytes, bytes]]:
        index = self._keys.index
        return [
            (label, names[0], index(label, text.encode("utf-8", "surrogatepass")))
            for label, text in draft.searched
            if text
        ]


@dataclass(slots=True)
class _Draft:
    """Records of one dataset before they are sealed: see `SealedRows`. Where something is searched it is one record."""

    dataset: str
    entry_dataset: str
    count: int
    records: list[str]
    parts: Mapping[str, list[bytes]]
    searched: Sequence[tuple[str, str]] = ()


def _draft_many(many: ManyRows) -> _Draft:
    return _Draft(many.dataset, many.dataset, len(many.records), many.records, many.parts)


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


def mark_name(row: Row) -> str:
    """Give the name of what marks a record's content as taken."""
    return f"{row.dataset}/{row.record}/{row.mark.hex()}"
