"""Naming users in a request: who may learn the references by which a grant is limited to some users.

That is whoever may ask for such a grant, and whoever may agree to one: they would sign for users whom they cannot tell.
"""

from __future__ import annotations

from typing import Final

from ringfence.core.changes import LEGAL_DEMAND
from ringfence.core.charter.governance import Operation
from ringfence.core.errors import ProofInvalidError
from ringfence.core.ledger.entry import SubjectsNamed
from ringfence.core.state import State

USERS_NAMED_MAX: Final = 100
_OPERATIONS: Final = ("grant", LEGAL_DEMAND)


def may_name(state: State, principal: int, *, at_ms: int) -> bool:
    """Tell whether a caller is a member with a duty that may ask for grants or agree to them."""
    if state.standing is None:
        return False
    member = state.standing.members.get(principal)
    if member is None or not member.is_active(at_ms) or state.standing.stopped:
        return False
    operations = [state.governance.operations[name] for name in _OPERATIONS]
    return any(not member.duties.keys().isdisjoint(_duties_of(operation)) for operation in operations)


def _duties_of(operation: Operation) -> set[str]:
    agreeing = {duty for groups in operation.alternatives for group in groups for duty in group.duties}
    return agreeing.union(operation.propose)


def check_naming(state: State, entry: SubjectsNamed, *, at_ms: int) -> None:
    """Check that users were named for somebody who may ask for grants or agree to them.

    Raises:
        ProofInvalidError: they were not.
    """
    if not 1 <= entry.users <= USERS_NAMED_MAX or not may_name(state, entry.principal, at_ms=at_ms):
        raise ProofInvalidError(
            "users were named for somebody who may neither ask for access to them nor agree to it",
            found=str(entry.principal),
        )
