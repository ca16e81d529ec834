"""Counters: one unbroken chain of steps for each, put together from pieces that may come out of order.

Rules of this file:
1. Over the whole ledger a counter's ordinals are 1, 2, 3, ... each exactly once. Within an epoch leaves may stand in
   another order than their ordinals; between epochs not, since every batch of an epoch commits before the next rule.
2. A step's total is its amount added to the step's before, or to 0 when the UTC day is a new one; days never go back.
3. Pieces that touch are joined at once, so what is kept is the disorder and not the ledger.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from ringfence.core.ledger.entry import Count
from ringfence.verify.bundle import place_of_leaf
from ringfence.verify.verdict import Findings

PIECES_MAX: Final = 200_000


class Run(NamedTuple):
    """Steps with successive ordinals whose totals were found to follow one from another."""

    first_ordinal: int
    first_amount: int
    first_total: int
    first_day: int
    first_leaf: int
    last_ordinal: int
    last_total: int
    last_day: int


START: Final = Run(0, 0, 0, 0, 0, 0, 0, 0)


def run_of(step: Count, *, leaf: int) -> Run:
    """Give the run of one step."""
    return Run(step.ordinal, step.amount, step.total, step.day, leaf, step.ordinal, step.total, step.day)


class Runs:
    """The runs of one counter in one epoch, joined where they touch."""

    __slots__ = ("_by_first", "_by_last")

    def __init__(self) -> None:
        self._by_first: dict[int, Run] = {}
        self._by_last: dict[int, Run] = {}

    def add(self, counter: str, run: Run, findings: Findings) -> None:
        """Take one more run. Refutes an ordinal that is there already, and totals that do not follow."""
        if run.first_ordinal in self._by_first or run.last_ordinal in self._by_last:
            findings.refute(
                place_of_leaf(run.first_leaf),
                f"counter {counter} has step {run.first_ordinal} twice",
                leaf=run.first_leaf,
            )
            return
        before = self._by_last.pop(run.first_ordinal - 1, None)
        if before:
            del self._by_first[before.first_ordinal]
            run = join_runs(counter, before, run, findings)
        after = self._by_first.pop(run.last_ordinal + 1, None)
        if after:
            del self._by_last[after.last_ordinal]
            run = join_runs(counter, run, after, findings)
        if len(self._by_first) >= PIECES_MAX:
            findings.refute(place_of_leaf(run.first_leaf), f"counter {counter} is out of order", leaf=run.first_leaf)
            return
        self._by_first[run.first_ordinal] = self._by_last[run.last_ordinal] = run

    def in_order(self) -> list[Run]:
        """Give the runs by ordinal."""
        return [self._by_first[first] for first in sorted(self._by_first)]


def join_runs(counter: str, before: Run, after: Run, findings: Findings) -> Run:
    """Give two runs as one, checking that the second's first step follows from the first's last (rule 2)."""
    place = place_of_leaf(after.first_leaf)
    if after.first_day < before.last_day:
        findings.refute(
            place,
            f"the day of counter {counter} goes back",
            expected=f">= {before.last_day}",
            found=str(after.first_day),
            leaf=after.first_leaf,
        )
    expected = (before.last_total if after.first_day == before.last_day else 0) + after.first_amount
    if after.first_total != expected:
        findings.refute(
            place,
            f"step {after.first_ordinal} of counter {counter} has a wrong total",
            expected=str(expected),
            found=str(after.first_total),
            leaf=after.first_leaf,
        )
    return Run(*before[:5], *after[5:])


class CounterBook:
    """Every counter of the ledger, epoch after epoch."""

    __slots__ = ("_done", "_epoch", "_findings", "_open")

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._done: dict[str, Run] = {}
        self._open: dict[str, Runs] = {}
        self._epoch = 0

    def take(self, pieces: Mapping[tuple[int, str], list[Run]]) -> None:
        """Take the runs of the next part of the ledger, by (epoch, counter)."""
        for epoch, counter in sorted(pieces):
            if epoch != self._epoch:
                self.close()
                self._epoch = epoch
            runs = self._open.setdefault(counter, Runs())
            for run in pieces[epoch, counter]:
                runs.add(counter, run, self._findings)

    def close(self) -> None:
        """End the epoch: each counter must be one run that follows what it was before (rule 1)."""
        for counter, runs in self._open.items():
            done = self._done.get(counter, START)
            for run in runs.in_order():
                if run.first_ordinal != done.last_ordinal + 1:
                    self._findings.refute(
                        place_of_leaf(run.first_leaf),
                        f"counter {counter} has a gap or a step that is there twice",
                        expected=f"step {done.last_ordinal + 1}",
                        found=f"step {run.first_ordinal}",
                        leaf=run.first_leaf,
                    )
                    done = run
                else:
                    done = join_runs(counter, done, run, self._findings)
            self._done[counter] = done
        self._open = {}
