"""Every command, used wrongly: a message, a hint where one helps, the documented exit code, never a traceback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from mmdb_writer import MMDBWriter
from netaddr import IPSet
from ruamel.yaml import YAML

from ringfence.cli.main import cli
from ringfence.core.governance.statement import render_statement
from tests.core.statements import HOUR_MS, make_statement
from tests.faults.serving import Server, command
from tests.journeys.programs import Done, complained, hear_interrupts, run, run_inside
from tests.journeys.test_cli_mistakes_of_people import AGREED
from tests.services.world import EXAMPLE, make_deployment

CHARTER = str(EXAMPLE)
NEEDS_DEPLOYMENT = {
    "charter enact": [CHARTER],
    "principal register": ["x", "--party", "tiktok"],
    "principal withdraw": ["x"],
    "principal list": [],
    "token": ["app"],
    "credential issue": ["app", "--attestation", CHARTER, "--certificate", CHARTER],
    "credential key": [],
    "people import": [CHARTER],
    "people list": [],
    "people show": ["x"],
    "ingest": [CHARTER],
    "serve": [],
    "ledger sequence": ["--once"],
    "ledger export": ["bundle"],
    "ledger checkpoint": [],
    "ledger recover": ["3", "--reason", "x"],
    "vault audit": [],
    "prove matrix": [],
    "prove coalition": [],
}
CALLS = {
    "get": ["profile", "ada"],
    "put": ["profile", "ada", "--fields", "{}"],
    "find": ["profile", "emailAddress", "ada@example.com"],
    "erase": ["ada"],
    "export": ["ada"],
}
NOT_UTF8 = b"\xff"


def commands(group: click.Group, context: click.Context, path: str = "") -> Iterator[tuple[str, click.Command]]:
    """Give every command with its words."""
    for name in group.list_commands(context):
        found = group.get_command(context, name)
        assert found is not None
        words = f"{path} {name}".strip()
        if isinstance(found, click.Group):
            yield from commands(found, context, words)
        else:
            yield words, found


ALL = dict(commands(cli, click.Context(cli)))


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A deployment with nothing published yet; no test here changes it."""
    directory = tmp_path_factory.mktemp("mistakes") / "deployment"
    make_deployment(directory)
    return directory


def test_every_command_is_looked_at_here() -> None:
    charter = {"charter check", "charter explain", "charter export", "charter schema"}
    reports = {"why", "review access", "review activity", "review stale"}
    apart = {"init", "doctor", "demo", "verify", "ledger check-receipt", "synthetic", *charter, *reports}
    own_key = {"key new", "key show", "sign", "share"}
    assert set(ALL) == {*NEEDS_DEPLOYMENT, *CALLS, *apart, *own_key, *AGREED}


def test_every_command_explains_itself() -> None:
    for words, found in ALL.items():
        assert found.help, words
        assert all(
            option.help
            for option in found.params
            if isinstance(option, click.Option) and not option.hidden and option.name not in {"url", "refutations"}
        ), words


@pytest.mark.parametrize(
    ("words", "where"),
    [(words, "absent") for words in NEEDS_DEPLOYMENT]
    + [(words, where) for words in ("principal list", "serve") for where in ("empty", "file", "broken", "wrong")],
)
def test_command_without_its_deployment_says_how_to_make_or_mend_one(tmp_path: Path, words: str, where: str) -> None:
    directory = tmp_path / where
    if where == "file":
        directory.write_text("x")
    elif where != "absent":
        directory.mkdir()
    if where == "broken":
        (directory / "ringfence.yaml").write_bytes(b"\xff: [")
    if where == "wrong":
        (directory / "ringfence.yaml").write_text("region: virginia\nstores: sqlite\nlisten: {port: many}\n")

    done = run_inside(*words.split(), *NEEDS_DEPLOYMENT[words], "-d", str(directory), cwd=tmp_path)

    complained(done, 3, hint=where != "broken")
    if where == "wrong":
        assert "stores" in done.stderr
        assert "listen.port" in done.stderr


