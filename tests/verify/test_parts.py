"""The ledger is checked in parts: wherever it is cut, and however many processes check it, the verdict is the same."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ringfence.core.ledger import entry as e
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


def filled(ledger: Ledger, leaves: int) -> Ledger:
    """Fill a ledger up with sealed batches of one lane to exactly so many leaves."""
    while len(ledger.leaves) < leaves:
        entries = min(200, leaves - len(ledger.leaves) - 2)
        if entries < 1:
            ledger.seal(INGEST)
        else:
            ledger.batch(INGEST, *[ledger.access(BOB)] * entries)
    return ledger


def test_leaf_outside_of_any_batch_is_refuted_where_a_part_begins(tmp_path: Path) -> None:
    for name, forged in (("honest", False), ("forged", True)):
        ledger = started()
        ledger.batch(INGEST, ledger.access())
        filled(ledger, 256)
        if forged:
            ledger.leaves.append(e.render_entry(ledger.access()[0]))
            ledger.openings.append(b"")
        ledger.batch(GATEWAY, ledger.access())
        found = verdicts(ledger.write(tmp_path / name), ledger.trust())
        assert {verdict.outcome for verdict in found} == {REFUTED if forged else VERIFIED}
        if forged:
            assert {verdict.refutations[0].leaf for verdict in found} == {256}


@pytest.mark.parametrize(("n", "holds"), [(1, True), (0, False), (2, False)])
def test_lane_must_be_closed_at_its_last_batch_of_an_earlier_part(tmp_path: Path, n: int, holds: bool) -> None:
    ledger = started()
    ledger.batch(GATEWAY, ledger.access())
    ledger.batch(INGEST, ledger.access())
    filled(ledger, 600)
    ledger.rule(e.LaneRecovered(lane=GATEWAY, n=n, reason="its key is lost"))
    found = verdicts(ledger.write(tmp_path), ledger.trust())
    assert all(verdict == found[0] for verdict in found)
    assert found[0].outcome == (VERIFIED if holds else REFUTED)


def test_seal_that_comes_after_the_rule_of_a_later_part_is_refuted(tmp_path: Path) -> None:
    for name, late in (("honest", False), ("forged", True)):
        ledger = started()
        place = ledger.batch(GATEWAY, ledger.access(), seal=not late)
        ledger.batch(INGEST, ledger.access())
        filled(ledger, 600)
        ledger.register(7, "app")
        if late:
            ledger.seal(GATEWAY)
        found = verdicts(ledger.write(tmp_path / name), ledger.trust())
        assert all(verdict == found[0] for verdict in found)
        assert found[0].outcome == (REFUTED if late else VERIFIED)
        assert [item.leaf for item in found[0].refutations] == ([place] if late else [])


@pytest.mark.parametrize("behind_ms", [0, 3_600_000])
@pytest.mark.parametrize("rules", [1, 2])
def test_rule_is_held_against_the_newest_batch_of_an_earlier_part(tmp_path: Path, behind_ms: int, rules: int) -> None:
    ledger = started()
    newest_ms = ledger.now_ms + 2 * 3_600_000
    ledger.batch(GATEWAY, ledger.access(), at_ms=newest_ms)
    filled(ledger, 600)
    ledger.now_ms = newest_ms - behind_ms
    places = [ledger.register(number, "app") for number in range(7, 7 + rules)]
    ledger.now_ms = newest_ms + 1_000
    found = verdicts(ledger.write(tmp_path), ledger.trust())
    assert {verdict.outcome for verdict in found} == {REFUTED if behind_ms else VERIFIED}
    if behind_ms:
        assert {verdict.refutations[0].leaf for verdict in found} == {places[0]}
        assert {verdict.refutations[0].what for verdict in found} == {
            f"rule 7 is of an earlier time than batch 1 of lane {GATEWAY}, before it"
        }


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ledger, list[int]]:
    """Give a bundle that reaches the third level of tiles, with three wrong decisions at the leaves given."""
    ledger = started()
    while len(ledger.leaves) < 8 * LEAVES_PER_PART + 100:
        ledger.batch(GATEWAY, *[ledger.access(BOB)] * 255)
    wrong = ledger.access(BOB, decided={"public": "erasing"})
    places = [ledger.batch(GATEWAY, wrong, *[ledger.access(BOB)] * 200) + 1 for _ in range(3)]
    directory = ledger.write(tmp_path_factory.mktemp("long") / "bundle", detail=False)
    return directory, ledger, places


def test_verdict_is_the_same_for_any_number_of_processes(long: tuple[Path, Ledger, list[int]]) -> None:
    directory, ledger, places = long
    alone, two, three = (verify_bundle(directory, trust=ledger.trust(), jobs=jobs) for jobs in (1, 2, 3))
    assert alone.outcome == REFUTED
    assert [item.leaf for item in alone.refutations] == places
    assert alone == two == three


@pytest.mark.parametrize("path", ["tile/0/007", "tile/1/000", "tile/1/001.p/3", "tile/2/000.p/1"])
def test_tile_of_any_level_that_was_changed_is_named(long: tuple[Path, Ledger, list[int]], path: str) -> None:
    directory, ledger, places = long
    file = directory / path
    data = file.read_bytes()
    file.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    try:
        verdict = verify_bundle(directory, trust=ledger.trust())
    finally:
        file.write_bytes(data)
    found = [item for item in verdict.refutations if item.leaf not in places]
    assert any(path in item.place for item in found), found


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


@pytest.mark.parametrize("hidden", ["rule", "seal", "header"])
@pytest.mark.parametrize("skipped", [True, False])
def test_leaf_that_may_not_be_an_entry_is_refuted_before_from_too(tmp_path: Path, hidden: str, skipped: bool) -> None:
    ledger = started()
    ledger.batch(GATEWAY, ledger.access())
    leaf = {
        "rule": e.render_entry(e.PrincipalWithdrawn(number=1)),
        "seal": ledger.leaves[-1],
        "header": ledger.leaves[-3],
    }
    place = ledger.batch(GATEWAY, (e.parse_entry(leaf[hidden]), b""), ledger.access())
    directory = ledger.write(tmp_path)
    verdict = verify_bundle(directory, trust=ledger.trust(), from_leaf=len(ledger.leaves) if skipped else 0)
    assert verdict.outcome == REFUTED
    assert place + 1 in [item.leaf for item in verdict.refutations]


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
