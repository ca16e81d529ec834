"""The model's people: who has authority, who is bound to whom, and what facts take away. See `model`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

HOUR = 3_600_000
DAY = 24 * HOUR
Plain = dict[str, Any]


class Refused(Exception):
    """The model does not take this; says why."""


def check(holds: object, why: str) -> None:
    """Refuse unless something holds."""
    if not holds:
        raise Refused(why)


@dataclass
class PeopleModel:
    """Facts, members and keys, as they are now."""

    terms: Plain
    now: int
    moment: int = 2
    people: dict[int, Plain] = field(default_factory=dict)
    ended: dict[tuple[int, str, Any], int] = field(default_factory=dict)
    members: dict[int, Plain] = field(default_factory=dict)
    keys: dict[int, Plain] = field(default_factory=dict)

    # -- who has authority -------------------------------------------------------------------------------------------

    def has_left(self, number: int) -> bool:
        """Tell whether a member's time is over."""
        return 0 < self.members[number]["until"] <= self.now

    def is_active(self, number: int) -> bool:
        """Tell whether somebody has any authority now."""
        member = self.members.get(number)
        return bool(member) and not (member["suspended"] or member["dismissed"] or self.has_left(number))

    def duties(self, number: int) -> set[str]:
        """Give the duties that somebody holds with authority."""
        return set(self.members[number]["duties"]) if self.is_active(number) else set()

    def check_signer(self, by: int, key: int) -> None:
        """Refuse who has no authority or signs with a key that is somebody else's, unknown or revoked."""
        check(self.is_active(by), "no authority")
        check(key in self.keys and self.keys[key]["person"] == by and not self.keys[key]["revoked"], "not an own key")

    # -- facts and independence --------------------------------------------------------------------------------------

    def ties(self, number: int, kind: str, terms: Plain) -> set[Any]:
        """Give what somebody is bound to in one way, now or within the cooling time."""
        facts = self.people[number]
        told: dict[str, set[Any]] = {
            "manager": {facts["manager"]} - {0},
            "direction": set(facts["directed_by"]),
            "team": {facts["team"]} - {""},
            "employer": {facts["party"]},
            "pay": {facts["paid_by"] or facts["party"]},
        }
        cooling = terms["governance"]["cooling_days"] * DAY
        former = {
            what
            for (who, how, what), at in self.ended.items()
            if (who, how) == (number, kind) and self.now - at < cooling
        }
        return told[kind] | former

    def above(self, number: int, kinds: Sequence[str], terms: Plain) -> set[int]:
        """Give everybody above somebody through any chain, those too whom nobody knows."""
        found: set[int] = set()
        waiting = [number]
        while waiting:
            below = waiting.pop()
            for kind in kinds if below in self.people else ():
                new = self.ties(below, kind, terms) - found - {number}
                found |= new
                waiting += new
        return found

    def is_there(self, number: int) -> bool:
        """Tell whether somebody is known, has started and has not left."""
        facts = self.people.get(number)
        return bool(facts) and facts["starts_ms"] <= self.now and not 0 < facts["ends_ms"] <= self.now

    def is_independent(self, number: int, duties: set[str], terms: Plain) -> bool:
        """Tell whether no rule of independence stands between somebody and these duties."""
        rules = [rule for rule in terms["independence"] if set(rule["duties"]) & duties]
        return all(self.is_there(number) and self.keeps(rule, number, terms) for rule in rules)

    def keeps(self, rule: Plain, number: int, terms: Plain) -> bool:
        """Tell whether a person of the register keeps a rule of independence."""
        through, facts = rule.get("through", ()), self.people[number]
        chains = [kind for kind in ("manager", "direction") if kind in through]
        own = [kind for kind in ("employer", "pay") if kind in through]
        bosses = self.above(number, chains, terms)
        if rule.get("roles") and any(
            one not in self.people or self.is_of(one, own if one == number else ("employer", "pay"), rule, terms)
            for one in bosses | {number}
        ):
            return False
        return all(facts[name] in rule[name] for name in ("residence", "works_in") if name in rule)

    def is_of(self, number: int, kinds: Sequence[str], rule: Plain, terms: Plain) -> bool:
        """Tell whether somebody is employed or paid by a party of the rule's roles, or one that nobody knows."""
        parties = {party for kind in kinds for party in self.ties(number, kind, terms)}
        roles = {name: party["role"] for name, party in terms["parties"].items()}
        return any(roles.get(party, rule["roles"][0]) in rule["roles"] for party in parties)

    def tell(self, *told: Plain) -> set[int]:
        """Take facts; they are never refused, and what they take away is taken at once: give from whom."""
        for facts in told:
            number = facts["number"]
            kinds = ("manager", "direction", "team", "employer", "pay") if number in self.people else ()
            before = {kind: self.ties(number, kind, {"governance": {"cooling_days": 0}}) for kind in kinds}
            self.people[number] = facts
            for kind, ties in before.items():
                for gone in ties - self.ties(number, kind, {"governance": {"cooling_days": 0}}):
                    self.ended[number, kind, gone] = self.now
        hit: set[int] = set()
        for facts in told:
            member, ends = self.members.get(facts["number"]), facts["ends_ms"]
            if member and not member["dismissed"] and ends and (not member["until"] or ends < member["until"]):
                member["until"] = ends
                hit.add(facts["number"])
        for number, member in self.members.items():
            if self.is_active(number):
                moved = self.people[number]["party"] != member["party"]
                member["suspended"] = moved or not self.is_independent(number, set(member["duties"]), self.terms)
                hit |= {number} if member["suspended"] else set()
        self.moment += 1
        return hit
