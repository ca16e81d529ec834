"""The gateway's application in this process, on a real deployment, called as a server calls it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from ringfence.app.deployment import Deployment
from ringfence.app.serving import _tree_files
from ringfence.app.surroundings import make_country_finder
from ringfence.app.tokens import PUBLIC_FILE, mint_token
from ringfence.core.issuers import DEVELOPMENT_ISSUER
from ringfence.core.ledger.entry import DEVELOPMENT
from ringfence.core.ledger.receipt import parse_receipt
from ringfence.gateway.application import Gateway
from ringfence.gateway.authentication import TokenChecker, read_issuer
from ringfence.gateway.governance import GovernanceCalls
from ringfence.gateway.openapi import openapi_document
from ringfence.gateway.scim.calls import ScimCalls
from ringfence.ledger.receipts import prove_receipt
from ringfence.ledger.tree_reader import TreeReader
from ringfence.services.custody.gate import Gate
from tests.services.world import make_deployment, open_world, sequence


@dataclass
class Stage:
    """An application, the gate behind it, tokens of its callers, and the loop that they run on."""

    runner: asyncio.Runner
    application: Gateway
    gate: Gate
    tokens: dict[str, str]
    reasons: list[str]
    deployment: Deployment

    def sequence(self) -> None:
        """Have everything that was written so far put under a signed checkpoint."""
        for lane in (self.gate.singles, self.gate.bulk):  # the loop stands still between requests, and so do its seals
            self.runner.run(lane.seal())
        self.runner.run(sequence(self.deployment))

    def request(self, method: str, path: str, *, name: str = "app", **options: Any) -> httpx.Response:
        """Call as a registered caller in the U.S.; an exception of the application is the caller's."""
        headers = {"authorization": f"Bearer {self.tokens[name]}", "x-forwarded-for": "192.0.2.10"}
        headers |= options.pop("headers", {})

        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(app=self.application, client=("127.0.0.1", 9))  # type: ignore[arg-type]
            async with httpx.AsyncClient(transport=transport, base_url="http://gateway.example") as client:
                return await client.request(method, path, headers=headers, **options)

        return self.runner.run(send())

    def raw(self, method: str, raw_path: bytes, query: bytes, headers: list[tuple[bytes, bytes]], body: bytes) -> int:
        """Call with bytes that no client would send; gives the status."""
        sent: list[Any] = []
        scope = {
            "type": "http",
            "method": method,
            "path": raw_path.decode("latin-1"),
            "raw_path": raw_path,
            "query_string": query,
            "headers": headers,
            "client": ("127.0.0.1", 9),
        }

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        self.runner.run(self.application(scope, receive, send))
        assert [message["type"] for message in sent[:1]] == ["http.response.start"]
        status: int = sent[0]["status"]
        return status


@contextmanager
def open_stage(directory: Path) -> Iterator[Stage]:
    """Make a deployment and open its gateway's application."""
    deployment = make_deployment(directory)
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        world = runner.run(stack.enter_async_context(open_world(deployment)))
        runtime, tree = world.runtime, TreeReader.in_directory(deployment.ledger)
        reasons: list[str] = []

        async def prove(text: str) -> bytes:
            return await prove_receipt(runtime.store, tree, parse_receipt(text), log_key=runtime.trust.log_key)

        issuer = read_issuer(DEVELOPMENT_ISSUER, deployment.keys / PUBLIC_FILE)
        tokens = {
            name: mint_token(deployment, runtime.keeper.state, subject=name, lifetime_seconds=3600)
            for name in ("app", "parent", "staff", "overseer")
        }
        application = Gateway(
            world.gate,
            tokens=TokenChecker(
                lambda: {DEVELOPMENT_ISSUER: issuer}, clock_seconds=lambda: world.gate.clock_ms() / 1000
            ),
            countries=make_country_finder(deployment, mode=DEVELOPMENT),
            readiness=lambda: reasons,
            notes=list,
            documents={"/openapi.json": (b"application/json", openapi_document)},
            tree_file=_tree_files(deployment.ledger),
            prove=prove,
            governance=GovernanceCalls(world.gate, runtime.signed_governance),
            people=ScimCalls(world.gate, runtime.governance),
        )
        yield Stage(runner, application, world.gate, tokens, reasons, deployment)
        runner.run(stack.aclose())
