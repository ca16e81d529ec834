"""Refusing: the entry of a refusal, and what the caller is told.

Above its rate a caller's refusals are counted instead of recorded singly.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ringfence.core.charter import Dataset
from ringfence.core.charter.catalog import classes_of
from ringfence.core.decisions.refusal_words import could_be_asked, why_refused
from ringfence.core.decisions.ruling import Ruling
from ringfence.core.errors import ConflictError, DeniedError
from ringfence.core.ledger import entry as e
from ringfence.core.state import State
from ringfence.services.custody.access_entries import access_entry
from ringfence.services.custody.callers import party_of
from ringfence.services.custody.gate import Gate
from ringfence.services.custody.request import Request
from ringfence.services.jobs import Prepared

RULES_CHANGED: Final = "the rules changed while the request waited: no clause of the charter permits it now"


async def refuse(gate: Gate, request: Request, dataset: Dataset, about: e.About) -> DeniedError:
    """Record a refusal and give the error to raise: the clause, or that none permits it, and what could be asked.

    Raises:
        ConflictError: as for `record_refusal`.
    """
    return await refuse_ruling(
        gate,
        request,
        dataset,
        about,
        rule=lambda state, at_ms: gate.rulings.rule(state, request, dataset, at_ms=at_ms),
    )


async def refuse_ruling(
    gate: Gate, request: Request, dataset: Dataset, about: e.About, *, rule: Callable[[State, int], Ruling]
) -> DeniedError:
    """Do as `refuse` does, for a ruling on other classes than all of the dataset's."""
    receipt = await record_refusal(gate, request, dataset.name, about, rule=rule)
    return denied(gate, request, dataset, rule(gate.keeper.state, gate.clock_ms()), receipt=receipt)


async def record_refusal(
    gate: Gate,
    request: Request,
    dataset: str,
    about: e.About,
    *,
    rule: Callable[[State, int], Ruling],
    is_refused: Callable[[Ruling], bool] = lambda ruling: not ruling.permitted,
) -> str:
    """Write a refusal's entry and give its receipt; "" when it was only counted.

    Args:
        is_refused: whether a ruling refuses the request.

    Raises:
        ConflictError: the batch has newer rules, by which the request is not refused. Nothing is recorded then: an
            entry would say that something was given, uncounted, to somebody who got nothing.
    """
    principal = request.caller.principal
    if not gate.refusals.admit(principal):
        gate.refusals.count(principal, "denied")
        return ""

    def prepare(state: State, at_ms: int) -> Prepared:
        ruling = rule(state, at_ms)
        if not is_refused(ruling):
            raise ConflictError(
                "the rules changed while the request waited, and may permit it now", hint="send the request again"
            )
        leaf, opening = access_entry(gate, request, dataset=dataset, decided=dict(ruling.decided), about=about)
        return Prepared(entries=[leaf], openings=[opening])

    committed = await gate.singles.submit(prepare)
    return committed.receipt_text


def denied(gate: Gate, request: Request, dataset: Dataset, ruling: Ruling, *, receipt: str = "") -> DeniedError:
    """Give the error that says why a ruling refuses a request, and what could be asked instead."""
    state, caller, at_ms = gate.keeper.state, request.caller, gate.clock_ms()
    asked = request.asked(dataset.name)
    reason = why_refused(state, asked, ruling.decided, at_ms=at_ms)
    could_ask = could_be_asked(state, asked, classes_of(dataset), ruling.decided, at_ms=at_ms)
    party = party_of(gate, caller)
    words = f"{party} may not {request.verb} {dataset.name} from {caller.country} for the purpose {request.purpose}"
    return DeniedError(f"{words}: {reason.words}", clause=reason.clause, could_ask=could_ask, receipt=receipt)


def denied_late(gate: Gate, request: Request, dataset: Dataset, ruling: Ruling, *, receipt: str = "") -> DeniedError:
    """Do as `denied` does for a request that was permitted when it came, and is not any more in its batch."""
    reason = why_refused(gate.keeper.state, request.asked(dataset.name), ruling.decided, at_ms=gate.clock_ms())
    if reason.governed:
        return denied(gate, request, dataset, ruling, receipt=receipt)
    return DeniedError(RULES_CHANGED, receipt=receipt)
