"""Independence held against a model that knows no register of ended ties and no search: it tries every path.

The model keeps everything that was ever told with the time from which it held, and takes as true whatever held at some
moment within the cooling time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from ringfence.core.charter.governance import IndependenceRule
from ringfence.core.people.independence import approver_conflicts, find_conflicts
from ringfence.core.people.register import PersonFacts, Register, record
from tests.core.people.small_register import person, ruled_charter

NUMBERS = range(1, 6)
NOBODY = 6
STEP_MS = 2
WAYS = ("employer", "pay", "manager", "direction")
ROLES = {"keeper": "custodian", "hoster": "host", "app": "operator", "parent": "excluded", "watch": "overseer"}


@dataclass(frozen=True)
class Model:
    """Everything that was told, in order: `history[i]` holds from `STEP_MS * i` on until the person's next facts."""

    history: list[list[PersonFacts]]
    now_ms: int
    cooling_ms: int

    def counted(self, number: int) -> list[PersonFacts]:
        """Give the facts of a person that held at some moment within the cooling time."""
        told = [
            (STEP_MS * step, facts)
            for step, all_facts in enumerate(self.history)
            for facts in all_facts
            if facts.number == number
        ]
        counted = [facts for (_, facts), (until, _) in pairwise(told) if until > self.now_ms - self.cooling_ms]
        return counted + [facts for _, facts in told[-1:]]

    def above(self, number: int, through: tuple[str, ...]) -> set[int]:
        """Give those whom a person is bound to directly, in these ways."""
        managers = {facts.manager for facts in self.counted(number)} - {0} if "manager" in through else set()
        directors = {one for facts in self.counted(number) for one in facts.directed_by}
        return managers | (directors if "direction" in through else set())

    def paths(self, path: tuple[int, ...], through: tuple[str, ...]) -> Iterator[tuple[int, ...]]:
        """Give every path up that meets nobody twice."""
        yield path
        for number in self.above(path[-1], through):
            if number not in path:
                yield from self.paths((*path, number), through)

    def is_of_role(self, number: int, roles: tuple[str, ...], kinds: set[str]) -> bool:
        """Tell whether a person is of a party of these roles, or nobody knows."""
        counted = self.counted(number)
        parties = {facts.party for facts in counted} if "employer" in kinds else set()
        if "pay" in kinds:
            parties |= {facts.paid_by or facts.party for facts in counted}
        return not counted or any(ROLES.get(party, "unknown") in {*roles, "unknown"} for party in parties)

    def faulty_paths(self, rule: IndependenceRule, number: int) -> set[tuple[int, ...]]:
        """Give the shortest of the paths that the rule forbids."""
        faulty = [
            path
            for path in self.paths((number,), rule.through)
            if self.is_of_role(path[-1], rule.roles, set(rule.through) if len(path) == 1 else {"employer", "pay"})
        ]
        shortest = min(map(len, faulty), default=0)
        return {path for path in faulty if len(path) == shortest}


def draw_facts(number: int) -> st.SearchStrategy[PersonFacts]:
    people = st.sampled_from([*NUMBERS, NOBODY])
    party = st.sampled_from(["keeper"] * 20 + ["hoster", "watch", "app", "parent", "parent", "acme", ""])
    return st.builds(
        lambda manager, directed_by, party, paid_by, team: person(
            number, manager=manager, directed_by=tuple(directed_by), party=party, paid_by=paid_by, team=team
        ),
        st.just(0) | people,
        st.lists(people, max_size=2, unique=True).map(sorted),
        party,
        st.sampled_from([""] * 9 + ["keeper", "parent"]),
        st.sampled_from(["blue", "red", "Red", ""]),
    )


@st.composite
def draw_worlds(draw: st.DrawFn) -> tuple[Register, Model]:
    """Draw what was told of five people, step by step, and give it to the register and to the model."""
    history = [[draw(draw_facts(number)) for number in NUMBERS]]
    for numbers in draw(st.lists(st.sets(st.sampled_from(NUMBERS), min_size=1), max_size=4)):
        history.append([draw(draw_facts(number)) for number in sorted(numbers)])
    register = Register()
    for step, facts in enumerate(history):
        register = record(register, facts, at_ms=STEP_MS * step)
    last_ms = STEP_MS * (len(history) - 1)
    return register, Model(
        history=history,
        now_ms=draw(st.integers(last_ms, last_ms + STEP_MS)),
        cooling_ms=draw(st.integers(0, 3 * STEP_MS)),
    )


@given(
    world=draw_worlds(),
    roles=st.sampled_from([("excluded",), ("excluded", "operator"), ("host", "overseer")]),
    through=st.just(WAYS) | st.sets(st.sampled_from(WAYS), min_size=1).map(sorted).map(tuple),
)
def test_chain_is_one_of_the_shortest_that_the_model_finds(
    world: tuple[Register, Model], roles: tuple[str, ...], through: tuple[str, ...]
) -> None:
    register, model = world
    rule = IndependenceRule(name="rule", words="", duties=("officer",), roles=roles, through=through)
    charter = ruled_charter(rule, cooling_ms=model.cooling_ms)

    for number in NUMBERS:
        found = find_conflicts(register, charter, number, duties=["officer"], at_ms=model.now_ms)
        expected = model.faulty_paths(rule, number)

        assert len(found) == min(1, len(expected))
        for conflict in found:
            assert conflict.chain in expected
            assert all(f" {above}, who " in conflict.words for above in conflict.chain[1:])


@given(world=draw_worlds(), beneficiary=st.sampled_from([0, *NUMBERS]))
def test_relations_of_an_approver_are_those_that_the_model_finds(
    world: tuple[Register, Model], beneficiary: int
) -> None:
    register, model = world
    never = ("same-team", "same-manager", "directed-by-requester")

    for approver, requester in [(1, 2), (3, 4), (5, 5)]:
        askers = {requester, beneficiary} - {0}
        found = approver_conflicts(
            register,
            approver=approver,
            requester=requester,
            beneficiary=beneficiary,
            never=never,
            at_ms=model.now_ms,
            cooling_ms=model.cooling_ms,
        )
        assert ("self" in found) == (approver in askers)
        assert ("same-team" in found) == any(_share_team(model, approver, asker) for asker in askers)
        assert ("same-manager" in found) == any(
            model.above(approver, ("manager",)) & model.above(asker, ("manager",)) for asker in askers
        )
        ends = {path[-1] for path in model.paths((approver,), ("manager", "direction")) if len(path) > 1}
        assert ("directed-by-requester" in found) == bool(ends & (askers | {NOBODY}))
        assert set(found) <= {"self", *never}


def _share_team(model: Model, one: int, other: int) -> bool:
    now = [model.counted(number)[-1].team for number in (one, other)]
    teams = [{facts.team.lower() for facts in model.counted(number)} - {""} for number in (one, other)]
    return "" in now or bool(teams[0] & teams[1])
