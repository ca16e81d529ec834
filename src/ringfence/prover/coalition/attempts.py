"""Attempts: how a coalition goes about each goal, tried out as a run on the real state.

An attempt that comes through shows that the goal can be reached; one that fails shows nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice
from typing import Final

from ringfence.core import changes as c
from ringfence.core.charter import ANY, Flow
from ringfence.core.charter.terms import OTHER
from ringfence.core.coalition import rules as r
from ringfence.core.coalition.world import World
from ringfence.core.credentials import LIFETIME_MS_MAX, fold_credential
from ringfence.core.decisions.ruling import Asked, rule_access
from ringfence.core.errors import ProofInvalidError
from ringfence.core.governance.orders import break_glass
from ringfence.core.ledger.governed_entry import CredentialIssued
from ringfence.core.people.standing import Suspension
from ringfence.core.state import State
from ringfence.prover.coalition.hindrance import Hindrance
from ringfence.prover.coalition.run import Deed, Run

_DIGEST: Final = hashlib.sha256(b"a build of the coalition's own").digest()
HOLDERS_TRIED_MAX: Final = 4
"""Most people for whom one kind of grant is tried."""


def attempt(world: World, state: State, people: Iterable[int], goal: str, *, at_ms: int) -> Run | None:
    """Give a run in which these people reach a goal; None when this way of going about it fails.

    Args:
        world: of the coalition.
        state: where it begins.
        people: numbers of all who take part.
        goal: its name.
        at_ms: when it begins.
    """
    run = Run(world, state, people, at_ms=at_ms)
    return run if _Attempt(run).reach(goal) else None


class _Attempt:
    """One run on its way to a goal."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def reach(self, goal: str) -> bool:
        if goal.startswith(r.through("")):
            name = goal.removeprefix(r.through(""))
            return any(self._read(flow) for flow in self._run.world.charter.flows if flow.name == name)
        tries = {
            r.OUTSIDE: self._outside,
            r.RULES: self._rules,
            r.GRANT: self._grant,
            r.BUILD: self._build,
            r.LIFT: self._lift,
            r.REWRITE: self._rewrite,
            r.STOP_ERASURE: self._stop_erasure,
            r.DESTROY: self._destroy,
        }
        return tries[goal]()

    # -- goals ------------------------------------------------------------------------------------------------------

    def _outside(self) -> bool:
        run = self._run
        threshold = run.world.threshold
        if self._use("gateway-root", "what a gateway holds in memory is read"):
            return True
        if threshold and run.has_shares(threshold) and run.gain_power("host-root"):
            run.note("shares", "the custodian's keys are opened, and the stored data with them", run.own)
            return True
        return self._build()

    def _rules(self) -> bool:
        charter = self._run.state.rules
        own = replace(
            charter,
            version=charter.version + 1,
            digest=hashlib.sha256(b"a charter of the coalition's own").digest(),
            memo={},
        )
        change = c.EnactCharter(name=own.name, version=own.version, digest=own.digest, engine=self._run.state.engine)
        return self._run.pursue(change, "a charter of their own is put in force", charter=own)

    def _grant(self) -> bool:
        return any(self._give(kind, flow) for kind in (c.ACCESS, c.LEGAL_DEMAND) for flow in self._flows_of(kind))

    def _build(self) -> bool:
        return any(
            self._use(power, "a program of their own is put in place of the gateway")
            for power in ("deploy", "gateway-root")
        )

    def _lift(self) -> bool:
        run, standing = self._run, self._run.state.governed
        number = len(standing.suspensions) + 1
        flow = run.world.charter.flows[0].name
        made = standing.suspensions.set(number, Suspension(number, c.FLOW, flow, run.state.epoch, 0))
        run.state = replace(run.state, standing=replace(standing, suspensions=made))
        return run.pursue(c.Lift(suspension=number), f"a suspension of {flow} is lifted")

    def _rewrite(self) -> bool:
        run, parties = self._run, self._run.world.charter.parties
        watches = {person for person in run.own if (known := self._party(person)) and parties[known].role == "overseer"}
        writes = any(run.gain_power(name) for name in ("host-root", "gateway-root", "deploy"))
        if not (writes and self._use("sign-log", "another ledger is signed")) or not watches:
            return False
        run.note("overseer", "the checkpoints that the overseer keeps are put away", watches)
        return True

    def _stop_erasure(self) -> bool:
        return (
            self._use("host-root", "the store is kept from erasing")
            or self._use("gateway-root", "a gateway refuses to erase")
            or self._refuse_shares()
            or Hindrance(self._run).hinder()
            or self._run.pursue(c.Suspend(scope=c.EVERYTHING), "everything is suspended")
            or self._rules()
        )

    def _destroy(self) -> bool:
        run = self._run
        if self._use("host-root", "the store and its backups are destroyed"):
            return True
        if run.holds_the_keys_shut():
            run.note("lost-shares", "so many shares are destroyed that the keys never open again", run.own)
            return True
        erasing = [flow for flow in run.world.charter.flows if "erase" in flow.verbs]
        return self._outside() or any(self._read(flow, "erase") for flow in erasing) or self._rules()

    # -- flows ------------------------------------------------------------------------------------------------------

    def _read(self, flow: Flow, *verbs: str) -> bool:
        """Read (or do what else is said) through a flow."""
        wanted = verbs or tuple(verb for verb in flow.verbs if verb in r.READING)
        if not flow.duties:
            return self._read_as_service(flow, wanted)
        if self._read_as_holder(flow, wanted, set(self._run.own)):
            return True
        return self._log_in() and self._read_as_holder(flow, wanted, set(self._run.state.governed.members))

    def _read_as_holder(self, flow: Flow, verbs: tuple[str, ...], people: set[int]) -> bool:
        run = self._run
        if not flow.needs:
            self._place(flow, people)
            return any(self._asks(person, flow, verbs) for person in sorted(people))
        for given in run.state.governed.grants.values():
            holder = given.grant.person
            if holder in people and given.is_live(run.at_ms) and self._asks(holder, flow, verbs, grant=given.number):
                return True
        for kind in flow.needs:
            for number in self._give_each(kind, flow, people):
                if self._asks(run.state.governed.grants[number].grant.person, flow, verbs, grant=number):
                    return True
        return False

    def _read_as_service(self, flow: Flow, verbs: tuple[str, ...]) -> bool:
        run, world = self._run, self._run.world
        theirs = [name for name in flow.who if name in world.parties]
        if theirs:
            run.note("flow", f"{theirs[0]} uses the flow {flow.name}, as the charter lets it")
            return True
        known = [number for number, who in run.state.principals.items() if who.party in flow.who]
        services = [number for number in known if number not in run.state.governed.members]
        if services and self._log_in():
            service = services[0]
        else:
            change = c.RegisterService(party=flow.who[0], identity=bytes(32))
            if not run.pursue(change, f"a service of their own is registered as one of {flow.who[0]}"):
                return False
            service = run.state.principal_last
        if flow.builds and not self._show_build(flow, service):
            return False
        return self._asks(service, flow, verbs, build=_DIGEST if flow.builds else b"")

    def _show_build(self, flow: Flow, service: int) -> bool:
        """Get a credential for a build of their own, which they attest themselves."""
        run = self._run
        party = run.state.principals[service].party
        change = c.ApproveBuild(name="a build of their own", party=party, digest=_DIGEST, attestor=bytes(32))
        if not run.pursue(change, "a build of their own is approved"):
            return False
        until_ms = run.at_ms + LIFETIME_MS_MAX
        given = CredentialIssued(
            principal=service, build=_DIGEST, certificate=bytes(32), attestation=bytes(32), until_ms=until_ms
        )
        try:
            state = fold_credential(run.state, given, at_ms=run.at_ms, place="attempt")
        except ProofInvalidError:
            return False
        run.state = replace(state, epoch=state.epoch + 1)
        return True

    def _log_in(self) -> bool:
        """Get tokens that name somebody else."""
        run = self._run
        if self._use("issue-tokens", "tokens are signed that name others"):
            return True
        return run.pursue(c.TrustIssuer(name="their-own", keys=bytes(32)), "an issuer of their own is trusted")

    def _flows_of(self, kind: str) -> Iterator[Flow]:
        return (flow for flow in self._run.world.charter.flows if kind in flow.needs)

    def _give(self, kind: str, flow: Flow) -> bool:
        return next(self._give_each(kind, flow, set(self._run.own)), None) is not None

    def _give_each(self, kind: str, flow: Flow, people: set[int]) -> Iterator[int]:
        """Give grants for a flow to those of these people who could use it, one after the other."""
        run = self._run
        self._place(flow, people)
        holders = (person for person in sorted(people) if not run.duties_of(person).isdisjoint(flow.duties))
        for person in islice(holders, HOLDERS_TRIED_MAX):
            change = self._grant_for(kind, flow, person)
            number = len(run.state.governed.grants) + 1
            if kind == c.BREAK_GLASS:
                if self._break_glass(change):
                    yield number
            elif run.pursue(change, f"{person} is granted what {flow.name} opens"):
                yield number

    def _place(self, flow: Flow, people: set[int]) -> None:
        """Give a duty of the flow to one of these people, where none has one."""
        run = self._run
        if any(not run.duties_of(person).isdisjoint(flow.duties) for person in people):
            return
        pairs = [(duty, person) for duty in flow.duties for person in sorted(people)]
        for duty, person in pairs:
            if run.carry(c.Appoint(person=person, duty=duty), f"{person} is given the duty {duty}"):
                return
        for duty, person in pairs[:HOLDERS_TRIED_MAX]:
            if run.pursue(c.Appoint(person=person, duty=duty), f"{person} is given the duty {duty}"):
                return

    def _grant_for(self, kind: str, flow: Flow, person: int) -> c.Grant:
        limits = self._run.state.governance.grants
        urgent = kind == c.BREAK_GLASS
        return c.Grant(
            kind=kind,
            person=person,
            purpose=flow.purposes[0],
            verbs=flow.verbs,
            datasets=flow.datasets,
            classes=flow.classes,
            records_max=limits.break_glass_records_max if urgent else limits.records_max,
            lasts_ms=limits.break_glass_lasts_ms_max if urgent else limits.lasts_ms_max,
            subjects_any=True,
            bulk=False,
        )

    def _break_glass(self, change: c.Grant) -> bool:
        run = self._run
        may = run.state.governance.orders.get(c.BREAK_GLASS, ())
        if run.duties_of(change.person).isdisjoint(may) or not run.signs_for(change.person):
            return False
        try:
            state, _ = break_glass(run.state, change, by=change.person, subjects=None, at_ms=run.at_ms, place="attempt")
        except ProofInvalidError:
            return False
        run.state = replace(state, epoch=state.epoch + 1)
        words = f"{change.person} breaks the glass, for up to {change.records_max} records"
        run.deeds.append(Deed("order:break-glass", (change.person,), (), words))
        return True

    def _asks(self, person: int, flow: Flow, verbs: tuple[str, ...], *, grant: int = 0, build: bytes = b"") -> bool:
        """Ask the deciding function, in the coalition's favour as to where from."""
        run = self._run
        country = OTHER if flow.countries == (ANY,) else flow.countries[0]
        for verb in verbs:
            asked = Asked(person, country, flow.purposes[0], verb, flow.datasets[0], "single", 1, grant, build)
            ruling = rule_access(_unstopped(run.state), asked, flow.classes, at_ms=run.at_ms)
            if any(decision.clause == flow.name for decision in ruling.permitted.values()):
                run.note("flow", f"{person} uses the flow {flow.name}", [person])
                return True
        return False

    # -- powers and orders ------------------------------------------------------------------------------------------

    def _use(self, power: str, words: str) -> bool:
        if not self._run.gain_power(power):
            return False
        told = self._run.state.governance.powers.get(power)
        said = "" if told else ": the charter does not say who can, so that they are taken to"
        self._run.note(f"power:{power}", words + said)
        return True

    def _refuse_shares(self) -> bool:
        if not self._run.holds_the_keys_shut():
            return False
        self._run.note("lost-shares", "no gateway that starts is given enough shares to open the keys", self._run.own)
        return True

    def _party(self, person: int) -> str:
        register = self._run.state.governed.register
        return register.people[person].party if register and person in register.people else ""


def _unstopped(state: State) -> State:
    """Give the state without suspensions of flows: these are a goal of their own."""
    return replace(state, standing=replace(state.governed, stopped=frozenset()))
