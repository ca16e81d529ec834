"""How fast are sealed batches turned into the signed tree, and how many bytes does one gated read leave behind?

    python -m benchmarks.ledger [--batches N] [--directory DIR]

Method: stores N batches (default 4,000) of 32 single reads each in SQLite, in four lanes sealed every 8 batches, with
openings sealed by AES-256-GCM. Then one sequencer pulls, verifies, orders and commits all of them, writes and syncs
the tiles, and signs a checkpoint a round.

    sequence    leaves a second, from the start of the sequencer to the last checkpoint
    baseline    SHA-256 of the same leaves and the root over them, in memory and nothing else
    restart     leaves a second that are read again when the tree's files are rebuilt from the database
    bytes       of one read in a batch of 32: what the store holds of it by part, the database file as it grew, and
                the static tree's files (hashes and leaves)

Each line is: name, value, unit, ratio to the baseline's rate.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ringfence.core.decisions.engines import NEWEST_ENGINE
from ringfence.core.ledger import entry as e
from ringfence.core.ledger.detail import render_detail
from ringfence.core.ledger.lane import (
    AUTHORITY_LANE,
    LaneHead,
    authenticate_header,
    build_batch,
    lane_secret,
    seal_head,
)
from ringfence.core.ledger.merkle import hash_leaf, root_of
from ringfence.core.ledger.signed_note import render_vkey, verifier_key_of
from ringfence.core.ports import StoredSeal, Transaction
from ringfence.ledger.sequencer import Sequencer
from ringfence.ledger.tree_reader import TreeReader
from ringfence.vault.sqlite import SqliteStore

ORIGIN = "ledger.example.com/benchmark"
READS_PER_BATCH = 32
BATCHES_PER_SEAL = 8
LANES = (1, 2, 3, 4)
START_MS = 1_760_000_000_000
LOG_KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
NONCE_SIZE_BYTES = 12


class Gateways:
    """Writes batches of single reads as gateways do, without deciding them."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store
        self._keys = {lane: Ed25519PrivateKey.generate() for lane in (AUTHORITY_LANE, *LANES)}
        self._heads = {lane: LaneHead(lane) for lane in self._keys}
        self._cipher = AESGCM(bytes(32))
        self.bytes = {"header": 0, "entries": 0, "detail": 0, "code": 0, "seals": 0}

    async def begin(self) -> None:
        """Write genesis and certify the lanes."""
        public = {lane: key.public_key().public_bytes_raw() for lane, key in self._keys.items()}
        genesis = e.Genesis(
            origin=ORIGIN,
            mode=e.DEVELOPMENT,
            engine=NEWEST_ENGINE,
            authority=public[AUTHORITY_LANE],
            log_key=render_vkey(verifier_key_of(LOG_KEY, name=ORIGIN)),
            at_ms=START_MS,
        )
        certified = [e.LaneCertified(lane=lane, key=public[lane], build="build-1", duty="gateway") for lane in LANES]
        for epoch, rule in enumerate([genesis, *certified]):
            await self._write(AUTHORITY_LANE, [e.render_entry(rule)], [None], epoch=epoch, rule=True)
        self.bytes = dict.fromkeys(self.bytes, 0)

    async def read(self, lane: int) -> None:
        """Write one batch of single reads, each of one record of one user."""
        openings = [self._opening() for _ in range(READS_PER_BATCH)]
        leaves = [e.render_entry(_access(opening)) for opening in openings]
        await self._write(lane, leaves, openings, epoch=1 + len(LANES), rule=False)

    async def seal(self, lane: int) -> None:
        """Seal the lane."""
        head = self._heads[lane]
        leaf = seal_head(self._keys[lane], origin=ORIGIN, head=head)
        await self._store.put_seal(StoredSeal(lane, head.n, 1 + len(LANES), leaf))
        self.bytes["seals"] += len(leaf)

    def _opening(self) -> bytes:
        about = e.About(subjects=[os.urandom(16)], records=[os.urandom(16)])
        return e.render_opening(os.urandom(e.SALT_SIZE_BYTES), about)

    async def _write(
        self, lane: int, leaves: Sequence[bytes], openings: Sequence[bytes | None], *, epoch: int, rule: bool
    ) -> None:
        key = self._keys[lane]
        built = build_batch(self._heads[lane], epoch=epoch, at_ms=START_MS, entries=leaves)
        nonce = os.urandom(NONCE_SIZE_BYTES)
        detail = nonce + self._cipher.encrypt(nonce, render_detail(openings), None)
        code = authenticate_header(lane_secret(key), built.header)
        seal = seal_head(key, origin=ORIGIN, head=built.head) if rule else b""
        await self._store.claim_lane(lane)
        await self._store.transact(Transaction(batch=built, code=code, detail=detail, rule=rule, seal=seal))
        self._heads[lane] = built.head
        parts = {"header": built.header, "entries": b"".join(leaves), "detail": detail, "code": code}
        for name, part in parts.items():
            self.bytes[name] += len(part)


