"""What the governed machine stands on: its charters as plain objects, everybody's keys, and its ledger as a bundle."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from ruamel.yaml import YAML

from ringfence.core import changes as c
from ringfence.core.decisions.ruling import GRANT_USED_UP, Asked, Ruling
from ringfence.core.governance.statement import Statement, render_statement
from ringfence.core.ledger import entry as e
from ringfence.core.people.register import PersonFacts
from tests.core.governance.model import Model
from tests.core.governance.model_people import HOUR, Plain
from tests.governed import BUILD, CHARTER, FOUNDERS, ORIGIN, Ground, facts, public_key_of, sign
from tests.governed_ledgers import GovernedLedger
from tests.ledgers import ALICE, GATEWAY, key_of

STAFFING = ("admit", "appoint", "enrol-key")
OFFICERS = ["officer"]


def _terms() -> Plain:
    terms: Plain = YAML(typ="safe", pure=True).load(CHARTER)
    for name in STAFFING:
        terms["governance"]["operations"][name]["never"] = ["appointed-by-requester"]
    return terms


TERMS = _terms()
"""The charter that the ledger is founded on: that of the other tests, in which who staffs may not choose who agrees."""


class Signer:
    """Signs by whoever's key it is: a public key is known by the name that it was made for."""

    def __init__(self) -> None:
        self._names = {public_key_of(name): name for name in FOUNDERS}

    def public(self, name: str) -> bytes:
        """Give the public key of a name."""
        public = _public(name)
        self._names[public] = name
        return public

    def sign(self, signature: tuple[bytes, str, bytes]) -> bytes:
        """Make the signature that the model calls (public key, purpose, bytes)."""
        public, purpose, data = signature
        return sign(self._names[public], data, f"{purpose}@ringfence")


@cache
def _public(name: str) -> bytes:
    return public_key_of(name)


# -- charters --------------------------------------------------------------------------------------------------------


def charter_text(terms: Plain) -> bytes:
    """Give a charter's file."""
    return json.dumps(terms).encode()


def _change(**operations: Any) -> Callable[[Plain], Plain]:
    """Give a change of a charter: other values of the operations' members, by operation with `_` for `-`."""

    def change(terms: Plain) -> Plain:
        terms = copy.deepcopy(terms)
        terms["version"] += 1
        for name, values in operations.items():
            terms["governance"]["operations"][name.replace("_", "-")].update(values)
        return terms

    return change


def _set(*path: str, value: Any) -> Callable[[Plain], Plain]:
    """Give a change of a charter: another value at a path."""

    def change(terms: Plain) -> Plain:
        terms = copy.deepcopy(terms)
        terms["version"] += 1
        at = terms
        for name in path[:-1]:
            at = at[name]
        at[path[-1]] = value
        terms["separations"] = [group for group in terms["separations"] if set(group) <= terms["duties"].keys()]
        return terms

    return change


def _countries(*countries: str) -> Callable[[Plain], Plain]:
    def change(terms: Plain) -> Plain:
        terms = copy.deepcopy(terms)
        terms["version"] += 1
        terms["independence"][1]["residence"] = list(countries)
        return terms

    return change


def _without_keeper(terms: Plain) -> Plain:
    terms = copy.deepcopy(terms)
    terms["version"] += 1
    terms["duties"].pop("keeper", None)
    terms["separations"] = [group for group in terms["separations"] if "keeper" not in group]
    for rule in terms["independence"]:
        rule["duties"] = [duty for duty in rule["duties"] if duty != "keeper"]
    return terms


def _count(count: int) -> Plain:
    return {"approve": {"from": OFFICERS, "count": count}}


_MONITORED = {"all": [{"from": OFFICERS, "count": 2}, {"from": ["monitor"], "count": 1}]}
_RELATIONS = ["same-team", "same-manager", "directed-by-requester", "appointed-by-requester"]
_VETO = {"by": ["monitor"], "hours": 72}

CHANGES_OF_GRANTS: Sequence[Callable[[Plain], Plain]] = (
    _change(grant=_count(1)),
    _change(grant=_count(2)),
    _change(grant=_count(3)),
    _change(grant={"approve": _MONITORED}),
    _change(grant={"never": []}),
    _change(grant={"never": _RELATIONS}),
)
"""What a new charter changes of what grants take."""

