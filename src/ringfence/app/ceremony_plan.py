"""The plan of a key ceremony: who founds a ledger, in a file that the founders read before they sign.

people:
  - name: Ada Example
    reference: hr-17                  # the HR system's own
    party: usds
    duties: [security-officer]
    key: ada.pub                      # OpenSSH public key: a file beside the plan
    issuer: https://login.example.org
    subject: ada                      # whom the person's tokens name
    residence: US
    works_in: US
    devices_of: usds
    team: security                    # manager, directed_by (references), paid_by: as they are
services:
  - {party: usds, issuer: "ringfence:local", subject: ingest}
issuers:
  - {name: "https://login.example.org", keys: login.json}      # a JWK set: a file beside the plan
custody: {holders: [hr-17, hr-18, hr-19], threshold: 2}    # who opens the custodian's keys; a must in production
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ringfence.app.yaml_text import parse_yaml
from ringfence.core.charter.document import show
from ringfence.core.errors import ConfigurationError, InvalidInputError
from ringfence.core.governance.founding import (
    FOUNDERS_MAX,
    FOUNDERS_MIN,
    ISSUERS_MAX,
    SERVICES_MAX,
    FoundingPerson,
    FoundingService,
)
from ringfence.core.issuers import is_own
from ringfence.core.ledger.entry import Identity
from ringfence.core.ledger.governed_entry import TrustedIssuer
from ringfence.core.people.register import PersonFacts
from ringfence.core.people.signatures import parse_public_key
from ringfence.gateway.authentication import read_issuer
from ringfence.services.people.lines import describe_circle, find_circles
from ringfence.services.people.values import Fault, find_strange, parsers_of

SIZE_BYTES_MAX: Final = 256 * 1024


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class PlannedPerson(_Part):
    """One founder, as the plan tells it."""

    name: str = Field(min_length=1, max_length=200)
    reference: str = Field(min_length=1, max_length=64)
    party: str
    duties: list[str] = Field(min_length=1, max_length=16)
    key: str
    issuer: str = Field(min_length=1, max_length=255)
    subject: str = Field(min_length=1, max_length=255)
    paid_by: str = ""
    residence: str = ""
    works_in: str = ""
    manager: str = ""
    directed_by: list[str] = []
    team: str = ""
    devices_of: str = ""


class PlannedService(_Part):
    """A service that is known from the start."""

    party: str
    issuer: str = Field(min_length=1, max_length=255)
    subject: str = Field(min_length=1, max_length=255)


class PlannedIssuer(_Part):
    """An issuer whose tokens are taken from the start: its JWK set is a file beside the plan."""

    name: str = Field(min_length=1, max_length=255)
    keys: str


class PlannedCustody(_Part):
    """Among whom the secret of the custodian's keys is shared out, by reference, and how many open it."""

    holders: list[str] = Field(min_length=2, max_length=FOUNDERS_MAX)
    threshold: int = Field(ge=2)


class Plan(_Part):
    """Who founds the ledger."""

    people: list[PlannedPerson] = Field(min_length=FOUNDERS_MIN, max_length=FOUNDERS_MAX)
    services: list[PlannedService] = Field([], max_length=SERVICES_MAX)
    issuers: list[PlannedIssuer] = Field([], max_length=ISSUERS_MAX - 1)  # and our own, of credentials
    custody: PlannedCustody | None = None


@dataclass(frozen=True, slots=True)
class Founders:
    """What a plan comes to: founders in order, first services and issuers, and who holds the custodian's keys."""

    people: tuple[FoundingPerson, ...]
    services: tuple[FoundingService, ...]
    issuers: tuple[TrustedIssuer, ...]
    holders: tuple[int, ...]
    threshold: int


