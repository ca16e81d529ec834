"""Go's sumdb packages verify every entry, tile, root and growth of a ledger that our code wrote.

The one log grows through sizes around every tile boundary, and is checked whole at each of them against all its
earlier checkpoints.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ringfence.core.ledger.checkpoint import Checkpoint, sign_checkpoint
from ringfence.core.ledger.merkle import Frontier, hash_leaf
from ringfence.core.ledger.signed_note import render_vkey, verifier_key_of
from ringfence.ledger.growth import Growth
from tests.vectors.go import run_go_verifier

ORIGIN = "ledger.example.com/custody"
SECRET = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
SIZES = [0, 1, 2, 3, 127, 128, 129, 255, 256, 257, 511, 512, 513, 65279, 65280, 65535, 65536, 65537, 65793]


def entry_of(index: int) -> bytes:
    """Entries of different lengths, the empty one and one that looks like hashes among them."""
    return (b"entry %d " % index * (index % 7)) if index != 5 else bytes(64)


class WrittenLog:
    """A log in a directory, grown step by step with our code alone."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.growth = Growth()
        (directory / "checkpoints").mkdir(parents=True)
        (directory / "vkey").write_text(render_vkey(verifier_key_of(SECRET, name=ORIGIN)) + "\n")

    def grow_to(self, size: int) -> None:
        """Write what a sequencer writes: bundles, tiles, then the checkpoint."""
        entries = [entry_of(index) for index in range(self.growth.frontier.size, size)]
        for tile, data in [*self.growth.append(entries, [*map(hash_leaf, entries)]), *self.growth.partials()]:
            path = self.directory / tile.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        self.publish(Checkpoint(ORIGIN, size, self.growth.frontier.root()))

    def publish(self, checkpoint: Checkpoint) -> None:
        data = sign_checkpoint(checkpoint, name=ORIGIN, key=SECRET, time_seconds=1_700_000_000 + checkpoint.size)
        for path in ("checkpoint", f"checkpoints/{checkpoint.size}"):
            (self.directory / path).write_bytes(data)


@pytest.fixture(scope="module")
def small_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of 513 entries with an earlier checkpoint; copy it before changing it."""
    directory = tmp_path_factory.mktemp("small") / "log"
    log = WrittenLog(directory)
    for size in (300, 513):
        log.grow_to(size)
    return directory


def test_go_verifies_every_record_and_growth_around_every_tile_boundary(go_verifier: Path, tmp_path: Path) -> None:
    log = WrittenLog(tmp_path / "log")
    for number, size in enumerate(SIZES, start=1):
        log.grow_to(size)

        result = run_go_verifier(go_verifier, log.directory)

        assert result.returncode == 0, (size, result.stderr)
        earlier = f", {number} earlier checkpoints" if size else ""
        assert result.stdout == f"verified: {size} records{earlier}\n"


def flip(path: Path, position: int) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)


def test_go_refuses_a_flipped_byte_in_any_file(go_verifier: Path, small_log: Path, tmp_path: Path) -> None:
    assert run_go_verifier(go_verifier, small_log).returncode == 0
    needed = ["vkey", "checkpoint", "checkpoints/300", "checkpoints/513"]
    needed += [f"tile/{level}/{tile}" for level in ("0", "entries") for tile in ("000", "001", "002.p/1")]
    needed += ["tile/1/000.p/2"]
    for name in needed:
        size_bytes = (small_log / name).stat().st_size
        for position in (0, size_bytes // 3, size_bytes // 2):
            copy = tmp_path / "copy"
            shutil.copytree(small_log, copy)
            flip(copy / name, position)

            result = run_go_verifier(go_verifier, copy)

            assert result.returncode == 1, (name, position)
            assert result.stderr.startswith("refuted: ")
            shutil.rmtree(copy)


def sign_another_root(directory: Path) -> None:
    checkpoint = Checkpoint(ORIGIN, 300, bytes(32))
    data = sign_checkpoint(checkpoint, name=ORIGIN, key=SECRET, time_seconds=1)
    (directory / "checkpoints/300").write_bytes(data)


def sign_another_origin(directory: Path) -> None:
    checkpoint = Checkpoint("other.example.com", 0, Frontier().root())
    data = sign_checkpoint(checkpoint, name=ORIGIN, key=SECRET, time_seconds=1)
    (directory / "checkpoints/0").write_bytes(data)


def drop_the_timed_signature(directory: Path) -> None:
    path = directory / "checkpoint"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))


def add_an_entry(directory: Path) -> None:
    path = directory / "tile/entries/002.p/1"
    path.write_bytes(path.read_bytes() + b"\0\1x")


def swap_bundles(directory: Path) -> None:
    first, second = directory / "tile/entries/000", directory / "tile/entries/001"
    first_bytes = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(first_bytes)


def remove_a_tile(directory: Path) -> None:
    (directory / "tile/1/000.p/2").unlink()


@pytest.mark.parametrize(
    "spoil",
    [
        sign_another_root,
        sign_another_origin,
        drop_the_timed_signature,
        add_an_entry,
        swap_bundles,
        remove_a_tile,
    ],
)
def test_go_refuses_a_ledger_that_was_tampered_with(
    go_verifier: Path, small_log: Path, tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(small_log, copy)
    spoil(copy)

    result = run_go_verifier(go_verifier, copy)

    assert result.returncode == 1
    assert result.stderr.startswith("refuted: ")
