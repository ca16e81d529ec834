"""A call from this machine counts as from a country in development, which its entry says; never in production."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from ringfence.app.ceremony import finish_ceremony
from ringfence.app.deployment import open_deployment
from ringfence.client.client import Client
from ringfence.core.errors import DeniedError
from ringfence.core.governance.founding import FOUND
from tests.faults.serving import Server, command
from tests.founders import EXAMPLE_PEOPLE, hand_in_shares, write_plan
from tests.governed import sign
from tests.journeys.programs import run, run_inside
from tests.services.world import EXAMPLE

GIVEN = ["--charter", str(EXAMPLE), "--region", "virginia"]
ABROAD = {"x-forwarded-for": "203.0.113.130"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    directory = tmp_path_factory.mktemp("developing") / "deployment"
    command("init", str(directory), *GIVEN, "--development-country", "US", "--trusted-proxy", "edge=127.0.0.1/32")
    command("principal", "register", "app", "--party", "tiktok", "-d", str(directory))
    running = Server(directory)
    running.start()
    yield running
    running.stop()


def test_call_from_this_machine_is_served_and_verify_says_what_that_rests_on(server: Server, tmp_path: Path) -> None:
    token = command("token", "app", "-d", str(server.deployment))["token"]
    with Client(server.url, token=token) as client:
        client.write("profile", "ada", {"userName": "ada"}, purpose="serve_user")
        client._http.headers.update(ABROAD)
        with pytest.raises(DeniedError) as refused:
            client.read("profile", "ada", purpose="serve_user")
        client.prove(refused.value.receipt)  # asked again until both entries are under a signed checkpoint

    command("ledger", "export", str(tmp_path / "bundle"), "-d", str(server.deployment))
    verdict = command("verify", str(tmp_path / "bundle"), "--trust", str(server.deployment / "trust.json"))
    assert verdict["asserted"]["country"]["development"] >= 1
    assert verdict["asserted"]["country"]["proxy edge"] >= 1


def test_development_country_is_refused_in_production(tmp_path: Path) -> None:
    plan = str(write_plan(tmp_path, EXAMPLE_PEOPLE, [], holders=["fay", "gus", "kay"]))
    options = ["--production", "--ceremony", plan, "--development-country", "US"]
    refused = run_inside("init", str(tmp_path / "new"), *GIVEN, *options)
    assert refused.returncode != 0
    assert "development country" in refused.stderr
    assert not (tmp_path / "new").exists()

    directory = tmp_path / "deployment"
    command("init", str(directory), *GIVEN, "--production", "--ceremony", plan)
    hand_in_shares(directory, ["fay", "gus"])
    document = (directory / "ceremony" / "founding.json").read_bytes()
    asyncio.run(finish_ceremony(open_deployment(directory), [sign(name, document, FOUND) for name in EXAMPLE_PEOPLE]))
    settings = directory / "ringfence.yaml"
    settings.write_text(settings.read_text().replace("development_country: ''", "development_country: US"))
    served = run("serve", "-d", str(directory), "--port", "0")
    assert served.returncode == 3
    assert "`development_country` is set" in served.stderr
    findings = run_inside("doctor", "-d", str(directory), "--json").facts()["findings"]
    assert [f["detail"] for f in findings if f["state"] == "wrong" and "development_country" in f["detail"]]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--development-country", "USA"], "development_country"),
        (["--development-country", "us"], "development_country"),
        (["--trusted-proxy", "127.0.0.1/32"], "NAME=NETWORK"),
        (["--trusted-proxy", "edge="], "NAME=NETWORK"),
        (["--trusted-proxy", "edge=127.0.0.1/32", "--trusted-proxy", "edge=127.0.0.2/32"], "NAME=NETWORK"),
        (["--trusted-proxy", "edge=nowhere"], "trusted_proxies"),
    ],
)
def test_wrong_place_is_refused_before_anything_is_made(tmp_path: Path, options: list[str], words: str) -> None:
    refused = run_inside("init", str(tmp_path / "new"), *GIVEN, *options)
    assert refused.returncode != 0
    assert words in refused.stderr
    assert not (tmp_path / "new").exists()
