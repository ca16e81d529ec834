"""Builds: proposed by whoever makes them, agreed to or declined by inspectors, and known by digest and attestor."""

from __future__ import annotations

import pytest

from ringfence.core import changes as c
from ringfence.core.errors import ProofInvalidError
from ringfence.core.governance.change_words import describe_change
from ringfence.core.people.standing import digest_standing
from tests.builds import BUILT, OTHER_BUILT, approve
from tests.core.people.attestor_keys import attestor_key
from tests.governed import Ground


def test_build_is_approved_with_its_attestor_once_inspectors_agree() -> None:
    ground = Ground.founded()
    proposal = ground.propose("hal", approve())
    assert BUILT not in ground.state.governed.builds

    ground.approve(proposal, "gus")
    ground.carry(proposal)
    build = ground.state.governed.builds[BUILT]
    assert (build.name, build.party, build.attestor, build.withdrawn) == ("app 7.3", "app", approve().attestor, 0)


@pytest.mark.parametrize("name", ["hal", "ada", "eve"])
def test_who_is_no_inspector_approves_no_build(name: str) -> None:
    ground = Ground.founded()
    proposal = ground.propose("hal", approve())
    with pytest.raises(ProofInvalidError):
        ground.approve(proposal, name)
    with pytest.raises(ProofInvalidError):
        ground.carry(proposal)
    ground.approve(proposal, "gus")
    ground.carry(proposal)


def test_update_that_was_declined_is_not_carried_and_may_be_proposed_anew() -> None:
    ground = Ground.founded()
    declined, taken = ground.propose("hal", approve()), ground.propose("hal", approve(OTHER_BUILT))
    ground.decline(declined, "gus")
    ground.approve(taken, "gus")
    ground.carry(taken)

    with pytest.raises(ProofInvalidError):
        ground.carry(declined)
    assert set(ground.state.governed.builds) >= {OTHER_BUILT}
    assert BUILT not in ground.state.governed.builds
    ground.agree("hal", approve(), "gus")
    assert BUILT in ground.state.governed.builds


def test_approval_of_another_attestor_is_another_agreement() -> None:
    first, other, none = (approve(attestor=key) for key in (attestor_key(1), attestor_key(-1), b""))
    words = [" ".join(describe_change(change)) for change in (first, other, none)]
    assert len(set(words)) == 3
    assert "Ed25519 key with the SHA-256" in words[0]
    assert "ECDSA P-256 key with the SHA-256" in words[1]
    assert words[2].endswith("No service gets a credential for it, since nobody is to attest it.")

    digests = set()
    for change in (first, other, none):
        ground = Ground.founded()
        ground.agree("hal", change, "gus")
        digests.add(digest_standing(ground.state.governed))
    assert len(digests) == 3


def test_build_that_was_withdrawn_may_be_approved_again_by_a_quorum_alone() -> None:
    ground = Ground.founded()
    ground.agree("hal", approve(), "gus")
    with pytest.raises(ProofInvalidError, match="the build is approved already"):
        ground.propose("hal", approve())
    ground.order("gus", c.WithdrawBuild(digest=BUILT))
    assert ground.state.governed.builds[BUILT].withdrawn == ground.state.epoch
    ground.agree("hal", approve(), "gus")
    assert not ground.state.governed.builds[BUILT].withdrawn
