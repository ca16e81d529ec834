"""Credentials in the ledger: for which service, build and certificate one counts, from when, and until when."""

from __future__ import annotations

import pytest

from ringfence.core import changes as c
from ringfence.core.credentials import CREDENTIALS_MAX, LIFETIME_MS_MAX
from ringfence.core.decisions.refusal_words import why_not_shown
from ringfence.core.errors import ProofInvalidError
from ringfence.core.people.standing import digest_standing
from tests.builds import BUILT, CERTIFICATE, OTHER_BUILT, OTHER_CERTIFICATE, approve, credential, give_credential
from tests.governed import APP, NUMBERS, Ground


def approved(*changes: c.ApproveBuild) -> Ground:
    """Give a ledger in which builds are approved, one of the app's unless told otherwise."""
    ground = Ground.founded()
    for change in changes or (approve(),):
        ground.agree("hal", change, "gus")
    return ground


def holds(ground: Ground, build: bytes = BUILT, certificate: bytes = CERTIFICATE, *, at_ms: int = 0) -> bool:
    """Tell whether the app's service has a credential that counts, now unless told otherwise."""
    standing, at_ms = ground.state.governed, at_ms or ground.now_ms
    reason = why_not_shown(standing, "app", APP, build, at_ms=at_ms)
    return not reason and standing.has_credential(APP, build, certificate, at_ms=at_ms)


def test_credential_counts_for_its_service_build_and_certificate_until_it_ends() -> None:
    ground = approved(approve(), approve(OTHER_BUILT))
    assert not holds(ground)

    given = give_credential(ground)

    assert holds(ground)
    assert holds(ground, at_ms=given.until_ms - 1)
    assert not holds(ground, at_ms=given.until_ms)
    assert not holds(ground, OTHER_BUILT)
    assert not holds(ground, certificate=OTHER_CERTIFICATE)
    other = ground.register_service("other", party="app")
    assert not ground.state.governed.has_credential(other, BUILT, CERTIFICATE, at_ms=ground.now_ms)


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"build": OTHER_BUILT}, "is not approved"),
        ({"principal": 99}, "no service has this number"),
        ({"principal": NUMBERS["eve"]}, "no service has this number"),
        ({"certificate": b"short"}, "by no SHA-256"),
        ({"attestation": b""}, "by no SHA-256"),
        ({"until_ms": 0}, "it is for no time"),
    ],
)
def test_credential_for_what_nobody_may_be_given_is_refused(told: dict[str, object], words: str) -> None:
    ground = approved()
    with pytest.raises(ProofInvalidError, match=words):
        give_credential(ground, **told)  # type: ignore[arg-type]
    give_credential(ground)
    assert holds(ground)


def test_credential_of_another_party_or_without_an_attestor_is_refused() -> None:
    for change, words in ((approve(party="trust"), "not for app"), (approve(attestor=b""), "nobody is to attest")):
        ground = approved(change)
        with pytest.raises(ProofInvalidError, match=words):
            give_credential(ground)


def test_credential_is_for_twelve_hours_at_most() -> None:
    ground = approved()
    starts_ms = ground.now_ms + 1000
    for until_ms in (starts_ms, starts_ms + LIFETIME_MS_MAX + 1):
        with pytest.raises(ProofInvalidError, match="it is for no time from 1 ms"):
            ground.fold(credential(0, until_ms=until_ms))
        ground.now_ms = starts_ms - 1000
    ground.fold(credential(0, until_ms=starts_ms + LIFETIME_MS_MAX))
    assert holds(ground, at_ms=starts_ms + LIFETIME_MS_MAX - 1)


def test_newer_credential_for_the_same_certificate_takes_its_place() -> None:
    ground = approved()
    first = give_credential(ground)
    give_credential(ground, certificate=OTHER_CERTIFICATE)
    second = give_credential(ground, until_ms=ground.now_ms + 2000)

    assert not holds(ground, at_ms=second.until_ms)
    assert holds(ground, certificate=OTHER_CERTIFICATE, at_ms=first.until_ms)


def test_what_ended_is_dropped_and_there_are_a_thousand_at_a_time_at_most() -> None:
    ground = approved()
    for number in range(CREDENTIALS_MAX):
        give_credential(ground, certificate=number.to_bytes(32, "big"))
    with pytest.raises(ProofInvalidError, match="too many certificates at once"):
        give_credential(ground, certificate=bytes([1] * 32))
    give_credential(ground, certificate=bytes(32))  # renewed

    ground.now_ms += LIFETIME_MS_MAX
    give_credential(ground, certificate=bytes([1] * 32))
    assert [*ground.state.governed.credentials[APP, BUILT]] == [bytes([1] * 32)]


def test_withdrawn_build_takes_its_credentials_for_good() -> None:
    ground = approved()
    give_credential(ground)
    ground.order("gus", c.WithdrawBuild(digest=BUILT))
    assert not holds(ground)

    ground.agree("hal", approve(), "gus")
    assert not holds(ground)
    give_credential(ground)
    assert holds(ground)


def test_new_credential_after_a_withdrawal_brings_back_none_of_the_old_ones() -> None:
    ground = approved()
    give_credential(ground)
    ground.order("gus", c.WithdrawBuild(digest=BUILT))
    ground.agree("hal", approve(), "gus")

    give_credential(ground, certificate=OTHER_CERTIFICATE)

    assert holds(ground, certificate=OTHER_CERTIFICATE)
    assert not holds(ground)
    give_credential(ground)
    assert holds(ground)


def test_digest_of_a_standing_says_every_part_of_a_credential() -> None:
    told: list[dict[str, object]] = [
        {},
        {"build": OTHER_BUILT},
        {"certificate": OTHER_CERTIFICATE},
        {"attestation": bytes(32)},
        {"until_ms": Ground.founded().now_ms + LIFETIME_MS_MAX // 2},
    ]
    digests = {digest_standing(approved(approve(), approve(OTHER_BUILT)).state.governed)}
    for changes in told:
        ground = approved(approve(), approve(OTHER_BUILT))
        give_credential(ground, **changes)  # type: ignore[arg-type]
        digests.add(digest_standing(ground.state.governed))
    assert len(digests) == len(told) + 1
