"""`ringfence session`: a shell under one grant, recorded line by line, that ends with the grant."""

from __future__ import annotations

import os
import pty
import time
from collections.abc import Iterator
from pathlib import Path
from subprocess import Popen

import pytest

from tests.faults.serving import command
from tests.founders import number_of
from tests.journeys.desks import GRANT, Desk, open_desks

GET = "get profile ann\n"


@pytest.fixture(scope="module")
def desks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Desk]]:
    with open_desks(tmp_path_factory.mktemp("session")) as desks:
        app = Desk("app", desks["eve"].folder, desks["eve"].server)
        app.do("put", "profile", "ann", "--fields", '{"userName": "ann"}', "--purpose", "serve_user")
        yield desks


@pytest.fixture(scope="module")
def grant(desks: dict[str, Desk]) -> str:
    """A grant to eve that lasts."""
    return give(desks, "lasting")


def give(desks: dict[str, Desk], name: str, *, users: str = "subjects_any: true") -> str:
    change = GRANT.replace("support_user", "find_fault").replace("subjects_any: true", users)
    proposal = desks["eve"].ask(change, name=name)
    desks["ada"].agree(proposal)
    return str(desks["ben"].agree(proposal)["number"])


def revoke(desks: dict[str, Desk], grant: str) -> None:
    desks["ada"].order(f"do: revoke-grant\ngrant: {grant}\n", name=f"revoke-{grant}")


def reads_under(grant: int, deployment: Path, folder: Path) -> list[tuple[int, int, str]]:
    """Give who read how often for which purpose, once the sequencer has it."""
    found: list[tuple[int, int, str]] = []
    for turn in range(20):
        evidence = str(folder / f"evidence-{turn}")
        command("ledger", "export", evidence, "-d", str(deployment))
        rows = command("review", "activity", evidence)["rows"]
        found = [
            (row["principal"], row["times"], row["purpose"])
            for row in rows
            if row["grant"] == grant and row["verb"] == "read"
        ]
        if found:
            break
        time.sleep(0.5)
    return found


def test_each_line_is_one_entry_under_the_grant(desks: dict[str, Desk], grant: str, tmp_path: Path) -> None:
    eve = desks["eve"]

    done = eve.run("session", grant, typed=f"# two reads\n{GET}\n{GET}exit\n{GET}")

    assert done.returncode == 0, done.stderr
    assert done.stdout.count('userName: "ann"') == 2
    assert done.stdout.count("(receipt ") == 2
    assert f"grant {grant}: find_fault; profile, classes protected, public; any user; up to 5 records" in done.stderr
    assert reads_under(int(grant), eve.server.deployment, tmp_path) == [(number_of("eve"), 2, "find_fault")]


def test_session_under_a_grant_for_named_users_reads_these_alone(desks: dict[str, Desk]) -> None:
    Desk("app", desks["eve"].folder, desks["eve"].server).do(
        *("put", "profile", "bob", "--fields", '{"userName": "bob"}', "--purpose", "serve_user")
    )
    done = desks["eve"].run("session", give(desks, "named", users="users: [ann]"), typed=f"{GET}get profile bob\n")
    assert done.returncode == 1
    assert "the users that it names" in done.stderr
    assert done.stdout.count('userName: "ann"') == 1
    assert "bob" not in done.stdout


def look(program: Popen[str]) -> None:
    """Look at ann in a session that goes on."""
    assert program.stdin
    assert program.stdout
    program.stdin.write(GET)
    program.stdin.flush()
    assert program.stdout.readline() == 'userName: "ann"\n'


def test_session_ends_when_the_grant_is_revoked_while_it_waits(desks: dict[str, Desk]) -> None:
    grant = give(desks, "waiting")
    with desks["eve"].start("session", grant) as program:
        look(program)
        revoke(desks, grant)
        assert program.wait(30) == 1  # its input is still open
        assert program.stderr
        assert program.stderr.read().endswith(f"grant {grant} has ended: the session is over\n")


def test_session_on_a_terminal_prompts_and_ends_with_the_grant(desks: dict[str, Desk]) -> None:
    grant = give(desks, "terminal")
    ours, theirs = pty.openpty()
    with desks["eve"].start("session", grant, stdin=theirs) as program:
        os.close(theirs)
        os.write(ours, b"get profile nobody\nnonsense\n")
        time.sleep(1)
        assert program.poll() is None  # mistakes end nothing on a terminal
        revoke(desks, grant)
        assert program.wait(30) == 1
        assert program.stderr
        said = program.stderr.read()
        os.close(ours)
    assert "none of this session's commands" in said
    assert "the session is over" in said


def test_line_does_not_leave_the_grant(desks: dict[str, Desk], grant: str) -> None:
    options = (
        "--grant 1",
        "--purpose=serve_user",
        "--token x",
        "--url http://127.0.0.1:9",
        "--ca none",
        "--cert x",
        "--key x",
    )
    done = desks["eve"].run("session", grant, typed="".join(f"get profile ann {option}\n" for option in options))
    assert done.returncode == 2
    assert done.stderr.count("is the session's: open another one") == len(options)
    assert done.stdout == ""


def test_line_beyond_the_grants_verbs_is_no_command(desks: dict[str, Desk], grant: str) -> None:
    lines = ("put profile ann", "erase ann", "find profile emailAddress x", "token app", "'open")
    done = desks["eve"].run("session", grant, typed="\n".join([*lines, "help"]))
    assert done.returncode == 2
    assert done.stderr.count("error: ") == len(lines)
    assert "Traceback" not in done.stderr
    assert "get [OPTIONS] DATASET USER [RECORD]" in done.stderr


def test_refused_line_is_told_and_the_script_says_so(desks: dict[str, Desk], grant: str) -> None:
    done = desks["eve"].run("session", grant, typed=f"get posts ann\n{GET}")
    assert done.returncode == 1
    assert "error: " in done.stderr
    assert done.stdout.count('userName: "ann"') == 1


def test_grant_that_is_somebody_elses_or_ended_opens_no_session(desks: dict[str, Desk], grant: str) -> None:
    other = desks["ada"].run("session", grant, typed=GET)
    assert (other.returncode, other.stdout) == (1, "")
    assert f"you have no grant {grant}" in other.stderr
    gone = give(desks, "gone")
    revoke(desks, gone)
    ended = desks["eve"].run("session", gone, typed=GET)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert f"grant {gone} is not live" in ended.stderr


def test_session_ends_when_the_gateway_does_not_say_that_the_grant_holds(desks: dict[str, Desk], grant: str) -> None:
    """Last in this file: it stops the gateway, and starts it again."""
    server = desks["eve"].server
    with desks["eve"].start("session", grant) as program:
        look(program)
        assert server.stop() == 0
        try:
            assert program.wait(60) == 1
        finally:
            server.start()
        assert program.stderr
        assert f"nobody says whether grant {grant} holds" in program.stderr.read()
