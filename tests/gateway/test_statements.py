"""Statements as they come and go: who is shown an open one, and what is no signature of one."""

from __future__ import annotations

from pathlib import Path

import httpx
import msgspec
import pytest

from ringfence.core.governance.statement import PROPOSE
from tests.gateway.governed_gateway import make_gateway
from tests.gateway.issuers import claims, sign
from tests.governed import NUMBERS, a_grant, facts
from tests.governed import sign as sign_as
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


def test_bytes_that_are_no_signature_are_refused_as_the_callers_mistake(tmp_path: Path) -> None:
    async def work(world: GovernedWorld) -> None:
        data = world.statement("eve", a_grant())
        good = sign_as("eve", data, PROPOSE)
        transport = httpx.ASGITransport(app=make_gateway(world), client=("127.0.0.1", 9))  # type: ignore[arg-type]
        headers = {"authorization": sign(claims(sub="eve")).decode()}
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway.example", headers=headers) as client:

            async def send(path: str, signature: bytes) -> httpx.Response:
                body = {"statement": data, "signature": signature} if path.count("/") == 2 else {"signature": signature}
                return await client.post(path, content=msgspec.json.encode(body))

            for path in ("/v1/proposals", "/v1/orders", "/v1/proposals/1/approvals", "/v1/proposals/1/declines"):
                for signature in (b"", b"no signature", good[:-1], good + b"\0", good[:6] + b"\2" + good[7:]):
                    refused = await send(path, signature)
                    assert refused.status_code == 400, refused.text
                    assert "the signature" in refused.json()["detail"]
            assert (await send("/v1/proposals", good)).status_code == 201

    in_governed_world(found_deployment(tmp_path / "deployment"), work)
