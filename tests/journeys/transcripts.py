"""What a document prints as a session at a terminal: commands after `$ `, and what each of them says.

In what is said, `...` stands for anything within its line, and a line of it alone for any lines, or none.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_MARK = "\x1e"
SECONDS_MAX = 240


@dataclass(frozen=True)
class Step:
    """A command, and the lines that it is said to print."""

    command: str
    said: str


def read_transcript(block: str) -> list[Step]:
    """Give the commands of a block; a command that ends its line with a backslash goes on in the next."""
    steps: list[Step] = []
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, _, said = re.sub(r"\\\n", "", part).partition("\n")
        steps.append(Step(command, said.rstrip("\n")))
    return steps


def run_steps(steps: Sequence[Step], *, directory: Path, environment: dict[str, str]) -> list[str]:
    """Run the commands one after the other in one shell; gives what each printed, errors included."""
    script = "".join(f"{step.command}\nprintf '{_MARK}'\n" for step in steps)
    done = subprocess.run(
        ["sh", "-c", script],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        cwd=directory,
        env=environment,
        timeout=SECONDS_MAX,
    )
    return [text.strip("\n") for text in done.stdout.split(_MARK)[:-1]]


def is_said(expected: str, found: str) -> bool:
    """Whether what was found is what the document says."""
    pattern = "\n".join("\0" if line == "..." else re.escape(line) for line in expected.splitlines())
    pattern = pattern.replace("\n\0\n", r"\n(?:.*\n)*").replace("\n\0", r"(?:\n.*)*").replace("\0\n", r"(?:.*\n)*")
    return re.fullmatch(pattern.replace(re.escape("..."), ".*"), found) is not None
