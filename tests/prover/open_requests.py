"""Small worlds in which a request is open, and somebody agreed to it already."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Final

from ringfence.core import changes as c
from ringfence.core.charter import Charter
from ringfence.core.errors import ProofInvalidError
from ringfence.core.governance.proposals import approve, propose
from ringfence.core.ledger.governed_entry import Approved, Proposed
from ringfence.core.state import State
from tests.prover.brute_force import ENACT, anything_goes, grant_for
from tests.prover.small_worlds import AT_MS, DUTIES, HOUR_MS, small_world

TRIES: Final = 12
_KEY: Final = hashlib.sha256(b"a key of whoever asked").digest()


def world_with_request(random: Random) -> State | None:
    """Give a small world with an open request to which one or two agreed; None where nobody could."""
    state = small_world(random)
    if not state.governed.members:
        return None
    return next((asked for _ in range(TRIES) if (asked := _ask(random, state)) is not None), None)


def _ask(random: Random, state: State) -> State | None:
    keys = {key.person: key.number for key in state.governed.keys.values()}
    by = random.choice(sorted(keys))
    change = random.choice(_CHANGES)(random, state)
    rule = Proposed(number=1, by=by, key=keys[by], change=change, expires_ms=AT_MS + 10 * HOUR_MS, statement=bytes(32))
    charter: Charter | None = anything_goes(state.rules) if isinstance(change, c.EnactCharter) else None
    try:
        asked = _next(propose(state, rule, None, charter=charter, at_ms=AT_MS, place="open"))
    except ProofInvalidError:
        return None
    most = random.randint(1, 2)
    for person in random.sample(sorted(keys), len(keys)):
        agreed = Approved(proposal=1, by=person, key=keys[person], signature=bytes(32))
        try:
            asked = _next(approve(asked, agreed, None, at_ms=AT_MS, place="open"))
        except ProofInvalidError:
            continue
        if len(asked.governed.proposals[1].approvals) == most:
            break
    return asked if asked.governed.proposals[1].approvals else None


def _member(random: Random, state: State) -> int:
    return random.choice(sorted(state.governed.members))


def _grant(random: Random, state: State) -> c.AnyChange:
    flow = next(flow for flow in state.rules.flows if flow.duties)
    kinds = [kind for kind in flow.needs if kind != c.BREAK_GLASS] or [c.ACCESS]
    return grant_for(state, flow, random.choice(kinds), _member(random, state))


def _admit(random: Random, state: State) -> c.AnyChange:
    register = state.governed.register
    assert register is not None
    person = random.choice(sorted(register.people))
    return c.Admit(person=person, party=register.people[person].party, identity=bytes(32))


_CHANGES: Final[tuple[Callable[[Random, State], c.AnyChange], ...]] = (
    *(lambda random, state: ENACT,) * 4,
    *(_grant,) * 4,
    lambda random, state: c.EnrolKey(person=_member(random, state), key=_KEY),
    lambda random, state: c.Appoint(person=_member(random, state), duty=random.choice(list(DUTIES))),
    lambda random, state: c.TrustIssuer(name="own", keys=bytes(32)),
    lambda random, state: c.RegisterService(party="trust", identity=bytes(32), feeds=True),
    _admit,
)
"""What may be asked for; more often what is a goal by itself."""


def _next(state: State) -> State:
    return replace(state, epoch=state.epoch + 1)
