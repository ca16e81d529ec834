"""A database that is older than what was already shown is refused: serving from it would rewrite history.

Rules of this file:
1. What was shown is the newest checkpoint: the file `checkpoint` of the tree directory, which never goes back, the
   copy of it that lies beside the keys, and what the store itself kept.
2. The committed head must be a growth of it: the same leaves, and then others. The roots decide, not the sizes alone.
3. The checkpoint is read before the head. Only committed heads are signed, so a sequencer at work never looks like a
   rollback.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from ringfence.core.errors import IntegrityError, ProofInvalidError, RollbackError
from ringfence.core.ledger.checkpoint import Checkpoint, open_checkpoint
from ringfence.core.ledger.merkle import Frontier, verify_consistency
from ringfence.core.ledger.signed_note import VerifierKey
from ringfence.core.ledger.tiles import frontier_from_tiles, prove_consistency_from_tiles
from ringfence.core.ports import Store, TreeHead
from ringfence.ledger.leaves import read_placed_batches
from ringfence.ledger.tree_reader import TreeReader
from ringfence.ledger.tree_standing import EMPTY, TreeStanding

HASHES_PER_STEP_MAX: Final = 4096
HINT: Final = "Do not serve from it. Find out who put it back, and restore the newest database."


async def verify_not_rolled_back(
    store: Store, tree: TreeReader, *, log_key: VerifierKey, copied: Checkpoint | None = None
) -> None:
    """Check that the store's ledger is a growth of the newest checkpoint that was ever shown. Writes nothing.

    Work: one hash for each leaf that was committed since that checkpoint; for every leaf of the ledger when the tree
    directory has lost what `copied` says that it had.

    Args:
        copied: the newest checkpoint that was seen, from outside the tree directory.

    Raises:
        RollbackError: it is older, or another one: names both sizes.
        IntegrityError: the tree directory, or a batch committed since the checkpoint, is not what it should be.
    """
    shown = read_shown(tree, log_key=log_key)
    kept = await read_kept(store, log_key=log_key)
    head = await store.tree_head()
    for checkpoint in (shown, kept, copied):
        if checkpoint is not None:
            check_not_behind(head, checkpoint)
    if copied is not None and (shown is None or shown.size < copied.size):
        await verify_growth(store, Frontier(), head=head, shown=copied)
    if shown is None:
        return
    try:
        frontier = frontier_from_tiles(tree.read_tile, size=shown.size)
    except ProofInvalidError as error:
        raise IntegrityError(
            f"the tree directory is not what its checkpoint says: {error}", place=error.place
        ) from None
    if frontier.root() != shown.root:
        raise IntegrityError("the tree directory's tiles give another root than its checkpoint", place="tile")
    if copied is not None and copied.size <= shown.size:
        verify_grown_from(tree, shown, copied)
    await verify_growth(store, frontier, head=head, shown=shown)


def verify_grown_from(tree: TreeReader, shown: Checkpoint, copied: Checkpoint) -> None:
    """Check that a tree directory's checkpoint is a growth of an earlier one.

    Raises:
        IntegrityError: it is not, or its tiles do not show it.
    """
    try:
        path = prove_consistency_from_tiles(tree.read_tile, old_size=copied.size, new_size=shown.size)
        verify_consistency(path, old_size=copied.size, old_root=copied.root, new_size=shown.size, new_root=shown.root)
    except ProofInvalidError as error:
        raise IntegrityError(
            f"the tree directory's checkpoint of {shown.size} leaves is not a growth of the one of {copied.size} leaves"
            f" that was seen before: {error}",
            place="checkpoint",
            hint=HINT,
        ) from None


def read_shown(tree: TreeReader, *, log_key: VerifierKey) -> Checkpoint | None:
    """Give the newest checkpoint of a tree directory, or None when nothing was ever published there.

    Raises:
        IntegrityError: it is not one of this log's.
    """
    try:
        signed = tree.open_checkpoint(log_key)
    except ProofInvalidError as error:
        raise IntegrityError(
            f"the tree directory's checkpoint is not this log's: {error}", place="checkpoint"
        ) from None
    return signed.checkpoint if signed else None


async def read_kept(store: Store, *, log_key: VerifierKey) -> Checkpoint | None:
    """Give the newest checkpoint that the store kept, or None.

    Raises:
        IntegrityError: it is not one of this log's.
    """
    kept = await store.newest_checkpoint()
    if kept is None:
        return None
    place = f"checkpoint of size {kept[0]} in the database"
    try:
        return open_checkpoint(kept[1], log_key=log_key, strict=False, place=place).checkpoint
    except ProofInvalidError as error:
        raise IntegrityError(f"a kept checkpoint is not this log's: {error}", place=place) from None


def check_not_behind(head: TreeHead, shown: Checkpoint) -> None:
    """Check that a head has at least the size of a checkpoint, and its root where the sizes are equal.

    Raises:
        RollbackError: it has not: names both sizes.
    """
    if head.size < shown.size:
        raise RollbackError(
            f"the database's ledger has {head.size} leaves, and a checkpoint of {shown.size} leaves was already shown",
            hint=HINT,
        )
    if head.size == shown.size and head.root != shown.root:
        raise _other_ledger(head, shown)


async def verify_growth(
    store: Store, frontier: Frontier, *, head: TreeHead, shown: Checkpoint | None, standing: TreeStanding = EMPTY
) -> TreeStanding:
    """Check that the store's leaves lead from a frontier to the committed head, through what was shown.

    Args:
        store: the ledger's store.
        frontier: a tree that is known; of the size of `shown`, or smaller.
        head: the committed head.
        shown: the newest checkpoint, if there is one.
        standing: what the tree of the frontier holds of rules and lanes.

    Returns:
        What the tree of the head holds of them.

    Raises:
        RollbackError: they do not lead there.
        IntegrityError: a batch on the way is missing or is not what its header says.
    """
    if shown is not None and head.size > shown.size:
        following = await store.placements(first_leaf=shown.size, placements_max=1)
        if not following or following[0].first_leaf != shown.size:
            raise _other_ledger(head, shown)
    hashes: list[bytes] = []
    async for placed in read_placed_batches(store, first_leaf=frontier.size, size=head.size):
        hashes += placed.hashes
        standing = standing.after(placed)
        at_shown = shown is not None and standing.size == shown.size
        if at_shown or len(hashes) >= HASHES_PER_STEP_MAX:
            frontier, hashes = frontier.append_many(hashes), []
        if shown is not None and at_shown and frontier.root() != shown.root:
            raise _other_ledger(head, shown)
    frontier = frontier.append_many(hashes)
    if frontier.root() == head.root and (not head.size or frontier.to_bytes() == head.frontier):
        return replace(standing, root=head.root)
    if shown is not None:
        raise _other_ledger(head, shown)
    raise IntegrityError(
        "the database's batches do not give the root of its tree", place=f"tree head of {head.size} leaves"
    )


def _other_ledger(head: TreeHead, shown: Checkpoint) -> RollbackError:
    return RollbackError(
        f"the database's ledger of {head.size} leaves is not a growth of the checkpoint of {shown.size} leaves"
        " that was already shown",
        hint=HINT,
    )
