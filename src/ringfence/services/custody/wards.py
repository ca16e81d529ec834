"""The users of a write: known subjects, or new ones whose reference and keys are made here.

Two racing first writes of one user: the store takes one, the other gets a conflict, reads the subject and seals again.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ringfence.core.charter import PROTECTED
from ringfence.core.envelope import KEY_SIZE_BYTES, NONCE_SIZE_BYTES, REFERENCE_SIZE_BYTES, PartName, seal_part
from ringfence.core.key_custody import KeyCustody
from ringfence.core.ports import IDENTITY_DATASET, KeyRow, NewKey, NewSubject
from ringfence.services.custody.gate import Gate
from ringfence.services.custody.opening import render_plaintext
from ringfence.services.subjects import KnownSubject


class Ward:
    """One user of a write, with the keys that the write needs."""

    def __init__(self, user: str, user_index: bytes, known: KnownSubject | None) -> None:
        self._user = user
        self._user_index = user_index
        self._known = known
        self._made: dict[str, tuple[KeyRow, AESGCM]] = {}
        self._is_identified = known is not None
        self.subject_ref = known.subject_ref if known else os.urandom(REFERENCE_SIZE_BYTES)

    def cipher(self, data_class: str, keys: KeyCustody) -> AESGCM:
        """Give the cipher of the user's data key of one class; makes the key when there is none."""
        if self._known is not None and data_class in self._known.keys:
            return self._known.cipher(data_class, keys)
        made = self._made.get(data_class)
        if made is None:
            data_key = os.urandom(KEY_SIZE_BYTES)
            row = keys.wrap(data_class=data_class, subject_ref=self.subject_ref, data_key=data_key)
            made = self._made[data_class] = (row, AESGCM(data_key))
        return made[1]

    def identity_part(self, keys: KeyCustody) -> list[tuple[PartName, bytes]]:
        """Give a new subject's sealed user id with its name, under its protected key, once; nothing for a known one.

        Its record key is the subject reference itself, so that a write entry tells whose it is.
        """
        if self._is_identified:
            return []
        self._is_identified = True
        name = PartName(IDENTITY_DATASET, self.subject_ref, self.subject_ref, PROTECTED)
        sealed = seal_part(
            self.cipher(PROTECTED, keys),
            name,
            version=1,
            plaintext=render_plaintext(self._user, {}),
            nonce=os.urandom(NONCE_SIZE_BYTES),
        )
        return [(name, sealed)]

    def new_subject(self) -> list[NewSubject]:
        """Give the row of a new subject."""
        return [] if self._known else [NewSubject(0, self.subject_ref, self._user_index)]

    def new_keys(self) -> list[NewKey]:
        """Give the rows of the keys that were made."""
        return [NewKey(0, row) for row, _ in self._made.values()]


async def find_wards(gate: Gate, users: Sequence[str]) -> dict[str, Ward]:
    """Give the wards of these users, known or new."""
    wards: dict[str, Ward] = {}
    for user in users:
        known = gate.subjects.cached(user) or await gate.subjects.find(user)
        wards[user] = Ward(user, gate.subjects.index(user), known)
    return wards
