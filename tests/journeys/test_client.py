"""A real gateway process, called by the Python client and by the command line, until its ledger is verified."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from ringfence.app.deployment import open_deployment
from ringfence.client.client import Client
from ringfence.core.errors import (
    ConflictError,
    DeniedError,
    InvalidInputError,
    LimitExceededError,
    NotFoundError,
    UnauthenticatedError,
    UnavailableError,
)
from tests.faults.serving import Server, command
from tests.services.world import US_ADDRESS, make_deployment, verified

PURPOSE = "serve_user"
PROFILE = {"userName": "ada", "emailAddress": "ada@example.com", "bioDescription": "hello"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A running gateway; stopped at the end, its ledger verified."""
    directory = tmp_path_factory.mktemp("gateway") / "deployment"
    make_deployment(directory)
    running = Server(directory)
    running.start()
    yield running
    assert running.stop() == 0
    assert verified(open_deployment(directory), directory.parent / "bundle").outcome == "verified"


def token(server: Server, subject: str) -> str:
    """Mint a development token."""
    text: str = command("token", subject, "-d", str(server.deployment))["token"]
    return text


def connect(server: Server, subject: str) -> Client:
    """Connect as a registered caller in the U.S."""
    client = Client(server.url, token=token(server, subject))
    client._http.headers.update(US_ADDRESS)
    return client


def test_every_call_of_the_client_is_answered(server: Server) -> None:
    with connect(server, "app") as client:
        first = client.write("profile", "ada", PROFILE, purpose=PURPOSE)
        again = client.write("profile", "ada", PROFILE, purpose=PURPOSE, request_id="same")
        repeated = client.write("profile", "ada", PROFILE, purpose=PURPOSE, request_id="same")
        client.write("posts", "ada", {"Title": "a", "WhoCanView": "Everyone"}, record="a/b c", purpose=PURPOSE)

        assert (first.version, again.version, repeated.version, repeated.repeated) == (1, 2, 2, True)
        assert client.read("profile", "ada", purpose=PURPOSE).fields == PROFILE
        assert client.read("posts", "ada", "a/b c", purpose=PURPOSE).fields["Title"] == "a"
        many = client.read_many([("profile", "ada", "self"), ("profile", "ada", "no")], purpose=PURPOSE)
        assert [record and record.fields["userName"] for record in many] == ["ada", None]
        assert [record.record for record in client.list_records("posts", "ada", purpose=PURPOSE)] == ["a/b c"]
        assert client.find("profile", "emailAddress", "ADA@example.com", purpose=PURPOSE) == ["ada"]
        exported = list(client.export("ada", purpose="user_request"))
        assert {line["dataset"] for line in exported} == {"profile", "posts"}


def test_erased_user_is_gone(server: Server) -> None:
    with connect(server, "app") as client:
        client.write("profile", "eve", {"userName": "eve"}, purpose=PURPOSE)
        assert client.read("profile", "eve", purpose=PURPOSE).fields == {"userName": "eve"}
        assert client.erase("eve", purpose="user_request")["receipt"]
        with pytest.raises(NotFoundError):
            client.read("profile", "eve", purpose=PURPOSE)


def test_refusals_come_as_typed_errors(server: Server) -> None:
    with connect(server, "parent") as parent, pytest.raises(DeniedError) as denied:
        parent.read("profile", "ada", purpose=PURPOSE)
    assert denied.value.receipt
    assert denied.value.could_ask
    with connect(server, "app") as client:
        with pytest.raises(InvalidInputError, match="purpose"):
            client.read("profile", "ada", purpose="curiosity")
        with pytest.raises(LimitExceededError):
            client.read_many([("profile", f"u{n}", "self") for n in range(201)], purpose=PURPOSE)
        client.write("profile", "joe", {"userName": "joe"}, purpose=PURPOSE, request_id="once")
        with pytest.raises(ConflictError):
            client.write("profile", "joe", {"userName": "moe"}, purpose=PURPOSE, request_id="once")
    with Client(server.url, token="nonsense") as stranger, pytest.raises(UnauthenticatedError):
        stranger.read("profile", "ada", purpose=PURPOSE)


def test_gateway_that_is_away_is_said_to_be_after_bounded_retries() -> None:
    pauses: list[float] = []

    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    transport = httpx.MockTransport(refuse)
    client = Client("http://gateway.example", token="t", sleep=pauses.append, transport=transport)
    with client, pytest.raises(UnavailableError):
        client.read("profile", "ada", purpose=PURPOSE)
    assert len(pauses) == 4


def test_command_line_reads_what_it_stored_and_shows_no_traceback(server: Server) -> None:
    environment = {**os.environ, "RINGFENCE_URL": server.url, "RINGFENCE_TOKEN": token(server, "app")}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        program = [sys.executable, "-m", "ringfence", *arguments]
        return subprocess.run(program, capture_output=True, text=True, env=environment, check=False)

    refused = run("get", "profile", "ada", "--purpose", PURPOSE)
    assert refused.returncode == 1, "loopback is in no country, so that the app is refused without a proxy's word"
    assert "error:" in refused.stderr
    assert "Traceback" not in refused.stderr
    missing = run("get", "profile", "ada", "--purpose", PURPOSE, "--url", "http://127.0.0.1:9")
    assert missing.returncode == 3
    assert "Traceback" not in missing.stderr


def test_health_readiness_and_the_public_tree_need_no_token(server: Server) -> None:
    assert httpx.get(f"{server.url}/healthz").json() == {"status": "alive"}
    assert httpx.get(f"{server.url}/readyz").status_code == 200
    assert json.loads(httpx.get(f"{server.url}/openapi.json").text)["openapi"] == "3.1.0"
    assert httpx.get(f"{server.url}/checkpoint").text.startswith("ledger.example.org/test\n")
    for path in ("/tile/../../trust.json", "/trust.json", "/tile/entries/../../../keys/authority.key", "/vault.db"):
        assert httpx.get(f"{server.url}{path}").status_code == 404


def test_receipt_is_proven(server: Server) -> None:
    with connect(server, "app") as client:
        receipt = client.write("profile", "kim", {"userName": "kim"}, purpose=PURPOSE).receipt
        assert client.prove(receipt).startswith("c2sp.org/tlog-proof")


def test_doctor_says_how_to_make_a_deployment_where_there_is_none(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ringfence", "doctor", "-d", str(tmp_path)], capture_output=True, text=True, check=False
    )

    assert done.returncode == 3
    assert "ringfence init" in done.stdout
