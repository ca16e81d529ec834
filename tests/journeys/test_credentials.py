"""A service and its builds: the app proposes one, inspectors agree to it, and the service is served while they do.

It reads like the manual: each step is the command that a person types, on a served deployment that was founded by a
ceremony. The service reads over mutual TLS through the worked example's flow for approved builds alone.
"""

from __future__ import annotations

import hashlib
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jwt

from ringfence.app.tokens import read_signing_key
from ringfence.client.client import Client
from ringfence.core.errors import DeniedError, UnauthenticatedError
from ringfence.core.issuers import CREDENTIALS_ISSUER, DEVELOPMENT_ISSUER
from ringfence.gateway.authentication import AUDIENCE, THUMBPRINT, render_thumbprint
from tests.attestations import BUILDER, attest
from tests.core.people.attestor_keys import attestor_private
from tests.faults.serving import Server, command
from tests.journeys.certificates import make_authority, make_certificate
from tests.journeys.desks import Desk, found_example, make_desks
from tests.journeys.programs import Done, run
from tests.journeys.test_tls import change_settings

SUBJECT = "ranker"
RUNNING = "4"
"""The build that is approved from the start, for tests that are about something else."""

REGISTER = f"do: register-service\nparty: tiktok\nissuer: {CREDENTIALS_ISSUER}\nsubject: {SUBJECT}\n"
APPROVE = "do: approve-build\nname: ranker {0}\nparty: tiktok\ndigest: ranker-{0}.tar\nattestor: builder.pem\n"


class Place:
    """A served deployment, everybody's desks, and the machine of a service with its certificate."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.deployment = found_example(folder / "deployment")
        authority = make_authority(folder / "ca.pem", "Example Authority")
        make_certificate(self.deployment / "tls", authority, address="127.0.0.1")
        callers = make_authority(self.deployment / "tls" / "callers.pem", "Authority of Callers")
        self.thumbprint = make_certificate(folder, callers, address="192.0.2.10", name="service")
        make_certificate(folder, callers, address="192.0.2.10", name="thief")
        settings = {"certificate": "tls/gateway.pem", "key": "tls/gateway.key", "client_ca": "tls/callers.pem"}
        change_settings(self.deployment, **settings)
        self.server = Server(self.deployment)
        self.server.url = self.server.url.replace("http://", "https://")
        self.server.verify = ssl.create_default_context(cafile=str(folder / "ca.pem"))
        self.desks = make_desks(folder, self.server, ca=str(folder / "ca.pem"))

    def build(self, version: str) -> None:
        """Build the service, as its builder does: what is built, and an attestation that the builder signed."""
        built = f"the service, version {version}".encode()
        public = attestor_private(BUILDER).public_key()
        pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        for desk in self.desks.values():
            (desk.folder / f"ranker-{version}.tar").write_bytes(built)
            (desk.folder / "builder.pem").write_bytes(pem)
        (self.folder / f"ranker-{version}.intoto.json").write_bytes(attest(digest_of(built)))

    def ask_for_credential(self, version: str, *, certificate: str = "service") -> Done:
        """Ask for the service's credential."""
        return run(
            *("credential", "issue", SUBJECT, "--minutes", "5", "-d", str(self.deployment), "--json"),
            *("--attestation", str(self.folder / f"ranker-{version}.intoto.json")),
            *("--certificate", str(self.folder / f"{certificate}.pem")),
        )

    def give_credential(self, version: str) -> str:
        """Give the service's credential, and let the gateway hear of it."""
        token: str = self.ask_for_credential(version).facts()["credential"]
        self.desks["gus"].do("proposals")  # which the gateway answers by the newest rules
        return token

    def refuse_credential(self, version: str, words: str) -> None:
        """Ask for a credential that nobody is given."""
        refused = self.ask_for_credential(version)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert words in refused.stderr

    def read(self, token: str, *, certificate: str = "service") -> object:
        """Read as the service does."""
        own = {"certificate": str(self.folder / f"{certificate}.pem"), "key": str(self.folder / f"{certificate}.key")}
        with Client(
            self.server.url,
            token=token,
            ca=str(self.folder / "ca.pem"),
            sleep=lambda seconds: None,
            **(own if certificate else {}),
        ) as client:
            return client.read("profile", "ann", purpose="rank_feeds").fields


def digest_of(built: bytes) -> bytes:
    return hashlib.sha256(built).digest()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    place = Place(tmp_path_factory.mktemp("builds"))
    place.server.start()
    eve = place.desks["eve"]
    put = ("put", "profile", "ann", "--fields", '{"userName": "ann"}', "--purpose", "serve_user")
    Desk("app", eve.folder, eve.server, eve.ca).do(*put)
    service = eve.ask(REGISTER, name="service")
    for name in ("ada", "gus"):
        done = place.desks[name].agree(service)
    assert done["carried"]
    for version in ("1", "2", "3", RUNNING):
        place.build(version)
    running = place.desks["hal"].ask(APPROVE.format(RUNNING), name="build-running")
    assert not place.desks["gus"].agree(running)["carried"]
    assert place.desks["kay"].agree(running)["carried"]
    yield place
    assert place.server.stop() == 0


