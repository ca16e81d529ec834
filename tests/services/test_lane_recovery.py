"""A lane goes on only from what it sealed itself: what somebody slipped in, took away or put back is refused."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from ringfence.app.deployment import Deployment
from ringfence.app.runtime import open_runtime
from ringfence.core.changes import RecoverLane
from ringfence.core.errors import ConflictError, IntegrityError, RollbackError
from ringfence.core.ledger import entry as e
from ringfence.core.ledger.lane import LaneHead, authenticate_header, build_batch, lane_secret, seal_head
from ringfence.services.custody.opening import RecordName
from ringfence.services.custody.reading import read_record
from ringfence.services.custody.writing import WriteItem, write_records
from ringfence.vault.batch_rows import pack_entries
from ringfence.vault.schema_sqlite import LANE_SHIFT
from tests.services.governed_world import GovernedWorld, found_deployment, in_governed_world
from tests.services.world import World, in_world, open_world, sequence, verified

LANE = 1
BULK_LANE = 2


async def use(world: World) -> None:
    """Write and read one record: two batches of the lane."""
    items = [WriteItem("ada", "profile", "self", {"userName": "ada"})]
    await write_records(world.gate, world.caller("app"), purpose="serve_user", items=items)
    await read_record(world.gate, world.caller("app"), purpose="serve_user", name=RecordName("ada", "profile", "self"))


class Administrator:
    """Who has the database and none of the keys, while nothing runs."""

    def __init__(self, deployment: Deployment) -> None:
        self._path = deployment.directory / "vault.db"

    def change(self, work: Callable[[sqlite3.Connection], object]) -> None:
        database = sqlite3.connect(self._path)
        with database:
            work(database)
        database.close()

    def head(self, lane: int = LANE) -> LaneHead:
        found: list[LaneHead] = []
        sql = "SELECT lane, n, hash, at_ms FROM lanes WHERE lane = ?"
        self.change(lambda db: found.extend(LaneHead(*row) for row in db.execute(sql, (lane,))))
        return found[0]

    def append(self, *, seal: Callable[[LaneHead], bytes], code: Callable[[bytes], bytes] | None = None) -> bytes:
        """Append a batch with an access that never was, and a seal over it; gives the entry."""
        head = self.head()
        forged = e.render_entry(
            e.Access(
                verb="read",
                principal=6,
                country="US",
                purpose="oversight",
                dataset="direct_messages",
                decided={"protected": "inspect"},
                records=1,
                about=bytes(32),
            )
        )

        def work(database: sqlite3.Connection) -> None:
            ((epoch,),) = database.execute("SELECT epoch FROM rule_head")
            batch = build_batch(head, epoch=epoch, at_ms=head.at_ms, entries=[forged])
            place = LANE << LANE_SHIFT | batch.head.n
            row = (place, epoch, batch.header, 1, pack_entries([forged]), bytes(60))
            row = (*row, code(batch.header) if code else bytes(32), 0, None)
            database.execute("INSERT INTO batches VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
            database.execute("UPDATE lanes SET n = ?, hash = ? WHERE lane = ?", (batch.head.n, batch.head.hash, LANE))
            database.execute("INSERT INTO seals VALUES (?, ?, ?)", (place, epoch, seal(batch.head)))

        self.change(work)
        return forged

    def set_back(self, heads: list[LaneHead]) -> None:
        """Remove every batch and seal after these heads."""

        def work(database: sqlite3.Connection) -> None:
            for head in heads:
                span = (head.lane << LANE_SHIFT | head.n, (head.lane + 1) << LANE_SHIFT)
                database.execute("DELETE FROM batches WHERE place > ? AND place < ?", span)
                database.execute("DELETE FROM seals WHERE place > ? AND place < ?", span)
                row = (head.n, head.hash, head.at_ms, head.lane)
                database.execute("UPDATE lanes SET n = ?, hash = ?, at_ms = ? WHERE lane = ?", row)

        self.change(work)


@pytest.fixture
def administrator(deployment: Deployment) -> Administrator:
    in_world(deployment, use)
    asyncio.run(sequence(deployment))
    return Administrator(deployment)


# --- seals that the lane did not sign ------------------------------------------------------------------------------


def test_what_the_lane_sealed_itself_is_taken_up(
    deployment: Deployment, administrator: Administrator, tmp_path: Path
) -> None:
    """The twin of every refusal below: the very same batch, written and sealed with the lane's key, is taken."""
    key = deployment.signing_key(f"lanes/{LANE}")
    origin = deployment.read_trust().origin

    administrator.append(
        seal=lambda head: seal_head(key, origin=origin, head=head),
        code=lambda header: authenticate_header(lane_secret(key), header),
    )

    before = administrator.head()
    with pytest.raises(IntegrityError):  # its detail was not sealed with the custodian's key; the lane itself goes on
        verified(deployment, tmp_path / "bundle")
    in_world(deployment, use)
    assert administrator.head().n == before.n + 2


