"""The ledger's side of the SQLite store: batches, rules, seals, the tree's head, placements and checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from ringfence.core.errors import IntegrityError
from ringfence.core.ledger.lane import LaneHead
from ringfence.core.ports import Placement, StoredBatch, StoredRule, StoredSeal, TreeHead
from ringfence.vault.batch_rows import parse_sequenced, render_sequenced, unpack_batch
from ringfence.vault.schema_sqlite import LANE_SHIFT
from ringfence.vault.sqlite_device import SqliteDevice

N_MASK: Final = (1 << LANE_SHIFT) - 1
_BATCH: Final = (
    f"place >> {LANE_SHIFT}, place & {N_MASK}, batches.epoch, header, entry_count, entries, detail, code, rule"
)


class SqliteLedger(SqliteDevice):
    """What the sequencer, the lanes and the verifier's export read and write.

    Args:
        checkpoint_interval_seconds: an older checkpoint is kept only if it is this much later, by the database's
            clock, than the one kept before it; the newest is always kept.
        path, read_only, busy_timeout_seconds: as for `SqliteDevice`.
    """

    def __init__(
        self,
        path: Path,
        *,
        read_only: bool = False,
        busy_timeout_seconds: float = 5.0,
        checkpoint_interval_seconds: float = 60.0,
    ) -> None:
        super().__init__(path, read_only=read_only, busy_timeout_seconds=busy_timeout_seconds)
        self._checkpoint_interval_ms = int(checkpoint_interval_seconds * 1000)

    async def epoch(self) -> int:
        """Give the number of rules committed."""
        return int(self._read("SELECT epoch FROM rule_head")[0][0])

    async def lane_head(self, lane: int) -> LaneHead:
        """Give where a lane stands."""
        rows = self._read("SELECT lane, n, hash, at_ms FROM lanes WHERE lane = ?", (lane,))
        return LaneHead(*rows[0]) if rows else LaneHead(lane)

    async def lanes(self) -> list[LaneHead]:
        """Give every lane that has written, with its head."""
        return [LaneHead(*row) for row in self._read("SELECT lane, n, hash, at_ms FROM lanes ORDER BY lane")]

    async def find_batch(self, lane: int, n: int) -> StoredBatch | None:
        """Give one batch, or None when it is not there."""
        rows = self._read(f"SELECT {_BATCH} FROM batches WHERE place = ?", (place_of(lane, n),))  # noqa: S608
        return unpack_batch(*rows[0]) if rows else None

    async def batches(self, lane: int, *, after_n: int, batches_max: int) -> list[StoredBatch]:
        """Give a lane's batches in order of n."""
        rows = self._read(
            f"SELECT {_BATCH} FROM batches WHERE place > ? AND place < ? ORDER BY place LIMIT ?",  # noqa: S608
            (place_of(lane, after_n), place_of(lane + 1, 0), batches_max),
        )
        return [unpack_batch(*row) for row in rows]

    async def rules(self, *, after_epoch: int, rules_max: int) -> list[StoredRule]:
        """Give rules `after_epoch` + 1 and later, each with its seal and the blob that it names."""
        rows = self._read(
            f"SELECT {_BATCH}, coalesce(seals.leaf, x''), coalesce(blobs.content, x'')"  # noqa: S608
            " FROM batches LEFT JOIN seals USING (place) LEFT JOIN blobs ON blobs.digest = batches.blob_digest"
            " WHERE rule AND batches.epoch >= ? ORDER BY batches.epoch LIMIT ?",
            (after_epoch, rules_max),
        )
        return [StoredRule(unpack_batch(*row[:-2]), row[-2], row[-1]) for row in rows]

    async def put_seal(self, seal: StoredSeal) -> None:
        """Store a seal; the same seal again changes nothing, another one of the same batch is refused."""
        place = place_of(seal.lane, seal.n)
        with self._transaction() as cursor:
            cursor.execute("INSERT INTO seals VALUES (?, ?, ?) ON CONFLICT DO NOTHING", (place, seal.epoch, seal.leaf))
            stored = cursor.execute("SELECT epoch, leaf FROM seals WHERE place = ?", (place,)).fetchone()
            if stored != (seal.epoch, seal.leaf):
                raise IntegrityError("another seal is stored", place=f"batch {seal.n} of lane {seal.lane}")

    async def seals(self, lane: int, *, after_n: int) -> list[StoredSeal]:
        """Give a lane's seals in order of n."""
        rows = self._read(
            "SELECT place, epoch, leaf FROM seals WHERE place > ? AND place < ? ORDER BY place",
            (place_of(lane, after_n), place_of(lane + 1, 0)),
        )
        return [StoredSeal(lane, place & N_MASK, epoch, leaf) for place, epoch, leaf in rows]

    async def tree_head(self) -> TreeHead:
        """Give the tree as committed."""
        rows = self._read("SELECT size, root, frontier, term, epoch, sequenced FROM tree_head")
        size, root, frontier, term, epoch, sequenced = rows[0]
        return TreeHead(size, root, frontier, term, epoch, parse_sequenced(sequenced))

    async def begin_term(self) -> int:
        """Give a term that is larger than every earlier one."""
        with self._transaction() as cursor:
            cursor.execute("UPDATE tree_head SET term = term + 1 RETURNING term")
            return int(cursor.fetchone()[0])

    async def commit_tree(self, *, expected: TreeHead, following: TreeHead, placements: Sequence[Placement]) -> bool:
        """Replace the head if it is still `expected`; the term stays, only `begin_term` moves it."""
        with self._transaction() as cursor:
            cursor.execute(
                "UPDATE tree_head SET size = ?, root = ?, frontier = ?, epoch = ?, sequenced = ?"
                " WHERE size = ? AND root = ? AND term = ?",
                (
                    *(following.size, following.root, following.frontier, following.epoch),
                    *(render_sequenced(following.sequenced), expected.size, expected.root, expected.term),
                ),
            )
            if cursor.rowcount != 1:
                return False
            cursor.executemany(
                "INSERT INTO placements (first_leaf, place) VALUES (?, ?)",
                [(placed.first_leaf, place_of(placed.lane, placed.n)) for placed in placements],
            )
            return True

    async def placement(self, lane: int, n: int) -> int | None:
        """Give the leaf index of a batch's header, or None while it is not sequenced."""
        rows = self._read("SELECT first_leaf FROM placements WHERE place = ?", (place_of(lane, n),))
        return int(rows[0][0]) if rows else None

    async def placements(self, *, first_leaf: int, placements_max: int) -> list[Placement]:
        """Give batches by place in the tree, from the one that holds leaf `first_leaf` on."""
        rows = self._read(
            "SELECT place, first_leaf FROM placements WHERE first_leaf >="
            " coalesce((SELECT max(first_leaf) FROM placements WHERE first_leaf <= ?), 0) ORDER BY first_leaf LIMIT ?",
            (first_leaf, placements_max),
        )
        return [Placement(place >> LANE_SHIFT, place & N_MASK, first) for place, first in rows]

    async def put_checkpoint(self, size: int, note: bytes) -> None:
        """Keep a signed checkpoint; one of the same size is replaced. Thins the one before: see the class."""
        with self._transaction() as cursor:
            newest = cursor.execute(
                "SELECT size, kept_at_ms FROM checkpoints WHERE size < ? ORDER BY size DESC LIMIT 2", (size,)
            ).fetchall()
            if len(newest) == 2 and newest[0][1] - newest[1][1] < self._checkpoint_interval_ms:
                cursor.execute("DELETE FROM checkpoints WHERE size = ?", (newest[0][0],))
            cursor.execute(
                "INSERT INTO checkpoints VALUES (?, ?, CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER))"
                " ON CONFLICT DO UPDATE SET note = excluded.note",
                (size, note),
            )

    async def checkpoints(self, *, after_size: int, checkpoints_max: int) -> list[tuple[int, bytes]]:
        """Give signed checkpoints by size."""
        return self._read(
            "SELECT size, note FROM checkpoints WHERE size > ? ORDER BY size LIMIT ?", (after_size, checkpoints_max)
        )

    async def newest_checkpoint(self) -> tuple[int, bytes] | None:
        """Give the signed checkpoint of the largest size."""
        rows = self._read("SELECT size, note FROM checkpoints ORDER BY size DESC LIMIT 1")
        return rows[0] if rows else None


def place_of(lane: int, n: int) -> int:
    """Give the row id of a batch: its lane in the high bits, its number in the low ones."""
    return lane << LANE_SHIFT | n
