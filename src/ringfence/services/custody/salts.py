"""Salts of commitments, drawn from the operating system many at a time: asking for each alone is dear."""

from __future__ import annotations

import os
from typing import Final

from ringfence.core.ledger.entry import SALT_SIZE_BYTES

SALTS_DRAWN: Final = 256


class SaltPool:
    """Random salts, each given once."""

    __slots__ = ("_drawn", "_next")

    def __init__(self) -> None:
        self._drawn = b""
        self._next = 0

    def take(self) -> bytes:
        """Give a fresh salt, `SALT_SIZE_BYTES` long."""
        start = self._next
        if start >= len(self._drawn):
            self._drawn = os.urandom(SALT_SIZE_BYTES * SALTS_DRAWN)
            start = 0
        self._next = start + SALT_SIZE_BYTES
        return self._drawn[start : self._next]
