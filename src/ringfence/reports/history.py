"""The rules of a bundle up to a moment: what they came to, and who signed what of them.

Rules of this file:
1. A ledger whose rules cannot be folded is not reported on.
2. "Now" is the end of the period that is looked at, by the ledger's own times; never this machine's clock.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from ringfence.core.changes import operation_of
from ringfence.core.errors import InvalidInputError
from ringfence.core.ledger.entry import (
    CharterEnacted,
    Genesis,
    SubjectErased,
)
from ringfence.core.ledger.governed_entry import Approved, Carried, Declined, Ordered, PeopleRecorded, Proposed
from ringfence.core.state import EMPTY, State
from ringfence.reports.names import Called, Names
from ringfence.verify.bundle import Bundle
from ringfence.verify.checkpoints import open_newest
from ringfence.verify.rules import FoldedRule, fold_rules


class Period(NamedTuple):
    """From `from_ms` on and before `to_ms`, in milliseconds since 1970 UTC."""

    from_ms: int
    to_ms: int

    def holds(self, at_ms: int) -> bool:
        """Tell whether a time is in it."""
        return self.from_ms <= at_ms < self.to_ms


GIVEN: Final = "given"
REFUSED: Final = "refused"
SIGNED: Final = "signed"
TOLD: Final = "told"
ASKED: Final = "asked"
OPERATED: Final = "operated"
"""How something was done: an access that was given or refused; a statement that a person signed; facts that a service
told; users whom somebody who may ask for grants named; what the custodian's own operator did."""


class Act(NamedTuple):
    """What somebody did to the rules.

    Attributes:
        principal: the number; 0 for the custodian's operator.
        epoch: that it began.
        at_ms: when.
        kind: how: one of the words above.
        verb: what.
        key: that it was signed with; 0 for none.
        records: how many people it is about, where it tells.
        clause, purpose, build: as of an access, where it was decided like one.
    """

    principal: int
    epoch: int
    at_ms: int
    kind: str
    verb: str
    key: int = 0
    records: int = 0
    clause: str = ""
    purpose: str = ""
    build: str = ""


@dataclass(slots=True)
class History:
    """The rules of a bundle before the end of a period.

    Attributes:
        state: what they come to at the end.
        times_ms: when each rule was made; the first is of epoch 1.
        acts: what was done to them, in order.
        names: what every principal was called, and when.
    """

    state: State = EMPTY
    times_ms: list[int] = field(default_factory=list)
    acts: list[Act] = field(default_factory=list)
    names: Names = field(default_factory=Names)

    def time_of(self, epoch: int) -> int:
        """Give when a rule was made; 0 for none."""
        return self.times_ms[epoch - 1] if 0 < epoch <= len(self.times_ms) else 0

    def called(self, principal: int) -> Called:
        """Give what a principal is called at the end, or was when it was last one."""
        return self.names.of(principal, self.state.epoch)


@dataclass(frozen=True, slots=True)
class Evidence:
    """An opened bundle.

    Attributes:
        bundle: its files.
        origin: the ledger's name.
        size: how many leaves its newest checkpoint covers.
        signed_at_ms: when that was signed, in whole seconds.
        detail: whether openings are there.
    """

    bundle: Bundle
    origin: str
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
    return Evidence(
        bundle, newest.checkpoint.origin, size, newest.time_seconds * 1000, bundle.list_files(size=size).detail
    )


def without_openings() -> InvalidInputError:
    """Give the error that a bundle has no facts about people, which coalitions are counted with."""
    return InvalidInputError(
        "the bundle has no openings: a coalition is counted with facts about people",
        place="BUNDLE",
        hint="`ringfence ledger export --detail` writes them",
    )


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
        history.names.follow(folded.before, folded.after)
        history.times_ms.append(folded.batch.at_ms)
        history.acts += _acts(folded)
    if history.state.charter is None:
        raise InvalidInputError("no charter was in force yet at the end of the period", place="--to")
    return history


def _acts(folded: FoldedRule) -> Iterator[Act]:
    """Give what a rule says that somebody did. That a change was carried is nobody's act: it is theirs who signed."""
    rule, epoch, at_ms = folded.rule, folded.after.epoch, folded.batch.at_ms
    match rule:
        case Proposed() | Ordered():
            verb = "proposed" if isinstance(rule, Proposed) else "ordered"
            yield Act(rule.by, epoch, at_ms, SIGNED, f"{verb} {operation_of(rule.change)}", key=rule.key)
        case Approved() | Declined():
            proposal = folded.before.governed.proposals.get(rule.proposal)
            verb = "approved" if isinstance(rule, Approved) else "declined"
            operation = f" {operation_of(proposal.change)}" if proposal else ""
            yield Act(rule.by, epoch, at_ms, SIGNED, f"{verb}{operation}", key=rule.key)
        case PeopleRecorded():
            kind = TOLD if rule.by else OPERATED
            yield Act(rule.by, epoch, at_ms, kind, "recorded people", records=rule.people)
            if taken := {*rule.suspends, *(number for number, _ in rule.ends)}:
                yield Act(rule.by, epoch, at_ms, kind, "took authority by facts", records=len(taken))
        case SubjectErased():
            kind, clause = clauses_of(rule.decided)
            yield Act(
                *(rule.principal, epoch, at_ms, kind, "erase"),
                clause=clause,
                purpose=rule.purpose,
                build=rule.build.hex(),
            )
        case Genesis(founders=founders) if founders:
            for founder in founders:
                number = founder.person  # of the person's first key as well
                yield Act(number, epoch, at_ms, SIGNED, "founded the ledger", key=number)
        case CharterEnacted() if folded.after.standing is not None:
            return  # that of the founding, which the founders signed
        case Carried():
            return
        case _:
            words = (f" {one.lower()}" if one.isupper() else one for one in type(rule).__name__)
            yield Act(0, epoch, at_ms, OPERATED, "".join(words).strip())


def clauses_of(decided: Mapping[str, str]) -> tuple[str, str]:
    """Give `GIVEN` with the clauses that permitted something, several with `+`; or `REFUSED` with none."""
    given = sorted({said for said in decided.values() if said and not said.startswith("!")})
    return (GIVEN, "+".join(given)) if given else (REFUSED, "")
