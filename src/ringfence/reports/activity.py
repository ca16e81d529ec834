"""Who did what in a period, added up from the entries.

Rules of this file:
1. An access counts for what it asked for: an entry tells how many records were named, and of a page the most that it
   could have held.
2. A refusal is an activity too. Refusals that one entry sums up are counted one by one.
3. What people signed is theirs, whoever carried it out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from ringfence.core import entry as e
from ringfence.core.errors import InvalidInputError
from ringfence.core.ruling import is_given
from ringfence.core.tiles import TILE_WIDTH
from ringfence.reports.authority import name_principal
from ringfence.reports.history import Evidence, History, Period
from ringfence.verify.bundle import entries_tile, place_of_leaf

REFUSED: Final = "refused"
SIGNED: Final = "signed"
ROWS_MAX: Final = 200_000
"""More kinds of activity than a review of one period can be read with."""

_Kind = tuple[int, str, str, str, str, int, str]
Progress = Callable[[int, int], None]


@dataclass(slots=True)
class Activity:
    """All that one principal did of one kind in the period.

    Attributes:
        principal: the number; 0 for callers whom nobody knows.
        who: as `Authority.who`.
        party: whose person or service; "" for a stranger.
        clause: the flow that permitted it; several with `+`; `REFUSED`, or `SIGNED` for what was signed.
        verb: what was done.
        dataset: of which data; "" where it is about none.
        purpose: what for; "" for what was signed, and for what is told in sums.
        grant: the number of the grant that was named, or 0.
        build: digest in hex of the build that the credential named, or "".
        times: how often.
        records: how many records were asked for, at most.
        first_ms, last_ms: when first and last.
    """

    principal: int
    who: str
    party: str
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
        InvalidInputError: there are more than `ROWS_MAX` kinds of activity.
        ProofInvalidError: a leaf is no entry.
    """
    sums = _Sums(history)
    for act in history.acts:
        if period.holds(act.at_ms):
            sums.add((act.principal, SIGNED, act.what, "", "", 0, ""), 1, 0, act.at_ms)
    for entry, at_ms in _entries(evidence, progress):
        if period.holds(at_ms):
            _count(sums, entry, at_ms)
    return sums.rows()


def _entries(evidence: Evidence, progress: Progress | None) -> Iterator[tuple[e.AnyLeaf, int]]:
    """Give every entry with the time of its batch."""
    at_ms = 0
    for index in range(-(-evidence.size // TILE_WIDTH)):
        tile = entries_tile(index, size=evidence.size)
        for number, data in enumerate(evidence.bundle.read_leaves(tile)):
            entry = e.parse_entry(data, place=place_of_leaf(index * TILE_WIDTH + number))
            if isinstance(entry, e.Batch):
                at_ms = entry.at_ms
            else:
                yield entry, at_ms
        if progress is not None:
            progress(min((index + 1) * TILE_WIDTH, evidence.size), evidence.size)


def _count(sums: _Sums, entry: e.AnyLeaf, at_ms: int) -> None:
    match entry:
        case e.Access():
            given = sorted({said for said in entry.decided.values() if said and not said.startswith("!")})
            clause = "+".join(given) if is_given(entry) else REFUSED
            kind = (entry.principal, clause, entry.verb, entry.dataset, entry.purpose, entry.grant, entry.build.hex())
            sums.add(kind, 1, entry.records, at_ms)
        case e.SubjectsNamed():
            sums.add((entry.principal, SIGNED, "named users", "", "", 0, ""), 1, entry.users, at_ms)
        case e.Refusals():
            sums.add((entry.principal, REFUSED, entry.reason, "", "", 0, ""), entry.requests, 0, at_ms)
        case _:
            return


class _Sums:
    """Activities by kind."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._rows: dict[_Kind, Activity] = {}

    def add(self, kind: _Kind, times: int, records: int, at_ms: int) -> None:
        """Count some more of one kind."""
        row = self._rows.get(kind)
        if row is None:
            if len(self._rows) == ROWS_MAX:
                raise InvalidInputError(
                    f"there are more than {ROWS_MAX:,} kinds of activity", place="period", hint="take a shorter period"
                )
            who = name_principal(self._history.state, kind[0], self._history.subjects)
            row = self._rows[kind] = Activity(kind[0], who, self._history.parties.get(kind[0], ""), *kind[1:])
        row.add(times, records, at_ms)

    def rows(self) -> list[Activity]:
        """Give the rows in order."""
        return sorted(self._rows.values(), key=lambda row: (row.principal, row.first_ms, row.clause, row.verb))
