"""Authority that nobody needs, or that should have ended: what a review is there to find.

Rules of this file:
1. Unused means: not once in the period. What was given within the period is said with since when.
2. What holds authority and may not use it (a suspended person's duty, a key of somebody who left, a login of an issuer
   that is not trusted) is found too: it comes back to life with the next admission, or the next trust.
3. A grant is used by what rested on it alone: an access that it was named in for nothing is no use of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from ringfence.core import changes as c
from ringfence.core.decisions.refusal_words import why_inactive
from ringfence.core.governance.wording import quote
from ringfence.core.issuers import can_call
from ringfence.core.people.standing import GivenGrant, Member
from ringfence.core.state import State
from ringfence.reports.access import ALONE, FEEDS, Authority
from ringfence.reports.activity import Activity
from ringfence.reports.history import GIVEN, REFUSED, TOLD, History, Period

UNUSED_FLOW: Final = "unused-flow"
UNUSED_FEED: Final = "unused-feed"
UNUSED_GRANT: Final = "unused-grant"
UNUSED_KEY: Final = "unused-key"
UNUSED_BUILD: Final = "unused-build"
IDLE_PERSON: Final = "idle-person"
INACTIVE_DUTY: Final = "inactive-duty"
INACTIVE_KEY: Final = "inactive-key"
INACTIVE_LOGIN: Final = "inactive-login"
REVIEW_MISSING: Final = "review-missing"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to look at.

    Attributes:
        kind: one of the words above.
        principal: whose; 0 for nobody's.
        who, name, party: as `naming.Called`, at the end of the period or when last known.
        what: the flow, grant, key, duty or build.
        since_ms: since when it is so, as far as the period tells.
        words: one sentence.
    """

    kind: str
    principal: int
    who: str
    name: str
    party: str
    what: str
    since_ms: int
    words: str


def find_stale(
    history: History, period: Period, authority: Iterable[Authority], activity: Iterable[Activity]
) -> list[Finding]:
    """Give what is unused or out of date at the end of a period, by kind, then by principal."""
    look = _Look(history, period, list(authority), list(activity))
    found = [*look.flows(), *look.grants(), *look.logins(), *look.members(), *look.keys(), *look.builds()]
    return sorted(found, key=lambda one: (one.kind, one.principal, one.what))


