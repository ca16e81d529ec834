"""Ledgers made by someone who holds every key: each lie that contradicts something written is refuted at its place.

Every refusing test has its accepting twin: the same ledger without the lie, which must be verified.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from ringfence.core.ledger import entry as e
from ringfence.core.ledger.lane import AUTHORITY_LANE, LaneHead
from ringfence.core.ledger.merkle import hash_leaf
from tests.attacks.bundles import judge, require_refuted, require_verified
from tests.ledgers import (
    APP,
    BOB,
    GATEWAY,
    INGEST,
    NARROWER,
    PARENT,
    START_MS,
    Ledger,
    key_of,
    started,
    whole,
)


def test_whole_ledger_is_verified(tmp_path: Path) -> None:
    require_verified(judge(whole(), tmp_path))


# -- whose ledger it is ------------------------------------------------------------------------------------------------


def test_self_consistent_ledger_with_another_genesis_is_refuted(tmp_path: Path) -> None:
    forged = whole(mode=e.DEVELOPMENT)
    require_verified(judge(forged, tmp_path / "own"))

    require_refuted(judge(forged, tmp_path / "pinned", trust=whole().trust()), "not the genesis that the trust file")


def test_self_consistent_ledger_with_another_log_key_is_refuted(tmp_path: Path) -> None:
    forged = whole(log_key=key_of("forger"))
    require_verified(judge(forged, tmp_path / "own"))

    require_refuted(judge(forged, tmp_path / "pinned", trust=whole().trust()), "log key is not the one that the trust")


def test_genesis_that_names_another_log_key_is_refuted(tmp_path: Path) -> None:
    ledger = whole()
    ledger.log_key = key_of("forger")
    ledger.checkpoints.clear()
    require_refuted(judge(ledger, tmp_path), "genesis names another log key")


def test_genesis_of_another_origin_is_refuted(tmp_path: Path) -> None:
    ledger = whole()
    ledger.checkpoints.clear()
    forged = ledger.sign(origin="log.example/other")
    trust = replace(ledger.trust(), origin="log.example/other")
    require_refuted(judge(ledger, tmp_path, note=forged, trust=trust), "genesis is of another origin")


# -- what is in the tree -----------------------------------------------------------------------------------------------


def test_signed_again_after_an_entry_was_inserted_is_refuted(tmp_path: Path) -> None:
    ledger = started()
    header = ledger.batch(GATEWAY, ledger.access(), ledger.access(BOB))
    require_verified(judge(ledger, tmp_path / "honest"))

    access, opening = ledger.access()
    ledger.leaves.insert(header + 2, e.render_entry(access))
    ledger.openings.insert(header + 2, opening)
    require_refuted(judge(ledger, tmp_path / "forged"), "does not hold the entries", leaf=header)


def test_signed_again_after_an_entry_was_removed_is_refuted(tmp_path: Path) -> None:
    ledger = started()
    header = ledger.batch(GATEWAY, ledger.access(), ledger.access(BOB))
    ledger.batch(GATEWAY, ledger.access())
    require_verified(judge(ledger, tmp_path / "honest"))

    del ledger.leaves[header + 1], ledger.openings[header + 1]
    require_refuted(judge(ledger, tmp_path / "forged"), "does not hold the entries", leaf=header)


def test_entry_inserted_with_a_mended_header_is_refuted(tmp_path: Path) -> None:
    ledger = started()
    header = ledger.batch(GATEWAY, ledger.access(), seal=False)
    seal = ledger.seal(GATEWAY)
    require_verified(judge(ledger, tmp_path / "honest"))

    forged = ledger.leaves[seal]
    del ledger.leaves[header:], ledger.openings[header:]
    ledger.batch(
        GATEWAY, ledger.access(), ledger.access(), seal=False, head=replace(ledger.heads[GATEWAY], n=0, hash=bytes(32))
    )
    ledger.leaves.append(forged)
    ledger.openings.append(b"")
    require_refuted(
        judge(ledger, tmp_path / "forged"), "is not of the lane's newest batch", leaf=len(ledger.leaves) - 1
    )


def test_gap_in_a_lane_is_refuted(tmp_path: Path) -> None:
    ledger = started()
    first = ledger.batch(GATEWAY, ledger.access())
    second = ledger.batch(GATEWAY, ledger.access())
    third = ledger.batch(GATEWAY, ledger.access())
    require_verified(judge(ledger, tmp_path / "honest"))

    del ledger.leaves[second:third], ledger.openings[second:third]
    assert first < second
    require_refuted(judge(ledger, tmp_path / "forged"), f"lane {GATEWAY} has a gap", leaf=second)


def test_batch_that_follows_another_history_is_refuted(tmp_path: Path) -> None:
    for name, chain in (("honest", None), ("forged", b"\x01" * 32)):
        ledger = started()
        ledger.batch(GATEWAY, ledger.access())
        head = ledger.heads[GATEWAY]
        place = ledger.batch(GATEWAY, ledger.access(), head=replace(head, hash=chain or head.hash))
        verdict = judge(ledger, tmp_path / name)
        if chain:
            require_refuted(verdict, "does not follow the batch before it", leaf=place)
        else:
            require_verified(verdict)


def test_leaf_outside_of_any_batch_is_refuted(tmp_path: Path) -> None:
    ledger = whole()
    require_verified(judge(ledger, tmp_path / "honest"))
    ledger.leaves.append(e.render_entry(ledger.access()[0]))
    ledger.openings.append(b"")
    require_refuted(judge(ledger, tmp_path / "forged"), "outside of any batch", leaf=len(ledger.leaves) - 1)


def test_tree_that_ends_inside_of_a_batch_is_refuted(tmp_path: Path) -> None:
    ledger = started()
    header = ledger.batch(GATEWAY, ledger.access(), ledger.access(), seal=False)
    del ledger.leaves[-1], ledger.openings[-1]
    require_refuted(judge(ledger, tmp_path), "ends inside of a batch", leaf=header)


@pytest.mark.parametrize("count", [0, 257, -1])
def test_batch_of_no_entries_or_too_many_is_refuted(tmp_path: Path, count: int) -> None:
    ledger = started()
    place = ledger.batch(GATEWAY, ledger.access(), seal=False)
    del ledger.leaves[place + 1 :], ledger.openings[place + 1 :]
    entries = [e.render_entry(ledger.access()[0])] * max(count, 0)
    digest = hashlib.sha256(b"".join(map(hash_leaf, entries))).digest()
    header = msgspec.structs.replace(e.parse_entry(ledger.leaves[place]), count=count, digest=digest)
    ledger.leaves[place:] = [e.render_entry(header), *entries]
    ledger.openings += [b""] * len(entries)
    ledger.heads[GATEWAY] = replace(ledger.heads[GATEWAY], hash=hash_leaf(ledger.leaves[place]))
    ledger.seal(GATEWAY)
    require_refuted(judge(ledger, tmp_path), "a batch holds 1 to 256 entries", leaf=place)


def test_leaf_that_is_not_canonical_is_refuted(tmp_path: Path) -> None:
    ledger = started()
    header = ledger.batch(GATEWAY, ledger.access(), seal=False)
    ledger.leaves[header + 1] = ledger.leaves[header + 1].replace(b'","', b'", "', 1)
    digest = hashlib.sha256(hash_leaf(ledger.leaves[header + 1])).digest()
    batch = msgspec.structs.replace(e.parse_entry(ledger.leaves[header]), digest=digest)
    ledger.leaves[header] = e.render_entry(batch)
    ledger.heads[GATEWAY] = replace(ledger.heads[GATEWAY], hash=hash_leaf(ledger.leaves[header]))
    ledger.seal(GATEWAY)
    require_refuted(judge(ledger, tmp_path), "canonical", leaf=header + 1)


# -- epochs, lanes and seals -------------------------------------------------------------------------------------------


def test_decision_recorded_under_the_wrong_epoch_is_refuted(tmp_path: Path) -> None:
    """A flow is withdrawn; a read that it would have permitted is passed off as one of the epoch before."""
    for name, late in (("honest", False), ("forged", True)):
        ledger = started()
        before = ledger.access()
        if not late:
            ledger.batch(GATEWAY, before)
        ledger.enact(NARROWER, version=2)
        if late:
            place = ledger.batch(GATEWAY, before, epoch=ledger.epoch - 1)
            require_refuted(judge(ledger, tmp_path / name), "under the wrong epoch", leaf=place)
            require_refuted(judge(ledger, tmp_path / "again"), "under the wrong epoch", leaf=place)
        else:
            require_verified(judge(ledger, tmp_path / name))


def test_decision_of_withdrawn_rules_is_refuted(tmp_path: Path) -> None:
    ledger = started()
    before = ledger.access()
    ledger.enact(NARROWER, version=2)
    place = ledger.batch(GATEWAY, before)
    require_refuted(judge(ledger, tmp_path), "the charter decides otherwise", leaf=place + 1)


@pytest.mark.parametrize("change", ["charter", "principal"])
def test_decision_that_held_before_a_rule_and_not_after_is_refuted(tmp_path: Path, change: str) -> None:
    for name in ("honest", "forged"):
        ledger = started()
        before = ledger.access()
        ledger.batch(GATEWAY, before)
        if change == "charter":
            ledger.enact(NARROWER, version=2)
        else:
            ledger.rule(e.PrincipalWithdrawn(number=APP))
        place = ledger.batch(GATEWAY, ledger.access() if name == "honest" else before)
        if name == "honest":
            require_verified(judge(ledger, tmp_path / name))
        else:
            require_refuted(judge(ledger, tmp_path / name), "the charter decides otherwise", leaf=place + 1)


def test_lane_that_no_rule_certified_is_refuted(tmp_path: Path) -> None:
    ledger = started()
    place = ledger.batch(9, ledger.access())
    require_refuted(judge(ledger, tmp_path), "lane 9 was not certified", leaf=place)


def test_lane_that_writes_before_it_is_certified_is_refuted(tmp_path: Path) -> None:
    for name, early in (("honest", False), ("forged", True)):
        ledger = started()
        if early:
            ledger.batch(9, ledger.access())
        ledger.certify(9)
        if not early:
            ledger.batch(9, ledger.access())
        if early:
            require_refuted(judge(ledger, tmp_path / name), "lane 9 was not certified")
        else:
            require_verified(judge(ledger, tmp_path / name))


def test_lane_that_writes_after_it_was_closed_is_refuted(tmp_path: Path) -> None:
    ledger = started()
    ledger.batch(GATEWAY, ledger.access())
    ledger.rule(e.LaneRecovered(lane=GATEWAY, n=1, reason="its key is lost"))
    require_verified(judge(ledger, tmp_path / "honest"))
    place = ledger.batch(GATEWAY, ledger.access())
    require_refuted(judge(ledger, tmp_path / "forged"), "after it was closed", leaf=place)


@pytest.mark.parametrize(("n", "holds"), [(1, True), (0, False), (2, False)])
def test_lane_must_be_closed_at_its_last_batch(tmp_path: Path, n: int, holds: bool) -> None:
    ledger = started()
    ledger.batch(GATEWAY, ledger.access())
    place = ledger.rule(e.LaneRecovered(lane=GATEWAY, n=n, reason="disk lost"))
    verdict = judge(ledger, tmp_path)
    if holds:
        require_verified(verdict)
        assert [(item.lane, item.n, item.reason) for item in verdict.recovered] == [(GATEWAY, 1, "disk lost")]
    else:
        require_refuted(verdict, "closed after another batch than its last", leaf=place)


def test_batch_without_a_seal_is_refuted(tmp_path: Path) -> None:
    for name, sealed in (("honest", True), ("forged", False)):
        ledger = started()
        place = ledger.batch(GATEWAY, ledger.access(), seal=sealed)
        if sealed:
            require_verified(judge(ledger, tmp_path / name))
        else:
            require_refuted(judge(ledger, tmp_path / name), "not sealed before the end of the tree", leaf=place)


def test_batch_that_is_sealed_only_after_the_next_rule_is_refuted(tmp_path: Path) -> None:
    for name, late in (("honest", False), ("forged", True)):
        ledger = started()
        place = ledger.batch(GATEWAY, ledger.access(), seal=not late)
        rule = ledger.register(7, "app")
        if late:
            ledger.seal(GATEWAY)
            refuted = require_refuted(judge(ledger, tmp_path / name), "not sealed before the rule", leaf=place)
            assert str(rule) in refuted.what
        else:
            require_verified(judge(ledger, tmp_path / name))


def test_seal_by_another_key_is_refuted(tmp_path: Path) -> None:
    ledger = started()
    place = ledger.batch(GATEWAY, ledger.access(), key=key_of("administrator"))
    require_refuted(judge(ledger, tmp_path), "seal", leaf=place + 2)


def test_seal_made_for_another_log_is_refuted(tmp_path: Path) -> None:
    ledger = started()
    ledger.batch(GATEWAY, ledger.access(), seal=False)
    place = ledger.seal(GATEWAY, origin="log.example/other")
    require_refuted(judge(ledger, tmp_path), "seal", leaf=place)


def test_seal_of_an_older_batch_is_refuted(tmp_path: Path) -> None:
    ledger = started()
    ledger.batch(GATEWAY, ledger.access())
    older = ledger.leaves[-1]
    ledger.batch(GATEWAY, ledger.access(), seal=False)
    ledger.leaves.append(older)
    ledger.openings.append(b"")
    require_refuted(judge(ledger, tmp_path), "not of the lane's newest batch", leaf=len(ledger.leaves) - 1)


def test_checkpoint_that_cuts_a_batch_is_refuted(tmp_path: Path) -> None:
    for name, cut in (("honest", 0), ("forged", 2)):
        ledger = started()
        place = ledger.batch(GATEWAY, ledger.access(), ledger.access())
        size = len(ledger.leaves) - cut
        ledger.checkpoints[size] = ledger.sign(size=size)
        if cut:
            require_refuted(judge(ledger, tmp_path / name), "ends inside of a batch", leaf=place)
        else:
            require_verified(judge(ledger, tmp_path / name))


def test_checkpoint_before_a_seal_is_refuted(tmp_path: Path) -> None:
    ledger = started()
    place = ledger.batch(GATEWAY, ledger.access(), seal=False)
    ledger.checkpoint()
    ledger.seal(GATEWAY)
    require_refuted(judge(ledger, tmp_path), "not sealed before a checkpoint", leaf=place)


# -- time --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("step_ms", "holds"), [(0, True), (-1, False)])
def test_time_never_goes_back_in_a_lane(tmp_path: Path, step_ms: int, holds: bool) -> None:
    ledger = started()
    ledger.batch(GATEWAY, ledger.access(), at_ms=START_MS + 500)
    place = ledger.batch(GATEWAY, ledger.access(), at_ms=START_MS + 500 + step_ms)
    verdict = judge(ledger, tmp_path)
    if holds:
        require_verified(verdict)
    else:
        require_refuted(verdict, "time goes back", leaf=place)


@pytest.mark.parametrize(("late_ms", "holds"), [(2_000, True), (2_001, False)])
def test_batch_is_not_later_than_the_checkpoint_that_encloses_it(tmp_path: Path, late_ms: int, holds: bool) -> None:
    ledger = started()
    signed_ms = (ledger.now_ms // 1000 + 1) * 1000
    place = ledger.batch(GATEWAY, ledger.access(), at_ms=signed_ms + late_ms)
    ledger.checkpoint()
    ledger.now_ms += 60_000
    ledger.batch(INGEST, ledger.access())
    verdict = judge(ledger, tmp_path)
    if holds:
        require_verified(verdict)
    else:
        require_refuted(verdict, "later time than the checkpoint", leaf=place)


# -- rules -------------------------------------------------------------------------------------------------------------


def test_rule_written_by_a_gateway_is_refuted(tmp_path: Path) -> None:
    for name, lane in (("honest", AUTHORITY_LANE), ("forged", GATEWAY)):
        ledger = started()
        place = ledger.rule(e.PrincipalWithdrawn(number=PARENT), lane=lane)
        if lane:
            require_refuted(judge(ledger, tmp_path / name), f"lane {GATEWAY} may not write", leaf=place)
        else:
            require_verified(judge(ledger, tmp_path / name))


def test_rule_among_other_entries_is_refuted(tmp_path: Path) -> None:
    ledger = started()
    ledger.batch(GATEWAY, ledger.access(), (e.PrincipalWithdrawn(number=PARENT), b""))
    require_refuted(judge(ledger, tmp_path), "rule")


def test_rule_without_its_seal_is_refuted(tmp_path: Path) -> None:
    ledger = started()
    place = ledger.rule(e.PrincipalWithdrawn(number=PARENT), seal=False)
    ledger.batch(GATEWAY, ledger.access())
    ledger.seal(AUTHORITY_LANE)
    require_refuted(judge(ledger, tmp_path), "not directly followed by its seal", leaf=place)


def test_second_genesis_is_refuted(tmp_path: Path) -> None:
    ledger = started()
    place = ledger.genesis()
    require_refuted(judge(ledger, tmp_path), "genesis must be the first rule", leaf=place)


def test_charter_that_was_swapped_is_refuted(tmp_path: Path) -> None:
    ledger = whole()
    (digest, blob), *_ = ledger.blobs.items()
    ledger.blobs[digest] = blob.replace(b"records_max: 50", b"records_max: 51")
    require_refuted(judge(ledger, tmp_path), "charter's file is missing or is not the one enacted")


def test_charter_that_no_rule_names_is_refuted(tmp_path: Path) -> None:
    ledger = whole()
    ledger.blobs[hashlib.sha256(b"x").hexdigest()] = b"x"
    require_refuted(judge(ledger, tmp_path), "no rule names this file")


def test_ledger_that_begins_with_something_else_than_genesis_is_refuted(tmp_path: Path) -> None:
    ledger = Ledger()
    refusals = e.Refusals(principal=0, reason="unauthenticated", requests=1, since_ms=0)
    ledger.batch(AUTHORITY_LANE, (refusals, b""), head=LaneHead(lane=AUTHORITY_LANE))
    require_refuted(judge(ledger, tmp_path), "the first entry is not genesis")
