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
from collections.abc import Iterable, Sequence
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


def name_contents(contents: Iterable[bytes]) -> list[str]:
    """Give what each content is called where it is met for the first time: the hex of its digest."""
    sha256, size = hashlib.sha256, 2 * DIGEST_SIZE_BYTES
    return [sha256(content).hexdigest()[:size] for content in contents]


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
        self._many: dict[tuple[str, str], int] = {}
        self._ones: dict[str, dict[bytes, int]] = {}

    def name_many(self, datasets: Sequence[str], names: Sequence[str]) -> Sequence[str]:
        """Give the names of records of which a user has many.

        Args:
            datasets: of each record.
            names: what each is called where its content is met for the first time.
        """
        if self._filter is None:  # nearly always nothing is there twice, and then it is told all at once
            fresh = dict.fromkeys(zip(datasets, names, strict=True), 1)
            if len(fresh) == len(names) and self._many.keys().isdisjoint(fresh):
                self._many.update(fresh)
                return names
        return [*map(self._name, datasets, names)]

    def _name(self, dataset: str, name: str) -> str:
        if self._filter is not None and not self._filter.may_repeat(digest_of_name(name)):
            return name
        ordinal = self._many[dataset, name] = self._many.get((dataset, name), 0) + 1
        return name if ordinal == 1 else f"{name}-{ordinal}"

    def name_one(self, dataset: str, digest: bytes) -> str:
        """Give the name of a record where a user has one; "" when the same was named before."""
        seen = self._ones.setdefault(dataset, {})
        if digest in seen:
            return ""
        ordinal = seen[digest] = len(seen) + 1
        return SELF if ordinal == 1 else f"{SELF}-{ordinal}"

    def note_all(self, into: RepeatFilter) -> None:
        """Note in a filter every record of which a user has many that was named so far."""
        for (_, name), count in self._many.items():
            digest = digest_of_name(name)
            into.note(digest)
            if count > 1:
                into.note(digest)
