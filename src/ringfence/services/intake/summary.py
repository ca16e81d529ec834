"""What became of everything that an ingest was given; its counts add up."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class SourceReport:
    """One source: `taken`, `left` (outside the jurisdiction, or not an export) or `refused`, and why."""

    name: str
    verdict: str
    reason: str
    records_new: int = 0
    records_known: int = 0


@dataclass(slots=True)
class Summary:
    """Counts over all sources."""

    sources: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    records_new: int = 0
    records_known: int = 0
    refused: list[SourceReport] = field(default_factory=list)

    def add(self, report: SourceReport) -> None:
        """Count one source."""
        self.sources[report.verdict] += 1
        self.reasons[
            f"{report.verdict}: {report.reason if report.verdict != 'refused' else 'broken or unreadable'}"
        ] += 1
        self.records_new += report.records_new
        self.records_known += report.records_known
        if report.verdict == "refused":
            self.refused.append(report)

    def facts(self) -> dict[str, Any]:
        """Give everything as values for JSON."""
        return {
            "sources": self.sources.total(),
            "taken": self.sources["taken"],
            "left": self.sources["left"],
            "refused": self.sources["refused"],
            "reasons": dict(sorted(self.reasons.items())),
            "records_new": self.records_new,
            "records_known": self.records_known,
            "problems": [{"source": item.name, "reason": item.reason} for item in self.refused],
        }

    def render(self) -> str:
        """Give the summary as lines of text."""
        lines = [
            f"{self.sources.total()} exports: {self.sources['taken']} taken, {self.sources['left']} left, "
            f"{self.sources['refused']} refused",
            f"{self.records_new} records stored, {self.records_known} were there already",
        ]
        lines += [f"  {reason}: {count}" for reason, count in sorted(self.reasons.items())]
        lines += [f"refused {item.name}: {item.reason}" for item in self.refused]
        return "\n".join(lines)
