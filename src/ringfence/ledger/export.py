"""The evidence bundle: the signed tree as files, with all that a regulator needs to check it offline.

    checkpoint               the newest signed note
    vkey                     the log's key; whoever verifies pins it from elsewhere
    checkpoints/<size>       earlier signed notes
    tile/<L>/<N>[.p/<W>]     hashes
    tile/entries/<N>[.p/<W>] leaves
    blobs/<sha256>           files that rules name by digest
    detail/<N>[.p/<W>]       only for the overseer: the opening of each leaf, or nothing; in the form of entry bundles

Rules of this file:
1. Tiles are made anew from the leaves and held against the checkpoint, so a bundle that is written verifies.
2. `checkpoint` is written last: without it a bundle is not one, whatever else a crash left.
3. Openings are readable by their owner alone: files of mode 0600 in a directory of mode 0700.
4. Memory is bounded by one step of bundles, whatever the ledger's size.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from ringfence.core.errors import ConfigurationError, IntegrityError, InvalidInputError, ProofInvalidError
from ringfence.core.key_custody import FACTS, KeyCustody
from ringfence.core.ledger.checkpoint import Checkpoint, open_checkpoint
from ringfence.core.ledger.detail import parse_detail
from ringfence.core.ledger.entry import RULE_PREFIX, parse_entry, public_file
from ringfence.core.ledger.governed_entry import PeopleRecorded
from ringfence.core.ledger.merkle import hash_leaf
from ringfence.core.ledger.signed_note import VerifierKey, render_vkey
from ringfence.core.ledger.tiles import ENTRIES_LEVEL, TILE_WIDTH, Tile, encode_bundle
from ringfence.core.ports import Store
from ringfence.ledger.growth import Growth
from ringfence.ledger.leaves import read_placed_batches
from ringfence.ledger.tree_reader import CHECKPOINT, VKEY, TreeReader

CHECKPOINTS_MAX: Final = 1000
CHECKPOINTS_PER_PULL_MAX: Final = 1000
RULES_PER_PULL_MAX: Final = 64
DETAIL: Final = "detail"

ReportProgress = Callable[[int, int], None]
"""`report(done, total)`: leaves exported, of how many; with `detail`, twice the tree's leaves in all."""


def _ignore(done: int, total: int) -> None:
    del done, total


async def export_bundle(
    store: Store,
    custody: KeyCustody | None,
    tree_directory: Path,
    target: Path,
    *,
    detail: bool,
    report: ReportProgress = _ignore,
) -> Checkpoint:
    """Write the evidence bundle of the newest checkpoint, and give that checkpoint.

    Args:
        store: gives earlier checkpoints, blobs and openings.
        custody: opens the openings; may be None without `detail`.
        tree_directory: the static tree that the sequencer writes.
        target: an empty directory, or one that is not there yet.
        detail: whether openings are written too. They are for the overseer alone.
        report: told of progress.

    Raises:
        InvalidInputError: the target is not empty.
        ConfigurationError: nothing was published yet, or `detail` without `custody`.
        IntegrityError: the tree's files or the store are not what was signed: says where. The bundle is not complete.
    """
    if detail and custody is None:
        raise ConfigurationError("openings cannot be exported without the custodian's keys")
    tree = TreeReader.in_directory(tree_directory)
    log_key = tree.read_vkey()
    note = tree.read_checkpoint()
    if note is None:
        raise ConfigurationError("the ledger has no checkpoint yet", hint="Run the sequencer, then export again.")
    checkpoint = _open(note, log_key=log_key, place=CHECKPOINT)
    _make_target(target)
    total = checkpoint.size * (2 if detail else 1)
    files = await _export_tree(tree, checkpoint, target, report=lambda done: report(done, total))
    await _export_blobs(store, files, target)
    await _export_checkpoints(store, checkpoint, target, log_key=log_key)
    if detail and custody is not None:
        await _export_detail(
            store, custody, checkpoint, target, tree=tree, report=lambda done: report(checkpoint.size + done, total)
        )
        await _export_facts(store, custody, checkpoint, target)
    _write(target / VKEY, f"{render_vkey(log_key)}\n".encode("ascii"))
    _write(target / CHECKPOINT, note)
    return checkpoint


