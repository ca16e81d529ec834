"""The rules of a bundle up to a moment: what they came to, and who signed what of them.

Rules of this file:
1. A ledger whose rules cannot be folded is not reported on.
2. "Now" is the end of the period that is looked at, by the ledger's own times; never this machine's clock.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from ringfence.core.changes import operation_of
from ringfence.core.entry import Rule, SubjectErased
from ringfence.core.errors import InvalidInputError
from ringfence.core.governed_entry import Approved, Declined, Ordered, Proposed
from ringfence.core.state import EMPTY, State
from ringfence.verify.bundle import Bundle
from ringfence.verify.checkpoints import open_newest
from ringfence.verify.rules import fold_rules

DAY_MS: Final = 86_400_000


class Period(NamedTuple):
    """From `from_ms` on and before `to_ms`, in milliseconds since 1970 UTC."""

    from_ms: int
    to_ms: int

    def holds(self, at_ms: int) -> bool:
        """Tell whether a time is in it."""
        return self.from_ms <= at_ms < self.to_ms


class Act(NamedTuple):
    """Something that a person signed, or a service did to the rules: with which key (0: none), and when."""

    principal: int
    what: str
    key: int
    at_ms: int


@dataclass(slots=True)
class History:
    """The rules of a bundle before the end of a period.

    Attributes:
        state: what they come to at the end.
        times_ms: when each rule was made; the first is of epoch 1.
        acts: who signed what, in order.
        subjects, parties: of every principal that there ever was, as last known: who left has acted too.
    """

    state: State = EMPTY
    times_ms: list[int] = field(default_factory=list)
    acts: list[Act] = field(default_factory=list)
    subjects: dict[int, str] = field(default_factory=dict)
    parties: dict[int, str] = field(default_factory=dict)

    def time_of(self, epoch: int) -> int:
        """Give when a rule was made; 0 for none."""
        return self.times_ms[epoch - 1] if 0 < epoch <= len(self.times_ms) else 0


@dataclass(frozen=True, slots=True)
class Evidence:
    """An opened bundle: its files, the leaves that its newest checkpoint covers, and whether openings are there."""

    bundle: Bundle
    size: int
    signed_at_ms: int
    detail: bool


def open_evidence(directory: Path) -> Evidence:
    """Open a bundle.

    Raises:
        InvalidInputError: it is none, or a file cannot be read.
        ProofInvalidError: its checkpoint is not signed by its own key, or its files are not those of its size.
    """
    if not (directory / "checkpoint").exists():
        raise InvalidInputError(
            f"{directory} has no checkpoint", place="BUNDLE", hint="`ringfence ledger export` writes a bundle"
        )
    bundle = Bundle(directory)
    newest = open_newest(bundle, None).newest
    size = newest.checkpoint.size
    return Evidence(bundle, size, newest.time_seconds * 1000, bundle.list_files(size=size).detail)


def read_history(evidence: Evidence, *, until_ms: int) -> History:
    """Fold the rules that were made before a time.

    Raises:
        ProofInvalidError: one cannot be folded.
        InvalidInputError: there is no charter yet at that time.
    """
    history = History()
    for folded in fold_rules(evidence.bundle, size=evidence.size, until=evidence.size, detail=evidence.detail):
        if folded.batch.at_ms >= until_ms:
            break
        history.state = folded.after
        _remember(history, folded.before, folded.after)
        history.times_ms.append(folded.batch.at_ms)
        history.acts += _acts(folded.before, folded.rule, at_ms=folded.batch.at_ms)
    if history.state.charter is None:
        raise InvalidInputError("no charter was in force yet at the end of the period", place="--to")
    return history


def _remember(history: History, before: State, after: State) -> None:
    if after.identities is not before.identities:
        history.subjects.update((number, subject) for (_, subject), number in after.identities.items())
    if after.principals is not before.principals:
        history.parties.update((number, known.party) for number, known in after.principals.items())


def _acts(before: State, rule: Rule, *, at_ms: int) -> Iterator[Act]:
    match rule:
        case Proposed() | Ordered():
            verb = "proposed" if isinstance(rule, Proposed) else "ordered"
            yield Act(rule.by, f"{verb} {operation_of(rule.change)}", rule.key, at_ms)
        case Approved() | Declined():
            proposal = before.governed.proposals.get(rule.proposal)
            verb = "approved" if isinstance(rule, Approved) else "declined"
            operation = f" {operation_of(proposal.change)}" if proposal else ""
            yield Act(rule.by, f"{verb}{operation}", rule.key, at_ms)
        case SubjectErased():
            yield Act(rule.principal, "erased a user", 0, at_ms)
        case _:
            return
