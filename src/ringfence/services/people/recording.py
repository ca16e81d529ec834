"""Recording what a source says of people: one entry of the ledger, with everything that follows from it.

Rules of this file:
1. A file is taken whole or not at all: with a problem in it, or more leavers than were allowed for, nothing is written.
2. What is planned is what is written: the effects come from the function that every fold and verifier runs.
3. What follows is found on the newest state when the entry is written, and so is the difference if rules came between.
4. A source that says what the register says already writes nothing.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Protocol

from ringfence.core.errors import ConflictError, LimitExceededError
from ringfence.core.governance.recording import find_effects
from ringfence.core.ledger import entry as e
from ringfence.core.ledger.governed_entry import PeopleRecorded
from ringfence.core.people.independence import Independence
from ringfence.core.people.register import PEOPLE_PER_RECORD_MAX, Register, record, render_facts
from ringfence.core.people.standing import Member, Standing
from ringfence.core.state import State
from ringfence.services.governance.rule_writing import RuleWriter, WrittenRule
from ringfence.services.people.diff import Difference, read_people
from ringfence.services.people.leavers import usual_max


class PeopleSource(Protocol):
    """What tells facts about people: an HR file, or one request of an HR system."""

    @property
    def name(self) -> str:
        """What to call it in messages."""

    @property
    def kind(self) -> str:
        """What the entry calls it: `file` or `scim`."""

    @property
    def by(self) -> int:
        """The service that tells it; 0 for the custodian's own operator."""

    def compare(self, state: State, *, at_ms: int) -> Difference:
        """Hold what it says against a state's register; the same for the same state and time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PeopleFile:
    """An HR file to take: a `PeopleSource`.

    Attributes:
        name: what to call it in problems.
        is_partial: whether people who are not in it stay as they are; else they have left.
        leavers_max: the most people who may have left by it; None for the usual number.
    """

    data: bytes
    name: str
    is_partial: bool = False
    leavers_max: int | None = None
    kind: str = "file"
    by: int = 0

    def compare(self, state: State, *, at_ms: int) -> Difference:
        """Read the file and hold it against the register.

        Raises:
            PeopleInvalidError: it has problems; carries all of them.
            ConflictError: the ledger is not governed, its register is withheld here, or too many people would leave.
            LimitExceededError: it changes too many people at once.
        """
        _, register = require_register(state)
        difference = read_people(
            self.data,
            file=self.name,
            parties=state.rules.parties,
            register=register,
            number_last=state.principal_last,
            at_ms=at_ms,
            is_partial=self.is_partial,
        )
        _check_leavers(difference, register, self, at_ms)
        if len(difference.facts) > PEOPLE_PER_RECORD_MAX:
            raise LimitExceededError(
                f"{self.name} changes {len(difference.facts)} people at once, not up to {PEOPLE_PER_RECORD_MAX}",
                limit="PEOPLE_PER_RECORD_MAX",
                value_max=PEOPLE_PER_RECORD_MAX,
                hint="take several files, each with --partial",
            )
        return difference


@dataclass(frozen=True, slots=True)
class Suspended:
    """A member who loses all authority until a new admission, and why: each chain spelled out."""

    number: int
    reference: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ending:
    """A member who has no authority from a time on, milliseconds since 1970 UTC."""

    number: int
    reference: str
    until_ms: int


@dataclass(frozen=True, slots=True)
class RecordingPlan:
    """What a source changes, and what that takes away. `kind` and `by` are the source's."""

    difference: Difference
    suspends: tuple[Suspended, ...]
    ends: tuple[Ending, ...]
    kind: str
    by: int = 0

    def render(self, salt: bytes) -> WrittenRule:
        """Give the entry that records it.

        Args:
            salt: 16 random bytes, so that nobody can guess facts and try them on the commitment.
        """
        facts = salt + render_facts(self.difference.facts)
        rule = PeopleRecorded(
            source=self.kind,
            added=len(self.difference.added),
            people=len(self.difference.facts),
            facts=e.commit(facts),
            suspends=tuple(one.number for one in self.suspends),
            ends=tuple((one.number, one.until_ms) for one in self.ends),
            by=self.by,
        )
        return WrittenRule(rule, file=facts)


