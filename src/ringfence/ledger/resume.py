"""Where sequencing goes on after a start: the state and the lanes' tails, read back and held against the tree.

Rules of this file:
1. The database is not trusted with what was already sequenced: a rule or a lane's last batch counts only if its
   header is the leaf that the signed root vouches for at its place, and its entries are those of its header.
2. So nobody who can write to the database can give a lane another key by changing an old rule.
"""

from __future__ import annotations

from typing import Final

from ringfence.core.errors import IntegrityError, ProofInvalidError
from ringfence.core.ledger.entry import RULE_TYPES, Batch, parse_entry
from ringfence.core.ledger.lane import LaneHead
from ringfence.core.ports import Store, StoredBatch, TreeHead
from ringfence.core.state import EMPTY, State
from ringfence.ledger.leaves import check_digest
from ringfence.ledger.ordering import Edge, Log, fold_rule
from ringfence.ledger.tree_reader import CheckedTree

RULES_PER_PULL_MAX: Final = 256


async def restore_edge(store: Store, head: TreeHead, tree: CheckedTree, *, log: Log) -> Edge:
    """Give the edge of the committed head.

    Raises:
        IntegrityError: a rule or a lane's last batch in the database is not the one in the tree: says which.
    """
    state = await _fold_rules(store, head, tree, log=log)
    tails: dict[int, LaneHead] = {}
    for lane, n in head.sequenced.items():
        place = f"lane {lane} batch {n}"
        batch = await store.find_batch(lane, n)
        if batch is None:
            raise IntegrityError("a lane's last sequenced batch is missing in the database", place=place)
        tails[lane] = await _check_in_tree(store, batch, tree, place=place)
    return Edge(state, tails)


async def _fold_rules(store: Store, head: TreeHead, tree: CheckedTree, *, log: Log) -> State:
    state = EMPTY
    while state.epoch < head.epoch:
        rules_max = min(RULES_PER_PULL_MAX, head.epoch - state.epoch)
        rules = await store.rules(after_epoch=state.epoch, rules_max=rules_max)
        if not rules:
            raise IntegrityError("a rule of the tree is missing in the database", place=f"rule {state.epoch + 1}")
        for stored in rules:
            place = f"lane {stored.batch.lane} batch {stored.batch.n}"
            if stored.batch.epoch != state.epoch:
                raise IntegrityError("a rule of the tree is missing in the database", place=f"rule {state.epoch + 1}")
            await _check_in_tree(store, stored.batch, tree, place=place)
            try:
                rule = parse_entry(stored.batch.entries[0], place=place)
            except ProofInvalidError as error:
                raise IntegrityError(f"a stored rule cannot be read: {error}", place=place) from None
            if not isinstance(rule, RULE_TYPES):
                raise IntegrityError("a stored rule is none", place=place)
            log.check_genesis(rule, stored.batch.entries[0], place=place)
            state = fold_rule(state, rule, stored, place=place)
    return state


async def _check_in_tree(store: Store, batch: StoredBatch, tree: CheckedTree, *, place: str) -> LaneHead:
    """Check that a stored batch is the one in the tree; give the head of its lane after it."""
    first_leaf = await store.placement(batch.lane, batch.n)
    if first_leaf is None:
        raise IntegrityError("a batch of the tree has no place in the database", place=place)
    hashes = check_digest(batch, place=place)
    try:
        expected = tree.leaf_hash(first_leaf)
    except ProofInvalidError as error:
        raise IntegrityError(f"the tree cannot be read: {error}", place=error.place) from None
    if hashes[0] != expected:
        raise IntegrityError(f"a stored batch is not the one in the tree at leaf {first_leaf}", place=place)
    header = parse_entry(batch.header, place=place)
    if not isinstance(header, Batch):
        raise IntegrityError("a stored batch has no header", place=place)
    return LaneHead(lane=batch.lane, n=batch.n, hash=hashes[0], at_ms=header.at_ms)
