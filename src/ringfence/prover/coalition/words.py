"""What is known of a coalition, in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ringfence.core.coalition.gate import count_people
from ringfence.core.coalition.lending import Lent
from ringfence.core.governance.wording import show_line
from ringfence.core.state import State
from ringfence.core.times import HOUR_MS
from ringfence.prover.coalition.answers import Answer
from ringfence.prover.coalition.run import Deed

_NAMED_MAX: Final = 12


def describe_number(answer: Answer, *, minimum: int = 0) -> str:
    """Say how many must join, and whether these are known to be fewer than a charter asks."""
    return _number(answer) + (": FEWER THAN THE CHARTER ASKS" if answer.is_short(minimum) else "")


def _number(answer: Answer) -> str:
    if answer.at_least is None:
        return f"never: not if everybody joins ({len(answer.closed)} facts are closed under every rule)"
    if answer.goal.lawful and not answer.at_least:
        return "nobody: the charter gives this to them, within its limits and recorded"
    if answer.is_exact:
        return "nobody: they need no one" if not answer.at_least else f"{count_people(answer.at_least)} must join"
    if answer.at_most is None:
        return f"at least {count_people(answer.at_least)} must join; from there on it is not known"
    return f"between {answer.at_least} and {count_people(answer.at_most)} must join"


def describe_open(answer: Answer, lent: Sequence[Lent]) -> str:
    """Say how many must join with what others asked for or agreed to already; "" where that makes it no fewer."""
    if answer.at_least_open is None:
        return ""
    numbers = ", ".join(str(one.number) for one in lent[:_NAMED_MAX])
    more = f" and {len(lent) - _NAMED_MAX} more" if len(lent) > _NAMED_MAX else ""
    few = f"at least {count_people(answer.at_least_open)}" if answer.at_least_open else "perhaps nobody"
    return f"with what others asked for or agreed to already in open requests ({numbers}{more}): {few}"


class Names:
    """Names people as a register does; only by number those whom it does not know."""

    def __init__(self, state: State | None) -> None:
        self._register = state.standing.register if state and state.standing else None

    def __call__(self, people: Sequence[int]) -> str:
        """Give some people in a list, by number and reference."""
        more = f" and {len(people) - _NAMED_MAX} more" if len(people) > _NAMED_MAX else ""
        return ", ".join(map(self.one, people[:_NAMED_MAX])) + more

    def one(self, number: int) -> str:
        """Give one person."""
        facts = self._register.people.get(number) if self._register else None
        return f"{number} ({show_line(facts.reference)})" if facts else str(number)


def describe_deed(deed: Deed, named: Names) -> str:
    """Say what one step is, who takes it, and by which clause."""
    agreed = f", agreed to by {named(deed.agreed)}" if deed.agreed else ""
    by = f"; by {named(deed.by)}" if deed.by else ""
    waits = f"; somebody outside has {show_wait(deed)} to stop it" if deed.waits_ms else ""
    return f"{deed.words} [{deed.what}]{by}{agreed}{waits}"


def show_wait(deed: Deed) -> str:
    """Say how long somebody outside had to stop a step."""
    return f"{deed.waits_ms // HOUR_MS} h"


def describe_who(answer: Answer, named: Names) -> str:
    """Say who joins in the run, and whom they bring; "" for nobody."""
    if not (answer.joined or answer.brought):
        return ""
    brought = f", who bring {named(answer.brought)}" if answer.brought else ""
    return f"such as {named(answer.joined)}{brought}"
