"""Directories made to confuse, exhaust or mislead the verifier: a clear answer, never a crash, never `verified`."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from ringfence.core.errors import InvalidInputError, ProofInvalidError
from ringfence.core.ledger.checkpoint import Checkpoint, sign_checkpoint
from ringfence.core.ledger.entry import render_entry
from ringfence.core.ledger.merkle import hash_leaf
from ringfence.core.ledger.signed_note import render_vkey
from ringfence.core.ledger.tiles import encode_bundle
from ringfence.verify import REFUTED, UNREADABLE, parse_trust, verify_bundle
from ringfence.verify.bundle import ENTRIES_FILE_SIZE_BYTES_MAX, Bundle
from tests.attacks.bundles import require_refuted, require_verified
from tests.ledgers import GATEWAY, Ledger, render_trust, started, whole, write_files


@pytest.fixture
def bundle(tmp_path: Path) -> tuple[Path, Ledger]:
    ledger = whole()
    directory = ledger.write(tmp_path / "bundle")
    require_verified(verify_bundle(directory, trust=ledger.trust()))
    return directory, ledger


@pytest.mark.parametrize(
    "path",
    [
        "notes.txt",
        ".hidden",
        "tile/0/001",
        "tile/0/000",
        "tile/1/000.p/1",
        "tile/8/000",
        "tile/0/000.p/53",
        "tile/entries/000.p/53",
        "tile/entries/x000/000",
        "tile/entries/0",
        "checkpoints/07",
        "checkpoints/latest",
        "blobs/README",
        "blobs/" + "AB" * 32,
        "detail/001",
        "detail/000",
        "detail/entries/000",
        "tile/entries/000.p/52/deeper",
    ],
)
def test_file_that_is_no_part_of_the_bundle_is_refuted(bundle: tuple[Path, Ledger], path: str) -> None:
    directory, ledger = bundle
    extra = directory / path
    if (directory / "tile/entries/000.p/52").is_file() and "deeper" in path:
        (directory / "tile/entries/000.p/52").unlink()
    extra.parent.mkdir(parents=True, exist_ok=True)
    extra.write_bytes(b"x")
    require_refuted(verify_bundle(directory, trust=ledger.trust()), "no part of a bundle")


@pytest.mark.parametrize(
    ("path", "width"), [("tile/0/000.p/7", 7), ("tile/entries/000.p/7", 7), ("tile/entries/000.p/51", 51)]
)
def test_earlier_form_of_a_file_must_be_its_beginning(bundle: tuple[Path, Ledger], path: str, width: int) -> None:
    """A published tree keeps them, for readers of an earlier checkpoint."""
    directory, ledger = bundle
    hashes = b"".join(hash_leaf(leaf) for leaf in ledger.leaves[:width])
    right = hashes if path.startswith("tile/0/") else encode_bundle(ledger.leaves[:width])
    (directory / path).write_bytes(right)
    require_verified(verify_bundle(directory, trust=ledger.trust()))
    for wrong in (right[:-1], right[:-1] + b"x", b"", right + right):
        (directory / path).write_bytes(wrong)
        require_refuted(verify_bundle(directory, trust=ledger.trust()), "")


@pytest.mark.parametrize("size", [2**16, 2**36, 2**62])
def test_tree_that_claims_more_leaves_than_it_has_is_refuted_without_looking_for_them(
    tmp_path: Path, size: int
) -> None:
    ledger = started()
    ledger.batch(GATEWAY, ledger.access())
    require_verified(verify_bundle(ledger.write(tmp_path / "honest"), trust=ledger.trust()))
    claim = Checkpoint(ledger.origin, size, bytes(32))
    seconds = ledger.now_ms // 1000 + 5
    note = sign_checkpoint(claim, name=ledger.origin, key=ledger.log_key, time_seconds=seconds)
    bare = {"checkpoint": note, "vkey": ledger.files()["vkey"]}
    write_files(tmp_path / "forged", bare)
    refutation = require_refuted(verify_bundle(tmp_path / "forged", trust=None), "is missing")
    assert refutation.place == "tile/entries/000"


@pytest.mark.parametrize("target", ["inside", "outside", "nowhere"])
@pytest.mark.parametrize("path", ["vkey", "checkpoint", "tile/entries/000.p/52", "tile/0/000.p/52", "detail", "more"])
def test_symbolic_link_is_refuted(bundle: tuple[Path, Ledger], path: str, target: str, tmp_path: Path) -> None:
    directory, ledger = bundle
    link = directory / path
    moved = {"inside": directory / "moved", "outside": tmp_path / "moved", "nowhere": tmp_path / "gone"}[target]
    if link.exists() and target != "nowhere":
        link.rename(moved)
    elif link.is_dir():
        link.rename(tmp_path / "kept")
    else:
        link.unlink(missing_ok=True)
    link.symlink_to(moved)
    verdict = verify_bundle(directory, trust=ledger.trust())
    assert verdict.outcome in ((REFUTED, UNREADABLE) if path == "checkpoint" else (REFUTED,)), verdict


def test_symbolic_link_is_not_followed_even_before_the_directory_is_listed(bundle: tuple[Path, Ledger]) -> None:
    directory, _ = bundle
    assert Bundle(directory).read_vkey()
    (directory / "vkey").rename(directory / "kept")
    (directory / "vkey").symlink_to(directory / "kept")
    with pytest.raises(ProofInvalidError, match="symbolic link"):
        Bundle(directory).read_vkey()


@pytest.mark.parametrize("path", ["vkey", "checkpoint", "tile/entries/000.p/52", "tile/0/000.p/52", "detail/000.p/52"])
@pytest.mark.parametrize("kind", ["directory", "pipe", "giant"])
def test_file_of_another_kind_is_refuted_without_waiting_or_reading_it_all(
    bundle: tuple[Path, Ledger], path: str, kind: str
) -> None:
    directory, ledger = bundle
    file = directory / path
    file.unlink()
    if kind == "directory":
        (file / "inner").mkdir(parents=True)
    elif kind == "pipe":
        os.mkfifo(file)
    else:
        with file.open("wb") as giant:
            giant.truncate(2**40)  # sparse: a terabyte that takes no room
    assert verify_bundle(directory, trust=ledger.trust()).outcome == REFUTED


def test_giant_file_is_refuted_by_its_size(bundle: tuple[Path, Ledger]) -> None:
    directory, ledger = bundle
    with (directory / "tile/entries/000.p/52").open("wb") as giant:
        giant.truncate(2**40)
    refutation = require_refuted(verify_bundle(directory, trust=ledger.trust()), "larger than any of its kind")
    assert str(ENTRIES_FILE_SIZE_BYTES_MAX) in refutation.expected


def test_deep_directories_are_refuted(bundle: tuple[Path, Ledger]) -> None:
    directory, ledger = bundle
    deep = directory
    for _ in range(200):
        deep = deep / "d"
    deep.mkdir(parents=True)
    require_refuted(verify_bundle(directory, trust=ledger.trust()), "no part of the bundle")


def test_names_that_would_write_on_the_screen_are_shown_escaped(bundle: tuple[Path, Ledger]) -> None:
    directory, ledger = bundle
    (directory / "a\x1b[2Jb").write_bytes(b"")
    place = require_refuted(verify_bundle(directory, trust=ledger.trust()), "no part of a bundle").place
    assert "\x1b" not in place


@pytest.mark.parametrize("missing", ["the directory", "the checkpoint"])
def test_no_bundle_at_all_is_unreadable(tmp_path: Path, missing: str) -> None:
    directory = tmp_path / "bundle"
    if missing == "the checkpoint":
        directory.mkdir()
    verdict = verify_bundle(directory, trust=whole().trust())
    assert verdict.outcome == UNREADABLE
    assert verdict.problem


def test_file_that_may_not_be_read_is_unreadable(bundle: tuple[Path, Ledger], monkeypatch: pytest.MonkeyPatch) -> None:
    directory, ledger = bundle
    open_file = os.open

    def refuse_tiles(path: Path, flags: int) -> int:
        if "tile" in Path(path).parts:
            raise PermissionError(13, "Permission denied")
        return open_file(path, flags)

    monkeypatch.setattr(os, "open", refuse_tiles)
    verdict = verify_bundle(directory, trust=ledger.trust())
    assert verdict.outcome == UNREADABLE
    assert "tile/entries/000.p/52" in verdict.problem


@pytest.mark.parametrize(
    "leaf",
    [
        b"",
        b"{}",
        b"[" * 4000,
        b'{"kind":"rule.genesis"}',
        b'{"kind":"batch"}',
        b'{"kind":"seal"}',
        b'{"kind":"batch","lane":0,"n":1,"previous":"","epoch":0,"at_ms":0,"count":99999999999,"digest":""}',
        b'{"kind":"batch","lane":' + b"9" * 4000 + b"}",
        b"\xff\xfe",
        b'{"kind":"rule.' + b"x" * 8000,
    ],
)
@pytest.mark.parametrize("at", [0, 1, 4, -1])
def test_leaves_of_any_content_are_refuted(tmp_path: Path, leaf: bytes, at: int) -> None:
    ledger = started()
    ledger.batch(GATEWAY, ledger.access())
    trust = ledger.trust()
    ledger.leaves[at] = leaf
    assert verify_bundle(ledger.write(tmp_path), trust=trust).outcome == REFUTED


@pytest.mark.parametrize("size", [0, 1, 2])
def test_tree_of_hardly_any_leaves_is_refuted(tmp_path: Path, size: int) -> None:
    ledger = started()
    trust = ledger.trust()
    del ledger.leaves[size:], ledger.openings[size:]
    ledger.blobs.clear()
    assert verify_bundle(ledger.write(tmp_path), trust=trust).outcome == REFUTED


@pytest.mark.parametrize(
    "change",
    [
        {"origin": ""},
        {"origin": 7},
        {"genesis": "00"},
        {"genesis": "G" * 64},
        {"genesis": "AB" * 32},
        {"log_key": "none"},
        {"witnesses": "none"},
        {"witnesses": [7]},
        {"witness_quorum": 1},
        {"witness_quorum": -1},
        {"witness_quorum": True},
        {"witness_quorum": 0.0},
        {"more": 1},
    ],
)
def test_trust_file_that_is_wrong_is_refused_with_its_reason(change: dict[str, object]) -> None:
    values = json.loads(render_trust(whole().trust()))
    assert parse_trust(json.dumps(values).encode(), file="trust.json") == whole().trust()
    with pytest.raises(InvalidInputError, match=r"trust\.json"):
        parse_trust(json.dumps({**values, **change}).encode(), file="trust.json")


def test_trust_file_that_names_one_witness_twice_or_the_log_is_refused() -> None:
    ledger = whole()
    values = json.loads(render_trust(ledger.trust("north", "south", quorum=2)))
    parse_trust(json.dumps(values).encode(), file="trust.json")
    twice = {**values, "witnesses": values["witnesses"][:1] * 2}
    with pytest.raises(InvalidInputError, match="twice"):
        parse_trust(json.dumps(twice).encode(), file="trust.json")
    log_key, witness = values["log_key"], values["witnesses"][0]
    for wrong in ({"log_key": witness}, {"witnesses": [log_key]}):
        with pytest.raises(InvalidInputError, match="must be a key of type"):
            parse_trust(json.dumps({**values, **wrong, "witness_quorum": 0}).encode(), file="trust.json")
    log_itself = render_vkey(ledger.log_vkey().as_cosigner())
    with pytest.raises(InvalidInputError, match="log itself"):
        parse_trust(json.dumps({**values, "witnesses": [log_itself], "witness_quorum": 1}).encode(), file="trust.json")
    with pytest.raises(InvalidInputError):
        parse_trust(b'{"origin": "a", ' + render_trust(ledger.trust())[1:], file="trust.json")


@pytest.mark.parametrize("data", [b"", b"null", b"[]", b"{", b"\xff", b"[" * 100_000, b"x" * 200_000])
def test_trust_file_of_any_content_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidInputError):
        parse_trust(data, file="trust.json")


def test_leaf_as_long_as_may_be_is_read(tmp_path: Path) -> None:
    ledger = started()
    access, opening = ledger.access(dataset="x" * 7_500)
    assert len(render_entry(access)) < 8_192
    ledger.batch(GATEWAY, (access, opening))
    require_verified(verify_bundle(ledger.write(tmp_path), trust=ledger.trust()))
