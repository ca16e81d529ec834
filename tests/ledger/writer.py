"""Writes batches, seals and rules into a real store, as gateways do, without their decisions."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ringfence.core.ledger import entry as e
from ringfence.core.ledger.detail import render_detail
from ringfence.core.ledger.lane import (
    AUTHORITY_LANE,
    BuiltBatch,
    LaneHead,
    authenticate_header,
    build_batch,
    lane_secret,
    seal_head,
)
from ringfence.core.ledger.merkle import hash_leaf
from ringfence.core.ledger.signed_note import render_vkey, verifier_key_of
from ringfence.core.ports import Store, StoredSeal, Transaction

ORIGIN = "ledger.example.com/custody"
START_MS = 1_700_000_000_000
LOG_KEY = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"log").digest())
VERIFIER = verifier_key_of(LOG_KEY, name=ORIGIN)


def key_of(lane: int) -> Ed25519PrivateKey:
    """The same key for the same lane in every test."""
    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"lane %d" % lane).digest())


def public_key_of(lane: int) -> bytes:
    return key_of(lane).public_key().public_bytes_raw()


def genesis(engine: str) -> e.Genesis:
    return e.Genesis(
        origin=ORIGIN,
        mode=e.DEVELOPMENT,
        engine=engine,
        authority=public_key_of(AUTHORITY_LANE),
        log_key=render_vkey(VERIFIER),
        at_ms=START_MS,
    )


def refusals(number: int) -> bytes:
    """An access entry that needs no charter, told from others by its number."""
    return e.render_entry(e.Refusals(principal=0, reason="unauthenticated", requests=number + 1, since_ms=START_MS))


def opening_of(leaf: bytes) -> bytes:
    """What the tests keep as the detail of an entry: anything that tells one entry's from another's."""
    return bytes(e.SALT_SIZE_BYTES) + hashlib.sha256(leaf).digest()


@dataclass
class PlainCustody:
    """Seals detail with a mark of lane and batch, so that a test sees whether the right one was opened."""

    jurisdiction: str = "US"

    def seal_detail(self, *, lane: int, n: int, plaintext: bytes) -> bytes:
        return b"%d/%d:" % (lane, n) + plaintext

    def open_detail(self, *, lane: int, n: int, sealed: bytes) -> bytes:
        mark = b"%d/%d:" % (lane, n)
        if not sealed.startswith(mark):
            raise AssertionError("the detail of another batch was opened")
        return sealed.removeprefix(mark)


@dataclass
class LedgerWriter:
    """Every lane of a small ledger. Keeps to what gateways promise: see `core.ledger.lane` and the order of leaves."""

    store: Store
    heads: dict[int, LaneHead] = field(default_factory=dict)
    epochs: dict[int, int] = field(default_factory=dict)
    sealed: dict[int, int] = field(default_factory=dict)
    epoch: int = 0
    at_ms: int = START_MS
    entries: int = 0

    async def begin(self, *lanes: int, engine: str) -> None:
        """Genesis, then one rule for each lane."""
        await self.rule(AUTHORITY_LANE, genesis(engine))
        for lane in lanes:
            await self.certify(lane)

    async def certify(self, lane: int) -> None:
        await self.rule(
            AUTHORITY_LANE, e.LaneCertified(lane=lane, key=public_key_of(lane), build="build-1", duty="gateway")
        )

    async def access(self, lane: int, count: int = 1) -> LaneHead:
        """Commit a batch of `count` access entries."""
        if self.epochs.get(lane) != self.epoch:
            await self.seal(lane)
        leaves = [refusals(self.entries + number) for number in range(count)]
        self.entries += count
        await self._transact(lane, leaves, rule=False)
        return self.heads[lane]

    async def rule(self, lane: int, rule: e.Rule, blob: bytes = b"") -> LaneHead:
        """Commit a rule with its seal."""
        await self.seal(lane)
        await self._transact(lane, [e.render_entry(rule)], rule=True, blob=blob)
        self.epoch += 1
        self.sealed[lane] = self.heads[lane].n
        return self.heads[lane]

    async def open_key_epoch(self, number: int) -> LaneHead:
        return await self.rule(AUTHORITY_LANE, e.KeyEpochOpened(data_class="protected", key_epoch=number))

    async def seal(self, lane: int) -> None:
        """Seal the lane's head if it is not."""
        head = self.heads.get(lane)
        if head is None or self.sealed.get(lane, 0) == head.n:
            return
        leaf = seal_head(key_of(lane), origin=ORIGIN, head=head)
        await self.store.put_seal(StoredSeal(lane, head.n, self.epochs[lane], leaf))
        self.sealed[lane] = head.n

    async def _transact(self, lane: int, leaves: list[bytes], *, rule: bool, blob: bytes = b"") -> None:
        if not await self.store.claim_lane(lane):
            raise AssertionError(f"lane {lane} is taken")
        self.at_ms += 1
        head = self.heads.get(lane, LaneHead(lane))
        built = build_batch(head, epoch=self.epoch, at_ms=self.at_ms, entries=leaves)
        await self.store.transact(
            Transaction(
                batch=built,
                code=authenticate_header(lane_secret(key_of(lane)), built.header),
                detail=self._detail(built),
                rule=rule,
                seal=seal_head(key_of(lane), origin=ORIGIN, head=built.head) if rule else b"",
                blob=blob,
            )
        )
        self.heads[lane] = built.head
        self.epochs[lane] = self.epoch

    def _detail(self, built: BuiltBatch) -> bytes:
        packed = render_detail([opening_of(leaf) for leaf in built.entries])
        return PlainCustody().seal_detail(lane=built.head.lane, n=built.head.n, plaintext=packed)


def entry_hash(number: int) -> bytes:
    """The leaf hash of the access entry of this number."""
    return hash_leaf(refusals(number))
