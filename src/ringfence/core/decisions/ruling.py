"""From a request, or the entry that records it, to what the entry must say: the same function for both.

The gateway calls it before it writes an entry, the verifier after it read one. Nothing here looks at who the user is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from ringfence.core.changes import EVERYTHING, FLOW, PARTY, Grant
from ringfence.core.charter.terms import NONE, OTHER
from ringfence.core.decisions.engines import decide
from ringfence.core.decisions.view import APPROVED, Decision, View
from ringfence.core.ledger.entry import About, Access
from ringfence.core.people.standing import GivenGrant, Member, Standing
from ringfence.core.state import State

STOPPED_EVERYTHING: Final = "!@everything"
STOPPED_PARTY: Final = "!@party"
STOPPED_PERSON: Final = "!@person"
STOPPED_BUILD: Final = "!@build"
GRANT_UNUSABLE: Final = "!@grant"
GRANT_USED_UP: Final = "!@grant-limit"
GRANT_OTHER_USER: Final = "!@grant-user"
"""What `decided` says where something else than a clause refuses: no clause can be named so."""

GRANT_COUNTER_PREFIX: Final = "grant/"


class Asked(NamedTuple):
    """One request for records of one dataset, as an entry tells it.

    Attributes:
        principal: a registered caller's number; an unknown one is of no party.
        country: where the connection comes from, ISO 3166 alpha-2, or `OTHER`.
        purpose: the purpose named by the caller.
        verb: one of `terms.VERBS`.
        dataset: the dataset named by the caller.
        shape: `single` or `bulk`.
        records: how many records are named.
        grant: the grant that the caller names, or 0.
        build: digest of the build that the caller's credential names, or b"".
    """

    principal: int
    country: str
    purpose: str
    verb: str
    dataset: str
    shape: str
    records: int
    grant: int = 0
    build: bytes = b""


def asked_by(entry: Access) -> Asked:
    """Give the request that an entry records."""
    return Asked(
        *(entry.principal, entry.country, entry.purpose, entry.verb, entry.dataset),
        *(entry.shape, entry.records, entry.grant, entry.build),
    )


@dataclass(frozen=True, slots=True)
class Ruling:
    """What the charter says to one request.

    Attributes:
        decided: data class to clause, as the entry records it, classes in sorted order: a clause's name permits, ""
            means that no clause does, "!" with a clause's name that this clause's limit forbids or that it is
            suspended, and "!@" with a word that something else than a clause does (see the constants here).
        permitted: the decisions of the classes that may be touched.
        grant: the grant that what is permitted rests on; None where it rests on none.
        holds_until_ms: until when this is the answer as long as the rules stay; 0 when time changes nothing.
    """

    decided: Mapping[str, str]
    permitted: Mapping[str, Decision]
    grant: GivenGrant | None = None
    holds_until_ms: int = 0


def rule_access(state: State, asked: Asked, classes: Iterable[str], *, at_ms: int) -> Ruling:
    """Decide on a request, class by class.

    Args:
        state: what decisions depend on, after some number of rules.
        asked: the request.
        classes: the data classes asked for.
        at_ms: when it is decided: what a person or a grant may do ends with time.
    """
    standing = state.standing
    who = state.principals.get(asked.principal)
    party = who.party if who else OTHER
    if standing is None:
        return _rule_classes(state, asked, classes, _Caller(party))
    member = standing.members.get(asked.principal)
    if stop := _stop(standing, party, member, asked, at_ms=at_ms):
        return Ruling(decided=dict.fromkeys(sorted(classes), stop), permitted={})
    return _rule_classes(state, asked, classes, _caller(standing, party, member, asked, at_ms=at_ms))


class _Caller(NamedTuple):
    """What is known of whoever asks, beyond the request itself."""

    party: str
    duties: tuple[str, ...] = (NONE,)
    grant: GivenGrant | None = None
    build: str = NONE
    stopped: frozenset[str] = frozenset()
    holds_until_ms: int = 0


def _stop(standing: Standing, party: str, member: Member | None, asked: Asked, *, at_ms: int) -> str:
    """Give what stops a caller whatever is asked for, "" when nothing does."""
    if standing.stopped:
        if (EVERYTHING, "") in standing.stopped:
            return STOPPED_EVERYTHING
        if (PARTY, party) in standing.stopped:
            return STOPPED_PARTY
    if member is not None and not member.is_active(at_ms):
        return STOPPED_PERSON
    if asked.build and not (
        is_approved(standing, party, asked.build) and at_ms < standing.credential_until_ms(asked.principal, asked.build)
    ):
        return STOPPED_BUILD
    return ""


def is_approved(standing: Standing, party: str, build: bytes) -> bool:
    """Tell whether a party's services may run a build, by its digest (32 bytes)."""
    known = standing.builds.get(build)
    return known is not None and not known.withdrawn and known.party == party


def _caller(standing: Standing, party: str, member: Member | None, asked: Asked, *, at_ms: int) -> _Caller:
    grant = standing.grants.get(asked.grant) if asked.grant else None
    if grant is not None and (grant.grant.person != asked.principal or not grant.is_live(at_ms)):
        grant = None
    ends = [
        member.until_ms if member else 0,
        grant.until_ms if grant else 0,
        standing.credential_until_ms(asked.principal, asked.build) if asked.build else 0,
    ]
    return _Caller(
        party=party,
        duties=(tuple(sorted(member.duties)) or (OTHER,)) if member else (NONE,),
        grant=grant,
        build=APPROVED if asked.build else NONE,  # one that is not stops its caller
        stopped=frozenset(name for scope, name in standing.stopped if scope == FLOW)
        if standing.stopped
        else frozenset(),
        holds_until_ms=min((end for end in ends if end), default=0),
    )


