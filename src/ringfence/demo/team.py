"""The independent team of the demo: who founds the ledger, their keys, and what they sign.

In life each of them has an own machine, and a key that never leaves it; here each has a folder.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ringfence.core.issuers import DEVELOPMENT_ISSUER, LOCAL_ISSUER
from ringfence.demo.stage import Stage

PEOPLE: Final = {
    "ana": ("usds", ("security-officer", "key-holder")),
    "ben": ("usds", ("security-officer", "key-holder")),
    "cho": ("usds", ("security-officer", "key-holder")),
    "dee": ("usds", ("people-administrator",)),
    "eli": ("usds", ("support-agent",)),
    "flo": ("cfius", ("monitor",)),
}
"""Who founds the ledger, in order of number: party and duties."""


@dataclass(frozen=True, slots=True)
class Team:
    """The people of the demo.

    Args:
        stage: where their commands are run and shown.
        folder: holds a folder for each of them.
    """

    stage: Stage
    folder: Path

    def ask(self, name: str, change: str, *, reason: str) -> int:
        """Let somebody write down, sign and propose a change; gives the proposal's number."""
        written = self.write(name, "change.yaml", change)
        statement = self.folder / name / f"statement-{len(list((self.folder / name).glob('statement-*')))}"
        by = str(self.number(name))
        self.call(name, "statement", "new", str(written), "--by", by, "--reason", reason, "--out", str(statement))
        signature = self.sign(name, statement, "propose")
        done = self.call(name, "propose", str(statement), str(signature), "--json", quiet=True)
        number: int = json.loads(done)["proposal"]
        return number

    def agree(self, name: str, proposal: int) -> str:
        """Let somebody get a proposal's bytes, sign them and hand the signature in; gives the answer."""
        statement = self.folder / name / f"proposal-{proposal}"
        self.call(name, "statement", "get", str(proposal), "--out", str(statement), quiet=True)
        signature = self.sign(name, statement, "approve")
        return self.call(name, "approve", str(proposal), str(signature))

    def order(self, name: str, change: str, *, reason: str) -> None:
        """Let somebody write down, sign and hand in an order."""
        written, statement = self.write(name, "order.yaml", change), self.folder / name / "order"
        arguments = ("--by", str(self.number(name)), "--reason", reason, "--out", str(statement))
        self.call(name, "statement", "new", str(written), *arguments, quiet=True)
        self.call(name, "order", str(statement), str(self.sign(name, statement, "order")))

    def newest_grant(self, name: str) -> int:
        """Give the number of the newest grant that somebody has."""
        number: int = json.loads(self.call(name, "grants", "--json", quiet=True))["grants"][-1]["number"]
        return number

    @staticmethod
    def number(name: str) -> int:
        """Give a person's number in the register."""
        return [*PEOPLE].index(name) + 1

    def prepare(self, services: dict[str, str]) -> Path:
        """Make everybody's key, and the plan of the ceremony; `services` are parties by name. Gives the plan."""
        lines = ["people:"]
        for name, (party, duties) in PEOPLE.items():
            (self.folder / name).mkdir(parents=True)
            key = self.folder / name / "key"
            self.stage.run("key", "new", str(key), "--no-passphrase", quiet=True)
            facts = {
                **{"name": name, "reference": f"hr-{name}", "party": party, "duties": list(duties)},
                **{"key": f"{name}/key.pub", "issuer": DEVELOPMENT_ISSUER, "subject": name},
                **{"residence": "US", "works_in": "US", "devices_of": party, "team": name},
            }
            lines.append(f"  - {json.dumps(facts)}")  # JSON is YAML
        callers = {"ingest": ("usds", LOCAL_ISSUER)}
        callers |= {name: (party, DEVELOPMENT_ISSUER) for name, party in services.items()}
        lines.append("services:")
        for name, (party, issuer) in callers.items():
            lines.append(f"  - {json.dumps({'party': party, 'issuer': issuer, 'subject': name})}")
        plan = self.folder / "plan.yaml"
        plan.write_text("\n".join(lines) + "\n", "utf-8")
        return plan

    def sign(self, name: str, file: Path, meaning: str) -> Path:
        """Let somebody sign a file; gives the signature's file."""
        out = self.folder / name / f"{file.name}.{meaning}.sig"
        key = str(self.folder / name / "key")
        self.stage.run("sign", str(file), "--as", meaning, "--key", key, "--out", str(out), "--yes", quiet=True)
        return out

    def call(self, name: str, *arguments: str, quiet: bool = False) -> str:
        """Let somebody run a command that calls the gateway; gives what it prints."""
        gateway = {"RINGFENCE_URL": f"http://127.0.0.1:{self.stage.port}", "RINGFENCE_TOKEN": self.stage.tokens[name]}
        return self.stage.run(*arguments, quiet=quiet, environment=gateway).stdout

    def write(self, name: str, file: str, text: str) -> Path:
        """Let somebody write down a change; gives the file."""
        path = self.folder / name / file
        path.write_text(text, "utf-8")
        return path
