"""What each column of an HR file may hold.

Rules of this file:
1. A value is right or has one fault; nothing is guessed and nothing is mended but spaces around it, which mean nothing.
2. An empty value says that a fact is not known, or that there is none. Only a reference, a name and an employer are
   always known.
3. A time is a date, `2026-03-31`, or a moment with its offset, `2026-03-31T17:00:00-04:00` (ISO 8601). A start's date
   counts from its beginning and an end's date to its end, both in UTC.
4. Several references stand in one value with `;` between them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, date, datetime
from typing import Final, NamedTuple, TypeAlias

from ringfence.core.charter.document import show
from ringfence.core.charter.shape_parsing import suggest
from ringfence.core.countries import COUNTRIES, USUAL_MISTAKES
from ringfence.core.governance.change_shape import TIME_MS_MAX
from ringfence.core.people.register import DIRECTED_BY_MAX, REFERENCE_CHARACTERS_MAX, TEXT_CHARACTERS_MAX
from ringfence.core.times import DAY_MS

COLUMNS: Final = (
    "reference",
    "name",
    "employer",
    "paid_by",
    "residence",
    "works_in",
    "manager",
    "directed_by",
    "team",
    "devices_of",
    "starts",
    "ends",
)
"""The columns of an HR file; all of them must be there, in any order."""

SEPARATOR: Final = ";"
SPACES: Final = " \t"
SUGGESTIONS_MAX: Final = 100
"""Most unknown names for which a near one is looked for, which is slow."""

STRANGE: Final = re.compile(
    "[\x00-\x08\x0a-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]"  # controls, half pairs, no characters
    "|[\xad\u180e\u200b\u2028\u2029\u2060-\u2064\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"  # not seen
    "|[\u061c\u200e\u200f\u202a-\u202e\u2066-\u206f]"  # reorder text
)
"""Characters that no value may have, for not everyone would see the same. A byte that is not UTF-8 is read as one."""

_REFERENCE: Final = re.compile(rf"[!-+\--:<-~]{{1,{REFERENCE_CHARACTERS_MAX}}}")  # printable ASCII but , ; and space
_TIME: Final = re.compile(
    r"(?P<day>\d{4}-\d\d-\d\d)(?P<moment>T\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d))?", flags=re.ASCII
)
_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()


class Fault(NamedTuple):
    """Why a value is not what its column may hold: what was found, and what was expected."""

    found: str
    expected: str


def parse_reference(value: str) -> str | Fault:
    """Give what the HR system calls a person."""
    if _REFERENCE.fullmatch(value) is None:
        return Fault(
            show(value) if value else "nothing",
            f"a reference: 1 to {REFERENCE_CHARACTERS_MAX} letters, digits and signs of ASCII but , and {SEPARATOR}",
        )
    return value


def parse_optional_reference(value: str) -> str | Fault:
    """Give a reference, or "" for nobody."""
    return parse_reference(value) if value else ""


def parse_references(value: str) -> tuple[str, ...] | Fault:
    """Give several references, each once."""
    references: dict[str, None] = {}
    for one in value.split(SEPARATOR) if value else ():
        reference = parse_reference(one.strip(SPACES))
        if isinstance(reference, Fault):
            return reference
        references[reference] = None
    if len(references) > DIRECTED_BY_MAX:
        return Fault(f"{len(references)} references", f"at most {DIRECTED_BY_MAX}")
    return tuple(references)


def parse_name(value: str) -> str | Fault:
    """Give a person's name, which a message never shows."""
    if not value:
        return Fault("nothing", "a name")
    return parse_text(value)


def parse_text(value: str) -> str | Fault:
    """Give a text of bounded length."""
    if len(value) > TEXT_CHARACTERS_MAX:
        return Fault(f"{len(value)} characters", f"at most {TEXT_CHARACTERS_MAX}")
    return value


def parse_country(value: str) -> str | Fault:
    """Give a country's code, or "" for one that is not known."""
    if value and value not in COUNTRIES:
        upper = value.upper()
        meant = USUAL_MISTAKES.get(upper, upper if upper in COUNTRIES else "")
        hint = f"; did you mean `{meant}`?" if meant else ""
        return Fault(f"the unknown country {show(value)}", f"an ISO 3166 alpha-2 country code, or nothing{hint}")
    return value


def parse_start(value: str) -> int | Fault:
    """Give when a person starts, in milliseconds since 1970; 0 when that is not known."""
    return _parse_time(value, days_more=0)


def parse_end(value: str) -> int | Fault:
    """Give when a person has left, in milliseconds since 1970; 0 when that is not known."""
    ends_ms = _parse_time(value, days_more=1)
    if isinstance(ends_ms, Fault):
        return ends_ms
    if value and ends_ms <= 0:
        return Fault(show(value), "a time since 1970")
    return min(ends_ms, TIME_MS_MAX)  # the last day of the calendar is how many systems say that there is no end


def _parse_time(value: str, *, days_more: int) -> int | Fault:
    if not value:
        return 0
    match = _TIME.fullmatch(value)
    try:
        if match is None:
            raise ValueError(value)
        if match["moment"] is None:
            return (date.fromisoformat(value).toordinal() - _EPOCH_DAY + days_more) * DAY_MS
        return round(datetime.fromisoformat(value).astimezone(UTC).timestamp() * 1000)
    except (ValueError, OverflowError):
        return Fault(show(value), "a date such as 2026-03-31, a moment such as 2026-03-31T17:00:00-04:00, or nothing")


def find_strange(value: str) -> Fault | None:
    """Find a character that no value may have; None when there is none."""
    found = STRANGE.search(value)
    return Fault(f"the character U+{ord(found[0]):04X}", "no control or direction characters") if found else None


Parser: TypeAlias = Callable[[str], str | tuple[str, ...] | int | Fault]


def parsers_of(parties: Collection[str]) -> Mapping[str, Parser]:
    """Give the parser of each column: of a value without spaces around it, it gives what it says or its fault.

    Args:
        parties: the names that the charter has for parties.
    """
    suggested = 0

    def parse_party(value: str) -> str | Fault:
        nonlocal suggested
        if value in parties:
            return value
        suggested += 1
        near = suggest(value, parties) if suggested <= SUGGESTIONS_MAX else ""
        found = f"the unknown party {show(value)}" if value else "nothing"
        return Fault(found, f"one of {', '.join(sorted(parties))}{near}")

    def parse_optional_party(value: str) -> str | Fault:
        return parse_party(value) if value else ""

    return {
        "reference": parse_reference,
        "name": parse_name,
        "employer": parse_party,
        "paid_by": parse_optional_party,
        "residence": parse_country,
        "works_in": parse_country,
        "manager": parse_optional_reference,
        "directed_by": parse_references,
        "team": parse_text,
        "devices_of": parse_optional_party,
        "starts": parse_start,
        "ends": parse_end,
    }
