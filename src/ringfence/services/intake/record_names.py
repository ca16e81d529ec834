"""What a record of an export is called: `self` where a user has one, by its content where a user has many.

Rules of this file:
1. The same content gets the same name in every export that holds it: the first 16 bytes of the SHA-256 of its
   canonical JSON, as hex.
2. The K-th repetition of a content within a user's dataset gets `-K`, so that no repetition is lost. A second record
   where a user has one is `self-2`, unless it says the same.
3. Telling repetitions apart takes the memory of the repeated contents alone: a long export is first looked through
   with a filter that knows which contents can be there twice.
"""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec

from ringfence.core.errors import InvalidInputError

SELF: Final = "self"
DIGEST_SIZE_BYTES: Final = 16
REPEATED_CONTENTS_MAX: Final = 500_000
FILTER_BITS_MIN: Final = 1 << 20
FILTER_BITS_MAX: Final = 1 << 29
_FILTER_BITS_PER_BYTE: Final = 1

render_content = msgspec.json.Encoder(order="deterministic").encode
"""Give a record as canonical JSON: keys sorted, no white space."""


def digest_content(content: bytes) -> bytes:
    """Give what a content is named by, 16 bytes."""
    return hashlib.sha256(content).digest()[:DIGEST_SIZE_BYTES]


def digest_of_name(name: str) -> bytes:
    """Give the digest that a record was named by, where a user has many."""
    return bytes.fromhex(name[: 2 * DIGEST_SIZE_BYTES])


class RepeatFilter:
    """Tells which digests may have been noted more than once: all that were, and by chance a few others.

    Args:
        size_bytes: of the export; the filter takes about as many bytes, at most 128 MiB.
    """

    def __init__(self, size_bytes: int) -> None:
        bits = FILTER_BITS_MIN
        while bits < min(size_bytes * _FILTER_BITS_PER_BYTE, FILTER_BITS_MAX):
            bits *= 2
        self._mask = bits - 1
        self._once = bytearray(bits // 8)
        self._again = bytearray(bits // 8)
        self._repeated = 0

    def note(self, digest: bytes) -> None:
        """Note one record's digest.

        Raises:
            InvalidInputError: more than `REPEATED_CONTENTS_MAX` contents seem to be there more than once.
        """
        bit = int.from_bytes(digest[:8], "big") & self._mask
        place, flag = bit >> 3, 1 << (bit & 7)
        if not self._once[place] & flag:
            self._once[place] |= flag
        elif not self._again[place] & flag:
            self._again[place] |= flag
            self._repeated += 1
            if self._repeated > REPEATED_CONTENTS_MAX:
                raise InvalidInputError(
                    f"found over {REPEATED_CONTENTS_MAX} contents more than once in one export; expected fewer"
                )

    def may_repeat(self, digest: bytes) -> bool:
        """Tell whether a digest may have been noted more than once."""
        bit = int.from_bytes(digest[:8], "big") & self._mask
        return bool(self._again[bit >> 3] & 1 << (bit & 7))


class RecordNamer:
    """Names the records of one export, in order.

    Args:
        seldom: a filter that has noted every record of the export; None to remember every record instead.
    """

    def __init__(self, seldom: RepeatFilter | None = None) -> None:
        self._filter = seldom
        self._seen: dict[str, dict[bytes, int]] = {}

    def name_many(self, dataset: str, digest: bytes) -> str:
        """Give the name of a record where a user has many."""
        if self._filter is not None and not self._filter.may_repeat(digest):
            return digest.hex()
        seen = self._seen.get(dataset)
        if seen is None:
            seen = self._seen[dataset] = {}
        ordinal = seen[digest] = seen.get(digest, 0) + 1
        return digest.hex() if ordinal == 1 else f"{digest.hex()}-{ordinal}"

    def name_one(self, dataset: str, digest: bytes) -> str:
        """Give the name of a record where a user has one; "" when the same was named before."""
        seen = self._seen.setdefault(dataset, {})
        if digest in seen:
            return ""
        ordinal = seen[digest] = len(seen) + 1
        return SELF if ordinal == 1 else f"{SELF}-{ordinal}"

    def note_all(self, into: RepeatFilter) -> None:
        """Note in a filter every record that was named so far."""
        for seen in self._seen.values():
            for digest, count in seen.items():
                into.note(digest)
                if count > 1:
                    into.note(digest)