def read_plan(path: Path) -> Founders:
    """Read a plan, with the public keys that it names; founders are numbered in the order of the file.

    Raises:
        ConfigurationError: a file is missing, or the plan is wrong; names every problem of it.
        InvalidInputError: a key is none that may be enrolled.
    """
    plan = _parse(path)
    for person in plan.people:
        _check_texts(person, path)
    numbers = {person.reference: number for number, person in enumerate(plan.people, start=1)}
    if len({reference.casefold() for reference in numbers}) != len(plan.people):
        raise ConfigurationError(
            f"{path} names one reference twice", hint="a reference is one person's, in whatever letters"
        )
    managers = {person.reference: person.manager for person in plan.people}
    for circle in find_circles(managers, lambda reference: managers.get(reference, "")):
        raise ConfigurationError(
            f"{path}: the managers are {describe_circle(circle, circle[0])}",
            hint="tell founders as the HR system tells them: reporting lines end",
        )
    logins = [(person.issuer, person.subject) for person in plan.people]
    logins += [(service.issuer, service.subject) for service in plan.services]
    if len(set(logins)) != len(logins):
        raise ConfigurationError(
            f"{path} names one issuer and subject twice", hint="a login is one founder's or one service's"
        )
    people = tuple(
        FoundingPerson(
            facts=_facts(person, numbers, path),
            duties=tuple(sorted(set(person.duties))),
            key=_read_key(path.parent / person.key),
            identity=Identity(person.issuer, person.subject),
        )
        for person in plan.people
    )
    services = tuple(
        FoundingService(party=service.party, identity=Identity(service.issuer, service.subject))
        for service in plan.services
    )
    return Founders(people, services, _issuers(plan, path), *_holders(plan, numbers, path))


def _check_texts(person: PlannedPerson, path: Path) -> None:
    """Refuse a founder whom no HR file could tell so: the first file would say that the person has left."""
    parsers = parsers_of(())
    for column in ("reference", "name", "residence", "works_in", "team"):
        text: str = getattr(person, column)
        value = find_strange(text) or parsers[column](text)
        if isinstance(value, Fault):
            raise ConfigurationError(
                f"{path}: {column} of {show(person.reference)}: found {value.found}; expected {value.expected}",
                hint="tell founders as the HR system tells them",
            )


def _issuers(plan: Plan, path: Path) -> tuple[TrustedIssuer, ...]:
    """Give the issuers with the digests of their files, in order of name."""
    found: dict[str, TrustedIssuer] = {}
    for planned in plan.issuers:
        if planned.name in found or is_own(planned.name):
            raise ConfigurationError(
                f"{path}: the issuer {planned.name} is named twice, or stands for one of this program's own",
                hint="name each issuer once; this program's own need no name",
            )
        issuer = read_issuer(planned.name, path.parent / planned.keys)
        found[planned.name] = TrustedIssuer(name=planned.name, keys=issuer.digest)
    return tuple(found[name] for name in sorted(found))


def _holders(plan: Plan, numbers: dict[str, int], path: Path) -> tuple[tuple[int, ...], int]:
    if plan.custody is None:
        return (), 0
    unknown = [name for name in plan.custody.holders if name not in numbers]
    if unknown or len(set(plan.custody.holders)) != len(plan.custody.holders):
        raise ConfigurationError(
            f"{path}: the holders of the custodian's keys are not {len(plan.custody.holders)} people of the plan",
            hint="name the references of different people of the plan",
        )
    return tuple(sorted(numbers[name] for name in plan.custody.holders)), plan.custody.threshold


def _facts(person: PlannedPerson, numbers: dict[str, int], path: Path) -> PersonFacts:
    unknown = [name for name in (person.manager, *person.directed_by) if name and name not in numbers]
    if unknown:
        raise ConfigurationError(
            f"{path}: {person.reference} is under {unknown[0]}, who is not in the plan",
            hint="name the reference of a person of the plan",
        )
    return PersonFacts(
        number=numbers[person.reference],
        reference=person.reference,
        name=person.name,
        party=person.party,
        paid_by=person.paid_by,
        residence=person.residence,
        works_in=person.works_in,
        manager=numbers[person.manager] if person.manager else 0,
        directed_by=tuple(sorted(numbers[name] for name in person.directed_by)),
        team=person.team,
        devices_of=person.devices_of,
    )


def _parse(path: Path) -> Plan:
    try:
        with path.open("rb") as file:
            text = file.read(SIZE_BYTES_MAX + 1)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}", hint="name a plan of founders") from None
    if len(text) > SIZE_BYTES_MAX:
        raise ConfigurationError(f"{path} is larger than {SIZE_BYTES_MAX} bytes")
    try:
        return Plan.model_validate(parse_yaml(text) or {})
    except InvalidInputError as error:
        raise ConfigurationError(f"{path}: {error.message}") from None
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
        raise ConfigurationError(f"{path} is wrong: {problems}", hint="see docs/governance.md") from None


def _read_key(path: Path) -> bytes:
    try:
        line = path.read_text("utf-8")
    except (OSError, ValueError) as error:  # the second: no text, or what no name of a file can be
        raise ConfigurationError(
            f"the public key {path} cannot be read: {error}", hint="each founder makes one: `ringfence key new`"
        ) from None
    try:
        return parse_public_key(line)
    except InvalidInputError as error:
        raise InvalidInputError(error.message, place=str(path), hint=error.hint) from None
