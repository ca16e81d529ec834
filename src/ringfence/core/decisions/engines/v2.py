"""Engine v2: as v1, with duties, grants, approved builds and suspended flows. Frozen: see the package.

Rules of this engine:
1. A flow permits a view when it names the view's party, purpose, verb, dataset and class, its countries hold the
   view's country or are `*`, and the shape is `single`, or `bulk` and the flow has bulk limits.
2. A flow that names duties is for people and wants one of them; one that names none is for services, and no person
   may use it. One that needs a grant wants one of the kinds that it names; one that wants approved builds wants such a
   build.
3. Flows are asked in the charter's order and the first that permits decides alone: limits are never merged. A flow that
   is stopped permits nothing; when only stopped ones would permit, the first of them is named.
4. `OTHER` is matched by no name. Only as a country may it pass, and only where a flow says `*`.
"""

from __future__ import annotations

from typing import Final

from ringfence.core.charter import ANY, Charter, Flow
from ringfence.core.charter.terms import NONE, OTHER
from ringfence.core.decisions.view import APPROVED, DENIED, Decision, View

NAME: Final = "v2"
SINGLE_RECORDS_MAX: Final = 1_000  # one page of one user's records
MEMO_VIEWS_MAX: Final = 65_536  # more than any honest charter needs; keeps odd countries from filling memory


def decide(charter: Charter, view: View) -> Decision:
    """Say whether the charter permits the view, and by which clause. Pure; a known view costs one look-up."""
    memo = charter.memo.get(NAME)
    if memo is None:
        memo = charter.memo.setdefault(NAME, {})
    decision: Decision | None = memo.get(view)
    if decision is None:
        decision = _decide(charter, view)
        if len(memo) >= MEMO_VIEWS_MAX:
            memo.clear()
        memo[view] = decision
    return decision


def _decide(charter: Charter, view: View) -> Decision:
    if OTHER in (view.party, view.purpose, view.verb, view.dataset, view.data_class, view.shape):
        return DENIED
    stopped = ""
    for flow in charter.flows:
        if not permits(flow, view):
            continue
        if flow.name not in view.stopped:
            return _permission(flow, view)
        stopped = stopped or flow.name
    return Decision(permitted=False, clause=stopped) if stopped else DENIED


def permits(flow: Flow, view: View) -> bool:
    """Tell whether one flow permits a view, stopped or not (rules 1 and 2)."""
    return (
        view.party in flow.who
        and view.purpose in flow.purposes
        and view.verb in flow.verbs
        and view.dataset in flow.datasets
        and view.data_class in flow.classes
        and (flow.countries == (ANY,) or (view.country in flow.countries and view.country != OTHER))
        and (view.shape == "single" or (view.shape == "bulk" and flow.bulk is not None))
        and (view.duty in flow.duties if flow.duties else view.duty == NONE)
        and (not flow.needs or view.grant in flow.needs)
        and (not flow.builds or view.build == APPROVED)
    )


def _permission(flow: Flow, view: View) -> Decision:
    bulk = flow.bulk if view.shape == "bulk" else None
    return Decision(
        permitted=True,
        clause=flow.name,
        withheld=tuple(item.field for item in flow.withhold if item.dataset == view.dataset),
        records_max=bulk.records_max if bulk else SINGLE_RECORDS_MAX,
        records_per_day_max=bulk.records_per_day_max if bulk else 0,
        downgrades_per_day_max=flow.downgrades_per_day_max if view.verb == "write" else 0,
        needs_grant=bool(flow.needs),
    )
