"""A lane whose clock is behind writes no batch of a time before the rule that began its epoch."""

from __future__ import annotations

from pathlib import Path

import pytest

from ringfence.app import runtime
from ringfence.services.custody.opening import RecordName
from ringfence.services.custody.reading import read_record
from tests.services.governed_world import GovernedWorld, found_deployment, in_governed_world
from tests.services.world import verified

BEHIND_MS = 500


@pytest.mark.parametrize("behind_ms", [0, BEHIND_MS])
def test_read_is_of_a_time_at_or_after_the_newest_rule(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, behind_ms: int
) -> None:
    deployment = found_deployment(tmp_path / "deployment")
    real = runtime.clock_ms
    monkeypatch.setattr(runtime, "clock_ms", lambda: real() - behind_ms)

    async def work(world: GovernedWorld) -> None:
        await world.store_user("ann")
        name = RecordName("ann", "person", "self")
        found = await read_record(world.gate, world.caller("service"), purpose="serve", name=name)
        assert found.record is not None

    in_governed_world(deployment, work)
    verified(deployment, tmp_path / "bundle")
