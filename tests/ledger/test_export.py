"""The bundle holds what a regulator needs, and other people's code and ours verify it."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ringfence.core.charter import parse_charter
from ringfence.core.decisions.engines import NEWEST_ENGINE
from ringfence.core.errors import ConfigurationError, IntegrityError, InvalidInputError
from ringfence.core.ledger import entry as e
from ringfence.core.ledger.lane import LaneHead, build_batch
from ringfence.core.ledger.merkle import hash_leaf
from ringfence.core.ledger.tiles import encode_bundle, parse_bundle
from ringfence.ledger.export import export_bundle
from ringfence.vault.sqlite import SqliteStore
from ringfence.vault.sqlite_ledger import place_of
from ringfence.verify import SELF_CONSISTENT, VERIFIED, Trust, verify_bundle
from tests.core.small_charter import SMALL
from tests.ledger.tree import read_leaves, sequence
from tests.ledger.writer import ORIGIN, VERIFIER, LedgerWriter, PlainCustody, opening_of, refusals
from tests.vectors.go import build_go_verifier, run_go_verifier

CUSTODY: Any = PlainCustody()


@pytest.fixture(scope="session")
def go_verifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_go_verifier(tmp_path_factory.mktemp("go_verifier"))


@pytest.fixture
def exported(run: Any, ledger: LedgerWriter, tmp_path: Path) -> LedgerWriter:
    """A charter, accesses of two lanes over three bundles, and several checkpoints."""
    blob = SMALL.encode()
    charter = parse_charter(blob, file="small")
    digest = e.commit(blob)
    enacted = e.CharterEnacted(name=charter.name, version=charter.version, digest=digest, engine=NEWEST_ENGINE)
    run(ledger.rule(0, enacted, blob))
    for _ in range(4):
        run(ledger.access(1, 100))
        run(ledger.seal(1))
        run(ledger.access(2, 50))
        run(ledger.seal(2))
        run(sequence(ledger.store, tmp_path / "tree"))
    return ledger


def export(run: Any, ledger: LedgerWriter, tmp_path: Path, *, detail: bool = False) -> Path:
    target = tmp_path / "bundle"
    run(export_bundle(ledger.store, CUSTODY, tmp_path / "tree", target, detail=detail))
    return target


def trust_of(bundle: Path) -> Trust:
    return Trust(origin=ORIGIN, genesis=hash_leaf(read_leaves(bundle)[1]), log_key=VERIFIER)


@pytest.mark.parametrize("detail", [False, True])
def test_bundle_is_verified_by_our_verifier(run: Any, exported: LedgerWriter, tmp_path: Path, detail: bool) -> None:
    bundle = export(run, exported, tmp_path, detail=detail)
    if detail:  # these openings are made up: they only show that each stands at its leaf
        shutil.rmtree(bundle / "detail")
    verdict = verify_bundle(bundle, trust=trust_of(bundle))
    assert verdict.outcome == VERIFIED, verdict.refutations[:2]
    assert verify_bundle(bundle, trust=None).outcome == SELF_CONSISTENT


def test_bundle_is_verified_by_go(run: Any, exported: LedgerWriter, tmp_path: Path, go_verifier: Path) -> None:
    bundle = export(run, exported, tmp_path)
    result = run_go_verifier(go_verifier, bundle)
    assert result.returncode == 0, result.stderr
    assert "earlier checkpoint" in result.stdout

    leaves = bundle / "tile/entries/000"
    leaves.write_bytes(leaves.read_bytes().replace(b"unauthenticated", b"unauthenticateD", 1))
    assert run_go_verifier(go_verifier, bundle).returncode == 1


def test_bundle_holds_the_tree_the_charter_and_earlier_checkpoints(
    run: Any, exported: LedgerWriter, tmp_path: Path
) -> None:
    bundle = export(run, exported, tmp_path)
    assert read_leaves(bundle) == read_leaves(tmp_path / "tree")
    assert (bundle / "blobs" / e.commit(SMALL.encode()).hex()).read_bytes() == SMALL.encode()
    assert len(list((bundle / "checkpoints").iterdir())) == 3
    assert not (bundle / "detail").exists()
    assert not list(bundle.glob(".*"))


def test_each_opening_stands_at_its_leaf(run: Any, exported: LedgerWriter, tmp_path: Path) -> None:
    bundle = export(run, exported, tmp_path, detail=True)
    leaves = read_leaves(bundle)
    openings: list[bytes] = []
    for index in range(-(-len(leaves) // 256)):
        width = min(256, len(leaves) - 256 * index)
        name = f"{index:03d}" if width == 256 else f"{index:03d}.p/{width}"
        openings += parse_bundle((bundle / "detail" / name).read_bytes(), width=width)
    assert len(openings) == len(leaves)
    for leaf, opening in zip(leaves, openings, strict=True):
        framing = isinstance(e.parse_entry(leaf), e.Batch | e.Seal)
        assert opening == (b"" if framing else opening_of(leaf))


def test_openings_are_for_their_owner_alone_and_the_rest_is_for_everybody(
    run: Any, exported: LedgerWriter, tmp_path: Path
) -> None:
    before = os.umask(0o022)
    try:
        bundle = export(run, exported, tmp_path, detail=True)
    finally:
        os.umask(before)
    openings = [path for path in (bundle / "detail").rglob("*") if path.is_file()]
    assert openings
    assert {stat.S_IMODE(path.stat().st_mode) for path in openings} == {0o600}
    assert stat.S_IMODE((bundle / "detail").stat().st_mode) == 0o700
    others = [path for path in bundle.rglob("*") if path.is_file() and path not in openings]
    assert {stat.S_IMODE(path.stat().st_mode) for path in others} == {0o644}


def test_progress_reaches_the_whole(run: Any, exported: LedgerWriter, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []

    def report(done: int, total: int) -> None:
        seen.append((done, total))

    run(export_bundle(exported.store, CUSTODY, tmp_path / "tree", tmp_path / "bundle", detail=True, report=report))
    size = len(read_leaves(tmp_path / "tree"))
    assert seen[-1] == (2 * size, 2 * size)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_target_that_is_not_empty_is_refused(run: Any, exported: LedgerWriter, tmp_path: Path) -> None:
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle/note").write_text("mine")
    with pytest.raises(InvalidInputError, match="not empty"):
        export(run, exported, tmp_path)
    assert [path.name for path in (tmp_path / "bundle").iterdir()] == ["note"]

    (tmp_path / "bundle/note").unlink()
    export(run, exported, tmp_path)


def test_openings_need_the_custodians_keys(run: Any, exported: LedgerWriter, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="keys"):
        run(export_bundle(exported.store, None, tmp_path / "tree", tmp_path / "bundle", detail=True))
    run(export_bundle(exported.store, None, tmp_path / "tree", tmp_path / "bundle", detail=False))


def test_ledger_without_a_checkpoint_is_not_exported(run: Any, ledger: LedgerWriter, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError):
        export(run, ledger, tmp_path)


def test_changed_leaf_in_the_tree_directory_gives_no_bundle(run: Any, exported: LedgerWriter, tmp_path: Path) -> None:
    path = tmp_path / "tree/tile/entries/001"
    path.write_bytes(path.read_bytes().replace(b"unauthenticated", b"unauthenticateD", 1))
    with pytest.raises(IntegrityError, match="root"):
        export(run, exported, tmp_path)
    assert not (tmp_path / "bundle/checkpoint").exists()


def execute(ledger: LedgerWriter, sql: str, *values: object) -> None:
    assert isinstance(ledger.store, SqliteStore)
    with closing(sqlite3.connect(ledger.store.path)) as database, database:
        assert database.execute(sql, values).rowcount == 1


def test_batch_that_was_changed_in_the_database_gives_no_openings(
    run: Any, exported: LedgerWriter, tmp_path: Path
) -> None:
    built = build_batch(LaneHead(1), epoch=5, at_ms=0, entries=[refusals(number) for number in range(1, 101)])
    execute(
        exported,
        "UPDATE batches SET header = ?, entries = ? WHERE place = ?",
        *(built.header, encode_bundle(built.entries), place_of(1, 1)),
    )
    with pytest.raises(IntegrityError, match="is not the one in the tree") as refusal:
        export(run, exported, tmp_path, detail=True)
    assert refusal.value.place == "lane 1 batch 1"


def test_charter_file_that_is_gone_gives_no_bundle(run: Any, exported: LedgerWriter, tmp_path: Path) -> None:
    execute(exported, "DELETE FROM blobs")
    with pytest.raises(IntegrityError, match="charter's file"):
        export(run, exported, tmp_path)
    assert not (tmp_path / "bundle/checkpoint").exists()
