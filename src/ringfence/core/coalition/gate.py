"""Gate: what is known of the smallest coalition after a change, and whether the change may be carried.

Rules of this file:
1. A charter with a `coalition.min` asks of each change that gives: how few people must join the excluded parties to
   reach any goal of `FLOORED`, counted up to that minimum. A change that leaves fewer than it found for one of the
   goals, and fewer than the minimum, is refused; so is one after which fewer are found to be enough, where there were
   too many choices before it to tell. A new charter is held to what the old one asks as well, and what it
   leaves is counted with the parties that either excludes, with those that only the new one names, and with every tie
   that either still counts: to be called something else makes nobody independent, and nothing shows whose a party is
   that nobody knew.
2. What was counted is written with the change: the number, a digest of the world that it was counted in, and by which
   of the `countings` it was. Whoever knows the register counts again by that one and must find the same.
3. Facts about people are recorded whatever they do to the number; so is what only takes authority away.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import msgspec

from ringfence.core import changes as c
from ringfence.core.charter import Charter
from ringfence.core.coalition.closure import Model, build_model
from ringfence.core.coalition.floor import find_nearest
from ringfence.core.coalition.path import describe_path
from ringfence.core.coalition.rules import FLOORED, Goal, find_goals
from ringfence.core.coalition.world import World, excluded_parties, is_seen_alike, see_world, seen_in
from ringfence.core.errors import ProofInvalidError
from ringfence.core.state import State

GATED: Final = (
    c.EnactCharter,
    c.Admit,
    c.Appoint,
    c.EnrolKey,
    c.ApproveBuild,
    c.RegisterService,
    c.TrustIssuer,
)
"""Changes that could bring a goal nearer; grants, reviews, lifted suspensions and new keys of storage cannot."""

MEMO_COUNTS_MAX: Final = 256
_MEMO: Final = "coalition"
_NEWEST: Final = "newest"


class Counted(NamedTuple):
    """What an entry says of a count: how few must join (0 where nothing is counted), and the world's digest or b""."""

    people: int = 0
    proof: bytes = b""


@dataclass(frozen=True, slots=True)
class Assessment:
    """What was counted in one state.

    Attributes:
        people: how few must join; the minimum that was counted up to when more are needed.
        proof: digest of the world that it was counted in.
        model: the world that it was counted in.
        weakest: the goal that is nearest, and who would join for it, by kind; None when the minimum holds, or when
            there are too many choices of so many people to look at.
    """

    people: int
    proof: bytes
    model: Model
    weakest: tuple[Goal, dict[int, int]] | None


def minimum_of(before: State, after: State) -> int:
    """Give how many people a change must leave, by the charter before it and the one after it; 0 for any number."""
    return max(before.governance.coalition_min, after.governance.coalition_min)


def colluding(before: State, after: State) -> tuple[str, ...]:
    """Give the parties with which a change is counted: those that a charter before it or after it excludes, and those
    that the one before it did not name (rule 1)."""
    excluded = {*excluded_parties(before.rules), *excluded_parties(after.rules)}
    return tuple(name for name in after.rules.parties if name in excluded or name not in before.rules.parties)


def count_carried(before: State, after: State, change: c.AnyChange, *, at_ms: int) -> Counted:
    """Count for a change that takes effect, where the charter asks for it and the register is known.

    Raises:
        ProofInvalidError: it leaves too few (rule 1); tells the path.
    """
    minimum = minimum_of(before, after)
    if not (minimum and isinstance(change, GATED)) or after.governed.register is None:
        return Counted()
    counted = assess(after, at_ms=at_ms, minimum=minimum, parties=colluding(before, after), before=before.rules)
    if reason := why_below_minimum(before, counted, at_ms=at_ms, minimum=minimum):
        raise ProofInvalidError(f"{c.operation_of(change)} is refused: {reason}", place="coalition")
    return Counted(counted.people, counted.proof)


