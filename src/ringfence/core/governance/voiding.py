"""What was asked for before something was taken away does not give it back.

Rules of this file:
1. A request that is open when something is taken, and would give the same again, is void: whoever still wants it asks
   again, and everybody who agrees knows of the taking.
2. What is the same is told by what stands in the clear, so that all who fold agree: of a service only its party does.
3. A suspension voids every charter that waits to be enacted: under another name the flow would run on.
4. A key that is revoked voids what was asked for with it: whoever had it may have been somebody else.
5. What takes the place of something takes that as well: an issuer's new keys the old ones, a person's new login the old
   one. Whoever comes back comes back to nothing that was asked for before.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace

from ringfence.core import changes as c
from ringfence.core.people.standing import Proposal, Standing
from ringfence.core.state import State


def void_after(state: State, taken: c.AnyChange) -> Standing:
    """Give the standing without the open requests that would undo what is being taken.

    Args:
        state: before it is taken.
        taken: what takes it, or puts something else in its place.
    """
    standing = state.governed

    def gives_back(proposal: Proposal) -> bool:
        asked = proposal.change
        match taken, asked:
            case c.RevokeKey(), _:
                return proposal.key == taken.key
            case c.WithdrawBuild(), c.ApproveBuild():
                return asked.digest == taken.digest
            case c.WithdrawService(), c.RegisterService():
                return asked.party == state.principals[taken.principal].party
            case c.WithdrawIssuer(), c.TrustIssuer():
                return asked.name == taken.name
            case c.TrustIssuer(), c.TrustIssuer():
                return asked.name == taken.name
            case c.Admit(), c.Admit():
                return asked.person == taken.person
            case c.EndAppointment(), c.Appoint():
                return (asked.person, asked.duty) == (taken.person, taken.duty)
            case c.Dismiss(), (c.Admit() | c.Appoint() | c.EnrolKey() | c.Grant()):
                return asked.person == taken.person
            case ((c.RevokeGrant() | c.NarrowGrant()), c.Grant()):
                return asked.person == standing.grants[taken.grant].grant.person
            case c.Suspend(), c.EnactCharter():
                return True
            case _:
                return False

    return _without(standing, gives_back)


def void_admissions(standing: Standing, people: Collection[int]) -> Standing:
    """Give the standing without open requests to admit people whom facts have just suspended or ended."""
    return _without(standing, lambda asked: isinstance(asked.change, c.Admit) and asked.change.person in people)


def void_gifts(standing: Standing, person: int) -> Standing:
    """Give the standing without open requests to give somebody who comes back a duty, a key or a grant."""
    gifts = (c.Appoint, c.EnrolKey, c.Grant)
    return _without(standing, lambda asked: isinstance(asked.change, gifts) and asked.change.person == person)


def _without(standing: Standing, gives_back: Callable[[Proposal], bool]) -> Standing:
    proposals = standing.proposals
    for number, proposal in standing.proposals.items():
        if gives_back(proposal):
            proposals = proposals.delete(number)
    return replace(standing, proposals=proposals)
