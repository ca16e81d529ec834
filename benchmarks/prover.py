"""How long does the whole matrix of the worked example take: every question that its charter can be asked?

    python -m benchmarks.prover [--rounds N]

Method: the charter is parsed beforehand. Then in each of N rounds (default 20), in processor time:

    matrix     every question merged into cells, and each cell asked of the engine
    promises   every invariant held against the cells, and every suspension that would widen something found
    picture    who can do what, as rows and as the page of HTML
    baseline   the engine alone, asked as many questions as the matrix asks, none of them remembered

The median of the rounds counts. The run fails when the three together take 2 s or more.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from ringfence.core.charter import Charter, parse_charter
from ringfence.core.decisions.engines import NEWEST_ENGINE, decide
from ringfence.core.decisions.view import View
from ringfence.prover.matrix.cells import Matrix, ask_all
from ringfence.prover.matrix.picture import draw_picture
from ringfence.prover.matrix.survey import survey

EXAMPLE = Path(__file__).resolve().parents[1] / "examples/us-user-data/charter.yaml"
SECONDS_MAX = 2.0


def time_once(work: Callable[[], object]) -> float:
    """Give the processor seconds of one run."""
    begin = time.process_time()
    work()
    return time.process_time() - begin


def questions_of(asked: Matrix) -> list[View]:
    """Give every question that the matrix put to the engine."""
    found: list[View] = []
    for cell in asked.cells:
        for view in cell.box.samples():
            stopped: frozenset[str] = frozenset()
            for decision in cell.decisions:
                found.append(view._replace(stopped=stopped))
                stopped |= {decision.clause}
    return found


def measure(charter: Charter, *, rounds: int) -> float:
    """Print each figure; gives the seconds of the whole."""
    asked = ask_all(NEWEST_ENGINE, charter)
    views = questions_of(asked)

    def prove() -> None:
        asked.promises()
        asked.widenings()

    def engine() -> None:
        fresh = replace(charter, memo={})
        for view in views:
            decide(NEWEST_ENGINE, fresh, view)

    stages: dict[str, Callable[[], object]] = {
        "baseline": engine,
        "matrix": lambda: ask_all(NEWEST_ENGINE, charter),
        "promises": prove,
        "picture": lambda: draw_picture(asked, asked.promises(), survey(asked), source="here"),
    }
    seconds = {name: statistics.median(time_once(work) for _ in range(rounds)) for name, work in stages.items()}
    print(f"{asked.domain.views:,} questions, {len(asked.cells):,} cells, {len(views):,} put to the engine")
    for name, value in seconds.items():
        print(f"{name:<32} {value * 1000:>12,.1f} {'ms':<16} {value / seconds['baseline']:.2f} of the baseline")
    return sum(value for name, value in seconds.items() if name != "baseline")


def main() -> int:
    """Measure; gives 1 when the whole takes `SECONDS_MAX` or more."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args()
    seconds = measure(parse_charter(EXAMPLE.read_bytes(), file="charter.yaml"), rounds=options.rounds)
    return 1 if seconds >= SECONDS_MAX else 0


if __name__ == "__main__":
    sys.exit(main())
