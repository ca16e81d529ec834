"""A governed ledger in memory, for tests: a small charter, people with keys, and entries that are folded one by one.

`Ground` is a state and a clock. Its verbs make the entry that a service would write, with its opening, and fold it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ringfence.core import changes as c
from ringfence.core.folding import RuleSource, complete, fold
from ringfence.core.governance.founding import (
    FOUND,
    Founding,
    FoundingPerson,
    FoundingService,
    SignedFounding,
    genesis_of,
    render_founding,
    render_founding_opening,
)
from ringfence.core.governance.recording import find_effects
from ringfence.core.governance.statement import (
    APPROVE,
    DECLINE,
    ORDER,
    PROPOSE,
    Statement,
    digest_statement,
    render_statement,
)
from ringfence.core.ledger import entry as e
from ringfence.core.ledger import governed_entry as g
from ringfence.core.ledger.signed_note import render_vkey
from ringfence.core.people.register import PersonFacts, record, render_facts
from ringfence.core.people.signatures import parse_public_key, sign_message
from ringfence.core.state import EMPTY, State
from tests import ledgers

ORIGIN = "ledger.example.org/governed"
START_MS = 1_700_000_000_000
HOUR_MS = 3_600_000
ISSUER = "https://login.example.org"
SALT = b"salt-of-16-bytes"
BUILD = hashlib.sha256(b"the custodian's build").digest()

CHARTER = """
charter: small
version: 1
jurisdiction: {country: US, evidence: {declared: [{dataset: person, field: Country}]}}
identity: {dataset: person, field: userName}
parties:
  trust: {name: The custodian, role: custodian}
  app: {name: The app, role: operator}
  parent: {name: The parent, role: excluded}
  board: {name: The overseer, role: overseer}
regions:
  home: {country: US, holds: [protected, public]}
classes: {protected: What exposes a person., public: What the user published.}
datasets:
  person:
    words: The account.
    records: one
    sources: [[Person]]
    fields: {userName: {class: public, distinct: many}, Email: protected, Country: protected}
  rest: {words: The rest., records: many, catch_all: true, fields: {value: protected}}
purposes: {serve: Serve the user., support: Help the user., investigate: Look into it., comply: Follow the law.}
flows:
  - name: serving
    words: The app serves its users.
    who: [app]
    from: [US]
    purposes: [serve]
    verbs: [read, write]
    datasets: ["*"]
    classes: [protected, public]
  - name: helping
    words: Engineers of the custodian help a user, under a grant.
    who: [trust]
    from: [US]
    purposes: [support, investigate, comply]
    verbs: [read, find]
    datasets: ["*"]
    classes: [protected, public]
    duties: [engineer]
    needs: [access, break-glass, legal-demand]
    bulk: {records_max: 50, records_per_day_max: 100000}
duties:
  engineer: {words: Keeps things running., party: trust}
  officer: {words: Decides who gets in., party: trust, minimum: 2}
  manager: {words: Answers for the data., party: trust}
  people: {words: Keeps the register., party: trust}
  inspector: {words: Reads code., party: trust}
  releaser: {words: Proposes builds., party: app}
  monitor: {words: Watches for the regulator., party: board}
  keeper: {words: Keeps keys., party: trust, veto: {by: [monitor], hours: 72}}
governance:
  operations:
    enact-charter: MOST
    admit: STAFF
    appoint: STAFF
    enrol-key: STAFF
    grant:
      propose: [engineer, manager]
      approve: {any: [{from: [officer], count: 2}, {all: [{from: [officer], count: 1}, {from: [manager], count: 1}]}]}
      never: [same-team, same-manager, directed-by-requester, appointed-by-requester]
      expires_hours_max: 24
    legal-demand: {propose: [manager], approve: {from: [monitor, officer], count: 2}, expires_hours_max: 24}
    approve-build: {propose: [releaser, inspector], approve: {from: [inspector], count: 1}, expires_hours_max: 240}
    register-service: STAFF
    trust-issuer: STAFF
    open-key-epoch: STAFF
    recover-lane: STAFF
    lift: MOST
    review: {propose: [engineer, officer], approve: {from: [officer], count: 1}, expires_hours_max: 240}
    suspend: {propose: [officer], approve: {from: [officer], count: 1}, expires_hours_max: 24}
  orders:
    suspend: [monitor]
    end-appointment: [people, officer]
    dismiss: [people, officer]
    revoke-key: [officer]
    revoke-grant: [officer, monitor]
    narrow-grant: [officer]
    withdraw-build: [inspector]
    withdraw-service: [officer]
    withdraw-issuer: [officer]
    break-glass: [engineer]
  grants:
    {hours_max: 8, records_max: 1000, break_glass_hours_max: 1, break_glass_records_max: 10,
      break_glass_review_hours: 24}
  cooling_days: 365
