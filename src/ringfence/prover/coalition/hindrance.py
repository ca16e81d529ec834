"""Hindrance: what one person's orders take from all who could have data erased, tried out as a run.

Rules of this file:
1. It counts only when by the state after it nobody outside the coalition could erase through any flow: neither a person
   with a duty nor a service. Where nobody could before, nothing is hindered.
2. That others are let do so again later is no matter, as for all that a run does.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ringfence.core import changes as c
from ringfence.core.charter import Flow
from ringfence.prover.coalition.run import Deed, Run

_WORDS: Final = {
    "suspend": "everything is suspended",
    "dismiss": "those who could have data erased are dismissed",
    "end-appointment": "the duty is taken from those who could have data erased",
    "withdraw-service": "the services that erase are shut out",
    "withdraw-issuer": "the logins of those who erase are taken no more",
    "withdraw-build": "the builds of the services that erase are stopped",
}


class Hindrance:
    """Orders of a coalition's after which nobody erases.

    Args:
        run: what was done before; goes on with what hinders.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._erasing = [flow for flow in run.world.charter.flows if "erase" in flow.verbs]

    def hinder(self) -> bool:
        """Go through the kinds of order until one leaves nobody who erases; tells whether one does."""
        return self._can_anybody_erase() and any(self._take(name) for name in _WORDS)

    def _take(self, name: str) -> bool:
        run = self._run
        before = run.keep()
        ordered = [run.order(change) for change in self._changes(name)]
        if ordered and all(ordered) and not self._can_anybody_erase():
            run.deeds.append(Deed(f"order:{name}", tuple(sorted(set(ordered))), (), _WORDS[name]))
            return True
        run.restore(before)
        return False

    def _changes(self, name: str) -> Iterator[c.AnyChange]:
        """Give everything of one kind to order."""
        standing = self._run.state.governed
        match name:
            case "suspend":
                yield c.Suspend(scope=c.EVERYTHING)
            case "dismiss":
                yield from (c.Dismiss(person=person) for person in self._holders())
            case "end-appointment":
                for person, duties in self._holders().items():
                    yield from (c.EndAppointment(person=person, duty=duty) for duty in sorted(duties))
            case "withdraw-service":
                yield from (c.WithdrawService(principal=number) for number in self._services())
            case "withdraw-issuer":
                yield from (c.WithdrawIssuer(name=issuer) for issuer in sorted(standing.issuers))
            case _:
                built = [digest for digest, build in standing.builds.items() if not build.withdrawn]
                yield from (c.WithdrawBuild(digest=digest) for digest in sorted(built))

    def _holders(self) -> dict[int, frozenset[str]]:
        """Give those outside the coalition who hold a duty of a flow for erasing, with these duties."""
        duties = frozenset(duty for flow in self._erasing for duty in flow.duties)
        outside = (person for person in self._run.state.governed.members if person not in self._run.own)
        held = {person: self._run.duties_of(person) & duties for person in sorted(outside)}
        return {person: those for person, those in held.items() if those}

    def _services(self) -> list[int]:
        """Give the services of a flow for erasing."""
        parties = {party for flow in self._erasing if not flow.duties for party in flow.who}
        members = self._run.state.governed.members
        known = self._run.state.principals.items()
        return sorted(number for number, who in known if number not in members and who.party in parties)

    def _can_anybody_erase(self) -> bool:
        standing = self._run.state.governed
        if (c.EVERYTHING, "") in standing.stopped or not standing.issuers:
            return False
        return any(self._can_erase(flow) for flow in self._erasing)

    def _can_erase(self, flow: Flow) -> bool:
        if flow.duties:
            return any(not those.isdisjoint(flow.duties) for those in self._holders().values())
        standing, known = self._run.state.governed, self._run.state.principals
        built = {build.party for build in standing.builds.values() if not build.withdrawn}
        parties = {known[number].party for number in self._services()}
        return any(party in parties and (not flow.builds or party in built) for party in flow.who)
