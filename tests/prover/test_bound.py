"""What serves requests permits at most what the matrix does: whatever stops somebody stops everything."""

from __future__ import annotations

from itertools import product

import pytest

from ringfence.core import changes as c
from ringfence.core.charter.terms import NONE, OTHER, SHAPES, VERBS
from ringfence.core.decisions.ruling import (
    STOPPED_BUILD,
    STOPPED_EVERYTHING,
    STOPPED_PARTY,
    STOPPED_PERSON,
    Asked,
    Ruling,
    rule_access,
)
from ringfence.core.decisions.view import View
from ringfence.prover.matrix.cells import Matrix, ask_all
from ringfence.prover.matrix.domain import ATOMS
from tests.governed import APP, BUILD, CHARTER, NUMBERS, Ground, a_grant, facts

EVE = NUMBERS["eve"]
GRANT = 1


def granted(charter: str = CHARTER) -> Ground:
    """Give a ledger in which eve has a grant."""
    ground = Ground.founded(charter)
    ground.agree("eve", a_grant(verbs=("find", "read"), datasets=("person", "rest")), "ada", "ben", number=GRANT)
    return ground


@pytest.fixture
def ground() -> Ground:
    """A ledger in which eve has a grant."""
    return granted()


def ask_everything(ground: Ground, principal: int, *, build: bytes = b"") -> list[tuple[Asked, Ruling]]:
    """Ask everything that a principal could ask, with the grant and without."""
    charter = ground.state.rules
    asked = [
        Asked(principal, country, purpose, verb, dataset, shape, 1 if shape == "single" else 2, grant, build)
        for country, purpose, verb, dataset, shape, grant in product(
            ("US", "CN", OTHER), charter.purposes, VERBS, charter.datasets, SHAPES, (0, GRANT)
        )
    ]
    return [(one, rule_access(ground.state, one, charter.classes, at_ms=ground.now_ms)) for one in asked]


def given(rulings: list[tuple[Asked, Ruling]]) -> int:
    """Count what was given."""
    return sum(len(ruling.permitted) for _, ruling in rulings)


def said(rulings: list[tuple[Asked, Ruling]]) -> set[str]:
    """Give everything that the rulings say of any class."""
    return {word for _, ruling in rulings for word in ruling.decided.values()}


def permits(asked: Matrix, view: View) -> bool:
    """Tell whether the matrix permits a question."""
    (cell,) = [cell for cell in asked.cells if all(getattr(view, atom) in getattr(cell.box, atom) for atom in ATOMS)]
    return cell.now(view.stopped) is not None


def test_everything_that_is_given_is_permitted_by_the_matrix(ground: Ground) -> None:
    matrix = ask_all(ground.state.engine, ground.state.rules)
    for principal, party, duty in (
        (EVE, "trust", "engineer"),
        (APP, "app", NONE),
        (NUMBERS["ada"], "trust", "officer"),
    ):
        rulings = ask_everything(ground, principal)
        assert (given(rulings) > 0) == (duty != "officer")
        for one, ruling in rulings:
            country = one.country if one.country in matrix.domain.country else OTHER
            for data_class in ruling.permitted:
                place = (party, country, one.purpose, one.verb, one.dataset, data_class, one.shape, duty)
                assert any(permits(matrix, View(*place, grant=grant)) for grant in matrix.domain.grant)


FACTS: dict[str, dict[str, object]] = {
    "residence": {"residence": "CN"},
    "where they work": {"works_in": "CN"},
    "who employs": {"party": "parent"},
    "who pays": {"paid_by": "parent"},
    "who manages": {"manager": NUMBERS["hal"]},
    "who directs": {"directed_by": (NUMBERS["hal"],)},
    "whose device": {"devices_of": "parent"},
}


@pytest.mark.parametrize("fact", FACTS)
def test_every_fact_that_breaks_independence_acts_by_the_same_stop_and_a_harmless_one_by_none(fact: str) -> None:
    ground = granted(CHARTER.replace("    works_in: [US]\n", "    works_in: [US]\n    devices_of: [trust]\n"))
    ground.record(facts(EVE, "eve", team="another"))
    assert given(ask_everything(ground, EVE)) > 0

    ground.record(facts(EVE, "eve", **FACTS[fact]))

    assert said(ask_everything(ground, EVE)) == {STOPPED_PERSON}
    assert given(ask_everything(ground, EVE)) == 0


def test_stop_of_everything_and_of_a_party_gives_nothing_and_of_another_party_changes_nothing(ground: Ground) -> None:
    before = given(ask_everything(ground, APP))
    assert before > 0

    ground.order("ivy", c.Suspend(scope=c.PARTY, name="parent"), number=1)
    assert given(ask_everything(ground, APP)) == before
    ground.order("ivy", c.Suspend(scope=c.PARTY, name="app"), number=2)
    assert said(ask_everything(ground, APP)) == {STOPPED_PARTY}
    assert given(ask_everything(ground, EVE)) > 0
    ground.order("ivy", c.Suspend(scope=c.EVERYTHING, name=""), number=3)
    assert said(ask_everything(ground, EVE)) == {STOPPED_EVERYTHING}


def test_build_that_nobody_approved_gives_nothing(ground: Ground) -> None:
    assert given(ask_everything(ground, APP)) > 0

    assert said(ask_everything(ground, APP, build=bytes(32))) == {STOPPED_BUILD}
    assert said(ask_everything(ground, APP, build=BUILD)) == {STOPPED_BUILD}  # approved for the custodian alone


def test_grant_of_somebody_else_and_one_that_ended_give_nothing(ground: Ground) -> None:
    mine = [one for one, ruling in ask_everything(ground, EVE) if ruling.permitted]
    assert {one.grant for one in mine} == {GRANT}

    ground.order("ada", c.RevokeGrant(grant=GRANT))

    assert given(ask_everything(ground, EVE)) == 0
