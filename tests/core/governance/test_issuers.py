"""Issuers in a governed ledger: trusted by name and digest, from the start or by a quorum; never one of our own."""

from __future__ import annotations

import msgspec
import pytest

from ringfence.core import changes as c
from ringfence.core.errors import ProofInvalidError
from ringfence.core.folding import RuleSource, fold
from ringfence.core.governance.founding import ISSUERS_MAX
from ringfence.core.issuers import CREDENTIALS_ISSUER, is_trusted
from ringfence.core.ledger.governed_entry import TrustedIssuer
from ringfence.core.state import EMPTY, State
from tests.governed import Ground, found

LOGIN, KEYS, OTHER_KEYS = "https://login.example.org", b"k" * 32, b"o" * 32


def begin(*issuers: TrustedIssuer) -> State:
    """Fold a genesis with these issuers, as whoever has no openings does."""
    genesis, _ = found()
    return fold(EMPTY, msgspec.structs.replace(genesis, issuers=issuers), RuleSource(lane=0, at_ms=1, place="here"))


def issuer(name: str, keys: bytes = KEYS) -> TrustedIssuer:
    return TrustedIssuer(name=name, keys=keys)


def test_issuer_of_the_founding_is_trusted_by_its_keys_alone() -> None:
    state = begin(issuer(LOGIN), issuer(CREDENTIALS_ISSUER))

    assert is_trusted(state, LOGIN, KEYS)
    assert is_trusted(state, CREDENTIALS_ISSUER, KEYS)
    assert not is_trusted(state, LOGIN, OTHER_KEYS)
    assert not is_trusted(state, "https://login.example.net", KEYS)
    assert not is_trusted(begin(), LOGIN, KEYS)


def test_issuers_that_no_founding_can_have_are_refused() -> None:
    many = [issuer(f"https://login-{number}.example.org") for number in range(ISSUERS_MAX + 1)]
    for issuers in (
        [issuer("ringfence:development")],
        [issuer("ringfence:local")],
        [issuer(" Ringfence:Local")],
        [issuer("")],
        [issuer("x" * 256)],
        [issuer(LOGIN, b"short")],
        [issuer(LOGIN), issuer(LOGIN, OTHER_KEYS)],
        [issuer(LOGIN), issuer("https://a.example.org")],
        many,
    ):
        with pytest.raises(ProofInvalidError, match="issuers of a governed genesis cannot be"):
            begin(*issuers)
    begin(*many[:ISSUERS_MAX])


def test_issuers_other_than_the_founders_signed_are_refused() -> None:
    genesis, opening = found()
    stuffed = msgspec.structs.replace(genesis, issuers=(issuer(LOGIN),))

    with pytest.raises(ProofInvalidError, match="something else than the founding document"):
        fold(EMPTY, stuffed, RuleSource(lane=0, at_ms=1, opening=opening))
    fold(EMPTY, genesis, RuleSource(lane=0, at_ms=1, opening=opening))


def test_issuer_is_trusted_by_a_quorum_and_withdrawn_by_an_order() -> None:
    ground = Ground.founded()

    ground.agree("dot", c.TrustIssuer(name=LOGIN, keys=KEYS), "ada", "ben")
    assert is_trusted(ground.state, LOGIN, KEYS)
    ground.agree("dot", c.TrustIssuer(name=LOGIN, keys=OTHER_KEYS), "ada", "ben")
    assert not is_trusted(ground.state, LOGIN, KEYS)
    assert is_trusted(ground.state, LOGIN, OTHER_KEYS)
    ground.order("ada", c.WithdrawIssuer(name=LOGIN))
    assert not is_trusted(ground.state, LOGIN, OTHER_KEYS)


@pytest.mark.parametrize("name", ["ringfence:local", "ringfence:development", "RINGFENCE:credentials", " ringfence:x"])
def test_no_quorum_trusts_one_of_our_own_tools(name: str) -> None:
    ground = Ground.founded()

    with pytest.raises(ProofInvalidError, match="stands for one of this program's own tools"):
        ground.propose("dot", c.TrustIssuer(name=name, keys=KEYS))
    ground.propose("dot", c.TrustIssuer(name=CREDENTIALS_ISSUER, keys=KEYS))
