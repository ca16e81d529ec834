"""What the lanes stored becomes leaves in a legal order, all of what is sealed, and nothing else."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringfence.core.decisions.engines import NEWEST_ENGINE
from ringfence.core.errors import IntegrityError
from ringfence.core.ledger import entry as e
from ringfence.core.ports import Store, StoredBatch, StoredRule
from ringfence.ledger.sequencer import CLOCK_AHEAD_MS_MAX
from ringfence.ledger.tree_reader import TreeReader
from ringfence.vault.sqlite import SqliteStore
from ringfence.verify.checkpoints import CLOCK_SKEW_MS_MAX
from tests.ledger.tree import NOW_MS, check_order, make_sequencer, read_leaves, sequence, sequence_at
from tests.ledger.writer import VERIFIER, LedgerWriter, refusals

LANES = (1, 2, 3)
Step = tuple[str, int, int]

accesses = st.tuples(st.just("access"), st.sampled_from(LANES), st.integers(1, 5))
seals = st.tuples(st.just("seal"), st.sampled_from(LANES), st.just(0))
rules = st.tuples(st.just("rule"), st.just(0), st.just(0))
erasures = st.tuples(st.just("erase"), st.sampled_from(LANES), st.just(0))
rounds = st.tuples(st.just("round"), st.just(0), st.just(0))
histories = st.lists(st.one_of(accesses, accesses, seals, seals, rules, erasures, rounds), max_size=40)


class Model:
    """What was stored, kept apart from the code under test: which batches the tree must hold."""

    def __init__(self) -> None:
        self.batches: list[tuple[int, int, int]] = []
        self.rules: dict[int, tuple[int, int]] = {}

    def expected(self, writer: LedgerWriter, sealed: dict[tuple[int, int], int]) -> set[tuple[int, int]]:
        """Each epoch as far as seals reach; the next one only when the one before is whole."""
        found: set[tuple[int, int]] = set()
        for epoch in range(writer.epoch + 1):
            of_epoch = [(lane, n) for lane, n, at in self.batches if at == epoch and self.rules.get(epoch) != (lane, n)]
            taken = {(lane, n) for lane, n in of_epoch if n <= sealed.get((lane, epoch), 0)}
            found |= taken
            if len(taken) < len(of_epoch) or epoch not in self.rules:
                break
            found.add(self.rules[epoch])
        return found


class History:
    """Applies steps to a real store and to the model."""

    def __init__(self, store: Store) -> None:
        self.writer = LedgerWriter(store)
        self.model = Model()
        self.sealed: dict[tuple[int, int], int] = {}
        self.key_epoch = 0

    async def begin(self) -> None:
        await self.writer.begin(*LANES, engine=NEWEST_ENGINE)
        for n in range(1, len(LANES) + 2):
            self._note_rule(0, n, n - 1)

    async def apply(self, step: Step) -> None:
        kind, lane, count = step
        if kind == "access":
            self._note_seal(lane, only_if_older=True)
            await self.writer.access(lane, count)
            self.model.batches.append((lane, self.writer.heads[lane].n, self.writer.epoch))
        elif kind == "seal":
            await self.writer.seal(lane)
            self._note_seal(lane)
        elif kind == "rule":
            self._note_seal(0)
            self.key_epoch += 1
            head = await self.writer.open_key_epoch(self.key_epoch)
            self._note_rule(0, head.n, self.writer.epoch - 1)
        elif kind == "erase":
            self._note_seal(lane)
            erased = e.SubjectErased(principal=1, country="US", purpose="erase", decided={}, about=bytes(32))
            head = await self.writer.rule(lane, erased)
            self._note_rule(lane, head.n, self.writer.epoch - 1)

    def _note_rule(self, lane: int, n: int, epoch: int) -> None:
        self.model.batches.append((lane, n, epoch))
        self.model.rules[epoch] = (lane, n)

    def _note_seal(self, lane: int, *, only_if_older: bool = False) -> None:
        """A lane's newest seal in the epoch of its newest batch; writing on in a newer epoch seals the older first."""
        head = self.writer.heads.get(lane)
        if head is None or (only_if_older and self.writer.epochs[lane] == self.writer.epoch):
            return
        epoch = self.writer.epochs[lane]
        if self.model.rules.get(epoch) != (lane, head.n):
            self.sealed[lane, epoch] = head.n


