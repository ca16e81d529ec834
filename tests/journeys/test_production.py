"""A deployment in production mode: its own tokens are refused for ever, those of two configured issuers are taken."""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OKPKey
from ruamel.yaml import YAML

from ringfence.app.configuration import Configuration
from ringfence.app.deployment import open_deployment
from ringfence.app.initialise import Ground
from ringfence.app.tokens import create_token_key
from ringfence.client.client import Client
from ringfence.core import changes as c
from ringfence.core.errors import DeniedError, UnauthenticatedError
from ringfence.core.issuers import DEVELOPMENT_ISSUER, LOCAL_ISSUER
from ringfence.core.ledger.entry import PRODUCTION
from ringfence.synthetic.geography import write_geography
from tests.faults.serving import Server, command
from tests.founders import agree, found, order, register_service
from tests.journeys.programs import run
from tests.services.world import EXAMPLE, US_ADDRESS

APP_ISSUER, STAFF_ISSUER = "https://app.example.org", "https://staff.example.net"
PURPOSE = "serve_user"


@dataclass
class Issuers:
    """The signing keys of two issuers, and a token from any of them."""

    app: OKPKey
    staff: ECKey

    def token(self, subject: str, *, issuer: str, key: Any, audience: str, lifetime_seconds: int = 600) -> str:
        """Sign a token."""
        now = int(time.time())
        claims = {"iss": issuer, "sub": subject, "aud": audience, "iat": now, "exp": now + lifetime_seconds}
        alg = "ES256" if isinstance(key, ECKey) else "Ed25519"
        return jwt.encode({"alg": alg, "kid": key.kid}, claims, key, algorithms=[alg])

    def of_app(self, subject: str) -> str:
        """Sign as the app's issuer."""
        return self.token(subject, issuer=APP_ISSUER, key=self.app, audience="ringfence")

    def of_staff(self, subject: str) -> str:
        """Sign as the staff's issuer, which names an audience of its own."""
        return self.token(subject, issuer=STAFF_ISSUER, key=self.staff, audience="custody")


def key_set(key: Any) -> bytes:
    """Give the file with an issuer's public key."""
    return json.dumps({"keys": [key.as_dict(private=False)]}).encode()


@pytest.fixture(scope="module")
def issuers() -> Issuers:
    return Issuers(
        OKPKey.generate_key("Ed25519", parameters={"kid": "app-1"}),
        ECKey.generate_key("P-256", parameters={"kid": "staff-1"}),
    )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, issuers: Issuers) -> Iterator[Server]:
    """A production deployment with two issuers, served."""
    directory = tmp_path_factory.mktemp("production") / "deployment"
    geography = directory.with_name("geography.mmdb")
    write_geography(geography)
    ground = Ground(
        charter_text=EXAMPLE.read_bytes(),
        charter_file=str(EXAMPLE),
        origin="ledger.example.org/production",
        configuration=Configuration(region="virginia", geography=str(geography)),
        mode=PRODUCTION,
    )
    services = [
        ("tiktok", APP_ISSUER, "web"),
        ("bytedance", STAFF_ISSUER, "web"),
        ("tiktok", DEVELOPMENT_ISSUER, "dev"),
    ]
    trusted = {APP_ISSUER: key_set(issuers.app), STAFF_ISSUER: key_set(issuers.staff)}
    found(directory, ground, services=services, holders=["fay", "gus", "kay"], issuers=trusted)
    path, yaml = directory / "ringfence.yaml", YAML()
    settings = yaml.load(path.read_text("utf-8"))
    settings["trusted_proxies"] = {"edge": "127.0.0.1/32"}
    settings["issuers"] = {
        APP_ISSUER: {"keys": "issuers/app.json"},
        STAFF_ISSUER: {"keys": "issuers/staff.json", "audience": "custody"},
    }
    with path.open("w", encoding="utf-8") as file:
        yaml.dump(settings, file)
    (directory / "issuers").mkdir()
    for name, key in (("app", issuers.app), ("staff", issuers.staff)):
        (directory / "issuers" / f"{name}.json").write_bytes(key_set(key))
    # A thief who brings a key of the development issuer along gains nothing, here or after a restart.
    create_token_key(open_deployment(directory))
    running = Server(directory)
    running.start()
    yield running
    assert running.stop() == 0