@pytest.mark.parametrize("authenticated", [False, True], ids=["without a code", "with a code"])
@pytest.mark.parametrize("leaf", ["garbage", "another key", "another origin", "another batch"])
def test_batch_under_a_seal_that_the_lane_did_not_sign_is_refused(
    deployment: Deployment, administrator: Administrator, leaf: str, authenticated: bool
) -> None:
    key = deployment.signing_key(f"lanes/{LANE}")
    other = deployment.signing_key("checkpoint")
    origin, earlier = deployment.read_trust().origin, administrator.head()
    seals: dict[str, Callable[[LaneHead], bytes]] = {
        "garbage": lambda head: b"garbage",
        "another key": lambda head: seal_head(other, origin=origin, head=head),
        "another origin": lambda head: seal_head(key, origin="ledger.example.org/other", head=head),
        "another batch": lambda head: seal_head(key, origin=origin, head=earlier),
    }
    code = (lambda header: authenticate_header(lane_secret(key), header)) if authenticated else None
    forged = administrator.append(seal=seals[leaf], code=code)

    with pytest.raises(IntegrityError, match="this lane did not"):
        in_world(deployment, use)

    administrator.change(lambda db: db.execute("DELETE FROM seals WHERE leaf = ?", (b"garbage",)))
    if leaf == "garbage":
        asyncio.run(sequence(deployment))
        assert not any(forged in path.read_bytes() for path in deployment.ledger.rglob("*") if path.is_file())


def test_sealed_batch_whose_entries_were_changed_is_refused(
    deployment: Deployment, administrator: Administrator
) -> None:
    place = LANE << LANE_SHIFT | administrator.head().n
    changed = (pack_entries([b"{}"]), place)
    administrator.change(
        lambda db: db.execute("UPDATE batches SET entries = ?, entry_count = 1 WHERE place = ?", changed)
    )

    with pytest.raises(IntegrityError, match="does not hold the entries that its header names"):
        in_world(deployment, use)


# --- what was sealed and taken away --------------------------------------------------------------------------------


def heads_of(deployment: Deployment) -> list[LaneHead]:
    """Give where every lane stands in the store."""

    async def work() -> list[LaneHead]:
        async with open_runtime(deployment) as runtime:
            return await runtime.store.lanes()

    return asyncio.run(work())


def test_sealed_batches_that_were_not_sequenced_yet_cannot_be_removed(
    deployment: Deployment, administrator: Administrator, tmp_path: Path
) -> None:
    before = heads_of(deployment)
    in_world(deployment, use)
    shutil.copy(deployment.directory / "vault.db", tmp_path / "newest.db")
    administrator.set_back(before)

    for _ in range(2):
        with pytest.raises(RollbackError, match=rf"lane {LANE} sealed its batch \d+, and the database does not have"):
            in_world(deployment, use)

    shutil.copy(tmp_path / "newest.db", deployment.directory / "vault.db")
    in_world(deployment, use)
    verified(deployment, tmp_path / "bundle")


def test_other_batches_in_the_place_of_sealed_ones_are_refused(
    deployment: Deployment, administrator: Administrator, tmp_path: Path
) -> None:
    shutil.copy(deployment.directory / "vault.db", tmp_path / "older.db")
    memory = deployment.keys / "lanes" / f"{LANE}.head"
    older = memory.read_bytes()
    in_world(deployment, use)
    newer = memory.read_bytes()
    shutil.copy(tmp_path / "older.db", deployment.directory / "vault.db")
    memory.write_bytes(older)
    in_world(deployment, use)  # as many batches, of the very same lane, but others
    memory.write_bytes(newer)

    with pytest.raises(RollbackError, match="does not have it as it was sealed"):
        in_world(deployment, use)


def test_memory_of_a_lane_that_is_older_or_missing_stops_nothing(
    deployment: Deployment, administrator: Administrator
) -> None:
    memory = deployment.keys / "lanes" / f"{LANE}.head"
    older = memory.read_bytes()
    in_world(deployment, use)
    memory.write_bytes(older)
    in_world(deployment, use)
    memory.unlink()
    in_world(deployment, use)

    head = administrator.head()
    found = deployment.lane_memory(LANE).read()
    assert found is not None
    assert (found.n, found.hash) == (head.n, head.hash)
    assert memory.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("content", [b"", b"garbage"])
def test_memory_that_is_no_head_is_refused(
    deployment: Deployment, administrator: Administrator, content: bytes
) -> None:
    (deployment.keys / "lanes" / f"{LANE}.head").write_bytes(content)

    with pytest.raises(IntegrityError, match="does not hold the head of lane 1"):
        in_world(deployment, use)


# --- going on without a lane ---------------------------------------------------------------------------------------


async def recover(deployment: Deployment, lane: int = LANE, *, reason: str = "its key is lost") -> int:
    async with open_runtime(deployment, without_lane=lane) as runtime, runtime.governance() as governance:
        return await governance.recover_lane(lane, reason=reason)


def test_lane_that_a_process_writes_is_not_recovered(deployment: Deployment, administrator: Administrator) -> None:
    async def work() -> int:
        async with open_world(deployment) as world:
            with pytest.raises(ConflictError, match="lane 1 is being written by a running process"):
                await recover(deployment)
            await use(world)
            return world.runtime.keeper.state.epoch

    before = asyncio.run(work())

    in_world(deployment, use)
    assert asyncio.run(recover(deployment)) == administrator.head().n
    assert before > 0


