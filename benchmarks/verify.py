"""How fast is a ledger verified, with every decision made again?

    python -m benchmarks.verify [--entries N] [--jobs N] [--detail]

Method: makes a ledger of N access entries (default 1,000,000) under the example charter: 400 different requests of
every party, drawn at random; four lanes, batches of 1 to 64 entries, seals every 256 batches, a rule every 20,000
entries and a checkpoint every 100,000; one access in 50 is bulk and counted. Then, each as a fresh process that reads
the same files (in the page cache for all of them):

    verify      the whole of `verify_bundle` with its trust file, from the start of the program to the verdict
    baseline    SHA-256 of every leaf and every node up to the root and nothing else; one process, plain Python
    go          Go's transparency log packages on the same tree (tests/vectors/go_verifier), where Go is there

Each line is: name, value, unit, ratio to the baseline's time. Processor time is that of all processes together, which
other work on the machine does not lengthen as it does the seconds. Memory is the largest resident size of the main
process and that of the largest worker times the number of workers.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec

from ringfence.core.charter import Charter, Flow, parse_charter
from ringfence.core.decisions.engines import NEWEST_ENGINE
from ringfence.core.ledger import entry as e
from ringfence.core.ledger.merkle import Frontier, hash_leaf
from ringfence.core.ledger.tiles import TILE_WIDTH, parse_bundle
from ringfence.verify import parse_trust, verify_bundle
from tests.ledgers import Ledger, render_trust, write_files

ROOT = Path(__file__).parent.parent
CHARTER = ROOT / "examples/us-user-data/charter.yaml"
GO_SOURCE = ROOT / "tests/vectors/go_verifier"
LANES = (1, 2, 3, 4)
BATCHES_PER_SEAL = 256
ENTRIES_PER_RULE = 20_000
ENTRIES_PER_CHECKPOINT = 100_000
REQUESTS = 400
BULK_SHARE = 0.02

Drawn = tuple[e.Access, bytes]


class Requests:
    """Draws entries: requests of every kind, as the charter decides on them, permitted or not."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._chance = random.Random(2022)
        charter = ledger.state.rules
        self._numbers = {party: number for number, party in enumerate(charter.parties, start=1)}
        self._bulk = next(flow for flow in charter.flows if flow.bulk and "read" in flow.verbs)
        plain = [flow for flow in charter.flows if not {"erase", "export"} & set(flow.verbs)]
        self._kinds = [self._draw_kind(self._chance.choice(plain), charter) for _ in range(REQUESTS)]

    def draw(self, number: int) -> Drawn:
        """Give the next entry, about a user that no other entry is about; one in 50 in bulk, and counted."""
        chance = self._chance
        if chance.random() >= BULK_SHARE:
            kind = chance.choice(self._kinds)
            opening = e.render_opening(number.to_bytes(16, "big"), self._about(kind))
            return msgspec.structs.replace(kind, about=e.commit(opening)), opening
        opening = e.render_opening(number.to_bytes(16, "big"), e.About(subjects=[chance.randbytes(16)]))
        flow, records = self._bulk, chance.randint(2, 50)
        access, _ = self._ledger.access(
            principal=self._numbers[flow.who[0]],
            verb="read",
            dataset=flow.datasets[0],
            country=flow.countries[0],
            purpose=flow.purposes[0],
            shape="bulk",
            records=records,
            counted=self._ledger.step(f"bulk/{flow.name}", records),
        )
        return msgspec.structs.replace(access, about=e.commit(opening)), opening

    def _draw_kind(self, flow: Flow, charter: Charter) -> e.Access:
        chance = self._chance
        by_the_flow = chance.random() < 0.8
        verb = chance.choice(flow.verbs)
        datasets = [name for name in flow.datasets if verb != "find" or charter.datasets[name].fields]
        dataset = chance.choice(datasets)
        access, _ = self._ledger.access(
            principal=self._numbers[chance.choice(flow.who if by_the_flow else sorted(charter.parties))],
            verb=verb,
            dataset=dataset,
            classes=[self._field(dataset)[1]] if verb == "find" else None,
            country=chance.choice(("US", "SG")),
            purpose=chance.choice(flow.purposes),
        )
        return access

    def _field(self, dataset: str) -> tuple[str, str]:
        """Give a field of a dataset and its class."""
        return next(iter(self._ledger.state.rules.datasets[dataset].field_classes.items()))

    def _about(self, access: e.Access) -> e.About:
        """Tell of a user and a record that no other entry is about, and of what a write left of it."""
        chance = self._chance
        if access.verb == "find":
            return e.About(
                searched=[f"{access.dataset}.{self._field(access.dataset)[0]}".encode(), chance.randbytes(16)]
            )
        subject, key = chance.randbytes(16), chance.randbytes(16)
        given = all(clause and clause[0] != "!" for clause in access.decided.values())
        written = [e.Written(key, name, 1, chance.randbytes(32)) for name in access.decided] if given else []
        return e.About(subjects=[subject], records=[key], written=written if access.verb == "write" else [])


