"""A matrix in words, as facts for programs, and as rows for a spreadsheet."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from ringfence.prover.matrix.cells import Cell, Matrix, Promise, Widening
from ringfence.prover.matrix.domain import ATOMS, Box, domain_of
from ringfence.prover.matrix.survey import Row, lines_of

NAMES_SHOWN_MAX: Final = 3


@dataclass(frozen=True, slots=True)
class AskedCell:
    """A cell as a row: what is asked, and what is answered.

    Attributes:
        cell: its number, from 1.
        party, purpose, verb, dataset, data_class, duty, country, shape, grant, build: the values that it holds.
        questions: how many questions it stands for, suspensions apart.
        clauses: the flow that permits; then each that permits when those before it are suspended. Empty = denied.
        withheld: fields that the first of these keeps back.
        records_max, records_per_day_max: its limits.
        needs_grant: whether the permission rests on the grant.
        invariants: that speak of it.
        breaks: whether one of these is broken.
    """

    cell: int
    party: tuple[str, ...]
    purpose: tuple[str, ...]
    verb: tuple[str, ...]
    dataset: tuple[str, ...]
    data_class: tuple[str, ...]
    duty: tuple[str, ...]
    country: tuple[str, ...]
    shape: tuple[str, ...]
    grant: tuple[str, ...]
    build: tuple[str, ...]
    questions: int
    clauses: tuple[str, ...]
    withheld: tuple[str, ...]
    records_max: int
    records_per_day_max: int
    needs_grant: bool
    invariants: tuple[str, ...]
    breaks: bool


def asked_cells(matrix: Matrix) -> list[AskedCell]:
    """Give every cell as a row, in order."""
    return [_asked_cell(number, cell) for number, cell in enumerate(matrix.cells, 1)]


def _asked_cell(number: int, cell: Cell) -> AskedCell:
    first = cell.decisions[0]
    return AskedCell(
        number,
        *cell.box,
        questions=cell.box.views,
        clauses=tuple(decision.clause for decision in cell.permissions),
        withheld=first.withheld,
        records_max=first.records_max,
        records_per_day_max=first.records_per_day_max,
        needs_grant=first.needs_grant,
        invariants=cell.invariants,
        breaks=bool(cell.invariants and cell.permissions),
    )


def matrix_facts(
    matrix: Matrix, promises: Sequence[Promise], rows: Sequence[Row], *, stopped: Collection[tuple[str, str]]
) -> dict[str, Any]:
    """Give what was found as values that JSON can hold: the promises, what suspensions widen, and who can do what."""
    charter = matrix.charter
    return {
        "charter": charter.name,
        "version": charter.version,
        "sha256": charter.digest.hex(),
        "engine": matrix.engine,
        "questions": matrix.domain.views,
        "flows": len(charter.flows),
        "cells": len(matrix.cells),
        "domain": matrix.domain._asdict(),
        "suspended": [{"scope": scope, "name": name} for scope, name in sorted(stopped)],
        "holds": not any(promise.broken for promise in promises),
        "invariants": [
            {
                "name": promise.name,
                "words": promise.words,
                "questions": promise.views,
                "holds": not promise.broken,
                "broken": [_cell_facts(cell) for cell in promise.broken],
            }
            for promise in promises
        ],
        "widened_by_suspension": [
            {
                "suspended": widening.clause,
                "decides": widening.then,
                "fields": widening.fields,
                "records_max": widening.records_max,
                "records_per_day_max": widening.records_per_day_max,
                "cells": [_cell_facts(cell) for cell in widening.cells],
            }
            for widening in matrix.widenings()
        ],
        "table": [asdict(line) for row in rows for line in lines_of(row, matrix.domain)],
    }


def scope_words(matrix: Matrix) -> str:
    """Say how much was asked, and of which parties where it was not all."""
    flows, cells = len(matrix.charter.flows), len(matrix.cells)
    whole = domain_of(matrix.charter, engine=matrix.engine)
    alone = "" if matrix.domain == whole else f", of {' and '.join(matrix.domain.party)} alone"
    suspended = f", each under every set of {flows} flows that may be suspended" if matrix.heeds_suspensions else ""
    return f"{matrix.domain.views:,} questions{alone}{suspended}: merged into {cells:,} cells, each asked of the engine"


def _cell_facts(cell: Cell) -> dict[str, Any]:
    clauses = [decision.clause for decision in cell.permissions]
    return {**cell.box._asdict(), "questions": cell.box.views, "clauses": clauses}


def box_words(cell: Cell, domain: Box) -> str:
    """Say which questions a cell holds and what permits them, in one line; long lists are cut short.

    Atoms of which it holds every value are left out: they change nothing.
    """
    values = "; ".join(
        f"{atom.removeprefix('data_')} {names_words(names)}"
        for atom, names, every in zip(ATOMS, cell.box, domain, strict=True)
        if names != every
    )
    permitted = " then ".join(f"`{decision.clause}`" for decision in cell.permissions) or "nothing"
    return f"{permitted} permits: {values}"


def widening_words(widening: Widening) -> str:
    """Say what a suspension gives more, in one line."""
    parties, verbs, datasets, classes = (
        names_words(tuple(_all(widening.cells, atom))) for atom in ("party", "verb", "dataset", "data_class")
    )
    more = [f"gives {names_words(widening.fields)} too"] if widening.fields else []
    for what, (first, second) in (
        ("records a request", widening.records_max),
        ("records a day", widening.records_per_day_max),
    ):
        if first < second:
            more.append(f"{second:,} {what} for {first:,}")
    return (
        f"WIDENS  suspending `{widening.clause}` lets `{widening.then}` decide, which {' and '.join(more)}: "
        f"{parties} to {verbs} {datasets}, class {classes}"
    )


def _all(cells: Sequence[Cell], atom: str) -> Iterator[str]:
    yield from dict.fromkeys(value for cell in cells for value in getattr(cell.box, atom))


def names_words(names: Sequence[str]) -> str:
    """Give names in words, and of many the first ones and how many more there are."""
    if len(names) <= NAMES_SHOWN_MAX + 1:
        return ", ".join(names)
    return f"{', '.join(names[:NAMES_SHOWN_MAX])} and {len(names) - NAMES_SHOWN_MAX} more"
