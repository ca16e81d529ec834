"""Lending: what people outside of a coalition asked for or agreed to already, in requests that are open.

Rules of this file:
1. Whoever agreed fills a place, where one of the coalition's asked. What only keeps people apart (teams, managers, who
   appointed whom) is left out: it may have ended by the time when the request is carried.
2. Where somebody outside asked for a grant, whoever gains it must be of the coalition, and nobody else need ask. For
   the end of a suspension, a suspension and the closing of a lane nobody need.
3. Whom somebody outside asked to admit or to appoint is seen as if that had been carried: it may be one of theirs.
4. What else people outside asked for is their own: their charter, build, service, issuer and key.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final

from ringfence.core import changes as c
from ringfence.core.governance.proposals import agreeing_duties
from ringfence.core.people.standing import Proposal, Standing
from ringfence.core.state import State

_GIVING: Final = (c.Admit, c.Appoint, c.Grant)
"""What gives something to a person, who may be one of a coalition's."""

_SERVING: Final = (c.Lift, c.Suspend, c.RecoverLane)
"""What serves a coalition whoever asked for it."""

ADMITTED: Final = "@admitted"
"""What a person is given who is admitted."""


def gains(number: int) -> str:
    """Give what a person has who gains by a grant that is asked for outside, by the request's number."""
    return f"@gains {number}"


@dataclass(frozen=True, slots=True)
class Lent:
    """What people outside asked for or agreed to already, in one open request.

    Attributes:
        number: of the request.
        operation: what it asks for, as the charter calls it.
        agreed: the duties of each who agreed.
        asking: what somebody of the coalition's must have who counts as asking; None for one of the operation's
            duties, and none where nobody need ask (rule 2).
    """

    number: int
    operation: str
    agreed: tuple[frozenset[str], ...]
    asking: tuple[str, ...] | None = None


def find_lent(state: State, theirs: Collection[int], *, at_ms: int) -> Iterator[Lent]:
    """Give the open requests of use to a coalition that people outside asked for, or agreed to so that it may count.

    Args:
        state: of a governed ledger.
        theirs: the numbers of those who are in the coalition from the start.
        at_ms: when.
    """
    for proposal in _open(state.governed, at_ms=at_ms):
        approvals = [approval for approval in proposal.approvals if approval.person not in theirs]
        told = [agreeing_duties(state, proposal, approval, at_ms=at_ms)[0] for approval in approvals]
        agreed = tuple(frozenset(duties) for duties in told if duties)
        is_outside = proposal.by not in theirs
        if agreed or (is_outside and isinstance(proposal.change, (*_GIVING, *_SERVING))):
            asking = _asking_for(proposal) if is_outside else None
            yield Lent(proposal.number, proposal.operation.name, agreed, asking)


def _asking_for(proposal: Proposal) -> tuple[str, ...] | None:
    if isinstance(proposal.change, c.Grant):
        return (gains(proposal.number),)
    return () if isinstance(proposal.change, _SERVING) else None


def find_given(standing: Standing, *, at_ms: int) -> tuple[tuple[int, int, str], ...]:
    """Give what open requests would give to people: (who asked, who gains, a duty, `ADMITTED` or `gains`)."""
    return tuple(
        (proposal.by, proposal.change.person, _given_by(proposal))
        for proposal in _open(standing, at_ms=at_ms)
        if isinstance(proposal.change, _GIVING)
    )


def _given_by(proposal: Proposal) -> str:
    if isinstance(proposal.change, c.Appoint):
        return proposal.change.duty
    return ADMITTED if isinstance(proposal.change, c.Admit) else gains(proposal.number)


def _open(standing: Standing, *, at_ms: int) -> Iterator[Proposal]:
    for _, proposal in sorted(standing.proposals.items()):
        if at_ms < proposal.expires_ms:
            yield proposal
