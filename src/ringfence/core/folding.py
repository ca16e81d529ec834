"""Folding: the next state from a rule. `State(e)` is the fold of the first `e` rules and of nothing else.

Rules of this file:
1. `fold(state, rule)` gives the next state or raises; nothing is changed in place.
2. `State.epoch` is the number of rules folded.
3. A rule that the state does not allow is refused here, for the writer and for the verifier alike.
4. In a governed ledger what adds authority stands in no rule of its own: a quorum carries it (`governance`).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final, assert_never

import msgspec

from ringfence.core.changes import AnyChange, EnactCharter
from ringfence.core.charter import Charter, parse_charter
from ringfence.core.coalition.countings import check_said, count_by, newest_for
from ringfence.core.coalition.gate import Counted
from ringfence.core.credentials import fold_credential
from ringfence.core.decisions.engines import ENGINES
from ringfence.core.enacting import enact
from ringfence.core.errors import CharterInvalidError, ProofInvalidError
from ringfence.core.governance.founding import approve_founding_build, begin_standing, check_founders
from ringfence.core.governance.orders import order
from ringfence.core.governance.proposals import approve, carry, decline, open_proposal, propose
from ringfence.core.governance.recording import fold_people
from ringfence.core.ledger import entry as e
from ringfence.core.ledger import governed_entry as g
from ringfence.core.ledger.lane import AUTHORITY_LANE
from ringfence.core.ledger.merkle import hash_leaf
from ringfence.core.people.register import PersonFacts, parse_facts
from ringfence.core.state import Lane, Principal, State, without_identity

ERASE_DUTIES: Final = ("authority", "gateway")
CERTIFIED_DUTIES: Final = ("gateway", "ingest")
CUSTODIAN: Final = "custodian"
BUILD_PREFIX: Final = "sha256:"
CHARTERS_KEPT_MAX: Final = 64
"""Charters that are kept once parsed: a rule of some bytes may name a file that takes seconds, again and again."""


@dataclass(frozen=True, slots=True)
class RuleSource:
    """Where a rule stands and what comes with it.

    Attributes:
        lane: the lane whose batch holds it; only the authority's lane may write most rules.
        at_ms: the time of that batch, milliseconds since 1970 UTC.
        opening: the opening of the rule's commitment, already checked against it; None when it is withheld.
        blob: the bytes that the rule names by digest: a charter's file, or the salted facts about people. None where
            there are none, or facts are withheld.
        place: where the rule stands, for messages.
    """

    lane: int
    at_ms: int = 0
    opening: bytes | None = None
    blob: bytes | None = None
    place: str = ""


def fold(state: State, rule: e.Rule, source: RuleSource) -> State:
    """Give the state after one more rule.

    Raises:
        ProofInvalidError: the state does not allow this rule.
    """
    _check(state, rule, source)
    return _advance(state, _apply(state, rule, source), source)


def complete(state: State, rule: e.Rule, source: RuleSource) -> e.Rule:
    """Give a rule as it is to be written: with what only the state after it tells, and nobody could know before.

    Raises:
        ProofInvalidError: the state does not allow this rule.
    """
    if not isinstance(rule, g.Carried):
        fold(state, rule, source)
        return rule
    _check(state, rule, source)
    change, following = _take_effect(state, rule, source)
    name = newest_for(state, following)
    counted = count_by(name, state, following, change, at_ms=source.at_ms, place=source.place)
    check_said(name, state, following, change, counted, place=source.place)
    return msgspec.structs.replace(rule, counting=name, coalition=counted.people, proof=counted.proof)


def _check(state: State, rule: e.Rule, source: RuleSource) -> None:
    if (state.epoch == 0) != isinstance(rule, e.Genesis):
        raise ProofInvalidError("genesis must be the first rule and only the first", place=source.place)
    _check_writer(state, rule, lane=source.lane, place=source.place)
    _check_governed(state, rule, place=source.place)


def _advance(state: State, following: State, source: RuleSource) -> State:
    return replace(following, epoch=state.epoch + 1, ruled_ms=max(state.ruled_ms, source.at_ms))


def _check_writer(state: State, rule: e.Rule, *, lane: int, place: str) -> None:
    if isinstance(rule, e.Genesis):
        duty = "authority" if lane == AUTHORITY_LANE else "unknown"
    else:
        writer = state.lanes.get(lane)
        duty = writer.duty if writer else "unknown"
    allowed = ERASE_DUTIES if isinstance(rule, e.SubjectErased) else ("authority",)
    if duty not in allowed:
        raise ProofInvalidError(
            f"lane {lane} may not write a rule of kind {type(rule).__name__}",
            place=place,
            expected=f"a lane with the duty {' or '.join(allowed)}",
            found=duty,
        )


def _check_governed(state: State, rule: e.Rule, *, place: str) -> None:
    """Refuse what only a quorum may do in a governed ledger (rule 4)."""
    standing = state.standing
    if standing is None:
        return
    match rule:
        case e.CharterEnacted():
            allowed = state.epoch == 1 and rule.digest == standing.founding_charter
        case e.PrincipalRegistered() | e.PrincipalWithdrawn():
            allowed = False
        case e.KeyEpochOpened():
            allowed = rule.key_epoch == 1  # the first of each class, which every ledger begins with
        case e.LaneRecovered():
            allowed = standing.recoveries.get(rule.lane) == (rule.n, rule.reason)
        case e.LaneCertified():
            build = standing.builds.get(_digest_of(rule.build))
            owner = state.rules.parties.get(build.party) if build is not None and not build.withdrawn else None
            allowed = owner is not None and owner.role == CUSTODIAN  # others' builds are approved for services alone
        case _:
            allowed = True
    if not allowed:
        raise ProofInvalidError(
            f"the ledger is governed: {type(rule).__name__} takes a quorum",
            place=place,
            expected="a proposal that is carried",
        )
    if state.epoch == 1 and not isinstance(rule, e.CharterEnacted):
        raise ProofInvalidError("the founding charter must be enacted right after genesis", place=place)


def _digest_of(build: str) -> bytes:
    """Give the digest that a build is called by, or b"" when it is called otherwise."""
    try:
        return bytes.fromhex(build.removeprefix(BUILD_PREFIX)) if build.startswith(BUILD_PREFIX) else b""
    except ValueError:
        return b""


def _apply(state: State, rule: e.Rule, source: RuleSource) -> State:
    place = source.place
    match rule:
        case e.Genesis():
            return _begin(rule, source)
        case e.CharterEnacted():
            return _enact(state, rule, source)
        case e.LaneCertified():
            if rule.lane in state.lanes:
                raise ProofInvalidError(f"lane {rule.lane} is certified twice", place=place)
            if rule.duty not in CERTIFIED_DUTIES:
                raise ProofInvalidError(
                    f"lane {rule.lane} is certified for a duty that no lane is given",
                    place=place,
                    expected=" or ".join(CERTIFIED_DUTIES),
                    found=rule.duty,
                )
            return _with_lane(state, Lane(number=rule.lane, key=rule.key, build=rule.build, duty=rule.duty))
        case e.LaneRecovered():
            return _close_lane(state, rule, place)
        case e.PrincipalRegistered():
            return _register(state, rule, source.opening, place)
        case e.PrincipalWithdrawn():
            return _withdraw(state, rule, place)
        case e.KeyEpochOpened():
            if rule.key_epoch != state.key_epochs.get(rule.data_class, 0) + 1:
                raise ProofInvalidError(f"key epochs of class {rule.data_class} have a gap", place=place)
            return replace(state, key_epochs={**state.key_epochs, rule.data_class: rule.key_epoch})
        case e.SubjectErased():
            chained = hashlib.sha256(state.erased_digest + rule.about).digest()
            return replace(state, erased=state.erased + 1, erased_digest=chained)
        case _:
            return _govern(state, rule, source)


def _govern(
    state: State,
    rule: g.PeopleRecorded | g.CredentialIssued | g.Proposed | g.Approved | g.Declined | g.Carried | g.Ordered,
    source: RuleSource,
) -> State:
    at_ms, place = source.at_ms, source.place
    if isinstance(rule, g.PeopleRecorded):
        facts = _read_facts(rule, source)
        return fold_people(state, rule, facts, at_ms=at_ms, place=place)
    if isinstance(rule, g.CredentialIssued):
        return fold_credential(state, rule, at_ms=at_ms, place=place)
    if isinstance(rule, g.Carried):
        return _carry(state, rule, source)
    signed = e.parse_signed(source.opening, place=place) if source.opening is not None else None
    match rule:
        case g.Proposed():
            charter = _proposed_charter(rule, source)
            return propose(state, rule, signed, charter=charter, at_ms=at_ms, place=place)
        case g.Approved():
            return approve(state, rule, signed, at_ms=at_ms, place=place)
        case g.Declined():
            return decline(state, rule, signed, at_ms=at_ms, place=place)
        case g.Ordered():
            return order(state, rule, signed, at_ms=at_ms, place=place)
        case _:
            assert_never(rule)


def _carry(state: State, rule: g.Carried, source: RuleSource) -> State:
    """Carry, and hold what the entry says of coalitions against a count of one's own, made by the counting it names.

    Without facts a count is believed; that there is one, where the charter asks for it, is checked all the same.
    """
    said = Counted(rule.coalition, rule.proof)
    change, following = _take_effect(state, rule, source)
    counted = count_by(rule.counting, state, following, change, at_ms=source.at_ms, place=source.place)
    check_said(rule.counting, state, following, change, said, place=source.place)
    if following.governed.register is not None and said != counted:
        raise ProofInvalidError(
            "a change was carried with another count of coalitions than follows from the people and rules",
            place=source.place,
            expected=f"{counted.people} people, world {counted.proof.hex()[:16]}",
            found=f"{said.people} people, world {said.proof.hex()[:16]}",
        )
    return following


def _take_effect(state: State, rule: g.Carried, source: RuleSource) -> tuple[AnyChange, State]:
    """Give the change that is carried, and the state with it in effect, nothing counted."""
    change = open_proposal(state.governed, rule.proposal, at_ms=source.at_ms, place=source.place).change
    return change, carry(state, rule, at_ms=source.at_ms, place=source.place)


def _read_facts(rule: g.PeopleRecorded, source: RuleSource) -> list[PersonFacts] | None:
    if source.blob is None:
        return None
    if hashlib.sha256(source.blob).digest() != rule.facts:
        raise ProofInvalidError("facts about people are not those that the entry commits to", place=source.place)
    return parse_facts(source.blob[e.SALT_SIZE_BYTES :], place=source.place)


def _begin(rule: e.Genesis, source: RuleSource) -> State:
    place = source.place
    if rule.mode not in (e.DEVELOPMENT, e.PRODUCTION):
        raise ProofInvalidError("genesis names no known mode", place=place, found=rule.mode)
    if rule.engine not in ENGINES:
        raise ProofInvalidError("genesis names no known engine", place=place, found=rule.engine)
    authority = Lane(number=AUTHORITY_LANE, key=rule.authority, build="", duty="authority")
    state = State(
        origin=rule.origin,
        genesis=hash_leaf(e.render_entry(rule)),
        mode=rule.mode,
        engine=rule.engine,
        log_key=rule.log_key,
        lanes={AUTHORITY_LANE: authority},
    )
    if not rule.founders:
        return state
    standing, identities = begin_standing(rule, source.opening, place=place)
    parties = [*(founder.party for founder in rule.founders), *rule.services]
    principals = {number: Principal(number=number, party=party) for number, party in enumerate(parties, start=1)}
    known = {(item.issuer, item.subject): number for number, item in enumerate(identities, start=1)}
    if len(known) != len(identities):
        raise ProofInvalidError("the founding document names one identity twice", place=place)
    return replace(
        state,
        standing=standing,
        principals=state.principals.update(principals),
        principal_last=len(parties),
        identities=state.identities.update(known),
    )


def _enact(state: State, rule: e.CharterEnacted, source: RuleSource) -> State:
    charter = _read_charter(rule.digest, source, name=f"{rule.name}@{rule.version}")
    following = enact(state, rule, charter, place=source.place)
    if following.standing is None:
        return following
    check_founders(following.standing, charter, at_ms=source.at_ms, place=source.place)
    return replace(following, standing=approve_founding_build(following.standing, charter))


def _proposed_charter(rule: g.Proposed, source: RuleSource) -> Charter | None:
    if not isinstance(rule.change, EnactCharter):
        return None
    return _read_charter(rule.change.digest, source, name=f"{rule.change.name}@{rule.change.version}")


def _read_charter(digest: bytes, source: RuleSource, *, name: str) -> Charter:
    """Parse the charter that a rule names by digest."""
    if source.blob is None or hashlib.sha256(source.blob).digest() != digest:
        raise ProofInvalidError("the charter's file is missing or is not the one enacted", place=source.place)
    try:
        return _parse_charter(source.blob, name)
    except CharterInvalidError as error:
        raise ProofInvalidError(f"the enacted charter is not valid: {error}", place=source.place) from None


@lru_cache(maxsize=CHARTERS_KEPT_MAX)
def _parse_charter(text: bytes, name: str) -> Charter:
    return parse_charter(text, file=name)


def _with_lane(state: State, lane: Lane) -> State:
    return replace(state, lanes={**state.lanes, lane.number: lane})


def _close_lane(state: State, rule: e.LaneRecovered, place: str) -> State:
    lane = state.lanes.get(rule.lane)
    if lane is None or lane.closed_after is not None or rule.lane == AUTHORITY_LANE:
        raise ProofInvalidError(f"lane {rule.lane} is not open, so it cannot be closed", place=place)
    return _with_lane(state, replace(lane, closed_after=rule.n))


def _register(state: State, rule: e.PrincipalRegistered, opening: bytes | None, place: str) -> State:
    if rule.number <= state.principal_last:
        raise ProofInvalidError(
            f"principal {rule.number} is registered twice",
            place=place,
            expected=f"a number above {state.principal_last}",
            found=str(rule.number),
        )
    if rule.party not in state.rules.parties:
        raise ProofInvalidError("a principal is registered for a party that the charter does not name", place=place)
    identities = state.identities
    if opening is not None:
        identity = e.parse_identity(opening, place=place)
        if (identity.issuer, identity.subject) in identities:
            raise ProofInvalidError("one identity is registered twice", place=place)
        identities = identities.set((identity.issuer, identity.subject), rule.number)
    principal = Principal(number=rule.number, party=rule.party)
    return replace(
        state,
        principals=state.principals.set(rule.number, principal),
        principal_last=rule.number,
        identities=identities,
    )


def _withdraw(state: State, rule: e.PrincipalWithdrawn, place: str) -> State:
    if rule.number not in state.principals:
        raise ProofInvalidError(f"principal {rule.number} is not registered", place=place)
    return replace(
        state,
        principals=state.principals.delete(rule.number),
        identities=without_identity(state.identities, rule.number),
    )