@pytest.mark.parametrize(
    ("words", "option", "value", "code"),
    [
        *((words, "--url", "http://127.0.0.1:9", 3) for words in CALLS),
        *((words, "--url", "gateway", 1) for words in CALLS),
        ("get", "--url", "", 1),
        ("get", "--url", "ftp://gateway.example", 1),
        ("get", "--url", "http://[::1", 1),
        ("get", "--url", "http://127.0.0.1:99999", 1),
        ("get", "--url", b"http://\xff/", 1),
        ("get", "--ca", "/absent.pem", 3),
        ("get", "--ca", CHARTER, 3),
        *((words, "--cert", "/absent.pem", 3) for words in CALLS),
        ("get", "--key", "/absent.key", 3),
        ("get", "--token", "a\nb", 1),
        ("get", "--token", "ä", 1),
        ("get", "--token", "", 1),
        ("export", "--purpose", NOT_UTF8, 1),
        ("get", "--purpose", NOT_UTF8, 1),
    ],
)
def test_call_with_a_wrong_option_is_refused_before_it_is_sent(
    words: str, option: str, value: str | bytes, code: int
) -> None:
    given = {"--url": "http://127.0.0.1:9", "--token": "t", "--purpose": "p", option: value}
    options = [part for pair in given.items() for part in pair]
    complained(run_inside(words, *CALLS[words], *options), code, hint=option != "--token")


@pytest.mark.parametrize(
    "arguments",
    [
        ["get", "profile", NOT_UTF8],
        ["get", "profile", ".."],
        ["get", "", "ada"],
        ["put", NOT_UTF8, "ada", "--fields", "{}"],
        ["put", "profile", "ada", "--fields", "[]"],
        ["put", "profile", "ada", "--fields", ""],
        ["put", "profile", "ada", "--fields", '{"a":NaN}'],
        ["put", "profile", "ada", "--fields", '{"a":1,"a":2}'],
        ["put", "profile", "ada", "--fields", r'{"a":"\ud800"}'],
        ["put", "profile", "ada", "--fields", b'{"a":"\xff"}'],
        ["put", "profile", "ada", "--fields", '{"a":1e999}'],
        ["put", "profile", "ada"],
        ["find", "profile", "emailAddress", NOT_UTF8],
        ["erase", NOT_UTF8],
        ["erase", "."],
        ["export", NOT_UTF8],
    ],
)
def test_name_or_record_that_cannot_be_sent_is_refused(arguments: list[str | bytes]) -> None:
    options = ["--purpose", "p", "--token", "t", "--url", "http://127.0.0.1:9"]
    complained(run_inside(*arguments, *options, given=b'{"a":"\xff"}'), 1, hint=False)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["init", "NEW", "--charter", "/absent.yaml"], 1),
        (["init", "NEW", "--charter", "."], 1),
        (["init", "NEW", "--region", "nowhere"], 1),
        (["init", "NEW", "--region", NOT_UTF8], 1),
        (["init", "NEW", "--store", "mysql://db.example"], 3),
        (["init", "NEW", "--store", "postgresql://127.0.0.1:9/absent"], 3),
        (["init", "NEW", "--geography", "/absent.mmdb"], 3),
        (["init", "NEW", "--origin", "two words"], 1),
        (["init", "NEW", "--origin", ""], 1),
        (["init", CHARTER], 3),
        (["init", CHARTER + "/inside"], 3),
        (["init", "/proc/absent"], 3),
    ],
)
def test_failed_init_leaves_nothing_that_stops_the_next_one(
    tmp_path: Path, arguments: list[str | bytes], code: int
) -> None:
    new = str(tmp_path / "new")
    given: list[str | bytes] = ["--charter", CHARTER, "--region", "virginia"]
    failed = run_inside(
        *[new if part == "NEW" else part for part in [arguments[0], arguments[1], *given, *arguments[2:]]]
    )

    complained(failed, code, hint="postgresql://127.0.0.1:9/absent" not in arguments)
    assert not os.path.exists(new) or os.listdir(new) == []


