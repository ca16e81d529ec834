"""Every byte of a small bundle counts: whichever is changed, the bundle is refused."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest

from ringfence.core import folding
from ringfence.core.charter import parse_charter
from ringfence.core.ledger.tiles import ENTRIES_LEVEL, TILE_WIDTH, Tile
from ringfence.verify import REFUTED, SELF_CONSISTENT, VERIFIED, verify_bundle
from tests.attacks.bundles import require_verified
from tests.ledgers import APP, GATEWAY, Ledger

WITNESSES = ("north", "south")


@pytest.fixture
def parse_each_charter_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep parsed charters by their bytes, since most of the bundles here differ elsewhere."""
    monkeypatch.setattr(folding, "parse_charter", functools.cache(parse_charter))


def tiny() -> Ledger:
    """Give a ledger with openings, an erasure and an earlier checkpoint that is small enough to try every byte."""
    ledger = Ledger()
    ledger.genesis()
    ledger.enact()
    ledger.certify(GATEWAY)
    ledger.register(APP, "app")
    ledger.checkpoint()
    ledger.batch(GATEWAY, ledger.access(), ledger.bulk(2))
    ledger.erase(b"alice-----------")
    return ledger


@pytest.mark.usefixtures("parse_each_charter_once")
@pytest.mark.timeout(600)
def test_every_flipped_byte_of_every_file_is_refused(tmp_path: Path) -> None:
    ledger = tiny()
    trust = ledger.trust(*WITNESSES, quorum=1)
    files = ledger.files(cosigned=WITNESSES[:1])
    kinds = {"checkpoint", "vkey", "checkpoints", "blobs", "tile", "detail"}
    assert {path.split("/")[0] for path in files} == kinds
    ledger.write(tmp_path, cosigned=WITNESSES[:1])
    require_verified(verify_bundle(tmp_path, trust=trust))

    believed: list[str] = []
    for path, data in files.items():
        file = tmp_path / path
        for at in range(len(data)):
            flipped = data[at] ^ 1 << at % 8
            file.write_bytes(data[:at] + bytes([flipped]) + data[at + 1 :])
            if verify_bundle(tmp_path, trust=trust).outcome != REFUTED:
                believed.append(f"{path} byte {at}")
        file.write_bytes(data)

    assert not believed
    require_verified(verify_bundle(tmp_path, trust=trust))


@pytest.mark.usefixtures("parse_each_charter_once")
@pytest.mark.parametrize("change", ["cut", "lengthened", "emptied", "removed"])
def test_a_file_of_another_length_or_none_is_refused(tmp_path: Path, change: str) -> None:
    ledger = tiny()
    ledger.write(tmp_path)
    required = [path for path in ledger.files() if not path.startswith("checkpoints/")]
    for path in required:
        file = tmp_path / path
        data = file.read_bytes()
        if change == "removed":
            file.unlink()
        else:
            file.write_bytes({"cut": data[:-1], "lengthened": data + b"\n", "emptied": b""}[change])
        assert verify_bundle(tmp_path, trust=ledger.trust()).outcome not in (VERIFIED, SELF_CONSISTENT), path
        file.write_bytes(data)
    require_verified(verify_bundle(tmp_path, trust=ledger.trust()))


@pytest.mark.usefixtures("parse_each_charter_once")
@pytest.mark.parametrize("leaves", [255, 256, 257, 511, 512, 513])
def test_flipped_bytes_are_found_around_each_boundary_of_tiles(tmp_path: Path, leaves: int) -> None:
    ledger = tiny()
    while len(ledger.leaves) < leaves - 2:
        entries = min(200, leaves - len(ledger.leaves) - 2)
        ledger.batch(GATEWAY, *[ledger.access(b"bob-------------")] * entries)
    while len(ledger.leaves) < leaves:
        ledger.seal(GATEWAY)
    assert len(ledger.leaves) == leaves
    ledger.write(tmp_path)
    require_verified(verify_bundle(tmp_path, trust=ledger.trust()))

    for path in ledger.files():
        if not path.startswith(("tile/", "detail/")):
            continue
        file = tmp_path / path
        data = file.read_bytes()
        for at in {len(data) // 3, len(data) - 1}:
            file.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
            verdict = verify_bundle(tmp_path, trust=ledger.trust())
            assert verdict.outcome == REFUTED, f"{path} byte {at}"
            if not path.startswith(("tile/entries", "detail/")):
                assert any(path in item.place for item in verdict.refutations), (path, verdict.refutations)
        file.write_bytes(data)


def test_the_place_of_a_flipped_byte_is_named(tmp_path: Path) -> None:
    ledger = tiny()
    ledger.write(tmp_path)
    leaf = len(ledger.leaves) - 5
    path = Tile(ENTRIES_LEVEL, 0, len(ledger.leaves)).path
    data = (tmp_path / path).read_bytes()
    assert len(ledger.leaves) < TILE_WIDTH
    at = data.index(ledger.leaves[leaf]) + len(ledger.leaves[leaf]) // 2
    (tmp_path / path).write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])

    verdict = verify_bundle(tmp_path, trust=ledger.trust())

    assert verdict.outcome == REFUTED
    assert leaf in [item.leaf for item in verdict.refutations]
    assert any(f"leaf {leaf} " in item.place for item in verdict.refutations)