class _Look:
    """Everything that a finding is made from."""

    def __init__(self, history: History, period: Period, authority: list[Authority], activity: list[Activity]) -> None:
        self._history = history
        self._state: State = history.state
        self._period = period
        self._authority = authority
        done = [row for row in activity if row.kind != REFUSED]
        given = [row for row in done if row.kind == GIVEN]
        self._used = {(row.principal, clause) for row in given for clause in row.clause.split("+")}
        self._told = {row.principal for row in done if row.kind == TOLD}
        self._acted = {row.principal for row in done}
        self._keys = {act.key for act in history.acts if period.holds(act.at_ms)}
        self._grants = {row.grant for row in given}
        self._builds = {row.build for row in given}

    def flows(self) -> Iterator[Finding]:
        """Flows that somebody could use, and services that could feed the register, and did not."""
        seen = set()
        for row in self._authority:
            what = (row.principal, row.clause)
            if row.basis == FEEDS:
                if row.principal not in self._told:
                    words = "may feed the register of people and told it nothing"
                    yield self._finding(UNUSED_FEED, row.principal, "register", self._since(row), words)
            elif row.basis != ALONE and what not in self._used and what not in seen:
                seen.add(what)
                words = f"could use the flow {row.clause} ({row.basis}) and did not"
                yield self._finding(UNUSED_FLOW, row.principal, row.clause, self._since(row), words)

    def grants(self) -> Iterator[Finding]:
        """Grants that were never used, and break-glass that nobody reviewed."""
        for given in self._state.standing.grants.values() if self._state.standing else ():
            what, person = f"grant {given.number}", given.grant.person
            counts = self._period.holds(given.given_ms) or given.is_live(self._period.to_ms)
            if counts and given.number not in self._grants:
                yield self._finding(UNUSED_GRANT, person, what, given.given_ms, self._unused_words(given))
            if given.review_until_ms and not given.reviewed:
                late = given.review_until_ms < self._period.to_ms
                words = "gave break-glass alone, and " + (
                    "its review is overdue" if late else "it waits for its review"
                )
                yield self._finding(REVIEW_MISSING, person, what, given.given_ms, words)

    def logins(self) -> Iterator[Finding]:
        """Logins that no token can show any more."""
        for (issuer, subject), number in self._state.identities.items():
            if not can_call(self._state, issuer):
                words = f"is known by a login of {quote(issuer)}, which is not trusted: no token of theirs is taken"
                since_ms = self._history.time_of(self._history.names.since(number))
                yield self._finding(INACTIVE_LOGIN, number, subject, since_ms, words)

    def members(self) -> Iterator[Finding]:
        """Duties of those who may not act, and people who did nothing."""
        for member in self._members():
            if not member.duties:
                continue
            if not member.is_active(self._period.to_ms):
                why = why_inactive(self._state, member.number, at_ms=self._period.to_ms)
                for duty in sorted(member.duties):
                    words = f"holds the duty {duty} and may not act: {why}"
                    yield self._finding(INACTIVE_DUTY, member.number, duty, self._appointed(member, duty), words)
            elif member.number not in self._acted:
                duties = ", ".join(sorted(member.duties))
                since_ms = min(self._appointed(member, duty) for duty in member.duties)
                words = f"holds {duties}, and neither read nor signed anything"
                yield self._finding(IDLE_PERSON, member.number, duties, since_ms, words)

    def keys(self) -> Iterator[Finding]:
        """Keys that signed nothing, and keys of those who may not act."""
        standing = self._state.standing
        for key in standing.keys.values() if standing else ():
            member = standing.members.get(key.person) if standing else None
            if key.revoked or member is None:
                continue
            what, since_ms = f"key {key.number}", max(self._history.time_of(key.epoch), self._period.from_ms)
            if not member.is_active(self._period.to_ms):
                words = "has a key that is not revoked, and may not act"
                yield self._finding(INACTIVE_KEY, key.person, what, self._history.time_of(key.epoch), words)
            elif key.number not in self._keys:
                yield self._finding(UNUSED_KEY, key.person, what, since_ms, "has a key that signed nothing")

    def builds(self) -> Iterator[Finding]:
        """Approved builds that no lane and no credential was used with."""
        standing = self._state.standing
        lanes = {lane.build for lane in self._state.lanes.values() if lane.closed_after is None}
        for build in standing.builds.values() if standing else ():
            digest = build.digest.hex()
            if build.withdrawn or f"sha256:{digest}" in lanes or digest in self._builds:
                continue
            since_ms = self._history.time_of(build.epoch)
            words = f"build {build.name} of {build.party} is approved, and no lane runs it and no caller named it"
            yield Finding(UNUSED_BUILD, 0, "", "", build.party, build.name, since_ms, words)

    def _members(self) -> list[Member]:
        standing = self._state.standing
        return [member for _, member in sorted(standing.members.items())] if standing else []

    def _appointed(self, member: Member, duty: str) -> int:
        return self._history.time_of(member.duties[duty].epoch)

    def _since(self, row: Authority) -> int:
        """Give since when somebody could use it, as far back as the period goes: by the first of a flow's duties, or
        since a service is known.
        """
        standing = self._state.standing
        member = standing.members.get(row.principal) if standing else None
        duties = {duty for flow in self._state.rules.flows if flow.name == row.clause for duty in flow.duties}
        held = [self._appointed(member, duty) for duty in duties & member.duties.keys()] if member else []
        known = self._history.time_of(self._history.names.since(row.principal))
        return max(self._period.from_ms, min(held, default=known))

    def _unused_words(self, given: GivenGrant) -> str:
        kind = "break-glass" if given.grant.kind == c.BREAK_GLASS else f"a grant ({given.grant.kind})"
        state = "live" if given.is_live(self._period.to_ms) else "ended"
        return f"was given {kind} for {given.grant.purpose}, {state} now, and did not use it in the period"

    def _finding(self, kind: str, principal: int, what: str, since_ms: int, words: str) -> Finding:
        return Finding(kind, principal, *self._history.called(principal), what, since_ms, words)
