"""What became of everything that an ingest was given; its counts add up.

Every source has one outcome, every export that was read one reason, every record of an export that was taken is
stored, changed or was there already.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from ringfence.core.jurisdiction import REASONS
from ringfence.services.intake.messages import ERASED, LEFT, OUTCOMES, PRESENT, REFUSED, SKIPPED, TAKEN

PROBLEMS_LISTED_MAX: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceReport:
    """What became of one source.

    Attributes:
        name: `FILE`, `ARCHIVE!MEMBER` or `FILE:LINE`.
        outcome: one of `messages.OUTCOMES`.
        reason: the verdict on the jurisdiction, `ERASED`, or why the source is skipped or refused.
        place: for one that is refused: name and JSON pointer.
        records_new, records_changed, records_known: of an export that was taken or was there already; of a refused
            one they are not 0 only when it became unreadable after a part of it was stored.
        records_left: of a user outside of the jurisdiction, or erased.
        user_is_new: whether this export brought the user into the vault.
    """

    name: str
    outcome: str
    reason: str
    place: str = ""
    records_new: int = 0
    records_changed: int = 0
    records_known: int = 0
    records_left: int = 0
    user_is_new: bool = False

    def facts(self) -> dict[str, Any]:
        """Give what is to be said of it as values for JSON, without what is empty."""
        facts: dict[str, Any] = {"source": self.name, "outcome": self.outcome, "reason": self.reason}
        if self.place:
            facts["place"] = self.place
        counts = {
            "records_new": self.records_new,
            "records_changed": self.records_changed,
            "records_known": self.records_known,
            "records_left": self.records_left,
        }
        return {**facts, **{name: count for name, count in counts.items() if count}}


@dataclass(slots=True)
class Summary:
    """Counts over all sources. `problems` holds the first `PROBLEMS_LISTED_MAX` that were refused."""

    outcomes: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    users_new: int = 0
    records_new: int = 0
    records_changed: int = 0
    records_known: int = 0
    records_left: int = 0
    problems: list[SourceReport] = field(default_factory=list)

    def add(self, report: SourceReport) -> None:
        """Count one source."""
        self.outcomes[report.outcome] += 1
        if report.outcome in (TAKEN, PRESENT, LEFT):
            self.reasons[report.reason] += 1
        self.users_new += report.user_is_new
        self.records_new += report.records_new
        self.records_changed += report.records_changed
        self.records_known += report.records_known
        self.records_left += report.records_left
        if report.outcome == REFUSED and len(self.problems) < PROBLEMS_LISTED_MAX:
            self.problems.append(report)

    def facts(self) -> dict[str, Any]:
        """Give everything as values for JSON."""
        return {
            "sources": self.outcomes.total(),
            **{outcome: self.outcomes[outcome] for outcome in OUTCOMES},
            "reasons": {reason: self.reasons[reason] for reason in (*REASONS, ERASED)},
            "users_new": self.users_new,
            "records": {
                "new": self.records_new,
                "changed": self.records_changed,
                "known": self.records_known,
                "left": self.records_left,
            },
            "problems": [{"source": item.name, "place": item.place, "reason": item.reason} for item in self.problems],
        }

    def render(self) -> str:
        """Give the summary as lines of text."""
        counts = self.outcomes
        exports = counts.total() - counts[SKIPPED]
        lines = [
            f"{_several(exports, 'export')}: {counts[TAKEN]} taken ({_several(self.users_new, 'new user')}), "
            f"{counts[PRESENT]} there already, {counts[LEFT]} left, {counts[REFUSED]} refused",
            f"{_several(self.records_new, 'record')} stored, {self.records_changed} changed, "
            f"{self.records_known} there already; {self.records_left} left",
            "jurisdiction: " + ", ".join(f"{self.reasons[reason]} {reason}" for reason in REASONS),
        ]
        if self.reasons[ERASED]:
            lines.append(f"{_several(self.reasons[ERASED], 'export')} left: the user was erased")
        if counts[SKIPPED]:
            lines.append(f"{_several(counts[SKIPPED], 'file')} skipped: no export")
        lines += [f"refused: {item.place or item.name}: {item.reason}" for item in self.problems]
        if counts[REFUSED] > len(self.problems):
            lines.append(f"and {counts[REFUSED] - len(self.problems)} more: --report FILE lists every one")
        return "\n".join(lines)


def _several(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
