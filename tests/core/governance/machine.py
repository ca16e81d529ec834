"""The governed machine without its rules: how it does everything in the ledger and in the model, and what must hold."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant

from ringfence.core import changes as c
from ringfence.core.decisions.ruling import Asked, Ruling, rule_access
from ringfence.core.errors import ProofInvalidError
from ringfence.core.folding import RuleSource, fold
from ringfence.core.ledger import entry as e
from ringfence.core.ledger import governed_entry as g
from ringfence.core.people.register import PersonFacts
from tests.attacks.bundles import judge, require_verified
from tests.core.governance.ground import Signer, begin, charter_text, ledger_of, plain_facts, write_statement
from tests.core.governance.model import operation_of
from tests.core.governance.model_people import HOUR, Plain, Refused
from tests.governed import APP, SALT

OPEN_TRIED_MAX = 8
SOMETIMES = st.sampled_from([True, True, True, True, True, True, False])
"""Whether somebody who may is chosen, or anybody."""


class LedgerAndModel(RuleBasedStateMachine):
    """The ledger (`ground`), the model of it, and everybody's keys."""

    def __init__(self) -> None:
        super().__init__()
        self.ground, self.model = begin()
        self.signer = Signer()
        self.uses: list[tuple[int, int, Asked, Ruling]] = []

    # -- both of them ------------------------------------------------------------------------------------------------

    def both(self, real: Callable[[], object], model: Callable[[], object]) -> bool:
        """Do the same in both; they must agree on whether it is taken. Tells whether it was."""
        refused = said = None
        try:
            real()
        except ProofInvalidError as error:
            refused = error
        self.model.now = self.ground.now_ms
        try:
            model()
        except Refused as refusal:
            said = refusal
        assert (refused is None) == (said is None), f"the program: {refused!r}; the model: {said!r}"
        return refused is None

    def propose(
        self, by: int, change: c.AnyChange, *, charter: Plain | None = None, signature: Any = None, **told: Any
    ) -> bool:
        """Ask for a change; `signature` is another one than the author's own."""
        told.setdefault("expires_ms", self.ground.now_ms + 4 * HOUR)
        statement, data = self.statement(by, change, told)
        key = self.key_of(by)
        signed = signature or (self.public_of(key), "propose", data)
        opening = e.render_opening(SALT, g.Signed(data, self.signer.sign(signed)))
        entry = g.Proposed(
            number=self.model.asked_last + 1,
            by=by,
            key=key,
            change=change,
            expires_ms=statement["expires_ms"],
            statement=e.commit(opening),
        )
        file = charter_text(charter) if charter else None
        return self.both(
            lambda: self.ground.fold(entry, opening, file),
            lambda: self.model.propose(statement, by=by, key=key, signature=signed, charter=charter),
        )

    def ask(self, data: st.DataObject, by: int, change: c.AnyChange, **told: Any) -> None:
        """Ask for a change, open until some time; now and then everybody agrees to it at once, or it is carried too."""
        operation = self.model.terms["governance"]["operations"].get(operation_of(self.plain(change)), {})
        most = operation.get("expires_hours_max", 4)
        hours = data.draw(st.sampled_from([most, most, most, most, 4, 1, most + 1]), label="hours")
        taken = self.propose(by, change, expires_ms=self.ground.now_ms + int(hours) * HOUR, **told)
        if not taken:
            return
        follows = data.draw(st.sampled_from(["nothing", "begun", "agreed", "carried", "carried"]), label="follows")
        if follows in ("begun", "agreed", "carried"):
            self.settle(self.model.asked_last, approvals_max=int(follows == "begun") or 9, carried=follows == "carried")

    def statement(self, by: int, change: c.AnyChange, told: Plain) -> tuple[Plain, bytes]:
        """Give a statement as the model has it, and its bytes."""
        data = told.pop("data", None) or self.write(change, **{"by": by, **told})
        read = msgspec.json.decode(data)
        plain = {
            "ledger": "here" if read["origin"] == self.ground.state.origin else "elsewhere",
            "by": read["by"],
            "epoch": read["epoch"],
            "expires_ms": read["expires_ms"],
            "change": self.plain(change),
            "bytes": data,
        }
        return plain, data

    def write(self, change: c.AnyChange, **told: Any) -> bytes:
        """Give the bytes of a statement, made now for this ledger unless told otherwise."""
        return write_statement(self.ground, change, **told)

    def plain(self, change: c.AnyChange) -> Plain:
        """Give a change as its statement says it; keys by their bytes."""
        told: Plain = msgspec.to_builtins(change)
        return {**told, "key": change.key} if isinstance(change, c.EnrolKey) else told

    def answer(self, what: str, number: int, by: int, *, key: int = 0, signature: Any = None) -> bool:
        """Approve or decline a request; `signature` is another one than the person's own."""
        request = self.model.asked[number]
        key = key or self.key_of(by)
        signed = signature or (self.public_of(key), what, request["bytes"])
        opening = e.render_opening(SALT, g.Signed(b"", self.signer.sign(signed)))
        kind = g.Approved if what == "approve" else g.Declined
        entry = kind(proposal=number, by=by, key=key, signature=e.commit(opening))
        return self.both(
            lambda: self.ground.fold(entry, opening),
            lambda: getattr(self.model, what)(number, by=by, key=key, signature=signed),
        )

    def carry(self, number: int) -> bool:
        """Carry a request."""
        entry = g.Carried(proposal=number, number=self.made_by(self.model.asked[number]["change"]))
        return self.both(lambda: self.ground.fold(entry), lambda: self.model.carry(number))

    def made_by(self, change: Plain) -> int:
        """Give the number of what a change makes."""
        made = {"grant": self.model.grants, "enrol-key": self.model.keys, "suspend": self.model.stops}
        return len(made[change["do"]]) + 1 if change["do"] in made else 0

    def order(self, by: int, change: c.AnyChange, *, signature: Any = None, **told: Any) -> bool:
        """Order a change."""
        statement, data = self.statement(by, change, told)
        key = self.key_of(by)
        signed = signature or (self.public_of(key), "order", data)
        opening = e.render_opening(SALT, g.Signed(data, self.signer.sign(signed)))
        number = self.made_by(statement["change"])
        entry = g.Ordered(by=by, key=key, change=change, statement=e.commit(opening), number=number)
        return self.both(
            lambda: self.ground.fold(entry, opening),
            lambda: self.model.order(statement, by=by, key=key, signature=signed),
        )

    def tell(self, *told: PersonFacts) -> None:
        """Record facts in both."""

        def model() -> None:
            self.model.tell(*[plain_facts(one) for one in told])

        assert self.both(lambda: self.ground.record(*told), model)

    def settle(self, number: int, *, approvals_max: int = 9, carried: bool = True) -> None:
        """Let everybody whose approval counts agree until it is enough, and carry it unless told otherwise."""
        request = self.model.asked[number]
        for person in sorted(self.model.members):
            if self.is_ready(number) or len(request["approvals"]) >= approvals_max:
                break
            if person not in request["approvals"] and self.model.counts(request, person, self.key_of(person)):
                self.answer("approve", number, person)
        if carried and number in self.model.pending():
            self.carry(number)

    def is_ready(self, number: int) -> bool:
        """Tell whether the model would carry a request now."""
        try:
            self.model.check_carried(number)
        except Refused:
            return False
        return True

    def key_of(self, person: int) -> int:
        """Give the newest key of somebody that can be used, else any."""
        own = [number for number, key in self.model.keys.items() if key["person"] == person]
        usable = [number for number in own if not self.model.keys[number]["revoked"]]
        return max(usable or own or [1])

    def public_of(self, key: int) -> bytes:
        """Give the bytes of an enrolled key."""
        public = self.model.keys[key]["public"]
        assert isinstance(public, bytes)
        return public

    # -- whom and what -----------------------------------------------------------------------------------------------

    def anybody(self, data: st.DataObject) -> int:
        """Choose somebody of the register."""
        return int(data.draw(st.sampled_from(sorted(self.model.people)), label="person"))

    def somebody(self, data: st.DataObject, *, with_duties: set[str]) -> int:
        """Choose somebody who holds one of these duties, most times; else anybody."""
        able = [number for number in sorted(self.model.members) if self.model.duties(number) & with_duties]
        if able and data.draw(SOMETIMES, label="one who may"):
            return int(data.draw(st.sampled_from(able), label="person"))
        return self.anybody(data)

    def a_member(self, data: st.DataObject) -> int:
        """Choose somebody with authority, most times; else anybody."""
        able = [number for number in sorted(self.model.members) if self.model.is_active(number)]
        if able and data.draw(SOMETIMES, label="a member"):
            return int(data.draw(st.sampled_from(able), label="person"))
        return self.anybody(data)

    def asker(self, data: st.DataObject, operation: str) -> int:
        """Choose who asks."""
        return self.somebody(data, with_duties=set(self.model.terms["governance"]["operations"][operation]["propose"]))

    def open_one(self, data: st.DataObject) -> int:
        """Choose a request that is open; 0 where there is none."""
        numbers = sorted(self.model.pending())
        return int(data.draw(st.sampled_from(numbers), label="request")) if numbers else 0

    # -- what must hold ----------------------------------------------------------------------------------------------

    @invariant()
    def standings_are_alike(self) -> None:
        """Who holds what, whose keys hold, what is open and agreed to, given, waiting for review, and stopped."""
        standing, model, now = self.ground.state.governed, self.model, self.ground.now_ms
        active = {number: member for number, member in standing.members.items() if member.is_active(now)}
        assert {number: set(member.duties) for number, member in active.items()} == {
            number: model.duties(number) for number in model.members if model.is_active(number)
        }
        assert {number for number, member in standing.members.items() if member.dismissed} == {
            number for number, member in model.members.items() if member["dismissed"]
        }
        assert {number for number, key in standing.keys.items() if not key.revoked and key.person in active} == {
            number for number, key in model.keys.items() if not key["revoked"] and model.is_active(key["person"])
        }
        assert {
            number: {approval.person for approval in proposal.approvals}
            for number, proposal in standing.proposals.items()
            if now < proposal.expires_ms
        } == {number: set(request["approvals"]) for number, request in model.pending().items()}
        assert {
            number: (given.grant.person, given.until_ms, given.grant.records_max)
            for number, given in standing.grants.items()
            if given.is_live(now) and given.grant.person in active
        } == {
            number: (grant["person"], grant["until"], grant["records_max"])
            for number, grant in model.live_grants().items()
        }
        assert {
            number: given.review_until_ms
            for number, given in standing.grants.items()
            if given.review_until_ms and not given.reviewed
        } == {number: grant["review"] for number, grant in model.grants.items() if grant["review"]}
        assert set(standing.stopped) == model.stopped()
        assert self.ground.state.epoch == model.moment

    @invariant()
    def decisions_are_alike(self) -> None:
        """What everybody may read under every grant, and what the app's service may."""
        for number, grant in self.model.grants.items():
            for dataset, data_class in (("person", "protected"), ("rest", "public")):
                asked = Asked(grant["person"], "US", "support", "read", dataset, "single", 1, number)
                said = rule_access(self.ground.state, asked, [data_class], at_ms=self.ground.now_ms)
                may = self.model.may_read(grant["person"], number, dataset=dataset, data_class=data_class)
                assert bool(said.permitted) == may, (said, grant)
        asked = Asked(APP, "US", "serve", "read", "person", "single", 1)
        said = rule_access(self.ground.state, asked, ["protected"], at_ms=self.ground.now_ms)
        stops = {("everything", ""), ("party", "app"), ("flow", "serving")} & self.model.stopped()
        assert bool(said.permitted) == (not stops)

    @invariant()
    def every_member_would_be_heard_alike(self) -> None:
        """Whose approval would count, and what would be carried, for the requests that were asked for last."""
        source = RuleSource(lane=0, at_ms=self.ground.now_ms)
        gone = [number for number in self.model.asked if number not in self.model.pending()]
        for number in [*gone[-1:], *sorted(self.model.pending())[-OPEN_TRIED_MAX:]]:
            request = self.model.asked[number]
            for person in self.model.members:
                key = self.key_of(person)
                entry = g.Approved(proposal=number, by=person, key=key, signature=bytes(32))
                given = request["approvals"].get(person)
                heard = number in self.model.pending() and bool(self.model.counts(request, person, key))
                heard = heard and not (given and self.model.counts(request, person, given))
                assert heard == self.is_taken(entry, source), (number, person)
            carried = g.Carried(proposal=number, number=self.made_by(request["change"]))
            assert self.is_ready(number) == self.is_taken(carried, source), number

    def is_taken(self, entry: e.Rule, source: RuleSource) -> bool:
        """Tell whether the program would take an entry now."""
        try:
            fold(self.ground.state, entry, source)
        except ProofInvalidError:
            return False
        return True

    def teardown(self) -> None:
        """Verify the ledger as a bundle, from its first entry to its last, with what was used."""
        if self.ground.entries:
            ledger = ledger_of(self.ground, self.uses)
            with tempfile.TemporaryDirectory() as directory:
                require_verified(judge(ledger, Path(directory)))
