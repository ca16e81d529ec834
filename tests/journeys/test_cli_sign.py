"""`ringfence key` and `ringfence sign`, as sessions at a terminal, and what those cannot show."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from ringfence.core import changes as c
from ringfence.core.governance.statement import APPROVE, render_statement
from ringfence.core.people.signatures import add_armour
from tests.core.foundings import BYTES as FOUNDING_BYTES
from tests.core.people.ssh_keys import HARDWARE_ALGORITHM, hardware_key, key_line, sign_in_hardware
from tests.core.statements import AT_MS, HOUR_MS, make_statement
from tests.journeys.programs import run_inside
from tests.journeys.sessions import SESSIONS, replay

PASSPHRASE = "correct horse battery staple"


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """A directory with statements of today, one of long ago, and passphrases."""
    now_ms = int(time.time() * 1000)
    today = {"at_ms": now_ms, "expires_ms": now_ms + 24 * HOUR_MS}
    statements = {
        "request.json": make_statement(**today),
        "other.json": make_statement(c.Appoint(person=9, duty="engineer"), ticket="", **today),
        "suspend.json": make_statement(c.Suspend(scope=c.PARTY, name="tiktok"), **today),
        "expired.json": make_statement(at_ms=AT_MS, expires_ms=AT_MS + 24 * HOUR_MS),
    }
    for name, statement in statements.items():
        (tmp_path / name).write_bytes(render_statement(statement))
    (tmp_path / "founding.json").write_bytes(FOUNDING_BYTES)
    (tmp_path / "padded.json").write_bytes(render_statement(make_statement(**today)) + b"\n")
    (tmp_path / "passphrase").write_text(f"{PASSPHRASE}\n")
    (tmp_path / "wrong").write_text("incorrect horse")
    (tmp_path / "short").write_text("horse")
    return tmp_path


@pytest.mark.parametrize("name", sorted(path.name for path in SESSIONS.iterdir()))
def test_session_comes_out_the_same(desk: Path, name: str) -> None:
    replay(name, desk)


@pytest.mark.parametrize("wrong", ["$ echo a\nb", "$ echo a", "$ echo a\na\na", "$ echo a\n? 1\na", "$ false"])
def test_session_that_does_not_come_out_the_same_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    monkeypatch.setattr("tests.journeys.sessions.SESSIONS", tmp_path)
    for name, text in (("right.txt", "$ echo a b c\na ... c\n$ false\n? 1"), ("wrong.txt", wrong)):
        (tmp_path / name).write_text(text)
    replay("right.txt", tmp_path)

    with pytest.raises(AssertionError):
        replay("wrong.txt", tmp_path)


@pytest.mark.parametrize("hostile", [b"\xff", "/dev/zero", "/", "", "absent\n", "a" * 300, "/proc/self/mem"])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_path_that_is_no_such_file_is_refused_by_name(desk: Path, hostile: str | bytes, place: int) -> None:
    assert run_inside("key", "new", "ada", "--no-passphrase", cwd=desk).returncode == 0
    before = sorted(desk.iterdir())
    files: list[str | bytes] = ["request.json", "ada.pub", "request.json"]
    files[place] = hostile

    done = run_inside("sign", files[0], "--as", "approve", "--key", files[1], "--check", files[2], cwd=desk)

    assert done.returncode in {1, 3}
    assert done.stderr.startswith("error: ")
    assert sorted(desk.iterdir()) == before


def test_names_that_are_no_text_are_signed_and_printed_all_the_same(desk: Path) -> None:
    os.rename(desk / "request.json", os.fsencode(desk) + b"/\xff.json")
    assert run_inside("key", "new", b"\xff", "--no-passphrase", cwd=desk).returncode == 0

    done = run_inside("sign", b"\xff.json", "--as", "approve", "--key", b"\xff", "--yes", "--json", cwd=desk)

    assert (done.returncode, done.facts()["signature"]) == (0, "\N{REPLACEMENT CHARACTER}.json.approve.sig")
    assert os.path.exists(os.fsencode(desk) + b"/\xff.json.approve.sig")


# -- hardware ----------------------------------------------------------------------------------------------------------


def test_signature_by_a_hardware_key_is_checked_and_one_without_a_touch_is_refused(desk: Path) -> None:
    message = (desk / "request.json").read_bytes()
    (desk / "ada.pub").write_text(key_line(hardware_key(1), HARDWARE_ALGORITHM.decode()))
    for name, flags in (("touched.sig", 1), ("untouched.sig", 0)):
        signature = sign_in_hardware(1, message, namespace=APPROVE.encode(), flags=flags)
        (desk / name).write_bytes(add_armour(signature))
    check = ["sign", "request.json", "--as", "approve", "--key", "ada.pub", "--json", "--check"]

    touched, untouched = run_inside(*check, "touched.sig", cwd=desk), run_inside(*check, "untouched.sig", cwd=desk)

    assert (touched.returncode, touched.facts()["as"]) == (0, "approve")
    assert (untouched.returncode, untouched.stdout) == (1, "")
    assert "without anybody touching the key" in untouched.stderr
    shown = run_inside("key", "show", "ada.pub", cwd=desk).stdout
    assert shown.startswith('sk-ssh-ed25519@openssh.com for "ssh:" SHA256:')


# -- what no key is ----------------------------------------------------------------------------------------------------


def test_private_key_of_another_algorithm_signs_nothing(desk: Path) -> None:
    other = generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    for name, data in (
        ("ecdsa", other),
        ("garbage", b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n"),
        ("large", other * 99),
    ):
        (desk / name).write_bytes(data)
        (desk / name).chmod(0o600)

        done = run_inside("sign", "request.json", "--as", "approve", "--key", name, "--yes", "--json", cwd=desk)

        assert (done.returncode, done.stdout) == (1, ""), name
        assert done.stderr.startswith("error: "), name
        assert not list(desk.glob("*.sig")), name


def test_nothing_of_a_pair_is_left_when_its_public_half_cannot_be_written(tmp_path: Path) -> None:
    fits_without_pub = "a" * 253

    done = run_inside("key", "new", fits_without_pub, "--no-passphrase", cwd=tmp_path)

    assert done.returncode == 3
    assert "cannot be written" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_comment_that_would_make_two_lines_is_refused(tmp_path: Path) -> None:
    done = run_inside("key", "new", "ada", "--no-passphrase", "--comment", "ada\nssh-ed25519 AAAA", cwd=tmp_path)

    assert done.returncode == 1
    assert list(tmp_path.iterdir()) == []


# -- at a terminal -----------------------------------------------------------------------------------------------------


def at_terminal(directory: Path, *arguments: str, typed: list[tuple[str, str]]) -> tuple[int, str]:
    """Run a command at a terminal, typing each answer when its question has been asked; gives code and screen."""
    master, slave = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "ringfence", *arguments],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        cwd=directory,
        start_new_session=True,
    )
    os.close(slave)
    screen, waiting = "", list(typed)
    try:
        while True:
            if waiting and screen.endswith(waiting[0][0]):
                os.write(master, waiting.pop(0)[1].encode() + b"\n")
            try:
                screen += os.read(master, 4096).decode()
            except OSError:  # the program has closed its terminal
                break
    finally:
        os.close(master)
        code = process.wait(timeout=60)
    return code, screen


def test_passphrase_is_asked_for_and_never_shown(desk: Path) -> None:
    questions = [("Passphrase: ", PASSPHRASE), ("Once more: ", PASSPHRASE)]
    code, screen = at_terminal(desk, "key", "new", "ada", typed=questions)
    assert code == 0, screen
    assert PASSPHRASE not in screen
    assert b"ENCRYPTED" not in (desk / "ada").read_bytes()  # OpenSSH's own form does not say so; it cannot be unlocked
    unlock = ["sign", "request.json", "--as", "approve", "--key", "ada"]
    assert run_inside(*unlock, "--passphrase-file", "wrong", "--yes", "--json", cwd=desk).returncode == 1

    asked = [("Do you approve this? [y/N]: ", "y"), ("Passphrase of ada: ", PASSPHRASE)]
    code, screen = at_terminal(desk, *unlock, typed=asked)

    assert code == 0, screen
    assert PASSPHRASE not in screen
    assert (desk / "request.json.approve.sig").exists()


def test_new_key_without_the_same_passphrase_twice_is_not_made(tmp_path: Path) -> None:
    questions = [("Passphrase: ", "short"), ("Once more: ", "short")]

    code, screen = at_terminal(tmp_path, "key", "new", "ada", typed=questions)

    assert code == 1
    assert "at least 8 characters" in screen
    assert list(tmp_path.iterdir()) == []
