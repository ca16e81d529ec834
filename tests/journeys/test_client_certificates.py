"""A gateway that lets callers show certificates: a token bound to a key counts on that key's connections alone."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from joserfc import jwt
from joserfc.jwk import OKPKey

from ringfence.cli.gateway_options import Gateway
from ringfence.client.client import Client
from ringfence.core.errors import ConfigurationError, UnauthenticatedError, UnavailableError
from ringfence.core.issuers import DEVELOPMENT_ISSUER
from ringfence.gateway.authentication import render_thumbprint
from tests.faults.serving import Server
from tests.journeys.certificates import make_authority, make_certificate
from tests.journeys.test_tls import PURPOSE, change_settings
from tests.services.world import US_ADDRESS, make_deployment

Reading = Callable[[Client], object]
READS: dict[str, Reading] = {
    "at its connection": lambda client: client.read("profile", "ada", purpose=PURPOSE),
    "through the application": lambda client: list(client.list_records("profile", "ada", purpose=PURPOSE)),
}


class Served:
    """A served deployment, and certificates of callers in a folder beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        directory = folder / "deployment"
        make_deployment(directory)
        authority = make_authority(folder / "ca.pem", "Example Authority")
        make_certificate(directory / "tls", authority, address="127.0.0.1")
        callers = make_authority(directory / "tls" / "callers.pem", "Authority of Callers")
        self.thumbprints = {
            name: make_certificate(folder, callers, address="192.0.2.10", name=name) for name in ("own", "other")
        }
        stranger = make_authority(folder / "stranger-ca.pem", "Authority of Callers")
        make_certificate(folder, stranger, address="192.0.2.10", name="stranger")
        make_certificate(folder, callers, address="192.0.2.10", name="expired", days=-1)
        settings = {"certificate": "tls/gateway.pem", "key": "tls/gateway.key", "client_ca": "tls/callers.pem"}
        change_settings(directory, **settings)
        self.server = Server(directory)
        self.server.url = self.server.url.replace("http://", "https://")
        self.server.verify = ssl.create_default_context(cafile=str(folder / "ca.pem"))

    def token(self, bound_to: str = "") -> str:
        """Give a token of the app's, bound to a certificate if one is named."""
        now = int(time.time())
        told = {"iss": DEVELOPMENT_ISSUER, "sub": "app", "aud": "ringfence", "iat": now, "exp": now + 600}
        if bound_to:
            told["cnf"] = {"x5t#S256": render_thumbprint(self.thumbprints[bound_to])}
        key = OKPKey.import_key(json.loads((self.server.deployment / "keys" / "token.jwk").read_bytes()))
        return jwt.encode({"alg": "Ed25519", "kid": "development"}, told, key, algorithms=["Ed25519"])

    def connect(self, token: str, *, as_: str = "") -> Client:
        """Connect with a certificate, if one is named."""
        files = {"certificate": str(self.folder / f"{as_}.pem"), "key": str(self.folder / f"{as_}.key")} if as_ else {}
        ca = str(self.folder / "ca.pem")
        client = Client(self.server.url, token=token, ca=ca, sleep=lambda seconds: None, **files)
        client._http.headers.update(US_ADDRESS)
        return client


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    running = Served(tmp_path_factory.mktemp("callers"))
    running.server.start()
    with running.connect(running.token()) as client:
        client.write("profile", "ada", {"userName": "ada"}, purpose=PURPOSE)
        client.read("profile", "ada", purpose=PURPOSE)  # from here on the user is known, so that reads are direct
    yield running
    assert running.server.stop() == 0


@pytest.mark.parametrize("how", READS)
def test_bound_token_reads_on_its_own_connection_alone(served: Served, how: str) -> None:
    token, read = served.token("own"), READS[how]

    with served.connect(token, as_="own") as client:
        for _ in range(3):  # the connection is kept
            assert read(client)
    for thief in ("", "other"):
        shown = "showed another" if thief else "showed none"
        with served.connect(token, as_=thief) as client, pytest.raises(UnauthenticatedError, match=shown):
            read(client)


def test_token_that_is_not_bound_needs_no_certificate(served: Served) -> None:
    for certificate in ("", "own", "other"):
        with served.connect(served.token(), as_=certificate) as client:
            assert client.read("profile", "ada", purpose=PURPOSE).fields == {"userName": "ada"}


@pytest.mark.parametrize("name", ["stranger", "expired"])
def test_certificate_of_another_authority_or_time_is_no_connection(served: Served, name: str) -> None:
    with served.connect(served.token(), as_=name) as client, pytest.raises(UnavailableError):
        client.read("profile", "ada", purpose=PURPOSE)
    with served.connect(served.token(), as_="own") as client:
        assert client.read("profile", "ada", purpose=PURPOSE)


def test_command_in_a_session_is_given_the_same_connection() -> None:
    bare = Gateway("https://gateway.example.org", "token")
    assert bare.arguments() == ["--url", "https://gateway.example.org", "--token", "token"]
    whole = replace(bare, ca="ca.pem", cert="own.pem", key="own.key")
    assert whole.arguments()[4:] == ["--ca", "ca.pem", "--cert", "own.pem", "--key", "own.key"]


def test_client_says_which_of_its_own_files_it_cannot_use(served: Served) -> None:
    own, key = str(served.folder / "own.pem"), str(served.folder / "own.key")
    for certificate, its_key, words in (
        (own, "", "needs its key"),
        ("", key, "needs its key"),
        (own, str(served.folder / "other.key"), "cannot be used"),
        (str(served.folder / "absent.pem"), key, "absent.pem"),
    ):
        with pytest.raises(ConfigurationError, match=words):
            Client(served.server.url, token="t", certificate=certificate, key=its_key)
    Client(served.server.url, token="t", certificate=own, key=key).close()
