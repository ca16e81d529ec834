"""What a refused party could have asked for instead: help in words, never part of a decision.

Rules of this file:
1. A party hears only of flows that name it.
2. Party, verb and dataset stay as they were asked; the rest may differ.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from ringfence.core.charter import ANY, Charter, Flow
from ringfence.core.charter.phrases import join_or
from ringfence.core.charter.terms import NONE, OTHER
from ringfence.core.decisions.view import APPROVED, View

SENTENCES_MAX: Final = 5


def what_could_be_asked(charter: Charter, *views: View, duties: Collection[str] = ()) -> list[str]:
    """Give sentences on the flows that would permit this party the same with something changed; nearest first.

    At most `SENTENCES_MAX`; none for a view that a flow permits as it is, and none when no flow is near. Of the views
    of one request, one for each class, a flow gets one sentence: the one that names most of what would have to change.

    Args:
        duties: what the caller holds besides the duty of the views.
    """
    near: dict[str, tuple[int, str]] = {}
    for view in views:
        for flow, changes in _flows_near(charter, view, duties):
            if flow.name not in near or near[flow.name][0] < len(changes):
                asked = f"permits {view.party} to {view.verb} {view.dataset}"
                near[flow.name] = (len(changes), f"clause `{flow.name}` {asked} " + ", ".join(changes))
    return [sentence for _, sentence in sorted(near.values(), key=lambda item: item[0])[:SENTENCES_MAX]]


def _flows_near(charter: Charter, view: View, duties: Collection[str]) -> list[tuple[Flow, list[str]]]:
    """Give the flows that would permit the view with something changed, and what; none when one permits it as it is."""
    if view.party == OTHER:
        return []
    near: list[tuple[Flow, list[str]]] = []
    for flow in charter.flows:
        if view.party not in flow.who or view.verb not in flow.verbs or view.dataset not in flow.datasets:
            continue
        changes = _changes(flow, view, duties)
        if not changes:
            return []
        near.append((flow, changes))
    return near


def _changes(flow: Flow, view: View, duties: Collection[str]) -> list[str]:
    """Give what would have to differ for the flow to permit the view, in words."""
    changes: list[str] = []
    if view.data_class not in flow.classes:
        changes.append(f"of class {join_or(flow.classes)}")
    if view.purpose not in flow.purposes:
        changes.append(f"for the purpose {join_or(flow.purposes)}")
    if flow.countries != (ANY,) and view.country not in flow.countries:
        changes.append(f"from {join_or(flow.countries)}")
    if view.shape != "single" and (view.shape != "bulk" or flow.bulk is None):
        changes.append("one user at a time")
    if flow.duties and view.duty not in flow.duties and not set(flow.duties).intersection(duties):
        changes.append(f"to people with the duty {join_or(flow.duties)}")
    elif not flow.duties and view.duty != NONE:
        changes.append("to services")
    if flow.needs and view.grant not in flow.needs:
        changes.append(
            f"under a grant of the kind {join_or(flow.needs)}, which a proposal asks for and the request names"
        )
    if flow.builds and view.build != APPROVED:
        changes.append("to services with an approved build")
    if flow.name in view.stopped:
        changes.append("once its suspension is lifted")
    return changes
