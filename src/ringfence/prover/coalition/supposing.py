"""What if: the state that a change would lead to, whoever agrees to it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from ringfence.core import changes as c
from ringfence.core.charter import Charter
from ringfence.core.charter.governance import Operation
from ringfence.core.coalition.countings import count_by, newest_for
from ringfence.core.coalition.gate import colluding, minimum_of
from ringfence.core.errors import ProofInvalidError
from ringfence.core.governance.conditions import why_impossible
from ringfence.core.governance.effects import apply
from ringfence.core.people.standing import Proposal
from ringfence.core.state import State

_NOBODY: Final = 0


@dataclass(frozen=True, slots=True)
class Supposed:
    """A state after a change that was supposed, and what the gate asks of that change.

    Attributes:
        state: after the change.
        minimum: how many people must be needed, by the charter before it and the one after it.
        parties: those with which it is counted (`colluding`).
        before: the charter in force before it, whose ties count as well.
        refused: why the gate would not let it be carried; "" when it would.
    """

    state: State
    minimum: int
    parties: tuple[str, ...]
    before: Charter
    refused: str


def suppose(
    state: State,
    change: c.AnyChange,
    *,
    at_ms: int,
    charter: Charter | None = None,
    identity: tuple[str, str] | None = None,
) -> Supposed:
    """Give what a change would lead to, as if all had agreed who must.

    Args:
        state: before it; of a governed ledger.
        change: to suppose.
        at_ms: when.
        charter: the one that an `EnactCharter` names.
        identity: (issuer, subject) that the change's commitment opens to, where it has one.

    Raises:
        ProofInvalidError: the change is not possible; says why.
    """
    operation = c.operation_of(change)
    proposal = Proposal(
        number=state.governed.proposal_last + 1,
        by=_NOBODY,
        change=change,
        operation=state.governance.operations.get(operation, Operation(operation, (), ())),
        at_ms=at_ms,
        epoch=state.epoch + 1,
        expires_ms=at_ms,
        identity=identity,
        charter=charter,
    )
    if reason := why_impossible(state, proposal, at_ms=at_ms):
        raise ProofInvalidError(f"{operation} is not possible: {reason}", place=operation)
    following, _ = apply(state, proposal, at_ms=at_ms, place=operation)
    refused = ""
    try:
        count_by(newest_for(state, following), state, following, change, at_ms=at_ms, place=operation)
    except ProofInvalidError as error:
        refused = error.message
    after = replace(following, epoch=state.epoch + 1)
    return Supposed(after, minimum_of(state, following), colluding(state, following), state.rules, refused)
