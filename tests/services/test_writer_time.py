"""Clocks that were set back or ahead: what the lanes write agrees in time all the same, or is not written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ringfence.app import runtime
from ringfence.app.deployment import Deployment
from ringfence.core import changes as c
from ringfence.core.errors import RingfenceError, UnavailableError
from ringfence.core.governance.statement import APPROVE
from ringfence.core.ledger import entry as e
from ringfence.core.ledger.lane import LaneHead
from ringfence.core.state import State
from ringfence.services.custody.erasing import erase_user
from ringfence.services.custody.opening import RecordName
from ringfence.services.custody.reading import read_record
from ringfence.services.custody.writing import WriteItem, write_records
from ringfence.services.jobs import Prepared
from tests.governed import HOUR_MS, sign
from tests.services.governed_world import GovernedWorld, found_deployment, in_governed_world
from tests.services.world import World, in_world, verified
from tests.stores import POSTGRES, SQLITE

STORES = [SQLITE, POSTGRES]
MINUTE_MS = 60_000


class Clocks:
    """The clocks of a gateway and of whoever writes the rules, each off by its own milliseconds."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._real = runtime.clock_ms
        self._monkeypatch = monkeypatch
        self.gateway_ms = self.authority_ms = 0
        self.now_ms = self._real
        self._use(lambda: self._real() + self.gateway_ms)

    def part(self) -> None:
        """Give what is opened from now on the authority's clock, as on another machine."""
        self._use(lambda: self._real() + self.authority_ms)

    def mend(self) -> None:
        """Set both right, so that the sequencer takes what was written."""
        self.gateway_ms = self.authority_ms = 0

    def _use(self, clock_ms: Callable[[], int]) -> None:
        self._monkeypatch.setattr(runtime, "clock_ms", clock_ms)


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Clocks:
    return Clocks(monkeypatch)


async def read(world: GovernedWorld) -> LaneHead:
    """Let the app read a user's record; give the head that it led to."""
    name = RecordName("ann", "person", "self")
    found = await read_record(world.gate, world.caller("service"), purpose="serve", name=name)
    assert found.record is not None
    return world.gate.singles.head


@pytest.mark.parametrize("behind_ms", [0, 500, HOUR_MS])
def test_read_is_of_a_time_at_or_after_the_newest_rule(tmp_path: Path, clocks: Clocks, behind_ms: int) -> None:
    deployment = found_deployment(tmp_path / "deployment")

    async def work(world: GovernedWorld) -> None:
        await world.store_user("ann")
        clocks.part()
        grant = await world.give()
        clocks.gateway_ms = -behind_ms
        assert (await read(world)).at_ms >= world.state.ruled_ms
        clocks.gateway_ms = 0
        await world.order("ada", c.RevokeGrant(grant=grant))

    in_governed_world(deployment, work)
    verified(deployment, tmp_path / "bundle")


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("behind_ms", [0, 50 * MINUTE_MS])
def test_rule_is_of_a_time_at_or_after_what_a_gateway_wrote(
    tmp_path: Path, clocks: Clocks, store: str, behind_ms: int
) -> None:
    clocks.gateway_ms = clocks.authority_ms = -behind_ms
    deployment = found_deployment(tmp_path / "deployment", store=store)

    async def work(world: GovernedWorld) -> None:
        await world.store_user("ann")
        grant = await world.give()
        clocks.part()
        clocks.gateway_ms = 0
        head = await read(world)
        await world.order("ada", c.RevokeGrant(grant=grant))
        assert world.state.ruled_ms >= head.at_ms
        await read(world)

    in_governed_world(deployment, work)
    clocks.mend()
    verified(deployment, tmp_path / "bundle")


@pytest.mark.parametrize("store", STORES)
def test_rule_that_a_gateway_overtook_is_decided_again(
    tmp_path: Path, clocks: Clocks, monkeypatch: pytest.MonkeyPatch, store: str
) -> None:
    clocks.gateway_ms = clocks.authority_ms = -3 * MINUTE_MS
    deployment = found_deployment(tmp_path / "deployment", store=store)

    async def work(world: GovernedWorld) -> None:
        await world.store_user("ann")
        grant = await world.give()
        clocks.part()
        clocks.gateway_ms = 0
        head = await read(world)
        lanes = world.runtime.store.lanes
        looks: list[int] = []

        async def lanes_then() -> list[LaneHead]:
            looks.append(1)
            return [] if len(looks) == 1 else await lanes()  # the first look came before the read

        monkeypatch.setattr(world.runtime.store, "lanes", lanes_then)
        await world.order("ada", c.RevokeGrant(grant=grant))
        assert len(looks) == 3, "decided twice, and taken up"
        assert world.state.ruled_ms >= head.at_ms

    in_governed_world(deployment, work)
    clocks.mend()
    verified(deployment, tmp_path / "bundle")