def test_init_twice_is_refused_and_the_first_is_left_as_it_was(deployment: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in deployment.rglob("*.key")}
    complained(run_inside("init", str(deployment), "--charter", CHARTER, "--region", "virginia"), 3)
    assert {path: path.stat().st_mtime_ns for path in deployment.rglob("*.key")} == before


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["charter", "enact", "/absent.yaml"], 1),
        (["charter", "enact", CHARTER], 1),
        (["principal", "register", "app", "--party", "tiktok"], 1),
        (["principal", "register", "new", "--party", "nobody"], 1),
        (["principal", "register", "", "--party", "tiktok"], 1),
        (["principal", "register", "x" * 256, "--party", "tiktok"], 1),
        (["principal", "register", NOT_UTF8, "--party", "tiktok"], 1),
        (["principal", "register", "new", "--party", "tiktok", "--issuer", ""], 1),
        (["principal", "withdraw", "nobody"], 1),
        (["token", "nobody"], 1),
        (["token", NOT_UTF8], 1),
        (["ledger", "checkpoint"], 3),
        (["ledger", "export", "bundle"], 3),
        (["ledger", "recover", "99", "--reason", "x"], 1),
        (["ledger", "recover", "0", "--reason", "x"], 1),
        (["ingest", CHARTER, "--purpose", "nonsense"], 1),
        (["ingest", CHARTER, "--report", "/absent/report"], 3),
        (["serve", "--processes", "2"], 3),
    ],
)
def test_wrong_value_is_refused_and_changes_nothing(
    deployment: Path, tmp_path: Path, arguments: list[str | bytes], code: int
) -> None:
    before = run_inside("principal", "list", "-d", str(deployment)).stdout
    complained(run_inside(*arguments, "-d", str(deployment), cwd=tmp_path), code, hint=False)
    assert run_inside("principal", "list", "-d", str(deployment)).stdout == before


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nonsense"],
        ["get"],
        ["get", "profile", "ada", "--token", "t"],
        ["get", "profile", "ada", "--purpose", "p"],
        ["token", "app", "--hours", "25"],
        ["token", "app", "--hours", "many"],
        ["serve", "--port", "65536"],
        ["serve", "--processes", "0"],
        ["ledger", "recover", "one", "--reason", "x"],
        ["ledger", "recover", "1"],
        ["ledger", "check-receipt", "1-1-0-x", "proof"],
        ["ledger", "check-receipt"],
        ["ingest", "/absent"],
        ["ingest"],
        ["verify"],
        ["verify", ".", "--jobs", "0"],
        ["verify", ".", "--from", "-1"],
        ["why", "."],
        ["review", "access"],
        ["review", "stale", ".", "--from", "yesterday"],
        ["init", "x", "--region", "virginia"],
        ["doctor", "--nonsense"],
        [b"\xff"],
        ["principal"],
        ["ledger", "nonsense"],
    ],
)
def test_command_used_wrongly_says_how_it_is_used(arguments: list[str | bytes]) -> None:
    done = run_inside(*arguments, RINGFENCE_TOKEN="")
    assert done.returncode == 2
    assert done.stdout == ""
    assert "Usage: " in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [["/absent"], [CHARTER], ["/dev/null"], ["."], [".", "--trust", "/absent"], [".", "--since", "/absent"]],
)
def test_bundle_that_cannot_be_read_is_never_verified_and_never_refuted(tmp_path: Path, arguments: list[str]) -> None:
    for as_json in ([], ["--json"]):
        done = run_inside("verify", *arguments, *as_json, cwd=tmp_path)
        assert done.returncode == 2
        assert (
            "cannot be read" in done.stdout + done.stderr
            or "no directory" in done.stdout
            or "UNREADABLE" in done.stdout
            or as_json
        )
        if as_json:
            assert done.facts()["outcome"] == "unreadable"


