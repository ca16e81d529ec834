"""What does each stage of one gated read cost, in microseconds of one processor?

    python -m benchmarks.stages [--reads N] [--batch N]

Method: each stage is run by itself N times (default 20,000) on real values of a deployment on SQLite with one user's
public post, in this process and without HTTP, and its time divided by the reads that it served. The store is measured
with a batch of 32 reads, its durable commit included, so that its figure hangs on the disk. The baseline is SHA-256 of
200 bytes. The stages' sum is not the time of a request: the event loop, HTTP and waiting are left out; `whole` is a
read through the service with 64 readers at once, still without HTTP.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from ringfence.app.deployment import DEVELOPMENT_ISSUER
from ringfence.app.tokens import PUBLIC_FILE, mint_token
from ringfence.core import entry as e
from ringfence.core.detail import render_detail
from ringfence.core.envelope import PartName, open_part
from ringfence.core.lane import authenticate_header, build_batch
from ringfence.core.ports import Transaction
from ringfence.gateway.authentication import TokenChecker, read_issuer
from ringfence.services.custody.opening import RecordName
from ringfence.services.custody.reading import read_record
from ringfence.services.custody.request import Request
from ringfence.services.custody.writing import WriteItem, write_records
from tests.services.world import World, make_deployment, open_world

FIELDS = {"Title": "x" * 80, "WhoCanView": "Everyone", "Date": "2024-01-01 00:00:00", "Likes": "12"}
READERS = 64
STORE_BATCHES = 200


def report(name: str, microseconds: float, baseline: float) -> None:
    """Print one figure."""
    print(f"{name:<44} {microseconds:>8.2f} us {microseconds / baseline:>8.1f} of the baseline")


def time_stage(times: int, work: Callable[[], object]) -> float:
    """Give the microseconds that one run takes."""
    for _ in range(100):
        work()
    begin = time.perf_counter()
    for _ in range(times):
        work()
    return (time.perf_counter() - begin) / times * 1e6


async def measure(world: World, reads: int, batch_size: int) -> None:
    """Measure every stage."""
    gate, caller = world.gate, world.caller("app")
    name = RecordName("ada", "posts", "one")
    item = WriteItem(name.user, name.dataset, name.record, FIELDS)
    await write_records(gate, caller, purpose="serve_user", items=[item])
    baseline = time_stage(reads, lambda: hashlib.sha256(b"x" * 200).digest())
    report("baseline: SHA-256 of 200 bytes", baseline, baseline)

    deployment = world.runtime.deployment
    tokens = TokenChecker(
        {DEVELOPMENT_ISSUER: read_issuer(DEVELOPMENT_ISSUER, deployment.keys / PUBLIC_FILE)}, clock_seconds=time.time
    )
    token = mint_token(deployment, gate.keeper.state, subject="app", lifetime_seconds=3600).encode()
    report("1 token, checked before", time_stage(reads, lambda: tokens.check(b"Bearer " + token)), baseline)

    dataset = gate.dataset(name.dataset)
    request = Request(caller, "serve_user", "read", "single", 1)
    at_ms = gate.clock_ms()
    decide = time_stage(reads, lambda: gate.rule(gate.keeper.state, request, dataset, at_ms=at_ms))
    report("2 decision", decide, baseline)

    subject = await gate.subjects.find(name.user)
    if subject is None:
        raise SystemExit("the user is not in the vault")
    key = gate.record_key(name.dataset, subject.subject_ref, name.record)
    report("3 record key (HMAC)", time_stage(reads, lambda: gate.record_key("posts", b"0" * 16, "one")), baseline)
    decided = dict(gate.rule(gate.keeper.state, request, dataset, at_ms=at_ms).decided)
    about = e.About(subjects=[subject.subject_ref], records=[key])
    render = lambda: gate.access_entry(request, dataset="posts", decided=decided, about=about)  # noqa: E731
    report("3 entry, opening, commitment", time_stage(reads, render), baseline)
    await measure_batch(world, render(), PartName("posts", subject.subject_ref, key, "public"), batch_size, baseline)

    part = PartName("posts", subject.subject_ref, key, "public")
    stored = await anext(p async for page in gate.store.scan_parts(rows_max=100) for p in page if p.name == part)
    cipher = subject.cipher("public", gate.keys)
    row = subject.keys["public"]
    report("5 unwrap a data key, not in the cache", time_stage(reads, lambda: gate.keys.unwrap(row)), baseline)
    opened = lambda: open_part(cipher, part, version=stored.version, sealed=stored.sealed)  # noqa: E731
    report("5 open a part", time_stage(reads, opened), baseline)
    plaintext = opened()
    report("6 decode and encode the answer", time_stage(reads, lambda: _answer(plaintext)), baseline)

    async def reader(times: int) -> None:
        for _ in range(times):
            await read_record(gate, caller, purpose="serve_user", name=name)

    await asyncio.gather(*[reader(10) for _ in range(READERS)])
    begin = time.perf_counter()
    await asyncio.gather(*[reader(reads // READERS) for _ in range(READERS)])
    elapsed = time.perf_counter() - begin
    report("whole: a read without HTTP, 64 readers", elapsed / (reads // READERS * READERS) * 1e6, baseline)


async def measure_batch(world: World, entry: tuple[bytes, bytes], part: PartName, size: int, baseline: float) -> None:
    """Measure building a batch and committing it, for each of its reads."""
    writer, custody = world.gate.bulk, world.runtime.custody
    leaf, opening = entry
    secret = b"s" * 32

    def build() -> Transaction:
        batch = build_batch(writer.head, epoch=world.runtime.keeper.state.epoch, at_ms=1, entries=[leaf] * size)
        detail = custody.seal_detail(lane=batch.head.lane, n=batch.head.n, plaintext=render_detail([opening] * size))
        return Transaction(
            batch=batch, code=authenticate_header(secret, batch.header), detail=detail, reads=[part] * size
        )

    report(f"3 batch of {size}: header, hashes, detail", time_stage(STORE_BATCHES, build) / size, baseline)
    begin = time.perf_counter()
    for _ in range(STORE_BATCHES):
        transaction = build()
        await world.runtime.store.transact(transaction)
        writer.head = transaction.batch.head
    elapsed = (time.perf_counter() - begin) / STORE_BATCHES / size * 1e6
    report(f"4 transaction of {size} (SQLite), with the batch", elapsed, baseline)
    writer.sealed = writer.head  # these batches are of this measurement alone: nobody seals or sequences them


def _answer(plaintext: bytes) -> bytes:
    stored = msgspec.json.decode(plaintext)
    return msgspec.json.encode(stored)


def main() -> None:
    """Read the options and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reads", type=int, default=20_000)
    parser.add_argument("--batch", type=int, default=32)
    options = parser.parse_args()
    print(str(__doc__).split("\n\n")[2])
    with tempfile.TemporaryDirectory(prefix="ringfence-bench-") as directory:
        deployment = make_deployment(Path(directory) / "deployment")

        async def run(work: Callable[[World], Awaitable[None]]) -> None:
            async with open_world(deployment) as world:
                await work(world)

        asyncio.run(run(lambda world: measure(world, options.reads, options.batch)))


if __name__ == "__main__":
    main()
