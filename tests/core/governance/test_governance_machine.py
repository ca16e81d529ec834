"""A governed ledger that lives, held against a model of it after every step.

People join, move, leave and come back; whatever a charter lets people ask for is asked for, agreed to, forged,
replayed, declined, carried and ordered, while time goes by and charters change. After each step what the program takes
the model takes, and who holds what, what is open, what is given, used and stopped is the same in both. What is open is
tried on every member too, without a signature, and nothing is kept of that. In the end the ledger is a bundle, with
what people read under their grants, and `verify` finds it true.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from ringfence.core import changes as c
from ringfence.core.charter import parse_charter
from ringfence.core.decisions.ruling import GRANT_USED_UP, Asked, rule_access, without_grant
from ringfence.core.ledger import entry as e
from ringfence.core.people.register import PersonFacts
from tests.core.governance.ground import CHANGES_OF_CHARTER, CHANGES_OF_GRANTS, charter_text
from tests.core.governance.machine import SOMETIMES, LedgerAndModel
from tests.core.governance.model_people import HOUR, Plain
from tests.governed import APP, ISSUER, SALT, facts

PEOPLE_MAX = 16
STEPS = 60
MINUTE = 60_000
WAITS = [*[MINUTE, HOUR] * 4, 5 * HOUR, 25 * HOUR, *[73 * HOUR] * 3, 40 * 24 * HOUR, 366 * 24 * HOUR]
PARENTS = APP + 1
"""Somebody of the parent's, whom everybody knows from the start."""
ANYTHING = st.data()


