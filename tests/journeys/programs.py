"""`ringfence` as a program: what it printed, and how it ended."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from ringfence.cli.main import main

SECONDS_MAX = 60


@dataclass(frozen=True)
class Done:
    """How a run of the program ended."""

    returncode: int
    stdout: str
    stderr: str

    def facts(self) -> Any:
        """Give the one JSON object that standard output must be."""
        assert self.stdout, self.stderr
        facts = json.loads(self.stdout)
        assert isinstance(facts, dict)
        return facts


def run(*arguments: str | bytes, given: bytes = b"", cwd: Path | None = None, **environment: str) -> Done:
    """Run a command to its end; a traceback is a failure of the test, whatever it was run for."""
    done = subprocess.run(
        [sys.executable, "-m", "ringfence", *arguments],
        input=given,
        capture_output=True,
        check=False,
        cwd=cwd,
        timeout=SECONDS_MAX,
        env={**os.environ, **environment},
    )
    return _checked(done.returncode, done.stdout, done.stderr)


def run_inside(*arguments: str | bytes, given: bytes = b"", cwd: Path | None = None, **environment: str) -> Done:
    """Do as `run` does, in this process: ten times as fast, for what ends before it starts anything."""
    stdin = io.TextIOWrapper(io.BytesIO(given), encoding="utf-8")
    stdout, stderr = io.TextIOWrapper(io.BytesIO(), encoding="utf-8"), io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    with (
        mock.patch.object(sys, "argv", ["ringfence", *map(os.fsdecode, arguments)]),
        mock.patch.object(sys, "stdin", stdin),
        mock.patch.dict(os.environ, environment),
        contextlib.chdir(cwd or Path.cwd()),
        contextlib.redirect_stdout(stdout),
        contextlib.redirect_stderr(stderr),
        pytest.raises(SystemExit) as ended,
    ):
        main()
    stdout.flush()
    stderr.flush()
    written = [stream.buffer.getvalue() for stream in (stdout, stderr) if isinstance(stream.buffer, io.BytesIO)]
    assert isinstance(ended.value.code, int)
    return _checked(ended.value.code, *written)


def _checked(returncode: int, stdout: bytes, stderr: bytes) -> Done:
    done = Done(returncode, stdout.decode("utf-8", "replace"), stderr.decode("utf-8", "replace"))
    assert "Traceback" not in done.stdout + done.stderr, done.stderr
    assert "not foreseen" not in done.stderr, done.stderr
    return done


def complained(done: Done, code: int, *, hint: bool = True) -> None:
    """Hold an ending to the rules: its code, one message, a hint, and nothing on standard output."""
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    assert done.stderr.startswith("error: "), done.stderr
    assert not hint or "\nhint: " in done.stderr, done.stderr


def hear_interrupts() -> None:
    """Let a program that is about to be run hear Ctrl-C, even where this one was started to ignore it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
