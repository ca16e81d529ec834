"""`ringfence` as a program: what it printed, and how it ended."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SECONDS_MAX = 60


@dataclass(frozen=True)
class Done:
    """How a run of the program ended."""

    returncode: int
    stdout: str
    stderr: str

    def facts(self) -> Any:
        """Give the one JSON object that standard output must be."""
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
    stdout, stderr = done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")
    assert "Traceback" not in stdout + stderr, stderr
    assert "not foreseen" not in stderr, stderr
    return Done(done.returncode, stdout, stderr)
