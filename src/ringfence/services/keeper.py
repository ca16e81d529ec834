"""Keeps the state that this process decides on: folds committed rules, checks each one's seal before it counts.

A rule that the database's administrator wrote has no seal of a lane that may write it, and stops the process. So does
one of a governed ledger that lacks what it rests on, a signed statement or facts: the store has every opening, and
whoever has the authority's key alone signs in nobody's name. So does one that is dated before what a lane had committed
by then: what a lane wrote last was decided on the rules of its epoch, and stands before every later rule.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from ringfence.core.errors import IntegrityError, ProofInvalidError
from ringfence.core.folding import RuleSource, fold
from ringfence.core.key_custody import FACTS, KeyCustody
from ringfence.core.ledger import entry as e
from ringfence.core.ledger.detail import parse_detail
from ringfence.core.ledger.governed_entry import PeopleRecorded
from ringfence.core.ledger.lane import TIME_OFF_MS_MAX, LaneHead, parse_stored_batch, verify_seal
from ringfence.core.ledger.merkle import hash_leaf
from ringfence.core.ports import Store, StoredBatch, StoredRule
from ringfence.core.state import EMPTY, State

RULES_PER_FETCH_MAX: Final = 1000


class RuleKeeper:
    """The newest state that this process knows.

    Args:
        store: where the rules are.
        custody: opens the rules' detail.
        genesis: leaf hash (32 bytes) of the genesis entry, from the deployment's trust file.
    """

    def __init__(self, store: Store, custody: KeyCustody, *, genesis: bytes) -> None:
        self._store = store
        self._custody = custody
        self._genesis = genesis
        self._listeners: list[Callable[[e.Rule, e.About | None], None]] = []
        self._refreshing = asyncio.Lock()
        self.state: State = EMPTY

    def on_rule(self, listener: Callable[[e.Rule, e.About | None], None]) -> None:
        """Call `listener` with every rule that is folded from here on, and with who it is about if that is known."""
        self._listeners.append(listener)

    async def refresh(self) -> State:
        """Fold every rule that was committed since; give the newest state.

        Raises:
            IntegrityError: a stored rule is not one that a lane with that duty sealed, or it is dated back.
        """
        async with self._refreshing:
            while True:
                rules = await self._store.rules(after_epoch=self.state.epoch, rules_max=RULES_PER_FETCH_MAX)
                ends = await self._last_batches(rules)
                for rule in rules:
                    self._fold(rule, ends)
                if len(rules) < RULES_PER_FETCH_MAX:
                    return self.state

    async def _last_batches(self, rules: Sequence[StoredRule]) -> list[e.Batch]:
        """Give the last batch of each lane, if there are rules to hold against them.

        Which rules it stands before, its epoch tells: lanes go on writing after a rule. The time that the store keeps
        with a lane is not believed: nothing vouches for it.
        """
        lanes = await self._store.lanes() if rules else []
        found = [await self._store.find_batch(head.lane, head.n) for head in lanes]
        return [header for batch in found if batch is not None and (header := _header_of(batch)) is not None]

    def _fold(self, stored: StoredRule, ends: Sequence[e.Batch]) -> None:
        batch = stored.batch
        place = f"rule {self.state.epoch + 1} (lane {batch.lane}, batch {batch.n})"
        try:
            self._fold_checked(stored, ends, place)
        except ProofInvalidError as error:
            raise IntegrityError(
                f"a stored rule was not written by the custodian: {error.message}",
                place=error.place or place,
                hint="the database was changed behind the program: restore it, and keep this copy as evidence",
            ) from error

    def _fold_checked(self, stored: StoredRule, ends: Sequence[e.Batch], place: str) -> None:
        batch = stored.batch
        header, entries = parse_stored_batch(batch.header, batch.entries, place=place)
        rule = entries[0] if len(entries) == 1 else None
        if not isinstance(rule, e.RULE_TYPES) or header.count != 1:
            raise ProofInvalidError("a rule's batch does not hold exactly one rule", place=place)
        if header.epoch != self.state.epoch or (header.lane, header.n) != (batch.lane, batch.n):
            raise ProofInvalidError("a rule's batch is not the one that comes next", place=place)
        if isinstance(rule, e.Genesis) and hash_leaf(batch.entries[0]) != self._genesis:
            raise ProofInvalidError("the first rule is not the pinned genesis", place=place)
        opening = self._opening(stored, rule, place)
        source = RuleSource(
            lane=batch.lane, at_ms=header.at_ms, opening=opening, blob=self._file(stored, rule), place=place
        )
        following = fold(self.state, rule, source)
        if following.withheld > self.state.withheld:
            raise ProofInvalidError("what the rule rests on, signed or told by people, is not with it", place=place)
        self._check_seal(stored, header, following, place)
        _check_time(header, ends, place)
        self.state = following
        about = e.parse_about(opening, place=place) if opening and isinstance(rule, e.SubjectErased) else None
        for listener in self._listeners:
            listener(rule, about)

    def _opening(self, stored: StoredRule, rule: e.Rule, place: str) -> bytes | None:
        batch = stored.batch
        packed = self._custody.open_detail(lane=batch.lane, n=batch.n, sealed=batch.detail)
        opening = parse_detail(packed, entries=1, place=place)[0]
        commitment = e.commitment_of(rule)
        if opening is not None and e.commit(opening) != commitment:
            raise ProofInvalidError("a rule's opening is not what it commits to", place=place)
        return opening

    def _file(self, stored: StoredRule, rule: e.Rule) -> bytes | None:
        """Give the file that comes with a rule; facts about people are sealed in the store."""
        if not stored.blob or not isinstance(rule, PeopleRecorded):
            return stored.blob or None
        batch = stored.batch
        return self._custody.open_detail(lane=batch.lane, n=batch.n, sealed=stored.blob, part=FACTS)

    def _check_seal(self, stored: StoredRule, header: e.Batch, following: State, place: str) -> None:
        seal = e.parse_entry(stored.seal, place=place)
        head = LaneHead(lane=header.lane, n=header.n, hash=hash_leaf(stored.batch.header), at_ms=header.at_ms)
        if not isinstance(seal, e.Seal) or (seal.lane, seal.n, seal.head) != (head.lane, head.n, head.hash):
            raise ProofInvalidError("a rule's seal is not over its batch", place=place)
        if header.digest != e.commit(hash_leaf(stored.batch.entries[0])):
            raise ProofInvalidError("a rule's batch does not hold the rule that its header names", place=place)
        verify_seal(seal, origin=following.origin, key=following.lanes[header.lane].key, place=place)


def _header_of(batch: StoredBatch) -> e.Batch | None:
    """Give a stored batch's header; None where it is none, which folding and auditing tell of."""
    try:
        return parse_stored_batch(batch.header, ())[0]
    except ProofInvalidError:
        return None


def _check_time(rule: e.Batch, ends: Sequence[e.Batch], place: str) -> None:
    """Check that a rule is not dated before what a lane committed before it, as far as a store lets it be.

    Raises:
        IntegrityError: it is.
    """
    for end in ends:
        if end.epoch <= rule.epoch and end.at_ms > rule.at_ms + TIME_OFF_MS_MAX:
            back_seconds = (end.at_ms - rule.at_ms) / 1000
            raise IntegrityError(
                f"the rule that begins epoch {rule.epoch + 1} is dated {back_seconds:.1f} s before what lane"
                f" {end.lane} had committed by then (batch {end.n}): whoever has the authority's key dated it back",
                place=place,
                hint="the database was changed past the store: keep it as evidence, put it back to before this rule,"
                " and find out who had that key",
            )