def test_demo_without_its_charter_says_where_to_run_it(tmp_path: Path) -> None:
    complained(run_inside("demo", cwd=tmp_path), 3)


# -- output --------------------------------------------------------------------------------------------------------


def ending(arguments: list[str], *, stdout: int, stderr: int = subprocess.PIPE) -> tuple[int, str]:
    """Run with this standard output; gives the exit code and what was said on standard error."""
    program = [sys.executable, "-m", "ringfence", *arguments]
    done = subprocess.run(program, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, check=False, timeout=60)
    return done.returncode, (done.stderr or b"").decode()


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["charter", "schema"],
        ["charter", "check", CHARTER],
        ["charter", "explain", CHARTER],
        ["principal", "list", "-d", "DEPLOYMENT"],
        ["verify", "/absent"],
        ["doctor", "-d", "/absent"],
    ],
)
def test_output_that_nobody_reads_is_neither_done_nor_refused(deployment: Path, arguments: list[str]) -> None:
    arguments = [str(deployment) if part == "DEPLOYMENT" else part for part in arguments]
    reader, writer = os.pipe()
    os.close(reader)
    try:
        assert ending(arguments, stdout=writer) == (141, "")
        assert ending(arguments, stdout=writer, stderr=writer)[0] in {141, 3}
    finally:
        os.close(writer)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
@pytest.mark.parametrize(
    "arguments",
    [["--version"], ["charter", "schema"], ["principal", "list", "-d", "DEPLOYMENT"], ["verify", "/absent"]],
)
def test_output_on_a_full_disk_is_an_error(deployment: Path, arguments: list[str]) -> None:
    arguments = [str(deployment) if part == "DEPLOYMENT" else part for part in arguments]
    with open("/dev/full", "wb") as full:
        code, said = ending(arguments, stdout=full.fileno())
    assert code == 3
    assert said.startswith("error: No space left")
    assert "hint: " in said


def test_message_that_nobody_reads_leaves_the_exit_code(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    assert ending(["principal", "list", "-d", str(tmp_path)], stdout=subprocess.DEVNULL, stderr=writer)[0] == 3
    assert ending(["nonsense"], stdout=subprocess.DEVNULL, stderr=writer)[0] == 2
    os.close(writer)


# -- interruption --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments", [["charter", "check", "-"], ["put", "profile", "ada", "--purpose", "p", "--token", "t"]]
)
def test_interrupted_command_says_so_with_its_own_code(arguments: list[str]) -> None:
    program = [sys.executable, "-m", "ringfence", *arguments]
    pipe = subprocess.PIPE
    process = subprocess.Popen(program, stdin=pipe, stdout=pipe, stderr=pipe, preexec_fn=hear_interrupts)
    _wait_until_it_reads(process)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stdout) == (130, b"")
    assert stderr.decode().strip() == "interrupted"


@pytest.mark.parametrize("arguments", [["serve", "--port", "0"], ["ledger", "sequence"]])
def test_service_that_is_interrupted_ends_as_it_should(tmp_path: Path, arguments: list[str]) -> None:
    make_deployment(tmp_path / "deployment")
    program = [sys.executable, "-m", "ringfence", *arguments, "-d", str(tmp_path / "deployment")]
    process = subprocess.Popen(program, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 40
    while not (tmp_path / "deployment" / "ledger" / "checkpoint").exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stdout) == (0, b""), stderr.decode()
    assert "Traceback" not in stderr.decode()


def _wait_until_it_reads(process: subprocess.Popen[bytes]) -> None:
    """Wait until the process sleeps in a read of its standard input."""
    deadline = time.monotonic() + 40
    waits = Path(f"/proc/{process.pid}/wchan")
    while time.monotonic() < deadline:
        assert process.poll() is None
        state = Path(f"/proc/{process.pid}/syscall")
        try:
            if state.read_text().split()[:2] == ["0", "0x0"]:
                return
        except OSError:
            if waits.exists() and "pipe" in waits.read_text():
                return
        time.sleep(0.05)
    raise AssertionError("it never read its input")


