"""Engine v1 is frozen: these decisions were recorded when it was made, and must never come out otherwise."""

from __future__ import annotations

import hashlib
import json
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from ringfence.core.charter import Charter, parse_charter
from ringfence.core.engines import decide
from ringfence.core.view import OTHER, SHAPES, VERBS, Decision, View

HERE = Path(__file__).parent
CHARTER = HERE / "engine_v1_charter.yaml"
FROZEN: dict[str, Any] = json.loads((HERE / "engine_v1.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def charter() -> Charter:
    return parse_charter(CHARTER.read_bytes(), file=CHARTER.name)


def decision_of(told: dict[str, Any]) -> Decision:
    return Decision(**{**told, "withheld": tuple(told["withheld"])})


def test_vectors_are_for_this_charter(charter: Charter) -> None:
    assert charter.digest.hex() == FROZEN["charter_sha256"]
    assert len(FROZEN["vectors"]) >= 50
    assert {item["decision"]["permitted"] for item in FROZEN["vectors"]} == {True, False}


@pytest.mark.parametrize("vector", FROZEN["vectors"], ids=lambda vector: "-".join(vector["view"]))
def test_decision_is_as_it_was_recorded(charter: Charter, vector: dict[str, Any]) -> None:
    assert decide("v1", charter, View(*vector["view"])) == decision_of(vector["decision"])


def test_all_decisions_together_are_as_they_were_recorded(charter: Charter) -> None:
    digest = hashlib.sha256()
    for view in product(
        [*charter.parties, OTHER],
        ["CN", "NO", "SE", OTHER],
        [*charter.purposes, OTHER],
        VERBS,
        [*charter.datasets, OTHER],
        [*charter.classes, OTHER],
        SHAPES,
    ):
        decided = decide("v1", charter, View(*view))
        told = [*view, decided.permitted, decided.clause, list(decided.withheld), decided.records_max]
        told += [decided.records_per_day_max, decided.downgrades_per_day_max]
        digest.update(json.dumps(told).encode())
    assert digest.hexdigest() == FROZEN["all_decisions_sha256"]
