"""Naming users, so that people ask for access to them alone, or tell whom a request means: recorded, as all else."""

from __future__ import annotations

from collections.abc import Sequence

from ringfence.core.errors import DeniedError, LimitExceededError, NotFoundError
from ringfence.core.ledger import entry as e
from ringfence.core.naming import USERS_NAMED_MAX, may_name
from ringfence.core.state import State
from ringfence.services.custody.callers import check_caller
from ringfence.services.custody.gate import Gate
from ringfence.services.custody.request import Caller
from ringfence.services.custody.request_checks import check_name
from ringfence.services.jobs import Prepared


async def name_subjects(gate: Gate, caller: Caller, users: Sequence[str]) -> list[bytes]:
    """Give the references (16 bytes each) of some users, in the same order.

    Raises:
        DeniedError: the caller is no member with a duty that may ask for grants or agree to them.
        NotFoundError: one of them is not in the vault; says which. That is recorded too.
        LimitExceededError: none are named, or more than `USERS_NAMED_MAX`.
    """
    if not 1 <= len(users) <= USERS_NAMED_MAX:
        raise LimitExceededError(
            f"1 to {USERS_NAMED_MAX} users can be named, not {len(users)}",
            limit="users_named_max",
            value_max=USERS_NAMED_MAX,
        )
    for user in users:
        check_name(user, "user")
    _require(gate.keeper.state, caller, at_ms=gate.clock_ms())
    found = [await gate.subjects.find(user, fresh=True) for user in users]
    about = e.About(
        subjects=[subject.subject_ref for subject in found if subject],
        unknown=[gate.subjects.index(user) for user, subject in zip(users, found, strict=True) if subject is None],
    )

    def prepare(state: State, at_ms: int) -> Prepared:
        check_caller(gate, caller)
        _require(state, caller, at_ms=at_ms)
        opening = e.render_opening(gate.salts.take(), about)
        entry = e.SubjectsNamed(principal=caller.principal, users=len(users), about=e.commit(opening))
        return Prepared(entries=[e.render_entry(entry)], openings=[opening])

    await gate.singles.submit(prepare)
    missing = [user for user, subject in zip(users, found, strict=True) if subject is None]
    if missing:
        raise NotFoundError(f"there is no user {missing[0]!r:.80}")
    return [subject.subject_ref for subject in found if subject]


def _require(state: State, caller: Caller, *, at_ms: int) -> None:
    if not may_name(state, caller.principal, at_ms=at_ms):
        raise DeniedError(
            "only members who may ask for grants or agree to them can name users",
            could_ask=["a duty that may propose a grant or agree to one is given by an appointment"],
        )
