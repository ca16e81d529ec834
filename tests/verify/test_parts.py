"""The ledger is checked in parts: wherever it is cut, and however many processes check it, the verdict is the same."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ringfence.core import entry as e
from ringfence.verify import REFUTED, VERIFIED, Trust, Verdict, parts, rules, verify_bundle
from ringfence.verify.rules import LEAVES_PER_PART
from tests.ledgers import ALICE, BOB, GATEWAY, INGEST, Ledger, started

CUTS = (1, 2, 3)
Change = Callable[[Ledger, random.Random], None]


@contextmanager
def tiles_per_part(tiles: int) -> Iterator[None]:
    """Cut the ledger into parts of so many tiles, in this process."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (rules, parts):
            patch.setattr(module, "TILES_PER_PART", tiles)
            patch.setattr(module, "LEAVES_PER_PART", tiles * 256)
        yield


def verdicts(directory: Path, trust: Trust, **options: int) -> list[Verdict]:
    """Give the verdict for the whole in one part, and for each way to cut it."""
    found = [verify_bundle(directory, trust=trust, **options)]
    for tiles in CUTS:
        with tiles_per_part(tiles):
            found.append(verify_bundle(directory, trust=trust, **options))
    return found


def busy(seed: int, *, leaves: int = 1_400) -> Ledger:
    """Give a ledger of a few lanes that interleave, with rules and checkpoints wherever they may be."""
    ledger = started()
    chance = random.Random(seed)
    lanes = [GATEWAY, INGEST, 3, 4]
    for lane in lanes[2:]:
        ledger.certify(lane)
    open_lanes: set[int] = set()
    counted = 0
    while len(ledger.leaves) < leaves:
        dice = chance.random()
        if dice < 0.03:
            for lane in sorted(open_lanes):
                ledger.seal(lane)
            open_lanes.clear()
            if dice < 0.01:
                ledger.register(100 + len(ledger.leaves), "app")
            elif dice < 0.02:
                ledger.erase(len(ledger.leaves).to_bytes(16, "big"))
            else:
                ledger.checkpoint()
            continue
        lane = chance.choice(lanes)
        entries = [ledger.access(chance.choice([ALICE, BOB])) for _ in range(chance.choice([1, 3, 60, 180]))]
        if counted < 90 and chance.random() < 0.3:
            entries.append(ledger.bulk(1))
            counted += 1
        ledger.batch(lane, *entries, seal=False)
        if chance.random() < 0.5:
            ledger.seal(lane)
            open_lanes.discard(lane)
        else:
            open_lanes.add(lane)
    for lane in sorted(open_lanes):
        ledger.seal(lane)
    return ledger


def drop_a_leaf(ledger: Ledger, chance: random.Random) -> None:
    at = chance.randrange(20, len(ledger.leaves))
    del ledger.leaves[at], ledger.openings[at]


def drop_a_seal(ledger: Ledger, chance: random.Random) -> None:
    at = chance.choice([at for at in _of_kind(ledger, b'{"kind":"seal"') if at > 30 and not _is_covered(ledger, at)])
    del ledger.leaves[at], ledger.openings[at]


def _is_covered(ledger: Ledger, at: int) -> bool:
    """Tell whether another seal of the lane follows before the next rule, so that this one is not missed."""
    lane = e.parse_entry(ledger.leaves[at]).lane
    for leaf in ledger.leaves[at + 1 :]:
        if leaf.startswith(e.RULE_PREFIX):
            return False
        if leaf.startswith(b'{"kind":"seal"') and e.parse_entry(leaf).lane == lane:
            return True
    return False


def drop_a_batch(ledger: Ledger, chance: random.Random) -> None:
    at = chance.choice([at for at in _of_kind(ledger, b'{"kind":"batch"') if at > 30])
    header = e.parse_entry(ledger.leaves[at])
    assert isinstance(header, e.Batch)
    del ledger.leaves[at : at + 1 + header.count], ledger.openings[at : at + 1 + header.count]


def repeat_a_leaf(ledger: Ledger, chance: random.Random) -> None:
    at = chance.randrange(20, len(ledger.leaves))
    ledger.leaves.insert(at, ledger.leaves[at])
    ledger.openings.insert(at, ledger.openings[at])


def swap_two_leaves(ledger: Ledger, chance: random.Random) -> None:
    one = chance.randrange(20, len(ledger.leaves) - 1)
    other = next(at for at in range(one + 1, len(ledger.leaves)) if ledger.leaves[at] != ledger.leaves[one])
    for items in (ledger.leaves, ledger.openings):
        items[one], items[other] = items[other], items[one]