async def replay(steps: list[Step], directory: Path, leaves_max: int) -> None:
    store = SqliteStore(directory / "ringfence.db", checkpoint_interval_seconds=0)
    await store.create()
    await store.open()
    await replay_on(store, steps, directory, leaves_max)
    await store.close()


async def replay_on(store: Store, steps: list[Step], directory: Path, leaves_max: int) -> None:
    """Apply the steps to an empty store, sequence it, and hold the tree against the model."""
    history = History(store)
    await history.begin()
    sequencer = make_sequencer(store, directory / "tree", limits={"leaves_per_round_max": leaves_max})
    await sequencer.open()
    before: list[bytes] = []
    for step in steps:
        if step[0] != "round":
            await history.apply(step)
            continue
        await sequencer.run_round()
        leaves = read_leaves(directory / "tree")
        check_order(leaves)
        assert leaves[: len(before)] == before, "what was published has changed"
        before = leaves
    while (await sequencer.run_round()).more:
        check_order(read_leaves(directory / "tree"))
    await sequencer.close()
    leaves = read_leaves(directory / "tree")
    found = check_order(leaves)
    assert leaves[: len(before)] == before
    assert set(found) == history.model.expected(history.writer, history.sealed)


@settings(max_examples=60)
@given(histories, st.sampled_from([1, 7, 1000]))
def test_any_history_gives_a_legal_order_of_all_that_is_sealed(steps: list[Step], leaves_max: int) -> None:
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(replay(steps, Path(directory), leaves_max))


def test_unsealed_batch_is_not_in_the_tree_until_it_is_sealed(run: Any, ledger: LedgerWriter, tmp_path: Path) -> None:
    run(ledger.access(1))
    run(sequence(ledger.store, tmp_path / "tree"))
    assert (1, 1) not in check_order(read_leaves(tmp_path / "tree"))

    run(ledger.seal(1))
    run(sequence(ledger.store, tmp_path / "tree"))
    assert (1, 1) in check_order(read_leaves(tmp_path / "tree"))


def test_unsealed_lane_holds_back_the_rule_and_is_named(run: Any, ledger: LedgerWriter, tmp_path: Path) -> None:
    run(ledger.access(1))
    run(ledger.access(2))
    run(ledger.seal(2))
    run(ledger.open_key_epoch(1))

    progress = run(sequence(ledger.store, tmp_path / "tree"))

    assert [(wait.lane, wait.n, wait.epoch) for wait in progress.waiting] == [(1, 1, 4)]
    assert progress.epoch == 4
    assert (2, 1) in check_order(read_leaves(tmp_path / "tree"))

    run(ledger.seal(1))
    progress = run(sequence(ledger.store, tmp_path / "tree"))
    assert (progress.waiting, progress.epoch) == ((), 5)


@pytest.mark.parametrize(("ahead_ms", "is_taken"), [(CLOCK_AHEAD_MS_MAX, True), (CLOCK_AHEAD_MS_MAX + 1, False)])
def test_batch_of_a_time_that_has_not_come_waits_for_it(
    run: Any, ledger: LedgerWriter, tmp_path: Path, ahead_ms: int, is_taken: bool
) -> None:
    run(ledger.access(2))
    run(ledger.seal(2))
    now_ms = NOW_MS + 999  # a checkpoint's time leaves out the part of a second
    ledger.at_ms = now_ms + ahead_ms - 1
    early = run(ledger.access(1))
    run(ledger.seal(1))

    progress = run(sequence_at(now_ms, ledger.store, tmp_path / "tree"))

    batches = check_order(read_leaves(tmp_path / "tree"))
    assert (2, 1) in batches
    assert ((1, 1) in batches) is is_taken
    assert [(item.lane, item.n, item.early_ms) for item in progress.waiting] == ([] if is_taken else [(1, 1, 1)])
    signed = TreeReader.in_directory(tmp_path / "tree").open_checkpoint(VERIFIER)
    assert signed is not None
    assert not is_taken or early.at_ms <= signed.time_seconds * 1000 + CLOCK_SKEW_MS_MAX


