"""What an audit looked at, and what it found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

FINDINGS_MAX: Final = 1_000


@dataclass(frozen=True, slots=True)
class AuditFinding:
    """One row or batch that is not what the ledger says: where, and what is wrong with it."""

    place: str
    what: str


@dataclass(slots=True)
class AuditReport:
    """What an audit looked at and found; `findings` holds at most `FINDINGS_MAX`, `findings_more` counts the rest."""

    batches: int = 0
    batches_unsealed: int = 0
    parts: int = 0
    keys: int = 0
    findings: list[AuditFinding] = field(default_factory=list)
    findings_more: int = 0

    def add(self, place: str, what: str) -> None:
        """Note one difference."""
        if len(self.findings) < FINDINGS_MAX:
            self.findings.append(AuditFinding(place, what))
        else:
            self.findings_more += 1
