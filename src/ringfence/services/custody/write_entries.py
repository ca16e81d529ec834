"""The ledger entries of a write: what is written, grouped by dataset, each group decided on by itself.

Rules of this file:
1. An entry names at most `RECORDS_PER_ENTRY_MAX` records, fewer where the charter's clause says so, and its opening
   stays below `OPENING_SIZE_BYTES_MAX`.
2. A clause with a daily limit is counted, step by step without gaps, in the order in which batches are written. When
   the limit is reached or the charter forbids a class, the whole write is refused and only that is recorded.
3. Moving a record out of `protected` is an entry of its own, counted and limited.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from ringfence.core.charter import PROTECTED, Dataset
from ringfence.core.decisions.ruling import Ruling, rule_access
from ringfence.core.errors import DeniedError
from ringfence.core.ledger import entry as e
from ringfence.core.ports import CountWrite
from ringfence.core.state import State
from ringfence.services.custody.access_entries import access_entry
from ringfence.services.custody.counting import (
    bulk_counter,
    downgrade_counter,
    group_by_clause,
    last_step,
    limit_is_used_up,
    next_step,
)
from ringfence.services.custody.gate import Gate
from ringfence.services.custody.granting import GRANT_USER, keep_to_users
from ringfence.services.custody.late_refusals import TOMORROW
from ringfence.services.custody.refusing import denied, denied_late
from ringfence.services.custody.request import Caller, Request
from ringfence.services.custody.request_checks import find_dataset

RECORDS_PER_ENTRY_MAX: Final = 200
_OPENING_SIZE_MAX: Final = e.OPENING_SIZE_BYTES_MAX - 4096
_RECORD_SIZE: Final = 2 * 28
_WRITTEN_SIZE: Final = 24 + 44 + 32
_PARTS_PER_RECORD_MAX: Final = 16  # one of every class, what marks it as taken, the user's id


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """Who writes, what for, and whether it is of one user (`single`) or of several (`bulk`)."""

    caller: Caller
    purpose: str
    shape: str


@dataclass(slots=True)
class Group:
    """The records of one entry.

    `count` is how many records are named, without those that this program keeps for itself. `downgraded` are the
    records (subject, record key) that leave `protected` for a class.
    """

    dataset: Dataset
    records_max: int
    count: int = 0
    classes: set[str] = field(default_factory=set)
    subjects: list[bytes] = field(default_factory=list)
    records: list[bytes] = field(default_factory=list)
    written: list[e.Written] = field(default_factory=list)
    downgraded: dict[str, list[tuple[bytes, bytes]]] = field(default_factory=dict)

    def add(self, subject_ref: bytes, record_key: bytes, *, written: Iterable[e.Written], count: int = 1) -> None:
        """Name one record and the parts that the write leaves of it; deleted ones have their version negated."""
        self.count += count
        self.subjects.append(subject_ref)
        self.records.append(record_key)
        for part in written:
            self.written.append(part)
            self.classes.add(part.data_class)

    def room(self) -> int:
        """How many more records fit, each with a part or two; 0 or less when it is full."""
        return self.records_max - self.count if self.fits(1, _PARTS_PER_RECORD_MAX) else 0

    def fits(self, records: int, parts: int) -> bool:
        """Whether so many more records with so many parts together keep the entry's opening within its bound."""
        size = _RECORD_SIZE * (len(self.records) + records) + _WRITTEN_SIZE * (len(self.written) + parts)
        return size <= _OPENING_SIZE_MAX

    def about(self) -> e.About:
        """Give the opening of the entry."""
        return e.About(subjects=self.subjects, records=self.records, written=self.written)


class Groups:
    """The groups of a write while it is planned."""

    def __init__(self, gate: Gate, asking: Asking) -> None:
        self._gate = gate
        self._asking = asking
        self._open: dict[str, Group] = {}
        self._all: list[Group] = []

    def open(self, dataset: str) -> Group:
        """Give a group of this dataset that has room."""
        return self.find_room(dataset)[0]

    def find_room(self, dataset: str) -> tuple[Group, int]:
        """Give a group of this dataset that has room for one record, and for how many by number."""
        group = self._open.get(dataset)
        if group is not None and (room := group.room()) > 0:
            return group, room
        group = Group(find_dataset(self._gate, dataset), group.records_max if group else self._records_max(dataset))
        self._open[dataset] = group
        self._all.append(group)
        return group, group.room()

    def all(self) -> list[Group]:
        """Give every group that a record was put into."""
        return [group for group in self._all if group.records]

    def _records_max(self, dataset: str) -> int:
        kind = find_dataset(self._gate, dataset)
        asking = self._asking
        request = Request(asking.caller, asking.purpose, "write", asking.shape, 1)
        ruling = self._gate.rulings.rule(self._gate.keeper.state, request, kind, at_ms=self._gate.clock_ms())
        limits = [decision.records_max for decision in ruling.permitted.values()]
        return min([RECORDS_PER_ENTRY_MAX, *limits])


@dataclass(slots=True)
class Decided:
    """What a write's entries say on one state; `denied` and `code` tell why nothing is stored, if so."""

    entries: list[bytes] = field(default_factory=list)
    openings: list[bytes | None] = field(default_factory=list)
    counts: list[CountWrite] = field(default_factory=list)
    denied: DeniedError | None = None
    code: str = ""

    def deny(self, error: DeniedError, *, code: str) -> None:
        """Say that the write is refused: nothing is stored, so no entry may say that something was."""
        self.denied, self.code = error, code
        self.entries, self.openings, self.counts = [], [], []

    def add(self, entry: bytes, opening: bytes | None) -> None:
        """Take one entry."""
        self.entries.append(entry)
        self.openings.append(opening)


