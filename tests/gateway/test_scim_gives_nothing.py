"""Whatever an HR system tells, in whatever order: authority only ever shrinks until a quorum says otherwise."""

from __future__ import annotations

from typing import Any

import scim2_models as scim
from hypothesis import example, given
from hypothesis import strategies as st

from ringfence.core.errors import CallerError
from ringfence.core.state import State
from ringfence.gateway.scim import feeding
from ringfence.gateway.scim.people import show_user
from ringfence.gateway.scim.requests import parse_patch, parse_resource
from ringfence.gateway.scim.resources import TakenUser
from ringfence.services.people.feeding import FedPerson, Tell
from ringfence.services.people.recording import plan_recording
from tests.gateway.scim_stage import PERSON, WORK, patch_of, user_of
from tests.governed import SALT, Ground

GROUND = Ground.founded()
FEED = GROUND.register_service("hr", feeds=True)
DAYS_MS = 24 * 3_600_000

NEW = GROUND.state.principal_last + 1
ids = st.sampled_from([1, 2, NEW, NEW + 1]).map(str)  # few, so that much is told of the same people
names = st.sampled_from(["ada", "ben", "new", "other"])
activities = st.sampled_from([True, False, "True", "False", None])
parties = st.sampled_from(["trust", "trust", "trust", "app", "parent", "board"])  # told rightly most of the time
countries = st.sampled_from(["US", "US", "CN"])
times = st.sampled_from(["2020-01-01T00:00:00Z", "2023-11-15T00:00:00Z", "2099-01-01T00:00:00Z", None])
people = st.none() | st.builds(lambda number: {"value": number}, ids)
persons = st.fixed_dictionaries(
    {},
    optional={
        "residence": countries,
        "worksIn": countries,
        "devicesOf": parties,
        "paidBy": parties,
        "starts": times,
        "ends": times,
        "directedBy": st.lists(st.builds(lambda number: {"value": number}, ids), max_size=2),
    },
)
works = st.fixed_dictionaries({}, optional={"organization": parties, "manager": people, "department": names})
users = st.builds(
    lambda name, work, person, active: user_of(name, work=work, person=person, active=active),
    names,
    works,
    persons,
    activities,
)
operations = st.one_of(
    st.builds(lambda value: {"op": "replace", "path": "active", "value": value}, activities),
    st.just({"op": "remove", "path": "active"}),
    st.builds(lambda value: {"op": "add", "value": {PERSON: value}}, persons),
    st.builds(lambda value: {"op": "replace", "value": {WORK: value}}, works),
    st.sampled_from([WORK, PERSON, f"{WORK}:manager", f"{PERSON}:ends", f"{PERSON}:directedBy"]).map(
        lambda path: {"op": "remove", "path": path}
    ),
    st.builds(lambda name: {"op": "replace", "path": "userName", "value": f"hr-{name}"}, names),
    st.builds(lambda duty: {"op": "add", "path": "groups", "value": [{"value": duty}]}, st.just("officer")),
)
requests = st.one_of(
    st.tuples(st.just("POST"), ids, users),
    st.tuples(st.just("PUT"), ids, users),
    st.tuples(st.just("PATCH"), ids, st.lists(operations, min_size=1, max_size=3)),
    st.tuples(st.just("DELETE"), ids, st.none()),
)


def tell_of(method: str, number: str, body: Any) -> Tell:
    """Read a request as the gateway does."""
    match method:
        case "POST":
            return feeding.tell_of_new(parse_resource(body, TakenUser, replaces=False))
        case "PUT":
            return feeding.tell_of_replaced(number, parse_resource(body, TakenUser, replaces=True), b"")
        case "PATCH":
            return feeding.tell_of_patched(number, parse_patch(patch_of(*body), TakenUser), b"")
        case _:
            return feeding.tell_of_deleted(number, b"")


def authority(state: State, at_ms: int) -> set[tuple[int, str]]:
    """Give who has which duty, and who may call at all, at a time."""
    found = set()
    for number, member in state.governed.members.items():
        if member.is_active(at_ms):
            found |= {(number, ""), *((number, duty) for duty in member.duties)}
    return found


def patch(number: int, path: str, value: object) -> tuple[str, str, Any]:
    return ("PATCH", str(number), [{"op": "replace", "path": path, "value": value}])


@given(st.lists(requests, min_size=1, max_size=8))
@example([patch(1, "active", False), patch(1, "active", True)])
@example([patch(1, f"{PERSON}:residence", "CN"), patch(1, f"{PERSON}:residence", "US")])
@example([patch(1, f"{PERSON}:ends", "2020-01-01T00:00:00Z"), patch(1, f"{PERSON}:ends", None)])
@example([("DELETE", "1", None), ("POST", "1", user_of("ada", active=True))])
@example([patch(1, f"{WORK}:organization", "parent"), patch(1, f"{WORK}:organization", "trust")])
def test_nothing_that_is_told_gives_anybody_anything(told: list[tuple[str, str, Any]]) -> None:
    ground = Ground(state=GROUND.state, now_ms=GROUND.now_ms)

    for method, number, body in told:
        before = ground.state
        try:
            plan = plan_recording(before, FedPerson(FEED, tell_of(method, number, body)), at_ms=ground.now_ms + 1000)
        except CallerError:
            continue
        if plan.difference.facts:
            written = plan.render(SALT)
            ground.fold(written.rule, file=written.file)
        for later_ms in (0, 30 * DAYS_MS, 40_000 * DAYS_MS):
            at_ms = ground.now_ms + later_ms
            assert authority(ground.state, at_ms) <= authority(before, at_ms)
        for field in ("keys", "grants", "proposals", "builds", "issuers", "suspensions"):
            assert getattr(ground.state.governed, field) == getattr(before.governed, field)
        assert ground.state.principals == before.principals
        assert ground.state.identities == before.identities
        assert_shown_is_so(ground)


def assert_shown_is_so(ground: Ground) -> None:
    """Nobody is shown as active who has no authority, and everybody's facts can be shown."""
    register = ground.state.governed.register
    assert register is not None
    able = {number for number, _ in authority(ground.state, ground.now_ms)}
    for facts in register.people.values():
        shown = show_user(ground.state, facts, at_ms=ground.now_ms)
        assert not shown.active or facts.number in able
        shown.model_dump(scim_ctx=scim.Context.RESOURCE_QUERY_RESPONSE)
