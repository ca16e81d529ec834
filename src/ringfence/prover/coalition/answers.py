"""Who must join the excluded parties for each goal: a bound from below, a run from above, and what lies between.

Rules of this file:
1. "No fewer" comes from the closure, which never makes a coalition look weaker than it is. "So many are enough" comes
   from a run that the core's own functions took. Where the two meet, the number is exact.
2. Where they do not meet, the answer says between which numbers it lies, or that nobody knows from where on.
3. What others asked for or agreed to already in open requests is a bound of its own, and never a run: the other
   numbers are of what holds once these have expired, or were carried.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, islice, product
from typing import Final

from ringfence.core.charter import Charter
from ringfence.core.coalition.closure import Model, build_model, is_closed, reach
from ringfence.core.coalition.floor import COUNTED_MAX, find_nearest
from ringfence.core.coalition.rules import Goal, find_goals
from ringfence.core.coalition.world import World, see_world
from ringfence.core.errors import ProofInvalidError
from ringfence.core.state import State
from ringfence.prover.coalition.attempts import attempt
from ringfence.prover.coalition.run import Deed, Run
from ringfence.prover.coalition.search import Search, Smallest

OUTSIDERS_MAX: Final = 8
CHOICES_MAX: Final = 60
"""Most choices of people that are tried for one number of people."""

MORE_MAX: Final = 3
"""How many more people than the bound from below are tried."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What is known of one goal.

    Attributes:
        goal: what is wanted.
        at_least: no fewer people who join are enough; None when no number is.
        at_most: so many are enough, shown by a run; None when no run was found.
        joined: numbers of those who join in that run; 0 for somebody who is in no register.
        brought: those whom they manage or direct, and who come with them.
        deeds: the run, step by step.
        closed: a closed set without the goal: what is reached with nobody's help, or for a goal that is out of reach
            what is reached when everybody joins; empty for one that nobody need join for.
        at_least_open: no fewer are enough with what others asked for or agreed to already in open requests; None
            where this makes it no fewer than `at_least`.
        within: so many reach it by the rules that only add, whether a run was found or not: where it is known which
            number is the fewest, `at_least`. None when no such choice is known.
    """

    goal: Goal
    at_least: int | None
    at_most: int | None = None
    joined: tuple[int, ...] = ()
    brought: tuple[int, ...] = ()
    deeds: tuple[Deed, ...] = ()
    closed: tuple[str, ...] = ()
    at_least_open: int | None = None
    within: int | None = None

    def is_short(self, minimum: int) -> bool:
        """Tell whether fewer are known to be needed than a charter asks for goals such as this."""
        return self.goal.floored and self.within is not None and self.within < minimum

    @property
    def is_exact(self) -> bool:
        """Tell whether the number is known."""
        return self.at_least == self.at_most


class Coalition:
    """A coalition in a state, and what it could do.

    Args:
        state: of a governed ledger, with its register.
        at_ms: when.
        parties: those that collude; the excluded ones when it is None.
        before: a charter that was in force before, whose coalition counts as well; None for none.

    Attributes:
        world, model: what the state says of the coalition, as people and as counts.
        goals: what it may want.
        lent: what others asked for or agreed to already in open requests.

    Raises:
        ProofInvalidError: the ledger is not governed, the register is withheld, or there is no such party.
    """

    def __init__(
        self, state: State, *, at_ms: int, parties: Sequence[str] | None = None, before: Charter | None = None
    ) -> None:
        self.world: World = see_world(state, at_ms=at_ms, parties=parties, before=before)
        self.model: Model = build_model(self.world)
        self.goals = find_goals(self.world)
        self._search = Search(self.model)
        lending = see_world(state, at_ms=at_ms, parties=parties, before=before, sees_open=True)
        self.lent = lending.lent
        self._lending = Search(build_model(lending)) if lending.lent else None
        self.state, self._at_ms = state, at_ms
        self._found_outside: dict[str, tuple[int, ...]] = {}
        self._everybody = {position: item.most for position, item in enumerate(self.model.joiners)}

    def answer(self, goal: Goal, *, seconds: float = 60.0) -> Answer:
        """Give how few people must join for a goal, and what they would do.

        Args:
            goal: one of `goals`.
            seconds: how long to look.

        Raises:
            ProofInvalidError: the solver and the closure do not agree.
        """
        answer = self._answer(goal, seconds)
        found = self._lending.find_smallest(goal.name, seconds=seconds) if self._lending is not None else None
        if found is not None and (answer.at_least is None or found.at_least < answer.at_least):
            return replace(answer, at_least_open=found.at_least)
        return answer

    def _answer(self, goal: Goal, seconds: float) -> Answer:
        ends = time.monotonic() + seconds
        smallest = self._search.find_smallest(goal.name, seconds=seconds)
        if smallest is None:
            return Answer(goal, None, closed=self._close(goal, self._everybody))
        at_least, within = self._count(goal, smallest)
        closed = self._close(goal, {}) if at_least else ()
        for people in range(at_least, at_least + MORE_MAX + 1):
            for joined, run in self._runs(goal, people, ends=ends):
                if run is not None:
                    brought = tuple(sorted(run.began_with - set(joined) - set(self.world.base_people)))
                    deeds = tuple(run.deeds)
                    return Answer(goal, at_least, people, joined, brought, deeds, closed, within=within)
        return Answer(goal, at_least, closed=closed, within=within)

    def _close(self, goal: Goal, joined: Mapping[int, int]) -> tuple[str, ...]:
        """Give everything that is reached once these join; checked to be closed, and not to hold the goal.

        Raises:
            ProofInvalidError: it holds the goal, or is not closed.
        """
        closed = tuple(reach(self.model, joined))
        if goal.name in closed or not is_closed(self.model, joined, frozenset(closed)):
            raise ProofInvalidError("what is said to be out of reach is not", place=goal.name)
        return closed

    def _count(self, goal: Goal, smallest: Smallest) -> tuple[int, int | None]:
        """Check one by one, as far as that is done, that no fewer people are enough, where the solver knows.

        Where its time ran out, count so far in its place. Gives how many are needed at the least, and how many are
        known to reach the goal.

        Raises:
            ProofInvalidError: fewer are enough than the solver says.
        """
        most = min(smallest.at_least - 1, COUNTED_MAX) if smallest.is_exact else COUNTED_MAX
        nearest = find_nearest(self.model, [goal.name], most=most) if most >= 0 else None
        if smallest.is_exact:
            if nearest is not None and nearest.goal:
                raise ProofInvalidError("fewer people are enough than the solver says", place=goal.name)
            return smallest.at_least, smallest.at_least
        if nearest is not None and nearest.goal:
            return nearest.people, nearest.people
        counted = COUNTED_MAX + 1 if nearest is None else nearest.people
        return max(smallest.at_least, counted), sum(smallest.joined.values()) if smallest.joined else None

    def _runs(self, goal: Goal, people: int, *, ends: float) -> Iterator[tuple[tuple[int, ...], Run | None]]:
        """Try choices of people, of one number, until time is over."""
        left = ends - time.monotonic()
        choices = self._search.find_others(goal.name, people, most=CHOICES_MAX, seconds=left) if left > 0 else []
        named = (joined for choice in choices for joined in islice(self._people_of(choice), CHOICES_MAX))
        own = {joined: self._with_brought(joined) for joined in islice(named, CHOICES_MAX)}
        for joined, everybody in sorted(own.items(), key=lambda item: (len(item[1]), item[0])):
            if time.monotonic() > ends:
                return
            yield joined, attempt(self.world, self.state, everybody, goal.name, at_ms=self._at_ms)

    def _with_brought(self, joined: tuple[int, ...]) -> set[int]:
        """Give these people with everybody below them, and whom the coalition has from the start."""
        return set(self.world.base_people).union(joined, *(self.world.below.get(one, ()) for one in joined))

    def _people_of(self, choice: Mapping[int, int]) -> Iterator[tuple[int, ...]]:
        """Give people of the register who are such a choice."""
        pools = [
            combinations(self.model.joiners[kind].people or self._outsiders(self.model.joiners[kind].party), count)
            for kind, count in sorted(choice.items())
        ]
        for chosen in product(*(list(islice(pool, CHOICES_MAX)) for pool in pools)):
            yield tuple(sorted(person for group in chosen for person in group))

    def _outsiders(self, party: str) -> tuple[int, ...]:
        """Give a few people of a party who are no members, and not the coalition's from the start."""
        found = self._found_outside.get(party)
        if found is None:
            standing, base = self.state.governed, set(self.world.base_people)
            people = standing.register.people if standing.register else {}
            free = (
                number
                for number, facts in people.items()
                if facts.party == party and number not in standing.members and number not in base
            )
            found = self._found_outside[party] = tuple(islice(free, OUTSIDERS_MAX))
        return found
