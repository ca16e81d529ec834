"""The matrix: every question once, each answered as the engine answers it, and held against the invariants."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence.core.charter import Charter, Invariant, parse_charter, parse_draft
from ringfence.core.charter.terms import NONE, OTHER
from ringfence.core.decisions.engines import decide
from ringfence.core.decisions.view import APPROVED, Decision, View
from ringfence.core.errors import InvalidInputError, LimitExceededError, ProofInvalidError
from ringfence.prover.matrix import cells as prover
from ringfence.prover.matrix.cells import Cell, Matrix, ask_all
from ringfence.prover.matrix.domain import ATOMS, SAMPLES_MAX, Box, domain_of
from tests.core.governed_charter import governed_charter
from tests.core.small_charter import SMALL, changed, small_charter
from tests.prover.any_charter import charters, views_in

EXAMPLE = Path(__file__).parents[2] / "examples/us-user-data/charter.yaml"
PARTIES = ("keeper", "app")
BREAKING = changed(
    "    datasets: [person, posts]\n    classes: [public]",
    "    datasets: [person, posts]\n    classes: [public, protected]",
)


def example() -> Charter:
    return parse_charter(EXAMPLE.read_bytes(), file="charter.yaml")


def views_of(box: Box) -> Iterator[View]:
    """Give every question of a box, nothing suspended."""
    for values in product(*box):
        told = dict(zip(ATOMS, values, strict=True))
        yield View(**told)


def forbids(invariant: Invariant, view: View) -> bool:
    """What a patient reader of an invariant would say of a question."""
    return (
        view.party in invariant.parties
        and view.verb in invariant.verbs
        and view.data_class in invariant.classes
        and view.dataset in invariant.datasets
        and (not invariant.from_outside or view.country not in invariant.from_outside)
    )


def said(cell: Cell, stopped: frozenset[str]) -> Decision:
    """What the cell says of its questions under these suspensions."""
    return cell.now(stopped) or Decision(permitted=False, clause=cell.decisions[0].clause)


# -- the merge ---------------------------------------------------------------------------------------------------------


def test_every_question_is_in_one_cell_and_is_decided_as_the_cell_says() -> None:
    charter = governed_charter()
    asked = ask_all("v2", charter, parties=PARTIES)
    seen: set[View] = set()
    wrong = []
    for cell in asked.cells:
        for view in views_of(cell.box):
            seen.add(view)
            if decide("v2", charter, view) != cell.decisions[0]:
                wrong.append(view)

    assert wrong == []
    assert len(seen) == sum(cell.box.views for cell in asked.cells) == asked.domain.views
    assert len(seen) == 2 * 3 * 5 * 6 * 3 * 7 * 3 * 2 * 4 * 2
    assert {cell.decisions[0].clause for cell in asked.cells} >= {"", "helping", "serving", "serving-by-build"}


def test_cells_of_the_worked_example_hold_every_question_and_its_invariants_hold() -> None:
    asked = ask_all("v2", example())

    assert sum(cell.box.views for cell in asked.cells) == asked.domain.views > 20_000_000
    assert len(asked.cells) < 1_000
    assert len(asked.promises()) == 4
    assert all(promise.views > 0 and not promise.broken for promise in asked.promises())


@given(st.data())
def test_any_question_under_any_suspensions_is_decided_as_its_cell_says(data: st.DataObject) -> None:
    charter = data.draw(charters())
    asked = ask_all("v2", charter)
    assert sum(cell.box.views for cell in asked.cells) == asked.domain.views

    for _ in range(10):
        cell = data.draw(st.sampled_from(asked.cells))
        view = data.draw(views_in(cell.box, charter))

        assert decide("v2", charter, view) == said(cell, view.stopped)
        assert {item.name for item in charter.invariants if forbids(item, view)} == set(cell.invariants)


def test_what_the_charter_does_not_name_is_asked_as_other() -> None:
    domain = domain_of(governed_charter(), engine="v2")

    assert [atom for atom, values in zip(ATOMS, domain, strict=True) if OTHER in values] == [
        "party",
        "purpose",
        "dataset",
        "duty",
        "country",
    ]
    assert domain.country == ("NO", "SE", OTHER)
    assert domain.duty[0] == NONE
    assert domain.build == (NONE, APPROVED)


def test_engine_that_heeds_no_duties_is_asked_of_services_alone_and_of_no_charter_that_asks_for_some() -> None:
    asked = ask_all("v1", small_charter())

    assert asked.domain.views == sum(cell.box.views for cell in asked.cells)
    assert (asked.domain.duty, asked.domain.grant, asked.domain.build) == ((NONE,), (NONE,), (NONE,))
    assert {len(cell.decisions) for cell in asked.cells} == {1}
    with pytest.raises(InvalidInputError, match="heeds no duties"):
        ask_all("v1", governed_charter())


def test_samples_of_a_box_are_spread_over_its_values() -> None:
    boxes = [cell.box for cell in ask_all("v2", example()).cells]
    assert max(len(values) for box in boxes for values in box) > SAMPLES_MAX

    for box in boxes:
        samples = list(box.samples())
        assert len(samples) == min(max(map(len, box)), SAMPLES_MAX)
        for atom, values in zip(ATOMS, box, strict=True):
            asked = {getattr(view, atom) for view in samples}
            assert asked == set(values) if len(values) <= SAMPLES_MAX else len(asked) == SAMPLES_MAX
            assert {values[0], values[-1]} <= asked <= set(values)


def test_engine_that_tells_apart_what_no_clause_does_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    ask_all("v2", small_charter())

    def opened(engine: str, charter: Charter, view: View) -> Decision:
        if view.country == OTHER and view.duty == "other":
            return Decision(permitted=True, clause="serving")
        return decide(engine, charter, view)

    monkeypatch.setattr(prover, "decide", opened)
    with pytest.raises(ProofInvalidError, match="tells apart what no clause does"):
        ask_all("v2", small_charter())


# -- the invariants ----------------------------------------------------------------------------------------------------


def test_broken_invariant_is_told_with_exactly_the_questions_that_break_it() -> None:
    draft, breaches = parse_draft(BREAKING.encode(), file="small.yaml")
    assert len(breaches) == 1

    broken, host = ask_all("v2", draft).promises()

    assert (broken.name, host.name) == ("parent-never-reads", "host-reads-nothing")
    assert host.broken == ()
    views = [view for cell in broken.broken for view in views_of(cell.box)]
    told = {(view.party, view.purpose, view.verb, view.dataset, view.data_class, view.duty) for view in views}
    assert told == {("parent", "show", "read", dataset, "protected", NONE) for dataset in ("person", "posts")}
    assert {view.country for view in views} == {"NO", "SE", OTHER}
    assert {cell.permissions[0].clause for cell in broken.broken} == {"showing"}


def test_invariant_that_no_flow_breaks_holds_over_as_many_questions_as_it_speaks_of() -> None:
    asked = ask_all("v2", small_charter())

    holds = asked.promises()[0]

    assert holds.broken == ()
    assert holds.views == 3 * 3 * 5 * 1 * 2 * 3 * 2 * 4 * 2


@given(st.data())
def test_invariant_is_broken_exactly_where_something_permits_what_it_forbids(data: st.DataObject) -> None:
    charter = data.draw(charters())
    asked = ask_all("v2", charter)
    broken = {promise.name: set(map(id, promise.broken)) for promise in asked.promises()}

    for cell in data.draw(st.lists(st.sampled_from(asked.cells), max_size=10)):
        view = data.draw(views_in(cell.box, charter))._replace(stopped=frozenset())
        for invariant in charter.invariants:
            breaks = decide("v2", charter, view).permitted and forbids(invariant, view)
            assert (id(cell) in broken[invariant.name]) == breaks


# -- suspensions -------------------------------------------------------------------------------------------------------


def test_suspension_that_lets_a_flow_decide_which_withholds_less_is_found() -> None:
    found = ask_all("v2", small_charter()).widenings()

    assert [(item.clause, item.then, item.fields) for item in found] == [
        ("serving", "serving-many", ("country", "phone")),
        ("serving", "serving-many", ("place",)),
    ]
    assert {verb for item in found for cell in item.cells for verb in cell.box.verb} == {"read"}


def test_suspension_that_lets_a_flow_decide_which_withholds_as_much_is_no_finding() -> None:
    charter = small_charter()
    serving, many, showing = charter.flows
    careful = replace(charter, flows=(serving, replace(many, withhold=serving.withhold), showing), memo={})

    assert ask_all("v2", careful).widenings() == ()
    assert ask_all("v2", example()).widenings() == ()


def test_suspension_that_raises_a_limit_is_found() -> None:
    charter = small_charter()
    many = charter.flows[1]
    assert many.bulk is not None
    narrow = replace(many, name="few", bulk=replace(many.bulk, records_max=5))
    both = replace(charter, flows=(narrow, many), memo={})

    (found,) = ask_all("v2", both).widenings()

    assert (found.clause, found.then, found.fields, found.records_max) == ("few", "serving-many", (), (5, 50))
    assert {cell.box.shape for cell in found.cells} == {("bulk",)}


# -- limits ------------------------------------------------------------------------------------------------------------


def test_charter_with_too_many_cells_is_refused_by_its_size_and_asked_one_party_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = ask_all("v2", small_charter())
    monkeypatch.setattr(prover, "CELLS_MAX", len(whole.cells) - 1)

    with pytest.raises(LimitExceededError) as refused:
        ask_all("v2", small_charter())
    assert "5 parties, 3 flows, 5 datasets, 2 purposes and 2 invariants" in refused.value.message
    assert "--party" in refused.value.hint
    assert ask_all("v2", small_charter(), parties=("app",)).domain.party == ("app",)

    monkeypatch.setattr(prover, "CELLS_MAX", len(whole.cells))
    assert ask_all("v2", small_charter()).cells == whole.cells


def test_charter_of_which_too_much_would_be_asked_is_refused_and_one_with_too_many_cells_before_anything_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A cell that many flows permit is asked again with each of them suspended: cells alone bound no time."""
    asked: list[View] = []
    whole = prover.decide

    def ask(engine: str, charter: Charter, view: View) -> Decision:
        asked.append(view)
        return whole(engine, charter, view)

    monkeypatch.setattr(prover, "decide", ask)
    cells = ask_all("v2", small_charter()).cells
    count = len(asked)
    assert count == len({*asked}), "no question is asked twice"

    monkeypatch.setattr(prover, "ASKED_MAX", count)
    assert ask_all("v2", small_charter()).cells == cells
    monkeypatch.setattr(prover, "ASKED_MAX", count - 1)
    with pytest.raises(LimitExceededError, match=f"more than {count - 1} questions for its engine"):
        ask_all("v2", small_charter())

    asked.clear()
    monkeypatch.setattr(prover, "CELLS_MAX", len(cells) - 1)
    with pytest.raises(LimitExceededError, match="cells that its clauses tell apart"):
        ask_all("v2", small_charter())
    assert not asked


def test_cells_of_each_party_alone_are_those_of_the_whole() -> None:
    charter = governed_charter()
    whole = ask_all("v2", charter)

    alone = [permitted(ask_all("v2", charter, parties=(party,))) for party in charter.parties]

    assert set().union(*alone) == permitted(whole)
    with pytest.raises(InvalidInputError, match="no party nobody"):
        ask_all("v2", charter, parties=("nobody",))


def permitted(asked: Matrix) -> set[tuple[str, ...]]:
    """Give every question that is permitted, with its clause."""
    return {
        (*values, cell.decisions[0].clause) for cell in asked.cells if cell.permissions for values in product(*cell.box)
    }


def test_what_an_engine_remembers_for_requests_is_left_alone() -> None:
    charter = parse_charter(SMALL.encode(), file="small.yaml")
    view = View("app", "NO", "serve", "read", "person", "public", "single")
    decide("v2", charter, view)
    remembered = dict(charter.memo["v2"])

    ask_all("v2", charter)

    assert charter.memo["v2"] == remembered
