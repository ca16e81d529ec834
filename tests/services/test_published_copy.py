"""The published directory holds what anyone may have and nothing else, and a copy of it is verified as it is."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from ringfence.app.deployment import Deployment
from ringfence.app.serving import _tree_files
from ringfence.services.custody.writing import WriteItem, write_records
from ringfence.verify import REFUTED, VERIFIED, Verdict, parse_trust, verify_bundle
from tests.services.world import OPEN, World, in_world, make_deployment, sequence

ROUNDS, WRITES = 4, 20


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    """A deployment that was sequenced several times, so that its tree has tiles of several sizes."""
    made = make_deployment(tmp_path_factory.mktemp("published") / "deployment")

    async def write(world: World) -> None:
        items = [WriteItem(f"user {number}", "profile", "self", {"userName": "x"}) for number in range(WRITES)]
        for item in items:
            await write_records(world.gate, world.caller("app"), purpose="serve_user", items=[item])

    for _ in range(ROUNDS):
        in_world(made, write)
        asyncio.run(sequence(made))
    return made


def verify_copy(deployment: Deployment, copy: Path) -> Verdict:
    trust = parse_trust((deployment.directory / "trust.json").read_bytes(), file="trust.json")
    return verify_bundle(copy, trust=trust)


def test_copy_of_the_published_directory_is_verified(deployment: Deployment, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(deployment.ledger, copy)
    verdict = verify_copy(deployment, copy)
    assert verdict.outcome == VERIFIED, verdict.refutations
    assert verdict.counts["accesses_given"] == ROUNDS * WRITES
    assert not verdict.detail
    assert any(len(list(path.iterdir())) > 1 for path in copy.rglob("*.p")), "no earlier form of a tile was looked at"

    next((copy / "blobs").iterdir()).unlink()
    assert verify_copy(deployment, copy).outcome == REFUTED


def test_published_directory_holds_nothing_else(deployment: Deployment) -> None:
    assert {path.name for path in deployment.ledger.iterdir()} == {"blobs", "checkpoint", "tile", "vkey"}
    assert [path.read_bytes() for path in (deployment.ledger / "blobs").iterdir()] == [OPEN.encode()]
    beside = {path.name for path in (deployment.directory / "ledger-work").iterdir()}
    assert beside == {"incoming", "lock", "standing"}


def test_gateway_gives_out_every_file_of_it_and_no_other(deployment: Deployment) -> None:
    read = _tree_files(deployment.ledger)
    paths = [path for path in deployment.ledger.rglob("*") if path.is_file()]
    assert len(paths) > 5
    for path in paths:
        assert read(str(path.relative_to(deployment.ledger))) == path.read_bytes()
    for other in ("../trust.json", "blobs/../vkey", "../ledger-work/standing", "blobs/x", "blobs", "tile"):
        assert read(other) is None


def test_charters_that_were_lost_from_it_are_put_back(deployment: Deployment, tmp_path: Path) -> None:
    copy = tmp_path / "deployment"
    shutil.copytree(deployment.directory, copy)
    again = Deployment(copy, deployment.configuration)
    shutil.rmtree(again.ledger / "blobs")
    assert verify_copy(again, again.ledger).outcome == REFUTED
    asyncio.run(sequence(again))
    assert verify_copy(again, again.ledger).outcome == VERIFIED
