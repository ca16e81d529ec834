"""A real gateway process on a deployment: started, killed, started again."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx

START_SECONDS_MAX = 40.0


class Server:
    """`ringfence serve` as a process, with its sequencer.

    Args:
        deployment: its directory. What the processes say goes into `serve.log` beside it.
        processes: how many gateway processes.
        sequencer: whether it starts one.
        log: another place for what it says.
    """

    def __init__(
        self, deployment: Path, *, processes: int = 1, sequencer: bool = True, log: Path | None = None
    ) -> None:
        self.deployment = deployment
        self._options = ["--processes", str(processes), *([] if sequencer else ["--no-sequencer"])]
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            self.port: int = listener.getsockname()[1]
        self.verify: ssl.SSLContext | bool = True
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None
        self.log = log or deployment.parent / "serve.log"

    def start(self) -> None:
        """Start and wait until it is ready."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "ringfence", "serve", "-d", str(self.deployment)),
                    *("--port", str(self.port), *self._options),
                ],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.log.read_text()[-3000:]
            try:
                if httpx.get(f"{self.url}/readyz", timeout=2, verify=self.verify).status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            time.sleep(0.05)
        raise AssertionError(f"not ready: {self.log.read_text()[-3000:]}")

    def said(self) -> str:
        """What the processes wrote to their log."""
        return self.log.read_text()

    def readiness(self) -> tuple[int, str]:
        """The status and body of the readiness call."""
        answer = httpx.get(f"{self.url}/readyz", timeout=10)
        return answer.status_code, answer.text

    def kill(self) -> None:
        """SIGKILL the gateway and everything it started."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        """Ask it to stop, and wait; gives its exit code."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(30)


def command(*arguments: str) -> Any:
    """Run a `ringfence` command with --json and give what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "ringfence", *arguments, "--json"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)
