"""Cedar, an engine by other people, reads the exported charter as the engine that serves requests reads the charter.

Every cell of the matrix is asked of both, under every set of suspended flows that matter to it, by the values that the
matrix used and by others of the same cell.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import chain, combinations
from typing import Any

import cedarpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence.core.charter import Charter, Flow, parse_draft
from ringfence.core.charter.terms import NONE
from ringfence.core.decisions.engines import decide, v2
from ringfence.core.decisions.view import APPROVED, View
from ringfence.core.errors import ProofInvalidError
from ringfence.prover.matrix import cedar
from ringfence.prover.matrix.cedar import CONTEXT, render_cedar, render_cedar_schema
from ringfence.prover.matrix.cells import Cell, ask_all
from tests.core.governed_charter import governed_charter
from tests.core.small_charter import small_charter
from tests.prover.any_charter import charters, views_in
from tests.prover.test_matrix import BREAKING, example

NO_ENTITIES = cedarpy.Entities.from_json_str("[]")
CEDAR_BATCH = 500


class Said:
    """What Cedar says to one question: whether it is allowed, and the names of the policies that say so, in order."""

    def __init__(self, answer: cedarpy.AuthzResult, order: Sequence[str]) -> None:
        assert answer.diagnostics.errors == []
        names = set(answer.diagnostics.id_annotations_by_reason.values())
        self.allowed = answer.allowed
        self.names = tuple(name for name in order if name in names)
        assert len(self.names) == len(answer.diagnostics.reasons)


def ask_cedar(charter: Charter, views: Sequence[View]) -> list[Said]:
    """Ask Cedar the questions, by the exported policies, against the exported schema."""
    policies = cedarpy.PolicySet.from_str(render_cedar(charter))
    schema = cedarpy.Schema.from_str(render_cedar_schema(charter))
    order = [item.name for item in (*charter.flows, *charter.invariants)]
    requests = [request_of(view) for view in views]
    answers: list[Said] = []
    for at in range(0, len(requests), CEDAR_BATCH):
        batch = cedarpy.is_authorized_batch(requests[at : at + CEDAR_BATCH], policies, NO_ENTITIES, schema)
        answers += [Said(answer, order) for answer in batch]
    return answers


def request_of(view: View) -> dict[str, Any]:
    context = {name: getattr(view, name) for name in CONTEXT}
    return {
        "principal": {"type": "Party", "id": view.party},
        "action": {"type": "Action", "id": view.verb},
        "resource": {"type": "Dataset", "id": view.dataset},
        "context": {**context, "stopped": sorted(view.stopped)},
    }


def suspensions_of(cell: Cell) -> Iterator[frozenset[str]]:
    """Give every set of the flows that would permit the cell."""
    clauses = [decision.clause for decision in cell.permissions]
    for chosen in chain.from_iterable(combinations(clauses, count) for count in range(len(clauses) + 1)):
        yield frozenset(chosen)


def differences(charter: Charter, cells: Sequence[Cell], views: Sequence[View]) -> list[str]:
    """Hold Cedar, the engine and the matrix against each other; `cells` has the cell of each question."""
    found = []
    for cell, view, said in zip(cells, views, ask_cedar(charter, views), strict=True):
        decision = decide("v2", charter, view)
        expected = cell.now(view.stopped)
        clause = expected.clause if expected else cell.decisions[0].clause
        if cell.invariants:
            agrees = not said.allowed and said.names == cell.invariants  # a forbid hides what would permit
        else:
            going = tuple(item.clause for item in cell.permissions if item.clause not in view.stopped)
            agrees = said.allowed == decision.permitted and said.names == going
        if not agrees or (decision.permitted, decision.clause) != (expected is not None, clause):
            found.append(f"{view}: {decision}, {said.allowed} by {said.names}, {cell}")
    return found


def compare_all(charter: Charter) -> list[str]:
    """Compare on every sample of every cell, under every set of suspensions."""
    pairs = [
        (cell, view._replace(stopped=stopped))
        for cell in ask_all("v2", charter).cells
        for stopped in suspensions_of(cell)
        for view in cell.box.samples()
    ]
    cells, views = zip(*pairs, strict=True)
    return differences(charter, cells, views)


# -- agreement ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("charter", [example(), governed_charter(), small_charter()], ids=lambda item: item.name)
def test_cedar_agrees_on_every_cell_under_every_suspension(charter: Charter) -> None:
    assert compare_all(charter) == []


@given(st.data())
def test_cedar_agrees_on_any_question_to_any_charter(data: st.DataObject) -> None:
    charter = data.draw(charters())
    asked = ask_all("v2", charter)
    cells = data.draw(st.lists(st.sampled_from(asked.cells), min_size=10, max_size=20))
    permitting = [cell for cell in asked.cells if cell.permissions]
    cells += data.draw(st.lists(st.sampled_from(permitting), max_size=20)) if permitting else []

    assert differences(charter, cells, [data.draw(views_in(cell.box, charter)) for cell in cells]) == []


def test_cedar_forbids_exactly_the_cells_that_break_an_invariant() -> None:
    draft, _ = parse_draft(BREAKING.encode(), file="small.yaml")
    asked = ask_all("v2", draft)
    views = [next(cell.box.samples()) for cell in asked.cells]

    hidden = [
        cell
        for cell, view, said in zip(asked.cells, views, ask_cedar(draft, views), strict=True)
        if decide("v2", draft, view).permitted and not said.allowed
    ]

    assert hidden == [cell for promise in asked.promises() for cell in promise.broken]
    assert hidden


# -- what the agreement would miss -------------------------------------------------------------------------------------


def test_export_that_forgets_a_condition_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    assert compare_all(governed_charter()) == []

    whole = cedar._permit
    for forgotten in ("context.duty", "context.grant", "context.build", "context.country", "context.stopped"):

        def without(flow: Flow, name: str = forgotten) -> str:
            lines = [line for line in whole(flow).splitlines() if name not in line]
            return "\n".join(lines).replace(" &&\n}", "\n}")

        monkeypatch.setattr(cedar, "_permit", without)
        assert compare_all(governed_charter()) != [], forgotten


@pytest.mark.parametrize(
    "forgotten", [{"build": APPROVED}, {"duty": NONE}, {"purpose": "serve"}, {"dataset": "person"}]
)
def test_engine_that_forgets_a_condition_is_found(monkeypatch: pytest.MonkeyPatch, forgotten: dict[str, str]) -> None:
    charter, whole = governed_charter(), v2.permits
    asked = ask_all("v2", charter)
    views = [next(cell.box.samples()) for cell in asked.cells]
    assert differences(charter, asked.cells, views) == []

    monkeypatch.setattr(v2, "permits", lambda flow, view: whole(flow, view._replace(**forgotten)))

    assert differences(replace(charter, memo={}), asked.cells, views) != []
    with suppress(ProofInvalidError):  # what the matrix finds by itself
        assert compare_all(replace(charter, memo={})) != []


# -- the text ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("charter", [example(), governed_charter(), small_charter()], ids=lambda item: item.name)
def test_policies_are_valid_by_the_schema(charter: Charter) -> None:
    result = cedarpy.validate_policies(render_cedar(charter), render_cedar_schema(charter))

    assert result.validation_passed, result.errors
    assert not cedarpy.validate_policies(
        "permit (principal, action, resource) when {context.x};", render_cedar_schema(charter)
    )


@given(st.text())
def test_any_name_is_the_same_name_in_cedar(name: str) -> None:
    charter = small_charter()
    strange = f"x{name}"
    flow = replace(charter.flows[0], name=strange, words=name, who=(strange,), datasets=(strange,), purposes=(strange,))
    view = View(strange, "NO", strange, "read", strange, "public", "single")

    (said, other) = ask_cedar(replace(charter, name=name, flows=(flow,)), [view, view._replace(party="x")])

    assert (said.allowed, said.names) == (True, (strange,))
    assert other.allowed == (strange == "x")