independence:
  - name: not-directed-from-the-parent
    words: Nobody whom the parent or the app employs, pays, manages or directs holds a duty of the custodian.
    duties: [engineer, officer, manager, people, inspector, keeper]
    roles: [excluded, operator]
    through: [employer, pay, manager, direction]
  - name: lives-here
    words: They live and work here.
    duties: [engineer, officer, manager, people, inspector, keeper]
    residence: [US]
    works_in: [US]
separations: [[engineer, officer], [people, keeper]]
""".replace(
    "MOST",
    "{propose: [officer, manager], approve: {all: [{from: [officer], count: 2}, {from: [monitor], count: 1}]}, "
    "expires_hours_max: 240}",
).replace("STAFF", "{propose: [people], approve: {from: [officer], count: 2}, expires_hours_max: 240}")


def key_of(name: str) -> Ed25519PrivateKey:
    """Give the signing key of somebody, always the same."""
    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(f"key of {name}".encode()).digest())


def public_key_of(name: str) -> bytes:
    """Give somebody's public key in OpenSSH's wire format."""
    line = key_of(name).public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return parse_public_key(line.decode())


def sign(name: str, message: bytes, namespace: str) -> bytes:
    """Sign as `ssh-keygen -Y sign` does."""
    return sign_message(message, namespace=namespace, key=key_of(name))


def facts(number: int, name: str, **told: object) -> PersonFacts:
    """Give facts about somebody of the custodian who lives here, unless told otherwise."""
    usual: dict[str, object] = {
        "party": "trust",
        "residence": "US",
        "works_in": "US",
        "devices_of": "trust",
        "team": name,
    }
    return PersonFacts(number=number, reference=f"hr-{name}", name=name, **{**usual, **told})  # type: ignore[arg-type]


FOUNDERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "ada": ("trust", ("officer",)),
    "ben": ("trust", ("officer",)),
    "cid": ("trust", ("officer",)),
    "dot": ("trust", ("people",)),
    "eve": ("trust", ("engineer",)),
    "fay": ("trust", ("manager",)),
    "gus": ("trust", ("inspector",)),
    "hal": ("app", ("releaser",)),
    "ivy": ("board", ("monitor",)),
}
"""Who founds the ledger, in order of number, with their party and duties."""

NUMBERS = {name: number for number, name in enumerate(FOUNDERS, start=1)}
APP = len(FOUNDERS) + 1
"""The app's service, known from the start."""


def found(charter: str = CHARTER, *, absent: str = "", **told: dict[str, object]) -> tuple[e.Genesis, bytes]:
    """Give a genesis entry with its opening; `told` are other facts about founders, by name.

    For `absent` somebody else signs.
    """
    people = tuple(
        FoundingPerson(
            facts=facts(NUMBERS[name], name, **{"party": party, **told.get(name, {})}),
            duties=duties,
            key=public_key_of(name),
            identity=e.Identity(ISSUER, name),
        )
        for name, (party, duties) in FOUNDERS.items()
    )
    founding = Founding(
        origin=ORIGIN,
        mode=e.DEVELOPMENT,
        engine="v2",
        authority=ledgers.key_of("lane 0").public_key().public_bytes_raw(),
        log_key=render_vkey(ledgers.Ledger(origin=ORIGIN).log_vkey()),
        charter=hashlib.sha256(charter.encode()).digest(),
        build=BUILD,
        at_ms=START_MS,
        nonce=bytes(16),
        people=people,
        services=(FoundingService(party="app", identity=e.Identity(ISSUER, "service")),),
        issuers=(g.TrustedIssuer(name=ISSUER, keys=hashlib.sha256(b"the issuer's keys").digest()),),
    )
    document = render_founding(founding)
    signatures = tuple(sign("somebody else" if name == absent else name, document, FOUND) for name in FOUNDERS)
    opening = render_founding_opening(SALT, SignedFounding(document=document, signatures=signatures))
    return genesis_of(founding, commitment=e.commit(opening)), opening


