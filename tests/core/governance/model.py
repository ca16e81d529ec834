"""A model of the governed ledger, written from docs/governance.md and the decision records and from nothing else.

It imports nothing of the program. The charter is the plain object that its file says, a change the plain object that a
statement says, a signature the tuple (whose key, what for, over which bytes). Every method that may be refused changes
nothing before it knows that it is not; whoever uses it sets `now` first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import combinations

from tests.core.governance.model_people import HOUR, PeopleModel, Plain, Refused, check


@dataclass
class Model(PeopleModel):
    """What is so after some number of rules: people, members, keys, requests, grants, stops."""

    asked: dict[int, Plain] = field(default_factory=dict)
    asked_last: int = 0
    grants: dict[int, Plain] = field(default_factory=dict)
    stops: dict[int, Plain] = field(default_factory=dict)
    used: set[bytes] = field(default_factory=set)

    # -- asking ------------------------------------------------------------------------------------------------------

    def check_statement(self, statement: Plain, by: int) -> None:
        """Refuse a statement that is not for this ledger, not its author's, too late, or used before."""
        check(statement["ledger"] == "here", "for another ledger")
        check(statement["by"] == by, "speaks for somebody else")
        check(statement["epoch"] <= self.moment, "an epoch that has not come")
        check(self.now < statement["expires_ms"], "expired")
        check(statement["bytes"] not in self.used, "used before")

    def propose(self, statement: Plain, *, by: int, key: int, signature: object, charter: Plain | None = None) -> None:
        """Take a request."""
        change = statement["change"]
        operation = self.terms["governance"]["operations"].get(operation_of(change))
        check(operation, "not for a quorum")
        self.check_signer(by, key)
        check(self.duties(by) & set(operation["propose"]), "no duty that may ask")
        self.check_statement(statement, by)
        check(statement["expires_ms"] <= self.now + operation["expires_hours_max"] * HOUR, "open for too long")
        check(signature == (self.keys[key]["public"], "propose", statement["bytes"]), "signature")
        request = {
            "by": by,
            "key": key,
            "change": change,
            "bytes": statement["bytes"],
            "at": self.now,
            "expires": statement["expires_ms"],
            "moment": self.moment + 1,
            "terms": self.terms,
            "approvals": {},
            "charter": charter,
        }
        self.check_possible(request)
        self.moment += 1
        self.used.add(statement["bytes"])
        self.asked_last += 1
        self.asked[self.asked_last] = request

    def open_request(self, number: int) -> Plain:
        """Give a request that is open."""
        check(number in self.asked and self.now < self.asked[number]["expires"], "not open")
        return self.asked[number]

    def pending(self) -> dict[int, Plain]:
        """Give every request that is open."""
        return {number: request for number, request in self.asked.items() if self.now < request["expires"]}

    # -- agreeing ----------------------------------------------------------------------------------------------------

    def both_terms(self, request: Plain) -> list[Plain]:
        """Give what the charter asked for when something was asked for, and what it asks for now."""
        name = operation_of(request["change"])
        return [terms["governance"]["operations"][name] for terms in (request["terms"], self.terms)]

    def counts(self, request: Plain, person: int, key: int) -> set[str]:
        """Give the duties with which somebody's approval counts; none when it does not."""
        known = self.keys.get(key)
        if not self.is_active(person) or known is None or known["person"] != person or known["revoked"]:
            return set()
        gains = self.gains(request["change"])
        askers = {request["by"], gains or request["by"]}
        if person in askers:
            return set()
        never = {relation for operation in self.both_terms(request) for relation in operation.get("never", ())}
        if any(self.is_bound(person, asker, never) for asker in askers):
            return set()
        asked = {duty for operation in self.both_terms(request) for duty in duties_in(operation["approve"])}
        return {
            duty
            for duty, (since, proposer) in self.members[person]["duties"].items()
            if duty in asked
            and since < request["moment"]
            and not ("appointed-by-requester" in never and proposer in askers)
        }

    def is_bound(self, person: int, asker: int, never: set[str]) -> bool:
        """Tell whether somebody is bound to who asks or gains in one of these ways, or nobody knows."""
        if not self.is_there(person):
            return True
        teams = [{team.lower() for team in self.ties(number, "team", self.terms)} for number in (person, asker)]
        unknown = not (self.people[person]["team"] and self.people[asker]["team"])
        if "same-team" in never and (unknown or teams[0] & teams[1]):
            return True
        managers = [self.ties(number, "manager", self.terms) for number in (person, asker)]
        if "same-manager" in never and managers[0] & managers[1]:
            return True
        above = self.above(person, ("manager", "direction"), self.terms)
        return "directed-by-requester" in never and (asker in above or bool(above - self.people.keys()))

    def gains(self, change: Plain) -> int:
        """Give who gets what is asked for; 0 when nobody does."""
        if change["do"] == "review":
            return int(self.grants[change["grant"]]["person"]) if change["grant"] in self.grants else 0
        return int(change["person"]) if change["do"] in ("admit", "appoint", "enrol-key", "grant") else 0

    def approve(self, number: int, *, by: int, key: int, signature: object) -> None:
        """Take an approval, if it counts."""
        request = self.open_request(number)
        self.check_signer(by, key)
        given = request["approvals"].get(by)
        check(given is None or not self.counts(request, by, given), "approved already")
        check(self.counts(request, by, key), "does not count")
        check(signature == (self.keys[key]["public"], "approve", request["bytes"]), "signature")
        self.moment += 1
        request["approvals"][by] = key

    def decline(self, number: int, *, by: int, key: int, signature: object) -> None:
        """Let who asked, who may approve or who may veto end a request."""
        request = self.open_request(number)
        self.check_signer(by, key)
        may = {duty for operation in self.both_terms(request) for duty in duties_in(operation["approve"])}
        may |= {duty for veto in self.vetoes(request) if self.waits(request, veto) for duty in veto["by"]}
        check(by == request["by"] or self.duties(by) & may, "no say")
        check(signature == (self.keys[key]["public"], "decline", request["bytes"]), "signature")
        self.moment += 1
        del self.asked[number]

    def vetoes(self, request: Plain) -> list[Plain]:
        """Give the vetoes that there are against a request, then and now."""
        change = request["change"]
        duties = [terms["duties"].get(change.get("duty"), {}) for terms in (request["terms"], self.terms)]
        return [duty["veto"] for duty in duties if change["do"] == "appoint" and "veto" in duty]

    def waits(self, request: Plain, veto: Plain) -> bool:
        """Tell whether the time of a veto is not over yet."""
        return bool(self.now < request["at"] + veto["hours"] * HOUR)

    def check_carried(self, number: int) -> Plain:
        """Refuse to carry a request that lacks something."""
        request = self.open_request(number)
        check(self.is_active(request["by"]), "who asked has no authority any more")
        member = self.members[request["by"]]
        held = {duty for duty, (since, _) in member["duties"].items() if since < request["moment"]}
        check(all(held & set(operation["propose"]) for operation in self.both_terms(request)), "who asked may no more")
        counted = {who: self.counts(request, who, key) for who, key in request["approvals"].items()}
        counted = {who: duties for who, duties in counted.items() if duties}
        for operation in self.both_terms(request):
            check(any(used for used in fill(operation["approve"], counted)), "not enough")
        if request["change"]["do"] not in ("admit", "appoint", "enrol-key"):
            for name, duty in self.terms["duties"].items():
                there = sum(name in self.duties(member) for member in self.members)
                check(there >= duty.get("minimum", 0), f"too few hold {name}")
        for veto in self.vetoes(request):
            check(not self.waits(request, veto), "veto")
        self.check_possible(request)
        return request

    def carry(self, number: int) -> None:
        """Put a request in effect."""
        request = self.check_carried(number)
        self.moment += 1
        del self.asked[number]
        self.give(request)

    # -- what is possible, and what it does --------------------------------------------------------------------------

    def check_possible(self, request: Plain) -> None:
        """Refuse what could not take effect now, whoever agrees to it."""
        change = request["change"]
        match change["do"]:
            case "admit":
                person = change["person"]
                check(
                    self.is_there(person) and self.people[person]["party"] == change["party"],
                    "not there, or of another",
                )
                check(change["party"] in self.terms["parties"], "unknown party")
                check(change.get("until_ms", 0) == self.people[person]["ends_ms"], "another end")
                check(self.is_independent(person, set(self.duties_kept(change)), self.terms), "not independent")
            case "appoint":
                self.check_appointment(change["person"], change["duty"])
            case "enrol-key":
                check(self.is_active(change["person"]), "no authority")
                check(all(known["public"] != change["key"] for known in self.keys.values()), "enrolled before")
            case "enact-charter":
                self.check_charter(request["charter"])
            case "grant":
                self.check_grant(change)
            case "lift":
                check(
                    change["suspension"] in self.stops and not self.stops[change["suspension"]]["lifted"], "not stopped"
                )
            case "review":
                check(change["grant"] in self.grants and self.grants[change["grant"]]["review"], "waits for no review")
            case _:
                self.check_taking(change)

    def duties_kept(self, change: Plain) -> Mapping[str, tuple[int, int]]:
        """Give the duties that somebody has again by an admission: a leaver none, nor who works for another party."""
        member = self.members.get(change["person"])
        if not member or member["dismissed"] or self.has_left(change["person"]) or member["party"] != change["party"]:
            return {}
        return dict(member["duties"])

    def check_appointment(self, person: int, duty: str) -> None:
        """Refuse an appointment of who may not hold the duty."""
        check(self.is_active(person), "no authority")
        held, named = self.duties(person), self.terms["duties"].get(duty)
        check(named and named["party"] == self.members[person]["party"] and duty not in held, "duty")
        check(not any(duty in group and held & set(group) for group in self.terms["separations"]), "separated")
        check(self.is_independent(person, held | {duty}, self.terms), "not independent")

    def check_charter(self, charter: Plain) -> None:
        """Refuse a charter that is older, or under which a member would hold what that member may not."""
        check(charter["version"] > self.terms["version"], "version")
        for number, member in self.members.items():
            if member["dismissed"] or self.has_left(number):
                continue
            held = set(member["duties"]) & charter["duties"].keys()
            check(all(len(held & set(group)) < 2 for group in charter["separations"]), "separated")
            check(not self.is_active(number) or self.is_independent(number, held, charter), "not independent")

    def check_grant(self, change: Plain) -> None:
        """Refuse a grant of more than the charter lets anybody have."""
        limits, person = self.terms["governance"]["grants"], change["person"]
        prefix = "break_glass_" if change["kind"] == "break-glass" else ""
        check(self.is_active(person), "no authority")
        check(self.terms["parties"][self.members[person]["party"]]["role"] != "excluded", "an excluded party")
        check(change["lasts_ms"] <= limits[prefix + "hours_max"] * HOUR, "lasts too long")
        check(change["records_max"] <= limits[prefix + "records_max"], "too many records")

    def check_taking(self, change: Plain) -> None:
        """Refuse to take what is not there."""
        grant = self.grants.get(change.get("grant", 0))
        match change["do"]:
            case "suspend":
                flows = [flow["name"] for flow in self.terms["flows"]]
                known = {"everything": [""], "party": list(self.terms["parties"]), "flow": flows}[change["scope"]]
                check(change.get("name", "") in known, "no such thing")
                check((change["scope"], change.get("name", "")) not in self.stopped(), "stopped already")
            case "end-appointment":
                member = self.members.get(change["person"])
                check(member and change["duty"] in member["duties"], "not held")
            case "dismiss":
                member = self.members.get(change["person"])
                check(member and not member["dismissed"], "no member")
            case "revoke-key":
                check(change["key"] in self.keys and not self.keys[change["key"]]["revoked"], "no such key")
            case "revoke-grant":
                check(grant and not grant["ended"] and self.now < grant["until"], "not live")
            case "narrow-grant":
                check(grant and not grant["ended"] and self.now < grant["until"], "not live")
                less = all(set(change[name]) <= set(grant[name]) for name in ("datasets", "classes"))
                check(less and change["records_max"] <= grant["records_max"], "more than there is")
                check(self.now + change["lasts_ms"] <= grant["until"], "longer than there is")
            case _:
                raise Refused("it gives")

    def give(self, request: Plain) -> None:
        """Do what was carried."""
        change = request["change"]
        match change["do"]:
            case "admit":
                self.admit(change, by=request["by"])
            case "appoint":
                self.members[change["person"]]["duties"][change["duty"]] = (self.moment, request["by"])
            case "enrol-key":
                self.keys[len(self.keys) + 1] = {"person": change["person"], "public": change["key"], "revoked": False}
            case "enact-charter":
                self.terms = request["charter"]
                for member in self.members.values():
                    member["duties"] = {
                        name: at for name, at in member["duties"].items() if name in self.terms["duties"]
                    }
            case "grant":
                self.give_grant(change)
            case "lift":
                self.stops[change["suspension"]]["lifted"] = True
            case "review":
                self.grants[change["grant"]]["review"] = 0
            case _:
                self.take(change)

    def admit(self, change: Plain, *, by: int) -> None:
        """Make somebody a member, or clear one: what was lost meanwhile is given now, by who asked for it."""
        number, kept = change["person"], self.duties_kept(change)
        self.asked = {n: request for n, request in self.asked.items() if not self.undoes(change, request)}
        if number in self.members and not self.is_active(number):
            gifts = ("appoint", "enrol-key", "grant")
            self.asked = {
                n: request
                for n, request in self.asked.items()
                if not (request["change"]["do"] in gifts and request["change"]["person"] == number)
            }
        if number in self.members and (self.has_left(number) or self.members[number]["party"] != change["party"]):
            self.strip(number)
        if not self.is_active(number):
            for grant in self.grants.values():
                grant["ended"] |= grant["person"] == number
            kept = dict.fromkeys(kept, (self.moment, by))
        self.members[number] = {
            "party": change["party"],
            "duties": kept,
            "until": change.get("until_ms", 0),
            "suspended": False,
            "dismissed": False,
        }

    def strip(self, number: int) -> None:
        """Take everything from somebody."""
        self.members[number]["duties"] = {}
        for known in self.keys.values():
            known["revoked"] |= known["person"] == number
        for grant in self.grants.values():
            grant["ended"] |= grant["person"] == number

    def give_grant(self, change: Plain) -> None:
        """Give a grant."""
        hours = self.terms["governance"]["grants"]["break_glass_review_hours"]
        review = self.now + hours * HOUR if change["kind"] == "break-glass" else 0
        until = self.now + change["lasts_ms"]
        self.grants[len(self.grants) + 1] = {**change, "until": until, "ended": False, "review": review, "used": 0}

    def undoes(self, taken: Plain, request: Plain) -> bool:
        """Tell whether what is asked for would give back what is taken, or was asked for with a key that is."""
        asked = request["change"]
        same = taken.get("person") == asked.get("person")
        match taken["do"]:
            case "admit":
                return same and asked["do"] == "admit"
            case "revoke-key":
                return bool(request["key"] == taken["key"])
            case "suspend":
                return bool(asked["do"] == "enact-charter")
            case "end-appointment":
                return bool(asked["do"] == "appoint" and same and taken["duty"] == asked["duty"])
            case "dismiss":
                return same and asked["do"] in ("admit", "appoint", "enrol-key", "grant")
            case "revoke-grant" | "narrow-grant":
                return bool(asked["do"] == "grant" and asked["person"] == self.grants[taken["grant"]]["person"])
        return False

    def tell(self, *told: Plain) -> set[int]:
        """Take facts; a request to admit somebody from whom they take is void."""
        hit = super().tell(*told)
        self.asked = {
            number: request
            for number, request in self.asked.items()
            if not (request["change"]["do"] == "admit" and request["change"]["person"] in hit)
        }
        return hit

    def take(self, change: Plain) -> None:
        """Take something away; what was asked for before and would give it back is void."""
        self.asked = {n: request for n, request in self.asked.items() if not self.undoes(change, request)}
        match change["do"]:
            case "suspend":
                what = (change["scope"], change.get("name", ""))
                self.stops[len(self.stops) + 1] = {"what": what, "lifted": False}
            case "end-appointment":
                del self.members[change["person"]]["duties"][change["duty"]]
            case "dismiss":
                self.strip(change["person"])
                self.members[change["person"]]["dismissed"] = True
            case "revoke-key":
                self.keys[change["key"]]["revoked"] = True
            case "revoke-grant":
                self.grants[change["grant"]]["ended"] = True
            case "narrow-grant":
                less = {name: change[name] for name in ("datasets", "classes", "records_max")}
                self.grants[change["grant"]].update(less, until=self.now + change["lasts_ms"])

    def order(self, statement: Plain, *, by: int, key: int, signature: object) -> None:
        """Take an order of one person."""
        change = statement["change"]
        may = self.terms["governance"]["orders"].get(operation_of(change), ())
        self.check_signer(by, key)
        check(self.duties(by) & set(may), "no duty that may order")
        self.check_statement(statement, by)
        check(signature == (self.keys[key]["public"], "order", statement["bytes"]), "signature")
        if change["do"] == "grant":
            check(change["kind"] == "break-glass" and change["person"] == by, "for oneself alone")
            waiting = [grant for grant in self.grants.values() if grant["review"]]
            check(not any(grant["person"] == by or grant["review"] <= self.now for grant in waiting), "not reviewed")
            self.check_grant(change)
        else:
            self.check_taking(change)
        self.moment += 1
        self.used.add(statement["bytes"])
        if change["do"] == "grant":
            self.give_grant(change)
        else:
            self.take(change)

    # -- what may be done --------------------------------------------------------------------------------------------

    def stopped(self) -> set[tuple[str, str]]:
        """Give what is stopped."""
        return {stop["what"] for stop in self.stops.values() if not stop["lifted"]}

    def live_grants(self) -> dict[int, Plain]:
        """Give the grants that their persons can use now."""
        return {
            number: grant
            for number, grant in self.grants.items()
            if not grant["ended"] and self.now < grant["until"] and self.is_active(grant["person"])
        }

    def may_read(self, person: int, number: int, *, dataset: str, data_class: str) -> bool:
        """Tell whether a person may read one record of a dataset's class under a grant, by the flow `helping`."""
        grant = self.live_grants().get(number)
        stops = {("everything", ""), ("party", "trust"), ("flow", "helping")} & self.stopped()
        return (
            grant is not None
            and not stops
            and grant["person"] == person
            and "engineer" in self.duties(person)
            and self.members[person]["party"] == "trust"
            and (dataset in grant["datasets"] and data_class in grant["classes"])
        )


def operation_of(change: Plain) -> str:
    """Give the charter's word for a change."""
    return str(change["kind"] if change["do"] == "grant" and change["kind"] != "access" else change["do"])


def duties_in(tree: Plain) -> set[str]:
    """Give every duty that is named in what the charter asks for."""
    below = [*tree.get("all", ()), *tree.get("any", ())]
    return set(tree.get("from", ())).union(*map(duties_in, below))


def fill(tree: Plain, agreed: Mapping[int, set[str]]) -> Iterator[set[int]]:
    """Give every set of people by whom what the charter asks for is filled, each in one place."""
    if "from" in tree:
        fitting = sorted(who for who, duties in agreed.items() if duties & set(tree["from"]))
        yield from map(set, combinations(fitting, tree["count"]))
    elif "any" in tree:
        for one in tree["any"]:
            yield from fill(one, agreed)
    else:
        first, *rest = tree["all"]
        for used in fill(first, agreed):
            left = {who: duties for who, duties in agreed.items() if who not in used}
            yield from (used | more for more in (fill({"all": rest}, left) if rest else [set()]))
