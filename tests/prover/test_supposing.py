"""What is supposed is what would be carried: the same conditions, the same gate, the same count."""

from __future__ import annotations

import hashlib

import pytest

from ringfence.core import changes as c
from ringfence.core.charter import parse_charter
from ringfence.core.errors import ProofInvalidError
from ringfence.prover.coalition.supposing import Supposed, suppose
from tests.core.test_coalition_gate import carried, enacting, looser, ready
from tests.governed import ISSUER, NUMBERS, Ground
from tests.prover.powers import COUNTED


def supposed(ground: Ground, change: c.AnyChange) -> Supposed:
    return suppose(ground.state, change, at_ms=ground.now_ms + 1000)


def charter_supposed(ground: Ground, text: str) -> Supposed:
    """Suppose the next version of a charter."""
    file = text.replace("version: 1\n", f"version: {ground.state.rules.version + 1}\n", 1).encode()
    charter = parse_charter(file, file="next.yaml")
    change = c.EnactCharter(
        name=charter.name, version=charter.version, digest=hashlib.sha256(file).digest(), engine="v2"
    )
    return suppose(ground.state, change, at_ms=ground.now_ms + 1000, charter=charter)


@pytest.mark.parametrize(("minimum", "kept"), [("  min: 0\n", 3), ("  min: 2\n", 3), ("  min: 3\n", 3)])
def test_a_charter_that_is_supposed_is_held_to_what_the_gate_holds_it_to(minimum: str, kept: int) -> None:
    text = COUNTED.replace("  min: 3\n", minimum)
    ground = Ground.founded(COUNTED)

    weak, strong = charter_supposed(ground, looser(text)), charter_supposed(ground, text)

    assert (weak.minimum, strong.minimum, strong.refused) == (kept, kept, "")
    with pytest.raises(ProofInvalidError) as refused:
        carried(ground, enacting(ground, looser(text)))
    assert refused.value.message == weak.refused
    assert carried(ground, enacting(ground, text)).coalition == 3


def test_a_party_that_a_charter_excludes_no_more_is_counted_as_if_it_did() -> None:
    ground = Ground.founded(COUNTED)
    assert charter_supposed(ground, COUNTED.replace("role: excluded}", "role: overseer}")).parties == ("parent",)
    assert charter_supposed(ground, COUNTED).parties == ("parent",)


def test_an_appointment_that_the_gate_refuses_is_told_as_refused_and_another_is_not() -> None:
    ground = Ground.founded(COUNTED)
    gil = ground.hire("gil", manager=NUMBERS["ada"])
    ground.admit("gil")
    weak, strong = (c.Appoint(person=gil, duty=duty) for duty in ("engineer", "inspector"))

    assert "2 people who joined" in supposed(ground, weak).refused
    assert supposed(ground, strong).refused == ""

    with pytest.raises(ProofInvalidError, match="2 people who joined"):
        carried(ground, ready(ground, weak))
    carried(ground, ready(ground, strong))


def test_a_login_that_is_somebody_elses_is_as_impossible_as_when_it_is_asked_for() -> None:
    ground = Ground.founded(COUNTED)
    gil = ground.hire("gil")
    at_ms = ground.now_ms + 1000
    admit = c.Admit(person=gil, party="trust", identity=bytes(32))
    service = c.RegisterService(party="app", identity=bytes(32))
    for change, reason in ((admit, "the identity is that of 1"), (service, "registered already")):
        with pytest.raises(ProofInvalidError, match=reason):
            suppose(ground.state, change, at_ms=at_ms, identity=(ISSUER, "ada"))
        assert suppose(ground.state, change, at_ms=at_ms, identity=(ISSUER, "gil")).refused == ""