def test_rule_waits_with_what_must_come_before_it_and_for_its_own_time(
    run: Any, ledger: LedgerWriter, tmp_path: Path
) -> None:
    ledger.at_ms = NOW_MS + 5_000
    run(ledger.access(1))
    run(ledger.open_key_epoch(1))
    assert run(sequence(ledger.store, tmp_path / "tree")).epoch == 4

    run(ledger.seal(1))
    assert run(sequence(ledger.store, tmp_path / "tree")).epoch == 4

    ledger.at_ms += 10_000
    run(ledger.open_key_epoch(2))
    later = sequence_at(NOW_MS + 6_000, ledger.store, tmp_path / "tree")
    progress = run(later)
    assert (progress.epoch, [(item.lane, item.n) for item in progress.waiting]) == (5, [(0, ledger.heads[0].n)])

    progress = run(sequence_at(NOW_MS + 20_000, ledger.store, tmp_path / "tree"))
    assert (progress.epoch, progress.waiting) == (6, ())


def test_recovery_goes_on_without_what_the_lane_wrote_later(run: Any, ledger: LedgerWriter, tmp_path: Path) -> None:
    run(ledger.access(1))
    run(ledger.seal(1))
    run(ledger.access(1))  # never sealed: its process is gone
    run(ledger.rule(0, e.LaneRecovered(lane=1, n=1, reason="lost with its machine")))
    run(ledger.access(2))
    run(ledger.seal(2))

    progress = run(sequence(ledger.store, tmp_path / "tree"))

    batches = check_order(read_leaves(tmp_path / "tree"))
    assert (1, 1) in batches
    assert (1, 2) not in batches
    assert (2, 1) in batches
    assert (progress.waiting, progress.epoch) == ((), 5)


def test_round_is_bounded_and_lanes_share_it(run: Any, ledger: LedgerWriter, tmp_path: Path) -> None:
    for _ in range(30):
        for lane in (1, 2):
            run(ledger.access(lane, 3))
            run(ledger.seal(lane))
    sequencer = make_sequencer(ledger.store, tmp_path / "tree", limits={"leaves_per_round_max": 40})
    run(sequencer.open())
    run(sequencer.run_round())  # the four rules come first

    progress = run(sequencer.run_round())

    assert progress.more
    assert progress.added <= 40 + 2 * 5
    batches = check_order(read_leaves(tmp_path / "tree"))
    assert {lane for lane, _ in batches} >= {1, 2}
    while run(sequencer.run_round()).more:
        pass
    run(sequencer.close())
    assert len(check_order(read_leaves(tmp_path / "tree"))) == 4 + 60


def test_entries_are_the_ones_that_were_written(run: Any, ledger: LedgerWriter, tmp_path: Path) -> None:
    run(ledger.access(1, 3))
    run(ledger.seal(1))
    run(sequence(ledger.store, tmp_path / "tree"))
    leaves = read_leaves(tmp_path / "tree")
    assert leaves[-4:-1] == [refusals(0), refusals(1), refusals(2)]


@pytest.mark.parametrize(("n", "taken"), [(0, 2), (1, 2), (3, 2)])
def test_rule_that_closes_a_lane_elsewhere_than_at_its_end_is_refused(
    run: Any, ledger: LedgerWriter, tmp_path: Path, n: int, taken: int
) -> None:
    for _ in range(2):
        run(ledger.access(1))
    run(ledger.seal(1))
    run(sequence(ledger.store, tmp_path / "tree"))
    run(ledger.rule(0, e.LaneRecovered(lane=1, n=n, reason="lost with its machine")))

    with pytest.raises(IntegrityError, match=f"closes lane 1 after batch {n}, and the tree has it up to batch {taken}"):
        run(sequence(ledger.store, tmp_path / "tree"))


