"""Who may tell the register facts about people: a service that a quorum let, of a party that is independent enough."""

from __future__ import annotations

import hashlib

import pytest

from ringfence.core import changes as c
from ringfence.core.errors import ProofInvalidError
from ringfence.core.state import digest_state
from tests.governed import APP, CHARTER, NUMBERS, Ground, facts


@pytest.fixture
def ground() -> Ground:
    return Ground.founded()


def test_service_that_a_quorum_let_feed_the_register_does(ground: Ground) -> None:
    feed = ground.register_service("hr", feeds=True)

    ground.record(facts(NUMBERS["eve"], "eve", residence="CN"), by=feed)

    assert ground.state.governed.members[NUMBERS["eve"]].suspended


@pytest.mark.parametrize("who", ["a service without it", "the app", "a person", "nobody"])
def test_nobody_else_tells_the_register_anything(ground: Ground, who: str) -> None:
    other = ground.register_service("other")
    by = {"a service without it": other, "the app": APP, "a person": NUMBERS["dot"], "nobody": 999}[who]
    before = ground.state

    with pytest.raises(ProofInvalidError, match=f"told by {by}, who may not"):
        ground.record(facts(NUMBERS["eve"], "eve", residence="CN"), by=by)
    assert ground.state == before


@pytest.mark.parametrize(("party", "why"), [("app", "an operator party"), ("parent", "an excluded party")])
def test_no_quorum_lets_the_app_or_its_parent_feed_the_register(ground: Ground, party: str, why: str) -> None:
    with pytest.raises(ProofInvalidError, match=f"may not feed the register of people: {party} is {why}"):
        ground.register_service("hr", party=party, feeds=True)

    assert ground.register_service("hr", party=party) == ground.state.principal_last
    assert ground.register_service("overseer", party="board", feeds=True) == ground.state.principal_last


def test_feed_ends_when_its_party_becomes_an_operator(ground: Ground) -> None:
    charter = CHARTER.replace("parties:", "parties:\n  hr: {name: The HR company, role: host}")
    ground = Ground.founded(charter)
    feed = ground.register_service("hr", party="hr", feeds=True)
    ground.record(facts(NUMBERS["eve"], "eve", team="red"), by=feed)
    text = charter.replace("The HR company, role: host", "The HR company, role: operator")
    enact_version_2(ground, text)

    with pytest.raises(ProofInvalidError, match="hr is an operator party"):
        ground.record(facts(NUMBERS["eve"], "eve", team="blue"), by=feed)


def enact_version_2(ground: Ground, text: str) -> None:
    file = text.replace("version: 1", "version: 2").encode()
    digest = hashlib.sha256(file).digest()
    change = c.EnactCharter(name="small", version=2, digest=digest, engine="v2")
    ground.agree("fay", change, "ada", "ben", "ivy", file=file)


def test_withdrawn_feed_tells_nothing_any_more(ground: Ground) -> None:
    feed = ground.register_service("hr", feeds=True)
    ground.record(facts(NUMBERS["eve"], "eve", team="red"), by=feed)

    ground.order("ada", c.WithdrawService(principal=feed))

    with pytest.raises(ProofInvalidError, match="it is not registered"):
        ground.record(facts(NUMBERS["eve"], "eve", team="blue"), by=feed)


def test_who_feeds_is_in_the_digest_of_the_state_and_who_does_not_leaves_it_as_it_was(ground: Ground) -> None:
    other = Ground.founded()
    same = Ground.founded()
    ground.register_service("hr", feeds=True)
    other.register_service("hr")
    same.register_service("hr")

    assert digest_state(ground.state) != digest_state(other.state)
    assert digest_state(other.state) == digest_state(same.state)
