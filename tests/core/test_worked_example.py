"""The worked example says of people what its words promise."""

from __future__ import annotations

from pathlib import Path

from ringfence.core.charter import Charter, parse_charter
from ringfence.core.charter.governance import PROPOSE_ONLY, THROUGH, Governance
from ringfence.core.charter.terms import NONE
from ringfence.core.charter.words import explain_charter
from ringfence.core.decisions.engines import NEWEST_ENGINE, decide
from ringfence.core.decisions.view import APPROVED, View
from tests.core.governed_charter import governance_of

EXAMPLE = Path(__file__).parents[2] / "examples/us-user-data/charter.yaml"


def example() -> tuple[Charter, Governance]:
    """Give the worked example and what it says of people."""
    charter = parse_charter(EXAMPLE.read_bytes(), file=EXAMPLE.name)
    return charter, governance_of(charter)


def approvers(governance: Governance, operation: str) -> set[str]:
    """Give the duties that may agree to an operation."""
    return {duty for way in governance.operations[operation].alternatives for group in way for duty in group.duties}


def test_whoever_holds_the_data_or_watches_is_kept_from_the_app_and_its_parent_in_every_way() -> None:
    charter, governance = example()
    for duty in governance.duties.values():
        if charter.parties[duty.party].role not in PROPOSE_ONLY:
            rules = [rule for rule in governance.independence if duty.name in rule.duties]
            assert any(set(rule.roles) == set(PROPOSE_ONLY) and set(rule.through) == set(THROUGH) for rule in rules)
    gaps = [line for line in explain_charter(charter).splitlines() if line.startswith("- No rule here keeps")]
    assert [gap.split(" from ")[0] for gap in gaps] == ["- No rule here keeps the duty release-manager"]


def test_nobody_can_hold_a_duty_that_asks_for_access_and_one_that_decides_on_it() -> None:
    _, governance = example()
    for operation in ("grant", "legal-demand"):
        for asker in governance.operations[operation].propose:
            custodians = {duty for duty in approvers(governance, operation) if governance.duties[duty].party == "usds"}
            assert custodians <= governance.separated_from(asker)


def test_who_audits_never_asks_for_access_and_who_administers_people_never_holds_keys() -> None:
    _, governance = example()
    assert set(governance.operations["grant"].propose) - governance.separated_from("auditor") == set()
    assert "key-holder" in governance.separated_from("people-administrator")
    assert not approvers(governance, "appoint") & set(governance.operations["appoint"].propose) - {"monitor"}


def test_nothing_is_carried_by_one_person_of_the_custodian_alone() -> None:
    _, governance = example()
    for operation in governance.operations.values():
        for way in operation.alternatives:
            assert sum(group.count for group in way) >= 2 or {duty for group in way for duty in group.duties} == {
                "monitor"
            }


def test_what_ranks_feeds_is_an_approved_build_and_nothing_else_reads_in_bulk_for_the_app() -> None:
    charter, _ = example()
    view = View("tiktok", "US", "rank_feeds", "read", "watch_history", "protected", "bulk", NONE, NONE, APPROVED)
    assert decide(NEWEST_ENGINE, charter, view).permitted
    for less in ({"build": NONE}, {"purpose": "serve_user"}, {"country": "SG"}):
        assert not decide(NEWEST_ENGINE, charter, view._replace(**less)).permitted
    serving = view._replace(purpose="serve_user", shape="single", build=NONE)
    assert decide(NEWEST_ENGINE, charter, serving).permitted
