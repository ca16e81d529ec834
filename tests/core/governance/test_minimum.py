"""While a duty has fewer holders than the charter's minimum, only what staffs it again is carried."""

from __future__ import annotations

import pytest

from ringfence.core import changes as c
from ringfence.core.errors import ProofInvalidError
from tests.governed import CHARTER, NUMBERS, Ground, facts

BUILD = c.ApproveBuild(name="app 7", party="app", digest=bytes(range(32)))


@pytest.fixture
def ground() -> Ground:
    """A ledger under a charter that wants one manager, whom it has."""
    charter = CHARTER.replace(
        "manager: {words: Answers for the data., party: trust}",
        "manager: {words: Answers for the data., party: trust, minimum: 1}",
    )
    assert charter != CHARTER
    return Ground.founded(charter)


def test_with_enough_managers_a_build_is_approved_by_its_inspector(ground: Ground) -> None:
    ground.agree("hal", BUILD, "gus")

    assert BUILD.digest in ground.state.governed.builds


@pytest.mark.parametrize("how", ["dismissed", "left", "suspended", "ended"])
def test_without_a_manager_nothing_but_staffing_is_carried_until_there_is_one(ground: Ground, how: str) -> None:
    fay = NUMBERS["fay"]
    match how:
        case "dismissed":
            ground.order("ada", c.Dismiss(person=fay))
        case "left":
            ground.record(facts(fay, "fay", ends_ms=ground.now_ms))
        case "suspended":
            ground.record(facts(fay, "fay", directed_by=(NUMBERS["hal"],)))
        case "ended":
            ground.order("ada", c.EndAppointment(person=fay, duty="manager"))
    proposal = ground.propose("hal", BUILD)
    ground.approve(proposal, "gus")

    with pytest.raises(ProofInvalidError, match="0 people hold the duty manager, and the charter wants 1"):
        ground.carry(proposal)
    assert BUILD.digest not in ground.state.governed.builds

    ground.appoint("cid", "manager")
    ground.carry(proposal)
    assert BUILD.digest in ground.state.governed.builds
