"""Charters that wait to be enacted: each is read once, however often it is asked for, and few wait at a time."""

from __future__ import annotations

import hashlib

import pytest

from ringfence.core import changes as c
from ringfence.core.errors import ProofInvalidError
from ringfence.core.governance.proposals import CHARTERS_OPEN_MAX
from tests.governed import CHARTER, Ground

NEWER = CHARTER.replace("version: 1", "version: 2").encode()
NEWEST = CHARTER.replace("version: 1", "version: 3").encode()


def ask(ground: Ground, text: bytes = NEWER, version: int = 2) -> int:
    change = c.EnactCharter(name="small", version=version, digest=hashlib.sha256(text).digest(), engine="v2")
    return ground.propose("ada", change, file=text)


def test_charter_that_is_asked_for_again_is_not_read_again() -> None:
    ground = Ground.founded()
    first, second, other = ask(ground), ask(ground), ask(ground, NEWEST, 3)
    ground.decline(first, "ada")
    third = ask(ground)

    proposals = ground.state.governed.proposals
    assert proposals[second].charter is proposals[third].charter
    assert proposals[other].charter is not proposals[third].charter
    assert proposals[other].charter != proposals[third].charter


def test_no_more_charters_wait_than_their_limit_until_one_is_declined_or_expires() -> None:
    ground = Ground.founded()
    numbers = [ask(ground) for _ in range(CHARTERS_OPEN_MAX)]
    with pytest.raises(ProofInvalidError, match="64 charters are proposed already"):
        ask(ground)

    ground.decline(numbers[0], "cid")
    ask(ground)
    with pytest.raises(ProofInvalidError, match="64 charters are proposed already"):
        ask(ground)
    ground.now_ms = ground.state.governed.proposals[numbers[1]].expires_ms
    ask(ground)


def test_other_changes_are_asked_for_while_charters_wait() -> None:
    ground = Ground.founded()
    for _ in range(CHARTERS_OPEN_MAX):
        ask(ground)
    assert ground.propose("dot", c.TrustIssuer(name="https://a.example", keys=bytes(32))) == CHARTERS_OPEN_MAX + 1
