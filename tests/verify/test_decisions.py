"""Answers that the verifier keeps: none is taken for a time that it was not made for."""

from __future__ import annotations

import pytest

from ringfence.core.errors import ProofInvalidError
from ringfence.core.ledger import entry as e
from ringfence.verify.decisions import Decider
from tests.governed import HOUR_MS, NUMBERS, Ground, a_grant, facts


def _refusal(said: str) -> e.Access:
    return e.Access(
        verb="read",
        principal=NUMBERS["eve"],
        country="US",
        purpose="support",
        dataset="person",
        decided={"protected": said, "public": said},
        records=1,
        about=bytes(32),
        shape="single",
        country_from="connection",
        grant=1,
        build=b"",
    )


def test_refusal_that_is_true_later_is_refuted_for_an_earlier_time() -> None:
    ground = Ground.founded()
    until_ms = ground.now_ms + 10_000_000
    ground.agree("eve", a_grant("eve", lasts_ms=8 * HOUR_MS), "ada", "ben", number=1)
    ground.record(facts(NUMBERS["eve"], "eve", ends_ms=until_ms))
    decider = Decider(ground.state)
    refusal = _refusal("!@person")
    decider.check_access(refusal, at_ms=until_ms + 1)
    with pytest.raises(ProofInvalidError, match="the charter decides otherwise"):
        decider.check_access(refusal, at_ms=until_ms - 5_000)
    decider.check_access(refusal, at_ms=until_ms)
