"""What the authority's key alone writes: the first entry, lanes, and in a ledger without founders every rule."""

from __future__ import annotations

import hashlib
import os
from typing import Final

from ringfence.core.charter import parse_charter
from ringfence.core.decisions.engines import NEWEST_ENGINE
from ringfence.core.errors import ConflictError, InvalidInputError, NotFoundError
from ringfence.core.ledger import entry as e
from ringfence.core.ledger.lane import AUTHORITY_LANE
from ringfence.core.ports import Store
from ringfence.core.state import State
from ringfence.services.governance.rule_writing import RuleWriter, WrittenRule
from ringfence.services.keeper import RuleKeeper
from ringfence.services.lane_recovery import LaneKey, find_closing_point
from ringfence.services.writer import LaneWriter

IDENTITY_CHARACTERS_MAX: Final = 255


class Governance(RuleWriter):
    """Writes rules.

    Args:
        keeper: the state that the rules change.
        authority: the writer of lane 0.
        store: tells where a lane that is to be closed stands.
    """

    def __init__(self, keeper: RuleKeeper, authority: LaneWriter, *, store: Store) -> None:
        super().__init__(keeper, authority)
        self._store = store

    async def begin(self, genesis: e.Genesis, *, opening: bytes | None = None) -> None:
        """Write the first entry of all; a governed ledger's has the founding document as its opening."""
        await self.write(lambda state, at_ms: WrittenRule(genesis, opening))

    async def enact(self, text: bytes, *, file: str) -> State:
        """Put a charter in force.

        Raises:
            CharterInvalidError: it has problems.
            ConflictError: its version does not grow, it is of another jurisdiction, or the ledger is governed and has
                its first charter.
        """
        charter = parse_charter(text, file=file)
        entry = e.CharterEnacted(
            name=charter.name, version=charter.version, digest=hashlib.sha256(text).digest(), engine=NEWEST_ENGINE
        )

        def make(state: State, at_ms: int) -> WrittenRule:
            if state.charter is not None:
                _check_alone(state, hint="propose `enact-charter`")
            return WrittenRule(entry, file=text)

        return await self.write(make)

    def next_lane(self) -> int:
        """Give the number that the next lane will have. Nobody else certifies one while this holds the authority."""
        return max(self.keeper.state.lanes, default=0) + 1

    async def certify_lane(self, lane: int, *, key: bytes, build: str, duty: str) -> State:
        """Let a new lane write.

        Args:
            lane: its number, from `next_lane`.
            key: the lane's Ed25519 public key, 32 bytes.
            build: what runs it: a digest or version, in words.
            duty: `gateway` or `ingest`.
        """
        entry = e.LaneCertified(lane=lane, key=key, build=build, duty=duty)
        return await self.write(lambda state, at_ms: WrittenRule(entry))

    async def recover_lane(self, lane: int, *, reason: str) -> int:
        """Go on without whatever a lane wrote after what it sealed; gives its last batch. `verify` always reports it.

        Raises:
            ConflictError: the lane is not open, a process writes it, or in a governed ledger no quorum agreed to go on
                from there for this reason.
        """
        known = (await self.keeper.refresh()).lanes.get(lane)
        if known is None or known.closed_after is not None or lane == AUTHORITY_LANE:
            raise ConflictError(f"the rules do not allow this: lane {lane} is not open, so it cannot be closed")
        # Held first, looked at then: what a running process seals in between would be in the tree behind its end.
        if not await self._store.claim_lane(lane):
            raise ConflictError(f"lane {lane} is being written by a running process", hint="stop that process first")
        try:
            origin = self.keeper.state.origin
            n = await find_closing_point(self._store, lane, key=LaneKey(origin=origin, public_key=known.key))
            _check_agreed(self.keeper.state, lane, n=n, reason=reason)
            await self.write(lambda state, at_ms: WrittenRule(e.LaneRecovered(lane=lane, n=n, reason=reason)))
            return n
        finally:
            await self._store.release_lane(lane)

    async def register(self, *, issuer: str, subject: str, party: str) -> int:
        """Make a caller known as belonging to a party; gives its number.

        Raises:
            ConflictError: the identity is registered already, or the ledger is governed.
            InvalidInputError: the party is not in the charter, or a name is no token's.
        """
        _check_identity(issuer, "issuer")
        _check_identity(subject, "subject")
        opening = e.render_opening(os.urandom(e.SALT_SIZE_BYTES), e.Identity(issuer=issuer, subject=subject))
        given: list[int] = []

        def make(state: State, at_ms: int) -> WrittenRule:
            _check_alone(state, hint="propose `admit` for a person, `register-service` for a service")
            if (issuer, subject) in state.identities:
                raise ConflictError(f"{subject} of {issuer} is registered already")
            if party not in state.rules.parties:
                raise InvalidInputError(
                    f"there is no party {party!r:.80}",
                    place="party",
                    hint=f"the charter names {', '.join(state.rules.parties)}",
                )
            given[:] = [state.principal_last + 1]
            return WrittenRule(e.PrincipalRegistered(number=given[0], party=party, identity=e.commit(opening)), opening)

        await self.write(make)
        return given[0]

    async def withdraw(self, *, issuer: str, subject: str) -> State:
        """Make a caller unknown.

        Raises:
            NotFoundError: it is not known.
            ConflictError: the ledger is governed.
        """

        def make(state: State, at_ms: int) -> WrittenRule:
            _check_alone(state, hint="order `dismiss` for a person, `withdraw-service` for a service")
            number = state.identities.get((issuer, subject))
            if number is None:
                raise NotFoundError(f"{subject} of {issuer} is not registered")
            return WrittenRule(e.PrincipalWithdrawn(number=number))

        return await self.write(make)

    async def open_key_epoch(self, data_class: str, key_epoch: int) -> State:
        """State that new keys of a class are wrapped under this key epoch."""
        entry = e.KeyEpochOpened(data_class=data_class, key_epoch=key_epoch)
        return await self.write(lambda state, at_ms: WrittenRule(entry))


def _check_alone(state: State, *, hint: str) -> None:
    """Tell whoever makes a rule alone how it is made in a governed ledger, which would not take it."""
    if state.standing is not None:
        raise ConflictError("the ledger is governed: nobody makes this rule alone", hint=f"{hint} (docs/governance.md)")


def _check_agreed(state: State, lane: int, *, n: int, reason: str) -> None:
    """Tell whoever recovers a lane of a governed ledger what has to be agreed to, or what was."""
    if state.standing is None:
        return
    agreed = state.standing.recoveries.get(lane)
    if agreed is None or agreed[0] != n:
        raise ConflictError(
            f"lane {lane} ends at its batch {n}, and no quorum agreed to go on from there",
            hint=f"propose `recover-lane` with lane {lane}, n {n} and the reason",
        )
    if agreed[1] != reason:
        raise ConflictError(
            f"a quorum agreed to go on without the rest of lane {lane} for another reason",
            hint=f"give the reason that was agreed to: {agreed[1]!r:.500}",
        )


def _check_identity(name: str, place: str) -> None:
    """Refuse what no token that is taken could say, so that nobody is registered who can never call."""
    if not 0 < len(name) <= IDENTITY_CHARACTERS_MAX:
        raise InvalidInputError(
            f"the {place} has {len(name)} characters, not 1 to {IDENTITY_CHARACTERS_MAX}", place=place
        )
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        raise InvalidInputError(f"the {place} is not UTF-8", place=place) from None
