"""Texts of others, counts, lengths of time and keys, as they stand in a sentence that somebody relies on.

Text that somebody wrote stands in quotation marks, and within them whatever could hide, move or imitate other text is
escaped: control and format characters (those that turn the direction included), blanks other than the space, what shows
nothing, quotation marks and backslashes.
"""

from __future__ import annotations

import re
from typing import Final

from ringfence.core.people.signatures import fingerprint, read_key
from ringfence.core.times import DAY_MS, HOUR_MS

# Letters and marks that show nothing, though `str.isprintable` takes them; the marks would sit on what is before them.
_UNSEEN: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\uffa0\ufe00-\ufe0f\U000e0100-\U000e01ef]"
)


def quote(text: str) -> str:
    """Give a text in quotation marks, escaped, so that it shows what it is and ends where it ends."""
    return '"' + "".join(f"\\{one}" if one in '"\\' else _show(one) for one in text) + '"'


def show_line(text: str) -> str:
    """Give a line that may hold text of others as one line that shows what it is: escaped, but for quotation marks."""
    return "".join(map(_show, text))


def show_duration(lasts_ms: int) -> str:
    """Give a length of time exactly, as `1 day 8 hours`."""
    parts = []
    for size, unit in ((DAY_MS, "day"), (HOUR_MS, "hour"), (60_000, "minute"), (1000, "second")):
        count, lasts_ms = divmod(lasts_ms, size)
        if count:
            parts.append(count_of(count, unit))
    if lasts_ms or not parts:
        parts.append(count_of(lasts_ms, "millisecond"))
    return " ".join(parts)


def count_of(count: int, noun: str) -> str:
    """Give a count with its noun, as `1 record` or `1,000 records`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def show_key(key: bytes) -> str:
    """Give a public key, in OpenSSH's wire form, by algorithm, application and fingerprint."""
    known = read_key(key)
    application = f" for {quote(known.application)}" if known.application else ""
    return f"{known.algorithm}{application} {fingerprint(key)}"


def _show(character: str) -> str:
    if character.isprintable() and not _UNSEEN.match(character):
        return character
    if character == "\n":
        return "\\n"
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
