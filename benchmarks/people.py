"""How long does it take to take an HR file: 50,000 people read, and 5,000 of them changed, until that is durable?

    python -m benchmarks.people [--rounds N]

Method: a governed deployment on SQLite is founded by signatures, as in the tests; the state of its process is then
widened to 50,000 people in the register, 800 of them members with a duty, without a signature for each. Files of all
50,000 are made from that register. Seconds of the wall clock and of the processor; the median of the rounds.

    baseline    the csv module over the same bytes, and nothing else
    unchanged   reading the file and holding it against the register: problems, circles, differences
    all wrong   a file in which every row has four faults, until all 200,000 problems are listed
    changed     the whole import of a file in which 5,000 people have another manager and team: read, compared, sealed,
                folded before and after the commit (with fsync), the conflicts of all members found three times. Fails
                above 3 seconds of the processor

Left out: the start of the program, and opening the deployment.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import io
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from benchmarks.governance import MEMBERS, PEOPLE, widen
from ringfence.app.runtime import Runtime, clock_ms, open_runtime
from ringfence.core.errors import PeopleInvalidError
from ringfence.core.people.register import Register, record
from ringfence.core.state import State
from ringfence.services.people.diff import read_people, show_facts
from ringfence.services.people.recording import PeopleFile, record_people, require_register
from ringfence.services.people.values import COLUMNS
from tests.services.governed_world import found_deployment

CHANGED = 5_000
CHANGED_SECONDS_MAX = 3.0


@dataclass(frozen=True)
class Taken:
    """Seconds that something took, of the wall clock and of the processor."""

    wall: float
    processor: float


class Watch:
    """Takes the time from when it is made."""

    def __init__(self) -> None:
        self._wall, self._processor = time.perf_counter(), time.process_time()

    def stop(self) -> Taken:
        """Give the time since then."""
        return Taken(time.perf_counter() - self._wall, time.process_time() - self._processor)


def report(name: str, taken: Sequence[Taken], baseline: float) -> float:
    """Print one figure, the median of the rounds; give its processor seconds."""
    processor = statistics.median(one.processor for one in taken)
    wall = statistics.median(one.wall for one in taken)
    print(f"{name:<44} {wall:>7.2f} s {processor:>7.2f} processor s {processor / (baseline or processor):>8.1f}")
    return processor


def rounds_of(rounds: int, work: Callable[[], object]) -> list[Taken]:
    """Do something several times."""
    taken = []
    for _ in range(rounds):
        watch = Watch()
        work()
        taken.append(watch.stop())
    return taken


def render(rows: Sequence[dict[str, str]]) -> bytes:
    """Give rows as a file."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, COLUMNS)
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue().encode()


def rows_of(register: Register) -> list[dict[str, str]]:
    """Give everybody of a register as rows."""
    return [show_facts(register.people[number], register) for number in sorted(register.people)]


def widened(state: State) -> State:
    """Give a state with `PEOPLE` more people, members independent: of those there before only the first manages."""
    before = state.principal_last
    state = widen(state, people=PEOPLE, members=MEMBERS, grants=1, at_ms=clock_ms())
    standing, register = require_register(state)
    facts = [
        msgspec.structs.replace(one, manager=1) if 0 < one.manager <= before else one
        for one in register.people.values()
    ]
    return replace(state, standing=replace(standing, register=record(Register(), facts, at_ms=clock_ms())))


def change(rows: Sequence[dict[str, str]], step: int) -> list[dict[str, str]]:
    """Give the rows with `CHANGED` of them changed, others in each step."""
    changed = list(rows)
    first = 100 + step * CHANGED
    boss = rows[50]["reference"]
    for at in range(first, first + CHANGED):
        changed[at] = {**rows[at], "manager": boss, "team": f"new {step}"}
    return changed


def read(data: bytes, state: State) -> int:
    """Read a file against a state; give how many problems it has."""
    _, register = require_register(state)
    try:
        read_people(
            data,
            file="hr.csv",
            parties=state.rules.parties,
            register=register,
            number_last=state.principal_last,
            at_ms=clock_ms(),
            is_partial=False,
        )
    except PeopleInvalidError as error:
        return len(error.problems)
    return 0


async def measure(runtime: Runtime, rounds: int) -> int:
    """Measure everything; gives 1 when the change took too long."""
    state = widened(runtime.keeper.state)
    runtime.keeper.state = state
    rows = rows_of(require_register(state)[1])
    data = render(rows)
    wrong = render(
        [{**row, "employer": "p", "residence": "ZZ", "starts": "x", "manager": f"x{at}"} for at, row in enumerate(rows)]
    )
    if read(data, state):
        raise SystemExit("the file of everybody has problems")
    print(f"{len(rows):,} people, {MEMBERS} members, {len(data) / 1e6:.1f} MB")
    bare = lambda: sum(len(row) for row in csv.reader(io.StringIO(data.decode(), newline="")))  # noqa: E731
    baseline = report("baseline: the csv module alone", rounds_of(rounds, bare), 0)
    report("unchanged: read and held against the register", rounds_of(rounds, lambda: read(data, state)), baseline)
    report(
        f"all wrong: {read(wrong, state):,} problems listed", rounds_of(rounds, lambda: read(wrong, state)), baseline
    )
    taken = []
    async with runtime.governance() as governance:
        for step in range(rounds):
            file = PeopleFile(data=render(change(rows, step)), name="hr.csv")
            watch = Watch()
            plan, _ = await record_people(governance, file, at_ms=clock_ms())
            taken.append(watch.stop())
            if len(plan.difference.changed) != CHANGED or plan.suspends:
                raise SystemExit(f"{len(plan.difference.changed)} were changed, not {CHANGED}; {plan.suspends[:1]}")
            rows = change(rows, step)
    processor = report(f"changed: {CHANGED:,} people, until it is durable", taken, baseline)
    return 0 if processor <= CHANGED_SECONDS_MAX else 1


async def run(directory: Path, rounds: int) -> int:
    """Found a deployment and measure on it."""
    deployment = await asyncio.to_thread(found_deployment, directory)
    async with open_runtime(deployment) as runtime:
        return await measure(runtime, rounds)


def main() -> int:
    """Read the options and measure; gives 1 when the change took too long."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    print(str(__doc__).split("\n\n")[2])
    with tempfile.TemporaryDirectory(prefix="ringfence-bench-") as directory:
        return asyncio.run(run(Path(directory) / "deployment", options.rounds))


if __name__ == "__main__":
    sys.exit(main())
