"""From a request, or the entry that records it, to what the entry must say: the same function for both.

The gateway calls it before it writes an entry, the verifier after it read one. Nothing here looks at who the user is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ringfence.core.engines import decide
from ringfence.core.entry import Access
from ringfence.core.state import State
from ringfence.core.view import OTHER, Decision, View


@dataclass(frozen=True, slots=True)
class Ruling:
    """What the charter says to one request.

    Attributes:
        decided: data class to clause, as the entry records it, classes in sorted order: a clause's name permits, ""
            means that no clause does, and "!" with a clause's name that this clause's limit forbids.
        permitted: the decisions of the classes that may be touched.
    """

    decided: Mapping[str, str]
    permitted: Mapping[str, Decision]


def rule_access(
    state: State,
    *,
    principal: int,
    country: str,
    purpose: str,
    verb: str,
    dataset: str,
    classes: Iterable[str],
    shape: str,
    records: int,
) -> Ruling:
    """Decide on a request for `records` records of one dataset, class by class.

    Args:
        state: what decisions depend on, after some number of rules.
        principal: a registered caller's number; an unknown one is of no party.
        country: where the connection comes from, ISO 3166 alpha-2, or `OTHER`.
        purpose: the purpose named by the caller.
        verb: one of `view.VERBS`.
        dataset: the dataset named by the caller.
        classes: the data classes asked for.
        shape: `single` or `bulk`.
        records: how many records are named.
    """
    who = state.principals.get(principal)
    party = who.party if who else OTHER
    charter = state.rules
    decided: dict[str, str] = {}
    permitted: dict[str, Decision] = {}
    for data_class in sorted(classes):
        view = View(party, country, purpose, verb, dataset, data_class, shape)
        decision = decide(state.engine, charter, view)
        if decision.permitted and records > decision.records_max:
            decided[data_class] = "!" + decision.clause
        elif decision.permitted:
            decided[data_class] = decision.clause
            permitted[data_class] = decision
        else:
            decided[data_class] = "!" + decision.clause if decision.clause else ""
    return Ruling(decided=decided, permitted=permitted)


def rule_erasure(state: State, *, principal: int, country: str, purpose: str) -> Ruling:
    """Decide on erasing one subject: every class of every dataset must be permitted.

    A class is recorded with the clause that permits it in every dataset, or with "" if one dataset refuses it.
    """
    charter = state.rules
    decided: dict[str, str] = {}
    permitted: dict[str, Decision] = {}
    for data_class in sorted(charter.classes):
        rulings = [
            rule_access(
                state,
                principal=principal,
                country=country,
                purpose=purpose,
                verb="erase",
                dataset=dataset,
                classes=(data_class,),
                shape="single",
                records=1,
            )
            for dataset in charter.datasets
        ]
        clauses = {ruling.decided[data_class] for ruling in rulings}
        if all(data_class in ruling.permitted for ruling in rulings):
            decided[data_class] = min(clauses)
            permitted[data_class] = rulings[0].permitted[data_class]
        else:
            decided[data_class] = ""
    return Ruling(decided=decided, permitted=permitted)


def is_given(entry: Access) -> bool:
    """Tell whether an access entry says that something was given."""
    return any(clause and not clause.startswith("!") for clause in entry.decided.values())