def make_ledger(entries: int) -> Ledger:
    """Give a ledger of so many access entries; see the method above."""
    ledger = Ledger(engine=NEWEST_ENGINE)
    text = CHARTER.read_text("utf-8").replace("    builds: approved\n", "")  # nobody approves any in this ledger
    charter = parse_charter(text.encode(), file=CHARTER.name)
    ledger.genesis()
    ledger.enact(text, name=charter.name, version=charter.version)
    for number, party in enumerate(charter.parties, start=1):
        ledger.register(number, party)
    for lane in LANES:
        ledger.certify(lane)
    requests = Requests(ledger)
    chance = random.Random(1)
    made = batches = 0
    while made < entries:
        count = min(chance.randint(1, 64), entries - made)
        drawn = [requests.draw(made + number) for number in range(count)]
        ledger.batch(LANES[batches % len(LANES)], *drawn, seal=batches % BATCHES_PER_SEAL < len(LANES))
        before, made, batches = made, made + count, batches + 1
        rule_due = before // ENTRIES_PER_RULE != made // ENTRIES_PER_RULE
        checkpoint_due = before // ENTRIES_PER_CHECKPOINT != made // ENTRIES_PER_CHECKPOINT
        if rule_due or checkpoint_due or made == entries:
            for lane in LANES:
                ledger.seal(lane)
        if rule_due:
            ledger.register(1_000 + made, next(iter(charter.parties)))
        if checkpoint_due:
            ledger.checkpoint()
    return ledger


def hash_whole(directory: Path) -> float:
    """Give the seconds that it takes to read and split every leaf, and hash them up to the root: the baseline."""
    started = time.perf_counter()
    frontier = Frontier()
    for path in sorted((directory / "tile/entries").rglob("*")):
        if path.is_file():
            width = int(path.name) if path.parent.name.endswith(".p") else TILE_WIDTH
            frontier = frontier.append_many([hash_leaf(leaf) for leaf in parse_bundle(path.read_bytes(), width=width)])
    frontier.root()
    return time.perf_counter() - started


def processor_seconds(who: int) -> float:
    """Give the processor time that this process (`RUSAGE_SELF`) or its ended children took so far."""
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


def verify_once(directory: Path, jobs: int) -> dict[str, float]:
    """Verify in this process; give the peak of its memory and of its workers'."""
    trust_file = directory.with_name("trust.json")
    trust = parse_trust(trust_file.read_bytes(), file=str(trust_file))
    verdict = verify_bundle(directory, trust=trust, jobs=jobs)
    if verdict.outcome != "verified":
        raise SystemExit(f"the benchmark's own ledger is {verdict.outcome}: {verdict.refutations[:3]}")
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    workers = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return {"decisions": verdict.counts["decisions"], "memory_mb": own + workers * (jobs if jobs > 1 else 0)}


