"""A person of the register as a SCIM user, and what is told of a user as facts."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from scim2_models import Context, Meta

from ringfence.core.errors import InvalidInputError
from ringfence.core.people.register import PersonFacts, Register
from ringfence.core.state import State
from ringfence.gateway.scim.resources import (
    BASE,
    EnterpriseUser,
    HeldDuty,
    Person,
    PersonReference,
    ShownUser,
    TakenUser,
    ToldEnterpriseUser,
    ToldManager,
)
from ringfence.services.people.telling import Told

USERS: Final = f"{BASE}/Users"
GROUPS: Final = f"{BASE}/Groups"
NUMBER_DIGITS_MAX: Final = 15
NAMES: Final = {
    "reference": "userName",
    "name": "displayName",
    "employer": "organization",
    "paid_by": "paidBy",
    "residence": "residence",
    "works_in": "worksIn",
    "manager": "manager",
    "directed_by": "directedBy",
    "team": "department",
    "devices_of": "devicesOf",
    "starts": "starts",
    "ends": "ends",
    "external_id": "externalId",
    "active": "active",
}
"""What SCIM calls each column of an HR file."""


def show_user(state: State, facts: PersonFacts, *, at_ms: int) -> Any:
    """Give a person as a user. `active` says whether the person has authority at this time."""
    member = state.governed.members.get(facts.number)
    is_active = member is not None and member.is_active(at_ms)
    duties = sorted(member.duties) if member is not None else []
    return ShownUser(
        id=str(facts.number),
        external_id=facts.external_id or None,
        meta=Meta(resource_type="User", location=f"{USERS}/{facts.number}"),
        user_name=facts.reference,
        display_name=facts.name,
        active=is_active,
        groups=[HeldDuty(value=duty, ref=f"{GROUPS}/{duty}", display=duty) for duty in duties] or None,
        EnterpriseUser=EnterpriseUser(
            organization=facts.party,
            department=facts.team or None,
            manager=_manager_of(facts, PersonReference),
        ),
        Person=_extension_of(facts),
    )


def _extension_of(facts: PersonFacts) -> Person:
    return Person(
        paid_by=facts.paid_by or None,
        residence=facts.residence or None,
        works_in=facts.works_in or None,
        devices_of=facts.devices_of or None,
        directed_by=[PersonReference(value=str(one), ref=f"{USERS}/{one}") for one in facts.directed_by] or None,
        starts=_show_time(facts.starts_ms),
        ends=_show_time(facts.ends_ms),
    )


def _manager_of(facts: PersonFacts, kind: type[PersonReference]) -> PersonReference | None:
    return kind(value=str(facts.manager), ref=f"{USERS}/{facts.manager}") if facts.manager else None


def taken_user(facts: PersonFacts, *, active: bool | None = None) -> Any:
    """Give a person as a user that is about to be patched: of `active` nothing is told yet, unless it is said here."""
    return TakenUser(
        id=str(facts.number),
        external_id=facts.external_id or None,
        user_name=facts.reference,
        display_name=facts.name,
        active=active,
        ToldEnterpriseUser=ToldEnterpriseUser(
            organization=facts.party or None,
            department=facts.team or None,
            manager=_manager_of(facts, ToldManager),
        ),
        Person=_extension_of(facts),
    )


def told_of(user: Any, known: PersonFacts | None) -> Told:
    """Give what is told of a person by a user that was created, replaced or patched.

    Args:
        known: what the register has of the person.

    Raises:
        InvalidInputError: a reference or a time is none.
    """
    work = user.ToldEnterpriseUser or ToldEnterpriseUser()
    person = user.Person or Person()
    texts = {
        "reference": user.user_name or "",
        "name": user.display_name or _full_name(user.name),
        "employer": work.organization or "",
        "paid_by": person.paid_by or "",
        "residence": person.residence or "",
        "works_in": person.works_in or "",
        "team": work.department or "",
        "devices_of": person.devices_of or "",
    }
    starts_ms, ends_ms = (known.starts_ms, known.ends_ms) if known is not None else (0, 0)
    return Told(
        texts=texts,
        manager=_number_of(work.manager, "manager") if work.manager is not None else 0,
        directed_by=tuple(_numbers_of(person.directed_by or (), "directedBy")),
        starts_ms=_read_time(person.starts, "starts", known_ms=starts_ms),
        ends_ms=_read_time(person.ends, "ends", known_ms=ends_ms),
        external_id=user.external_id or "",
        is_there=user.active,
    )


def _full_name(name: Any) -> str:
    """Give a name that is told in parts; "" when none is told."""
    if name is None:
        return ""
    return name.formatted or " ".join(part for part in (name.given_name, name.family_name) if part)


def parse_number(text: str) -> int:
    """Give the number that an id is; 0 for what is the id of nobody."""
    is_number = text.isascii() and text.isdigit() and len(text) <= NUMBER_DIGITS_MAX and not text.startswith("0")
    return int(text) if is_number else 0


def _number_of(reference: PersonReference, place: str) -> int:
    """Give the number that a reference names, by id or, where there is no id, by URI.

    Raises:
        InvalidInputError: it is nobody's, or the URI is of another one than the id.
    """
    named = (reference.ref or "").rsplit("/", 1)[-1]
    text = reference.value or named
    number = parse_number(text)
    if not number or (named and named != text):
        raise InvalidInputError(
            f"{place}: found {'an id and a URI of two people' if number else 'no id of anybody'}; expected the id of "
            "somebody of the register",
            place=place,
            hint="tell of the manager first: whose manager is not known is not recorded",
        )
    return number


def _numbers_of(references: Iterable[PersonReference], place: str) -> Iterator[int]:
    for reference in references:
        yield _number_of(reference, place)


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def _show_time(at_ms: int) -> datetime | None:
    """Give a time; None where none is known, or no calendar has it."""
    try:
        return datetime.fromtimestamp(at_ms / 1000, tz=UTC) if at_ms else None
    except (OverflowError, ValueError, OSError):
        return None


def _read_time(told: datetime | None, place: str, *, known_ms: int) -> int:
    """Give a time in milliseconds; 0 where none is told. What is told as it was shown stays what it is."""
    if told == _show_time(known_ms):
        return known_ms
    if told is None:
        return 0
    if told.tzinfo is None:
        raise InvalidInputError(f"{place}: found a time without an offset; expected one such as +00:00", place=place)
    since = told - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1000 + since.microseconds // 1000


def version_of(shown: Any) -> str:
    """Give the entity tag of a resource: weak, for spelling may change, and other when anything that is shown does."""
    facts = shown.model_dump(scim_ctx=Context.RESOURCE_QUERY_RESPONSE)
    facts.pop("meta", None)
    return f'W/"{hashlib.sha256(msgspec.json.encode(facts)).hexdigest()[:16]}"'


def person_of(register: Register, text: str) -> PersonFacts | None:
    """Give who has an id; None when nobody has, or the HR system took the person off its list."""
    facts = register.people.get(parse_number(text))
    return None if facts is None or facts.unlisted else facts
