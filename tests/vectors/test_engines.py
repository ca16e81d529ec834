"""Engines are frozen: these decisions were recorded when each was made, and must never come out otherwise."""

from __future__ import annotations

import hashlib
import json
from base64 import b64decode
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from ringfence.core.charter import Charter, parse_charter
from ringfence.core.charter.terms import NONE, OTHER, SHAPES, VERBS
from ringfence.core.decisions.engines import ENGINES, decide
from ringfence.core.decisions.ruling import Asked, rule_access
from ringfence.core.decisions.view import APPROVED, Decision, View
from ringfence.core.folding import RuleSource, fold
from ringfence.core.ledger.entry import RULE_TYPES, parse_entry
from ringfence.core.state import EMPTY, State, digest_state

HERE = Path(__file__).parent
FROZEN: dict[str, dict[str, Any]] = {
    engine: json.loads((HERE / f"engine_{engine}.json").read_text(encoding="utf-8")) for engine in ("v1", "v2")
}
LEDGER: dict[str, Any] = json.loads((HERE / "engine_v2_ledger.json").read_text(encoding="utf-8"))
STOPPED: list[list[str]] = [[], ["helping"], ["serving", "serving-by-build"]]
FIELDS_V1 = ("permitted", "clause", "withheld", "records_max", "records_per_day_max", "downgrades_per_day_max")
FIELDS = {"v1": FIELDS_V1, "v2": (*FIELDS_V1, "needs_grant")}
"""What each engine says of a view, in the order in which it was recorded."""


def charter_of(engine: str) -> Charter:
    file = HERE / FROZEN[engine]["charter"]
    return parse_charter(file.read_bytes(), file=file.name)


def view_of(told: list[Any]) -> View:
    """Give a view as it was recorded: what engine v1 does not know is not there."""
    return View(*told[:10], frozenset(told[10])) if len(told) > 10 else View(*told)


def all_views(engine: str, charter: Charter) -> Iterator[list[Any]]:
    """Give every view that all decisions together are of."""
    views: Iterable[tuple[Any, ...]]
    if engine == "v1":
        views = product(
            [*charter.parties, OTHER],
            ["CN", "NO", "SE", OTHER],
            [*charter.purposes, OTHER],
            VERBS,
            [*charter.datasets, OTHER],
            [*charter.classes, OTHER],
            SHAPES,
        )
    else:
        views = product(
            [*charter.parties, OTHER],
            ["NO", OTHER],
            charter.purposes,
            VERBS,
            charter.datasets,
            charter.classes,
            SHAPES,
            ["engineer", "shipper", OTHER, NONE],
            ["access", "legal-demand", NONE],
            [APPROVED, NONE],
            STOPPED,
        )
    yield from map(list, views)


def test_every_engine_has_its_vectors() -> None:
    assert FROZEN.keys() == ENGINES.keys()


@pytest.mark.parametrize("engine", FROZEN)
def test_vectors_are_for_this_charter(engine: str) -> None:
    frozen = FROZEN[engine]
    assert charter_of(engine).digest.hex() == frozen["charter_sha256"]
    assert len(frozen["vectors"]) >= 50
    assert {item["decision"]["permitted"] for item in frozen["vectors"]} == {True, False}


@pytest.mark.parametrize("engine", FROZEN)
def test_decisions_are_as_they_were_recorded(engine: str) -> None:
    charter = charter_of(engine)
    for vector in FROZEN[engine]["vectors"]:
        told = {**vector["decision"], "withheld": tuple(vector["decision"]["withheld"])}
        assert decide(engine, charter, view_of(vector["view"])) == Decision(**told), vector["view"]


@pytest.mark.parametrize("engine", FROZEN)
def test_all_decisions_together_are_as_they_were_recorded(engine: str) -> None:
    charter, digest = charter_of(engine), hashlib.sha256()
    for view in all_views(engine, charter):
        decided = asdict(decide(engine, charter, view_of(view)))
        digest.update(json.dumps([*view, *(decided[name] for name in FIELDS[engine])]).encode())
    assert digest.hexdigest() == FROZEN[engine]["all_decisions_sha256"]


def states_of_the_ledger() -> Iterator[State]:
    """Fold the recorded ledger, its signatures checked; give the state after each entry."""
    state = EMPTY
    files = {name: b64decode(file) for name, file in LEDGER["files"].items()}
    for number, told in enumerate(LEDGER["entries"], start=1):
        rule = parse_entry(b64decode(told["entry"]))
        assert isinstance(rule, RULE_TYPES)
        opening = b64decode(told["opening"]) if told["opening"] else None
        file = files[told["file"]] if told["file"] else None
        source = RuleSource(lane=0, at_ms=told["at_ms"], opening=opening, blob=file, place=f"entry {number}")
        state = fold(state, rule, source)
        yield state


def test_recorded_ledger_comes_to_the_states_that_were_recorded() -> None:
    found = [digest_state(state).hex() for state in states_of_the_ledger()]

    assert found == [told["state"] for told in LEDGER["entries"]]


def test_what_people_may_do_in_the_recorded_ledger_is_as_it_was_recorded() -> None:
    states = list(states_of_the_ledger())
    said = {clause for told in LEDGER["decisions"] for clause in told["decided"].values()}
    assert said >= {"", "helping", "serving", "!serving", "!@person", "!@grant"}

    for told in LEDGER["decisions"]:
        after, asked = told["after"], Asked(*told["asked"])
        at_ms = LEDGER["entries"][after - 1]["at_ms"]
        decided = rule_access(states[after - 1], asked, ["protected", "public"], at_ms=at_ms).decided
        assert decided == told["decided"], (after, asked)
