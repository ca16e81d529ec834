"""Facts about people and new charters where many members have the same people above them: what follows, how soon."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator

import pytest

from ringfence.core import changes as c
from ringfence.core.errors import ProofInvalidError
from ringfence.core.governance.recording import Effects, find_effects
from ringfence.core.people.register import PersonFacts, Register, Tie, record
from tests.governed import CHARTER, FOUNDERS, NUMBERS, Ground, facts

CHAIN = 40
OF_TRUST = [name for name, (party, _) in FOUNDERS.items() if party == "trust"]


def ground_with_a_chain() -> Ground:
    """Give a ledger in which all of the custodian's people are managed by the same chain of its people."""
    ground = Ground.founded()
    above = 0
    for number in range(CHAIN):
        above = ground.hire(f"chain-{number}", manager=above)
    for name in OF_TRUST:
        ground.record(facts(NUMBERS[name], name, manager=above))
    return ground


def propose_charter(ground: Ground, charter: str) -> None:
    file = charter.replace("version: 1", "version: 2").encode()
    change = c.EnactCharter(name="small", version=2, digest=hashlib.sha256(file).digest(), engine="v2")
    ground.propose("ada", change, file=file)


def effects_of(ground: Ground, told: PersonFacts) -> Effects:
    standing, at_ms = ground.state.governed, ground.now_ms + 1000
    assert standing.register is not None
    register = record(standing.register, [told], at_ms=at_ms)
    return find_effects(standing, register, ground.state.rules, [told], at_ms=at_ms)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Counter[int]:
    """How often each person's ties are asked for, from now on."""
    asked, ties = Counter[int](), Register.ties

    def count(self: Register, number: int, *, ended_after_ms: int) -> Iterator[Tie]:
        asked[number] += 1
        return ties(self, number, ended_after_ms=ended_after_ms)

    monkeypatch.setattr(Register, "ties", count)
    return asked


def test_people_above_many_members_are_looked_at_a_few_times_for_all_of_them(asked: Counter[int]) -> None:
    ground = ground_with_a_chain()
    asked.clear()
    effects = effects_of(ground, facts(NUMBERS["ada"], "ada", manager=NUMBERS["chain-39"]))

    assert effects == Effects((), ())
    assert asked[NUMBERS["chain-0"]]
    assert max(asked.values()) < len(OF_TRUST)  # once for each question, and not once for each member


def test_people_above_many_members_are_looked_at_a_few_times_for_a_new_charter(asked: Counter[int]) -> None:
    ground = ground_with_a_chain()
    asked.clear()
    propose_charter(ground, CHARTER)

    assert asked[NUMBERS["chain-0"]]
    assert max(asked.values()) < len(OF_TRUST)


def test_charter_under_which_somebody_below_a_chain_is_not_independent_is_refused() -> None:
    ground = ground_with_a_chain()
    ground.record(facts(NUMBERS["chain-0"], "chain-0", party="board"))
    with pytest.raises(ProofInvalidError, match="would not be independent"):
        propose_charter(ground, CHARTER.replace("roles: [excluded, operator]", "roles: [excluded, operator, overseer]"))

    propose_charter(ground, CHARTER)


def test_fact_about_the_top_of_a_chain_suspends_everybody_below_and_nobody_else() -> None:
    ground = ground_with_a_chain()
    told = facts(NUMBERS["chain-0"], "chain-0", party="parent")

    assert effects_of(ground, told).suspends == tuple(NUMBERS[name] for name in OF_TRUST)
