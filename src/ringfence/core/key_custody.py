"""What the services need of whatever holds the custodian's keys. One contract suite, run on every device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ringfence.core.ports import KeyRow

OPENINGS, FACTS = "detail", "facts"
"""The parts of a batch's detail, which are sealed apart: see `KeyCustody.seal_detail`."""


class KeyCustody(Protocol):
    """The custodian's keys: wraps subjects' keys, makes blind indexes, seals the ledger's detail."""

    @property
    def jurisdiction(self) -> str:
        """ISO 3166 alpha-2 country whose data these keys hold."""

    def wrap(self, *, data_class: str, subject_ref: bytes, data_key: bytes) -> KeyRow:
        """Wrap a new data key under the newest key epoch of its class."""

    def unwrap(self, row: KeyRow) -> bytes:
        """Give the data key (32 bytes), its commitment checked.

        Raises:
            IntegrityError: the row is not what was wrapped.
            ConfigurationError: the key epoch is not held (any more).
        """

    def index(self, label: str, value: bytes) -> bytes:
        """Give the blind index (16 bytes) of a value under the key of `label` ("user", "record", "dataset.field")."""

    def indexes(self, label: str, values: Sequence[bytes]) -> list[bytes]:
        """Give the blind index of each value, as `index` does."""

    def code(self, label: str, value: bytes) -> bytes:
        """Give the authentication code (32 bytes) of a value under the key of `label`."""

    def seal_detail(self, *, lane: int, n: int, plaintext: bytes, part: str = OPENINGS) -> bytes:
        """Encrypt a part of a batch's detail: its openings, or the facts about people that its rule records."""

    def open_detail(self, *, lane: int, n: int, sealed: bytes, part: str = OPENINGS) -> bytes:
        """Decrypt a part of a batch's detail.

        Raises:
            IntegrityError: they are not what was sealed for this batch.
        """
