"""Credentials: given for an attested build that people approved, to whoever is registered, bound to one certificate."""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from joserfc import jwt
from joserfc.jwk import KeySet

from ringfence.app.credential_keys import KEY_FILE, PUBLIC_FILE, credentials_digest, replace_credentials_key
from ringfence.app.credentials import LIFETIME_SECONDS_MAX, Credential, issue_credential
from ringfence.app.deployment import Deployment, open_deployment
from ringfence.app.issuers import IssuerBook
from ringfence.app.runtime import open_runtime
from ringfence.core import changes as c
from ringfence.core.errors import (
    ConfigurationError,
    DeniedError,
    InvalidInputError,
    ProofInvalidError,
    RingfenceError,
    UnauthenticatedError,
)
from ringfence.core.issuers import CREDENTIALS_ISSUER
from ringfence.core.people.attestors import name_attestor
from ringfence.core.people.standing import IssuedCredential
from ringfence.core.state import State
from ringfence.gateway.authentication import TokenChecker, render_thumbprint
from tests.attestations import BUILDER, attest
from tests.builds import BUILT, OTHER_BUILT, approve, for_builds
from tests.core.people.attestor_keys import attestor_key
from tests.governed import ISSUER
from tests.journeys.certificates import make_authority, make_certificate
from tests.services.governed_world import WIDER, GovernedWorld, found_deployment, in_governed_world
from tests.services.world import make_deployment

THIRD_BUILT = hashlib.sha256(b"the app, built a third time").digest()


class Desk:
    """Who gives credentials: a governed deployment with two services of the app's and one of the custodian's."""

    def __init__(self, folder: Path) -> None:
        services = [("app", CREDENTIALS_ISSUER, "web"), ("trust", CREDENTIALS_ISSUER, "tool")]
        self.deployment = found_deployment(folder / "deployment", charter=for_builds(WIDER), services=services)
        authority = make_authority(folder / "ca.pem", "Authority of Callers")
        self.thumbprint = make_certificate(folder, authority, address="192.0.2.10", name="web")
        for name, days, since_days in (("expired", -1, 2), ("short", 0.25, 2), ("early", 3, -1)):
            make_certificate(folder, authority, address="192.0.2.10", name=name, days=days, since_days=since_days)
        self.folder = folder

    def change(self, *changes: c.AnyChange) -> None:
        """Let people agree to changes, or order them."""

        async def work(world: GovernedWorld) -> None:
            for change in changes:
                if isinstance(change, c.WithdrawBuild | c.WithdrawIssuer):
                    await world.order("gus" if isinstance(change, c.WithdrawBuild) else "ada", change)
                elif isinstance(change, c.TrustIssuer):
                    await world.agree("dot", change, "ada", "ben")
                else:
                    await world.agree("hal", change, "gus")

        in_governed_world(self.deployment, work)

    def issue(self, **told: Any) -> Credential:
        """Ask for the app's credential, unless told otherwise."""
        certificate = told.pop("certificate", (self.folder / "web.pem").read_bytes())
        usual = {"attestation": attest(BUILT), "subject": "web", "lifetime_seconds": 600}

        async def work() -> Credential:
            async with open_runtime(self.deployment) as runtime, runtime.governance() as rules:
                return await issue_credential(self.deployment, rules, certificate=certificate, **{**usual, **told})

        return asyncio.run(work())

    def refuse(self, kind: type[RingfenceError], words: str, **told: Any) -> None:
        """Hold a refusal to its kind and words, and that no entry says otherwise."""
        epoch = state_of(self.deployment).epoch
        with pytest.raises(kind) as caught:
            self.issue(**told)
        assert words in caught.value.message
        assert state_of(self.deployment).epoch == epoch


def _now() -> int:
    return int(time.time())


def state_of(deployment: Deployment) -> State:
    async def read() -> State:
        async with open_runtime(deployment) as runtime:
            return runtime.keeper.state

    return asyncio.run(read())


@pytest.fixture(scope="module")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    desk = Desk(tmp_path_factory.mktemp("credentials"))
    desk.change(approve())
    return desk


@pytest.fixture
def desk(founded: Desk, tmp_path: Path) -> Desk:
    """A deployment of the test's own, whose people approved one build of the app's."""
    shutil.copytree(founded.folder, tmp_path / "own")
    own = Desk.__new__(Desk)
    own.folder, own.thumbprint = tmp_path / "own", founded.thumbprint
    own.deployment = open_deployment(own.folder / "deployment")
    return own


