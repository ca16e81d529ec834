"""Who could do what with data, at the end of a period: asked of the same decision that serves requests.

Rules of this file:
1. Every cell of a row was asked of `rule_access`: of a flow's countries, purposes, verbs, datasets and classes, those
   that this flow permits this caller now, with this grant or build or with none.
2. Whoever can give themselves break-glass alone could read: that grant is tried for real on the state, and what it
   would open is a row of its own.
3. A service could use what a flow for approved builds gives with a credential, which the custodian gives alone for each
   build of its party that somebody is to attest: that one is tried on the state as well.
4. Callers who differ in nothing that a decision sees are asked once.
5. A service that may feed the register of people has a row for that: what it tells takes authority from anyone.
6. Who is known by a login of an issuer that the ledger does not trust can call for nothing, and has no row. Where
   logins are withheld nobody can tell.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from ringfence.core import changes as c
from ringfence.core.charter import Flow
from ringfence.core.charter.terms import OTHER, SHAPES, VERBS
from ringfence.core.credentials import fold_credential
from ringfence.core.decisions.ruling import Asked, rule_access
from ringfence.core.errors import ProofInvalidError
from ringfence.core.governance.orders import break_glass
from ringfence.core.governance.recording import why_not_feed
from ringfence.core.issuers import can_call
from ringfence.core.ledger.governed_entry import CredentialIssued
from ringfence.core.people.standing import Build, GivenGrant, Member
from ringfence.core.state import State
from ringfence.reports.names import name_principals

STANDING: Final = "standing"
ALONE: Final = "break-glass, given alone"
FEEDS: Final = "feeds the register of people"
SERVICE: Final = "service"
PERSON: Final = "person"
ANY_USER: Final = "any"
_ANYWHERE: Final = "*"


@dataclass(frozen=True, slots=True)
class Authority:
    """One flow of the charter that somebody could use, or that a service may feed the register of people.

    Attributes:
        principal: the person's or service's number.
        kind: `PERSON` or `SERVICE`.
        who, name, party: as `naming.Called`.
        duties: that the person holds.
        clause: the flow; "" for feeding the register.
        basis: `STANDING`, `ALONE`, `FEEDS`, or the grant or build that it takes.
        verbs, datasets, classes, purposes, countries, shapes: what the flow permits them.
        users: `ANY_USER`, or of how many users; "named" where these are withheld.
        until_ms: when it ends by itself; 0 when it does not.
    """

    principal: int
    kind: str
    who: str
    name: str
    party: str
    duties: tuple[str, ...]
    clause: str
    basis: str
    verbs: tuple[str, ...]
    datasets: tuple[str, ...]
    classes: tuple[str, ...]
    purposes: tuple[str, ...]
    countries: tuple[str, ...]
    shapes: tuple[str, ...]
    users: str
    until_ms: int


@dataclass(frozen=True, slots=True)
class _Cells:
    """The values of the cells of one flow that are permitted."""

    verbs: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    purposes: tuple[str, ...] = ()
    countries: tuple[str, ...] = ()
    shapes: tuple[str, ...] = ()


def find_authority(state: State, *, at_ms: int) -> Iterator[Authority]:
    """Give what each principal could do at a time, by number, then flow, then basis."""
    return _Survey(state, at_ms).all()


def find_shut_out(state: State) -> Iterator[int]:
    """Give those who are known by a login that no token can show: the ledger does not trust its issuer."""
    for (issuer, _), number in state.identities.items():
        if not can_call(state, issuer):
            yield number


class _Survey:
    """Asks on one state at one time."""

    def __init__(self, state: State, at_ms: int) -> None:
        self._state = state
        self._at_ms = at_ms
        self._called = name_principals(state)
        self._known: dict[tuple[object, ...], _Cells | None] = {}
        self._grants: dict[int, list[GivenGrant]] = {}
        for given in state.standing.grants.values() if state.standing else ():
            if given.is_live(at_ms):
                self._grants.setdefault(given.grant.person, []).append(given)

    def all(self) -> Iterator[Authority]:
        shut_out = set(find_shut_out(self._state))
        for number in sorted(set(self._state.principals) - shut_out):
            member = self._state.standing.members.get(number) if self._state.standing else None
            if member is None:
                yield from self._of_service(number)
            elif member.is_active(self._at_ms):
                yield from self._of_member(member)

    def _of_service(self, number: int) -> Iterator[Authority]:
        party = self._state.principals[number].party
        builds = [build for build in self._builds() if build.party == party]
        for flow in self._flows(party):
            if cells := self._ask(self._state, number, flow, key=(party,)):
                yield self._row(number, flow, cells, STANDING)
            for build in builds if flow.builds else ():
                if cells := self._with_build(number, flow, build):
                    yield self._row(number, flow, cells, f"build {build.name}")
        if not why_not_feed(self._state.principals[number], self._state.rules):
            yield self._row(number, None, _Cells(verbs=("feed",)), FEEDS)

    def _with_build(self, number: int, flow: Flow, build: Build) -> _Cells | None:
        """Give what a service could use by the credential that it has or could be given for a build: rule 3."""
        rule = CredentialIssued(
            principal=number,
            build=build.digest,
            certificate=bytes(32),
            attestation=bytes(32),
            until_ms=self._at_ms + 1,
        )
        state = self._state
        if self._at_ms >= state.governed.credential_until_ms(number, build.digest):
            try:
                state = fold_credential(state, rule, at_ms=self._at_ms, place="review")
            except ProofInvalidError:
                return None
        return self._ask(state, number, flow, build=build.digest, key=(build.party, build.digest))

    def _of_member(self, member: Member) -> Iterator[Authority]:
        for flow in self._flows(member.party):
            if set(flow.duties) & member.duties.keys():
                yield from self._of_flow(member, flow)

    def _of_flow(self, member: Member, flow: Flow) -> Iterator[Authority]:
        number, profile = member.number, (member.party, *sorted(member.duties))
        if cells := self._ask(self._state, number, flow, key=profile):
            yield self._row(number, flow, cells, STANDING, until_ms=member.until_ms)
        if not flow.needs:
            return
        for given in self._grants.get(number, ()):
            if cells := self._ask(self._state, number, flow, given=given):
                yield self._row(number, flow, cells, f"grant {given.number}", given=given, until_ms=given.until_ms)
        if cells := self._alone(member, flow, profile):
            yield self._row(number, flow, cells, ALONE, until_ms=member.until_ms)

    def _alone(self, member: Member, flow: Flow, profile: tuple[str, ...]) -> _Cells | None:
        """Give what somebody could use by break-glass: rule 2."""
        governance = self._state.governance
        may = governance.orders.get(c.BREAK_GLASS, ())
        if c.BREAK_GLASS not in flow.needs or member.duties.keys().isdisjoint(may):
            return None
        found: list[_Cells] = []
        for purpose in flow.purposes:
            change = c.Grant(
                kind=c.BREAK_GLASS,
                person=member.number,
                purpose=purpose,
                verbs=VERBS,
                datasets=tuple(self._state.rules.datasets),
                classes=tuple(self._state.rules.classes),
                records_max=governance.grants.break_glass_records_max,
                lasts_ms=governance.grants.break_glass_lasts_ms_max,
                subjects_any=True,
                bulk=True,
            )
            try:
                state, grant = break_glass(
                    self._state, change, by=member.number, subjects=None, at_ms=self._at_ms, place="review"
                )
            except ProofInvalidError:
                continue
            given = state.governed.grants[grant]
            if cells := self._ask(state, member.number, flow, given=given, key=(*profile, ALONE, purpose)):
                found.append(cells)
        return _join(found) if found else None

    def _ask(
        self,
        state: State,
        number: int,
        flow: Flow,
        *,
        given: GivenGrant | None = None,
        build: bytes = b"",
        key: tuple[object, ...] = (),
    ) -> _Cells | None:
        """Give the cells of a flow that it permits, None for none.

        Args:
            state: to ask on.
            number: who asks.
            flow: whose cells.
            given: the grant to name.
            build: digest of the build to name.
            key: all that the answer depends on beside the flow, so that it is remembered; () where it is this
                caller's alone.
        """
        if key and (flow.name, *key) in self._known:
            return self._known[flow.name, *key]
        cells = self._ask_each(state, number, flow, given, build)
        if key:
            self._known[flow.name, *key] = cells
        return cells

    def _ask_each(self, state: State, number: int, flow: Flow, given: GivenGrant | None, build: bytes) -> _Cells | None:
        hits: list[tuple[str, str, str, str, str, str]] = []
        grant = given.grant if given else None
        for shape in SHAPES if flow.bulk else SHAPES[:1]:
            for purpose in (grant.purpose,) if grant else flow.purposes:
                for country in flow.countries:
                    for verb in flow.verbs:
                        for dataset in flow.datasets:
                            where = OTHER if country == _ANYWHERE else country
                            asked = Asked(
                                *(number, where, purpose, verb, dataset, shape, 1, given.number if given else 0, build)
                            )
                            ruling = rule_access(state, asked, flow.classes, at_ms=self._at_ms)
                            hits += [
                                (verb, dataset, data_class, purpose, country, shape)
                                for data_class, decision in ruling.permitted.items()
                                if decision.clause == flow.name
                            ]
        return _Cells(*(tuple(dict.fromkeys(values)) for values in zip(*hits, strict=True))) if hits else None

    def _flows(self, party: str) -> Iterator[Flow]:
        return (flow for flow in self._state.rules.flows if party in flow.who)

    def _builds(self) -> list[Build]:
        builds = self._state.standing.builds.values() if self._state.standing else ()
        return [build for build in builds if not build.withdrawn]

    def _row(
        self,
        number: int,
        flow: Flow | None,
        cells: _Cells,
        basis: str,
        *,
        given: GivenGrant | None = None,
        until_ms: int = 0,
    ) -> Authority:
        standing = self._state.standing
        member = standing.members.get(number) if standing else None
        return Authority(
            principal=number,
            kind=PERSON if member else SERVICE,
            **self._called[number]._asdict(),
            duties=tuple(sorted(member.duties)) if member else (),
            clause=flow.name if flow else "",
            basis=basis,
            verbs=cells.verbs,
            datasets=cells.datasets,
            classes=cells.classes,
            purposes=cells.purposes,
            countries=cells.countries,
            shapes=cells.shapes,
            users=_users(given) if flow else "",
            until_ms=until_ms,
        )


def _users(given: GivenGrant | None) -> str:
    if given is None or given.grant.subjects_any:
        return ANY_USER
    return "named" if given.subjects is None else str(len(given.subjects))


def _join(found: list[_Cells]) -> _Cells:
    return _Cells(
        *(
            tuple(dict.fromkeys(value for cells in found for value in getattr(cells, name)))
            for name in _Cells.__dataclass_fields__
        )
    )
