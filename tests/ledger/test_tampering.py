"""A batch slipped in, changed or removed in the database stops sequencing, names the place, and is not published."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ringfence.core.errors import IntegrityError
from ringfence.core.ledger import entry as e
from ringfence.core.ledger.lane import LaneHead, build_batch, seal_head
from ringfence.core.ledger.tiles import encode_bundle
from ringfence.vault.sqlite import SqliteStore
from ringfence.vault.sqlite_ledger import place_of
from tests.ledger.tree import check_order, make_sequencer, read_leaves, sequence
from tests.ledger.writer import ORIGIN, LedgerWriter, key_of, refusals

STRANGER = 9


class Administrator:
    """Someone with the database file and SQL, and no lane's key."""

    def __init__(self, path: Path, writer: LedgerWriter) -> None:
        self.path = path
        self.writer = writer

    def execute(self, sql: str, *values: object) -> None:
        with closing(sqlite3.connect(self.path)) as database, database:
            assert database.execute(sql, values).rowcount >= 1, "the database was not changed"

    def header(self, lane: int, n: int) -> tuple[e.Batch, bytes]:
        with closing(sqlite3.connect(self.path)) as database:
            (header,) = database.execute("SELECT header FROM batches WHERE place = ?", (place_of(lane, n),)).fetchone()
        batch = e.parse_entry(header)
        assert isinstance(batch, e.Batch)
        return batch, header

    def head(self, lane: int, n: int) -> LaneHead:
        """Where a lane stands after batch n, as anyone can read it."""
        if n == 0:
            return LaneHead(lane)
        batch, header = self.header(lane, n)
        return LaneHead(lane, n, e.commit(b"\x00" + header), batch.at_ms)

    def put_batch(self, lane: int, n: int, leaf: bytes) -> LaneHead:
        """Put a well-formed batch in a place, over whatever is there."""
        built = build_batch(self.head(lane, n - 1), epoch=self.writer.epoch, at_ms=self.writer.at_ms, entries=[leaf])
        self.execute(
            "INSERT OR REPLACE INTO batches VALUES (?, ?, ?, 1, ?, x'', x'', 0, NULL)",
            *(place_of(lane, n), self.writer.epoch, built.header, encode_bundle([leaf])),
        )
        self.execute(
            "INSERT INTO lanes VALUES (?, ?, ?, ?)"
            " ON CONFLICT (lane) DO UPDATE SET n = max(n, excluded.n), hash = excluded.hash",
            *(lane, n, built.head.hash, built.head.at_ms),
        )
        return built.head

    def put_seal(self, head: LaneHead) -> None:
        """Put a seal, signed with a key of one's own."""
        leaf = seal_head(key_of(STRANGER), origin=ORIGIN, head=head)
        place = place_of(head.lane, head.n)
        self.execute("INSERT OR REPLACE INTO seals VALUES (?, ?, ?)", place, self.writer.epoch, leaf)


def slip_in_at_the_end(administrator: Administrator) -> None:
    administrator.put_seal(administrator.put_batch(1, 4, refusals(666)))


def slip_in_a_lane(administrator: Administrator) -> None:
    administrator.put_seal(administrator.put_batch(STRANGER, 1, refusals(666)))


def slip_in_an_unsealed_lane(administrator: Administrator) -> None:
    administrator.put_batch(STRANGER, 1, refusals(666))


def replace_a_batch(administrator: Administrator) -> None:
    administrator.put_batch(1, 2, refusals(666))


def replace_the_last_batch(administrator: Administrator) -> None:
    administrator.put_batch(1, 3, refusals(666))


def change_an_entry(administrator: Administrator) -> None:
    entries = encode_bundle([refusals(666)])
    administrator.execute("UPDATE batches SET entries = ? WHERE place = ?", entries, place_of(1, 2))


def change_the_time(administrator: Administrator) -> None:
    batch, _ = administrator.header(1, 3)
    header = e.render_entry(msgspec.structs.replace(batch, at_ms=batch.at_ms + 1))
    administrator.execute("UPDATE batches SET header = ? WHERE place = ?", header, place_of(1, 3))


def spell_an_entry_otherwise(administrator: Administrator) -> None:
    entries = encode_bundle([b" " + refusals(2)])
    administrator.execute("UPDATE batches SET entries = ? WHERE place = ?", entries, place_of(1, 2))


