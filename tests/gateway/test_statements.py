"""Who is shown the exact bytes of an open proposal, with the users and the reason that stand in them."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from tests.gateway.governed_gateway import make_gateway
from tests.gateway.issuers import claims, sign
from tests.governed import NUMBERS, a_grant, facts
from tests.services.governed_world import GovernedWorld, found_deployment, in_governed_world


@pytest.mark.parametrize("name", ["ada", "eve"])
def test_statement_is_shown_with_authority_and_to_nobody_who_lost_it(tmp_path: Path, name: str) -> None:
    """To an officer, who may approve it, and to its author; and not while either is suspended."""

    async def work(world: GovernedWorld) -> None:
        proposal = await world.propose("eve", a_grant())
        transport = httpx.ASGITransport(app=make_gateway(world), client=("127.0.0.1", 9))  # type: ignore[arg-type]
        headers = {"authorization": sign(claims(sub=name)).decode()}
        path = f"/v1/proposals/{proposal}/statement"
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway.example", headers=headers) as client:
            shown = await client.get(path)
            await world.record(facts(NUMBERS[name], name, residence="CA"))
            refused = await client.get(path)
        assert (shown.status_code, refused.status_code) == (200, 403)
        assert "may approve or decline it" in refused.json()["detail"]

    in_governed_world(found_deployment(tmp_path / "deployment"), work)
