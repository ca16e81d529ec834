"""What an HR system tells of one person in a request, as facts to record.

Rules of this file:
1. What is told is the whole of what is known from then on. What did not change is kept as it is known and is not looked
   at again: a fact that takes authority away is never refused for another that came to be wrong meanwhile.
2. What changes is parsed as a file's column is. All that is wrong is told at once, by the names that the caller uses.
3. That a person is not there holds from now on, and is never undone by silence: only who is told to be there again has
   no end any more. Neither gives any authority.
4. A manager or director must be somebody of the register, so that nobody's chain ends where nobody looks.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ringfence.core.errors import InvalidInputError
from ringfence.core.governance.change_shape import TIME_MS_MAX
from ringfence.core.people.register import DIRECTED_BY_MAX, PersonFacts, Register
from ringfence.services.people.values import SPACES, STRANGE, Fault, find_strange, parsers_of

TEXTS: Final[Mapping[str, str]] = {
    "reference": "reference",
    "name": "name",
    "employer": "party",
    "paid_by": "paid_by",
    "residence": "residence",
    "works_in": "works_in",
    "team": "team",
    "devices_of": "devices_of",
}
"""The columns that are texts, each with the field of `PersonFacts` that has it."""

EXTERNAL_ID_CHARACTERS_MAX: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """All that is told of a person; "" and 0 say that a fact is not known, or that there is none.

    Attributes:
        texts: by column, those of `TEXTS`.
        manager, directed_by: numbers of people.
        starts_ms, ends_ms: milliseconds since 1970 UTC.
        external_id: what the system that tells calls the person.
        is_there: whether the person is there; None where nothing is said of it.
    """

    texts: Mapping[str, str]
    manager: int = 0
    directed_by: tuple[int, ...] = ()
    starts_ms: int = 0
    ends_ms: int = 0
    external_id: str = ""
    is_there: bool | None = None


def facts_of(
    told: Told,
    *,
    number: int,
    register: Register,
    parties: Collection[str],
    names: Mapping[str, str],
    at_ms: int,
) -> PersonFacts:
    """Give the facts to record of a person.

    Args:
        number: the person's; one that the register does not have is somebody new.
        parties: the names that the charter has for parties.
        names: what the caller calls each column, `external_id` and `active`, for messages.
        at_ms: now.

    Raises:
        InvalidInputError: something is wrong; says all of it.
    """
    known = register.people.get(number)
    faults: list[tuple[str, Fault]] = []
    values: dict[str, Any] = dict(_read_texts(told, known, parties, faults))
    faults += _find_strangers(told, number, known, register)
    faults += _find_times(told, known)
    faults += _find_namesake(values["reference"], number, register)
    external_id = _read_external_id(told, known, faults)
    ends_ms = _end_of(told, known, at_ms, faults)
    if faults:
        words = "; ".join(
            f"{names[column]}: found {fault.found}; expected {fault.expected}" for column, fault in faults
        )
        raise InvalidInputError(words, place=names[faults[0][0]])
    return PersonFacts(
        number=number,
        **values,
        manager=told.manager,
        directed_by=tuple(sorted(set(told.directed_by))),
        starts_ms=told.starts_ms,
        ends_ms=ends_ms,
        external_id=external_id,
    )


def _read_texts(
    told: Told, known: PersonFacts | None, parties: Collection[str], faults: list[tuple[str, Fault]]
) -> Iterator[tuple[str, str]]:
    """Give each text by its field; where there is a fault, that is kept and the text is empty."""
    parsers = parsers_of(parties)
    for column, field in TEXTS.items():
        text = told.texts[column]
        if known is not None and text == getattr(known, field):
            yield field, text
            continue
        value = find_strange(text) or parsers[column](text.strip(SPACES))
        if isinstance(value, Fault):
            faults.append((column, value))
        yield field, value if isinstance(value, str) else ""


def _find_strangers(
    told: Told, number: int, known: PersonFacts | None, register: Register
) -> Iterator[tuple[str, Fault]]:
    """Find managers and directors, newly told, who are nobody of the register or the person itself."""
    before = (known.manager, known.directed_by) if known is not None else (0, ())
    asked = [("manager", told.manager)] if told.manager not in (0, before[0]) else []
    asked += [("directed_by", one) for one in told.directed_by if one not in before[1]]
    for column, one in asked:
        person = register.people.get(one)
        if one == number:
            yield column, Fault("the person itself", "somebody else, or nobody")
        elif person is None or person.unlisted:
            yield column, Fault(f"{one}, who is nobody of the register", "the id of somebody who was told before")
    if len(set(told.directed_by)) > DIRECTED_BY_MAX:
        yield "directed_by", Fault(f"{len(set(told.directed_by))} people", f"at most {DIRECTED_BY_MAX}")


def _find_times(told: Told, known: PersonFacts | None) -> Iterator[tuple[str, Fault]]:
    """Find an end, newly told, that is none: who is there again starts after an end that stays told until then."""
    if known is not None and told.ends_ms == known.ends_ms:
        return
    if told.ends_ms and not 0 < told.ends_ms <= TIME_MS_MAX:
        yield "ends", Fault("another time", "a time since 1970")
    elif told.starts_ms and told.ends_ms and told.ends_ms <= told.starts_ms:
        yield "ends", Fault("an end that is not after the start", "a later time, or nothing")


def find_holder(register: Register, reference: str, *, besides: int = 0) -> PersonFacts | None:
    """Give who has a reference, in whatever letters; None when nobody has but the person `besides`."""
    folded = reference.casefold()
    for other, number in register.numbers.items():
        if number != besides and other.casefold() == folded:
            return register.people.get(number)
    return None


def _find_namesake(reference: str, number: int, register: Register) -> Iterator[tuple[str, Fault]]:
    """Find a reference, newly told, that another person has in another spelling; `record` refuses the same one."""
    known = register.people.get(number)
    if not reference or (known is not None and known.reference == reference):
        return
    if holder := find_holder(register, reference, besides=number):
        yield "reference", Fault(f"the reference of person {holder.number}", "one that nobody else has in any spelling")


def _read_external_id(told: Told, known: PersonFacts | None, faults: list[tuple[str, Fault]]) -> str:
    text = told.external_id
    if known is None or text != known.external_id:
        strange = STRANGE.search(text)
        if strange or len(text) > EXTERNAL_ID_CHARACTERS_MAX:
            found = f"the character U+{ord(strange[0]):04X}" if strange else f"{len(text)} characters"
            faults.append(("external_id", Fault(found, f"at most {EXTERNAL_ID_CHARACTERS_MAX} visible characters")))
            return ""
    return text


def _end_of(told: Told, known: PersonFacts | None, at_ms: int, faults: list[tuple[str, Fault]]) -> int:
    """Give from when on the person is not there (rule 3); 0 when no such time is known."""
    before_ms = known.ends_ms if known is not None else 0
    has_ended = 0 < before_ms <= at_ms
    is_newly_ended = 0 < told.ends_ms <= at_ms and told.ends_ms != before_ms
    if told.is_there is False:
        if 0 < told.ends_ms <= at_ms:
            return told.ends_ms
        return before_ms if has_ended else at_ms
    if told.is_there and is_newly_ended:
        faults.append(("active", Fault("somebody who is there and has left", "one of both")))
        return at_ms
    if told.is_there:
        return 0 if has_ended and told.ends_ms in (0, before_ms) else told.ends_ms
    return before_ms if has_ended and not told.ends_ms else told.ends_ms
