"""SCIM from an HR system whose tokens are not taken any more: refused at the next call, and while a call waits."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from ringfence.core import changes as c
from ringfence.core.errors import UnauthenticatedError
from ringfence.gateway.scim.calls import Reply, ScimCalls
from ringfence.services.custody.request import Caller
from ringfence.services.governance.authority import Governance
from tests.gateway.scim_stage import HrStage, open_hr_stage, user_of

LOGIN, KEYS = "https://login.example.org", b"k" * 32


@pytest.fixture
def hr(tmp_path: Path) -> Iterator[HrStage]:
    with open_hr_stage(tmp_path) as stage:
        stage.runner.run(stage.world.agree("dot", c.TrustIssuer(name=LOGIN, keys=KEYS), "ada", "ben"))
        yield stage


async def call(calls: ScimCalls, caller: Caller, method: str, path: str, told: Any = None) -> Reply:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": json.dumps(told).encode()}

    scope = {
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"content-type", b"application/json")],
    }
    return await calls.answer(scope, receive, caller)


def test_call_after_the_issuer_was_withdrawn_is_refused(hr: HrStage) -> None:
    calls = ScimCalls(hr.world.gate, hr.world.runtime.governance)
    caller = Caller(hr.feed, "US", issuer=LOGIN, issuer_keys=KEYS)
    assert hr.runner.run(call(calls, caller, "GET", "/scim/v2/Users")).status == 200

    hr.runner.run(hr.world.order("ada", c.WithdrawIssuer(name=LOGIN)))

    for method, path, told in (("GET", "/scim/v2/Users", None), ("POST", "/scim/v2/Users", user_of("new"))):
        with pytest.raises(UnauthenticatedError, match=r"tokens of the issuer .* are not taken any more"):
            hr.runner.run(call(calls, caller, method, path, told))
    assert hr.rules == []


@pytest.mark.parametrize("is_withdrawn", [True, False])
def test_call_that_waits_while_the_issuer_is_withdrawn_tells_nothing(hr: HrStage, is_withdrawn: bool) -> None:
    caller = Caller(hr.feed, "US", issuer=LOGIN, issuer_keys=KEYS)

    @asynccontextmanager
    async def open_later() -> AsyncIterator[Governance]:
        if is_withdrawn:
            await hr.world.order("ada", c.WithdrawIssuer(name=LOGIN))
        async with hr.world.runtime.governance() as governance:
            yield governance

    calls = ScimCalls(hr.world.gate, open_later)

    async def post() -> Reply | BaseException:
        waiting = call(calls, caller, "POST", "/scim/v2/Users", user_of("new"))
        return (await asyncio.gather(waiting, return_exceptions=True))[0]

    answer = hr.runner.run(post())

    if is_withdrawn:
        assert isinstance(answer, UnauthenticatedError)
    else:
        assert isinstance(answer, Reply)
        assert answer.status == 201
    assert len(hr.rules) == (0 if is_withdrawn else 1)
