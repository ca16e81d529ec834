"""Sealing the first versions of one user's records: with the reading of them, or when they are stored.

Most users of a migration are new to the vault. Their records are sealed as soon as they are read, by the process that
reads, under a reference and keys made there; when the user turns out to be known that work is thrown away.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from hashlib import sha256
from typing import Final

from ringfence.core.charter import PROTECTED
from ringfence.core.envelope import NONCE_SIZE_BYTES, seal_new_parts
from ringfence.core.ports import IDENTITY_DATASET, JURISDICTION_DATASET, TAKEN_DATASET, KeyCustody
from ringfence.services.custody.opening import render_plaintext
from ringfence.services.custody.record_keys import blind_records
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
        sealed: list[SealedRows] = []
        for row in rows:
            (key,) = blind_records(self._keys, row.dataset, self._ward.subject_ref, (row.record,))
            sealed += self.seal_row(row, key)
        for some in many:
            keys = blind_records(self._keys, some.dataset, self._ward.subject_ref, some.records)
            sealed.append(self.seal_many(some, keys))
        return [*sealed, *self._seal_identity()] if first else sealed

    def seal_row(self, row: Row, key: bytes) -> list[SealedRows]:
        """Seal one record, and what marks its content as taken."""
        is_ours = row.dataset == JURISDICTION_DATASET
        searched = [
            (label, key, self._keys.index(label, text.encode("utf-8", "surrogatepass")))
            for label, text in row.searched
            if text
        ]
        entry_dataset = self._identity_dataset if is_ours else row.dataset
        parts = {data_class: self._seal(row.dataset, data_class, [key], [text]) for data_class, text in row.parts}
        sealed = SealedRows(row.dataset, entry_dataset, 1, [key], parts, searched)
        return [sealed, self.seal_mark(row)] if row.mark else [sealed]

    def seal_mark(self, row: Row) -> SealedRows:
        """Seal what marks a record's content as taken: see `ports.TAKEN_DATASET`."""
        name = mark_name(row)
        entry_dataset = self._identity_dataset if row.dataset == JURISDICTION_DATASET else row.dataset
        keys = blind_records(self._keys, TAKEN_DATASET, self._ward.subject_ref, (name,))
        parts = {PROTECTED: self._seal(TAKEN_DATASET, PROTECTED, keys, [render_plaintext(name, {})])}
        return SealedRows(TAKEN_DATASET, entry_dataset, 0, keys, parts)

    def seal_many(self, many: ManyRows, keys: list[bytes]) -> SealedRows:
        """Seal records of one dataset; `keys` are their blinded names."""
        parts = {
            data_class: self._seal(many.dataset, data_class, keys, texts) for data_class, texts in many.parts.items()
        }
        return SealedRows(many.dataset, many.dataset, len(keys), keys, parts)

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

    def _seal(
        self, dataset: str, data_class: str, keys: Sequence[bytes], plaintexts: Sequence[bytes]
    ) -> tuple[list[bytes], list[bytes]]:
        """Give the sealed parts of one class and their digests; b"" stands where a record has none."""
        if b"" in plaintexts:
            places = [place for place, plaintext in enumerate(plaintexts) if plaintext]
            found = self._seal(dataset, data_class, [keys[at] for at in places], [plaintexts[at] for at in places])
            whole: tuple[list[bytes], list[bytes]] = ([b""] * len(keys), [b""] * len(keys))
            for place, sealed, digest in zip(places, *found, strict=True):
                whole[0][place], whole[1][place] = sealed, digest
            return whole
        if not keys:
            return [], []
        parts = seal_new_parts(
            self._ward.cipher(data_class, self._keys),
            dataset=dataset,
            subject_ref=self._ward.subject_ref,
            data_class=data_class,
            record_keys=keys,
            plaintexts=plaintexts,
            nonces=self._nonces.take(len(keys)),
        )
        return parts, [sha256(part).digest() for part in parts]


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
