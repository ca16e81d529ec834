"""What a refused party could have asked for instead: help in words, never part of a decision.

Rules of this file:
1. A party hears only of flows that name it.
2. Party, verb and dataset stay as they were asked; purpose, country, class and shape may differ.
"""

from __future__ import annotations

from typing import Final

from ringfence.core.charter import ANY, Charter, Flow
from ringfence.core.view import OTHER, View

SENTENCES_MAX: Final = 5


def what_could_be_asked(charter: Charter, view: View) -> list[str]:
    """Give sentences on the flows that would permit this party the same with something changed; nearest first.

    At most `SENTENCES_MAX`; none when a flow permits the view as it is, or no flow is near.
    """
    if view.party == OTHER:
        return []
    near: list[tuple[int, str]] = []
    for flow in charter.flows:
        if view.party not in flow.who or view.verb not in flow.verbs or view.dataset not in flow.datasets:
            continue
        changes = _changes(flow, view)
        if not changes:
            return []
        sentence = f"clause `{flow.name}` permits {view.party} to {view.verb} {view.dataset} " + ", ".join(changes)
        near.append((len(changes), sentence))
    return [sentence for _, sentence in sorted(near, key=lambda item: item[0])[:SENTENCES_MAX]]


def _changes(flow: Flow, view: View) -> list[str]:
    """Give what would have to differ for the flow to permit the view, in words."""
    changes: list[str] = []
    if view.data_class not in flow.classes:
        changes.append(f"of class {_either(flow.classes)}")
    if view.purpose not in flow.purposes:
        changes.append(f"for the purpose {_either(flow.purposes)}")
    if flow.countries != (ANY,) and view.country not in flow.countries:
        changes.append(f"from {_either(flow.countries)}")
    if view.shape != "single" and (view.shape != "bulk" or flow.bulk is None):
        changes.append("one user at a time")
    return changes


def _either(names: tuple[str, ...]) -> str:
    return " or ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