def test_closed_lane_writes_no_rule(run: Any, ledger: LedgerWriter, tmp_path: Path) -> None:
    run(ledger.rule(0, e.LaneRecovered(lane=1, n=0, reason="lost with its machine")))
    erased = e.SubjectErased(principal=1, country="US", purpose="erase", decided={}, about=bytes(32))
    run(ledger.rule(2, erased))
    run(ledger.rule(1, erased))

    with pytest.raises(IntegrityError, match="lane 1 was closed after batch 0") as refusal:
        run(sequence(ledger.store, tmp_path / "tree"))

    assert refusal.value.place == "lane 1 batch 1"
    assert (2, 1) not in check_order(read_leaves(tmp_path / "tree"))


class Racing:
    """A store in which something is committed right after the sequencer read the rules."""

    def __init__(self, store: Store, commit: Callable[[], Awaitable[None]]) -> None:
        self._store = store
        self._commit: Callable[[], Awaitable[None]] | None = commit

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def rules(self, *, after_epoch: int, rules_max: int) -> list[StoredRule]:
        rules = await self._store.rules(after_epoch=after_epoch, rules_max=rules_max)
        if not rules and self._commit is not None:
            commit, self._commit = self._commit, None
            await commit()
        return rules


def test_rule_that_commits_while_a_round_reads_is_taken_in_the_next(
    run: Any, ledger: LedgerWriter, tmp_path: Path
) -> None:
    async def commit() -> None:
        await ledger.access(1)
        erased = e.SubjectErased(principal=1, country="US", purpose="erase", decided={}, about=bytes(32))
        await ledger.rule(1, erased)
        await ledger.access(1)
        await ledger.seal(1)

    racing: Any = Racing(ledger.store, commit)
    run(sequence(ledger.store, tmp_path / "tree"))
    sequencer = make_sequencer(racing, tmp_path / "tree")
    run(sequencer.open())

    run(sequencer.run_round())
    first = check_order(read_leaves(tmp_path / "tree"))
    run(sequencer.run_round())
    run(sequencer.close())

    assert (1, 1) in first
    assert (1, 2) not in first
    assert {(1, 1), (1, 2), (1, 3)} <= set(check_order(read_leaves(tmp_path / "tree")))


class Busy:
    """A store in which a lane commits and seals one more batch after each look at a lane's batches."""

    def __init__(self, ledger: LedgerWriter, lane: int) -> None:
        self._ledger = ledger
        self._lane = lane

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger.store, name)

    async def batches(self, lane: int, *, after_n: int, batches_max: int) -> list[StoredBatch]:
        batches = await self._ledger.store.batches(lane, after_n=after_n, batches_max=batches_max)
        await self._ledger.access(self._lane)
        await self._ledger.seal(self._lane)
        return batches


def test_lane_that_writes_on_while_the_round_that_certifies_it_goes_misses_no_batch(
    run: Any, ledger: LedgerWriter, tmp_path: Path
) -> None:
    run(sequence(ledger.store, tmp_path / "tree"))
    run(ledger.certify(4))
    run(ledger.access(4))
    run(ledger.seal(4))
    busy: Any = Busy(ledger, 4)
    sequencer = make_sequencer(busy, tmp_path / "tree")
    run(sequencer.open())

    run(sequencer.run_round())
    run(sequencer.close())

    assert (4, 1) in check_order(read_leaves(tmp_path / "tree"))
    run(sequence(ledger.store, tmp_path / "tree"))
    assert (4, ledger.heads[4].n) in check_order(read_leaves(tmp_path / "tree"))