@pytest.fixture(autouse=True, scope="module")
def _each_charter_is_read_once() -> Iterator[None]:
    """Remember charters by their bytes: reading one takes as long as everything else of twenty steps."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ringfence.core.folding.parse_charter", lru_cache(maxsize=1000)(parse_charter))
        yield


class GovernedMachine(LedgerAndModel):
    """What people do, in any order."""

    # -- people ------------------------------------------------------------------------------------------------------

    @initialize()
    def see_the_founding(self) -> None:
        """Begin with both alike."""
        self.standings_are_alike()

    @rule(data=ANYTHING)
    def somebody_joins(self, data: st.DataObject) -> None:
        number = self.ground.state.principal_last + 1
        if number > PEOPLE_MAX:
            return
        party = data.draw(st.sampled_from(["trust", "trust", "trust", "board", "app", "parent"]))
        manager = data.draw(st.sampled_from([0, 0, *sorted(self.model.people)]))
        self.tell(facts(number, f"person-{number}", party=party, manager=manager))

    @rule(data=ANYTHING)
    def facts_change(self, data: st.DataObject) -> None:
        number = self.a_member(data)
        old = self.facts_of(number)
        people = [0, 0, 99, *sorted(self.model.people)]
        choices: dict[str, list[Any]] = {
            "manager": people,
            "directed_by": [(), *((one,) for one in people if one)],
            "party": ["trust", "trust", "app", "parent", "board", "nobody-knows"],
            "paid_by": ["", "", "parent", "trust"],
            "team": ["night", "Night", "day", "", old.name],
            "residence": ["US", "US", "CA", ""],
            "works_in": ["US", "US", "CN"],
            "ends_ms": [0, self.ground.now_ms, self.ground.now_ms + 6 * HOUR],
            "starts_ms": [0, 0, self.ground.now_ms + 6 * HOUR],
        }
        name = data.draw(st.sampled_from(sorted(choices)), label="fact")
        value = data.draw(st.sampled_from(choices[name]), label="value")
        self.tell(msgspec.structs.replace(old, **{name: value}))

    @rule(data=ANYTHING)
    def facts_become_good_again(self, data: st.DataObject) -> None:
        suspended = [one for one, member in sorted(self.model.members.items()) if member["suspended"]]
        number = data.draw(st.sampled_from(suspended), label="person") if suspended else self.anybody(data)
        old = self.facts_of(number)
        party = self.model.members[number]["party"] if number in self.model.members else old.party
        self.tell(facts(number, old.name, party=party))

    @rule(wait=st.sampled_from(WAITS))
    def time_goes_by(self, wait: int) -> None:
        self.ground.now_ms += wait
        self.model.now = self.ground.now_ms

    # -- asking ------------------------------------------------------------------------------------------------------

    @rule(data=ANYTHING)
    def access_is_asked_for(self, data: st.DataObject) -> None:
        kind = data.draw(st.sampled_from(["access", "access", "access", "legal-demand", "break-glass"]), label="kind")
        operation = {"access": "grant", "break-glass": "grant"}.get(kind, kind)
        by = self.asker(data, operation)
        person = self.somebody(data, with_duties={"engineer"})
        self.ask(data, by, self.draw_grant(data, kind, person))

    def draw_grant(self, data: st.DataObject, kind: str, person: int) -> c.Grant:
        """Choose what a grant is for."""
        return c.Grant(
            kind=kind,
            person=person,
            purpose="support",
            verbs=("read",),
            datasets=data.draw(st.sampled_from([("person",), ("person", "rest")])),
            classes=("protected", "public"),
            records_max=data.draw(st.sampled_from([2, 10] if kind == "break-glass" else [2, 10, 100, 5000])),
            lasts_ms=data.draw(
                st.sampled_from([30 * MINUTE, HOUR, 3 * HOUR, 9 * HOUR][: 2 if kind == "break-glass" else 4])
            ),
            subjects_any=True,
        )

    @rule(data=ANYTHING)
    def admission_is_asked_for(self, data: st.DataObject) -> None:
        person = self.anybody(data)
        known = self.model.people[person]
        identity = e.Identity(ISSUER, f"person {person}")
        party = data.draw(st.sampled_from([known["party"]] * 4 + ["trust"]))
        until_ms = data.draw(st.sampled_from([known["ends_ms"]] * 4 + [0]))
        commitment = e.commit(e.render_opening(SALT, identity))
        change = c.Admit(person=person, party=party, identity=commitment, until_ms=until_ms)
        self.ask(data, self.asker(data, "admit"), change, identity=identity, identity_salt=SALT)

    @rule(data=ANYTHING)
    def appointment_is_asked_for(self, data: st.DataObject) -> None:
        person = self.a_member(data)
        duty = data.draw(
            st.sampled_from(["officer", "officer", "engineer", "manager", "keeper", "keeper", "people", "monitor"])
        )
        self.ask(data, self.asker(data, "appoint"), c.Appoint(person=person, duty=duty))

    @rule(data=ANYTHING)
    def key_is_asked_for(self, data: st.DataObject) -> None:
        person = self.a_member(data)
        public = self.signer.public(f"{person}/{data.draw(st.integers(0, 2))}")
        self.ask(data, self.asker(data, "enrol-key"), c.EnrolKey(person=person, key=public))

    @rule(data=ANYTHING)
    def charter_is_asked_for(self, data: st.DataObject) -> None:
        change = data.draw(st.sampled_from(CHANGES_OF_CHARTER), label="charter")
        charter = change(self.model.terms)
        digest = e.commit(charter_text(charter))
        enact = c.EnactCharter(name="small", version=charter["version"], digest=digest, engine="v2")
        self.ask(data, self.asker(data, "enact-charter"), enact, charter=charter)

    @rule(data=ANYTHING, change=st.sampled_from(CHANGES_OF_GRANTS))
    def what_grants_take_changes(self, data: st.DataObject, change: Callable[[Plain], Plain]) -> None:
        """Another number, duty or relation for what is open and half agreed to, by everybody who must, at once."""
        engineers = [number for number in sorted(self.model.members) if "engineer" in self.model.duties(number)]
        if engineers and self.propose(engineers[0], self.draw_grant(data, "access", engineers[0])):
            self.settle(self.model.asked_last, approvals_max=data.draw(st.integers(1, 3)), carried=False)
        charter = change(self.model.terms)
        digest = e.commit(charter_text(charter))
        enact = c.EnactCharter(name="small", version=charter["version"], digest=digest, engine="v2")
        officers = [number for number in sorted(self.model.members) if "officer" in self.model.duties(number)]
        if officers and self.propose(officers[-1], enact, charter=charter):
            self.settle(self.model.asked_last)

    @rule(data=ANYTHING)
    def officer_or_keeper_is_asked_for(self, data: st.DataObject) -> None:
        """An appointment that may be vetoed, or of who may agree to what is open, agreed to by everybody who must."""
        duty = data.draw(st.sampled_from(["keeper", "officer"]), label="duty")
        engineers = [number for number in sorted(self.model.members) if "engineer" in self.model.duties(number)]
        if duty == "officer" and engineers:
            self.propose(engineers[0], self.draw_grant(data, "access", engineers[0]))
        person = self.somebody(data, with_duties={"inspector", "manager", "officer"})
        if self.propose(self.asker(data, "appoint"), c.Appoint(person=person, duty=duty)):
            self.settle(self.model.asked_last)

    @rule(data=ANYTHING)
    def end_of_something_is_asked_for(self, data: st.DataObject) -> None:
        """A lift, a review, a stop by quorum, or what no quorum carries."""
        changes: list[c.AnyChange] = [c.Lift(suspension=1), c.Review(grant=1, justified=True), c.RevokeGrant(grant=1)]
        changes += [c.Lift(suspension=number) for number, stop in self.model.stops.items() if not stop["lifted"]]
        changes += [
            c.Review(grant=number, justified=True) for number, one in self.model.grants.items() if one["review"]
        ]
        changes += [c.Suspend(scope=c.PARTY, name="app"), c.Suspend(scope=c.PARTY, name="nobody")]
        change = data.draw(st.sampled_from(changes))
        operations = self.model.terms["governance"]["operations"]
        operation = c.operation_of(change)
        by = self.asker(data, operation if operation in operations else "lift")
        self.ask(data, by, change)

    @rule(data=ANYTHING)
    def request_is_forged(self, data: st.DataObject) -> None:
        """A statement that is another's, another ledger's, too old, used before, or signed by or for something else."""
        by = self.somebody(data, with_duties={"engineer"})
        change = self.draw_grant(data, "access", by)
        told: dict[str, Any] = data.draw(
            st.sampled_from(
                [
                    {"by": 1},
                    {"origin": "elsewhere.example.org"},
                    {"epoch": self.ground.state.epoch + 1},
                    {"at_ms": self.ground.now_ms - 3 * HOUR, "expires_ms": self.ground.now_ms},
                ]
            )
        )
        written = self.write(change, **{"by": by, **told})
        twisted = data.draw(st.sampled_from(["statement", "signer", "purpose", "used"]), label="forged")
        key = self.public_of(self.key_of(by))
        if twisted == "statement":
            self.propose(by, change, data=written)
            return
        data_good = self.write(change, by=by)
        if twisted == "used" and self.model.asked:
            number = data.draw(st.sampled_from(sorted(self.model.asked)))
            read = self.ground.state.governed.proposals.get(number)
            if read is not None:
                self.propose(read.by, read.change, data=read.statement, charter=self.model.asked[number]["charter"])
            return
        other = self.public_of(data.draw(st.sampled_from(sorted(self.model.keys))))
        signature = (other, "propose", data_good) if twisted == "signer" else (key, "approve", data_good)
        self.propose(by, change, data=data_good, signature=signature)

    # -- agreeing ----------------------------------------------------------------------------------------------------

    @rule(data=ANYTHING)
    def request_is_approved(self, data: st.DataObject) -> None:
        if number := self.open_one(data):
            self.answer("approve", number, self.willing(data, number))

    def willing(self, data: st.DataObject, number: int) -> int:
        """Choose somebody whose approval counts, most times; else anybody."""
        request = self.model.asked[number]
        able = [one for one in sorted(self.model.members) if self.model.counts(request, one, self.key_of(one))]
        able = [one for one in able if one not in request["approvals"]]
        if able and data.draw(SOMETIMES, label="one who counts"):
            return int(data.draw(st.sampled_from(able), label="person"))
        return self.anybody(data)

    @rule(data=ANYTHING)
    def approval_is_forged(self, data: st.DataObject) -> None:
        """An approval by another's key, for another request, or a signature that says something else."""
        number = self.open_one(data)
        if not number:
            return
        by = self.willing(data, number)
        own, key = self.public_of(self.key_of(by)), 0
        over = self.model.asked[number]["bytes"]
        twisted = data.draw(st.sampled_from(["key", "signer", "replay", "purpose"]), label="forged")
        signature = (own, "decline", over)
        if twisted == "key":
            key = int(data.draw(st.sampled_from(sorted(self.model.keys)), label="key"))
            signature = (self.public_of(key), "approve", over)
        elif twisted == "signer":
            other = int(data.draw(st.sampled_from(sorted(self.model.keys)), label="key"))
            signature = (self.public_of(other), "approve", over)
        elif twisted == "replay":
            replayed = data.draw(st.sampled_from(sorted(self.model.asked)), label="replayed")
            signature = (own, "approve", self.model.asked[replayed]["bytes"])
        self.answer("approve", number, by, key=key, signature=signature)

    @rule(data=ANYTHING)
    def request_is_settled(self, data: st.DataObject) -> None:
        if number := self.open_one(data):
            self.settle(number)

    @rule(data=ANYTHING)
    def request_is_carried(self, data: st.DataObject) -> None:
        if self.model.asked:
            self.carry(int(data.draw(st.sampled_from(sorted(self.model.asked)), label="request")))

    @rule(data=ANYTHING)
    def request_is_declined(self, data: st.DataObject) -> None:
        if number := self.open_one(data):
            purpose = data.draw(st.sampled_from(["decline", "decline", "approve"]))
            by = self.anybody(data)
            signature = (self.public_of(self.key_of(by)), purpose, self.model.asked[number]["bytes"])
            self.answer("decline", number, by, signature=signature)

    @rule(data=ANYTHING)
    def somebody_who_agreed_loses_something(self, data: st.DataObject) -> None:
        """An approver of what is open loses the key, the duty or the job, or is in the team of who asked."""
        agreed = [(number, who) for number, request in self.model.pending().items() for who in request["approvals"]]
        if not agreed:
            return
        number, person = data.draw(st.sampled_from(agreed), label="request and person")
        asker = self.model.asked[number]["by"]
        known = self.facts_of(person)
        loss = data.draw(st.sampled_from(["key", "duty", "job", "team", "authority"]), label="loss")
        duties = sorted(self.model.duties(person))
        if loss == "key":
            self.order(self.somebody(data, with_duties={"officer"}), c.RevokeKey(key=self.key_of(person)))
        elif loss == "duty" and duties:
            end = c.EndAppointment(person=person, duty=data.draw(st.sampled_from(duties)))
            self.order(self.somebody(data, with_duties={"officer", "people"}), end)
        elif loss == "authority":
            self.tell(msgspec.structs.replace(known, directed_by=(PARENTS,)))
        elif loss == "team":
            self.tell(msgspec.structs.replace(known, team=self.facts_of(asker).team))
        else:
            self.tell(msgspec.structs.replace(known, ends_ms=self.ground.now_ms))

    def facts_of(self, person: int) -> PersonFacts:
        """Give what the program knows of somebody."""
        register = self.ground.state.governed.register
        assert register is not None
        return register.people[person]

    # -- ordering ----------------------------------------------------------------------------------------------------

    @rule(data=ANYTHING)
    def something_is_taken(self, data: st.DataObject) -> None:
        person, grants = self.anybody(data), [1, *self.model.grants]
        duty = data.draw(st.sampled_from(sorted(self.model.terms["duties"])))
        held = sorted(self.model.members.get(person, {}).get("duties", ()))
        grant = int(data.draw(st.sampled_from(grants), label="grant"))
        narrow = c.NarrowGrant(
            grant=grant,
            datasets=data.draw(st.sampled_from([("person",), ("rest",), ("person", "rest")])),
            classes=data.draw(st.sampled_from([("public",), ("protected", "public")])),
            records_max=data.draw(st.sampled_from([2, 3, 50])),
            lasts_ms=data.draw(st.sampled_from([MINUTE, 20 * MINUTE, 2 * HOUR])),
        )
        changes: list[c.AnyChange] = [
            narrow,
            narrow,
            c.RevokeGrant(grant=grant),
            c.Dismiss(person=person),
            c.EndAppointment(person=person, duty=held[0] if held else duty),
            c.RevokeKey(key=self.key_of(person)),
            c.Suspend(scope=c.EVERYTHING),
            c.Suspend(scope=c.FLOW, name=data.draw(st.sampled_from(["helping", "serving", "gone"]))),
            c.Suspend(scope=c.PARTY, name=data.draw(st.sampled_from(["trust", "app"]))),
        ]
        change = data.draw(st.sampled_from(changes), label="order")
        may = set(self.model.terms["governance"]["orders"][c.operation_of(change)])
        by = self.somebody(data, with_duties=may)
        self.order(by, change)

    @rule(data=ANYTHING)
    def glass_is_broken(self, data: st.DataObject) -> None:
        by = self.somebody(data, with_duties={"engineer"})
        person = by if data.draw(SOMETIMES) else self.anybody(data)
        kind = data.draw(st.sampled_from(["break-glass", "break-glass", "break-glass", "access"]), label="kind")
        self.order(by, self.draw_grant(data, kind, person))

    @rule(data=ANYTHING)
    def order_is_forged(self, data: st.DataObject) -> None:
        by, change = self.somebody(data, with_duties={"monitor"}), c.Suspend(scope=c.FLOW, name="serving")
        written = self.write(change, by=by)
        key, purpose = self.key_of(by), data.draw(st.sampled_from(["order", "propose", "approve"]))
        if purpose == "order":
            key = int(data.draw(st.sampled_from(sorted(self.model.keys)), label="key"))
        self.order(by, change, data=written, signature=(self.public_of(key), purpose, written))

    # -- using -------------------------------------------------------------------------------------------------------

    @rule(data=ANYTHING)
    def grant_is_used(self, data: st.DataObject) -> None:
        if not self.model.grants:
            return
        number = int(data.draw(st.sampled_from(sorted(self.model.grants)), label="grant"))
        grant = self.model.grants[number]
        person = grant["person"] if data.draw(SOMETIMES) else self.anybody(data)
        asked = Asked(person, "US", "support", "read", "person", "single", 1, number)
        ruling = rule_access(self.ground.state, asked, ["protected", "public"], at_ms=self.ground.now_ms)
        if ruling.permitted:
            if grant["used"] < grant["records_max"]:
                grant["used"] += 1
            else:
                ruling = without_grant(ruling, GRANT_USED_UP)
        self.uses.append((len(self.ground.entries), self.ground.now_ms, asked, ruling))


TestGovernance = GovernedMachine.TestCase
TestGovernance.settings = settings(stateful_step_count=STEPS)