def test_lane_is_recovered_after_the_last_batch_that_holds(
    deployment: Deployment, administrator: Administrator, tmp_path: Path
) -> None:
    in_world(deployment, use)
    sealed = administrator.head().n
    administrator.append(seal=lambda head: b"garbage")

    assert asyncio.run(recover(deployment)) == sealed

    in_world(deployment, use)
    verdict = verified(deployment, tmp_path / "bundle")
    assert [(item.lane, item.n) for item in verdict.recovered] == [(LANE, sealed)]


def test_lane_that_lost_a_batch_is_recovered_where_the_tree_has_it(
    deployment: Deployment, administrator: Administrator, tmp_path: Path
) -> None:
    in_tree = administrator.head().n
    in_world(deployment, use)
    in_world(deployment, use)
    lost = (LANE << LANE_SHIFT | (in_tree + 1),)
    administrator.change(lambda db: db.execute("DELETE FROM batches WHERE place = ?", lost))

    assert asyncio.run(recover(deployment)) == in_tree

    in_world(deployment, use)
    verdict = verified(deployment, tmp_path / "bundle")
    assert [(item.lane, item.n) for item in verdict.recovered] == [(LANE, in_tree)]


def test_lost_sealed_batches_can_be_gone_on_without_and_are_reported(
    deployment: Deployment, administrator: Administrator, tmp_path: Path
) -> None:
    before = [head for head in heads_of(deployment) if head.lane == LANE]
    in_world(deployment, use)
    administrator.set_back(before)
    with pytest.raises(RollbackError):
        in_world(deployment, use)

    assert asyncio.run(recover(deployment)) == before[0].n

    in_world(deployment, use)
    assert verified(deployment, tmp_path / "bundle").recovered


@pytest.mark.parametrize("lane", [0, 99])
def test_lane_that_is_not_open_is_not_recovered(deployment: Deployment, lane: int) -> None:
    with pytest.raises(ConflictError, match=f"lane {lane} is not open"):
        asyncio.run(recover(deployment, lane))


def test_lane_of_a_governed_ledger_is_closed_only_as_a_quorum_agreed(tmp_path: Path) -> None:
    """Whoever runs the host has the authority's key, and chooses neither the batch nor the reason."""
    deployment = found_deployment(tmp_path / "deployment")

    async def use_and_agree(world: GovernedWorld) -> int:
        await world.store_user("ann")
        n = (await world.runtime.store.lane_head(BULK_LANE)).n
        await world.agree("dot", RecoverLane(lane=BULK_LANE, n=n + 1, reason="its key is lost"), "ada", "ben")
        return n

    async def agree(world: GovernedWorld) -> None:
        await world.agree("dot", RecoverLane(lane=BULK_LANE, n=n, reason="its key is lost"), "ada", "ben")

    n = in_governed_world(deployment, use_and_agree)
    with pytest.raises(ConflictError, match=f"lane {BULK_LANE} ends at its batch {n}, and no quorum agreed"):
        asyncio.run(recover(deployment, BULK_LANE))
    in_governed_world(deployment, agree)
    with pytest.raises(ConflictError, match="for another reason") as refused:
        asyncio.run(recover(deployment, BULK_LANE, reason="nothing was lost"))
    assert "its key is lost" in refused.value.hint

    assert asyncio.run(recover(deployment, BULK_LANE)) == n
    recovered = verified(deployment, tmp_path / "bundle").recovered
    assert [(item.lane, item.n, item.reason) for item in recovered] == [(BULK_LANE, n, "its key is lost")]


def test_lane_of_a_governed_ledger_that_lost_its_tail_is_recovered_once_its_memory_is_moved_away(
    tmp_path: Path,
) -> None:
    deployment = found_deployment(tmp_path / "deployment")

    async def use_more(world: GovernedWorld) -> None:
        await world.store_user(f"user{world.state.epoch}")

    async def agree(world: GovernedWorld) -> None:
        await use_more(world)
        change = RecoverLane(lane=BULK_LANE, n=before.n, reason="its key is lost")
        await world.agree("dot", change, "ada", "ben")

    in_governed_world(deployment, use_more)
    (before,) = [head for head in heads_of(deployment) if head.lane == BULK_LANE]
    in_governed_world(deployment, use_more)
    Administrator(deployment).set_back([before])
    with pytest.raises(RollbackError) as refused:
        in_governed_world(deployment, agree)

    assert f"`keys/lanes/{BULK_LANE}.head` is moved away" in refused.value.hint
    (deployment.keys / "lanes" / f"{BULK_LANE}.head").unlink()
    (deployment.keys / "lanes" / f"{BULK_LANE}.key").unlink()
    in_governed_world(deployment, agree)
    assert asyncio.run(recover(deployment, BULK_LANE)) == before.n
    assert [item.n for item in verified(deployment, tmp_path / "bundle").recovered] == [before.n]