def connect(server: Server, token: str) -> Client:
    client = Client(server.url, token=token)
    client._http.headers.update(US_ADDRESS)
    return client


def test_token_command_is_refused_for_ever(server: Server) -> None:
    for subject in ("dev", "web", "ingest"):
        done = run("token", subject, "-d", str(server.deployment))
        assert done.returncode == 3
        assert "production" in done.stderr
        assert "hint: get a token from an issuer" in done.stderr
        assert done.stdout == ""


def test_token_of_a_configured_issuer_works_once_its_subject_is_registered(server: Server, issuers: Issuers) -> None:
    with connect(server, issuers.of_app("web")) as client:
        client.write("profile", "ada", {"userName": "ada"}, purpose=PURPOSE)
        assert client.read("profile", "ada", purpose=PURPOSE).fields == {"userName": "ada"}

    with connect(server, issuers.of_app("batch")) as client:
        with pytest.raises(UnauthenticatedError, match="not registered"):
            client.read("profile", "ada", purpose=PURPOSE)
        number = register_service(server.deployment, "tiktok", issuer=APP_ISSUER, subject="batch")
        _until_served(client)
        asyncio.run(order(server.deployment, "ada", c.WithdrawService(principal=number)))
        _until_refused(client)


def test_one_subject_of_two_issuers_is_two_callers(server: Server, issuers: Issuers) -> None:
    with connect(server, issuers.of_app("web")) as client:
        client.write("profile", "bob", {"userName": "bob"}, purpose=PURPOSE)
    with connect(server, issuers.of_staff("web")) as client, pytest.raises(DeniedError):
        client.read("profile", "bob", purpose=PURPOSE)


def test_issuer_that_signs_as_the_other_is_refused(server: Server, issuers: Issuers) -> None:
    forged = [
        issuers.token("web", issuer=APP_ISSUER, key=issuers.staff, audience="ringfence"),
        issuers.token("web", issuer=STAFF_ISSUER, key=issuers.app, audience="custody"),
        issuers.token("web", issuer=APP_ISSUER, key=issuers.app, audience="custody"),
        issuers.token("web", issuer="https://login.example.com", key=issuers.app, audience="ringfence"),
        issuers.token("web", issuer=APP_ISSUER, key=issuers.app, audience="ringfence", lifetime_seconds=90_000),
    ]
    for token in forged:
        with connect(server, token) as client, pytest.raises(UnauthenticatedError):
            client.read("profile", "ada", purpose=PURPOSE)


def test_token_of_the_development_issuer_is_refused_although_its_key_and_subject_are_there(
    server: Server, issuers: Issuers
) -> None:
    key = OKPKey.import_key(json.loads((server.deployment / "keys" / "token.jwk").read_bytes()))
    token = issuers.token("dev", issuer=DEVELOPMENT_ISSUER, key=key, audience="ringfence")
    with connect(server, token) as client, pytest.raises(UnauthenticatedError, match="not signed by an issuer"):
        client.read("profile", "ada", purpose=PURPOSE)


@pytest.mark.parametrize("name", [DEVELOPMENT_ISSUER, LOCAL_ISSUER, "Ringfence:other"])
def test_settings_that_name_an_issuer_of_our_own_are_refused(server: Server, tmp_path: Path, name: str) -> None:
    copy = tmp_path / "deployment"
    shutil.copytree(server.deployment, copy)
    path, yaml = copy / "ringfence.yaml", YAML()
    settings = yaml.load(path.read_text("utf-8"))
    settings["issuers"][name] = {"keys": "keys/token-keys.json"}
    with path.open("w", encoding="utf-8") as file:
        yaml.dump(settings, file)

    refused = run("serve", "-d", str(copy), "--port", "0")

    assert refused.returncode == 3
    assert "cannot be configured" in refused.stderr
    findings = {finding["check"]: finding for finding in run("doctor", "-d", str(copy), "--json").facts()["findings"]}
    assert findings["issuers"]["state"] == "wrong"


