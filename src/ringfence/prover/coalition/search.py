"""The smallest coalition, found by clingo and checked by the closure.

Rules of this file:
1. What the solver finds is believed only after the closure of `core.coalition` reaches the goal with it. What it says
   cannot be done is believed as far as `core.coalition.floor` counts one by one, and beyond that as the solver's word.
2. When time runs out the answer is between two numbers, and says so.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final

import clingo

from ringfence.core.coalition.closure import MODES, OPENED_BY, Model, reach
from ringfence.core.coalition.rules import find_goals
from ringfence.core.errors import ProofInvalidError

SECONDS_MAX: Final = 600.0
_PROGRAM: Final = files("ringfence.prover.coalition").joinpath("coalition.lp").read_text("utf-8")


@dataclass(frozen=True, slots=True)
class Smallest:
    """How few people must join for a goal.

    Attributes:
        at_least: no fewer are enough.
        joined: so many of each of `Model.joiners` reach the goal, as far as numbers go; None when none was found.
        is_exact: whether `joined` has `at_least` people.
    """

    at_least: int
    joined: dict[int, int] | None
    is_exact: bool


class Search:
    """Asks clingo about one model, which is grounded once for all goals.

    Args:
        model: of the world.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        self._control = clingo.Control(["--opt-strategy=usc", "--warn=none", "--project=show"])
        self._control.add("base", [], "\n".join((_PROGRAM, *_facts(model))))
        self._control.add("people", ["n"], "#external just(n). :- just(n), #sum { N, K : join(K, N) } != n.")
        self._control.ground([("base", [])])
        self._numbers: set[int] = set()

    def find_smallest(self, goal: str, *, seconds: float) -> Smallest | None:
        """Give how few people must join for a goal; None when nobody's joining is enough.

        Args:
            goal: its name.
            seconds: how long to look, up to `SECONDS_MAX`.

        Raises:
            ProofInvalidError: the solver's answer does not reach the goal.
        """
        self._set(opt_mode="opt", models=0)
        best: dict[int, int] | None = None
        is_proven = False
        ends = time.monotonic() + min(seconds, SECONDS_MAX)
        with self._control.solve(assumptions=[(_wanted(goal), True)], async_=True, yield_=True) as handle:
            for found in _models(handle, ends=ends):
                if found is None:
                    if best is None and handle.get().unsatisfiable:
                        return None
                    is_proven = True
                else:
                    best = _joined(found)
        bound = sum(best.values()) if is_proven and best is not None else _lower(self._control)
        if best is not None and goal not in reach(self._model, best):
            raise ProofInvalidError("the solver's coalition does not reach the goal", place=goal)
        return Smallest(bound, best, is_exact=is_proven)

    def find_others(self, goal: str, people: int, *, most: int, seconds: float) -> list[dict[int, int]]:
        """Give choices of just so many people who reach a goal, at most `most` of them, found in `seconds`."""
        if people not in self._numbers:
            self._control.ground([("people", [clingo.Number(people)])])
            self._numbers.add(people)
        just = clingo.Function("just", [clingo.Number(people)])
        self._set(opt_mode="ignore", models=most)
        self._control.assign_external(just, True)
        try:
            ends = time.monotonic() + min(seconds, SECONDS_MAX)
            with self._control.solve(assumptions=[(_wanted(goal), True)], async_=True, yield_=True) as handle:
                return [_joined(found) for found in _models(handle, ends=ends) if found is not None]
        finally:
            self._control.assign_external(just, False)

    def _set(self, *, opt_mode: str, models: int) -> None:
        solve: Any = self._control.configuration.solve
        solve.opt_mode, solve.models = opt_mode, str(models)


def _models(handle: clingo.SolveHandle, *, ends: float) -> Iterator[clingo.Model | None]:
    """Give what the solver finds, and None once it knows that there is no more; stops it when time is over."""
    while True:
        handle.resume()
        if not handle.wait(max(0.0, ends - time.monotonic())):
            handle.cancel()
            return
        found = handle.model()
        yield found
        if found is None:
            return


def _wanted(goal: str) -> clingo.Symbol:
    return clingo.Function("goal", [clingo.String(goal)])


def _lower(control: clingo.Control) -> int:
    """Give the bound that the solver had come to."""
    summary = control.statistics.get("summary", {})
    lower = summary.get("lower") or [0.0]
    return max(0, int(lower[0]))


def _joined(found: clingo.Model) -> dict[int, int]:
    return {atom.arguments[0].number: atom.arguments[1].number for atom in found.symbols(shown=True)}


def _facts(model: Model) -> Iterator[str]:
    numbers = {demand: number for number, demand in enumerate(model.demands)}
    for name in dict.fromkeys(goal.name for goal in find_goals(model.world)):
        yield f"wanted({_text(name)})."
    for kind, item in enumerate(model.joiners):
        yield f"kind({kind},{item.most})."
    for demand, number in numbers.items():
        for position, mode in enumerate(MODES):
            count = model.counts[demand][mode]
            yield f"base({number},{position},{count.base})."
            for kind, weight in enumerate(count.each):
                if weight:
                    yield f"weight({number},{position},{kind},{weight})."
        if demand in model.placeable:
            yield f"placeable({number})."
    for position, mode in enumerate(MODES):
        for field, name in OPENED_BY.items():
            yield f"turn({position},{_text(name)},{MODES.index(mode._replace(**{field: True}))})."
    for required in model.requirements:
        name = _text(required.name)
        for position, way in enumerate(required.ways):
            yield f"way({name},{position})."
            for demand in way:
                yield f"ask({name},{position},{numbers[demand]},{demand.count})."
    for position, rule in enumerate(model.rules):
        yield f"rule({position},{_text(rule.head)})."
        for name in rule.body:
            yield f"body({position},{_text(name)})."


def _text(name: str) -> str:
    """Give a name as the solver's text."""
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
