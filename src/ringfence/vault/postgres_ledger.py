"""The ledger's side of the PostgreSQL store: batches, rules, seals, the tree's head, placements and checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from ringfence.core.errors import IntegrityError
from ringfence.core.ledger.lane import LaneHead
from ringfence.core.ports import Placement, StoredBatch, StoredRule, StoredSeal, TreeHead
from ringfence.vault.batch_rows import parse_sequenced, render_sequenced, unpack_batch
from ringfence.vault.postgres_device import PostgresDevice

_BATCH: Final = "b.lane, b.n, b.epoch, b.header, b.entry_count, b.entries, b.detail, b.code, b.rule"
_COMMIT_TREE: Final = """
UPDATE ringfence.tree_head SET size = $1, root = $2, frontier = $3, epoch = $4, sequenced = $5
WHERE size = $6 AND root = $7 AND term = $8
"""
_PLACEMENTS: Final = """
SELECT lane, n, first_leaf FROM ringfence.placements
WHERE first_leaf >= coalesce((SELECT max(first_leaf) FROM ringfence.placements WHERE first_leaf <= $1), 0)
ORDER BY first_leaf LIMIT $2
"""
_THIN_CHECKPOINTS: Final = """
WITH newest AS (SELECT size, kept_at FROM ringfence.checkpoints WHERE size < $1 ORDER BY size DESC LIMIT 2)
DELETE FROM ringfence.checkpoints WHERE size = (SELECT max(size) FROM newest)
    AND (SELECT count(*) = 2 AND max(kept_at) - min(kept_at) < make_interval(secs => $2) FROM newest)
