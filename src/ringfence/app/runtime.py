"""A deployment in use: the store, the keys, the state and the lanes of one process."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ringfence.app.build import build_digest, build_name
from ringfence.app.deployment import Deployment, Trust
from ringfence.core.errors import ConfigurationError, IntegrityError, ProofInvalidError, UnavailableError
from ringfence.core.folding import BUILD_PREFIX
from ringfence.core.key_custody import KeyCustody
from ringfence.core.ledger.lane import AUTHORITY_LANE
from ringfence.core.ports import Store
from ringfence.keys.files import write_key_file
from ringfence.ledger.rollback import verify_not_rolled_back
from ringfence.ledger.sequencer import Sequencer
from ringfence.ledger.shown import ShownCheckpoint
from ringfence.ledger.tree_reader import TreeReader
from ringfence.services.custody.gate import Gate
from ringfence.services.governance.authority import Governance
from ringfence.services.governance.signed import SignedGovernance
from ringfence.services.keeper import RuleKeeper
from ringfence.services.lane_recovery import verify_remembered
from ringfence.services.subjects import SubjectDirectory
from ringfence.services.writer import LaneWriter

AUTHORITY_WAIT_SECONDS_MAX: Final = 10.0
AUTHORITY_PAUSE_SECONDS: Final = 0.1


def clock_ms() -> int:
    """Give milliseconds since 1970 UTC."""
    return time.time_ns() // 1_000_000


@dataclass(slots=True)
class Runtime:
    """What one process has open."""

    deployment: Deployment
    trust: Trust
    store: Store
    custody: KeyCustody
    keeper: RuleKeeper
    tree: TreeReader
    copy: ShownCheckpoint
    _taken: set[int] = field(default_factory=set)

    def keep_shown(self) -> None:
        """Copy the tree's newest checkpoint to beside the keys: an older database is known by it if the tree is lost.

        Raises:
            IntegrityError: the tree's checkpoint or the copy is not this log's.
            UnavailableError: a file cannot be read or written.
        """
        note = self.tree.read_checkpoint()
        if note is not None:
            try:
                self.copy.keep(note)
            except ProofInvalidError as error:
                raise IntegrityError(
                    f"the tree directory's checkpoint is not this log's: {error}", place="checkpoint"
                ) from None

    @asynccontextmanager
    async def governance(self) -> AsyncIterator[Governance]:
        """Take the authority's lane for as long as the block runs.

        Raises:
            ConfigurationError: another process has it, or its key is not here.
        """
        deadline = time.monotonic() + AUTHORITY_WAIT_SECONDS_MAX
        while not await self.store.claim_lane(AUTHORITY_LANE):
            if time.monotonic() > deadline:
                raise ConfigurationError("another process is changing the rules", hint="try again when it is done")
            await asyncio.sleep(AUTHORITY_PAUSE_SECONDS)
        try:
            writer = LaneWriter(
                self.store,
                self.keeper,
                self.custody,
                origin=self.trust.origin,
                lane=AUTHORITY_LANE,
                key=self.deployment.signing_key("authority"),
                clock_ms=clock_ms,
                memory=self.deployment.lane_memory(AUTHORITY_LANE),
            )
            await writer.start()
            try:
                yield Governance(self.keeper, writer, store=self.store)
            finally:
                await writer.stop()
        finally:
            await self.store.release_lane(AUTHORITY_LANE)

    @asynccontextmanager
    async def signed_governance(self) -> AsyncIterator[SignedGovernance]:
        """Take the authority's lane to write what people signed, for as long as the block runs."""
        async with self.governance() as governance:
            yield SignedGovernance(governance)

    async def claim_lane(self, *, duty: str) -> LaneWriter:
        """Take a free lane with this duty whose key is here, or have a new one certified.

        Raises:
            ConfigurationError: none is free, and the authority's key is not here to certify one.
        """
        await self.keeper.refresh()
        for number, lane in sorted(self.keeper.state.lanes.items()):
            path = self.deployment.keys / "lanes" / f"{number}.key"
            if number not in self._taken and lane.duty == duty and lane.closed_after is None and path.exists():
                key = self.deployment.signing_key(f"lanes/{number}")
                if key.public_key().public_bytes_raw() == lane.key and await self.store.claim_lane(number):
                    return self._writer(number, key)
        return await self._certify_lane(duty)

    async def _certify_lane(self, duty: str) -> LaneWriter:
        """Have a new lane certified. It is claimed first: a store that another process holds writes no rule."""
        async with self.governance() as governance:
            await self.keeper.refresh()
            number = governance.next_lane()
            if not await self.store.claim_lane(number):
                raise ConfigurationError(
                    "another process serves from this database or takes exports in",
                    hint="the embedded database takes one at a time: stop the other first, or use PostgreSQL",
                )
            key = self._lane_key(number)
            is_governed = self.keeper.state.standing is not None
            build = f"{BUILD_PREFIX}{build_digest().hex()}" if is_governed else build_name()
            await governance.certify_lane(number, key=key.public_key().public_bytes_raw(), build=build, duty=duty)
        return self._writer(number, key)

    def _lane_key(self, number: int) -> Ed25519PrivateKey:
        """Make the key of a lane that is about to be certified; one that a crash left uncertified is taken up."""
        name = f"lanes/{number}"
        path = self.deployment.keys / f"{name}.key"
        if not path.exists():
            write_key_file(path, Ed25519PrivateKey.generate().private_bytes_raw())
        return self.deployment.signing_key(name)

    def _writer(self, number: int, key: Ed25519PrivateKey) -> LaneWriter:
        self._taken.add(number)
        return LaneWriter(
            self.store,
            self.keeper,
            self.custody,
            origin=self.trust.origin,
            lane=number,
            key=key,
            clock_ms=clock_ms,
            memory=self.deployment.lane_memory(number),
        )

    @asynccontextmanager
    async def gate(self, *, duty: str = "gateway") -> AsyncIterator[Gate]:
        """Open the custody service on two lanes of its own, and close it without losing anything."""
        async with AsyncExitStack() as stack:
            writers = []
            for _ in range(2):
                writer = await self.claim_lane(duty=duty)
                await writer.start()
                stack.push_async_callback(writer.stop)
                writers.append(writer)
            yield Gate(
                store=self.store,
                keys=self.custody,
                keeper=self.keeper,
                subjects=SubjectDirectory(self.store, self.custody, clock=time.monotonic),
                singles=writers[0],
                bulk=writers[1],
                clock_ms=clock_ms,
                region=self.deployment.configuration.region,
            )


