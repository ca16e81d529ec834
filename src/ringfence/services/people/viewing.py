"""Looking at the register: who is there, what a person is told to be, and what keeps the person from which duty."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ringfence.core.errors import NotFoundError
from ringfence.core.people.independence import Conflict, find_conflicts
from ringfence.core.people.register import PersonFacts, Register, Tie
from ringfence.core.people.standing import Member
from ringfence.core.state import State
from ringfence.services.people.recording import require_register


@dataclass(frozen=True, slots=True)
class PersonView:
    """A person of the register.

    Attributes:
        member: what the person is as a member; None when the person was never admitted.
        state: `present`, `to come` or `left`; for a member who may not act also `suspended` or `dismissed`.
    """

    facts: PersonFacts
    member: Member | None
    state: str


@dataclass(frozen=True, slots=True)
class PersonDetail:
    """A person with the ties that ended, by the time they did, and what keeps the person from each duty of the charter.

    Duties that nothing keeps the person from have no conflicts; duties of other parties than the person's are left out.
    """

    view: PersonView
    former: tuple[Tie, ...]
    conflicts: tuple[tuple[str, tuple[Conflict, ...]], ...]


def list_people(state: State, *, at_ms: int) -> Iterator[PersonView]:
    """Give everybody of the register, by number.

    Raises:
        ConflictError: there is no register.
    """
    _, register = require_register(state)
    for number in sorted(register.people):
        yield _view(state, register.people[number], at_ms)


def show_person(state: State, who: str, *, at_ms: int) -> PersonDetail:
    """Give everything that is known of a person.

    Args:
        who: a reference, or else a number.

    Raises:
        ConflictError: there is no register.
        NotFoundError: nobody is called so.
    """
    _, register = require_register(state)
    facts = find_person(register, who)
    governance = state.rules.governance
    duties = governance.duties.values() if governance is not None else ()
    return PersonDetail(
        view=_view(state, facts, at_ms),
        former=register.former.get(facts.number, ()),
        conflicts=tuple(
            (duty.name, find_conflicts(register, state.rules, facts.number, duties=(duty.name,), at_ms=at_ms))
            for duty in duties
            if duty.party == facts.party
        ),
    )


def find_person(register: Register, who: str) -> PersonFacts:
    """Give the person with a reference, or else a number.

    Raises:
        NotFoundError: nobody is called so.
    """
    number = register.numbers.get(who)
    if number is None and who.isascii() and who.isdigit():
        number = int(who[:18])
    facts = register.people.get(number) if number is not None else None
    if facts is None:
        raise NotFoundError(
            f"nobody in the register has the reference or number {who!r:.80}",
            hint="`ringfence people list --all` has everybody",
        )
    return facts


def _view(state: State, facts: PersonFacts, at_ms: int) -> PersonView:
    member = state.governed.members.get(facts.number)
    if member is not None and member.dismissed:
        said = "dismissed"
    elif facts.is_present(at_ms):
        said = "suspended" if member is not None and member.suspended else "present"
    else:
        said = "to come" if at_ms < facts.starts_ms else "left"
    return PersonView(facts, member, said)
