"""Erasing a user: a rule of its own, so that no later access may list the subject.

The rows go in the transaction of the entry. Until the key-encryption key of the subject's key epoch is destroyed, old
pages and backups of the database may still hold them: the answer says "refused from", not yet "shredded at".
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ringfence.core.decisions.refusal_words import why_refused
from ringfence.core.decisions.ruling import Ruling, rule_access, rule_erasure
from ringfence.core.errors import ConflictError, DeniedError, NotFoundError
from ringfence.core.ledger import entry as e
from ringfence.core.ports import ItemConflictError, SubjectErasure
from ringfence.core.state import State
from ringfence.services.custody.access_entries import access_entry
from ringfence.services.custody.callers import check_caller, party_of
from ringfence.services.custody.gate import Gate
from ringfence.services.custody.refusing import RULES_CHANGED, record_refusal
from ringfence.services.custody.request import Caller, Request
from ringfence.services.custody.request_checks import check_name, check_purpose
from ringfence.services.jobs import Prepared

ATTEMPTS_MAX: Final = 8


@dataclass(frozen=True, slots=True)
class ErasureAnswer:
    """The erasure's receipt, and the time from which every access is refused (milliseconds since 1970 UTC)."""

    receipt: str
    refused_from_ms: int
    epoch: int


async def erase_user(gate: Gate, caller: Caller, *, purpose: str, user: str) -> ErasureAnswer:
    """Erase every record and key of a user.

    Raises:
        DeniedError: the charter does not permit this caller to erase every class of every dataset.
        NotFoundError: the user is not in the vault (any more).
        ConflictError: the rules changed too often meanwhile.
    """
    check_name(user, "user")
    check_purpose(gate, purpose)
    request = Request(caller, purpose, "erase", "single", 1)

    def rule(state: State, at_ms: int) -> Ruling:
        return rule_erasure(
            state,
            principal=caller.principal,
            country=caller.country,
            purpose=purpose,
            at_ms=at_ms,
            build=caller.build,
        )

    unresolved = e.About(unknown=[gate.subjects.index(user)])
    if not _is_permitted(rule(gate.keeper.state, gate.clock_ms())):
        receipt = await record_refusal(
            gate, request, "", unresolved, rule=rule, is_refused=lambda ruling: not _is_permitted(ruling)
        )
        raise DeniedError(
            f"{party_of(gate, caller)} may not erase a user from {caller.country} for the purpose {purpose}: "
            f"{_why_refused(gate, request)}",
            receipt=receipt,
        )
    for _ in range(ATTEMPTS_MAX):
        subject = await gate.subjects.find(user, fresh=True)
        if subject is None:
            receipt = await _record_miss(gate, request, unresolved, rule)
            raise NotFoundError(f"the user is not in the vault (receipt {receipt})")
        erasing = _Erasing(gate, request, rule, subject.subject_ref)
        try:
            committed = await gate.singles.submit(erasing.prepare, rule=True)
        except ItemConflictError:
            continue
        if not erasing.permitted:
            raise DeniedError(RULES_CHANGED, receipt=committed.receipt_text)
        state = await gate.keeper.refresh()
        return ErasureAnswer(committed.receipt_text, committed.at_ms, state.epoch)
    raise ConflictError("the user changed too often meanwhile", hint="try again")


async def _record_miss(gate: Gate, request: Request, about: e.About, rule: Callable[[State, int], Ruling]) -> str:
    """Write that somebody asked to erase a user who is not there, so that it touched no record; gives the receipt."""
    miss = Request(request.caller, request.purpose, request.verb, request.shape, 0)

    def prepare(state: State, at_ms: int) -> Prepared:
        leaf, opening = access_entry(gate, miss, dataset="", decided=dict(rule(state, at_ms).decided), about=about)
        return Prepared(entries=[leaf], openings=[opening])

    return (await gate.singles.submit(prepare)).receipt_text


def _why_refused(gate: Gate, request: Request) -> str:
    """Say what stops the caller whatever is erased, else that some class is permitted by no clause."""
    state, at_ms = gate.keeper.state, gate.clock_ms()
    asked = request.asked(next(iter(state.rules.datasets)))._replace(grant=0)  # no grant lets anybody erase
    ruling = rule_access(state, asked, state.rules.classes, at_ms=at_ms)
    reason = why_refused(state, asked, ruling.decided, at_ms=at_ms)
    return reason.words if reason.governed else "no clause of the charter permits it for every class and dataset"


def _is_permitted(ruling: Ruling) -> bool:
    return len(ruling.permitted) == len(ruling.decided)


class _Erasing:
    """One erasure on its way."""

    def __init__(self, gate: Gate, request: Request, rule: Callable[[State, int], Ruling], subject_ref: bytes) -> None:
        self._gate = gate
        self._request = request
        self._rule = rule
        self._subject_ref = subject_ref
        self.permitted = False

    def prepare(self, state: State, at_ms: int) -> Prepared:
        """Decide on this state; give the rule, or the entry of a refusal."""
        ruling = self._rule(state, at_ms)
        self.permitted = _is_permitted(ruling)
        about, decided = e.About(subjects=[self._subject_ref]), dict(ruling.decided)
        if not self.permitted:
            leaf, opening = access_entry(self._gate, self._request, dataset="", decided=decided, about=about)
            return Prepared(entries=[leaf], openings=[opening])
        opening = e.render_opening(os.urandom(e.SALT_SIZE_BYTES), about)
        caller = self._request.caller
        check_caller(self._gate, caller)
        rule = e.SubjectErased(
            principal=caller.principal,
            country=caller.country,
            purpose=self._request.purpose,
            decided=decided,
            about=e.commit(opening),
            country_from=caller.country_from,
            build=caller.build,
        )
        return Prepared(
            entries=[e.render_entry(rule)],
            openings=[opening],
            erasures=[SubjectErasure(0, self._subject_ref)],
            rule=True,
        )
