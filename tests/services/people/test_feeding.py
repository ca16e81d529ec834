"""One request of an HR system as a source of facts: looked at, and allowed, on the state that it is recorded on."""

from __future__ import annotations

import msgspec
import pytest

from ringfence.core import changes as c
from ringfence.core.errors import DeniedError
from ringfence.core.people.register import PersonFacts, Register
from ringfence.core.state import State
from ringfence.services.people.feeding import FedPerson, require_feed
from ringfence.services.people.recording import plan_recording
from tests.builds import BUILT, OTHER_BUILT, approve, give_credential
from tests.governed import NUMBERS, Ground

EVE = NUMBERS["eve"]


def tell(state: State, register: Register, at_ms: int) -> PersonFacts:
    return msgspec.structs.replace(register.people[EVE], residence="CN")


def test_what_is_told_is_planned_as_the_services_word_with_what_follows() -> None:
    ground = Ground.founded()
    feed = ground.register_service("hr", feeds=True)

    plan = plan_recording(ground.state, FedPerson(feed, tell), at_ms=ground.now_ms)

    assert (plan.kind, plan.by) == ("scim", feed)
    assert [one.number for one in plan.suspends] == [EVE]


def test_service_that_was_withdrawn_meanwhile_is_denied_before_anything_is_looked_at() -> None:
    ground = Ground.founded()
    feed = ground.register_service("hr", feeds=True)
    require_feed(ground.state, feed, at_ms=ground.now_ms)
    source = FedPerson(feed, lambda state, register, at_ms: pytest.fail("it was asked"))

    ground.order("ada", c.WithdrawService(principal=feed))

    with pytest.raises(DeniedError, match="it is not registered"):
        source.compare(ground.state, at_ms=ground.now_ms)


def test_service_whose_build_was_withdrawn_meanwhile_is_denied() -> None:
    ground = Ground.founded()
    feed = ground.register_service("hr", feeds=True)
    ground.agree("hal", approve(party="trust"), "gus")
    ground.agree("hal", approve(OTHER_BUILT, party="app"), "gus")
    source = FedPerson(feed, tell, BUILT)
    with pytest.raises(DeniedError, match="none was recorded since it was approved"):
        source.compare(ground.state, at_ms=ground.now_ms)
    give_credential(ground, principal=feed)
    assert source.compare(ground.state, at_ms=ground.now_ms)
    with pytest.raises(DeniedError, match="is approved for app, not for trust"):
        require_feed(ground.state, feed, at_ms=ground.now_ms, build=OTHER_BUILT)

    ground.order("gus", c.WithdrawBuild(digest=BUILT))

    with pytest.raises(DeniedError, match=f"the build {BUILT.hex()} was withdrawn by rule"):
        source.compare(ground.state, at_ms=ground.now_ms)
    require_feed(ground.state, feed, at_ms=ground.now_ms)
