"""Who can do what to which class of which dataset, by the answers of a matrix: for a table and for a picture.

Rules of this file:
1. A row is whoever a decision cannot tell apart: a party's services, its people with a duty, or those with none, each
   with the grant or the build that they need. What a grant or a build adds nothing to has no row of its own.
2. A row says what its callers get from the best country, for the best purpose.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final, NamedTuple

from ringfence.core.changes import EVERYTHING, FLOW, PARTY
from ringfence.core.charter.terms import NONE, OTHER
from ringfence.core.decisions.view import APPROVED, Decision
from ringfence.prover.matrix.cells import Matrix
from ringfence.prover.matrix.domain import Box

NOTHING: Final = 0
SINGLE_GRANT, BULK_GRANT, SINGLE, BULK = 1, 2, 3, 4
STRENGTHS: Final = (
    "nothing",
    "one user at a time, under a grant",
    "in bulk, under a grant",
    "one user at a time",
    "in bulk",
)
"""How much a row may do, from nothing to the most, in words; the index is the strength."""


class Place(NamedTuple):
    """A class of a dataset."""

    data_class: str
    dataset: str


@dataclass(frozen=True, slots=True)
class Given:
    """What one verb gives at one place.

    Attributes:
        strengths: how, by the index of `STRENGTHS`; at least one.
        clauses, purposes, countries: by which flows, for which purposes and from which countries, in order.
        withheld: fields that are kept back by one of the flows at least.
        broken: names of invariants that this breaks.
    """

    strengths: frozenset[int]
    clauses: tuple[str, ...]
    purposes: tuple[str, ...]
    countries: tuple[str, ...]
    withheld: tuple[str, ...]
    broken: tuple[str, ...]

    @property
    def is_bulk(self) -> bool:
        """Tell whether it gives many users at once."""
        return bool(self.strengths & {BULK_GRANT, BULK})

    def __or__(self, other: Given) -> Given:
        """Give what both give together."""
        return Given(
            self.strengths | other.strengths,
            _joined_names(self.clauses, other.clauses),
            _joined_names(self.purposes, other.purposes),
            _joined_names(self.countries, other.countries),
            _joined_names(self.withheld, other.withheld),
            _joined_names(self.broken, other.broken),
        )


def _joined_names(first: tuple[str, ...], second: tuple[str, ...]) -> tuple[str, ...]:
    return first if first == second else tuple(dict.fromkeys((*first, *second)))


Reach = dict[Place, dict[str, Given]]
"""What may be done at each place, by verb; a place where nothing may be is not there."""


@dataclass(frozen=True, slots=True)
class Row:
    """What callers of one kind may do.

    Attributes:
        party: whose.
        duties: what they hold, one of them; `NONE` is a service and `OTHER` a person without a duty. Empty where the
            row is the whole party, which may do nothing.
        grants: the kinds of grant, of which they need one; empty = none is needed.
        build: whether they need an approved build.
    """

    party: str
    duties: tuple[str, ...]
    grants: tuple[str, ...]
    build: bool
    reach: Reach

    def who(self) -> str:
        """Give who they are, the party apart, in words."""
        if not self.duties:
            return "anyone"
        words = {NONE: "a service", OTHER: "a person without a duty"}
        return " or ".join(words.get(duty, duty) for duty in self.duties)

    def needs(self) -> str:
        """Give what they need, in words; "" for nothing."""
        grant = f"a grant ({' or '.join(self.grants)})" if self.grants else ""
        return " and ".join(part for part in (grant, "an approved build" if self.build else "") if part)


class _Caller(NamedTuple):
    party: str
    duty: str
    grant: str
    build: str


def survey(matrix: Matrix, *, stopped: Collection[tuple[str, str]] = ()) -> tuple[Row, ...]:
    """Give what callers of each kind may do, party by party; a party of which nobody may do anything has one row.

    Args:
        matrix: the answers.
        stopped: (scope, name) of every suspension that holds, as a standing has them.
    """
    suspended = {name for scope, name in stopped if scope == FLOW}
    reached: dict[_Caller, Reach] = {}
    for cell in matrix.cells:
        decision = cell.now(suspended)
        if decision is not None and (EVERYTHING, "") not in stopped:
            broken = cell.invariants
            for party in cell.box.party:
                if (PARTY, party) not in stopped:
                    _note(reached, cell.box._replace(party=(party,)), decision, broken)
    return tuple(row for party in matrix.domain.party for row in _rows_of(party, reached, order=matrix.domain.duty))


def _note(reached: dict[_Caller, Reach], box: Box, decision: Decision, broken: tuple[str, ...]) -> None:
    if "bulk" in box.shape:
        strength = BULK_GRANT if decision.needs_grant else BULK
    else:
        strength = SINGLE_GRANT if decision.needs_grant else SINGLE
    told = Given(frozenset({strength}), (decision.clause,), box.purpose, box.country, decision.withheld, broken)
    for caller in map(_Caller._make, product(box.party, box.duty, box.grant, box.build)):
        reach = reached.setdefault(caller, {})
        for place in map(Place._make, product(box.data_class, box.dataset)):
            verbs = reach.setdefault(place, {})
            for verb in box.verb:
                verbs[verb] = verbs[verb] | told if verb in verbs else told


def _rows_of(party: str, reached: Mapping[_Caller, Reach], *, order: Sequence[str]) -> Iterator[Row]:
    found: list[Row] = []
    for caller, reach in reached.items():
        if caller.party != party:
            continue
        without = (caller._replace(grant=NONE), caller._replace(build=NONE), caller._replace(grant=NONE, build=NONE))
        if any(other != caller and reached.get(other) == reach for other in without):
            continue  # rule 1
        grants = () if caller.grant == NONE else (caller.grant,)
        found.append(Row(party, (caller.duty,), grants, caller.build == APPROVED, reach))
    found.sort(key=lambda row: (order.index(row.duties[0]), row.build, row.grants))
    by_grant = _joined(found, lambda row: (row.duties, row.build))
    yield from _joined(by_grant, lambda row: (row.grants, row.build)) or [Row(party, (), (), build=False, reach={})]


def _joined(rows: Iterable[Row], alike: Callable[[Row], object]) -> list[Row]:
    """Make one row of those that are alike and may do the same."""
    found: list[Row] = []
    for row in rows:
        at = next((at for at, other in enumerate(found) if (alike(other), other.reach) == (alike(row), row.reach)), -1)
        if at < 0:
            found.append(row)
            continue
        duties = tuple(dict.fromkeys((*found[at].duties, *row.duties)))
        grants = tuple(dict.fromkeys((*found[at].grants, *row.grants)))
        found[at] = Row(row.party, duties, grants, row.build, row.reach)
    return found


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the table of who can do what: one row, and the classes that it may do the same to.

    Attributes:
        classes: data classes; empty where nothing may be done.
        single, bulk: the verbs for one user at a time, and for many at once.
        datasets: of which datasets something may be done.
        clauses: by which flows.
        broken: names of invariants that this breaks.
    """

    party: str
    who: str
    needs: str
    classes: tuple[str, ...]
    single: tuple[str, ...]
    bulk: tuple[str, ...]
    datasets: tuple[str, ...]
    clauses: tuple[str, ...]
    broken: tuple[str, ...]


def lines_of(row: Row, domain: Box) -> tuple[Line, ...]:
    """Give the lines of a row; one that says nothing where it may do nothing."""
    classes: dict[tuple[tuple[str, ...], ...], list[str]] = {}
    for data_class in domain.data_class:
        reached = {place.dataset: verbs for place, verbs in row.reach.items() if place.data_class == data_class}
        given = [item for verbs in reached.values() for item in verbs.items()]
        if given:
            facts = (
                _ordered((verb for verb, _ in given), domain.verb),
                _ordered((verb for verb, item in given if item.is_bulk), domain.verb),
                _ordered(reached, domain.dataset),
                tuple(sorted({clause for _, item in given for clause in item.clauses})),
                tuple(sorted({name for _, item in given for name in item.broken})),
            )
            classes.setdefault(facts, []).append(data_class)
    found = [Line(row.party, row.who(), row.needs(), tuple(names), *facts) for facts, names in classes.items()]
    return tuple(found) or (Line(row.party, row.who(), row.needs(), (), (), (), (), (), ()),)


def _ordered(names: Iterable[str], order: Sequence[str]) -> tuple[str, ...]:
    known = set(names)
    return tuple(name for name in order if name in known)