"""
_PUT_CHECKPOINT: Final = """
INSERT INTO ringfence.checkpoints (size, note) VALUES ($1, $2) ON CONFLICT (size) DO UPDATE SET note = excluded.note
"""


class PostgresLedger(PostgresDevice):
    """What the sequencer, the lanes and the verifier's export read and write.

    Args:
        checkpoint_interval_seconds: an older checkpoint is kept only if it is this much later, by the database's
            clock, than the one kept before it; the newest is always kept.
        dsn, statement_timeout_seconds, pool_connections_max: as for `PostgresDevice`.
    """

    def __init__(
        self,
        dsn: str,
        *,
        statement_timeout_seconds: float = 10.0,
        pool_connections_max: int = 4,
        checkpoint_interval_seconds: float = 60.0,
    ) -> None:
        super().__init__(
            dsn, statement_timeout_seconds=statement_timeout_seconds, pool_connections_max=pool_connections_max
        )
        self._checkpoint_interval_seconds = checkpoint_interval_seconds

    async def epoch(self) -> int:
        """Give the number of rules committed."""
        return int((await self._fetch("SELECT epoch FROM ringfence.rule_head"))[0][0])

    async def lane_head(self, lane: int) -> LaneHead:
        """Give where a lane stands."""
        await self._settle(lane)
        rows = await self._fetch("SELECT lane, n, hash, at_ms FROM ringfence.lanes WHERE lane = $1", lane)
        return LaneHead(*rows[0]) if rows else LaneHead(lane)

    async def lanes(self) -> list[LaneHead]:
        """Give every lane that has written, with its head."""
        rows = await self._fetch("SELECT lane, n, hash, at_ms FROM ringfence.lanes ORDER BY lane")
        return [LaneHead(*row) for row in rows]

    async def find_batch(self, lane: int, n: int) -> StoredBatch | None:
        """Give one batch, or None when it is not there and, of a lane that this store holds, never will be."""
        await self._settle(lane)
        sql = f"SELECT {_BATCH} FROM ringfence.batches b WHERE lane = $1 AND n = $2"  # noqa: S608
        rows = await self._fetch(sql, lane, n)
        return _batch_of(rows[0]) if rows else None

    async def _settle(self, lane: int) -> None:
        """Wait until a lost session of a lane held here has ended: what it was committing is decided then."""
        if lane in self._links:
            await self._link(lane)

    async def batches(self, lane: int, *, after_n: int, batches_max: int) -> list[StoredBatch]:
        """Give a lane's batches in order of n."""
        sql = f"SELECT {_BATCH} FROM ringfence.batches b WHERE lane = $1 AND n > $2 ORDER BY n LIMIT $3"  # noqa: S608
        return [_batch_of(row) for row in await self._fetch(sql, lane, after_n, batches_max)]

    async def rules(self, *, after_epoch: int, rules_max: int) -> list[StoredRule]:
        """Give rules `after_epoch` + 1 and later, each with its seal and the blob that it names."""
        sql = (
            f"SELECT {_BATCH}, coalesce(s.leaf, ''), coalesce(c.content, '')"  # noqa: S608
            " FROM ringfence.batches b LEFT JOIN ringfence.seals s USING (lane, n)"
            " LEFT JOIN ringfence.blobs c ON c.digest = b.blob_digest"
            " WHERE b.rule AND b.epoch >= $1 ORDER BY b.epoch LIMIT $2"
        )
        rows = await self._fetch(sql, after_epoch, rules_max)
        return [StoredRule(_batch_of(row), row[9], row[10]) for row in rows]

    async def put_seal(self, seal: StoredSeal) -> None:
        """Store a seal; the same seal again changes nothing, another one of the same batch is refused."""
        key = (seal.lane, seal.n)
        async with self._writing() as connection:
            await connection.execute(
                "INSERT INTO ringfence.seals VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
                *(*key, seal.epoch, seal.leaf),
            )
            stored = await connection.fetchrow(
                "SELECT epoch, leaf FROM ringfence.seals WHERE lane = $1 AND n = $2", *key
            )
            if stored is None or tuple(stored) != (seal.epoch, seal.leaf):
                raise IntegrityError("another seal is stored", place=f"batch {seal.n} of lane {seal.lane}")

    async def seals(self, lane: int, *, after_n: int) -> list[StoredSeal]:
        """Give a lane's seals in order of n."""
        sql = "SELECT lane, n, epoch, leaf FROM ringfence.seals WHERE lane = $1 AND n > $2 ORDER BY n"
        return [StoredSeal(*row) for row in await self._fetch(sql, lane, after_n)]

    async def tree_head(self) -> TreeHead:
        """Give the tree as committed."""
        sql = "SELECT size, root, frontier, term, epoch, sequenced FROM ringfence.tree_head"
        size, root, frontier, term, epoch, sequenced = (await self._fetch(sql))[0]
        return TreeHead(size, root, frontier, term, epoch, parse_sequenced(sequenced))

    async def begin_term(self) -> int:
        """Give a term that is larger than every earlier one."""
        async with self._writing() as connection:
            term = await connection.fetchval("UPDATE ringfence.tree_head SET term = term + 1 RETURNING term")
        return int(term)

    async def commit_tree(self, *, expected: TreeHead, following: TreeHead, placements: Sequence[Placement]) -> bool:
        """Replace the head if it is still `expected`; the term stays, only `begin_term` moves it."""
        async with self._writing() as connection:
            status = await connection.execute(
                _COMMIT_TREE,
                *(following.size, following.root, following.frontier, following.epoch),
                *(render_sequenced(following.sequenced), expected.size, expected.root, expected.term),
            )
            if status != "UPDATE 1":
                return False
            await connection.execute(
                "INSERT INTO ringfence.placements (first_leaf, lane, n)"
                " SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[])",
                [placed.first_leaf for placed in placements],
                [placed.lane for placed in placements],
                [placed.n for placed in placements],
            )
        return True

    async def placement(self, lane: int, n: int) -> int | None:
        """Give the leaf index of a batch's header, or None while it is not sequenced."""
        rows = await self._fetch("SELECT first_leaf FROM ringfence.placements WHERE lane = $1 AND n = $2", lane, n)
        return int(rows[0][0]) if rows else None

    async def placements(self, *, first_leaf: int, placements_max: int) -> list[Placement]:
        """Give batches by place in the tree, from the one that holds leaf `first_leaf` on."""
        return [Placement(*row) for row in await self._fetch(_PLACEMENTS, first_leaf, placements_max)]

    async def put_checkpoint(self, size: int, note: bytes) -> None:
        """Keep a signed checkpoint; one of the same size is replaced. Thins the one before: see the class."""
        async with self._writing() as connection:
            await connection.execute(_THIN_CHECKPOINTS, size, self._checkpoint_interval_seconds)
            await connection.execute(_PUT_CHECKPOINT, size, note)

    async def checkpoints(self, *, after_size: int, checkpoints_max: int) -> list[tuple[int, bytes]]:
        """Give signed checkpoints by size."""
        sql = "SELECT size, note FROM ringfence.checkpoints WHERE size > $1 ORDER BY size LIMIT $2"
        return [(size, note) for size, note in await self._fetch(sql, after_size, checkpoints_max)]

    async def newest_checkpoint(self) -> tuple[int, bytes] | None:
        """Give the signed checkpoint of the largest size."""
        rows = await self._fetch("SELECT size, note FROM ringfence.checkpoints ORDER BY size DESC LIMIT 1")
        return (rows[0][0], rows[0][1]) if rows else None


def _batch_of(row: Any) -> StoredBatch:
    lane, n, epoch, header, entry_count, entries, detail, code, rule = row[:9]
    return unpack_batch(lane, n, epoch, header, entry_count, entries, detail, code, rule)