def test_issuer_is_taken_while_the_ledger_trusts_it_by_the_very_file(server: Server, issuers: Issuers) -> None:
    """Its keys are rotated by a quorum, and it is withdrawn by an order; what is taken is so at the next request."""
    deployment, file = server.deployment, server.deployment / "issuers" / "app.json"
    newer = OKPKey.generate_key("Ed25519", parameters={"kid": "app-2"})
    old = issuers.of_app("web")
    new = issuers.token("web", issuer=APP_ISSUER, key=newer, audience="ringfence")
    before = file.read_bytes()
    with connect(server, old) as client:
        client.write("profile", "liv", {"userName": "liv"}, purpose=PURPOSE)

    def read(token: str) -> bool:
        with connect(server, token) as client:
            try:
                return bool(client.read("profile", "liv", purpose=PURPOSE).fields)
            except UnauthenticatedError:
                return False

    def agree_to(keys: bytes) -> None:
        change = c.TrustIssuer(name=APP_ISSUER, keys=hashlib.sha256(keys).digest())
        assert asyncio.run(agree(deployment, "eve", change, "ada", "ben")).is_carried

    def look() -> tuple[list[str], str]:
        notes = httpx.get(f"{server.url}/readyz").json()["notes"]
        findings = run("doctor", "-d", str(deployment), "--json").facts()["findings"]
        return notes, " ".join(found["detail"] for found in findings if found["state"] == "wrong")

    assert (read(old), read(new)) == (True, False)
    file.write_bytes(key_set(newer))  # whoever has the host changes the file alone: nothing changes but what is said
    assert (read(old), read(new)) == (True, False)
    assert f"the issuer {APP_ISSUER} is not used: the ledger trusts keys with SHA-256" in look()[1]

    agree_to(key_set(newer))
    assert (read(old), read(new)) == (False, True)
    assert look() == ([], "")
    asyncio.run(order(deployment, "ada", c.WithdrawIssuer(name=APP_ISSUER)))
    assert not read(new)
    (note,) = look()[0]
    assert note.startswith(f"the issuer {APP_ISSUER} is not used: the ledger does not trust it")
    with connect(server, issuers.of_staff("web")) as client, pytest.raises(DeniedError):
        client.read("profile", "liv", purpose=PURPOSE)  # the other issuer's callers are known as ever

    file.write_bytes(before)
    agree_to(before)
    with connect(server, old) as client:
        _until_served(client, user="liv")
    assert not read(new)


def test_verify_says_that_the_ledger_is_of_production(server: Server, tmp_path: Path) -> None:
    bundle, trust = str(tmp_path / "bundle"), str(server.deployment / "trust.json")
    command("ledger", "export", bundle, "--detail", "-d", str(server.deployment))

    done = run("verify", bundle, "--trust", trust)

    assert done.returncode == 0
    assert "production" in done.stdout
    assert "DEVELOPMENT" not in done.stdout
    assert run("verify", bundle, "--trust", trust, "--json").facts()["mode"] == "production"


def _until_served(client: Client, *, user: str = "ada") -> None:
    deadline = time.monotonic() + 10
    while True:
        try:
            client.read("profile", user, purpose=PURPOSE)
            return
        except UnauthenticatedError:
            assert time.monotonic() < deadline, "ten seconds ago, and still unknown"
            time.sleep(0.1)


def _until_refused(client: Client) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            client.read("profile", "ada", purpose=PURPOSE)
            time.sleep(0.1)
        except (UnauthenticatedError, DeniedError):
            return
    raise AssertionError("withdrawn ten seconds ago, and still served")