def plan_recording(state: State, source: PeopleSource, *, at_ms: int) -> RecordingPlan:
    """Tell what a source changes in a state, and what follows.

    Raises:
        RingfenceError: what the source's `compare` raises.
    """
    return _follow(state, source, source.compare(state, at_ms=at_ms), at_ms)


def _follow(state: State, source: PeopleSource, difference: Difference, at_ms: int) -> RecordingPlan:
    """Find what a difference takes away when it is recorded at this time."""
    standing, register = require_register(state)
    after = record(register, difference.facts, at_ms=at_ms)
    effects = find_effects(standing, after, state.rules, difference.facts, at_ms=at_ms)
    independence = Independence(after, state.rules, at_ms=at_ms)
    return RecordingPlan(
        difference=difference,
        suspends=tuple(
            Suspended(number, _reference(after, number), _why_suspended(independence, after, standing.members[number]))
            for number in effects.suspends
        ),
        ends=tuple(Ending(number, _reference(after, number), until_ms) for number, until_ms in effects.ends),
        kind=source.kind,
        by=source.by,
    )


async def record_people(rules: RuleWriter, source: PeopleSource, *, at_ms: int) -> tuple[RecordingPlan, State]:
    """Take what a source says: durable, with everything that follows, before this returns.

    Args:
        rules: writes into the authority's lane.
        at_ms: now, milliseconds since 1970 UTC; the entry has the time of its batch.

    Returns:
        What was recorded, and the state that has it. Nothing was written when nothing changes.

    Raises:
        ConflictError: somebody else recorded the same just now, or the rules do not allow it.
        RingfenceError: what the source's `compare` raises; nothing was written.
    """
    state = await rules.keeper.refresh()
    difference = source.compare(state, at_ms=at_ms)
    if not difference.facts:
        return RecordingPlan(difference, (), (), source.kind, source.by), state
    epoch, salt = state.epoch, os.urandom(e.SALT_SIZE_BYTES)
    written: list[RecordingPlan] = []

    def make(newest: State, batch_ms: int) -> WrittenRule:
        told = difference if newest.epoch == epoch else source.compare(newest, at_ms=batch_ms)
        if not told.facts:
            raise ConflictError(
                f"the register came to say what {source.name} says just now", hint="nothing is left to do"
            )
        written[:] = [_follow(newest, source, told, batch_ms)]
        return written[0].render(salt)

    state = await rules.write(make)
    return written[0], state


def require_register(state: State) -> tuple[Standing, Register]:
    """Give the standing and the register of people.

    Raises:
        ConflictError: there is none.
    """
    if state.standing is None:
        raise ConflictError(
            "the ledger is not governed, so that it has no register of people",
            hint="a governed ledger begins with a key ceremony: ringfence init --ceremony",
        )
    if state.standing.register is None:
        raise ConflictError("facts about people are withheld here, so that there is no register to compare with")
    return state.standing, state.standing.register


def _check_leavers(difference: Difference, register: Register, file: PeopleFile, at_ms: int) -> None:
    """Refuse a file that is likely to be cut off: who has left comes back by a quorum alone."""
    count = len(difference.gone)
    present = sum(facts.ends_ms == 0 or facts.ends_ms > at_ms for facts in register.people.values())
    count_max = usual_max(present) if file.leavers_max is None else file.leavers_max
    if count > count_max:
        raise ConflictError(
            f"by {file.name} {count} of {present} people have left, and {count_max} are allowed for",
            hint=f"if it is whole and that is true, say --leavers-max {count}; if it is not, say --partial",
        )


def _reference(register: Register, number: int) -> str:
    facts = register.people.get(number)
    return facts.reference if facts is not None else ""


def _why_suspended(independence: Independence, register: Register, member: Member) -> tuple[str, ...]:
    conflicts = independence.find_conflicts(member.number, tuple(member.duties))
    reasons = [f"{conflict.rule}: {conflict.words}" for conflict in conflicts]
    facts = register.people.get(member.number)
    if facts is None:
        reasons.insert(0, f"{member.number} is not in the register")
    elif facts.party != member.party:
        reasons.insert(0, f"{member.number} is employed by {facts.party}, and was admitted for {member.party}")
    return tuple(reasons)
