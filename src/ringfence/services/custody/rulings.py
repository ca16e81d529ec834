"""Step 2 of the main path, decide: a ruling is remembered until the rules change, or time changes it."""

from __future__ import annotations

from typing import Final

from ringfence.core.charter import Dataset
from ringfence.core.charter.catalog import classes_of
from ringfence.core.decisions.ruling import Asked, Ruling, rule_access
from ringfence.core.state import State
from ringfence.services.custody.request import Request
from ringfence.services.keeper import RuleKeeper

RULINGS_CACHED_MAX: Final = 10_000


class Rulings:
    """Decides requests.

    Args:
        keeper: the state whose rulings are remembered; each new rule makes all of them be forgotten.
    """

    def __init__(self, keeper: RuleKeeper) -> None:
        self._keeper = keeper
        self._known: dict[Asked, tuple[int, Ruling]] = {}  # with the time that each was asked for
        keeper.on_rule(lambda rule, about: self._known.clear())

    def rule(self, state: State, request: Request, dataset: Dataset, *, at_ms: int) -> Ruling:
        """Decide on every class that the dataset can have.

        No answer is given for a time before the one that it was made for: after a step of the clock back, or in a lane
        that is behind another one, what had ended then has not ended yet.
        """
        asked = request.asked(dataset.name)
        known = self._known.get(asked) if state is self._keeper.state else None
        if known is not None:
            since_ms, ruling = known
            if since_ms <= at_ms and (ruling.holds_until_ms == 0 or at_ms < ruling.holds_until_ms):
                return ruling
        classes = classes_of(state.rules.datasets.get(dataset.name, dataset))  # it may have changed meanwhile
        ruling = rule_access(state, asked, classes, at_ms=at_ms)
        if state is self._keeper.state:
            if len(self._known) >= RULINGS_CACHED_MAX:
                self._known.clear()
            self._known[asked] = at_ms, ruling
        return ruling
