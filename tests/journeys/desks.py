"""Everybody's own machine, for journeys: the commands that a person types, and a key that never leaves."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization

from ringfence.app.configuration import Configuration
from ringfence.app.initialise import Ground
from ringfence.core.issuers import DEVELOPMENT_ISSUER
from ringfence.core.ledger.entry import DEVELOPMENT
from tests.faults.serving import Server, command
from tests.founders import EXAMPLE_PEOPLE, found, number_of
from tests.governed import key_of
from tests.services.world import EXAMPLE


@dataclass
class Desk:
    """Somebody's own machine: a key, a token, and a directory to work in; `ca` is the gateway's authority, if any."""

    name: str
    folder: Path
    server: Server
    ca: str = ""

    def start(self, *arguments: str, stdin: int = subprocess.PIPE) -> subprocess.Popen[str]:
        """Type a command, and give the program as it runs."""
        environment = {
            "PATH": "/usr/bin:/bin",
            "RINGFENCE_URL": self.server.url,
            "RINGFENCE_TOKEN": command("token", self.name, "-d", str(self.server.deployment))["token"],
            "RINGFENCE_CA": self.ca,
        }
        return subprocess.Popen(
            [sys.executable, "-m", "ringfence", *arguments],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            env=environment,
        )

    def run(self, *arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
        """Type a command, and what it reads from standard input."""
        with self.start(*arguments) as program:
            stdout, stderr = program.communicate(typed)
        return subprocess.CompletedProcess(arguments, program.returncode, stdout, stderr)

    def do(self, *arguments: str) -> Any:
        """Type a command that works; give what it says."""
        done = self.run(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def sign(self, file: str, meaning: str) -> str:
        """Sign a file; give the signature's file."""
        self.do("sign", file, "--as", meaning, "--key", "key", "--yes")
        return f"{file}.{meaning}.sig"

    def ask(self, change: str, *, name: str) -> int:
        """Propose a change; give the proposal's number."""
        (self.folder / f"{name}.yaml").write_text(change, "utf-8")
        by = str(number_of(self.name))
        self.do("statement", "new", f"{name}.yaml", "--by", by, "--reason", "a user asks", "--out", name)
        number: int = self.do("propose", name, self.sign(name, "propose"))["proposal"]
        return number

    def agree(self, proposal: int, meaning: str = "approve") -> Any:
        """Read a proposal's bytes, sign them and hand the signature in; `decline` is the other meaning."""
        file = f"proposal-{proposal}"
        self.do("statement", "get", str(proposal), "--out", file)
        return self.do(meaning, str(proposal), self.sign(file, meaning))

    def order(self, change: str, *, name: str) -> Any:
        """Order a change."""
        (self.folder / f"{name}.yaml").write_text(change, "utf-8")
        by = str(number_of(self.name))
        self.do("statement", "new", f"{name}.yaml", "--by", by, "--reason", "at once", "--out", name)
        return self.do("order", name, self.sign(name, "order"))


GRANT = """
do: grant
purpose: support_user
verbs: [read]
datasets: [profile]
classes: [protected, public]
records_max: 5
lasts_hours: 1
subjects_any: true
"""
"""What an engineer asks for: to read some profiles."""


@contextmanager
def open_desks(folder: Path, *, sequencer: bool = True) -> Iterator[dict[str, Desk]]:
    """Found the worked example in a folder and serve it; give everybody's machine by name."""
    server = Server(found_example(folder / "deployment"), sequencer=sequencer)
    server.start()
    try:
        yield make_desks(folder, server)
    finally:
        code = server.stop()
    assert code == 0


def found_example(directory: Path, *, charter: bytes = EXAMPLE.read_bytes()) -> Path:
    """Found a deployment of the worked example, or of a charter that is like it, with its app; give its directory."""
    ground = Ground(
        charter_text=charter,
        charter_file=str(EXAMPLE),
        origin="ledger.example.org/journey",
        configuration=Configuration(region="virginia", development_country="US"),
        mode=DEVELOPMENT,
    )
    found(directory, ground, services=[("tiktok", DEVELOPMENT_ISSUER, "app")], issuer=DEVELOPMENT_ISSUER)
    return directory


def make_desks(folder: Path, server: Server, *, ca: str = "") -> dict[str, Desk]:
    """Give each founder of the worked example a machine."""
    desks = {}
    for name in EXAMPLE_PEOPLE:
        desk = folder / name
        desk.mkdir()
        private = key_of(name).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
        )
        (desk / "key").write_bytes(private)
        (desk / "key").chmod(0o600)
        desks[name] = Desk(name, desk, server, ca)
    return desks