def test_credential_says_who_and_which_build_and_is_bound_to_the_certificate(founded: Desk) -> None:
    before = _now()
    given = founded.issue()

    keys = KeySet.import_key_set(json.loads((founded.deployment.keys / PUBLIC_FILE).read_bytes()))
    claims = jwt.decode(given.token, keys, algorithms=["Ed25519"]).claims
    assert claims == {
        "iss": "ringfence:credentials",
        "sub": "web",
        "aud": "ringfence",
        "iat": given.ends_seconds - 600,
        "exp": given.ends_seconds,
        "cnf": {"x5t#S256": render_thumbprint(founded.thumbprint)},
        "build": BUILT.hex(),
    }
    assert (given.build, given.attestor) == (BUILT, attestor_key(BUILDER))
    assert before + 600 <= given.ends_seconds <= _now() + 600


def test_ledger_has_every_credential_that_was_given(desk: Desk) -> None:
    given = [desk.issue(lifetime_seconds=seconds) for seconds in (600, 900)]

    state = state_of(desk.deployment)
    credentials = state.governed.credentials[state.identities[CREDENTIALS_ISSUER, "web"], BUILT]
    attestation = hashlib.sha256(attest(BUILT)).digest()
    assert credentials == {desk.thumbprint: IssuedCredential(attestation, given[-1].ends_seconds * 1000, state.epoch)}


def test_gateway_takes_a_credential_on_its_certificates_connections_until_it_ends(founded: Desk) -> None:
    given, state = founded.issue(), state_of(founded.deployment)
    now = [given.ends_seconds - 600]
    book = IssuerBook(founded.deployment, lambda: state)
    checker = TokenChecker(book.usable, clock_seconds=lambda: now[0])
    bearer = b"Bearer " + given.token.encode()

    for _ in range(2):
        taken = checker.check(bearer, founded.thumbprint)
        assert (taken.identity, taken.build) == ((CREDENTIALS_ISSUER, "web"), BUILT)
        for other, words in ((b"", "showed none"), (bytes(32), "showed another")):
            with pytest.raises(UnauthenticatedError, match=words):
                checker.check(bearer, other)
    now[0] += 599
    assert checker.check(bearer, founded.thumbprint).build == BUILT
    now[0] += 1
    with pytest.raises(UnauthenticatedError, match="not valid now"):
        checker.check(bearer, founded.thumbprint)


def test_gateway_takes_no_credential_of_a_key_that_the_ledger_does_not_trust(desk: Desk) -> None:
    bearer = b"Bearer " + desk.issue().token.encode()
    state = state_of(desk.deployment)
    trusted = IssuerBook(desk.deployment, lambda: state)
    check = TokenChecker(trusted.usable, clock_seconds=time.time).check
    assert check(bearer, desk.thumbprint).build == BUILT

    replace_credentials_key(desk.deployment, state)
    untrusted = IssuerBook(desk.deployment, lambda: state)
    assert any(CREDENTIALS_ISSUER in line for line in untrusted.unused())
    with pytest.raises(UnauthenticatedError, match="not signed by an issuer"):
        TokenChecker(untrusted.usable, clock_seconds=time.time).check(bearer, desk.thumbprint)


def test_credential_ends_with_its_certificate_at_the_latest(founded: Desk) -> None:
    certificate = x509.load_pem_x509_certificate((founded.folder / "short.pem").read_bytes())
    given = founded.issue(
        certificate=(founded.folder / "short.pem").read_bytes(), lifetime_seconds=LIFETIME_SECONDS_MAX
    )
    assert given.ends_seconds == int(certificate.not_valid_after_utc.timestamp())
    assert founded.issue(lifetime_seconds=LIFETIME_SECONDS_MAX).ends_seconds > given.ends_seconds
    for lifetime_seconds in (0, -1, LIFETIME_SECONDS_MAX + 1):
        founded.refuse(InvalidInputError, "valid for 1 to 43200 seconds", lifetime_seconds=lifetime_seconds)


def test_build_that_nobody_approved_gets_no_credential(desk: Desk) -> None:
    words = f"web gets no credential: the build {OTHER_BUILT.hex()} is not approved"
    desk.refuse(DeniedError, words, attestation=attest(OTHER_BUILT))
    assert desk.issue()

    desk.change(approve(OTHER_BUILT))
    assert desk.issue(attestation=attest(OTHER_BUILT)).build == OTHER_BUILT


def test_build_that_was_withdrawn_gets_no_credential(desk: Desk) -> None:
    assert desk.issue()
    desk.change(c.WithdrawBuild(digest=BUILT))
    desk.refuse(DeniedError, f"the build {BUILT.hex()} was withdrawn by rule {state_of(desk.deployment).epoch}")
    desk.change(approve())
    assert desk.issue()


def test_build_of_another_party_gets_no_credential(founded: Desk) -> None:
    founded.refuse(DeniedError, f"the build {BUILT.hex()} is approved for app, not for trust", subject="tool")
    assert founded.issue()


def test_attestation_of_a_key_that_nobody_agreed_to_is_refused(founded: Desk) -> None:
    founded.refuse(ProofInvalidError, "nobody signed the attestation whose word", attestation=attest(BUILT, 99))
    assert founded.issue(attestation=attest(BUILT))


