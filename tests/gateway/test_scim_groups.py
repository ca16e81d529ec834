"""SCIM groups: the charter's duties, shown with who holds them. An HR system gives nobody a duty, and ends none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.gateway.scim_stage import HrStage, open_hr_stage, patch_of
from tests.governed import NUMBERS

GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
EVE = NUMBERS["eve"]


@pytest.fixture(scope="module")
def hr(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HrStage]:
    with open_hr_stage(tmp_path_factory.mktemp("scim")) as stage:
        yield stage


def members(hr: HrStage, duty: str) -> list[str]:
    return [member["value"] for member in hr.do("GET", f"/Groups/{duty}").get("members", [])]


def test_every_duty_is_a_group_of_those_who_hold_it(hr: HrStage) -> None:
    listed = hr.do("GET", "/Groups")

    assert [group["id"] for group in listed["Resources"]] == list(hr.world.state.governance.duties)
    officer = hr.do("GET", "/Groups/officer")
    assert officer["displayName"] == "officer"
    assert officer["members"][0] == {"value": "1", "$ref": "/scim/v2/Users/1", "type": "User", "display": "ada"}
    assert members(hr, "officer") == ["1", "2", "3"]
    assert members(hr, "keeper") == []
    named = hr.do("GET", "/Groups", params={"filter": 'members.value eq "5"'})
    assert [group["id"] for group in named["Resources"]] == ["engineer"]
    assert hr.refused("GET", "/Groups/king")[0] == 404


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "add", "path": "members", "value": [{"value": str(EVE)}]},
        {"op": "Add", "path": "members", "value": [{"value": str(EVE), "type": "User"}]},
        {"op": "add", "value": {"members": [{"value": str(EVE)}]}},
        {"op": "replace", "path": "members", "value": [{"value": n} for n in ("1", "2", "3", str(EVE))]},
    ],
)
def test_nobody_gets_a_duty_and_the_proposal_that_gives_it_is_told(hr: HrStage, operation: dict[str, Any]) -> None:
    status, keyword, words = hr.refused("PATCH", "/Groups/officer", patch_of(operation))

    assert (status, keyword) == (400, "mutability")
    assert f"propose `do: appoint`, `person: {EVE}`, `duty: officer`" in words
    assert members(hr, "officer") == ["1", "2", "3"]


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "remove", "path": 'members[value eq "3"]'},
        {"op": "replace", "path": "members", "value": [{"value": "1"}, {"value": "2"}]},
        {"op": "remove", "path": "members"},
    ],
)
def test_nobody_loses_a_duty_and_the_order_that_ends_it_is_told(hr: HrStage, operation: dict[str, Any]) -> None:
    status, keyword, words = hr.refused("PATCH", "/Groups/officer", patch_of(operation))

    assert (status, keyword) == (400, "mutability")
    assert "order `do: end-appointment`" in words
    assert "`active: false`" in words
    assert members(hr, "officer") == ["1", "2", "3"]


def test_what_leaves_a_group_as_it_is_is_taken(hr: HrStage) -> None:
    same = [{"op": "add", "path": "members", "value": [{"value": "1"}]}]
    same += [{"op": "remove", "path": f'members[value eq "{EVE}"]'}]

    assert hr.do("PATCH", "/Groups/officer", patch_of(*same))["id"] == "officer"
    whole = {"schemas": [GROUP], "displayName": "officer", "members": [{"value": n} for n in "321"]}
    assert hr.do("PUT", "/Groups/officer", whole)["id"] == "officer"


@pytest.mark.parametrize("told", [["1", "2"], ["1", "2", "3", "5"], []])
def test_group_that_would_replace_another_one_is_refused(hr: HrStage, told: list[str]) -> None:
    whole = {"schemas": [GROUP], "displayName": "officer", "members": [{"value": n} for n in told]}

    assert hr.refused("PUT", "/Groups/officer", whole)[:2] == (400, "mutability")


def test_duty_is_not_renamed(hr: HrStage) -> None:
    status, keyword, words = hr.refused(
        "PATCH", "/Groups/officer", patch_of({"op": "replace", "path": "displayName", "value": "boss"})
    )

    assert (status, keyword, "enact-charter" in words) == (400, "mutability", True)


def test_member_who_left_holds_the_duty_still_and_has_no_authority(hr: HrStage) -> None:
    hr.patch(NUMBERS["cid"], {"op": "replace", "path": "active", "value": False})

    assert members(hr, "officer") == ["1", "2", "3"]
    assert hr.user(NUMBERS["cid"])["active"] is False