def test_what_may_be_a_rule_is_decided_at_the_newest_time_though_something_else_waits_before_it(
    tmp_path: Path, clocks: Clocks
) -> None:
    clocks.gateway_ms = -HOUR_MS
    deployment = found_deployment(tmp_path / "deployment")

    async def work(world: GovernedWorld) -> None:
        decided_at: list[int] = []

        def prepare(_: State, at_ms: int) -> Prepared:
            decided_at.append(at_ms)
            refusals = e.Refusals(principal=0, reason="unauthenticated", requests=1, since_ms=at_ms)
            return Prepared(entries=[e.render_entry(refusals)], openings=[None])

        clocks.gateway_ms = 0
        newest_ms = (await world.gate.bulk.submit(prepare)).at_ms
        clocks.gateway_ms = -HOUR_MS
        waiting = [world.gate.singles.submit(prepare, rule=rule) for rule in (False, True, False)]
        done = [await one for one in waiting]
        assert [one.at_ms for one in done] == decided_at[1:]
        assert done[0].at_ms < newest_ms <= done[1].at_ms == done[2].at_ms

    in_governed_world(deployment, work)
    clocks.mend()
    verified(deployment, tmp_path / "bundle")


@pytest.mark.parametrize("behind_ms", [0, HOUR_MS])
def test_erasure_is_of_a_time_at_or_after_what_another_lane_wrote(
    deployment: Deployment, tmp_path: Path, clocks: Clocks, behind_ms: int
) -> None:
    async def work(world: World) -> None:
        ann = WriteItem("ann", "profile", "self", {"userName": "ann", "bioDescription": "hello"})
        await write_records(world.gate, world.caller("app"), purpose="serve_user", items=[ann])
        clocks.gateway_ms = 900
        refusals = e.render_entry(e.Refusals(principal=0, reason="unauthenticated", requests=1, since_ms=0))
        newest = await world.gate.bulk.submit(lambda state, at_ms: Prepared(entries=[refusals], openings=[None]))
        clocks.gateway_ms = -behind_ms
        answer = await erase_user(world.gate, world.caller("app"), purpose="user_request", user="ann")
        assert answer.refused_from_ms >= newest.at_ms

    in_world(deployment, work)
    clocks.mend()
    verified(deployment, tmp_path / "bundle")


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("is_read", [True, False])
def test_request_expires_by_what_a_gateway_wrote_though_the_clock_went_back(
    tmp_path: Path, clocks: Clocks, store: str, is_read: bool
) -> None:
    """It may be carried within an hour. A read is written after that, by the right clock; the authority's is behind."""
    clocks.gateway_ms = clocks.authority_ms = -90 * MINUTE_MS
    deployment = found_deployment(tmp_path / "deployment", store=store)

    async def work(world: GovernedWorld) -> None:
        await world.store_user("ann")
        grant = c.Grant(
            kind=c.ACCESS,
            person=5,
            purpose="support",
            verbs=("read",),
            datasets=("person",),
            classes=("public",),
            records_max=1,
            lasts_ms=HOUR_MS,
            subjects_any=True,
        )
        clocks.part()
        proposal = await world.propose("eve", grant)
        statement = world.state.governed.proposals[proposal].statement
        async with world.runtime.signed_governance() as governance:
            await governance.approve(proposal, sign("ada", statement, APPROVE))
            if is_read:
                clocks.gateway_ms = 0
                await read(world)
                with pytest.raises(RingfenceError, match="expired"):
                    await governance.approve(proposal, sign("ben", statement, APPROVE))
            else:
                assert (await governance.approve(proposal, sign("ben", statement, APPROVE))).is_carried

    in_governed_world(deployment, work)
    clocks.mend()
    verified(deployment, tmp_path / "bundle")


@pytest.mark.parametrize("store", STORES)
def test_gateway_whose_clock_is_ahead_writes_nothing_and_moves_no_rule(
    tmp_path: Path, clocks: Clocks, store: str
) -> None:
    deployment = found_deployment(tmp_path / "deployment", store=store)

    async def work(world: GovernedWorld) -> None:
        await world.store_user("ann")
        grant = await world.give()
        clocks.part()
        before = world.gate.singles.head
        clocks.gateway_ms = HOUR_MS
        with pytest.raises(UnavailableError, match="ahead of the database's"):
            await read(world)
        assert world.gate.singles.head == before
        clocks.gateway_ms = 0
        await world.order("ada", c.RevokeGrant(grant=grant))
        assert world.state.ruled_ms <= clocks.now_ms()
        await read(world)

    in_governed_world(deployment, work)
    clocks.mend()
    verified(deployment, tmp_path / "bundle")


@pytest.mark.parametrize(("behind_ms", "is_written"), [(HOUR_MS, True), (3 * HOUR_MS, False)])
def test_no_rule_is_moved_ahead_by_more_than_two_hours(
    tmp_path: Path, clocks: Clocks, behind_ms: int, is_written: bool
) -> None:
    deployment = found_deployment(tmp_path / "deployment")

    async def work(world: GovernedWorld) -> None:
        await world.store_user("ann")
        grant = await world.give()
        clocks.part()
        await read(world)
        clocks.authority_ms = -behind_ms
        if not is_written:
            epoch = world.state.epoch
            lane = world.gate.singles.lane
            with pytest.raises(UnavailableError, match=rf"lane {lane} has written 10\d+ s ahead of this machine's"):
                await world.order("ada", c.RevokeGrant(grant=grant))
            assert world.state.epoch == epoch
            clocks.authority_ms = 0
        await world.order("ada", c.RevokeGrant(grant=grant))

    in_governed_world(deployment, work)
    clocks.mend()
    verified(deployment, tmp_path / "bundle")