def _access(opening: bytes) -> e.Access:
    return e.Access(
        verb="read",
        principal=12,
        country="US",
        purpose="serve-user",
        dataset="profile",
        decided={"protected": "app-serves-users", "public": "app-serves-users"},
        records=1,
        about=e.commit(opening),
    )


def report(name: str, value: float, unit: str, ratio: float | None = None) -> None:
    """Print one figure."""
    tail = "" if ratio is None else f"{ratio:.2f} of the baseline"
    print(f"{name:<52} {value:>12,.1f} {unit:<10} {tail}", flush=True)


async def sequence_all(store: SqliteStore, tree: Path) -> float:
    """Give the seconds that a sequencer needs from its start until nothing sealed is left."""
    started = time.perf_counter()
    sequencer = Sequencer(
        store, tree_directory=tree, key=LOG_KEY, origin=ORIGIN, clock_ms=lambda: time.time_ns() // 1_000_000
    )
    await sequencer.open()
    while (await sequencer.run_round()).more:
        pass
    seconds = time.perf_counter() - started
    await sequencer.close()
    return seconds


def read_leaves(tree: Path, size: int) -> list[bytes]:
    """Give every leaf of a tree."""
    reader = TreeReader.in_directory(tree)
    return [leaf for bundle in reader.iterate_entries(start=0, size=size) for leaf in bundle]


def time_baseline(leaves: Sequence[bytes]) -> float:
    """Give the seconds to hash leaves that are in memory, up to the root."""
    started = time.perf_counter()
    root_of([hash_leaf(leaf) for leaf in leaves])
    return time.perf_counter() - started


def size_of(directory: Path, keep: Callable[[Path], bool]) -> int:
    """Give the bytes of a directory's files that `keep` takes."""
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file() and keep(path))


async def measure(directory: Path, batches: int) -> None:
    """Store, sequence, rebuild, print."""
    database, tree = directory / "ringfence.db", directory / "tree"
    store = SqliteStore(database)
    await store.create()
    await store.open()
    gateways = Gateways(store)
    await gateways.begin()
    for number in range(batches):
        lane = LANES[number % len(LANES)]
        await gateways.read(lane)
        if number // len(LANES) % BATCHES_PER_SEAL == BATCHES_PER_SEAL - 1 or number >= batches - len(LANES):
            await gateways.seal(lane)
    reads = batches * READS_PER_BATCH
    seconds = await sequence_all(store, tree)
    size = (await store.tree_head()).size
    leaves = read_leaves(tree, size)
    baseline = min(time_baseline(leaves) for _ in range(3))
    report("baseline: hash the leaves and their root", size / baseline, "leaves/s")
    report("sequence: verify, order, commit, write, sign", size / seconds, "leaves/s", baseline / seconds)
    shutil.rmtree(tree / "tile")
    again = await sequence_all(store, tree)
    report("restart: rebuild the tree's files", size / again, "leaves/s", baseline / again)
    await store.close()
    for name, count in gateways.bytes.items():
        report(f"bytes of a read in the store: {name}", count / reads, "bytes")
    report("bytes of a read in the store: together", sum(gateways.bytes.values()) / reads, "bytes")
    report("bytes of a read in the store: the database file", database.stat().st_size / reads, "bytes")
    entries = tree / "tile/entries"
    report("bytes of a read in the tree: leaves", size_of(entries, lambda _: True) / reads, "bytes")
    hashes = size_of(tree / "tile", lambda path: entries not in path.parents)
    report("bytes of a read in the tree: hashes", hashes / reads, "bytes")


def main() -> None:
    """Measure in a fresh directory, and leave nothing behind."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", type=int, default=4_000)
    parser.add_argument("--directory", type=Path, help="where to work; a directory on the disk to be measured")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.directory) as directory:
        asyncio.run(measure(Path(directory), options.batches))


if __name__ == "__main__":
    main()
