"""Checks on the raw bytes of an export, for what the JSON parser would let pass or could not survive.

- A byte order mark is refused.
- A lone surrogate escape (`\\ud800` without its other half) is refused: the parser turns it into `?` and so would
  change what the user wrote.
- A number of hundreds of digits is refused: the parser cannot represent it, and building it costs quadratic time.
- More bytes than one record may have, since the last record began, are refused: that is what bounds memory.

A block is handed on up to the place of a fault, and the fault is raised by the read after it, so that the reader has
seen everything before the fault and can say its JSON pointer.
"""

from __future__ import annotations

import re
from typing import Final, Protocol

from ringfence.core.errors import InvalidInputError
from ringfence.legacy.limits import ReadLimits

BYTE_ORDER_MARKS: Final = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")

# As many whole escapes as there are: one match ends at the first lone surrogate, or where the block cuts an escape.
_WHOLE_ESCAPES: Final = re.compile(
    rb"(?:[^\\]++|\\(?:[^u]|u(?:[^dD]|[dD][^89a-fA-F]|[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})))*+",
    re.DOTALL,
)
_ESCAPE_SIZE_BYTES_MAX: Final = len(rb"\ud83d\ude00")
_DIGITS_BLOCK_SIZE_BYTES: Final = 256


class ByteStream(Protocol):
    """Anything that gives bytes: an open file, a member of an archive, a line of a file."""

    def read(self, size: int, /) -> bytes:
        """Give at most `size` bytes, none only at the end."""
        ...


class CheckedStream:
    """Hands on the blocks of a stream and refuses what the parser must not see.

    Attributes:
        position: bytes handed on so far.
        mark: position at which the record now being read began; whoever reads sets it.
    """

    __slots__ = ("_fault", "_in_string", "_limits", "_source", "_tail", "mark", "position")

    def __init__(self, source: ByteStream, *, limits: ReadLimits) -> None:
        self._source = source
        self._limits = limits
        self._fault = ""
        self._tail = b""
        self._in_string = False
        self.position = 0
        self.mark = 0

    def read(self, size: int) -> bytes:
        """Give the next block, up to the first fault in it; whole blocks except at the end.

        Raises:
            InvalidInputError: the fault that the block before ended at, or a limit that was passed.
        """
        if self._fault:
            raise InvalidInputError(self._fault)
        if size == 0:  # the parser's own probe for bytes or text
            return b""
        block = _read_whole(self._source, size)
        if self.position == 0 and block.startswith(BYTE_ORDER_MARKS):
            raise InvalidInputError("found a byte order mark; expected JSON in UTF-8 without one")
        if self.position - self.mark > self._limits.record_size_bytes_max:
            raise InvalidInputError(
                f"found more than {self._limits.record_size_bytes_max} bytes in one record; expected fewer"
            )
        if not block:  # an escape cut by the end is for the parser to refuse
            return block
        block = self._check(block)
        self.position += len(block)
        if self.position > self._limits.export_size_bytes_max:
            raise InvalidInputError(
                f"found more than {self._limits.export_size_bytes_max} bytes in one export; expected fewer"
            )
        return block

    def _check(self, block: bytes) -> bytes:
        """Give the part of the block before its first fault, and remember the fault for the next read."""
        text = self._tail + block if self._tail else block
        whole_size = len(text)
        if b"\\" in text:
            whole_size = _whole_escapes_size(text)
            if _is_lone_surrogate(text[whole_size : whole_size + _ESCAPE_SIZE_BYTES_MAX]):
                self._fault = "found half of a surrogate pair; expected a whole character"
        digits_at = self._find_long_number(text[:whole_size])
        if digits_at >= 0:
            self._fault = f"found a number of over {self._limits.number_characters_max} digits; expected fewer"
            whole_size = digits_at
        if self._fault:
            before_fault = block[: max(whole_size - len(self._tail), 0)]
            if not before_fault:  # nothing handed on would read as the end
                raise InvalidInputError(self._fault)
            return before_fault
        self._in_string ^= bool(_count_quotes(text[:whole_size]) & 1)
        self._tail = text[whole_size:]
        return block

    def _find_long_number(self, text: bytes) -> int:
        """Say where digits outside of any string fill an aligned piece of the text; -1 when they do not."""
        for start in range(0, len(text) - _DIGITS_BLOCK_SIZE_BYTES + 1, _DIGITS_BLOCK_SIZE_BYTES):
            if text[start : start + _DIGITS_BLOCK_SIZE_BYTES].isdigit():
                in_string = self._in_string ^ bool(_count_quotes(text[:start]) & 1)
                if not in_string and _digits_around(text, start) > self._limits.number_characters_max:
                    return start
        return -1


def _read_whole(source: ByteStream, size: int) -> bytes:
    """Read exactly `size` bytes, fewer only at the end, however few the source gives at once."""
    block = source.read(size)
    if len(block) == size or not block:
        return block
    parts = [block]
    missing = size - len(block)
    while missing and (block := source.read(missing)):
        parts.append(block)
        missing -= len(block)
    return b"".join(parts)


def _whole_escapes_size(text: bytes) -> int:
    """Say how much of the text holds whole escapes only; the text begins outside of any escape."""
    if b"\\u" in text:
        found = _WHOLE_ESCAPES.match(text)
        return found.end() if found else 0
    return len(text) - int(text.replace(rb"\\", b"").endswith(b"\\"))


def _is_lone_surrogate(text: bytes) -> bool:
    """Whether a text that begins with an escape can no longer become a whole surrogate pair."""
    hexadecimal = b"0123456789abcdefABCDEF"
    high = (b"\\", b"u", b"dD", b"89abAB", hexadecimal, hexadecimal)
    low = (b"\\", b"u", b"dD", b"cdefCDEF", hexadecimal, hexadecimal)
    return any(byte not in allowed for byte, allowed in zip(text, high + low, strict=False))


def _count_quotes(text: bytes) -> int:
    """Count the quotation marks that begin or end a string; the text begins outside of any escape."""
    if b"\\" not in text:
        return text.count(b'"')
    unpaired = text.replace(rb"\\", b"")
    return unpaired.count(b'"') - unpaired.count(rb"\"")


def _digits_around(text: bytes, start: int) -> int:
    """Count the digits in a row around a place."""
    end = start
    while start and text[start - 1 : start].isdigit():
        start -= 1
    while text[end : end + 1].isdigit():
        end += 1
    return end - start
