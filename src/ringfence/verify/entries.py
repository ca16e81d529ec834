"""The entries of a batch: each is read, decided again, counted, and held against its opening.

Rules of this file:
1. An entry that cannot be read, or says something else than the charter, is refuted with its place; the others are
   still checked.
2. What was refused, or left out, is found where the entries of one request are held against each other (`requests`).
3. What nobody can derive again (country, time, class, who the token was for) is counted as asserted, by source.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from ringfence.core.errors import ProofInvalidError
from ringfence.core.ledger.entry import (
    About,
    Access,
    AnyLeaf,
    Batch,
    Count,
    Downgrade,
    Outcome,
    Refusals,
    Rule,
    SubjectErased,
    SubjectsNamed,
    parse_entry,
)
from ringfence.core.naming import check_naming
from ringfence.core.state import State
from ringfence.verify.bundle import place_of_leaf
from ringfence.verify.counters import Run, Runs, run_of
from ringfence.verify.decisions import Decider
from ringfence.verify.grants import check_users
from ringfence.verify.openings import (
    Openings,
    check_access_about,
    check_downgrade_about,
    check_erased,
    open_about,
    withheld_of,
)
from ringfence.verify.outcomes import OutcomeBook
from ringfence.verify.requests import Requests
from ringfence.verify.scope import Scope
from ringfence.verify.verdict import Findings, Tally

PASSED_OVER: Final = "entries before the leaf given by --from: not decided again"

_COUNTED: Final = (b'"counted":{', b'"granted":{')
_NOT_ENTRIES: Final = (b'{"kind":"batch"', b'{"kind":"seal"', b'{"kind":"rule.')


class EntryChecker:
    """Checks the entries of one part, in order."""

    def __init__(
        self,
        scope: Scope,
        state: State,
        counters: dict[tuple[int, str], list[Run]],
        tally: Tally,
        findings: Findings,
        outcomes: OutcomeBook,
    ) -> None:
        self._scope = scope
        self._outcomes = outcomes
        self._requests = Requests(findings)
        self._state = state
        self._decider = Decider(state)
        self._openings = Openings(scope.bundle, size=scope.size) if scope.detail else None
        self._counters = counters
        self._tally = tally
        self._findings = findings
        self._runs: dict[tuple[int, str], Runs] = {}
        self._counts: Counter[str] = Counter()
        self._countries: Counter[str] = Counter()
        self._builds: Counter[str] = Counter()
        self._principals: Counter[str] = Counter()
        self._withheld: Counter[str] = Counter()

    def move(self, state: State) -> None:
        """Go on with the state after one more rule."""
        self._state = state
        self._decider.move(state)

    def finish(self) -> None:
        """Put what was counted into the part's report."""
        self._tally.counts.update(self._counts)
        self._tally.withheld.update(self._withheld)
        self._tally.assert_many("country", self._countries)
        self._tally.assert_many("class", self._builds)
        self._tally.assert_many("identity", self._principals)
        for key, runs in self._runs.items():
            self._counters[key] = runs.in_order()

    def check_batch(self, header: Batch, entries: Sequence[bytes], *, first: int, build: str) -> None:
        """Check the entries of a batch that holds no rule; `first` is the first one's leaf."""
        counts = self._counts
        counts["batches"] += 1
        counts["entries"] += len(entries)
        self._requests.begin(self._state.charter)
        self._outcomes.take_batch(header, entries, first=first)
        for leaf, data in enumerate(entries, start=first):
            try:
                if leaf < self._scope.from_leaf:
                    self._pass_over(data, leaf, in_full=first + len(entries) > self._scope.from_leaf)
                    continue
                entry = parse_entry(data)
                if type(entry) is Access:
                    self._check_access(entry, leaf, header=header, build=build)
                elif type(entry) is Downgrade:
                    self._check_downgrade(entry, leaf, header=header)
                else:
                    self._requests.close()
                    self._check_other(entry, header, leaf)
            except ProofInvalidError as error:
                self._findings.refute_error(error, leaf=leaf)
        self._requests.close()

    def check_rule(self, rule: Rule, leaf: int, *, at_ms: int) -> None:
        """Check a rule before it is folded: an erasure is decided again, and the opening is held against the rule."""
        self._counts["batches"] += 1
        self._counts["entries"] += 1
        if isinstance(rule, SubjectErased):
            self._check_erasure(rule, leaf, at_ms=at_ms)
        if self._openings is None:
            return
        try:
            self._open(rule, leaf)
        except ProofInvalidError as error:
            self._findings.refute_error(error, leaf=leaf)

    def check_bare(self, leaf: int) -> None:
        """Check that a header or a seal has no opening: it commits to nothing."""
        if self._openings is not None and leaf >= self._scope.from_leaf and self._openings.of(leaf):
            what = "an opening is there for a leaf that commits to nothing"
            self._findings.refute(place_of_leaf(leaf), what, leaf=leaf)

    def _check_erasure(self, rule: SubjectErased, leaf: int, *, at_ms: int) -> None:
        self._counts["erasures"] += 1
        if leaf < self._scope.from_leaf:
            self._withheld[PASSED_OVER] += 1
            return
        try:
            self._decider.check_erasure(rule, at_ms=at_ms)
        except ProofInvalidError as error:
            self._findings.refute_error(error, leaf=leaf)
        self._counts["decisions"] += 1
        self._countries[rule.country_from] += 1
        self._principals["registered"] += 1

    def _check_access(self, entry: Access, leaf: int, *, header: Batch, build: str) -> None:
        counts = self._counts
        checked = self._decider.check_access(entry, at_ms=header.at_ms)
        counts["accesses_given" if checked.given else "accesses_refused"] += 1
        counts["decisions"] += 1
        self._countries[entry.country_from] += 1
        self._principals["registered" if entry.principal in self._state.principals else "unknown"] += 1
        if checked.given and entry.verb == "write":
            self._builds[build] += 1
        for step in checked.steps:
            self._count(step, leaf)
        about = self._open(entry, leaf)
        self._requests.take_access(entry, about, leaf=leaf, needed=self._decider.classes_asked(entry))
        if about is not None:
            check_access_about(entry, about, given=checked.given, epoch=header.epoch, erased=self._scope.erased)
            if checked.grant is not None:
                check_users(checked.grant, about, self._scope.granted_users)
            if entry.verb == "find":
                self._decider.check_field(entry, about.searched[0])

    def _check_downgrade(self, entry: Downgrade, leaf: int, *, header: Batch) -> None:
        checked = self._decider.check_downgrade(entry, self._requests.write_before(), at_ms=header.at_ms)
        self._counts["downgrades"] += 1
        self._counts["decisions"] += 1
        for step in checked.steps:
            self._count(step, leaf)
        about = self._open(entry, leaf)
        self._requests.take_downgrade(about)
        if about is not None:
            check_downgrade_about(entry, about, epoch=header.epoch, erased=self._scope.erased)

    def _check_other(self, entry: AnyLeaf, header: Batch, leaf: int) -> None:
        counts = self._counts
        if isinstance(entry, Refusals):
            if entry.requests < 1:
                raise ProofInvalidError("an entry of refusals counts none", found=str(entry.requests))
            counts["refusals"] += 1
            counts["requests_refused"] += entry.requests
        elif isinstance(entry, Outcome):
            if not 1 <= entry.n < header.n or entry.position < 0:
                raise ProofInvalidError("an outcome names no earlier access of its lane", found=f"batch {entry.n}")
            counts["outcomes"] += 1
            self._outcomes.take(entry, lane=header.lane, leaf=leaf)
        elif isinstance(entry, SubjectsNamed):
            check_naming(self._state, entry, at_ms=header.at_ms)
            about = self._open(entry, leaf)
            if about is not None:
                if len(about.subjects) + len(about.unknown) != entry.users:
                    raise ProofInvalidError("other users were named than the entry counts", found=str(entry.users))
                check_erased(about, epoch=header.epoch, erased=self._scope.erased)
            return
        else:
            raise ProofInvalidError(f"a leaf of kind {type(entry).__name__} may not stand in a batch with others")
        self._open(entry, leaf)

    def _open(self, entry: AnyLeaf, leaf: int) -> About | None:
        """Give what an entry is about; None when there is nothing to open, or it is withheld, which is counted."""
        if self._openings is None:
            return None
        opening = self._openings.of(leaf)
        if opening:
            about = open_about(entry, opening)
            self._counts["openings"] += 1
            return about
        if withheld := withheld_of(entry):
            self._withheld[withheld] += 1
        return None

    def _pass_over(self, data: bytes, leaf: int, *, in_full: bool) -> None:
        """Take an entry before `from_leaf`: only its place and its counter's step are checked.

        `in_full` when entries of its batch follow that are checked: they may belong to its request.
        """
        if data.startswith(_NOT_ENTRIES):
            raise ProofInvalidError("a header, a seal or a rule stands among the entries of a batch")
        self._withheld[PASSED_OVER] += 1
        if in_full or any(mark in data for mark in _COUNTED):
            entry = parse_entry(data)
            if in_full and isinstance(entry, Access):
                self._requests.take_access(entry, None, leaf=leaf, needed=self._decider.classes_asked(entry))
            if isinstance(entry, Access | Downgrade) and entry.counted:
                self._count(entry.counted, leaf)
            if isinstance(entry, Access) and entry.granted:
                self._count(entry.granted, leaf)

    def _count(self, step: Count, leaf: int) -> None:
        self._counts["counted"] += 1
        key = (self._state.epoch, step.counter)
        runs = self._runs.get(key)
        if runs is None:
            runs = self._runs[key] = Runs()
        runs.add(step.counter, run_of(step, leaf=leaf), self._findings)
