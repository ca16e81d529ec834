"""A governed gateway in this process, called by SCIM as an HR system calls it; its ledger is verified at the end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from ringfence.core.ledger.governed_entry import PeopleRecorded
from ringfence.gateway.application import Gateway
from tests.gateway.governed_gateway import make_gateway
from tests.gateway.issuers import claims, sign
from tests.services.governed_world import GovernedWorld, found_deployment, open_governed_world
from tests.services.world import verified

CORE = "urn:ietf:params:scim:schemas:core:2.0:User"
WORK = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
PERSON = "urn:ringfence:scim:schemas:1.0:Person"
ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"


def user_of(name: str, *, work: Mapping[str, Any] | None = None, person: Any = None, **told: Any) -> dict[str, Any]:
    """Give a user of the custodian's who lives here, unless told otherwise."""
    usual = {"residence": "US", "worksIn": "US", "devicesOf": "trust"}
    return {
        "schemas": [CORE, WORK, PERSON],
        "userName": f"hr-{name}",
        "displayName": name,
        WORK: {"organization": "trust", "department": name, **(work or {})},
        PERSON: {**usual, **(person or {})},
        **told,
    }


@dataclass
class HrStage:
    """An open governed deployment with an HR system that feeds it, and the loop that it runs on."""

    runner: asyncio.Runner
    world: GovernedWorld
    application: Gateway
    feed: int
    rules: list[PeopleRecorded]

    def send(self, method: str, path: str, body: Any = None, *, sub: str = "hr", **options: Any) -> httpx.Response:
        """Call as the HR system, or as another registered caller."""
        answer = self.runner.run(self._call(method, path, body, sub=sub, **options))
        assert answer.headers["content-type"] == "application/scim+json"
        assert "Traceback" not in answer.text
        return answer

    def send_together(self, *calls: tuple[str, str, Any]) -> list[httpx.Response]:
        """Make several calls at the same time: (method, path, body)."""

        async def call() -> list[httpx.Response]:
            return await asyncio.gather(*(self._call(*one) for one in calls))

        return self.runner.run(call())

    async def _call(self, method: str, path: str, body: Any, *, sub: str = "hr", **options: Any) -> httpx.Response:
        headers = {"authorization": sign(claims(sub=sub)).decode(), "content-type": "application/scim+json"}
        headers |= options.pop("headers", {})
        content = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        transport = httpx.ASGITransport(app=self.application, client=("127.0.0.1", 9))  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway.example") as client:
            return await client.request(method, f"/scim/v2{path}", headers=headers, content=content, **options)

    def do(self, method: str, path: str, body: Any = None, **options: Any) -> Any:
        """Call, and give what a good answer says."""
        answer = self.send(method, path, body, **options)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def refused(self, method: str, path: str, body: Any = None, **options: Any) -> tuple[int, str, str]:
        """Call, and give what a refusal says: status, keyword, words. Nothing is recorded by it."""
        before = len(self.rules)
        answer = self.send(method, path, body, **options)
        told = answer.json()
        assert told["schemas"] == [ERROR]
        assert told["status"] == str(answer.status_code)
        assert len(self.rules) == before
        return answer.status_code, told.get("scimType", ""), told["detail"]

    def patch(self, number: int, *operations: dict[str, Any], **options: Any) -> Any:
        """Patch a user; give it as it is then."""
        return self.do("PATCH", f"/Users/{number}", patch_of(*operations), **options)

    def hire(self, name: str, **told: Any) -> int:
        """Tell of somebody new; give the number."""
        return int(self.do("POST", "/Users", user_of(name, **told))["id"])

    def user(self, number: int) -> Any:
        """Give a user."""
        return self.do("GET", f"/Users/{number}")


def patch_of(*operations: dict[str, Any]) -> dict[str, Any]:
    """Give a PATCH body."""
    return {"schemas": [PATCH], "Operations": list(operations)}


@contextmanager
def open_hr_stage(directory: Path) -> Iterator[HrStage]:
    """Found a deployment, let an HR system feed its register, and verify the ledger when all is done."""
    deployment = found_deployment(directory / "deployment")
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        world = runner.run(stack.enter_async_context(open_governed_world(deployment)))
        feed = runner.run(world.register_service("hr", feeds=True))
        rules: list[PeopleRecorded] = []
        world.runtime.keeper.on_rule(
            lambda rule, about: rules.append(rule) if isinstance(rule, PeopleRecorded) else None
        )
        yield HrStage(runner, world, make_gateway(world), feed, rules)
        runner.run(stack.aclose())
    verified(deployment, directory / "bundle")