def remove_a_batch(administrator: Administrator) -> None:
    administrator.execute("DELETE FROM batches WHERE place = ?", place_of(1, 2))


def remove_the_last_batch(administrator: Administrator) -> None:
    administrator.execute("DELETE FROM batches WHERE place = ?", place_of(1, 3))


def remove_the_last_batch_and_set_the_lane_back(administrator: Administrator) -> None:
    remove_the_last_batch(administrator)
    head = administrator.head(1, 2)
    administrator.execute("UPDATE lanes SET n = 2, hash = ? WHERE lane = 1", head.hash)


def forge_a_seal(administrator: Administrator) -> None:
    administrator.put_seal(administrator.head(1, 3))


def call_a_batch_a_rule(administrator: Administrator) -> None:
    administrator.execute("UPDATE batches SET rule = 1 WHERE place = ?", place_of(1, 2))


def move_a_batch_to_another_epoch(administrator: Administrator) -> None:
    administrator.execute("UPDATE batches SET epoch = epoch + 1 WHERE place = ?", place_of(1, 2))


TAMPERINGS: list[tuple[Callable[[Administrator], None], str]] = [
    (slip_in_at_the_end, "lane 1 batch 4"),
    (slip_in_a_lane, f"lane {STRANGER} batch 1"),
    (slip_in_an_unsealed_lane, f"lane {STRANGER} batch 1"),
    (replace_a_batch, "lane 1 batch 3"),
    (replace_the_last_batch, "lane 1 batch 3"),
    (change_an_entry, "lane 1 batch 2"),
    (change_the_time, "lane 1 batch 3"),
    (spell_an_entry_otherwise, "lane 1 batch 2 entry 0"),
    (remove_a_batch, "lane 1 batch 2"),
    (remove_the_last_batch, "lane 1 batch 3"),
    (remove_the_last_batch_and_set_the_lane_back, "lane 1 batch 3"),
    (forge_a_seal, "lane 1 batch 3"),
    (call_a_batch_a_rule, "lane 1 batch 2"),
    (move_a_batch_to_another_epoch, "lane 1 batch 2"),
]


@pytest.fixture
def administrator(run: Any, ledger: LedgerWriter, tmp_path: Path) -> Administrator:
    """Batches 1 to 3 of lane 1 are sealed, and only the first is in the tree."""
    run(ledger.access(1))
    run(ledger.seal(1))
    run(sequence(ledger.store, tmp_path / "tree"))
    for _ in range(2):
        run(ledger.access(1))
    run(ledger.seal(1))
    assert isinstance(ledger.store, SqliteStore)
    return Administrator(ledger.store.path, ledger)


@pytest.mark.parametrize(("tamper", "place"), TAMPERINGS, ids=[tamper.__name__ for tamper, _ in TAMPERINGS])
@pytest.mark.parametrize("restarted", [False, True])
def test_tampering_before_sequencing_is_named_and_not_published(
    run: Any,
    administrator: Administrator,
    tmp_path: Path,
    tamper: Callable[[Administrator], None],
    place: str,
    restarted: bool,
) -> None:
    store = administrator.writer.store
    shown = read_leaves(tmp_path / "tree")
    sequencer = make_sequencer(store, tmp_path / "tree")
    if not restarted:
        run(sequencer.open())
    tamper(administrator)
    if restarted:
        run(sequencer.open())

    with pytest.raises(IntegrityError) as refusal:
        run(sequencer.run_round())

    assert refusal.value.place == place
    assert read_leaves(tmp_path / "tree") == shown
    assert run(store.tree_head()).size == len(shown)
    run(sequencer.close())


def test_untouched_batches_are_sequenced(run: Any, administrator: Administrator, tmp_path: Path) -> None:
    shown = read_leaves(tmp_path / "tree")
    run(sequence(administrator.writer.store, tmp_path / "tree"))
    assert len(read_leaves(tmp_path / "tree")) == len(shown) + 5


def test_tampering_stops_every_later_start_until_it_is_mended(
    run: Any, administrator: Administrator, tmp_path: Path
) -> None:
    store = administrator.writer.store
    with closing(sqlite3.connect(administrator.path)) as database:
        (before,) = database.execute("SELECT entries FROM batches WHERE place = ?", (place_of(1, 2),)).fetchone()
    change_an_entry(administrator)
    for _ in range(2):
        with pytest.raises(IntegrityError):
            run(sequence(store, tmp_path / "tree"))

    administrator.execute("UPDATE batches SET entries = ? WHERE place = ?", before, place_of(1, 2))
    run(sequence(store, tmp_path / "tree"))


