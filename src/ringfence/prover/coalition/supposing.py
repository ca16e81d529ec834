"""What if: the state that a change would lead to, whoever agrees to it."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from ringfence.core import changes as c
from ringfence.core.charter import Charter
from ringfence.core.charter_governance import Operation
from ringfence.core.errors import ProofInvalidError
from ringfence.core.governance.conditions import why_impossible
from ringfence.core.governance.effects import apply
from ringfence.core.standing import Proposal
from ringfence.core.state import State

_NOBODY: Final = 0


def suppose(state: State, change: c.AnyChange, *, at_ms: int, charter: Charter | None = None) -> State:
    """Give the state after a change, as if all had agreed who must.

    Args:
        state: before it; of a governed ledger.
        change: to suppose.
        at_ms: when.
        charter: the one that an `EnactCharter` names.

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
        charter=charter,
    )
    if reason := why_impossible(state, proposal, at_ms=at_ms):
        raise ProofInvalidError(f"{operation} is not possible: {reason}", place=operation)
    following, _ = apply(state, proposal, at_ms=at_ms, place=operation)
    return replace(following, epoch=state.epoch + 1)
