"""A token that is bound to a key counts on that key's connections alone, and only credentials name builds."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace
from typing import Any

import pytest

from ringfence.core.errors import UnauthenticatedError
from ringfence.core.issuers import CREDENTIALS_ISSUER
from ringfence.gateway.authentication import Bearer, Issuer, TokenChecker, render_thumbprint
from tests.gateway.issuers import FIRST, HOUR, ISSUERS, KEYS, NOW, Clock, claims, public, sign

OWN, OTHER = (hashlib.sha256(name).digest() for name in (b"own certificate", b"another certificate"))
BUILD = hashlib.sha256(b"a build")
BOUND = {"x5t#S256": render_thumbprint(OWN)}
CREDENTIALS = Issuer(CREDENTIALS_ISSUER, public(KEYS["ES256"]), names_builds=True)


def make_checker(clock: Clock | None = None) -> TokenChecker:
    return TokenChecker(lambda: {**ISSUERS, CREDENTIALS_ISSUER: CREDENTIALS}, clock_seconds=clock or Clock())


def check(token: bytes, certificate: bytes) -> Bearer:
    return make_checker().check(token, certificate)


def credential(**changes: Any) -> bytes:
    """Give a credential for the build, bound to the own certificate, unless told otherwise."""
    told = {"iss": CREDENTIALS_ISSUER, "cnf": BOUND, "build": BUILD.hexdigest(), **changes}
    return sign(claims(**told), key=KEYS["ES256"], alg="ES256", kid="ec")


def test_thumbprint_is_told_as_the_standard_tells_it() -> None:
    assert render_thumbprint(OWN) == base64.urlsafe_b64encode(OWN).decode().rstrip("=")
    assert len(render_thumbprint(OWN)) == 43


def test_bound_token_counts_with_its_certificate_alone() -> None:
    token = sign(claims(cnf=BOUND))

    assert check(token, OWN).identity == (FIRST, "app")
    with pytest.raises(UnauthenticatedError, match="key of a certificate, and this connection showed none"):
        check(token, b"")
    with pytest.raises(UnauthenticatedError, match="this connection showed another"):
        check(token, OTHER)
    assert check(sign(claims()), b"") == check(sign(claims()), OWN)  # one that is not bound counts everywhere


def test_bound_token_that_was_checked_before_still_counts_with_its_certificate_alone() -> None:
    checker, token = make_checker(), sign(claims(cnf=BOUND))

    for _ in range(2):
        assert checker.check(token, OWN).certificate == OWN
        for certificate in (b"", OTHER):
            with pytest.raises(UnauthenticatedError, match="bound to the key"):
                checker.check(token, certificate)


def test_thief_whose_refusal_came_first_opens_nothing_and_shuts_nobody_out() -> None:
    checker, token = make_checker(), sign(claims(cnf=BOUND))

    with pytest.raises(UnauthenticatedError, match="showed another"):
        checker.check(token, OTHER)
    assert checker.check(token, OWN).identity == (FIRST, "app")


@pytest.mark.parametrize(
    "cnf",
    [
        {},
        [],
        "x5t#S256",
        7,
        True,
        {"x5t#S256": None},
        {"x5t#S256": 7},
        {"x5t#S256": ""},
        {"x5t#S256": OWN.hex()},
        {"x5t#S256": render_thumbprint(OWN) + "="},
        {"x5t#S256": render_thumbprint(OWN)[:-1]},
        {"x5t#S256": render_thumbprint(OWN)[:-1] + "!"},
        {"x5t#S256": render_thumbprint(bytes(32))[:-1] + "B"},  # the same bytes, spelled in another way
        {"x5t": render_thumbprint(OWN)},
        {"jkt": render_thumbprint(OWN)},
        {"x5t#S256": render_thumbprint(OWN), "jkt": render_thumbprint(OWN)},
        {"x5t#S256": [render_thumbprint(OWN)]},
    ],
)
def test_token_that_is_bound_in_a_way_that_cannot_be_held_to_is_refused(cnf: Any) -> None:
    for certificate in (b"", OWN, bytes(32)):
        with pytest.raises(UnauthenticatedError, match="bound to a key in another way"):
            check(sign(claims(cnf=cnf)), certificate)
    assert check(sign(claims(cnf=BOUND)), OWN).certificate == OWN


def test_binding_to_nothing_is_no_token_without_binding() -> None:
    claimed = claims()
    claimed["cnf"] = None  # the claim is there, and says nothing
    with pytest.raises(UnauthenticatedError, match="bound to a key in another way"):
        check(sign(claimed), OWN)


# -- builds --------------------------------------------------------------------------------------------------------


def test_credential_names_its_build_and_counts_with_its_key_alone() -> None:
    assert check(credential(), OWN).build == BUILD.digest()
    for certificate in (b"", OTHER):
        with pytest.raises(UnauthenticatedError, match="bound to the key"):
            check(credential(), certificate)


def test_build_that_another_issuer_names_is_none() -> None:
    assert check(sign(claims(cnf=BOUND, build=BUILD.hexdigest())), OWN).build == b""
    assert check(sign(claims(build=BUILD.hexdigest())), b"").build == b""


@pytest.mark.parametrize(
    "changes",
    [
        {"cnf": None},
        {"build": None},
        {"build": ""},
        {"build": 7},
        {"build": [BUILD.hexdigest()]},
        {"build": BUILD.hexdigest().upper()},
        {"build": BUILD.hexdigest()[:-2]},
        {"build": BUILD.hexdigest() + "00"},
        {"build": "sha256:" + BUILD.hexdigest()},
        {"build": BUILD.hexdigest() + "\n"},
    ],
)
def test_credential_without_key_or_build_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(UnauthenticatedError, match="names no build, or is bound to no key"):
        check(credential(**changes), OWN)
    assert check(credential(), OWN).build == BUILD.digest()


# -- issuers that change -------------------------------------------------------------------------------------------


def test_token_that_was_checked_is_refused_once_its_issuer_is_gone_or_has_other_keys() -> None:
    issuers = dict(ISSUERS)
    checker, token = TokenChecker(lambda: issuers, clock_seconds=Clock()), sign(claims(exp=NOW + HOUR))
    assert checker.check(token).identity == (FIRST, "app")

    del issuers[FIRST]
    with pytest.raises(UnauthenticatedError, match="not signed by an issuer"):
        checker.check(token)
    issuers[FIRST] = Issuer(FIRST, public(KEYS["ES256"]))
    with pytest.raises(UnauthenticatedError, match="not signed by an issuer"):
        checker.check(token)
    issuers[FIRST] = replace(ISSUERS[FIRST])
    assert checker.check(token).identity == (FIRST, "app")
