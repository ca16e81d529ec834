"""A whole deployment in a temporary directory, opened in this process, for tests of the services."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from ringfence.app.configuration import Configuration
from ringfence.app.deployment import Deployment, open_deployment
from ringfence.app.initialise import Ground, initialise
from ringfence.app.runtime import Runtime, clock_ms, make_sequencer, open_runtime
from ringfence.core.issuers import DEVELOPMENT_ISSUER
from ringfence.core.ledger.entry import DEVELOPMENT
from ringfence.ledger.export import export_bundle
from ringfence.services.custody.gate import Gate
from ringfence.services.custody.request import Caller
from ringfence.synthetic.geography import write_geography
from ringfence.verify import VERIFIED, Verdict, parse_trust, verify_bundle

US_ADDRESS = {"x-forwarded-for": "192.0.2.10"}
EXAMPLE = Path(__file__).parents[2] / "examples" / "us-user-data" / "charter.yaml"
OPEN = EXAMPLE.read_text("utf-8").replace("    builds: approved\n", "")
"""The worked example for a ledger that is not governed, in which nobody approves builds: ranking asks for none."""
Result = TypeVar("Result")


@dataclass
class World:
    """An open deployment with three callers: the app, the parent's analyst, and the custodian's own staff."""

    directory: Path
    runtime: Runtime
    gate: Gate
    principals: dict[str, int]

    def caller(self, name: str, country: str = "US") -> Caller:
        """Give a caller at a country."""
        return Caller(self.principals[name], country)


def make_deployment(directory: Path, *, charter: bytes | None = None, store: str = "sqlite") -> Deployment:
    """Make a deployment in development mode and register the callers. Loopback may name a U.S. address as a proxy."""
    geography = directory.with_name("geography.mmdb")
    write_geography(geography)
    configuration = Configuration(
        store=store, region="virginia", geography=str(geography), trusted_proxies={"edge": "127.0.0.1/32"}
    )
    asyncio.run(
        initialise(
            directory,
            Ground(
                charter_text=charter or OPEN.encode(),
                charter_file="charter.yaml",
                origin="ledger.example.org/test",
                configuration=configuration,
                mode=DEVELOPMENT,
            ),
        )
    )
    deployment = open_deployment(directory)
    asyncio.run(_register(deployment))
    return deployment


async def _register(deployment: Deployment) -> None:
    async with open_runtime(deployment) as runtime, runtime.governance() as governance:
        for name, party in (("app", "tiktok"), ("parent", "bytedance"), ("staff", "usds"), ("overseer", "cfius")):
            await governance.register(issuer=DEVELOPMENT_ISSUER, subject=name, party=party)


@asynccontextmanager
async def open_world(deployment: Deployment) -> AsyncIterator[World]:
    """Open the custody service on a deployment."""
    async with open_runtime(deployment) as runtime, runtime.gate() as gate:
        state = runtime.keeper.state
        names = {subject: number for (issuer, subject), number in state.identities.items()}
        yield World(deployment.directory, runtime, gate, names)


def in_world(deployment: Deployment, work: Callable[[World], Awaitable[Result]]) -> Result:
    """Run one piece of work in an open world."""

    async def run() -> Result:
        async with open_world(deployment) as world:
            return await work(world)

    return asyncio.run(run())


async def sequence(deployment: Deployment) -> None:
    """Sequence everything that is sealed."""
    trust = deployment.read_trust()
    store = deployment.make_store()
    await store.open()
    sequencer = make_sequencer(deployment, store, trust=trust)
    await sequencer.open()
    while (await sequencer.run_round()).more:
        pass
    await sequencer.close()
    await store.close()


def verified(deployment: Deployment, target: Path) -> Verdict:
    """Sequence, export with openings, verify against the trust file; the verdict must be `verified`."""

    async def export() -> None:
        await sequence(deployment)
        async with open_runtime(deployment) as runtime:
            await export_bundle(runtime.store, runtime.custody, deployment.ledger, target, detail=True)

    asyncio.run(export())
    trust = parse_trust((deployment.directory / "trust.json").read_bytes(), file="trust.json")
    verdict = verify_bundle(target, trust=trust, now_seconds=clock_ms() // 1000)
    assert verdict.outcome == VERIFIED, verdict.refutations
    return verdict