def _make_target(target: Path) -> None:
    try:
        target.mkdir(parents=True, exist_ok=True)
        empty = not any(target.iterdir())
    except OSError as error:
        raise InvalidInputError(f"the bundle cannot be written there: {error.strerror}", place=str(target)) from error
    if not empty:
        raise InvalidInputError(
            "the bundle's directory is not empty", place=str(target), hint="Name a directory that is not there yet."
        )


async def _export_tree(
    tree: TreeReader, checkpoint: Checkpoint, target: Path, *, report: Callable[[int], None]
) -> dict[bytes, str]:
    """Write bundles and tiles; give the digests that rules name, each with the leaf that names it."""
    growth = Growth()
    files: dict[bytes, str] = {}
    size = checkpoint.size
    for index in range(-(-size // TILE_WIDTH)):
        try:
            entries = tree.read_entries(index, min(TILE_WIDTH, size - index * TILE_WIDTH))
        except ProofInvalidError as error:
            raise IntegrityError(f"the tree directory cannot be read: {error}", place=error.place) from None
        for position, entry in enumerate(entries):
            if entry.startswith(RULE_PREFIX) and (digest := public_file(parse_entry(entry))):
                files[digest] = f"leaf {index * TILE_WIDTH + position}"
        for tile, data in growth.append(entries, [*map(hash_leaf, entries)]):
            _write(target / tile.path, data)
        report(growth.frontier.size)
        await asyncio.sleep(0)
    for tile, data in growth.partials():
        _write(target / tile.path, data)
    if growth.frontier.root() != checkpoint.root:
        raise IntegrityError(
            f"the leaves of the tree directory do not give the root of its checkpoint of {size} leaves",
            place="tile/entries",
            hint="Move the directory `tile` away and start the sequencer: it rebuilds it from the database.",
        )
    return files


async def _export_blobs(store: Store, files: dict[bytes, str], target: Path) -> None:
    missing = dict(files)
    epoch = 0
    while missing:
        rules = await store.rules(after_epoch=epoch, rules_max=RULES_PER_PULL_MAX)
        if not rules:
            break
        epoch = rules[-1].batch.epoch + 1
        for rule in rules:
            digest = hashlib.sha256(rule.blob).digest()
            if rule.blob and digest in missing:
                del missing[digest]
                _write(target / "blobs" / digest.hex(), rule.blob)
    for digest, place in missing.items():
        raise IntegrityError(f"the charter's file {digest.hex()} is missing in the database", place=place)


async def _export_facts(store: Store, custody: KeyCustody, checkpoint: Checkpoint, target: Path) -> None:
    """Write the facts about people that the tree's rules commit to, for their owner alone, as the openings are."""
    epoch = 0
    while rules := await store.rules(after_epoch=epoch, rules_max=RULES_PER_PULL_MAX):
        for stored in rules:
            batch = stored.batch
            place = await store.placement(batch.lane, batch.n)
            if place is None or place >= checkpoint.size:
                return
            rule = parse_entry(batch.entries[0])
            if isinstance(rule, PeopleRecorded) and stored.blob:
                facts = custody.open_detail(lane=batch.lane, n=batch.n, sealed=stored.blob, part=FACTS)
                with _named(Path(FACTS)):
                    (target / FACTS).mkdir(mode=0o700, exist_ok=True)
                _write(target / FACTS / rule.facts.hex(), facts, mode=0o600)
        epoch = rules[-1].batch.epoch + 1


async def _export_checkpoints(store: Store, newest: Checkpoint, target: Path, *, log_key: VerifierKey) -> None:
    """Write the checkpoints of smaller sizes that the store kept, evenly spaced when they are too many."""
    sizes = [size async for size, _ in _iterate_checkpoints(store) if size < newest.size]
    if len(sizes) > CHECKPOINTS_MAX:
        sizes = [sizes[position * (len(sizes) - 1) // (CHECKPOINTS_MAX - 1)] for position in range(CHECKPOINTS_MAX)]
    wanted = set(sizes)
    async for size, note in _iterate_checkpoints(store):
        if size not in wanted:
            continue
        place = f"checkpoint of size {size} in the database"
        if _open(note, log_key=log_key, place=place).size != size:
            raise IntegrityError("a kept checkpoint is of another size", place=place)
        _write(target / "checkpoints" / str(size), note)


async def _iterate_checkpoints(store: Store) -> AsyncIterator[tuple[int, bytes]]:
    size = 0
    while page := await store.checkpoints(after_size=size, checkpoints_max=CHECKPOINTS_PER_PULL_MAX):
        for item in page:
            yield item
        size = page[-1][0]


async def _export_detail(
    store: Store,
    custody: KeyCustody,
    checkpoint: Checkpoint,
    target: Path,
    *,
    tree: TreeReader,
    report: Callable[[int], None],
) -> None:
    """Write the openings, aligned to the leaves; each batch is first held against the leaves of the tree."""
    openings: list[bytes] = []
    written = 0
    leaves = _LeafCursor(tree, checkpoint.size)
    async for placed in read_placed_batches(store, first_leaf=0, size=checkpoint.size):
        batch = placed.batch
        place = f"lane {batch.lane} batch {batch.n}"
        if leaves.take(len(placed.leaves)) != [*placed.leaves]:
            raise IntegrityError(f"a stored batch is not the one in the tree at leaf {placed.first_leaf}", place=place)
        packed = custody.open_detail(lane=batch.lane, n=batch.n, sealed=batch.detail)
        opened = parse_detail(packed, entries=len(batch.entries), place=place)
        openings += [b"", *(opening or b"" for opening in opened), *([b""] if placed.sealed else [])]
        while len(openings) >= TILE_WIDTH:
            _write_detail(target, written // TILE_WIDTH, openings[:TILE_WIDTH])
            del openings[:TILE_WIDTH]
            written += TILE_WIDTH
            report(written)
            await asyncio.sleep(0)
    if openings:
        _write_detail(target, written // TILE_WIDTH, openings)
        report(written + len(openings))


class _LeafCursor:
    """The tree's leaves, in order, some at a time."""

    def __init__(self, tree: TreeReader, size: int) -> None:
        self._bundles = tree.iterate_entries(start=0, size=size)
        self._leaves: list[bytes] = []

    def take(self, count: int) -> list[bytes]:
        while len(self._leaves) < count:
            try:
                bundle = next(self._bundles, None)
            except ProofInvalidError as error:
                raise IntegrityError(f"the tree directory cannot be read: {error}", place=error.place) from None
            if bundle is None:
                break
            self._leaves += bundle
        taken, self._leaves = self._leaves[:count], self._leaves[count:]
        return taken


def _write_detail(target: Path, index: int, openings: list[bytes]) -> None:
    """Write openings for their owner alone: they say who each entry is about."""
    path = Tile(ENTRIES_LEVEL, index, len(openings)).path.removeprefix("tile/entries/")
    with _named(Path(path)):
        (target / DETAIL).mkdir(mode=0o700, exist_ok=True)
    _write(target / DETAIL / path, encode_bundle(openings), mode=0o600)


def _open(note: bytes, *, log_key: VerifierKey, place: str) -> Checkpoint:
    try:
        return open_checkpoint(note, log_key=log_key, strict=False, place=place).checkpoint
    except ProofInvalidError as error:
        raise IntegrityError(f"a checkpoint is not this log's: {error}", place=place) from None


def _write(path: Path, data: bytes, *, mode: int = 0o666) -> None:
    with _named(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigurationError(
            f"the bundle's file {path.name} cannot be written: {error.strerror}",
            hint="Remove what was written, make room, and export again.",
        ) from error
