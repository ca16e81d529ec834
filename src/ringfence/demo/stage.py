"""The demo's stage: a deployment in a temporary directory, the real programs as processes, calls over real HTTP."""

from __future__ import annotations

import json
import os
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx

from ringfence.core.errors import UnavailableError
from ringfence.demo import paper

START_SECONDS_MAX: Final = 30.0
STOP_SECONDS_MAX: Final = 20.0
PUBLISH_SECONDS_MAX: Final = 10.0
ADDRESSES: Final = {"US": "192.0.2.10", "CN": "203.0.113.130"}
"""Documentation addresses that the made-up geography places in these countries."""


@dataclass(slots=True)
class Stage:
    """The deployment, its tokens, and the running gateway."""

    directory: Path
    tokens: dict[str, str] = field(default_factory=dict)
    port: int = 0
    _process: subprocess.Popen[bytes] | None = None
    _log: Path | None = None

    @property
    def deployment(self) -> Path:
        """The deployment's directory."""
        return self.directory / "deployment"

    @property
    def made_up(self) -> Path:
        """The made-up users' directory."""
        return self.directory / "made-up"

    def run(
        self,
        *arguments: str,
        quiet: bool = False,
        check: bool = True,
        lines_max: int = 60,
        environment: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a `ringfence` command as a person would, and show it with what it prints.

        What it says on standard error goes to a terminal as it comes, so that a progress bar is seen.

        Raises:
            UnavailableError: it failed although it should not.
        """
        if not quiet:
            paper.show_input(f"$ ringfence {self._named(shlex.join(arguments))}")
        watched = not quiet and sys.stderr.isatty()
        done = subprocess.run(  # noqa: S603 - our own program
            [sys.executable, "-m", "ringfence", *arguments],
            stdout=subprocess.PIPE,
            stderr=None if watched else subprocess.PIPE,
            text=True,
            check=False,
            env={**os.environ, **(environment or {})},
        )
        if check and done.returncode != 0:
            said = f": {done.stderr[-2000:]}" if done.stderr else ""
            raise UnavailableError(f"the demo's `ringfence {arguments[0]}` failed with {done.returncode}{said}")
        if not quiet:
            paper.show_output(self._named(done.stdout), lines_max=lines_max)
        return done

    def _named(self, text: str) -> str:
        """Give the text with the long path of the demo's directory as `DEMO`."""
        return text.replace(str(self.directory), "DEMO")

    def run_json(self, *arguments: str) -> Any:
        """Run a command quietly with `--json` and give what it printed."""
        return json.loads(self.run(*arguments, "--json", quiet=True).stdout)

    def start(self) -> None:
        """Start `ringfence serve` and wait until it is ready.

        Raises:
            UnavailableError: it ended or did not become ready; carries what it said.
        """
        self.port = self.port or _free_port()
        self._log = self.directory / "serve.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, "-m", "ringfence", "serve", "-d", str(self.deployment), "--port", str(self.port)],
                stdout=log,
                stderr=log,
                env={**os.environ, "NO_COLOR": "1"},
                start_new_session=True,  # Ctrl-C is for the demo, which then stops the service
            )
        deadline = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise UnavailableError(self._log.read_text()[-2000:])
            try:
                if httpx.get(f"http://127.0.0.1:{self.port}/readyz", timeout=2).status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            time.sleep(0.1)
        self.stop()
        raise UnavailableError("the service did not become ready in time")

    def refuse_to_start(self) -> str:
        """Start the service expecting that it refuses, and show what it said; gives that too.

        Raises:
            UnavailableError: it started after all.
        """
        paper.show_input("$ ringfence serve -d DEMO/deployment")
        try:
            self.start()
        except UnavailableError as error:
            paper.show_output(self._named(error.message))
            return error.message
        self.stop()
        raise UnavailableError("the service started although it should have refused")

    def stop(self) -> None:
        """Stop the service gracefully."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._process = None

    def call(
        self,
        who: str,
        method: str,
        path: str,
        *,
        country: str = "US",
        show: bool = True,
        grant: int = 0,
    ) -> httpx.Response:
        """Make one call as one of the registered callers, from a country, and show it with its answer."""
        answer = httpx.request(
            method,
            f"http://127.0.0.1:{self.port}{path}",
            headers={
                "authorization": f"Bearer {self.tokens[who]}",
                "x-forwarded-for": ADDRESSES[country],
                **({"ringfence-grant": str(grant)} if grant else {}),
            },
            timeout=30,
        )
        if show:
            paper.show_call(who, country, method, path, grant=grant)
            paper.show_answer(
                f"{answer.status_code} {answer.reason_phrase}",
                answer.text,
                receipt=answer.headers.get("ringfence-receipt", ""),
            )
        return answer

    def wait_published(self, receipt: str) -> str:
        """Wait until an entry is provably in the signed ledger; gives its proof.

        Raises:
            UnavailableError: it is not there in time.
        """
        deadline = time.monotonic() + PUBLISH_SECONDS_MAX
        while time.monotonic() < deadline:
            answer = self.call(next(iter(self.tokens)), "GET", f"/v1/receipts/{receipt}", show=False)
            if answer.status_code == 200:
                return answer.text
            time.sleep(0.2)
        raise UnavailableError("an entry did not reach the signed ledger in time")


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
