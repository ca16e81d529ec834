"""Checkpoints against each other: cut trees, split views, other logs, missing witnesses."""

from __future__ import annotations

from pathlib import Path

import pytest

from ringfence.core.ledger.checkpoint import Checkpoint, sign_checkpoint
from ringfence.core.ledger.merkle import EMPTY_ROOT, hash_leaf, root_of
from ringfence.verify import UNREADABLE, verify_bundle
from tests.attacks.bundles import judge, require_refuted, require_verified
from tests.ledgers import BOB, GATEWAY, ORIGIN, Ledger, cosigned_by, key_of, started, whole, write_files


def grown() -> Ledger:
    ledger = started()
    for _ in range(4):
        ledger.batch(GATEWAY, ledger.access(), ledger.access(BOB))
        ledger.checkpoint()
    return ledger


def cut(ledger: Ledger, size: int) -> None:
    """Leave only the first leaves, as if the rest had never been."""
    del ledger.leaves[size:], ledger.openings[size:]
    ledger.checkpoints = {at: note for at, note in ledger.checkpoints.items() if at <= size}


def test_tree_cut_without_a_new_signature_is_refuted(tmp_path: Path) -> None:
    ledger = grown()
    newest = ledger.sign()
    require_verified(judge(ledger, tmp_path / "whole", note=newest))
    cut(ledger, sorted(ledger.checkpoints)[1])
    require_refuted(judge(ledger, tmp_path / "cut", note=newest), "")


def test_tree_cut_and_signed_again_is_refuted_by_the_checkpoint_that_the_reader_kept(tmp_path: Path) -> None:
    ledger = grown()
    kept = ledger.sign()
    whole_one = ledger.write(tmp_path / "whole")
    require_verified(verify_bundle(whole_one, trust=ledger.trust(), since=kept))
    cut(ledger, sorted(ledger.checkpoints)[1])
    directory = ledger.write(tmp_path / "cut")
    require_verified(verify_bundle(directory, trust=ledger.trust()))
    require_refuted(verify_bundle(directory, trust=ledger.trust(), since=kept), "cut or rolled back")


def test_rewritten_history_is_refuted_by_the_checkpoint_that_the_reader_kept(tmp_path: Path) -> None:
    """A split view: the log shows one tree to one reader, another to another, both of them signed."""
    shown, other = started(), started()
    shown.batch(GATEWAY, shown.access())
    other.batch(GATEWAY, other.access(BOB))
    kept = shown.sign()
    for ledger in (shown, other):
        ledger.batch(GATEWAY, ledger.access())
    accepted = verify_bundle(shown.write(tmp_path / "shown"), trust=shown.trust(), since=kept)
    require_verified(accepted)
    assert accepted.since_size == len(shown.leaves) - 3
    require_refuted(verify_bundle(other.write(tmp_path / "other"), trust=other.trust(), since=kept), "no growth of")


def test_split_view_among_the_earlier_checkpoints_is_refuted(tmp_path: Path) -> None:
    for name, root in (("honest", None), ("forged", b"\x07" * 32)):
        ledger = started()
        ledger.batch(GATEWAY, ledger.access())
        ledger.checkpoint(root=root)
        ledger.batch(GATEWAY, ledger.access())
        if root:
            refutation = require_refuted(judge(ledger, tmp_path / name), "no growth of")
            assert refutation.place.startswith("checkpoints/")
        else:
            require_verified(judge(ledger, tmp_path / name))


@pytest.mark.parametrize("size", [0, 1])
def test_checkpoint_of_a_tree_that_had_hardly_begun(tmp_path: Path, size: int) -> None:
    ledger = started()
    root = root_of(map(hash_leaf, ledger.leaves[:size]))
    seconds = ledger.now_ms // 1000
    ledger.checkpoints[size] = sign_checkpoint(
        Checkpoint(ORIGIN, size, root), name=ORIGIN, key=ledger.log_key, time_seconds=seconds
    )
    if size == 0:
        assert root == EMPTY_ROOT
        require_verified(judge(ledger, tmp_path))
    else:
        require_refuted(judge(ledger, tmp_path), "ends inside of a batch")


def test_newest_checkpoint_may_stand_among_the_earlier_ones_too(tmp_path: Path) -> None:
    ledger = whole()
    ledger.checkpoint()
    require_verified(judge(ledger, tmp_path))


def test_checkpoint_of_another_origin_is_refuted(tmp_path: Path) -> None:
    ledger = grown()
    require_refuted(
        judge(ledger, tmp_path / "newest", note=ledger.sign(origin="log.example/other")), "is of another log"
    )
    first = min(ledger.checkpoints)
    ledger.checkpoints[first] = ledger.sign(origin="log.example/other", size=first)
    require_refuted(judge(ledger, tmp_path / "earlier"), "is of another log")