def leaves_protected(own_class: str, known: Iterable[str], written: Iterable[str]) -> bool:
    """Tell whether a record that is stored in the `known` classes is a downgrade when written in these.

    `own_class` is the class that its own field gives it; "" where a dataset has no such field. A dataset whose fields
    have fixed classes cannot be downgraded.
    """
    known = set(known)
    return bool(known) and own_class not in ("", PROTECTED) and own_class not in known and own_class in set(written)


def rule_group(state: State, at_ms: int, *, group: Group, asking: Asking) -> Ruling:
    """Decide on one group's write, class by class."""
    return rule_access(state, request_of(group, asking).asked(group.dataset.name), group.classes, at_ms=at_ms)


def request_of(group: Group, asking: Asking) -> Request:
    """Give what one group asks for."""
    return Request(asking.caller, asking.purpose, "write", asking.shape, group.count)


def counters_of(state: State, groups: Iterable[Group], asking: Asking, *, at_ms: int) -> set[str]:
    """Give the names of the counters that the groups may move."""
    rulings = [rule_group(state, at_ms, group=group, asking=asking) for group in groups]
    clauses = {decision.clause for ruling in rulings for decision in ruling.permitted.values()}
    return {name(clause) for clause in clauses for name in (bulk_counter, downgrade_counter)}


def decide_groups(
    gate: Gate, state: State, groups: Iterable[Group], asking: Asking, *, last: dict[str, e.Count], at_ms: int
) -> Decided:
    """Give the entries of a write; or, when one of its groups is refused, none, and why.

    Args:
        last: the last step of each counter.
        at_ms: the batch's time.
    """
    decided = Decided()
    last = dict(last)
    for group in groups:
        _decide_group(decided, gate, state, group, asking, last=last, at_ms=at_ms)
        if decided.denied:
            break
    return decided


def _decide_group(
    decided: Decided,
    gate: Gate,
    state: State,
    group: Group,
    asking: Asking,
    *,
    last: dict[str, e.Count],
    at_ms: int,
) -> None:
    ruling = rule_group(state, at_ms, group=group, asking=asking)
    if len(ruling.permitted) != len(group.classes):
        decided.deny(denied_late(gate, request_of(group, asking), group.dataset, ruling), code="rules-changed")
        return
    misplaced = _misplaced(group, state.rules.held_in(gate.region))
    if misplaced:
        words = f"the charter lets nothing {' or '.join(misplaced)} be stored in the region `{gate.region}`"
        decided.deny(DeniedError(words), code="region")
        return
    request, about = request_of(group, asking), group.about()
    kept = keep_to_users(ruling, about)
    if len(kept.permitted) != len(group.classes):
        decided.deny(denied(gate, request, group.dataset, kept), code=GRANT_USER)
        return
    for part in group_by_clause(kept, request, last=last, at_ms=at_ms):
        if part.forbidden:
            decided.deny(limit_is_used_up(part, request), code=part.forbidden)
            return
        decided.counts += part.counts()
        decided.add(
            *access_entry(
                gate,
                request,
                dataset=group.dataset.name,
                decided=part.decided,
                about=about,
                counted=part.step,
                granted=part.granted,
            )
        )
    for clause, moved in _downgrades(ruling, group).items():
        if not decided.denied:
            _decide_downgrade(decided, ruling, group, asking, clause=clause, moved=moved, last=last, at_ms=at_ms)


def _misplaced(group: Group, held: Sequence[str]) -> list[str]:
    """Give the classes that the group would store where they may not be. Taking a part away is always right."""
    if group.classes.issubset(held):
        return []
    return sorted({part.data_class for part in group.written if part.version > 0}.difference(held))


def _downgrades(ruling: Ruling, group: Group) -> dict[str, list[tuple[bytes, bytes]]]:
    """Give the records that leave `protected`, by the clause that permits the class that they go to."""
    by_clause: dict[str, list[tuple[bytes, bytes]]] = {}
    for data_class, records in group.downgraded.items():
        by_clause.setdefault(ruling.permitted[data_class].clause, []).extend(records)
    return by_clause


def _decide_downgrade(
    decided: Decided,
    ruling: Ruling,
    group: Group,
    asking: Asking,
    *,
    clause: str,
    moved: list[tuple[bytes, bytes]],
    last: dict[str, e.Count],
    at_ms: int,
) -> None:
    decision = next(decision for decision in ruling.permitted.values() if decision.clause == clause)
    step = next_step(last_step(last, downgrade_counter(clause)), amount=len(moved), at_ms=at_ms)
    caller = asking.caller
    if step.total > decision.downgrades_per_day_max:
        words = f"clause `{clause}` lets no more records become less protected today"
        decided.deny(DeniedError(words, clause=clause, could_ask=TOMORROW), code="downgrade-limit")
        return
    last[step.counter] = step
    decided.counts.append(CountWrite(0, step))
    about = e.About(subjects=[subject for subject, _ in moved], records=[key for _, key in moved])
    opening = e.render_opening(os.urandom(e.SALT_SIZE_BYTES), about)
    leaf = e.Downgrade(
        principal=caller.principal,
        country=caller.country,
        purpose=asking.purpose,
        dataset=group.dataset.name,
        clause=clause,
        about=e.commit(opening),
        counted=step,
    )
    decided.add(e.render_entry(leaf), opening)
