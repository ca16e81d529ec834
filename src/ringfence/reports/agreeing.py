"""How a change came to be agreed to, in sentences.

Rules of this file:
1. What an approval came to is told as of the rule that carried the change: an approval that counted when it was given
   may have stopped counting since.
2. Everybody who signed is told of, whoever counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ringfence.core.decisions.refusal_words import why_inactive
from ringfence.core.errors import InvalidInputError
from ringfence.core.governance.proposals import Tallied, operations_of, tally
from ringfence.core.governance.quorum import render_group, render_requirement
from ringfence.core.governance.statement import parse_statement
from ringfence.core.governance.wording import quote
from ringfence.core.ledger.entry import parse_signed
from ringfence.core.ledger.governed_entry import Approved, Carried, Proposed
from ringfence.core.people.standing import Proposal
from ringfence.core.state import State
from ringfence.reports.names import begin, describe_person
from ringfence.verify.rules import FoldedRule

WITHHELD: Final = "withheld: it needs the bundle's detail"


class Trail:
    """How proposals came about.

    Attributes:
        proposed, carried: the rules that did so.
        approved: each approval, with its leaf and the epoch that it began, in order.
    """

    def __init__(self) -> None:
        self.proposed: dict[int, FoldedRule] = {}
        self.carried: dict[int, FoldedRule] = {}
        self.approved: dict[int, list[tuple[Approved, int, int]]] = {}

    def follow(self, folded: FoldedRule) -> None:
        """Take note of one more rule."""
        match folded.rule:
            case Proposed(number=number):
                self.proposed[number] = folded
            case Approved(proposal=number) as rule:
                self.approved.setdefault(number, []).append((rule, folded.leaf, folded.after.epoch))
            case Carried(proposal=number):
                self.carried[number] = folded


def describe_agreement(trail: Trail, proposal: int) -> Iterator[str]:
    """Say who asked for a change and, once it is carried, what it took, who signed, and what each signature came to."""
    proposed, carried = trail.proposed.get(proposal), trail.carried.get(proposal)
    if proposed is not None and isinstance(proposed.rule, Proposed):
        who = begin(describe_person(proposed.before, proposed.rule.by))
        yield f"{who} asked for it (proposal {proposal}, leaf {proposed.leaf}). {describe_reason(proposed.opening)}"
    if carried is None:
        return
    state, at_ms = carried.before, carried.batch.at_ms
    asked = state.governed.proposals[proposal]
    yield _requirement(state, asked)
    tallied = {one.approval.epoch: one for one in tally(state, asked, at_ms=at_ms)}
    for rule, leaf, epoch in trail.approved.get(proposal, []):
        yield _signature(state, rule, leaf, tallied.get(epoch), at_ms=at_ms)
    if state.governed.register is None and any(operation.never for operation in operations_of(state, asked)):
        yield f"Whether a relation kept one of them from counting is {WITHHELD}."


def _requirement(state: State, asked: Proposal) -> str:
    then, now = map(render_requirement, operations_of(state, asked))
    if then == now:
        return f"It took {now}."
    return f"It took {then} by the charter of when it was asked for, and {now} by the one of when it was carried."


def _signature(state: State, rule: Approved, leaf: int, counted: Tallied | None, *, at_ms: int) -> str:
    """Say what one signature came to; None for one that its person gave again, because it had stopped counting."""
    who = f"{begin(describe_person(state, rule.by))} agreed (leaf {leaf}, key {rule.key})"
    if counted is None:
        return f"{who}, which stopped counting before it was carried, and agreed again."
    if not counted.duties:
        reason = why_inactive(state, rule.by, at_ms=at_ms) or counted.reason
        return f"{who}, which did NOT count any more when it was carried: {reason}."
    groups = " and for ".join(dict.fromkeys(map(render_group, counted.groups)))
    return f"{who} and counted as {' or '.join(sorted(counted.duties))}" + (
        f", for {groups}." if groups else "; the others were enough."
    )


def describe_reason(opening: bytes) -> str:
    """Say the reason that a signed statement gives; `opening` is that of its rule, b"" where it is withheld."""
    if not opening:
        return f"The reason is {WITHHELD}."
    try:
        statement = parse_statement(parse_signed(opening).statement)
    except InvalidInputError:
        return "The statement cannot be read."
    ticket = f", ticket {quote(statement.ticket)}" if statement.ticket else ""
    return f"The reason: {quote(statement.reason)}{ticket}."