def test_build_is_proposed_agreed_to_attested_served_and_withdrawn(place: Place) -> None:
    hal, gus, kay = (place.desks[name] for name in ("hal", "gus", "kay"))
    place.refuse_credential("1", f"the build {digest_of(b'the service, version 1').hex()} is not approved")

    proposal = hal.ask(APPROVE.format("1"), name="build-1")
    assert not gus.agree(proposal)["carried"]
    place.refuse_credential("1", f"the build {digest_of(b'the service, version 1').hex()} is not approved")
    assert kay.agree(proposal)["carried"]

    given = place.give_credential("1")
    build = digest_of(b"the service, version 1").hex()
    assert place.read(given) == {"userName": "ann"}
    for thief, words in (("thief", "this connection showed another"), ("", "this connection showed none")):
        with pytest.raises(UnauthenticatedError, match=words):
            place.read(given, certificate=thief)
    token = command("token", "app", "-d", str(place.deployment))["token"]
    with pytest.raises(DeniedError) as refused:
        place.read(token)
    assert any("to services with an approved build" in line for line in refused.value.could_ask)

    gus.order("do: withdraw-build\ndigest: ranker-1.tar\n", name="withdraw-1")
    with pytest.raises(DeniedError, match=f"the build {build} was withdrawn by rule"):
        place.read(given)
    place.refuse_credential("1", f"the build {build} was withdrawn by rule")


def test_update_is_taken_or_declined_by_the_custodian_and_not_by_whoever_proposes_it(place: Place) -> None:
    hal, gus, kay = (place.desks[name] for name in ("hal", "gus", "kay"))
    taken, declined = hal.ask(APPROVE.format("2"), name="build-2"), hal.ask(APPROVE.format("3"), name="build-3")

    own = hal.run("approve", str(declined), hal.sign("build-3", "approve"))
    assert own.returncode == 1
    gus.agree(taken)
    assert kay.agree(taken)["carried"]
    gus.agree(declined)
    kay.agree(declined, "decline")

    late = gus.run("approve", str(declined), f"proposal-{declined}.approve.sig")
    assert late.returncode == 1
    assert place.read(place.give_credential("2")) == {"userName": "ann"}
    place.refuse_credential("3", f"the build {digest_of(b'the service, version 3').hex()} is not approved")


def test_whoever_signs_with_the_key_of_credentials_gives_none_that_the_ledger_has_not(place: Place) -> None:
    """The thief has the key, a build that people approved and a certificate that callers may show."""
    signer = read_signing_key(place.deployment / "keys" / "credentials.jwk")
    own = place.give_credential(RUNNING)
    claims = jwt.decode(own, signer, algorithms=["Ed25519"]).claims
    shown = x509.load_pem_x509_certificate((place.folder / "thief.pem").read_bytes()).fingerprint(SHA256())
    stolen = {**claims, "cnf": {THUMBPRINT: render_thumbprint(shown)}}
    other = {**claims, "build": digest_of(b"the service, version 3").hex()}

    for told, certificate in ((stolen, "thief"), (other, "service")):
        forged = jwt.encode({"alg": "Ed25519", "kid": signer.kid}, told, signer, algorithms=["Ed25519"])
        with pytest.raises(UnauthenticatedError, match="the ledger has no such credential"):
            place.read(forged, certificate=certificate)
    again = jwt.encode({"alg": "Ed25519", "kid": signer.kid}, claims, signer, algorithms=["Ed25519"])
    assert place.read(again) == {"userName": "ann"}


def test_service_is_tried_from_the_command_line_with_its_certificate(place: Place) -> None:
    files = {
        name: ("--cert", str(place.folder / f"{name}.pem"), "--key", str(place.folder / f"{name}.key"))
        for name in ("service", "thief")
    }
    at = ("--url", place.server.url, "--ca", str(place.folder / "ca.pem"))
    get = ("get", "profile", "ann", "--purpose", "rank_feeds", *at, "--token", place.give_credential(RUNNING), "--json")
    assert run(*get, *files["service"]).facts()["fields"] == {"userName": "ann"}
    for shown, words in (((), "showed none"), (files["thief"], "showed another")):
        refused = run(*get, *shown)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert words in refused.stderr

    claims = {"iss": DEVELOPMENT_ISSUER, "sub": "app", "aud": AUDIENCE, "iat": 0, "exp": int(time.time()) + 600}
    claims["cnf"] = {THUMBPRINT: render_thumbprint(place.thumbprint)}
    signer = read_signing_key(place.deployment / "keys" / "token.jwk")
    bound = jwt.encode({"alg": "Ed25519", "kid": signer.kid}, claims, signer, algorithms=["Ed25519"])
    put = ("put", "profile", "bob", "--fields", '{"userName": "bob"}', "--purpose", "serve_user", *at, "--token", bound)
    assert run(*put).returncode == 1
    assert "stored as version 1" in run(*put, *files["service"]).stdout


def test_key_of_credentials_is_the_ledgers(place: Place) -> None:
    for name in ("credentials.jwk", "credentials-keys.json"):
        assert (place.deployment / "keys" / name).stat().st_mode & 0o077 == 0
    done = run("credential", "key", "-d", str(place.deployment), "--json").facts()
    assert done["trusted"] is True
    assert done["keys"] in run("credential", "key", "-d", str(place.deployment)).stdout


def test_evidence_of_builds_is_verified(place: Place, tmp_path: Path) -> None:
    command("ledger", "export", str(tmp_path / "bundle"), "--detail", "-d", str(place.deployment))
    trust = str(place.deployment / "trust.json")
    assert command("verify", str(tmp_path / "bundle"), "--trust", trust)["outcome"] == "verified"
