"""Charters that hypothesis makes: the governed one with other flows and invariants, which may contradict each other."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st

from ringfence.core.charter import ANY, Bulk, Charter, FieldReference, Flow, Invariant
from ringfence.core.charter.governance import GRANT_KINDS
from ringfence.core.charter.terms import OTHER, VERBS
from ringfence.core.decisions.view import View
from ringfence.prover.matrix.domain import Box
from tests.core.governed_charter import governance_of, governed_charter

BASE = governed_charter()
PARTIES, PURPOSES, DATASETS, CLASSES = (
    tuple(names) for names in (BASE.parties, BASE.purposes, BASE.datasets, BASE.classes)
)
DUTIES = tuple(governance_of(BASE).duties)
COUNTRIES = ("NO", "SE", "CN")
UNNAMED_COUNTRIES = ("FR", "BR", OTHER)
FIELDS = tuple(
    FieldReference(dataset.name, field.name) for dataset in BASE.datasets.values() for field in dataset.fields
)


def some(names: tuple[str, ...], *, least: int = 1) -> st.SearchStrategy[tuple[str, ...]]:
    """Give some of the names, in their order."""
    chosen = st.sets(st.sampled_from(names), min_size=least)
    return chosen.map(lambda found: tuple(name for name in names if name in found))


def flows(name: str) -> st.SearchStrategy[Flow]:
    """Give any flow of this name."""
    return st.builds(
        Flow,
        name=st.just(name),
        words=st.just("A flow."),
        who=some(PARTIES),
        countries=st.one_of(some(COUNTRIES), st.just((ANY,))),
        purposes=some(PURPOSES),
        verbs=some(VERBS),
        datasets=st.one_of(some(DATASETS), st.just(DATASETS)),
        classes=some(CLASSES),
        withhold=st.lists(st.sampled_from(FIELDS), max_size=3, unique=True).map(tuple),
        bulk=st.sampled_from([None, Bulk(10, 100), Bulk(50, 5000)]),
        downgrades_per_day_max=st.sampled_from([0, 7]),
        duties=st.one_of(st.just(()), some(DUTIES)),
        needs=st.one_of(st.just(()), some(GRANT_KINDS)),
        builds=st.sampled_from(["", "approved"]),
    )


def invariants(name: str) -> st.SearchStrategy[Invariant]:
    """Give any invariant of this name; flows may break it."""
    return st.builds(
        Invariant,
        name=st.just(name),
        words=st.just("A promise."),
        roles=st.just(()),
        parties=some(PARTIES),
        verbs=some(VERBS),
        classes=some(CLASSES),
        datasets=some(DATASETS),
        from_outside=st.one_of(st.just(()), some(COUNTRIES)),
    )


@st.composite
def charters(draw: st.DrawFn) -> Charter:
    """Give any charter with up to six flows and three invariants."""
    return replace(
        BASE,
        flows=tuple(draw(flows(f"flow-{at}")) for at in range(draw(st.integers(0, 6)))),
        invariants=tuple(draw(invariants(f"promise-{at}")) for at in range(draw(st.integers(0, 3)))),
        memo={},
    )


@st.composite
def views_in(draw: st.DrawFn, box: Box, charter: Charter) -> View:
    """Give any question of a box, under any set of suspended flows; an unnamed country may be any that is unnamed."""
    view = box.view(lambda values: draw(st.sampled_from(values)))
    if view.country == OTHER:
        view = view._replace(country=draw(st.sampled_from(UNNAMED_COUNTRIES)))
    names = [flow.name for flow in charter.flows]
    stopped = draw(st.frozensets(st.sampled_from(names))) if names else frozenset[str]()
    return view._replace(stopped=stopped)
