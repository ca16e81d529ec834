"""What people do with their own keys: propose a change, approve or decline one, order one.

Rules of this file:
1. Whoever signs is found by the key, never told by the request. The state refuses what does not count: the same
   function that the verifier runs.
2. Each step is one rule entry, durable before it is answered. A proposal that has enough approvals is carried by
   whoever notices: the one who approved last, or anyone later (`carry`), once a veto's time is over.
3. The bytes that were signed are kept as they came.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass

from ringfence.core.errors import ConflictError, DeniedError, InvalidInputError, NotFoundError, ProofInvalidError
from ringfence.core.folding import RuleSource, complete
from ringfence.core.governance.effects import next_number
from ringfence.core.governance.proposals import why_not_carried
from ringfence.core.governance.statement import Statement, parse_statement
from ringfence.core.ledger import entry as e
from ringfence.core.ledger.governed_entry import Approved, Carried, Declined, Ordered, Proposed, Signed
from ringfence.core.ledger.lane import AUTHORITY_LANE
from ringfence.core.people.signatures import read_signature
from ringfence.core.people.standing import Proposal, SigningKey
from ringfence.core.state import State
from ringfence.services.governance.rule_writing import RuleWriter, WrittenRule


@dataclass(frozen=True, slots=True)
class Done:
    """What became of a step.

    Attributes:
        epoch: the state's, with the step in it.
        proposal: number of the proposal; 0 for an order.
        number: of the grant, key, service or suspension that was made; 0 when nothing was.
        is_carried: whether the change is in effect.
        waits_for: what the proposal still lacks, in words; "" when nothing.
    """

    epoch: int
    proposal: int = 0
    number: int = 0
    is_carried: bool = False
    waits_for: str = ""


class SignedGovernance:
    """Takes what people signed and writes what follows.

    Args:
        rules: writes into the authority's lane.
    """

    def __init__(self, rules: RuleWriter) -> None:
        self._rules = rules

    async def propose(self, statement: bytes, signature: bytes, *, file: bytes = b"") -> Done:
        """Ask for a change.

        Args:
            statement: the exact bytes that were signed.
            signature: SSHSIG over them, in the namespace `propose@ringfence`.
            file: the charter's file, when the change is to enact one.

        Raises:
            InvalidInputError: it is no statement, or no signature.
            DeniedError: the key is not enrolled.
            ConflictError: the rules do not allow it; says by which rule.
        """
        told = parse_statement(statement)
        opening = _opening(Signed(statement, signature))
        numbers: list[int] = []

        def make(state: State, at_ms: int) -> WrittenRule:
            key = find_key(state, signature)
            numbers[:] = [state.governed.proposal_last + 1]
            rule = Proposed(
                number=numbers[0],
                by=told.by,
                key=key.number,
                change=told.change,
                expires_ms=told.expires_ms,
                statement=e.commit(opening),
            )
            return WrittenRule(rule, opening, file)

        state = await self._rules.write(make)
        return Done(state.epoch, proposal=numbers[0], waits_for=self._waits_for(state, numbers[0]))

    async def approve(self, proposal: int, signature: bytes) -> Done:
        """Agree to a proposal, and carry it if that was the last that it lacked.

        Args:
            proposal: its number.
            signature: SSHSIG over the proposal's statement, in the namespace `approve@ringfence`.

        Raises:
            NotFoundError: it is not open.
            InvalidInputError, DeniedError, ConflictError: as for `propose`.
        """
        opening = _opening(Signed(b"", signature))

        def make(state: State, at_ms: int) -> WrittenRule:
            key = find_key(state, signature)
            require_open(state, proposal)
            rule = Approved(proposal=proposal, by=key.person, key=key.number, signature=e.commit(opening))
            return WrittenRule(rule, opening)

        state = await self._rules.write(make)
        try:
            return await self.carry(proposal)
        except NotFoundError:  # somebody else carried it
            return Done(state.epoch, proposal=proposal)
        except ConflictError as error:
            return Done(state.epoch, proposal=proposal, waits_for=self._waits_for(state, proposal) or error.message)

    async def decline(self, proposal: int, signature: bytes) -> Done:
        """Refuse a proposal, which ends it; the signature is in the namespace `decline@ringfence`.

        Raises:
            NotFoundError, InvalidInputError, DeniedError, ConflictError: as for `approve`.
        """
        opening = _opening(Signed(b"", signature))

        def make(state: State, at_ms: int) -> WrittenRule:
            key = find_key(state, signature)
            require_open(state, proposal)
            rule = Declined(proposal=proposal, by=key.person, key=key.number, signature=e.commit(opening))
            return WrittenRule(rule, opening)

        return Done((await self._rules.write(make)).epoch, proposal=proposal)

    async def carry(self, proposal: int) -> Done:
        """Put a proposal's change in effect.

        Raises:
            NotFoundError: it is not open.
            ConflictError: it still lacks something; says what.
        """
        await self._count_apart(proposal)
        numbers: list[int] = []

        def make(state: State, at_ms: int) -> WrittenRule:
            found = require_open(state, proposal)
            if reason := why_not_carried(state, found, at_ms=at_ms):
                raise ConflictError(f"proposal {proposal} is not carried yet: {reason}")
            numbers[:] = [next_number(state, found.change)]
            return WrittenRule(Carried(proposal=proposal, number=numbers[0]))

        state = await self._rules.write(make)
        return Done(state.epoch, proposal=proposal, number=numbers[0], is_carried=True)

    async def order(self, statement: bytes, signature: bytes) -> Done:
        """Take authority away at once, or break the glass; the signature is in the namespace `order@ringfence`.

        Raises:
            InvalidInputError, DeniedError, ConflictError: as for `propose`.
        """
        told = parse_statement(statement)
        opening = _opening(Signed(statement, signature))
        numbers: list[int] = []

        def make(state: State, at_ms: int) -> WrittenRule:
            key = find_key(state, signature)
            numbers[:] = [next_number(state, told.change)]
            rule = Ordered(
                by=told.by, key=key.number, change=told.change, statement=e.commit(opening), number=numbers[0]
            )
            return WrittenRule(rule, opening)

        state = await self._rules.write(make)
        return Done(state.epoch, number=numbers[0], is_carried=True)

    async def _count_apart(self, proposal: int) -> None:
        """Count what a proposal leaves of a coalition in a thread, so that nobody waits for whoever carries it.

        The writer and whoever folds the rule count by themselves, and find the same world counted; where another rule
        came between they count anew.
        """
        state = await self._rules.keeper.refresh()
        if (found := state.governed.proposals.get(proposal)) is not None:
            await asyncio.to_thread(describe_wait, state, found, at_ms=self._rules.now_ms())

    def _waits_for(self, state: State, number: int) -> str:
        """Say what a proposal still lacked at the newest rule's time."""
        proposal = state.governed.proposals.get(number)
        return "" if proposal is None else describe_wait(state, proposal, at_ms=state.ruled_ms)


