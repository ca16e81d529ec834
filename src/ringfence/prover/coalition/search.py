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
from typing import Final

import clingo

from ringfence.core.coalition.closure import MODES, OPENED_BY, Model, reach
from ringfence.core.errors import ProofInvalidError

SECONDS_MAX: Final = 600.0
_PROGRAM: Final = files("ringfence.prover.coalition").joinpath("coalition.lp").read_text("utf-8")


@dataclass(frozen=True, slots=True)
class Smallest:
    """How few people must join for a goal.

    Attributes:
        at_least: no fewer are enough.
        joined: so many people of each kind reach the goal, as far as numbers go; None when none was found.
        is_exact: whether `joined` has `at_least` people.
    """

    at_least: int
    joined: dict[int, int] | None
    is_exact: bool


def find_smallest(model: Model, goal: str, *, seconds: float = 60.0) -> Smallest | None:
    """Give how few people must join for a goal; None when nobody's joining is enough.

    Args:
        model: of the world.
        goal: its name.
        seconds: how long to look for, up to `SECONDS_MAX`.

    Raises:
        ProofInvalidError: the solver's answer does not reach the goal.
    """
    control = _ground(model, goal, ["--opt-strategy=usc"])
    best: dict[int, int] | None = None
    bound = 0
    with control.solve(async_=True, yield_=True) as handle:
        ends = time.monotonic() + min(seconds, SECONDS_MAX)
        proven = False
        while True:
            handle.resume()
            if not handle.wait(max(0.0, ends - time.monotonic())):
                handle.cancel()
                break
            found = handle.model()
            if found is None:
                if best is None and handle.get().unsatisfiable:
                    return None
                proven = True
                break
            best = _joined(found)
    bound = sum(best.values()) if proven and best is not None else _lower(control)
    if best is not None and goal not in reach(model, best):
        raise ProofInvalidError("the solver's coalition does not reach the goal", place=goal)
    return Smallest(bound, best, is_exact=proven)


def find_others(model: Model, goal: str, people: int, *, most: int) -> Iterator[dict[int, int]]:
    """Give choices of just so many people who reach a goal, at most `most` of them."""
    control = _ground(model, goal, [f"--models={most}", "--opt-mode=ignore", "--project=show"])
    control.add("size", [], f":- #sum {{ N, K : join(K, N) }} != {people}.")
    control.ground([("size", [])])
    with control.solve(yield_=True) as handle:
        for found in handle:
            yield _joined(found)


def _lower(control: clingo.Control) -> int:
    """Give the bound that the solver had come to."""
    summary = control.statistics.get("summary", {})
    lower = summary.get("lower") or [0.0]
    return max(0, int(lower[0]))


def _joined(found: clingo.Model) -> dict[int, int]:
    return {atom.arguments[0].number: atom.arguments[1].number for atom in found.symbols(shown=True)}


def _ground(model: Model, goal: str, options: list[str]) -> clingo.Control:
    control = clingo.Control([*options, "--warn=none"])
    control.add("base", [], _PROGRAM)
    control.add("base", [], "\n".join((*_facts(model), f"goal({_text(goal)}).")))
    control.ground([("base", [])])
    return control


def _facts(model: Model) -> Iterator[str]:
    numbers = {demand: number for number, demand in enumerate(model.demands)}
    for kind, item in enumerate(model.world.kinds):
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
