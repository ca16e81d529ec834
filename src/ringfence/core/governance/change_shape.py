"""The shape of each change: what its fields may hold, whatever the charter and the state say.

Every tuple has its items in order and each once, so that one meaning has one spelling. Names are those of the
charter's vocabulary (ASCII), so that no two that look alike are different; titles and reasons are any text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from ringfence.core import changes as c
from ringfence.core.charter.terms import VERBS
from ringfence.core.errors import InvalidInputError
from ringfence.core.people.attestors import read_attestor
from ringfence.core.people.signatures import read_key
from ringfence.core.times import DAY_MS

NUMBER_MAX: Final = 2**53 - 1  # what every JSON reader says exactly
VERSION_MAX: Final = 10**9
RECORDS_MAX: Final = 10**12
TIME_MS_MAX: Final = 253_402_300_799_999  # the end of the year 9999
LASTS_MS_MAX: Final = 366 * DAY_MS
NAMES_MAX: Final = 256
FIELDS_MAX: Final = 100
TITLE_CHARACTERS_MAX: Final = 255
REASON_CHARACTERS_MAX: Final = 2000
DIGEST_BYTES: Final = 32

Check: TypeAlias = Callable[[Any], str]
"""Gives what was expected instead of a value, or "" when the value will do."""

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_FIELD: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}\..{1,200}", re.DOTALL)


def check_change(change: c.AnyChange, *, place: str = "change") -> None:
    """Refuse a change with a field that no change of its kind can have.

    Raises:
        InvalidInputError: says which field and what was expected.
    """
    for field, check in SHAPES[type(change)].items():
        if expected := check(getattr(change, field)):
            raise InvalidInputError(f"{field} must be {expected}", place=f"{place}.{field}")
    if isinstance(change, c.Suspend) and (change.name == "") != (change.scope == c.EVERYTHING):
        raise InvalidInputError(
            "a suspension of a party or a flow names it, and one of everything names nothing", place=f"{place}.name"
        )


def _whole(low: int, high: int) -> Check:
    return lambda value: "" if low <= value <= high else f"a whole number from {low} to {high}"


def _text(characters_max: int) -> Check:
    return lambda value: "" if 1 <= len(value) <= characters_max else f"1 to {characters_max} characters"


def _one_of(known: tuple[str, ...]) -> Check:
    return lambda value: "" if value in known else f"one of {', '.join(known)}"


def is_name(value: str) -> bool:
    """Tell whether this can be a name of a charter's vocabulary."""
    return _NAME.fullmatch(value) is not None


def _name(value: str) -> str:
    return "" if is_name(value) else "a name of the charter: a-z, 0-9, - and _, 1 to 63 characters"


def _field(value: str) -> str:
    return "" if _FIELD.fullmatch(value) else "a field, as `dataset.field`"


def _digest(value: bytes) -> str:
    return "" if len(value) == DIGEST_BYTES else f"{DIGEST_BYTES} bytes"


def _public_key(value: bytes) -> str:
    try:
        read_key(value)
    except InvalidInputError as error:
        return f"a key that is taken: {error.message}"
    return ""


def _attestor(value: bytes) -> str:
    try:
        if value:
            read_attestor(value)
    except InvalidInputError as error:
        return f"a key that is taken, or none: {error.message}"
    return ""


def _any(value: bool) -> str:
    del value
    return ""


def _set_of(check: Check, *, least: int, most: int) -> Check:
    def inspect(values: tuple[str, ...]) -> str:
        if not least <= len(values) <= most:
            return f"a list of {least} to {most}"
        if values != tuple(sorted(set(values))):
            return "a list in order, each item once"
        return next((f"a list, each of it {expected}" for value in values if (expected := check(value))), "")

    return inspect


_NUMBER: Final = _whole(1, NUMBER_MAX)
_NAMES: Final = _set_of(_name, least=1, most=NAMES_MAX)
_TITLE: Final = _text(TITLE_CHARACTERS_MAX)
_RECORDS: Final = _whole(1, RECORDS_MAX)
_LASTS: Final = _whole(1, LASTS_MS_MAX)

SHAPES: Final[Mapping[type[c.Change], Mapping[str, Check]]] = MappingProxyType(
    {
        c.EnactCharter: {"name": _name, "version": _whole(1, VERSION_MAX), "digest": _digest, "engine": _name},
        c.Admit: {"person": _NUMBER, "party": _name, "identity": _digest, "until_ms": _whole(0, TIME_MS_MAX)},
        c.Appoint: {"person": _NUMBER, "duty": _name},
        c.EnrolKey: {"person": _NUMBER, "key": _public_key},
        c.Grant: {
            "kind": _one_of(c.GRANT_KINDS),
            "person": _NUMBER,
            "purpose": _name,
            "verbs": _set_of(_one_of(VERBS), least=1, most=len(VERBS)),
            "datasets": _NAMES,
            "classes": _NAMES,
            "records_max": _RECORDS,
            "lasts_ms": _LASTS,
            "subjects_any": _any,
            "bulk": _any,
            "withhold": _set_of(_field, least=0, most=FIELDS_MAX),
        },
        c.ApproveBuild: {"name": _TITLE, "party": _name, "digest": _digest, "attestor": _attestor},
        c.RegisterService: {"party": _name, "identity": _digest, "feeds": _any},
        c.TrustIssuer: {"name": _TITLE, "keys": _digest},
        c.OpenKeyEpoch: {"data_class": _name, "key_epoch": _NUMBER},
        c.RecoverLane: {"lane": _NUMBER, "n": _whole(0, NUMBER_MAX), "reason": _text(REASON_CHARACTERS_MAX)},
        c.Lift: {"suspension": _NUMBER},
        c.Review: {"grant": _NUMBER, "justified": _any},
        c.Suspend: {"scope": _one_of(c.SUSPENSION_SCOPES), "name": lambda value: _name(value) if value else ""},
        c.EndAppointment: {"person": _NUMBER, "duty": _name},
        c.Dismiss: {"person": _NUMBER},
        c.RevokeKey: {"key": _NUMBER},
        c.RevokeGrant: {"grant": _NUMBER},
        c.NarrowGrant: {
            "grant": _NUMBER,
            "datasets": _NAMES,
            "classes": _NAMES,
            "records_max": _RECORDS,
            "lasts_ms": _LASTS,
        },
        c.WithdrawBuild: {"digest": _digest},
        c.WithdrawService: {"principal": _NUMBER},
        c.WithdrawIssuer: {"name": _TITLE},
    }
)
"""What each field of each change must be; every field has a check, if only that its type is enough."""