def certify_another_key(administrator: Administrator) -> None:
    """Give lane 1 the administrator's key, in the rule that is long in the tree, header and all."""
    stranger = key_of(STRANGER).public_key().public_bytes_raw()
    leaf = e.render_entry(e.LaneCertified(lane=1, key=stranger, build="build-1", duty="gateway"))
    built = build_batch(administrator.head(0, 1), epoch=1, at_ms=administrator.header(0, 2)[0].at_ms, entries=[leaf])
    administrator.execute(
        "UPDATE batches SET header = ?, entries = ? WHERE place = ?",
        built.header,
        encode_bundle([leaf]),
        place_of(0, 2),
    )


def change_a_sequenced_rule(administrator: Administrator) -> None:
    entries = encode_bundle([e.render_entry(e.KeyEpochOpened(data_class="protected", key_epoch=1))])
    administrator.execute("UPDATE batches SET entries = ? WHERE place = ?", entries, place_of(0, 2))


def change_the_lane_tail(administrator: Administrator) -> None:
    administrator.put_batch(1, 1, refusals(666))


def remove_the_lane_tail(administrator: Administrator) -> None:
    administrator.execute("DELETE FROM batches WHERE place = ?", place_of(1, 1))


def remove_a_sequenced_rule(administrator: Administrator) -> None:
    administrator.execute("DELETE FROM batches WHERE place = ?", place_of(0, 2))


@pytest.mark.parametrize(
    ("tamper", "place"),
    [
        (certify_another_key, "lane 0 batch 2"),
        (change_a_sequenced_rule, "lane 0 batch 2"),
        (remove_a_sequenced_rule, "rule 2"),
        (change_the_lane_tail, "lane 1 batch 1"),
        (remove_the_lane_tail, "lane 1 batch 1"),
    ],
)
def test_tampering_with_what_was_sequenced_is_found_at_the_next_start(
    run: Any, administrator: Administrator, tmp_path: Path, tamper: Callable[[Administrator], None], place: str
) -> None:
    tamper(administrator)

    with pytest.raises(IntegrityError) as refusal:
        run(make_sequencer(administrator.writer.store, tmp_path / "tree").open())

    assert refusal.value.place == place


def test_rule_changed_before_sequencing_is_named(run: Any, ledger: LedgerWriter, tmp_path: Path) -> None:
    run(sequence(ledger.store, tmp_path / "tree"))
    run(ledger.open_key_epoch(1))
    assert isinstance(ledger.store, SqliteStore)
    administrator = Administrator(ledger.store.path, ledger)
    leaf = e.render_entry(e.LaneCertified(lane=STRANGER, key=bytes(32), build="build-1", duty="gateway"))
    built = build_batch(administrator.head(0, 4), epoch=4, at_ms=ledger.at_ms, entries=[leaf])
    administrator.execute(
        "UPDATE batches SET header = ?, entries = ? WHERE place = ?",
        built.header,
        encode_bundle([leaf]),
        place_of(0, 5),
    )

    with pytest.raises(IntegrityError) as refusal:
        run(sequence(ledger.store, tmp_path / "tree"))

    assert refusal.value.place == "lane 0 batch 5"


def test_genesis_that_is_not_the_pinned_one_is_refused(run: Any, ledger: LedgerWriter, tmp_path: Path) -> None:
    pinned = run(ledger.store.find_batch(0, 1)).entries[0]
    other = make_sequencer(ledger.store, tmp_path / "other", genesis_hash=bytes(32))
    run(other.open())
    with pytest.raises(IntegrityError, match="pinned"):
        run(other.run_round())
    run(other.close())

    sequencer = make_sequencer(ledger.store, tmp_path / "tree", genesis_hash=e.commit(b"\x00" + pinned))
    run(sequencer.open())
    run(sequencer.run_round())
    run(sequencer.close())


def test_changed_tile_is_found_at_the_next_start(run: Any, administrator: Administrator, tmp_path: Path) -> None:
    (tile,) = (tmp_path / "tree/tile/0/000.p").iterdir()
    data = tile.read_bytes()
    tile.write_bytes(bytes(32) + data[32:])

    with pytest.raises(IntegrityError, match="vouches"):
        run(make_sequencer(administrator.writer.store, tmp_path / "tree").open())