def spoil_a_count(ledger: Ledger, chance: random.Random) -> None:
    at = chance.choice([at for at, leaf in enumerate(ledger.leaves) if b'"counted":{' in leaf])
    leaf = ledger.leaves[at]
    ledger.leaves[at] = leaf.replace(b'"total":', b'"total":1', 1)


def _of_kind(ledger: Ledger, prefix: bytes) -> list[int]:
    return [at for at, leaf in enumerate(ledger.leaves) if leaf.startswith(prefix)]


@pytest.mark.parametrize("seed", range(6))
def test_ledger_that_holds_is_verified_wherever_it_is_cut(tmp_path: Path, seed: int) -> None:
    ledger = busy(seed)
    found = verdicts(ledger.write(tmp_path), ledger.trust())
    assert found[0].outcome == VERIFIED, found[0].refutations
    assert all(verdict == found[0] for verdict in found)


@pytest.mark.parametrize(
    "change", [drop_a_leaf, drop_a_seal, drop_a_batch, repeat_a_leaf, swap_two_leaves, spoil_a_count]
)
@pytest.mark.parametrize("seed", range(6))
def test_forged_ledger_is_refuted_wherever_it_is_cut(tmp_path: Path, change: Change, seed: int) -> None:
    """Everything is signed again after the change, so only what the leaves say of each other can show it."""
    ledger = busy(seed)
    ledger.checkpoints.clear()
    change(ledger, random.Random(seed))
    found = verdicts(ledger.write(tmp_path), ledger.trust(), refutations_max=1_000)
    assert {verdict.outcome for verdict in found} == {REFUTED}
    first = {verdict.refutations[0].leaf for verdict in found}
    assert len(first) == 1, [verdict.refutations[0] for verdict in found]


def test_verdict_is_the_same_for_any_number_of_processes(tmp_path: Path) -> None:
    ledger = started()
    while len(ledger.leaves) < 8 * LEAVES_PER_PART + 100:
        ledger.batch(GATEWAY, *[ledger.access(BOB)] * 255)
    refused = ledger.access(BOB, decided={"public": "erasing"})
    places = []
    for _ in range(3):
        places.append(ledger.batch(GATEWAY, refused, *[ledger.access(BOB)] * 200) + 1)
    directory = ledger.write(tmp_path)
    alone, two, three = (verify_bundle(directory, trust=ledger.trust(), jobs=jobs) for jobs in (1, 2, 3))
    assert alone.outcome == REFUTED
    assert [item.leaf for item in alone.refutations] == places
    assert alone == two == three


@pytest.mark.parametrize("seed", range(3))
def test_from_skips_decisions_and_nothing_else(tmp_path: Path, seed: int) -> None:
    ledger = busy(seed)
    size = len(ledger.leaves)
    directory = ledger.write(tmp_path / "honest")
    whole = verify_bundle(directory, trust=ledger.trust())
    found = verdicts(directory, ledger.trust(), from_leaf=size // 2)
    assert all(verdict == found[0] for verdict in found)
    assert found[0].outcome == VERIFIED
    assert found[0].from_leaf == size // 2
    skipped = sum(item.count for item in found[0].withheld)
    assert found[0].counts["decisions"] + skipped == whole.counts["decisions"]
    assert {**found[0].counts, "decisions": 0}["rules"] == whole.counts["rules"]
    assert found[0].counts["seals"] == whole.counts["seals"]


def test_wrong_decision_is_refuted_from_its_leaf_and_said_to_be_skipped_after_it(tmp_path: Path) -> None:
    ledger = started()
    place = ledger.batch(GATEWAY, ledger.access(decided={"public": "erasing"})) + 1
    directory = ledger.write(tmp_path)
    trust = ledger.trust()
    assert verify_bundle(directory, trust=trust, from_leaf=place).outcome == REFUTED
    skipped = verify_bundle(directory, trust=trust, from_leaf=place + 1)
    assert skipped.outcome == VERIFIED
    assert [(item.count, "not decided again" in item.what) for item in skipped.withheld] == [(1, True)]


def test_first_refutations_are_named_and_the_rest_is_said_to_be_left_out(tmp_path: Path) -> None:
    ledger = started()
    wrong = ledger.access(decided={"public": "erasing"})
    place = ledger.batch(GATEWAY, *[wrong] * 50)
    directory = ledger.write(tmp_path)
    few = verify_bundle(directory, trust=ledger.trust(), refutations_max=5)
    assert [item.leaf for item in few.refutations] == [place + number for number in range(1, 6)]
    assert few.refutations_more
    many = verify_bundle(directory, trust=ledger.trust(), refutations_max=100)
    assert len(many.refutations) == 50
    assert not many.refutations_more
    assert dataclasses.replace(many, refutations=(), refutations_more=True) == dataclasses.replace(few, refutations=())