def test_attestor_of_one_build_attests_no_other(desk: Desk) -> None:
    other = -BUILDER
    desk.change(approve(OTHER_BUILT, attestor=attestor_key(other)))
    assert desk.issue(attestation=attest(OTHER_BUILT, other)).attestor == attestor_key(other)
    for build, seed in ((BUILT, other), (OTHER_BUILT, BUILDER)):
        desk.refuse(DeniedError, "and people agreed to the key", attestation=attest(build, seed))


@pytest.mark.parametrize("seeds", [(BUILDER, -BUILDER), (-BUILDER, BUILDER)])
def test_signature_of_the_agreed_attestor_counts_whoever_else_signed(desk: Desk, seeds: tuple[int, int]) -> None:
    for build, attestor in ((OTHER_BUILT, -BUILDER), (THIRD_BUILT, 99)):
        desk.change(approve(build, attestor=attestor_key(attestor)))

    for build, attestor in ((BUILT, BUILDER), (OTHER_BUILT, -BUILDER)):
        assert desk.issue(attestation=attest(build, *seeds)).attestor == attestor_key(attestor)

    both = " and ".join(sorted(name_attestor(attestor_key(seed)) for seed in seeds))
    words = f"is attested by the keys {both}, and people agreed to the key {name_attestor(attestor_key(99))}"
    desk.refuse(DeniedError, words, attestation=attest(THIRD_BUILT, *seeds))
    assert desk.issue(attestation=attest(THIRD_BUILT, *seeds, 99)).attestor == attestor_key(99)


def test_build_that_nobody_is_to_attest_gets_no_credential(desk: Desk) -> None:
    desk.change(approve(OTHER_BUILT, attestor=b""))
    desk.refuse(DeniedError, "and people agreed that nobody attests it", attestation=attest(OTHER_BUILT))
    assert desk.issue()


@pytest.mark.parametrize("subject", ["nobody", "", "service", "eve"])
def test_who_is_not_registered_for_credentials_gets_none(founded: Desk, subject: str) -> None:
    assert (ISSUER, "service") in state_of(founded.deployment).identities
    founded.refuse(InvalidInputError, "is no service that is registered for credentials", subject=subject)
    assert founded.issue()


def test_certificate_that_cannot_be_used_is_refused(founded: Desk) -> None:
    own = (founded.folder / "web.pem").read_bytes()
    other_time = "the certificate is valid from"
    for name, words in (("expired.pem", other_time), ("early.pem", other_time), ("web.key", "cannot be read")):
        founded.refuse(InvalidInputError, words, certificate=(founded.folder / name).read_bytes())
    founded.refuse(InvalidInputError, "is larger than", certificate=own + b" " * 65_536)
    founded.refuse(InvalidInputError, "cannot be read", certificate=b"")
    assert founded.issue(certificate=own)


def test_key_that_the_ledger_does_not_trust_signs_nothing(desk: Desk) -> None:
    digest = replace_credentials_key(desk.deployment, state_of(desk.deployment))
    assert digest == credentials_digest(desk.deployment)
    desk.refuse(ConfigurationError, f"does not trust the key of credentials with SHA-256 {digest.hex()}")

    desk.change(c.TrustIssuer(name=CREDENTIALS_ISSUER, keys=digest))
    assert desk.issue()
    desk.change(c.WithdrawIssuer(name=CREDENTIALS_ISSUER))
    desk.refuse(ConfigurationError, "does not trust the key of credentials")


def other_key(keys: Path) -> None:
    public = (keys / PUBLIC_FILE).read_bytes()
    deployment = open_deployment(keys.parent)
    replace_credentials_key(deployment, state_of(deployment))
    (keys / PUBLIC_FILE).write_bytes(public)


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "another key": (other_key, "are not of one key"),
    "no key": (lambda keys: (keys / KEY_FILE).unlink(), "cannot be read"),
    "no JSON": (lambda keys: (keys / KEY_FILE).write_bytes(b"{"), "cannot be read"),
    "no public key": (lambda keys: (keys / PUBLIC_FILE).unlink(), "cannot be read"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_keys_that_do_not_fit_sign_nothing(desk: Desk, name: str) -> None:
    assert desk.issue()
    breaks, words = BROKEN[name]
    breaks(desk.deployment.keys)
    desk.refuse(ConfigurationError, words)


def test_ledger_that_is_not_governed_gives_no_credential(tmp_path: Path, founded: Desk) -> None:
    deployment = make_deployment(tmp_path / "deployment")
    desk = Desk.__new__(Desk)
    desk.folder, desk.deployment = founded.folder, deployment
    desk.refuse(ConfigurationError, "not governed")
    with pytest.raises(ConfigurationError, match="not governed"):
        replace_credentials_key(deployment, state_of(deployment))
