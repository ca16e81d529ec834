"""Engine v2 against a naive reading of the charter's text: duties, grants, builds and stopped flows, all mixed."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from ruamel.yaml import YAML

from ringfence.core.charter import Charter
from ringfence.core.charter.terms import NONE, OTHER
from ringfence.core.decisions.engines import decide, what_could_be_asked
from ringfence.core.decisions.view import APPROVED, DENIED, View
from ringfence.core.enacting import enact
from ringfence.core.errors import ProofInvalidError
from ringfence.core.ledger.entry import CharterEnacted
from ringfence.core.state import EMPTY
from tests.core.governed_charter import GOVERNED, governed_charter
from tests.core.small_charter import small_charter

RAW: dict[str, Any] = YAML(typ="safe", pure=True).load(GOVERNED)
STOPPED = [frozenset[str](), frozenset({"helping"}), frozenset({"serving", "serving-by-build"})]
VIEWS = [
    View(*view)
    for view in product(
        ["keeper", "app", "watch", OTHER],
        ["NO", "CN"],
        ["serve", "show"],
        ["read", "write", "find"],
        ["person", "chats"],
        ["protected", "public"],
        ["single", "bulk"],
        ["engineer", "officer", OTHER, NONE],
        ["access", "legal-demand", "break-glass", NONE],
        [APPROVED, NONE],
        STOPPED,
    )
]
HELPED = View("keeper", "NO", "serve", "find", "person", "protected", "single", "engineer", "access")
BUILT = View("app", "NO", "serve", "write", "chats", "protected", "single", NONE, NONE, APPROVED)


def naive(view: View) -> tuple[bool, str]:
    """What a patient reader of the file would answer: permitted or not, and the clause that permits or is stopped."""
    stopped = ""
    for flow in RAW["flows"]:
        names = (view.party in flow["who"], view.purpose in flow["purposes"], view.verb in flow["verbs"])
        where = flow["from"] == ["*"] or view.country in flow["from"]
        what = flow["datasets"] in (["*"], [view.dataset]) or view.dataset in flow["datasets"]
        kind = flow["classes"] == ["*"] or view.data_class in flow["classes"]
        shape = view.shape == "single" or "bulk" in flow
        people = view.duty in flow["duties"] if "duties" in flow else view.duty == NONE
        grant = view.grant in flow.get("needs", [view.grant])
        build = "builds" not in flow or view.build == APPROVED
        if all(names) and where and what and kind and shape and people and grant and build:
            if flow["name"] not in view.stopped:
                return True, flow["name"]
            stopped = stopped or flow["name"]
    return False, stopped


def test_every_view_is_decided_as_the_file_reads() -> None:
    charter = governed_charter()
    wrong = []
    for view in VIEWS:
        decision = decide("v2", charter, view)
        if (decision.permitted, decision.clause) != naive(view):
            wrong.append(view)
    assert wrong == []
    assert {naive(view) for view in VIEWS} >= {
        (True, "helping"),
        (False, "helping"),
        (True, "serving-by-build"),
        (False, "serving-by-build"),
        (False, ""),
    }


@pytest.mark.parametrize("grant", ["access", "break-glass"])
def test_person_with_the_duty_and_a_grant_is_permitted_and_with_one_of_them_is_not(grant: str) -> None:
    charter, view = governed_charter(), HELPED._replace(grant=grant)
    decision = decide("v2", charter, view)
    assert (decision.permitted, decision.clause, decision.needs_grant) == (True, "helping", True)
    for less in ({"duty": "officer"}, {"duty": OTHER}, {"duty": NONE}, {"grant": NONE}, {"grant": "legal-demand"}):
        assert decide("v2", charter, view._replace(**less)) == DENIED


def test_service_with_an_approved_build_is_permitted_and_without_one_or_as_a_person_is_not() -> None:
    charter = governed_charter()
    decision = decide("v2", charter, BUILT)
    assert (decision.permitted, decision.clause, decision.needs_grant) == (True, "serving-by-build", False)
    for less in ({"build": NONE}, {"duty": OTHER}, {"duty": "shipper"}):
        assert decide("v2", charter, BUILT._replace(**less)) == DENIED


def test_no_person_may_use_a_flow_that_is_for_services() -> None:
    charter = governed_charter()
    serving = View("app", "NO", "serve", "read", "person", "public", "single")
    assert decide("v2", charter, serving).clause == "serving"
    for duty in (*RAW["duties"], OTHER):
        assert decide("v2", charter, serving._replace(duty=duty)) == DENIED


def test_flow_that_is_stopped_permits_nothing_and_is_named() -> None:
    charter = governed_charter()
    decision = decide("v2", charter, HELPED._replace(stopped=frozenset({"helping"})))
    assert (decision.permitted, decision.clause) == (False, "helping")
    assert decide("v2", charter, HELPED._replace(stopped=frozenset({"serving"}))).permitted


def test_hints_tell_what_a_flow_asks_of_people_and_builds() -> None:
    charter = governed_charter()
    assert what_could_be_asked(charter, HELPED._replace(grant=NONE)) == [
        "clause `helping` permits keeper to find person under a grant of the kind access or break-glass, "
        "which a proposal asks for and the request names"
    ]
    assert what_could_be_asked(charter, HELPED._replace(duty=NONE, grant=NONE)) == [
        "clause `helping` permits keeper to find person to people with the duty engineer, "
        "under a grant of the kind access or break-glass, which a proposal asks for and the request names"
    ]
    held = HELPED._replace(duty=OTHER, grant=NONE)
    assert what_could_be_asked(charter, held, duties=["engineer"]) == what_could_be_asked(
        charter, HELPED._replace(grant=NONE)
    )
    assert what_could_be_asked(charter, HELPED._replace(stopped=frozenset({"helping"}))) == [
        "clause `helping` permits keeper to find person once its suspension is lifted"
    ]
    assert what_could_be_asked(charter, BUILT._replace(build=NONE)) == [
        "clause `serving-by-build` permits app to write chats to services with an approved build"
    ]
    assert what_could_be_asked(charter, BUILT._replace(dataset="person", duty="shipper")) == [
        "clause `serving` permits app to write person to services"
    ]
    assert what_could_be_asked(charter, HELPED) == []


def test_charter_whose_flows_ask_for_people_or_builds_is_not_enacted_under_an_engine_that_ignores_that() -> None:
    governed, small = governed_charter(), small_charter()
    for charter, engine in ((small, "v1"), (small, "v2"), (governed, "v2")):
        assert enact(EMPTY, rule_for(charter, engine), charter, place="here").engine == engine
    with pytest.raises(ProofInvalidError, match="under an engine that knows none of them"):
        enact(EMPTY, rule_for(governed, "v1"), governed, place="here")


def rule_for(charter: Charter, engine: str) -> CharterEnacted:
    """Give the rule that enacts a charter."""
    return CharterEnacted(name=charter.name, version=charter.version, digest=charter.digest, engine=engine)
