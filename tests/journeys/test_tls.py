"""A gateway with a certificate: only a client that trusts its authority is served, and nothing is said in plain."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from ruamel.yaml import YAML

from ringfence.client.client import Client
from ringfence.core.errors import UnavailableError
from tests.faults.serving import Server, command
from tests.journeys.certificates import make_authority, make_certificate
from tests.journeys.programs import run
from tests.services.world import US_ADDRESS, make_deployment

PURPOSE = "serve_user"
SET_UP = {"certificate": "tls/gateway.pem", "key": "tls/gateway.key"}


def change_settings(directory: Path, **listen: str) -> None:
    """Change what `listen` says in a deployment's settings."""
    path, yaml = directory / "ringfence.yaml", YAML()
    settings = yaml.load(path.read_text("utf-8"))
    settings["listen"].update(listen)
    with path.open("w", encoding="utf-8") as file:
        yaml.dump(settings, file)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A gateway that speaks TLS, beside its authority's file `ca.pem` and another authority's, `other.pem`."""
    directory = tmp_path_factory.mktemp("tls")
    make_deployment(directory / "deployment")
    make_authority(directory / "other.pem", "Another Example Authority")
    authority = make_authority(directory / "ca.pem", "Example Authority")
    make_certificate(directory / "deployment" / "tls", authority, address="127.0.0.1")
    change_settings(directory / "deployment", certificate="tls/gateway.pem", key="tls/gateway.key")
    server = Server(directory / "deployment")
    server.url = server.url.replace("http://", "https://")
    server.verify = ssl.create_default_context(cafile=str(directory / "ca.pem"))
    server.start()
    yield server
    assert server.stop() == 0


def test_client_that_trusts_the_authority_is_served_and_one_that_does_not_is_not(served: Server) -> None:
    token = command("token", "app", "-d", str(served.deployment))["token"]
    beside = served.deployment.parent
    with Client(served.url, token=token, ca=str(beside / "ca.pem")) as client:
        client._http.headers.update(US_ADDRESS)
        client.write("profile", "ada", {"userName": "ada"}, purpose=PURPOSE)
        assert client.read("profile", "ada", purpose=PURPOSE).fields == {"userName": "ada"}

    for ca in (str(beside / "other.pem"), ""):
        with (
            Client(served.url, token=token, ca=ca, sleep=lambda seconds: None) as stranger,
            pytest.raises(UnavailableError, match="CERTIFICATE_VERIFY_FAILED"),
        ):
            stranger.read("profile", "ada", purpose=PURPOSE)


def test_certificate_is_for_its_address_alone(served: Server) -> None:
    elsewhere = served.url.replace("127.0.0.1", "localhost")
    with (
        Client(elsewhere, token="t", ca=str(served.deployment.parent / "ca.pem"), sleep=lambda seconds: None) as client,
        pytest.raises(UnavailableError, match="CERTIFICATE_VERIFY_FAILED"),
    ):
        client.read("profile", "ada", purpose=PURPOSE)


def test_plain_http_to_that_port_gets_no_answer(served: Server) -> None:
    plain = served.url.replace("https://", "http://")
    with pytest.raises(httpx.TransportError):
        httpx.get(f"{plain}/healthz", timeout=5)
    assert httpx.get(f"{served.url}/healthz", verify=served.verify).status_code == 200


@pytest.mark.parametrize(
    ("newest", "ciphers", "used"),
    [
        (ssl.TLSVersion.TLSv1_3, "DEFAULT", "TLS_"),
        (ssl.TLSVersion.TLSv1_2, "DEFAULT", "GCM"),
        (ssl.TLSVersion.TLSv1_2, "ECDHE+CHACHA20", "CHACHA20"),
        (ssl.TLSVersion.TLSv1_2, "ECDHE-ECDSA-AES128-SHA256:ECDHE-RSA-AES128-SHA256:@SECLEVEL=0", ""),
        (ssl.TLSVersion.TLSv1_2, "ECDHE+eNULL:aNULL:@SECLEVEL=0", ""),
        (ssl.TLSVersion.TLSv1_2, "kRSA:@SECLEVEL=0", ""),
        (ssl.TLSVersion.TLSv1_1, "ALL:@SECLEVEL=0", ""),
    ],
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_only_forward_secret_authenticated_encryption_is_spoken(
    served: Server, newest: ssl.TLSVersion, ciphers: str, used: str
) -> None:
    context = ssl.create_default_context(cafile=str(served.deployment.parent / "ca.pem"))
    context.minimum_version, context.maximum_version = ssl.TLSVersion.MINIMUM_SUPPORTED, newest
    context.set_ciphers(ciphers)
    found = ""

    with (
        contextlib.suppress(ssl.SSLError, ConnectionError),
        socket.create_connection(("127.0.0.1", served.port)) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as connection,
    ):
        found = (connection.cipher() or ("",))[0]

    assert used in found
    assert bool(found) == bool(used), found


def test_command_line_trusts_what_it_is_told_to(served: Server) -> None:
    token = command("token", "app", "-d", str(served.deployment))["token"]
    beside = served.deployment.parent
    options = ["--purpose", PURPOSE, "--url", served.url, "--token", token]

    trusted = run("get", "profile", "nobody", *options, "--ca", str(beside / "ca.pem"))
    refused = run("get", "profile", "nobody", *options, "--ca", str(beside / "other.pem"))

    assert trusted.returncode == 1, trusted.stderr
    assert refused.returncode == 3
    assert "CERTIFICATE_VERIFY_FAILED" in refused.stderr


@pytest.mark.parametrize(
    ("listen", "state", "words"),
    [
        ({"host": "127.0.0.1"}, "good", "127.0.0.1"),
        ({"host": "::1"}, "good", "::1"),
        ({"host": "127.0.0.2"}, "good", "127.0.0.2"),
        ({"host": "192.0.2.10"}, "wrong", "plain HTTP on 192.0.2.10"),
        ({"host": "0.0.0.0"}, "wrong", "plain HTTP on 0.0.0.0"),
        ({"host": "::"}, "wrong", "plain HTTP on ::"),
        ({"host": "gateway.example"}, "wrong", "plain HTTP on gateway.example"),
        ({"host": "192.0.2.10", "certificate": "tls/gateway.pem", "key": "tls/gateway.key"}, "good", "with TLS"),
        ({"certificate": "tls/gateway.pem"}, "wrong", "both"),
        ({"key": "tls/gateway.key"}, "wrong", "both"),
        ({"certificate": "tls/gateway.pem", "key": "tls/absent.key"}, "wrong", "absent.key"),
        ({"certificate": "tls/gateway.key", "key": "tls/gateway.pem"}, "wrong", "cannot be used"),
        ({"certificate": "trust.json", "key": "tls/gateway.key"}, "wrong", "cannot be used"),
        ({**SET_UP, "client_ca": "tls/clients.pem"}, "good", "with TLS and certificates of callers"),
        ({"client_ca": "tls/clients.pem"}, "wrong", "over TLS alone"),
        ({**SET_UP, "client_ca": "tls/absent.pem"}, "wrong", "absent.pem"),
        ({**SET_UP, "client_ca": "tls/gateway.key"}, "wrong", "authorities of callers' certificates cannot be read"),
        ({**SET_UP, "client_ca": "tls/gateway.pem"}, "wrong", "no certificate authority"),
    ],
)
def test_doctor_looks_at_how_the_gateway_listens(
    tmp_path_factory: pytest.TempPathFactory, listen: dict[str, str], state: str, words: str
) -> None:
    directory = tmp_path_factory.getbasetemp() / "listening"
    if not directory.exists():
        make_deployment(directory)
        authority = make_authority(directory.with_name("listening-ca.pem"), "Example Authority")
        make_certificate(directory / "tls", authority, address="192.0.2.10")
        make_authority(directory / "tls" / "clients.pem", "Authority of Callers")
    change_settings(directory, **({"host": "127.0.0.1", "certificate": "", "key": "", "client_ca": ""} | listen))

    done = run("doctor", "-d", str(directory), "--json")

    findings = {finding["check"]: finding for finding in done.facts()["findings"]}
    assert findings["listen"]["state"] == state
    assert words in findings["listen"]["detail"]
    if state == "wrong":
        assert done.returncode == 3
        assert findings["listen"]["hint"]
        refused = None if listen.keys() == {"host"} else run("serve", "-d", str(directory))
        assert refused is None or (refused.returncode == 3 and "hint:" in refused.stderr)
