"""The matrix: every question that a charter can be asked, answered by the engine that serves requests.

Rules of this file:
1. The engine itself is asked, of every box by several of its questions, spread over its values: an engine that tells
   apart what no clause does is found out.
2. It is asked with nothing suspended; then with the flow that answered suspended, and so on, until nothing answers.
   Whatever else is suspended, the first of these flows that is not answers: so each set of suspended flows is one of
   those that were asked.
3. An invariant is broken where something permits a question of which it speaks.
4. What serves requests permits at most this: `ruling` gives nothing to whoever is suspended, of a stopped party or
   under an unapproved build before it asks, and narrows what a grant opens.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Final

from ringfence.core.charter import Charter
from ringfence.core.decisions.engines import HEEDING_ENGINES, decide
from ringfence.core.decisions.view import Decision, View
from ringfence.core.errors import InvalidInputError, LimitExceededError, ProofInvalidError
from ringfence.prover.matrix.domain import Box, domain_of, split

CELLS_MAX: Final = 100_000
ASKED_MAX: Final = 2_000_000
"""Most questions that the engine is asked, each sample of a cell under each suspension: some minutes."""

GIVING: Final = frozenset({"read", "find", "export"})
"""The verbs by which a caller gets something to know."""


@dataclass(frozen=True, slots=True)
class Cell:
    """Questions that get the same answers.

    Attributes:
        box: the questions.
        invariants: names of those that speak of them; none may be permitted where there is one.
        decisions: the answer with nothing suspended, then each with the clause of the one before suspended too; the
            last one denies. One alone where the engine heeds no suspension.
    """

    box: Box
    invariants: tuple[str, ...]
    decisions: tuple[Decision, ...]

    @property
    def permissions(self) -> tuple[Decision, ...]:
        """The answers that permit, in the order in which one stands in for the one before."""
        return tuple(decision for decision in self.decisions if decision.permitted)

    def now(self, suspended: Collection[str]) -> Decision | None:
        """Give what permits while some flows are suspended; None when nothing does."""
        return next((item for item in self.permissions if item.clause not in suspended), None)


@dataclass(frozen=True, slots=True)
class Promise:
    """An invariant, held against every question of which it speaks.

    Attributes:
        views: how many questions it speaks of, suspensions apart.
        broken: the cells in which something permits one; empty when it holds.
    """

    name: str
    words: str
    views: int
    broken: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Widening:
    """Somewhere where suspending one flow lets a later one answer that gives more.

    Attributes:
        cells: where, at least one.
        clause: the flow that is suspended.
        then: the flow that answers instead.
        fields: what the first withholds and the second gives, of a dataset of the cells; empty when it is limits alone.
        records_max: most records a request under the one and the other.
        records_per_day_max: most records a UTC day under the one and the other.
    """

    cells: tuple[Cell, ...]
    clause: str
    then: str
    fields: tuple[str, ...]
    records_max: tuple[int, int]
    records_per_day_max: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Matrix:
    """Every question and its answer.

    Attributes:
        charter: what was asked.
        engine: the engine that answered.
        domain: every value of every atom.
        cells: what was asked, in the order of the domain.
    """

    charter: Charter
    engine: str
    domain: Box
    cells: tuple[Cell, ...] = field(repr=False)

    @property
    def heeds_suspensions(self) -> bool:
        """Tell whether the engine heeds suspensions; under one that does not, nothing is ever suspended."""
        return self.engine in HEEDING_ENGINES

    def promises(self) -> tuple[Promise, ...]:
        """Hold each invariant of the charter against the answers, in the order of the file."""
        speaking: dict[str, list[Cell]] = {invariant.name: [] for invariant in self.charter.invariants}
        for cell in self.cells:
            for name in cell.invariants:
                speaking[name].append(cell)
        return tuple(
            Promise(
                name=invariant.name,
                words=invariant.words,
                views=sum(cell.box.views for cell in speaking[invariant.name]),
                broken=tuple(cell for cell in speaking[invariant.name] if cell.permissions),
            )
            for invariant in self.charter.invariants
        )

    def widenings(self) -> tuple[Widening, ...]:
        """Find where a suspension lets a later flow answer that gives more than the suspended one did."""
        found: dict[tuple[object, ...], list[Cell]] = {}
        for cell in self.cells:
            for first, second in zip(cell.permissions, cell.permissions[1:], strict=False):
                kept = GIVING.intersection(cell.box.verb)
                fields = tuple(name for name in first.withheld if kept and name not in second.withheld)
                records = (first.records_max, second.records_max)
                records_per_day = (first.records_per_day_max, second.records_per_day_max)
                if fields or records[0] < records[1] or records_per_day[0] < records_per_day[1]:
                    found.setdefault((first.clause, second.clause, fields, records, records_per_day), []).append(cell)
        return tuple(Widening(tuple(cells), *facts) for facts, cells in found.items())  # type: ignore[arg-type]


def ask_all(engine: str, charter: Charter, *, parties: Collection[str] = ()) -> Matrix:
    """Ask every question that a charter can be asked.

    Args:
        engine: name of the engine that decides, as the state has it.
        charter: what is asked; what its engine remembers for requests is neither used nor changed.
        parties: of which parties the questions are; empty = of all.

    Raises:
        InvalidInputError: there is no such party, or such a charter is in force under no such engine.
        LimitExceededError: more than `CELLS_MAX` cells, or `ASKED_MAX` questions.
        ProofInvalidError: there is no such engine, or it tells apart what no clause does.
    """
    for name in parties:
        if name not in charter.parties:
            known = ", ".join(charter.parties)
            raise InvalidInputError(f"the charter has no party {name}; it has {known}", place="--party")
    if charter.requires_governance and engine not in HEEDING_ENGINES:
        raise InvalidInputError(
            f"the engine {engine} heeds no duties, grants and builds, and the charter asks for some"
        )
    domain = domain_of(charter, engine=engine, parties=parties)
    asked = replace(charter, memo={})
    boxes = [*islice(split(asked, domain), CELLS_MAX + 1)]
    if len(boxes) > CELLS_MAX:
        raise _too_many(charter, f"{CELLS_MAX:,} cells that its clauses tell apart", "CELLS_MAX", CELLS_MAX)
    cells: list[Cell] = []
    left = ASKED_MAX
    for box, invariants in boxes:
        answers, count = _answer(engine, asked, box)
        asked.memo.clear()  # no question is asked twice
        left -= count * len(answers)
        if left < 0:
            raise _too_many(charter, f"{ASKED_MAX:,} questions for its engine", "ASKED_MAX", ASKED_MAX)
        cells.append(Cell(box, tuple(invariant.name for invariant in invariants), answers))
    return Matrix(charter, engine, domain, tuple(cells))


def _answer(engine: str, charter: Charter, box: Box) -> tuple[tuple[Decision, ...], int]:
    """Give the answers to a box, which are those to each of its samples (rule 1), and how many these are."""
    samples = [*box.samples()]
    first = tuple(_answers(engine, charter, samples[0]))
    for view in samples[1:]:
        answers = tuple(_answers(engine, charter, view))
        if answers != first:
            raise ProofInvalidError(
                f"the engine {engine} tells apart what no clause does",
                place=str(view),
                expected=str(first),
                found=str(answers),
            )
    return first, len(samples)


def _answers(engine: str, charter: Charter, view: View) -> Iterator[Decision]:
    """Give the answers as the flows that permit are suspended, one after the other (rule 2)."""
    while True:
        decision = decide(engine, charter, view)
        if decision.permitted and decision.clause in view.stopped:
            return  # an engine that heeds no suspension says the same again
        yield decision
        if not decision.permitted:
            return
        view = view._replace(stopped=view.stopped | {decision.clause})


def _too_many(charter: Charter, what: str, limit: str, value_max: int) -> LimitExceededError:
    size = (
        f"{len(charter.parties)} parties, {len(charter.flows)} flows, {len(charter.datasets)} datasets, "
        f"{len(charter.purposes)} purposes and {len(charter.invariants)} invariants"
    )
    return LimitExceededError(
        f"the charter, with {size}, has more than {what}",
        limit=limit,
        value_max=value_max,
        hint="ask for one party at a time, with --party",
    )