def describe_wait(state: State, proposal: Proposal, *, at_ms: int) -> str:
    """Say what an open proposal still lacks, or why the rules refuse what has all of it; "" when it can be carried."""
    return why_not_carried(state, proposal, at_ms=at_ms) or why_refused(state, proposal, at_ms=at_ms)


def why_refused(state: State, proposal: Proposal, *, at_ms: int) -> str:
    """Say why the rules refuse an open proposal that has all its approvals; "" when they do not.

    It may take seconds where a charter asks for a coalition's size.
    """
    rule = Carried(proposal=proposal.number, number=next_number(state, proposal.change))
    try:
        complete(state, rule, RuleSource(lane=AUTHORITY_LANE, at_ms=at_ms))
    except ProofInvalidError as error:
        return error.message
    return ""


def find_key(state: State, signature: bytes) -> SigningKey:
    """Give the enrolled key that a signature says it is by.

    Raises:
        InvalidInputError: it is no signature.
        DeniedError: the key is not enrolled.
    """
    try:
        public = read_signature(signature).key
    except ProofInvalidError as error:
        raise InvalidInputError(error.message, place="signature", hint=f"expected {error.expected}") from None
    for key in state.governed.keys.values():
        if key.key == public:
            return key
    raise DeniedError(
        "the signature is by a key that is not enrolled", could_ask=["a key is enrolled by a proposal: enrol-key"]
    )


def require_open(state: State, number: int) -> Proposal:
    """Give an open proposal.

    Raises:
        NotFoundError: there is none such.
    """
    proposal = state.governed.proposals.get(number)
    if proposal is None:
        raise NotFoundError(f"proposal {number} is not open: it was carried or declined, has expired, or never was")
    return proposal


def statement_of(state: State, number: int) -> tuple[bytes, Statement]:
    """Give the exact bytes of an open proposal's statement, for whoever is asked to sign, and what they say.

    Raises:
        NotFoundError: there is no such proposal.
        InvalidInputError: its statement is withheld here.
    """
    proposal = require_open(state, number)
    if not proposal.statement:
        raise InvalidInputError(f"the statement of proposal {number} is not here", place="proposal")
    return proposal.statement, parse_statement(proposal.statement)


def _opening(signed: Signed) -> bytes:
    return e.render_opening(os.urandom(e.SALT_SIZE_BYTES), signed)