def facts_entry(
    state: State, told: Sequence[PersonFacts], *, at_ms: int, by: int = 0
) -> tuple[g.PeopleRecorded, bytes]:
    """Give the entry that records facts about people, with the effects that follow, and the file that it names."""
    standing = state.governed
    assert standing.register is not None
    register = record(standing.register, list(told), at_ms=at_ms)
    effects = find_effects(standing, register, state.rules, list(told), at_ms=at_ms)
    file = SALT + render_facts(told)
    entry = g.PeopleRecorded(
        source="test",
        added=sum(one.number not in standing.register.people for one in told),
        people=len(told),
        facts=e.commit(file),
        suspends=effects.suspends,
        ends=effects.ends,
        by=by,
    )
    return entry, file


@dataclass
class Ground:
    """A governed ledger: its state, its clock, and the entries that led to it, each with opening and file."""

    state: State = EMPTY
    now_ms: int = START_MS
    entries: list[tuple[e.Rule, RuleSource]] = field(default_factory=list)
    nonce: int = 0

    @classmethod
    def founded(cls, charter: str = CHARTER, **told: dict[str, object]) -> Ground:
        """Give a ledger that was founded, with its charter in force."""
        ground = cls()
        genesis, opening = found(charter, **told)
        ground.fold(genesis, opening)
        text = charter.encode()
        ground.fold(
            e.CharterEnacted(name="small", version=1, digest=hashlib.sha256(text).digest(), engine="v2"), file=text
        )
        return ground

    def fold(self, rule: e.Rule, opening: bytes | None = None, file: bytes | None = None) -> State:
        """Fold one rule, a second later."""
        self.now_ms += 1000
        source = RuleSource(lane=0, at_ms=self.now_ms, opening=opening, blob=file, place="here")
        self.state = fold(self.state, rule, source)
        self.entries.append((rule, source))
        return self.state

    def statement(self, by: str, change: c.AnyChange, **told: object) -> bytes:
        """Give the bytes of a statement of somebody's, made now unless told otherwise."""
        self.nonce += 1
        usual: dict[str, object] = {
            "origin": ORIGIN,
            "genesis": self.state.genesis,
            "epoch": self.state.epoch,
            "at_ms": self.now_ms,
            "expires_ms": self.now_ms + 4 * HOUR_MS,
            "nonce": self.nonce.to_bytes(16, "big"),
            "by": NUMBERS[by],
            "change": change,
            "reason": "because",
        }
        return render_statement(Statement(**{**usual, **told}))  # type: ignore[arg-type]

    def propose(
        self, by: str, change: c.AnyChange, *, data: bytes | None = None, file: bytes | None = None, **told: object
    ) -> int:
        """Propose a change; give the proposal's number."""
        data = self.statement(by, change, **told) if data is None else data
        opening = self.opening(g.Signed(data, sign(by, data, PROPOSE)))
        number = self.state.governed.proposal_last + 1
        expires_ms = told.get("expires_ms", self.now_ms + 4 * HOUR_MS)
        assert isinstance(expires_ms, int)
        self.fold(
            g.Proposed(
                number=number,
                by=NUMBERS[by],
                key=self.key(by),
                change=change,
                expires_ms=expires_ms,
                statement=e.commit(opening),
            ),
            opening,
            file,
        )
        return number

    def approve(self, proposal: int, *people: str) -> None:
        """Let people approve a proposal."""
        for name in people:
            signature = sign(name, self.state.governed.proposals[proposal].statement, APPROVE)
            opening = self.opening(g.Signed(b"", signature))
            self.fold(
                g.Approved(proposal=proposal, by=NUMBERS[name], key=self.key(name), signature=e.commit(opening)),
                opening,
            )

    def decline(self, proposal: int, name: str) -> None:
        """Let somebody decline a proposal."""
        opening = self.opening(g.Signed(b"", sign(name, self.state.governed.proposals[proposal].statement, DECLINE)))
        self.fold(
            g.Declined(proposal=proposal, by=NUMBERS[name], key=self.key(name), signature=e.commit(opening)), opening
        )

    def carry(self, proposal: int, number: int = 0) -> int:
        """Carry a proposal; give the number of what it made."""
        rule = g.Carried(proposal=proposal, number=number)
        self.fold(complete(self.state, rule, RuleSource(lane=0, at_ms=self.now_ms + 1000)))
        return number

    def agree(self, by: str, change: c.AnyChange, *people: str, number: int = 0, **told: object) -> int:
        """Propose, approve and carry a change; give the number of what it made."""
        proposal = self.propose(by, change, **told)  # type: ignore[arg-type]
        self.approve(proposal, *people)
        return self.carry(proposal, number)

    def order(self, by: str, change: c.AnyChange, *, number: int = 0, **told: object) -> int:
        """Order a change; give the number of what it made."""
        data = self.statement(by, change, **told)
        opening = self.opening(g.Signed(data, sign(by, data, ORDER)))
        self.fold(
            g.Ordered(by=NUMBERS[by], key=self.key(by), change=change, statement=e.commit(opening), number=number),
            opening,
        )
        return number

    def record(self, *told: PersonFacts, by: int = 0) -> None:
        """Record facts about people, with the effects that follow, as told by a service if one is named."""
        entry, file = facts_entry(self.state, told, at_ms=self.now_ms + 1000, by=by)
        self.fold(entry, file=file)

    def hire(self, name: str, **told: object) -> int:
        """Record a new person; give the number."""
        number = self.state.principal_last + 1
        NUMBERS[name] = number
        self.record(facts(number, name, **told))
        return number

    def register_service(self, subject: str, *, party: str = "trust", feeds: bool = False) -> int:
        """Let a quorum make a service known; give its number."""
        identity = e.Identity(ISSUER, subject)
        commitment = e.commit(e.render_opening(SALT, identity))
        change = c.RegisterService(party=party, identity=commitment, feeds=feeds)
        number = self.state.principal_last + 1
        return self.agree("dot", change, "ada", "ben", number=number, identity=identity, identity_salt=SALT)

    def admit(self, name: str, *, party: str = "trust", by: Sequence[str] = ("ada", "ben")) -> None:
        """Admit a recorded person, with an identity and a key."""
        identity = e.Identity(ISSUER, name)
        commitment = e.commit(e.render_opening(SALT, identity))
        change = c.Admit(person=NUMBERS[name], party=party, identity=commitment)
        self.agree("dot", change, *by, identity=identity, identity_salt=SALT)
        self.agree(
            "dot",
            c.EnrolKey(person=NUMBERS[name], key=public_key_of(name)),
            *by,
            number=len(self.state.governed.keys) + 1,
        )

    def appoint(self, name: str, duty: str, *, by: Sequence[str] = ("ada", "ben")) -> None:
        """Appoint somebody to a duty."""
        self.agree("dot", c.Appoint(person=NUMBERS[name], duty=duty), *by)

    def key(self, name: str) -> int:
        """Give the number of somebody's key, the first that is enrolled."""
        public = public_key_of(name)
        return next((key.number for key in self.state.governed.keys.values() if key.key == public), 0)

    @staticmethod
    def opening(signed: g.Signed) -> bytes:
        """Give the opening of something that was signed."""
        return e.render_opening(SALT, signed)


def a_grant(person: str = "eve", **told: object) -> c.Grant:
    """Give a grant to read the protected part of any user, unless told otherwise."""
    usual: dict[str, object] = {
        "kind": c.ACCESS,
        "person": NUMBERS[person],
        "purpose": "support",
        "verbs": ("read",),
        "datasets": ("person",),
        "classes": ("protected", "public"),
        "records_max": 100,
        "lasts_ms": HOUR_MS,
        "subjects_any": True,
    }
    return c.Grant(**{**usual, **told})  # type: ignore[arg-type]


__all__ = [
    "APP",
    "CHARTER",
    "FOUNDERS",
    "HOUR_MS",
    "NUMBERS",
    "Ground",
    "a_grant",
    "digest_statement",
    "facts",
    "found",
    "key_of",
    "public_key_of",
    "replace",
    "sign",
]
