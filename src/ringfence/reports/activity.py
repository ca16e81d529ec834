"""Who did what in a period, added up from the entries.

Rules of this file:
1. An access counts for what it asked for: an entry tells how many records were named, and of a page the most that it
   could have held.
2. A refusal is an activity too. Refusals that one entry sums up are counted one by one.
3. What people signed is theirs, whoever carried it out. What nobody signed is the custodian's operator's, and told too.
4. Each row names its principal as of its entries: who was called otherwise later, or before, has a row for each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from operator import attrgetter
from typing import Final, NamedTuple

from ringfence.core.errors import InvalidInputError
from ringfence.core.ledger import entry as e
from ringfence.core.ledger.tiles import TILE_WIDTH
from ringfence.reports.history import ASKED, OPERATED, REFUSED, Evidence, History, Period, clauses_of
from ringfence.reports.names import Called
from ringfence.verify.bundle import entries_tile, place_of_leaf

ROWS_MAX: Final = 200_000
"""More sorts of activity than a review of one period can be read with."""

Progress = Callable[[int, int], None]


class _Sort(NamedTuple):
    """What is added up together: see `Activity`."""

    kind: str
    clause: str
    verb: str
    dataset: str = ""
    purpose: str = ""
    grant: int = 0
    build: str = ""


@dataclass(slots=True)
class Activity:
    """All that one principal did of one sort in the period.

    Attributes:
        principal: the number; 0 for callers whom nobody knows, and for the custodian's operator.
        who, name, party: as `naming.Called`, then.
        kind: how: `history.GIVEN` or another of the words there.
        clause: the flow that permitted it; several with `+`; "" for what no flow permitted.
        verb: what was done.
        dataset: of which data; "" where it is about none.
        purpose: what for; "" where nobody named one, and for what is told in sums.
        grant: the number of the grant that what was given rests on, or that what was refused named; 0 for none.
        build: digest in hex of the build that the credential named, or "".
        times: how often.
        records: how many records were asked for, at most; of what was told or named, how many people or users.
        first_ms, last_ms: when first and last.
    """

    principal: int
    who: str
    name: str
    party: str
    kind: str
    clause: str
    verb: str
    dataset: str
    purpose: str
    grant: int
    build: str
    times: int = 0
    records: int = 0
    first_ms: int = 0
    last_ms: int = 0

    def add(self, times: int, records: int, at_ms: int) -> None:
        """Count some more."""
        self.times += times
        self.records += records
        self.first_ms = min(self.first_ms or at_ms, at_ms)
        self.last_ms = max(self.last_ms, at_ms)


def find_activity(
    evidence: Evidence, history: History, period: Period, *, progress: Progress | None = None
) -> list[Activity]:
    """Add up what was done in a period, by principal, then by when it was done first.

    Args:
        evidence: the bundle.
        history: its rules up to the end of the period.
        period: which entries count.
        progress: told of leaves done, and of all.

    Raises:
        InvalidInputError: there are more than `ROWS_MAX` sorts of activity.
        ProofInvalidError: a leaf is no entry.
    """
    sums = _Sums(history)
    for act in history.acts:
        if period.holds(act.at_ms):
            sort = _Sort(act.kind, act.clause, act.verb, purpose=act.purpose, build=act.build)
            sums.add(act.principal, act.epoch, sort, 1, act.records, act.at_ms)
    for entry, batch in _entries(evidence, progress):
        if period.holds(batch.at_ms):
            _count(sums, entry, batch)
    return sums.rows()


def _entries(evidence: Evidence, progress: Progress | None) -> Iterator[tuple[e.AnyLeaf, e.Batch]]:
    """Give every entry with the header of its batch."""
    batch = None
    for index in range(-(-evidence.size // TILE_WIDTH)):
        tile = entries_tile(index, size=evidence.size)
        for number, data in enumerate(evidence.bundle.read_leaves(tile)):
            entry = e.parse_entry(data, place=place_of_leaf(index * TILE_WIDTH + number))
            if isinstance(entry, e.Batch):
                batch = entry
            elif batch is not None:
                yield entry, batch
        if progress is not None:
            progress(min((index + 1) * TILE_WIDTH, evidence.size), evidence.size)


def _count(sums: _Sums, entry: e.AnyLeaf, batch: e.Batch) -> None:
    match entry:
        case e.Access():
            kind, clause = clauses_of(entry.decided)
            grant = entry.grant if kind == REFUSED or entry.granted is not None else 0
            sort = _Sort(kind, clause, entry.verb, entry.dataset, entry.purpose, grant, entry.build.hex())
            sums.add(entry.principal, batch.epoch, sort, 1, entry.records, batch.at_ms)
        case e.SubjectsNamed():
            sort = _Sort(ASKED, "", "named users")
            sums.add(entry.principal, batch.epoch, sort, 1, entry.users, batch.at_ms)
        case e.Refusals():
            sort = _Sort(REFUSED, "", entry.reason)
            sums.add(entry.principal, batch.epoch, sort, entry.requests, 0, batch.at_ms)
        case _:
            return


class _Sums:
    """Activities by sort."""

    def __init__(self, history: History) -> None:
        self._names = history.names
        self._rows: dict[tuple[int, Called, _Sort], Activity] = {}

    def add(self, principal: int, epoch: int, sort: _Sort, times: int, records: int, at_ms: int) -> None:
        """Count some more of one sort, by somebody as called in an epoch."""
        called = self._names.of(principal, epoch)
        row = self._rows.get((principal, called, sort))
        if row is None:
            if len(self._rows) == ROWS_MAX:
                raise InvalidInputError(
                    f"there are more than {ROWS_MAX:,} sorts of activity", place="period", hint="take a shorter period"
                )
            row = self._rows[principal, called, sort] = Activity(principal, **called._asdict(), **sort._asdict())
        row.add(times, records, at_ms)

    def rows(self) -> list[Activity]:
        """Give the rows in order: the operator's, callers' whom nobody knows, and each principal's together."""
        order = attrgetter("principal", "first_ms", "clause", "verb")
        return sorted(self._rows.values(), key=lambda row: (row.principal != 0 or row.kind != OPERATED, *order(row)))
