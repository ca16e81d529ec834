"""What `ports.Store` guarantees to the sequencer: seals, the tree's head, placements, checkpoints, on every device."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from ringfence.core.errors import IntegrityError
from ringfence.core.ledger.merkle import EMPTY_ROOT, Frontier
from ringfence.core.ports import Placement, Store, StoredSeal, TreeHead
from tests.contracts.batches import LANE, Writer
from tests.stores import Database

pytestmark = pytest.mark.asyncio

EMPTY = TreeHead(0, EMPTY_ROOT, Frontier().to_bytes(), 0, 0, {})


def grown(head: TreeHead, size: int, **changes: object) -> TreeHead:
    frontier = Frontier().append_many([b"%032d" % leaf for leaf in range(size)])
    return head._replace(size=size, root=frontier.root(), frontier=frontier.to_bytes())._replace(**changes)


@pytest_asyncio.fixture
async def sequencer(database: Database) -> AsyncIterator[Store]:
    """Another store on the same database, which holds no lane."""
    opened = database.store()
    await opened.open()
    yield opened
    await opened.close()


async def test_seals_come_in_order_of_their_lane(store: Store, sequencer: Store) -> None:
    for lane, n in ((LANE, 2), (LANE, 1), (2, 7), (0, 3)):
        await store.put_seal(StoredSeal(lane, n, 5, b"seal %d %d" % (lane, n)))
    expected = [StoredSeal(LANE, n, 5, b"seal %d %d" % (LANE, n)) for n in (1, 2)]
    assert await sequencer.seals(LANE, after_n=0) == expected
    assert await sequencer.seals(LANE, after_n=1) == expected[1:]
    assert await sequencer.seals(LANE, after_n=2) == []


async def test_same_seal_again_changes_nothing_and_another_is_refused(store: Store) -> None:
    seal = StoredSeal(LANE, 1, 0, b"seal")
    await store.put_seal(seal)
    await store.put_seal(seal)
    for other in (seal._replace(leaf=b"another"), seal._replace(epoch=1)):
        with pytest.raises(IntegrityError):
            await store.put_seal(other)
    assert await store.seals(LANE, after_n=0) == [seal]


async def test_tree_starts_empty_and_grows_by_compare_and_swap(sequencer: Store) -> None:
    assert await sequencer.tree_head() == EMPTY
    following = grown(EMPTY, 5, epoch=2, sequenced={0: 1, 12: 3})
    placed = [Placement(0, 1, 0), Placement(12, 3, 3)]
    assert await sequencer.commit_tree(expected=EMPTY, following=following, placements=placed)
    assert await sequencer.tree_head() == following
    assert await sequencer.placements(first_leaf=0, placements_max=9) == placed


@pytest.mark.parametrize("field", ["size", "root", "term"])
async def test_head_that_is_not_the_expected_one_stays(sequencer: Store, field: str) -> None:
    first = grown(EMPTY, 5)
    assert await sequencer.commit_tree(expected=EMPTY, following=first, placements=[])
    wrong = first._replace(**{field: {"size": 4, "root": bytes(32), "term": 1}[field]})
    placed = [Placement(LANE, 1, 5)]
    assert not await sequencer.commit_tree(expected=wrong, following=grown(first, 9), placements=placed)
    assert await sequencer.tree_head() == first
    assert await sequencer.placement(LANE, 1) is None
    assert await sequencer.commit_tree(expected=first, following=grown(first, 9), placements=placed)
    assert await sequencer.placement(LANE, 1) == 5


async def test_new_term_ends_the_older_sequencer(store: Store, sequencer: Store) -> None:
    older = await store.begin_term()
    newer = await sequencer.begin_term()
    assert newer > older
    stale = EMPTY._replace(term=older)
    assert not await store.commit_tree(expected=stale, following=grown(stale, 3), placements=[])
    head = await sequencer.tree_head()
    assert head == EMPTY._replace(term=newer)
    assert await sequencer.commit_tree(expected=head, following=grown(head, 3), placements=[])
    assert (await store.tree_head()).term == newer


async def test_placement_of_a_batch_is_told_once_it_is_sequenced(store: Store, sequencer: Store) -> None:
    await Writer().commit(store)
    assert await store.placement(LANE, 1) is None
    placed = [Placement(LANE, n, first) for n, first in ((1, 0), (2, 10), (3, 14))]
    assert await sequencer.commit_tree(expected=EMPTY, following=grown(EMPTY, 20), placements=placed)
    assert [await store.placement(LANE, n) for n in (1, 2, 3, 4)] == [0, 10, 14, None]


async def test_placements_start_at_the_batch_that_holds_the_leaf(sequencer: Store) -> None:
    assert await sequencer.placements(first_leaf=3, placements_max=9) == []
    placed = [Placement(LANE, n, first) for n, first in ((1, 0), (2, 10), (3, 14))]
    assert await sequencer.commit_tree(expected=EMPTY, following=grown(EMPTY, 20), placements=placed)
    starts = {0: 0, 9: 0, 10: 1, 13: 1, 14: 2, 99: 2}
    for leaf, start in starts.items():
        assert await sequencer.placements(first_leaf=leaf, placements_max=9) == placed[start:]
    assert await sequencer.placements(first_leaf=0, placements_max=2) == placed[:2]


async def test_checkpoints_come_by_size_and_one_of_the_same_size_is_replaced(sequencer: Store) -> None:
    assert await sequencer.newest_checkpoint() is None
    for size in (3, 5, 9):
        await sequencer.put_checkpoint(size, b"note %d" % size)
    await sequencer.put_checkpoint(9, b"note 9 with a witness")
    assert await sequencer.newest_checkpoint() == (9, b"note 9 with a witness")
    assert await sequencer.checkpoints(after_size=3, checkpoints_max=9) == [
        (5, b"note 5"),
        (9, b"note 9 with a witness"),
    ]
    assert await sequencer.checkpoints(after_size=0, checkpoints_max=1) == [(3, b"note 3")]


async def test_checkpoints_are_thinned_but_the_first_and_the_newest_stay(database: Database) -> None:
    store = database.store(checkpoint_interval_seconds=3600)
    await store.open()
    for size in range(1, 8):
        await store.put_checkpoint(size, b"note")
        assert await store.newest_checkpoint() == (size, b"note")
    assert [size for size, _ in await store.checkpoints(after_size=0, checkpoints_max=99)] == [1, 7]
    await store.close()