def assess(
    state: State,
    *,
    at_ms: int,
    minimum: int,
    parties: tuple[str, ...] | None = None,
    before: Charter | None = None,
) -> Assessment:
    """Count how few people must join for any goal of `FLOORED`, up to a minimum.

    Args:
        state: of a governed ledger.
        at_ms: when.
        minimum: how many are looked for at most.
        parties: those that collude; the excluded ones when it is None.
        before: the charter that was in force before (see `world`); None for none.

    Raises:
        ProofInvalidError: the register is withheld.
    """
    memo: dict[object, Any] = state.rules.memo.setdefault(_MEMO, {})
    theirs = excluded_parties(state.rules) if parties is None else parties
    before = state.rules if before is None else before
    seen, asked = (*seen_in(state), before), (at_ms, minimum, theirs)
    newest: tuple[tuple[object, ...], tuple[int, int, tuple[str, ...]], Assessment] | None = memo.get(_NEWEST)
    if newest is not None and is_seen_alike(newest[0], seen) and newest[1] == asked:
        return newest[2]  # the state before a change is asked of by its writer, and again by whoever folds it
    world = see_world(state, at_ms=at_ms, parties=theirs, before=before)
    digest = digest_world(world)
    known = memo.get((digest, minimum, FLOORED)) or _count(memo, build_model(world), digest, FLOORED, minimum)
    memo[_NEWEST] = (seen, asked, known)
    return known


def _count(memo: dict[object, Any], model: Model, digest: bytes, wanted: tuple[str, ...], minimum: int) -> Assessment:
    """Count in a world how few are enough for some goals; what is in the memo was counted before."""
    found: Assessment | None = memo.get((digest, minimum, wanted))
    if found is None:
        nearest = find_nearest(model, wanted, most=minimum - 1)
        goal = next((goal for goal in find_goals(model.world) if nearest and goal.name == nearest.goal), None)
        weakest = (goal, dict(nearest.joined)) if nearest and goal else None
        found = Assessment(nearest.people if nearest else minimum, digest, model, weakest)
        if len(memo) >= MEMO_COUNTS_MAX:
            memo.clear()
        memo[digest, minimum, wanted] = found
    return found


def why_below_minimum(before: State, after: Assessment, *, at_ms: int, minimum: int) -> str:
    """Say why a change may not be carried, with the path that it opens; "" when it may (rule 1).

    Args:
        before: the state before the change.
        after: what was counted in the state after it.
        at_ms: when it is carried.
        minimum: what is asked (`minimum_of`).
    """
    if after.people >= minimum:
        return ""
    found = assess(before, at_ms=at_ms, minimum=minimum)
    if found is after:
        return ""  # one world, counted once
    memo = before.rules.memo.setdefault(_MEMO, {})
    for goal in FLOORED:
        left = _count(memo, after.model, after.proof, (goal,), minimum)
        had = _count(memo, found.model, found.proof, (goal,), minimum)
        is_found_now = left.weakest is not None and had.weakest is None  # before, nobody was known to be enough
        if left.people < minimum and (left.people < had.people or is_found_now):
            return describe_nearest(left, minimum=minimum)
    return ""


def describe_nearest(found: Assessment, *, minimum: int) -> str:
    """Say who would be enough for the goal that is nearest, and by which path; "" when the minimum holds."""
    if found.people >= minimum:
        return ""
    if found.weakest is None:
        return f"there are too many choices to tell whether {count_people(found.people)} would be enough"
    goal, joined = found.weakest
    path = "; ".join(describe_path(found.model, joined, goal.name))
    return (
        f"{count_people(found.people)} who joined the excluded parties would be enough to {goal.words}, "
        f"and the charter asks that {minimum} are needed. The path: {path}"
    )


def describe_too_few(state: State, *, at_ms: int) -> str:
    """Say that fewer people are needed than the charter in force asks; "" when they are not, or it asks for none.

    Args:
        state: of a governed ledger whose register is known.
        at_ms: when.
    """
    minimum = state.governance.coalition_min
    return describe_nearest(assess(state, at_ms=at_ms, minimum=minimum), minimum=minimum) if minimum else ""


def count_people(people: int) -> str:
    """Give a number of people, as `nobody`, `1 person` or `2 people`."""
    return "nobody" if not people else "1 person" if people == 1 else f"{people} people"


def digest_world(world: World) -> bytes:
    """Give a digest (32 bytes) of everything that the count rests on."""
    facts = {
        "charter": world.charter.digest.hex(),
        "parties": world.parties,
        "base": _told(world.base),
        "kinds": [[_told(kind.brings), kind.people, kind.most, kind.party] for kind in world.kinds],
        "known": _told(world.known),
        "open": sorted(world.open_duties),
        "shares": [world.holders, world.threshold],
        "services": sorted(world.services),
        "feeds": sorted(world.feeds),
    }
    return hashlib.sha256(msgspec.json.encode(facts)).digest()


def _told(people: tuple[tuple[frozenset[str], int], ...]) -> list[tuple[list[str], int]]:
    return [(sorted(profile), number) for profile, number in people]