# -- --json --------------------------------------------------------------------------------------------------------


def test_with_json_every_command_prints_one_object_and_nothing_else(tmp_path: Path) -> None:
    without = {"serve", "ledger sequence", "demo", "session"}
    assert {
        words for words, found in ALL.items() if "--json" not in {o for p in found.params for o in p.opts}
    } == without

    directory = tmp_path / "deployment"
    make_deployment(directory)
    _place_loopback_in_the_us(directory)
    server = Server(directory)
    server.start()
    here, token = ["-d", str(directory)], command("token", "app", "-d", str(directory))["token"]
    charter = tmp_path / "second.yaml"
    charter.write_text(EXAMPLE.read_text("utf-8").replace("version: 1", "version: 2", 1), "utf-8")
    statement = tmp_path / "request.json"
    now_ms = int(time.time() * 1000)
    statement.write_bytes(render_statement(make_statement(at_ms=now_ms, expires_ms=now_ms + 24 * HOUR_MS)))
    bundle = str(tmp_path / "bundle")
    call = ["--url", server.url, "--token", token]
    runs: dict[str, list[str]] = {
        "synthetic": [str(tmp_path / "made-up"), "--users", "1"],
        "init": [str(tmp_path / "other"), "--charter", CHARTER, "--region", "virginia"],
        "charter check": [CHARTER],
        "charter explain": [CHARTER],
        "charter export": [CHARTER, "--format", "cedar"],
        "charter schema": [],
        "charter enact": [str(charter), *here],
        "principal register": ["second", "--party", "tiktok", *here],
        "principal withdraw": ["second", *here],
        "principal list": here,
        "token": ["app", *here],
        "key new": [str(tmp_path / "ada"), "--no-passphrase"],
        "key show": [str(tmp_path / "ada.pub")],
        "sign": [str(statement), "--as", "approve", "--key", str(tmp_path / "ada"), "--yes"],
        "put": ["posts", "ada", "--fields", '{"Title":"a"}', *call, "--purpose", "serve_user"],
        "find": ["profile", "emailAddress", "nobody@example.com", *call, "--purpose", "serve_user"],
        "export": ["ada", *call, "--purpose", "user_request"],
        "ledger checkpoint": here,
        "ledger export": [bundle, *here],
        "verify": [bundle, "--trust", str(directory / "trust.json")],
        "why": [bundle, "1"],
        "review access": [bundle],
        "review activity": [bundle],
        "review stale": [bundle],
        "prove matrix": [bundle],
        "doctor": here,
    }
    alone = {"vault audit": here, "ingest": [CHARTER, *here]}
    try:
        for words, arguments in runs.items():
            _check_object(words, run(*words.split(), *arguments, "--json"))
    finally:
        assert server.stop() == 0
    for words, arguments in alone.items():
        _check_object(words, run(*words.split(), *arguments, "--json"))
    elsewhere = {"get", "erase", "ledger recover", "share", "people import", "people list", "people show"}
    elsewhere |= {"credential issue", "credential key", "prove coalition", "ledger check-receipt"}
    assert set(ALL) - set(runs) - set(alone) - without - set(AGREED) == elsewhere


def _check_object(words: str, done: Done) -> None:
    assert done.returncode == 0 or (words == "doctor" and done.returncode == 3), (words, done.stderr)
    assert done.facts(), words
    assert done.stdout.count("\n") == 1, words


def _place_loopback_in_the_us(directory: Path) -> None:
    writer = MMDBWriter(4, database_type="Test")
    writer.insert_network(IPSet(["127.0.0.0/8"]), {"country": {"iso_code": "US"}})
    path, yaml = directory / "ringfence.yaml", YAML()
    settings = yaml.load(path.read_text("utf-8"))
    settings["trusted_proxies"] = {}
    settings["geography"] = str(directory.with_name("loopback.mmdb"))
    writer.to_db_file(settings["geography"])
    with path.open("w", encoding="utf-8") as file:
        yaml.dump(settings, file)