CHANGES_OF_CHARTER: Sequence[Callable[[Plain], Plain]] = (
    *CHANGES_OF_GRANTS,
    _change(**{name.replace("-", "_"): _count(1) for name in STAFFING}),
    _change(**{name.replace("-", "_"): _count(2) for name in STAFFING}),
    _change(**{name.replace("-", "_"): {"never": ["same-team", "appointed-by-requester"]} for name in STAFFING}),
    _change(**{name.replace("-", "_"): {"never": []} for name in STAFFING}),
    _set("duties", "keeper", value={**TERMS["duties"]["keeper"], "veto": _VETO}),
    _set("duties", "keeper", value={key: value for key, value in TERMS["duties"]["keeper"].items() if key != "veto"}),
    _set("duties", "officer", value={**TERMS["duties"]["officer"], "veto": _VETO}),
    _set("duties", "officer", "minimum", value=3),
    _set("duties", "officer", "minimum", value=1),
    _set("governance", "grants", "hours_max", value=2),
    _set("governance", "cooling_days", value=30),
    _set("governance", "cooling_days", value=365),
    _set("separations", value=[*TERMS["separations"], ["manager", "inspector"], ["manager", "engineer"]]),
    _set("separations", value=[["engineer", "officer"]]),
    _countries("US"),
    _countries("CA"),
    _countries("US", "CA"),
    _without_keeper,
)
"""What a new charter changes of the one in force."""


# -- the beginning and the end -----------------------------------------------------------------------------------------


def plain_facts(told: PersonFacts) -> Plain:
    """Give facts as the model has them."""
    return {name: getattr(told, name) for name in told.__struct_fields__}


def begin() -> tuple[Ground, Model]:
    """Give a ledger that was founded, with a gateway's lane and one of the parent's people, and the model of it."""
    ground = _founded()
    model = Model(terms=TERMS, now=ground.now_ms, moment=0)
    for number, (name, (party, duties)) in enumerate(FOUNDERS.items(), start=1):
        model.people[number] = plain_facts(facts(number, name, party=party))
        held = dict.fromkeys(duties, (1, 0))
        model.members[number] = {"party": party, "duties": held, "until": 0, "suspended": False, "dismissed": False}
        model.keys[number] = {"person": number, "public": _public(name), "revoked": False}
    model.moment = ground.state.epoch - 1
    model.tell(plain_facts(_parents(ground)))
    return replace(ground, entries=list(ground.entries)), model


def _parents(ground: Ground) -> PersonFacts:
    last = ground.state.principal_last
    register = ground.state.governed.register
    assert register is not None
    return register.people.get(last) or facts(last + 1, "zoe", party="parent")


@cache
def _founded() -> Ground:
    ground = Ground.founded(charter_text(TERMS).decode())
    key = key_of(f"lane {GATEWAY}").public_key().public_bytes_raw()
    ground.fold(e.LaneCertified(lane=GATEWAY, key=key, build=f"sha256:{BUILD.hex()}", duty="gateway"))
    ground.record(_parents(ground))
    return ground


def write_statement(ground: Ground, change: c.AnyChange, **told: Any) -> bytes:
    """Give the bytes of a statement, made now for this ledger and open for four hours unless told otherwise."""
    ground.nonce += 1
    usual: Plain = {
        "origin": ORIGIN,
        "genesis": ground.state.genesis,
        "epoch": ground.state.epoch,
        "at_ms": ground.now_ms,
        "expires_ms": ground.now_ms + 4 * HOUR,
        "nonce": ground.nonce.to_bytes(16, "big"),
        "reason": "because",
    }
    return render_statement(Statement(**{**usual, **told}, change=change))


def ledger_of(ground: Ground, uses: Sequence[tuple[int, int, Asked, Ruling]]) -> GovernedLedger:
    """Give a ledger's entries, and what people read after so many of them, as a bundle has them."""
    ledger = GovernedLedger(origin=ORIGIN, mode=e.DEVELOPMENT, now_ms=ground.entries[0][1].at_ms)
    ledger.ground = ground
    written = 0
    for after, at_ms, asked, ruling in [*uses, (len(ground.entries), ground.now_ms, None, None)]:
        for rule, source in ground.entries[written:after]:
            ledger.now_ms = source.at_ms - 10
            ledger.rule(rule, opening=source.opening or b"", blob=source.blob or b"")
        written = after
        if asked is None or ruling is None:
            continue
        used_up = GRANT_USED_UP in ruling.decided.values()
        counted = used_up or any(decision.needs_grant for decision in ruling.permitted.values())
        ledger.now_ms = at_ms - 10
        granted = ledger.step(f"grant/{asked.grant}", 0 if used_up else asked.records, day=0) if counted else None
        read = ledger.access(
            *(ALICE,),
            principal=asked.principal,
            purpose=asked.purpose,
            grant=asked.grant,
            granted=granted,
            decided=ruling.decided,
        )
        ledger.batch(GATEWAY, read)
    ledger.now_ms = max(ledger.now_ms, ground.now_ms)
    return ledger
