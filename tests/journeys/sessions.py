"""Sessions at a terminal, kept as text: each is run again, command by command, and must come out the same.

    $ COMMAND          is run in a directory; a `ringfence` command in this process
    < TEXT             is a line that is typed
    ? CODE             is the exit code that it ends with, when that is not 0
    # TEXT             is for the reader

Every other line is output, standard output first, as `tests.journeys.transcripts` reads it: `...` is anything.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.journeys.programs import run_inside
from tests.journeys.transcripts import is_said

SESSIONS = Path(__file__).parent / "sessions"
SECONDS_MAX = 60


@dataclass
class Step:
    """One command: its line in the file, what is typed, what comes out, and how it ends."""

    number: int
    command: str
    typed: list[str] = field(default_factory=list)
    output: list[str] = field(default_factory=list)
    code: int = 0


def parse_session(text: str) -> list[Step]:
    """Give the commands of a session."""
    steps: list[Step] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if line.startswith("$ "):
            steps.append(Step(number, line[2:]))
        elif line.startswith("< "):
            steps[-1].typed.append(line[2:])
        elif line.startswith("? "):
            steps[-1].code = int(line[2:])
        elif line and not line.startswith("#"):
            steps[-1].output.append(line)
    return steps


def run_step(step: Step, directory: Path) -> tuple[int, list[str]]:
    """Run one command; gives its exit code and the lines that came out, empty ones left out."""
    program, *arguments = shlex.split(step.command)
    given = "".join(f"{line}\n" for line in step.typed).encode()
    if program == "ringfence":
        done = run_inside(*arguments, given=given, cwd=directory)
        code, output = done.returncode, done.stdout + done.stderr
    else:
        if shutil.which(program) is None:
            pytest.skip(f"install {'openssh-client' if program.startswith('ssh') else program}")
        ran = subprocess.run(
            [program, *arguments], input=given, capture_output=True, check=False, cwd=directory, timeout=SECONDS_MAX
        )
        code, output = ran.returncode, (ran.stdout + ran.stderr).decode()
    return code, [line for line in output.splitlines() if line]


def replay(name: str, directory: Path) -> None:
    """Run a session in a directory; the first command that comes out otherwise fails the test."""
    for step in parse_session((SESSIONS / name).read_text("utf-8")):
        code, lines = run_step(step, directory)
        shown = f"{name}:{step.number}: $ {step.command}\n" + "\n".join(lines)
        assert code == step.code, f"{shown}\nended with {code}, not {step.code}"
        said = "\n".join(step.output)
        assert is_said(said, "\n".join(lines)), f"{shown}\n-- and not:\n{said}"