def make_sequencer(deployment: Deployment, store: Store, *, trust: Trust) -> Sequencer:
    """Give the sequencer of a deployment on its open store.

    Raises:
        ConfigurationError: the checkpoint key is not here.
    """
    return Sequencer(
        store,
        tree_directory=deployment.ledger,
        key=deployment.signing_key("checkpoint"),
        origin=trust.origin,
        clock_ms=clock_ms,
        genesis_hash=trust.genesis,
        copy=deployment.shown_checkpoint(trust.log_key),
    )


@asynccontextmanager
async def open_runtime(deployment: Deployment, *, without_lane: int | None = None) -> AsyncIterator[Runtime]:
    """Open a deployment's store and keys and fold its rules; refuses a database older than what was shown or sealed.

    Args:
        without_lane: a lane that is about to be recovered: the store may lack what it is remembered to have sealed.

    Raises:
        ConfigurationError, RollbackError, IntegrityError, UnavailableError: as their names say.
    """
    trust = deployment.read_trust()
    custody = deployment.open_custody()
    store = deployment.make_store()
    await store.open()
    try:
        tree, copy = TreeReader.in_directory(deployment.ledger), deployment.shown_checkpoint(trust.log_key)
        heads = list(deployment.remembered_heads())  # before the store is asked: it is never behind them
        await verify_not_rolled_back(store, tree, log_key=trust.log_key, copied=copy.read())
        keeper = RuleKeeper(store, custody, genesis=trust.genesis)
        await keeper.refresh()
        runtime = Runtime(deployment, trust, store, custody, keeper, tree=tree, copy=copy)
        with contextlib.suppress(UnavailableError):  # whoever only looks may not write there
            runtime.keep_shown()
        open_lanes = {number for number, lane in keeper.state.lanes.items() if lane.closed_after is None}
        await verify_remembered(store, [head for head in heads if head.lane in open_lanes - {without_lane}])
        yield runtime
    finally:
        await store.close()