def test_checkpoint_filed_under_another_size_is_refuted(tmp_path: Path) -> None:
    ledger = grown()
    first, second, *_ = sorted(ledger.checkpoints)
    ledger.checkpoints[first] = ledger.checkpoints[second]
    require_refuted(judge(ledger, tmp_path), "filed under another size")


def test_earlier_checkpoint_of_a_larger_tree_is_refuted(tmp_path: Path) -> None:
    ledger = grown()
    note = ledger.checkpoints[len(ledger.leaves)]
    size = len(ledger.leaves)
    cut(ledger, sorted(ledger.checkpoints)[1])
    ledger.checkpoints[size] = note
    require_refuted(judge(ledger, tmp_path), "cut or rolled back")


def test_signed_times_that_go_back_are_refuted(tmp_path: Path) -> None:
    for name, later in (("honest", 1), ("forged", 500)):
        ledger = started()
        ledger.batch(GATEWAY, ledger.access())
        ledger.checkpoint(seconds_later=later)
        ledger.batch(GATEWAY, ledger.access())
        if later == 1:
            require_verified(judge(ledger, tmp_path / name))
        else:
            require_refuted(judge(ledger, tmp_path / name), "signed time does not fit")


@pytest.mark.parametrize(
    ("cosigned", "quorum", "holds"),
    [
        ((), 0, True),
        (("north",), 1, True),
        (("north", "south"), 2, True),
        (("north", "south"), 1, True),
        ((), 1, False),
        (("north",), 2, False),
    ],
)
def test_quorum_of_witnesses(tmp_path: Path, cosigned: tuple[str, ...], quorum: int, holds: bool) -> None:
    ledger = whole()
    trust = ledger.trust("north", "south", "east", quorum=quorum)
    verdict = judge(ledger, tmp_path, trust=trust, cosigned=cosigned)
    if holds:
        require_verified(verdict)
        assert verdict.witnesses == cosigned
    else:
        require_refuted(verdict, "too few of the pinned witnesses")


def test_witness_that_the_trust_file_does_not_pin_does_not_count(tmp_path: Path) -> None:
    ledger = whole()
    trust = ledger.trust("north", quorum=1)
    require_verified(judge(ledger, tmp_path / "pinned", trust=trust, cosigned=("north",)))
    require_refuted(judge(ledger, tmp_path / "stranger", trust=trust, cosigned=("stranger",)), "unknown key")


def test_witness_that_signs_for_another_is_refuted(tmp_path: Path) -> None:
    ledger = whole()
    trust = ledger.trust("north", quorum=1)
    forged = cosigned_by(ledger.sign(), "north").replace(b"\xe2\x80\x94 north ", b"\xe2\x80\x94 south ")
    require_refuted(judge(ledger, tmp_path, trust=trust, note=forged), "unknown key")


def test_checkpoint_that_only_another_key_signed_is_refuted(tmp_path: Path) -> None:
    ledger = whole()
    honest, ledger.log_key = ledger.log_key, key_of("forger")
    forged = ledger.sign()
    ledger.log_key = honest
    require_refuted(judge(ledger, tmp_path, note=forged), "")


def test_kept_checkpoint_of_another_log_is_refuted(tmp_path: Path) -> None:
    ledger, other = grown(), grown()
    other.log_key = key_of("other log")
    directory = ledger.write(tmp_path)
    require_refuted(verify_bundle(directory, trust=ledger.trust(), since=other.sign()), "")
    require_verified(verify_bundle(directory, trust=ledger.trust(), since=next(iter(ledger.checkpoints.values()))))


@pytest.mark.parametrize("kept", [b"", b"no note", b"\xff" * 40, b"a\n1\n\n\xe2\x80\x94 name sig\n"])
def test_kept_file_that_is_no_checkpoint_is_unreadable_and_says_nothing_of_the_bundle(
    tmp_path: Path, kept: bytes
) -> None:
    ledger = grown()
    directory = ledger.write(tmp_path)
    verdict = verify_bundle(directory, trust=ledger.trust(), since=kept)
    assert (verdict.outcome, verdict.refutations) == (UNREADABLE, ())
    assert "--since is no checkpoint" in verdict.problem
    require_verified(verify_bundle(directory, trust=ledger.trust(), since=ledger.sign(seconds_later=1)))


def test_two_ledgers_mixed_into_one_bundle_are_refuted(tmp_path: Path) -> None:
    one, two = grown(), whole()
    files = one.files()
    mixed = {**files, **{path: data for path, data in two.files().items() if path.startswith("tile/entries")}}
    write_files(tmp_path, mixed)
    require_refuted(verify_bundle(tmp_path, trust=one.trust()), "")
