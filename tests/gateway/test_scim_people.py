"""SCIM users: what an HR system tells takes authority away at once, and gives none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ringfence.app.doctor import check_deployment
from ringfence.core import changes as c
from ringfence.gateway.scim import calls
from tests.gateway.governed_gateway import make_gateway
from tests.gateway.scim_stage import PERSON, WORK, HrStage, open_hr_stage, patch_of, user_of
from tests.governed import FOUNDERS, NUMBERS, facts


@pytest.fixture
def hr(tmp_path: Path) -> Iterator[HrStage]:
    with open_hr_stage(tmp_path) as stage:
        yield stage


def replace(path: str, value: Any) -> dict[str, Any]:
    return {"op": "replace", "path": path, "value": value}


def admit(hr: HrStage, number: int, name: str) -> None:
    hr.runner.run(hr.world.admit(number, name))


def may_act(hr: HrStage, number: int) -> bool:
    """Tell whether somebody has authority, for a gateway too whose clock is a minute behind."""
    return hr.world.state.governed.members[number].is_active(hr.world.gate.clock_ms() - 60_000)


# -- what is told --------------------------------------------------------------------------------------------------


def test_new_person_is_recorded_as_told_by_the_feed_and_waits_for_a_quorum(hr: HrStage) -> None:
    eve = NUMBERS["eve"]
    told = user_of(
        "new",
        work={"manager": {"value": str(eve)}},
        person={"paidBy": "board", "directedBy": [{"value": "1"}], "starts": "2026-01-31T09:00:00-05:00"},
        externalId="0-7",
    )

    answer = hr.send("POST", "/Users", told)

    shown = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == shown["meta"]["location"] == f"/scim/v2/Users/{shown['id']}"
    assert shown["active"] is False
    assert (shown["userName"], shown["displayName"], shown["externalId"]) == ("hr-new", "new", "0-7")
    assert shown[WORK]["manager"] == {"value": str(eve), "$ref": f"/scim/v2/Users/{eve}"}
    assert shown[PERSON]["starts"] == "2026-01-31T14:00:00Z"
    assert [(rule.source, rule.by, rule.people, rule.added) for rule in hr.rules] == [("scim", hr.feed, 1, 1)]
    admit(hr, int(shown["id"]), "new")
    assert hr.user(int(shown["id"]))["active"] is True


def test_who_has_left_loses_everything_at_once_and_gets_nothing_back_by_being_told_to_be_back(hr: HrStage) -> None:
    eve = NUMBERS["eve"]
    assert hr.user(eve)["active"] is True

    gone = hr.patch(eve, replace("active", False))

    assert gone["active"] is False
    assert not may_act(hr, eve)
    assert [person for person, _ in hr.rules[-1].ends] == [eve]
    back = hr.patch(eve, replace("active", True))
    assert back["active"] is False
    assert "ends" not in back[PERSON]
    assert not may_act(hr, eve)
    admit(hr, eve, "eve")
    assert hr.user(eve)["active"] is True


@pytest.mark.parametrize("value", ["False", "false", False])
def test_end_is_heard_in_every_form_that_hr_systems_send(hr: HrStage, value: object) -> None:
    hr.patch(NUMBERS["cid"], {"op": "Replace", "value": {"active": value}})

    assert not may_act(hr, NUMBERS["cid"])


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "remove", "path": "active"},
        {"op": "replace", "path": "active", "value": None},
        {"op": "replace", "value": {"active": None}},
    ],
)
def test_active_that_is_taken_away_is_refused_and_not_ignored(hr: HrStage, operation: dict[str, Any]) -> None:
    cid = NUMBERS["cid"]

    status, keyword, _ = hr.refused("PATCH", f"/Users/{cid}", patch_of(operation))

    assert (status, keyword) == (400, "invalidValue")
    assert may_act(hr, cid)
    assert hr.patch(cid, replace("active", True))["active"] is True


def test_start_that_is_to_come_takes_no_authority_and_is_not_shown_as_if_it_did(hr: HrStage) -> None:
    ivy = NUMBERS["ivy"]

    shown = hr.patch(ivy, replace(f"{PERSON}:starts", "2999-01-31T09:00:00Z"))

    assert (shown["active"], may_act(hr, ivy)) == (True, True)
    gone = hr.patch(ivy, replace("active", False))
    assert (gone["active"], may_act(hr, ivy)) == (False, False)


def test_adverse_fact_suspends_in_the_same_entry_and_a_favourable_one_gives_nothing_back(hr: HrStage) -> None:
    eve = NUMBERS["eve"]

    hr.patch(eve, replace(f"{PERSON}:residence", "CN"))

    assert hr.rules[-1].suspends == (eve,)
    assert hr.user(eve)["active"] is False
    hr.patch(eve, replace(f"{PERSON}:residence", "US"))
    assert hr.rules[-1].suspends == ()
    assert hr.user(eve)["active"] is False
    admit(hr, eve, "eve")
    assert hr.user(eve)["active"] is True


def test_chain_that_leads_to_the_parent_suspends(hr: HrStage) -> None:
    boss = hr.hire("boss", work={"organization": "parent"})

    hr.patch(NUMBERS["eve"], {"op": "add", "path": f"{PERSON}:directedBy", "value": [{"value": str(boss)}]})

    assert hr.rules[-1].suspends == (NUMBERS["eve"],)


def test_what_is_left_out_of_a_replacement_is_not_known_any_more(hr: HrStage) -> None:
    eve = NUMBERS["eve"]
    told = user_of("eve")
    assert hr.do("PUT", f"/Users/{eve}", told)["active"] is True

    del told[PERSON]
    shown = hr.do("PUT", f"/Users/{eve}", told)

    assert PERSON not in shown
    assert shown["active"] is False
    assert hr.rules[-1].suspends == (eve,)


def test_replacement_that_is_silent_about_an_end_leaves_it(hr: HrStage) -> None:
    eve = NUMBERS["eve"]
    ends = hr.patch(eve, replace("active", False))[PERSON]["ends"]

    assert hr.do("PUT", f"/Users/{eve}", user_of("eve"))[PERSON]["ends"] == ends
    assert "ends" not in hr.do("PUT", f"/Users/{eve}", user_of("eve", active=True))[PERSON]


def test_same_told_again_writes_nothing(hr: HrStage) -> None:
    before = hr.world.state.epoch

    hr.do("PUT", f"/Users/{NUMBERS['eve']}", user_of("eve"))
    hr.patch(NUMBERS["eve"], replace("displayName", "eve"))

    assert hr.world.state.epoch == before
    hr.patch(NUMBERS["eve"], replace("displayName", "Eve"))
    assert hr.world.state.epoch == before + 1


def test_later_end_is_kept_and_takes_nothing_yet(hr: HrStage) -> None:
    shown = hr.patch(NUMBERS["eve"], replace(f"{PERSON}:ends", "2099-12-31T23:00:00Z"))

    assert shown["active"] is True
    assert hr.rules[-1].ends == ((NUMBERS["eve"], 4_102_441_200_000),)


def test_what_the_register_has_no_use_for_is_not_kept_and_refuses_nothing(hr: HrStage) -> None:
    told = user_of("eve", emails=[{"value": "no address", "type": "work", "primary": True}], title="Engineer")
    told |= {"password": "secret", "roles": [{"value": "officer"}], "active": False}

    shown = hr.do("PUT", f"/Users/{NUMBERS['eve']}", told)

    assert shown["active"] is False
    assert not shown.keys() & {"emails", "title", "password", "roles"}


def test_what_is_told_at_the_same_time_is_recorded_one_after_the_other(hr: HrStage) -> None:
    answers = hr.send_together(*(("POST", "/Users", user_of(f"new-{number}")) for number in range(20)))

    assert [answer.status_code for answer in answers] == [201] * 20
    assert len({answer.json()["id"] for answer in answers}) == 20
    assert [rule.added for rule in hr.rules] == [1] * 20


def test_more_requests_than_may_wait_are_told_to_come_again(hr: HrStage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "WRITES_WAITING_MAX", 3)
    answers = hr.send_together(*(("POST", "/Users", user_of(f"new-{number}")) for number in range(8)))

    assert sorted(answer.status_code for answer in answers) == [201] * 3 + [503] * 5
    refused = next(answer for answer in answers if answer.status_code == 503)
    assert refused.headers["retry-after"] == "1"
    assert hr.send("POST", "/Users", user_of("later")).status_code == 201


def test_same_person_told_of_twice_at_the_same_time_is_one(hr: HrStage) -> None:
    answers = hr.send_together(*[("POST", "/Users", user_of("new"))] * 4)

    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]


# -- off the list, and back ----------------------------------------------------------------------------------------


def test_deleted_person_has_left_and_is_not_on_the_list(hr: HrStage) -> None:
    cid = NUMBERS["cid"]

    assert hr.send("DELETE", f"/Users/{cid}").status_code == 204

    assert not may_act(hr, cid)
    assert hr.refused("GET", f"/Users/{cid}")[0] == 404
    assert hr.refused("DELETE", f"/Users/{cid}")[0] == 404
    assert hr.refused("PATCH", f"/Users/{cid}", patch_of(replace("active", True)))[0] == 404
    assert hr.do("GET", "/Users")["totalResults"] == len(FOUNDERS) - 1
    assert hr.do("GET", "/Users", params={"filter": 'userName eq "hr-cid"'})["totalResults"] == 0


def test_person_who_was_deleted_comes_back_with_all_former_ties(hr: HrStage) -> None:
    eve = NUMBERS["eve"]
    boss = hr.hire("boss", work={"organization": "parent"})
    hr.patch(eve, replace(f"{WORK}:manager", {"value": str(boss)}))
    hr.send("DELETE", f"/Users/{eve}")

    shown = hr.do("POST", "/Users", user_of("eve"))

    assert (shown["id"], shown["active"]) == (str(eve), False)
    register = hr.world.state.governed.register
    assert register is not None
    assert boss in [tie.person for tie in register.former[eve]]


# -- what is refused -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"work": {"manager": {"value": "99"}}}, "manager: found 99, who is nobody of the register"),
        ({"work": {"manager": {"value": "hr-ada"}}}, "manager: found no id of anybody"),
        ({"work": {"manager": {"value": "0"}}}, "manager: found no id of anybody"),
        ({"work": {"manager": {"value": "1", "$ref": "/scim/v2/Users/2"}}}, "an id and a URI of two people"),
        ({"person": {"directedBy": [{"value": "1"}, {"value": "99"}]}}, "directedBy: found 99"),
        ({"work": {"organization": "truts"}}, "organization: found the unknown party `truts`"),
        ({"work": {"organization": None}}, "organization: found nothing"),
        ({"person": {"residence": "USA"}}, "residence: found the unknown country `USA`"),
        ({"person": {"starts": "2026-01-31T09:00:00"}}, "starts: found a time without an offset"),
        ({"person": {"starts": "2026-01-31T09:00:00Z", "ends": "2025-01-31T09:00:00Z"}}, "ends: found an end"),
        ({"person": {"ends": "2020-01-31T09:00:00Z"}, "active": True}, "active: found somebody who is there"),
        ({"displayName": "a\u202eb"}, "displayName: found the character U+202E"),
        ({"displayName": "x" * 201}, "displayName: found 201 characters"),
        ({"userName": "hr new"}, "userName: found"),
        ({"externalId": "x" * 201}, "externalId: found 201 characters"),
    ],
)
def test_what_cannot_be_is_refused_by_name_and_records_nothing(hr: HrStage, told: Any, words: str) -> None:
    good = user_of("new", work={"manager": {"value": "1"}}, person={"directedBy": [{"value": "2"}]})

    status, keyword, detail = hr.refused("POST", "/Users", user_of("new", **told))

    assert (status, keyword) == (400, "invalidValue")
    assert words in detail
    assert hr.send("POST", "/Users", good).status_code == 201


def test_manager_whom_nobody_told_of_is_refused_and_known_after_they_are_told(hr: HrStage) -> None:
    last = hr.world.state.principal_last
    status, _, detail = hr.refused("POST", "/Users", user_of("new", work={"manager": {"value": str(last + 2)}}))
    assert (status, "expected the id of somebody who was told before" in detail) == (400, True)

    boss = hr.hire("boss")

    number = hr.hire("new", work={"manager": {"value": str(boss)}})
    assert (
        hr.refused("PATCH", f"/Users/{number}", patch_of(replace(f"{WORK}:manager", {"value": str(number)})))[0] == 400
    )


def test_end_is_heard_though_what_else_is_known_would_be_refused_now(hr: HrStage) -> None:
    number = hr.hire("new", work={"manager": {"value": "1"}})
    hr.send("DELETE", "/Users/1")
    refused = patch_of(replace(f"{WORK}:manager", {"value": "1"}))

    hr.patch(number, replace("active", False))

    assert hr.user(number)[WORK]["manager"]["value"] == "1"
    assert hr.refused("PATCH", f"/Users/{NUMBERS['eve']}", refused)[0] == 400


@pytest.mark.parametrize("name", ["hr-ada", "HR-ADA"])
def test_name_of_somebody_else_is_refused(hr: HrStage, name: str) -> None:
    told = user_of("new", userName=name)

    assert hr.refused("POST", "/Users", told)[:2] == (409, "uniqueness")
    assert hr.refused("PUT", f"/Users/{NUMBERS['eve']}", told)[:2] == (409, "uniqueness")
    operation = patch_of(replace("userName", name))
    assert hr.refused("PATCH", f"/Users/{NUMBERS['eve']}", operation)[:2] == (409, "uniqueness")
    assert hr.patch(NUMBERS["eve"], replace("userName", "hr-eva"))["userName"] == "hr-eva"
    assert hr.patch(NUMBERS["ada"], replace("userName", name))["userName"] == name


def test_authority_is_read_only_by_every_name(hr: HrStage) -> None:
    for name in ("groups", "roles", "entitlements"):
        operation = {"op": "add", "path": name, "value": [{"value": "officer"}]}
        assert hr.refused("PATCH", f"/Users/{NUMBERS['eve']}", patch_of(operation))[:2] == (400, "mutability")
    assert hr.refused("PATCH", f"/Users/{NUMBERS['eve']}", patch_of(replace("id", "7")))[:2] == (400, "mutability")

    assert [group["value"] for group in hr.user(NUMBERS["eve"])["groups"]] == ["engineer"]


def test_patch_is_taken_whole_or_not_at_all(hr: HrStage) -> None:
    eve = NUMBERS["eve"]
    status, _, detail = hr.refused(
        "PATCH", f"/Users/{eve}", patch_of(replace("displayName", "Eve"), replace(f"{PERSON}:residence", "XX"))
    )

    assert (status, "residence" in detail) == (400, True)
    assert hr.user(eve)["displayName"] == "eve"


# -- preconditions -------------------------------------------------------------------------------------------------


def test_change_of_a_version_that_is_no_more_is_refused(hr: HrStage) -> None:
    eve = NUMBERS["eve"]
    first = hr.send("GET", f"/Users/{eve}")
    version = first.headers["etag"]
    assert version == first.json()["meta"]["version"]
    assert hr.send("GET", f"/Users/{eve}", headers={"if-none-match": version}).status_code == 304
    changed = hr.patch(eve, replace("displayName", "Eve"), headers={"if-match": version})

    for method, body in (("PATCH", patch_of(replace("displayName", "E"))), ("PUT", user_of("eve")), ("DELETE", None)):
        assert hr.refused(method, f"/Users/{eve}", body, headers={"if-match": version})[0] == 412
    assert hr.send("GET", f"/Users/{eve}", headers={"if-none-match": version}).status_code == 200
    assert hr.send("DELETE", f"/Users/{eve}", headers={"if-match": changed["meta"]["version"]}).status_code == 204


# -- who may -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sub", ["service", "dot", "ada", "other"])
def test_nobody_else_reads_or_feeds_the_register(hr: HrStage, sub: str) -> None:
    hr.runner.run(hr.world.register_service("other"))
    asked = [
        *(("GET", "/Users", None), ("GET", "/Users/1", None), ("GET", "/Groups", None), ("GET", "/Schemas", None)),
        *(("POST", "/Users", user_of("new")), ("DELETE", "/Users/1", None)),
        ("PATCH", "/Users/1", patch_of(replace("active", False))),
    ]

    for method, path, body in asked:
        status, _, detail = hr.refused(method, path, body, sub=sub)
        assert (status, "may not read or feed the register of people" in detail) == (403, True)
        assert "propose `register-service` with `feeds: true`" in detail
    assert {tally.reason: tally.requests for tally in hr.world.gate.refusals.drain()} == {"people-feed": len(asked)}
    hr.do("GET", "/Users")


def test_stranger_is_not_told_anything(hr: HrStage) -> None:
    answer = hr.send("GET", "/Users", headers={"authorization": "Bearer x"})

    assert (answer.status_code, answer.json()["schemas"][0].endswith("Error")) == (401, True)
    assert answer.headers["www-authenticate"] == "Bearer"
    assert hr.refused("GET", "/Users", sub="nobody")[0] == 401


def test_who_has_a_name_in_other_letters_as_well_can_still_be_told_to_have_left(hr: HrStage) -> None:
    """A file may have told two names that differ in letters alone, before this feed did."""
    eve = NUMBERS["eve"]
    twin = msgspec.structs.replace(facts(hr.world.state.principal_last + 1, "twin"), reference="HR-EVE")
    hr.runner.run(hr.world.record(twin))

    hr.patch(twin.number, replace("active", False))
    hr.patch(eve, replace("active", False))

    assert not may_act(hr, eve)
    assert hr.refused("PATCH", f"/Users/{eve}", patch_of(replace("userName", "Hr-Eve")))[:2] == (409, "uniqueness")


def test_feed_by_which_unusually_many_leave_is_taken_and_told_loudly(
    hr: HrStage, caplog: pytest.LogCaptureFixture
) -> None:
    people = [hr.hire(f"leaver{number}") for number in range(11)]

    def doctor() -> list[str]:
        findings = hr.runner.run(check_deployment(hr.world.runtime.deployment.directory))
        return [finding.detail for finding in findings if "have left within a day" in finding.detail]

    for number in people[:10]:
        hr.patch(number, replace("active", False))
    assert not [record for record in caplog.records if record.name == "ringfence.people"]
    before = doctor()
    gone = hr.patch(people[10], replace("active", False))

    assert gone["active"] is False
    (told,) = [record for record in caplog.records if record.name == "ringfence.people"]
    assert (told.levelname, "11 of " in told.message) == ("CRITICAL", True)
    assert (before, len(doctor())) == ([], 1)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (f"{PERSON}:residence", "CA"),
        (f"{PERSON}:ends", "2020-01-01T00:00:00Z"),
        (f"{PERSON}:ends", "2090-01-01T00:00:00Z"),
    ],
)
def test_feed_that_takes_authority_from_unusually_many_otherwise_is_told_as_loudly(
    hr: HrStage, caplog: pytest.LogCaptureFixture, path: str, value: str
) -> None:
    people = [hr.hire(f"member{number}") for number in range(11)]
    for number in people:
        hr.runner.run(hr.world.admit(number, f"member{number}"))
        hr.runner.run(hr.world.agree("dot", c.Appoint(person=number, duty="inspector"), "ada", "ben"))
    outsider = hr.hire("outsider")

    for number in (*people[:10], outsider):
        hr.patch(number, replace(path, value))
    assert not [record for record in caplog.records if record.name == "ringfence.people"]
    hr.application = make_gateway(hr.world)  # a process that starts now knows what was told before it
    hr.patch(people[10], replace(path, value))
    doctor = hr.runner.run(check_deployment(hr.world.runtime.deployment.directory))

    assert [finding.state for finding in doctor if "took authority from 11 of 20" in finding.detail] == ["note"]
    (told,) = [record for record in caplog.records if record.name == "ringfence.people"]
    assert (told.levelname, "took authority from 11 of 20 members" in told.message) == ("CRITICAL", True)