def test_changed_head_stops_the_sequencer(run: Any, administrator: Administrator, tmp_path: Path) -> None:
    sequencer = make_sequencer(administrator.writer.store, tmp_path / "tree")
    run(sequencer.open())
    administrator.execute("UPDATE tree_head SET epoch = epoch + 1")

    with pytest.raises(IntegrityError, match="changed"):
        run(sequencer.run_round())
    run(sequencer.close())


def set_the_lane_back(administrator: Administrator) -> None:
    administrator.execute("DELETE FROM placements WHERE place = ?", place_of(1, 1))
    administrator.execute("UPDATE tree_head SET sequenced = ?", '{"0":4}')


def set_the_epoch_back(administrator: Administrator) -> None:
    administrator.execute("UPDATE tree_head SET epoch = epoch - 1")


@pytest.mark.parametrize("tamper", [set_the_lane_back, set_the_epoch_back])
@pytest.mark.parametrize("kept", ["standing", "no standing", "forged standing"])
def test_head_that_would_have_leaves_sequenced_twice_is_refused(
    run: Any, administrator: Administrator, tmp_path: Path, tamper: Callable[[Administrator], None], kept: str
) -> None:
    standing = tmp_path / "tree-work/standing"
    if kept == "no standing":
        standing.unlink()
    if kept == "forged standing":
        standing.write_bytes(standing.read_bytes().replace(b'"1":1', b'"1":0'))
    run(make_sequencer(administrator.writer.store, tmp_path / "copy").open())
    tamper(administrator)

    with pytest.raises(IntegrityError):
        run(make_sequencer(administrator.writer.store, tmp_path / "tree").open())


def test_lost_batch_holds_back_the_rule_until_a_recovery_goes_on_without_it(
    run: Any, administrator: Administrator, tmp_path: Path
) -> None:
    ledger = administrator.writer
    run(ledger.access(1))
    administrator.execute("DELETE FROM batches WHERE place = ?", place_of(1, 4))
    run(sequence(ledger.store, tmp_path / "tree"))
    run(ledger.open_key_epoch(1))
    with pytest.raises(IntegrityError, match="missing") as refusal:
        run(sequence(ledger.store, tmp_path / "tree"))
    assert refusal.value.place == "lane 1 batch 4"


def test_recovery_goes_on_without_a_lost_batch(run: Any, administrator: Administrator, tmp_path: Path) -> None:
    ledger = administrator.writer
    run(ledger.access(1))
    administrator.execute("DELETE FROM batches WHERE place = ?", place_of(1, 4))
    run(ledger.rule(0, e.LaneRecovered(lane=1, n=3, reason="its batch 4 was lost")))
    progress = run(sequence(ledger.store, tmp_path / "tree"))
    assert progress.epoch == 5
    assert (1, 3) in check_order(read_leaves(tmp_path / "tree"))


def test_rule_that_is_called_a_batch_is_named(run: Any, administrator: Administrator, tmp_path: Path) -> None:
    run(administrator.writer.open_key_epoch(1))
    administrator.execute("UPDATE batches SET rule = 0 WHERE place = ?", place_of(0, 5))
    with pytest.raises(IntegrityError) as refusal:
        run(sequence(administrator.writer.store, tmp_path / "tree"))
    assert refusal.value.place == "lane 0 batch 5"


def test_batches_moved_past_a_rule_with_their_seal_are_named(
    run: Any, administrator: Administrator, tmp_path: Path
) -> None:
    run(administrator.writer.open_key_epoch(1))
    for table in ("batches", "seals"):
        sql = f"UPDATE {table} SET epoch = 5 WHERE place IN (?, ?)"
        administrator.execute(sql, place_of(1, 2), place_of(1, 3))
    with pytest.raises(IntegrityError) as refusal:
        run(sequence(administrator.writer.store, tmp_path / "tree"))
    assert refusal.value.place == "lane 1 batch 2"


def test_changed_leaf_at_the_right_edge_is_found_at_the_next_start(
    run: Any, administrator: Administrator, tmp_path: Path
) -> None:
    (bundle,) = (tmp_path / "tree/tile/entries/000.p").iterdir()
    bundle.write_bytes(bundle.read_bytes().replace(b"unauthenticated", b"unauthenticateD"))
    with pytest.raises(IntegrityError, match="not those of their tile"):
        run(make_sequencer(administrator.writer.store, tmp_path / "tree").open())
