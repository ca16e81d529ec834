"""State: the fold of the rule entries, and of nothing else.

Rules of this file:
1. `fold(state, rule)` gives the next state or raises; nothing is changed in place.
2. `State.epoch` is the number of rules folded.
3. What a decision reads is in the tree in the clear; openings only add who is behind a number, so that a verifier
   without them still re-derives every decision.
4. A rule that the state does not allow is refused here, for the writer and for the verifier alike.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, assert_never

import msgspec

from ringfence.core import entry as e
from ringfence.core.charter import Charter, parse_charter
from ringfence.core.engines import ENGINES
from ringfence.core.errors import CharterInvalidError, ProofInvalidError
from ringfence.core.lane import AUTHORITY_LANE

ERASE_DUTIES: Final = ("authority", "gateway")


@dataclass(frozen=True, slots=True)
class Lane:
    """A lane that was certified: its public key (32 bytes), build and duty, and whether it may still write."""

    number: int
    key: bytes
    build: str
    duty: str
    closed_after: int | None = None


@dataclass(frozen=True, slots=True)
class Principal:
    """A registered caller: a number and the party it belongs to. An issuer never says which party that is."""

    number: int
    party: str


@dataclass(frozen=True, slots=True)
class State:
    """Everything that decisions depend on after `epoch` rules.

    `principal_last` is the largest number that any principal ever had: a number is never given to a second one.
    `identities` maps (issuer, subject) to a principal's number, for those whose opening is known.
    `erased` counts erased subjects; `erased_digest` chains their commitments.
    """

    epoch: int = 0
    origin: str = ""
    mode: str = ""
    engine: str = ""
    log_key: str = ""
    charter: Charter | None = None
    charter_digest: bytes = b""
    lanes: Mapping[int, Lane] = field(default_factory=dict)
    principals: Mapping[int, Principal] = field(default_factory=dict)
    principal_last: int = 0
    identities: Mapping[tuple[str, str], int] = field(default_factory=dict)
    key_epochs: Mapping[str, int] = field(default_factory=dict)
    erased: int = 0
    erased_digest: bytes = bytes(32)

    @property
    def rules(self) -> Charter:
        """The charter in force.

        Raises:
            ProofInvalidError: none has been enacted yet.
        """
        if self.charter is None:
            raise ProofInvalidError("no charter is in force yet", place=f"epoch {self.epoch}")
        return self.charter


EMPTY: Final = State()


def fold(
    state: State, rule: e.Rule, *, lane: int, opening: bytes | None = None, blob: bytes | None = None, place: str = ""
) -> State:
    """Give the state after one more rule.

    Args:
        state: the state before it.
        rule: the rule entry.
        lane: the lane whose batch holds it; only the authority's lane may write most rules.
        opening: the opening of the rule's commitment, already checked against it; None when it is withheld.
        blob: the bytes that the rule names by digest (a charter's file); needed for `CharterEnacted`.
        place: where the rule stands, for messages.

    Raises:
        ProofInvalidError: the state does not allow this rule.
    """
    if (state.epoch == 0) != isinstance(rule, e.Genesis):
        raise ProofInvalidError("genesis must be the first rule and only the first", place=place)
    _check_writer(state, rule, lane=lane, place=place)
    following = _apply(state, rule, opening=opening, blob=blob, place=place)
    return replace(following, epoch=state.epoch + 1)


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


def _apply(state: State, rule: e.Rule, *, opening: bytes | None, blob: bytes | None, place: str) -> State:
    match rule:
        case e.Genesis():
            return _begin(rule, place)
        case e.CharterEnacted():
            return _enact(state, rule, blob, place)
        case e.LaneCertified():
            if rule.lane in state.lanes:
                raise ProofInvalidError(f"lane {rule.lane} is certified twice", place=place)
            return _with_lane(state, Lane(number=rule.lane, key=rule.key, build=rule.build, duty=rule.duty))
        case e.LaneRetired() | e.LaneRecovered():
            return _close_lane(state, rule, place)
        case e.PrincipalRegistered():
            return _register(state, rule, opening, place)
        case e.PrincipalWithdrawn():
            return _withdraw(state, rule, place)
        case e.KeyEpochOpened():
            if rule.key_epoch != state.key_epochs.get(rule.data_class, 0) + 1:
                raise ProofInvalidError(f"key epochs of class {rule.data_class} have a gap", place=place)
            return replace(state, key_epochs={**state.key_epochs, rule.data_class: rule.key_epoch})
        case e.SubjectErased():
            chained = hashlib.sha256(state.erased_digest + rule.about).digest()
            return replace(state, erased=state.erased + 1, erased_digest=chained)
        case e.Snapshot():
            found = digest_state(state)
            if rule.digest != found:
                raise ProofInvalidError(
                    "a snapshot is not of this state", place=place, expected=found.hex(), found=rule.digest.hex()
                )
            return state
        case _:
            assert_never(rule)


def _begin(rule: e.Genesis, place: str) -> State:
    if rule.mode not in (e.DEVELOPMENT, e.PRODUCTION):
        raise ProofInvalidError("genesis names no known mode", place=place, found=rule.mode)
    if rule.engine not in ENGINES:
        raise ProofInvalidError("genesis names no known engine", place=place, found=rule.engine)
    authority = Lane(number=AUTHORITY_LANE, key=rule.authority, build="", duty="authority")
    return State(
        origin=rule.origin,
        mode=rule.mode,
        engine=rule.engine,
        log_key=rule.log_key,
        lanes={AUTHORITY_LANE: authority},
    )


def _enact(state: State, rule: e.CharterEnacted, blob: bytes | None, place: str) -> State:
    if blob is None or hashlib.sha256(blob).digest() != rule.digest:
        raise ProofInvalidError("the charter's file is missing or is not the one enacted", place=place)
    if rule.engine not in ENGINES:
        raise ProofInvalidError("a charter is enacted under an unknown engine", place=place, found=rule.engine)
    try:
        charter = parse_charter(blob, file=f"{rule.name}@{rule.version}")
    except CharterInvalidError as error:
        raise ProofInvalidError(f"the enacted charter is not valid: {error}", place=place) from None
    if (charter.name, charter.version) != (rule.name, rule.version):
        raise ProofInvalidError("the enacted charter has another name or version", place=place)
    if state.charter is not None and charter.version <= state.charter.version:
        raise ProofInvalidError("a charter's version must grow", place=place, found=str(charter.version))
    if state.charter is not None and charter.jurisdiction.country != state.charter.jurisdiction.country:
        raise ProofInvalidError("a charter may not move to another jurisdiction", place=place)
    return replace(state, charter=charter, charter_digest=rule.digest, engine=rule.engine)


def _with_lane(state: State, lane: Lane) -> State:
    return replace(state, lanes={**state.lanes, lane.number: lane})


def _close_lane(state: State, rule: e.LaneRetired | e.LaneRecovered, place: str) -> State:
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
        identities = {**identities, (identity.issuer, identity.subject): rule.number}
    principal = Principal(number=rule.number, party=rule.party)
    return replace(
        state,
        principals={**state.principals, rule.number: principal},
        principal_last=rule.number,
        identities=identities,
    )


def _withdraw(state: State, rule: e.PrincipalWithdrawn, place: str) -> State:
    if rule.number not in state.principals:
        raise ProofInvalidError(f"principal {rule.number} is not registered", place=place)
    return replace(
        state,
        principals={number: who for number, who in state.principals.items() if number != rule.number},
        identities={identity: number for identity, number in state.identities.items() if number != rule.number},
    )


def digest_state(state: State) -> bytes:
    """Give a digest (32 bytes) of everything in the state that is in the tree in the clear."""
    facts = {
        "epoch": state.epoch,
        "origin": state.origin,
        "mode": state.mode,
        "engine": state.engine,
        "charter": state.charter_digest.hex(),
        "lanes": [
            [lane.number, lane.key.hex(), lane.build, lane.duty, lane.closed_after]
            for _, lane in sorted(state.lanes.items())
        ],
        "principals": [[who.number, who.party] for _, who in sorted(state.principals.items())],
        "principal_last": state.principal_last,
        "key_epochs": dict(sorted(state.key_epochs.items())),
        "erased": [state.erased, state.erased_digest.hex()],
    }
    return hashlib.sha256(msgspec.json.encode(facts)).digest()
