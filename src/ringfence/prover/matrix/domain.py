"""Every question that a decision can see, and which of them no clause can tell apart.

A `View` is a product of finite vocabularies, so that every question can be counted. Most values are told apart by no
clause: those are merged into boxes, and each box is asked about once.

Rules of this file:
1. A value that the charter does not name is `OTHER`, as it is where requests come in.
2. One atom is split at a time. Of the flows and invariants, only those that fit all values chosen so far can still tell
   the next atom's values apart: values that the same of these fit, and that leave the same withheld, stay together.
3. Boxes share no question, and together they hold every one. The set of suspended flows is no atom here: `matrix` asks
   for it, box by box.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from math import prod
from types import MappingProxyType
from typing import Final, NamedTuple

from ringfence.core.charter import ANY, Charter, Flow, Invariant
from ringfence.core.charter.governance import GRANT_KINDS
from ringfence.core.charter.terms import NONE, OTHER, SHAPES, VERBS
from ringfence.core.decisions.engines import HEEDING_ENGINES
from ringfence.core.decisions.view import APPROVED, View

SAMPLES_MAX: Final = 8
"""Questions of one box that are put to the engine."""


class Box(NamedTuple):
    """Questions that no clause and no invariant tells apart: each of the values of each atom, with each of the others.

    The attributes are those of a `View`, in the order in which they are split.
    """

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

    @property
    def views(self) -> int:
        """How many questions it holds, the set of suspended flows apart."""
        return prod(map(len, self))

    def samples(self) -> Iterator[View]:
        """Give some of its questions, nothing suspended: of each atom the first, the last and others between.

        At most `SAMPLES_MAX`; of an atom with no more values than there are samples, each value is in one.
        """
        count = min(max(map(len, self)), SAMPLES_MAX)
        for at in range(count):
            yield self.view(lambda values: _spread(values, at, count))  # noqa: B023, it is called at once

    def view(self, choose: Callable[[Sequence[str]], str]) -> View:
        """Give one of its questions, nothing suspended, by the value that is chosen of each atom's."""
        party, purpose, verb, dataset, data_class, duty, country, shape, grant, build = map(choose, self)
        return View(party, country, purpose, verb, dataset, data_class, shape, duty, grant, build)


ATOMS: Final = Box._fields


def _spread(values: Sequence[str], at: int, count: int) -> str:
    """Give the value for one of `count` samples: few values in turn, of many the first, the last and some between."""
    return values[at % len(values)] if len(values) <= count else values[at * (len(values) - 1) // (count - 1)]


def domain_of(charter: Charter, *, engine: str, parties: Collection[str] = ()) -> Box:
    """Give every question that a charter can be asked, as one box.

    Args:
        charter: what is asked.
        engine: name of the engine that is asked; one that heeds no duties, grants and builds is asked without any, as
            it is by what serves requests.
        parties: of which parties the questions are; empty = of all, and of callers who are of none.
    """
    heeds = engine in HEEDING_ENGINES
    duties = charter.governance.duties if charter.governance else ()
    return Box(
        party=tuple(name for name in (*charter.parties, OTHER) if not parties or name in parties),
        purpose=(*charter.purposes, OTHER),
        verb=VERBS,
        dataset=(*charter.datasets, OTHER),
        data_class=tuple(charter.classes),
        duty=(NONE, *duties, OTHER) if heeds else (NONE,),
        country=(*named_countries(charter), OTHER),
        shape=SHAPES,
        grant=(NONE, *GRANT_KINDS) if heeds else (NONE,),
        build=(NONE, APPROVED) if heeds else (NONE,),
    )


def named_countries(charter: Charter) -> tuple[str, ...]:
    """Give the countries that a charter names anywhere where a request's country could count, in order."""
    named = [charter.jurisdiction.country]
    named += [country for flow in charter.flows for country in flow.countries if country != ANY]
    named += [country for invariant in charter.invariants for country in invariant.from_outside]
    return tuple(dict.fromkeys(named))


def split(charter: Charter, domain: Box) -> Iterator[tuple[Box, tuple[Invariant, ...]]]:
    """Give the boxes of a domain, each with the invariants that speak of it."""
    return _split(domain, (), charter.flows, charter.invariants)


def _split(
    domain: Box, chosen: tuple[tuple[str, ...], ...], flows: Sequence[Flow], invariants: Sequence[Invariant]
) -> Iterator[tuple[Box, tuple[Invariant, ...]]]:
    at = len(chosen)
    if at == len(ATOMS) or not (flows or invariants):
        yield Box(*chosen, *domain[at:]), tuple(invariants)
        return
    told, meant = _TOLD[ATOMS[at]], _MEANT.get(ATOMS[at], _always)
    together: dict[Hashable, list[str]] = {}
    for value in domain[at]:
        by_flows = tuple(told(flow, value) for flow in flows)
        by_invariants = tuple(meant(invariant, value) for invariant in invariants)
        together.setdefault((by_flows, by_invariants), []).append(value)
    for values in together.values():
        still = [flow for flow in flows if told(flow, values[0]) is not None]
        speaking = [invariant for invariant in invariants if meant(invariant, values[0])]
        yield from _split(domain, (*chosen, tuple(values)), still, speaking)


# What a flow's answer takes from a value of each atom; None where the flow does not fit the value.


def _named(is_named: Callable[[Flow, str], bool]) -> Callable[[Flow, str], Hashable]:
    return lambda flow, value: "" if is_named(flow, value) else None


def _told_by_verb(flow: Flow, value: str) -> Hashable:
    return (flow.downgrades_per_day_max if value == "write" else 0) if value in flow.verbs else None


def _told_by_dataset(flow: Flow, value: str) -> Hashable:
    if value not in flow.datasets:
        return None
    return tuple(item.field for item in flow.withhold if item.dataset == value)


def _told_by_shape(flow: Flow, value: str) -> Hashable:
    return flow.bulk if value == "bulk" else ""


_TOLD: Final[Mapping[str, Callable[[Flow, str], Hashable]]] = MappingProxyType(
    {
        "party": _named(lambda flow, value: value in flow.who),
        "purpose": _named(lambda flow, value: value in flow.purposes),
        "verb": _told_by_verb,
        "dataset": _told_by_dataset,
        "data_class": _named(lambda flow, value: value in flow.classes),
        "duty": _named(lambda flow, value: value in flow.duties if flow.duties else value == NONE),
        "country": _named(lambda flow, value: flow.countries == (ANY,) or value in flow.countries),
        "shape": _told_by_shape,
        "grant": _named(lambda flow, value: not flow.needs or value in flow.needs),
        "build": _named(lambda flow, value: not flow.builds or value == APPROVED),
    }
)


# Whether an invariant speaks of a value of each atom; of the others it speaks always.


def _always(invariant: Invariant, value: str) -> bool:
    del invariant, value
    return True


_MEANT: Final[Mapping[str, Callable[[Invariant, str], bool]]] = MappingProxyType(
    {
        "party": lambda invariant, value: value in invariant.parties,
        "verb": lambda invariant, value: value in invariant.verbs,
        "dataset": lambda invariant, value: value in invariant.datasets,
        "data_class": lambda invariant, value: value in invariant.classes,
        "country": lambda invariant, value: not invariant.from_outside or value not in invariant.from_outside,
    }
)
