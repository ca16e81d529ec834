"""The README's session at a terminal does what it prints, command by command."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import msgspec
import pytest

from ringfence.gateway.openapi import openapi_document
from tests.journeys.documents import ROOT, list_blocks
from tests.journeys.transcripts import Step, is_said, read_transcript, run_steps

README = ROOT / "README.md"
CALLING = ROOT / "docs" / "calling.md"
PORT = 8340
START_SECONDS_MAX = 60.0


def test_session_of_the_readme_is_as_printed(tmp_path: Path) -> None:
    preparing, calling = (read_transcript(block) for block in list_blocks(README, "console"))
    serving = preparing.pop()
    assert serving.command == "ringfence serve"
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "NO_COLOR": "1"}

    require_said(preparing, run_steps(preparing, directory=tmp_path, environment=environment))
    port = move_to_free_port(tmp_path / "deployment" / "ringfence.yaml")
    log = tmp_path / "serve.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            serving.command.split(), stdout=file, stderr=file, cwd=tmp_path, env=environment, start_new_session=True
        )
    try:
        wait_until_ready(f"http://127.0.0.1:{port}", process, log)
        at_port = {**environment, "RINGFENCE_URL": f"http://127.0.0.1:{port}"}
        require_said(calling, run_steps(calling, directory=tmp_path, environment=at_port))
        require_python_said(directory=tmp_path, environment=at_port)
    finally:
        process.terminate()
        process.wait(30)
    assert is_said(serving.said.replace(str(PORT), str(port)), log.read_text("utf-8").strip())


def require_said(steps: list[Step], found: list[str]) -> None:
    for step, text in zip(steps, found, strict=True):
        assert is_said(step.said, text), f"$ {step.command}\nprinted:\n{text}\nand the document says:\n{step.said}"


def require_python_said(*, directory: Path, environment: dict[str, str]) -> None:
    """Run the client's example against the gateway of the README's session."""
    (source,), (said,) = list_blocks(CALLING, "python"), list_blocks(CALLING, "text")
    command = f'RINGFENCE_TOKEN=$(ringfence token app) "{sys.executable}" example.py'
    (directory / "example.py").write_text(source, "utf-8")
    (found,) = run_steps([Step(command, said)], directory=directory, environment=environment)
    assert is_said(said.strip(), found), found


def test_calls_that_are_listed_are_those_of_the_gateway() -> None:
    listed = re.findall(r"`([A-Z]+) (/[^`]*)`", CALLING.read_text("utf-8"))
    served = [
        (method.upper(), path)
        for path, methods in msgspec.json.decode(openapi_document())["paths"].items()
        for method in methods
        if method != "parameters"
    ]

    assert sorted(listed) == sorted(served)


def move_to_free_port(settings: Path) -> int:
    """The documented port may be taken on this machine."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    text = settings.read_text("utf-8")
    assert f"port: {PORT}" in text
    settings.write_text(text.replace(f"port: {PORT}", f"port: {port}"), "utf-8")
    return port


def wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text("utf-8")
        try:
            if httpx.get(f"{url}/readyz", timeout=2).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.05)
    raise AssertionError(f"not ready: {log.read_text('utf-8')}")


@pytest.mark.parametrize(
    ("expected", "found", "same"),
    [
        ("one\ntwo", "one\ntwo", True),
        ("one\ntwo", "one\ntwo\nthree", False),
        ("one\n...", "one\ntwo\nthree", True),
        ("one\n...", "one", True),
        ("one\n...\nfour", "one\ntwo\nthree\nfour", True),
        ("one\n...\nfour", "one\nfour", True),
        ("one\n...\nfour", "one\ntwo", False),
        ("...\nfour", "three\nfour", True),
        ("receipt 3-1-...)", "receipt 3-1-0-ab)", True),
        ("receipt 3-1-...)", "receipt 3-2-0-ab)", False),
        ("a.b", "axb", False),
        ("", "", True),
        ("", "error", False),
    ],
)
def test_dots_stand_for_what_is_left_out_and_for_nothing_else(expected: str, found: str, same: bool) -> None:
    assert is_said(expected, found) is same


def test_command_goes_on_after_a_backslash() -> None:
    (first, second) = read_transcript("$ one \\\n  two\nsaid\nmore\n$ three\n")
    assert (first.command.split(), first.said) == (["one", "two"], "said\nmore")
    assert second == Step("three", "")