def time_fresh(*arguments: str) -> tuple[float, dict[str, float]]:
    """Run this module's measurement in a fresh process; give its seconds from start to end, and what it printed."""
    started = time.perf_counter()
    before = processor_seconds(resource.RUSAGE_CHILDREN)
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks.verify", *arguments], cwd=ROOT, check=True, capture_output=True, text=True
    )
    seconds = time.perf_counter() - started
    return seconds, {**json.loads(run.stdout), "processor": processor_seconds(resource.RUSAGE_CHILDREN) - before}


def time_go(directory: Path, scratch: Path) -> float | None:
    """Give the seconds that Go's packages need for the tree alone, or None where they are not installed."""
    go, packages = shutil.which("go"), Path("/usr/share/gocode/src/golang.org/x/mod/sumdb")
    if go is None or not packages.is_dir():
        return None
    program = scratch / "go_verifier"
    offline = {"GO111MODULE": "off", "GOFLAGS": "", "GOPATH": "/usr/share/gocode", "GOPROXY": "off"}
    subprocess.run([go, "build", "-o", program, "."], cwd=GO_SOURCE, env={**os.environ, **offline}, check=True)
    started = time.perf_counter()
    subprocess.run([program, directory], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def report(name: str, value: float, unit: str, ratio: float | None = None) -> None:
    """Print one figure."""
    print(
        f"{name:<44} {value:>14,.1f} {unit:<12} {'' if ratio is None else f'{ratio:.2f} of the baseline'}", flush=True
    )


def main() -> None:
    """Make the ledger, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--jobs", type=int, default=min(os.cpu_count() or 1, 8))
    parser.add_argument("--detail", action="store_true", help="write and check the openings too")
    parser.add_argument("--keep", type=Path, help="a directory to make the ledger in, and to find it again")
    parser.add_argument("--measure", choices=["make", "verify", "baseline"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure == "make":
        ledger = make_ledger(options.entries)
        write_files(options.keep, ledger.files(detail=options.detail))
        options.keep.with_name("trust.json").write_bytes(render_trust(ledger.trust()))
        print("{}")
    elif options.measure == "verify":
        print(json.dumps(verify_once(options.keep, options.jobs)))
    elif options.measure == "baseline":
        print(json.dumps({"seconds": hash_whole(options.keep)}))
    else:
        print(__doc__)
        with tempfile.TemporaryDirectory(prefix="ringfence-verify-") as scratch:
            measure(options, Path(scratch))


def measure(options: argparse.Namespace, scratch: Path) -> None:
    """Measure everything on one ledger."""
    directory = options.keep or scratch / "bundle"
    if not directory.exists():  # in a process of its own: its memory would count as that of every process it starts
        detail = ["--detail"] if options.detail else []
        count = ["--entries", str(options.entries)]
        seconds, _ = time_fresh("--measure", "make", "--keep", str(directory), *count, *detail)
        report("ledger made", seconds, "s")
    _, found = time_fresh("--measure", "baseline", "--keep", str(directory))
    baseline, baseline_processor = found["seconds"], found["processor"]
    report("baseline: SHA-256 of leaves and nodes", baseline, "s", 1.0)
    report("baseline: processor time", baseline_processor, "s", 1.0)
    for jobs in sorted({1, options.jobs}):
        seconds, found = time_fresh("--measure", "verify", "--keep", str(directory), "--jobs", str(jobs))
        report(f"verify, jobs={jobs}", seconds, "s", seconds / baseline)
        report(f"verify, jobs={jobs}: processor time", found["processor"], "s", found["processor"] / baseline_processor)
        report(f"verify, jobs={jobs}: decisions made again", found["decisions"] / seconds, "decisions/s")
        report(f"verify, jobs={jobs}: memory at most", found["memory_mb"], "MB")
    go_seconds = time_go(directory, scratch)
    if go_seconds is None:
        print("go: not measured; install golang-go and golang-golang-x-mod-dev")
    else:
        report("go: tiles and records, no decisions", go_seconds, "s", go_seconds / baseline)


if __name__ == "__main__":
    main()