def _rule_classes(state: State, asked: Asked, classes: Iterable[str], caller: _Caller) -> Ruling:
    decided: dict[str, str] = {}
    permitted: dict[str, Decision] = {}
    rests_on: GivenGrant | None = None
    for data_class in sorted(classes):
        grant = caller.grant if caller.grant and _covers(caller.grant, asked, data_class) else None
        decision = _first_permission(state, asked, data_class, caller, grant)
        if decision.permitted and asked.records > decision.records_max:
            decided[data_class] = "!" + decision.clause
        elif decision.permitted:
            decided[data_class] = decision.clause
            permitted[data_class] = decision
            rests_on = grant if decision.needs_grant else rests_on
        elif decision.clause:
            decided[data_class] = "!" + decision.clause
        else:
            decided[data_class] = GRANT_UNUSABLE if asked.grant and grant is None else ""
    return Ruling(decided=decided, permitted=permitted, grant=rests_on, holds_until_ms=caller.holds_until_ms)


def _covers(given: GivenGrant, asked: Asked, data_class: str) -> bool:
    grant = given.grant
    return (
        asked.purpose == grant.purpose
        and asked.verb in grant.verbs
        and asked.dataset in grant.datasets
        and data_class in grant.classes
        and (asked.shape == "single" or grant.bulk)
    )


def _first_permission(
    state: State, asked: Asked, data_class: str, caller: _Caller, grant: GivenGrant | None
) -> Decision:
    """Ask with each duty in turn; the first that permits decides, else the first that names a stopped flow."""
    refusal = None
    for duty in caller.duties:
        view = View(
            caller.party,
            asked.country,
            asked.purpose,
            asked.verb,
            asked.dataset,
            data_class,
            asked.shape,
            duty,
            grant.grant.kind if grant else NONE,
            caller.build,
            caller.stopped,
        )
        decision = decide(state.engine, state.rules, view)
        if decision.permitted:
            return decision if grant is None or not decision.needs_grant else _narrowed(decision, grant, asked.dataset)
        if refusal is None or (decision.clause and not refusal.clause):
            refusal = decision
    return refusal or Decision(permitted=False, clause="")


def _narrowed(decision: Decision, given: GivenGrant, dataset: str) -> Decision:
    """Give a decision with what the grant keeps back as well, and no more records than the grant is for."""
    kept = tuple(name.partition(".")[2] for name in given.grant.withhold if name.partition(".")[0] == dataset)
    return Decision(
        permitted=True,
        clause=decision.clause,
        withheld=(*decision.withheld, *(field for field in kept if field not in decision.withheld)),
        records_max=min(decision.records_max, given.grant.records_max),
        records_per_day_max=decision.records_per_day_max,
        downgrades_per_day_max=decision.downgrades_per_day_max,
        needs_grant=True,
    )


def is_within(grant: Grant, subjects: frozenset[bytes] | None, about: About) -> bool:
    """Tell whether an access is about users whom a grant is for, and about nobody else.

    A look-up may find anyone, and who is not in the vault is named by no grant: neither is within one for named users.

    Args:
        grant: the grant.
        subjects: the users that it names; None when they are not known, so that nobody is within it.
        about: what the access is about.
    """
    if grant.subjects_any:
        return True
    return subjects is not None and not about.unknown and not about.searched and subjects.issuperset(about.subjects)


def without_grant(ruling: Ruling, why: str) -> Ruling:
    """Give what is left of a ruling when its grant does not hold for this request.

    Args:
        why: `GRANT_OTHER_USER` or `GRANT_USED_UP`.
    """
    permitted = {name: decision for name, decision in ruling.permitted.items() if not decision.needs_grant}
    decided = {
        name: why if name in ruling.permitted and name not in permitted else said
        for name, said in ruling.decided.items()
    }
    return Ruling(decided=decided, permitted=permitted, holds_until_ms=ruling.holds_until_ms)


def rests_on_grant(ruling: Ruling, decided: Mapping[str, str]) -> bool:
    """Tell whether something that an entry says was given is given only because of a grant."""
    return any(
        decision.needs_grant and decided.get(name) == decision.clause for name, decision in ruling.permitted.items()
    )


def grant_counter(number: int) -> str:
    """Give the name of the counter of a grant's records."""
    return f"{GRANT_COUNTER_PREFIX}{number}"


def rule_erasure(state: State, *, principal: int, country: str, purpose: str, at_ms: int, build: bytes = b"") -> Ruling:
    """Decide on erasing one subject: every class of every dataset must be permitted.

    A class is recorded with the clause that permits it in every dataset, or with "" if one dataset refuses it.
    """
    charter = state.rules
    decided: dict[str, str] = {}
    permitted: dict[str, Decision] = {}
    holds_until_ms = 0
    for data_class in sorted(charter.classes):
        rulings = [
            rule_access(
                state,
                Asked(principal, country, purpose, "erase", dataset, "single", 1, build=build),
                (data_class,),
                at_ms=at_ms,
            )
            for dataset in charter.datasets
        ]
        clauses = {ruling.decided[data_class] for ruling in rulings}
        holds_until_ms = max(ruling.holds_until_ms for ruling in rulings)  # the same for all: it is the caller's
        if all(data_class in ruling.permitted for ruling in rulings):
            decided[data_class] = min(clauses)
            permitted[data_class] = rulings[0].permitted[data_class]
        else:
            decided[data_class] = ""
    return Ruling(decided=decided, permitted=permitted, holds_until_ms=holds_until_ms)


def is_given(entry: Access) -> bool:
    """Tell whether an access entry says that something was given."""
    return any(clause and not clause.startswith("!") for clause in entry.decided.values())
