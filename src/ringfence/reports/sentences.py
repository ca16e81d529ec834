"""An explained entry in plain sentences. See `explaining`."""

from __future__ import annotations

import re
from typing import Final

from ringfence.core import changes as c
from ringfence.core.coalition.gate import count_people, minimum_of
from ringfence.core.decisions.refusal_words import why_inactive, why_refused
from ringfence.core.decisions.ruling import asked_by
from ringfence.core.governance.change_words import describe_change
from ringfence.core.governance.wording import count_of, quote, show_line
from ringfence.core.ledger import entry as e
from ringfence.core.ledger import governed_entry as g
from ringfence.core.people.register import PersonFacts
from ringfence.core.state import State
from ringfence.core.times import show_time
from ringfence.reports.agreeing import WITHHELD, Trail, describe_agreement, describe_reason
from ringfence.reports.explaining import Explained
from ringfence.reports.names import begin, describe_person, name_principals
from ringfence.verify.rules import FoldedRule

USERS_NAMED_MAX: Final = 20
PEOPLE_TOLD_MAX: Final = 3
_PLAIN: Final = re.compile(r"[A-Za-z0-9_.:/@!-]+")
_VERBS: Final = {"read": "read", "write": "write", "find": "look up", "export": "export", "erase": "erase"}


def explain(item: Explained) -> list[str]:
    """Say why an entry says what it says. Each sentence is one line, whatever text of others it tells."""
    return [show_line(line) for line in _explain(item)]


def _explain(item: Explained) -> list[str]:
    lines = [_where(item)]
    entry = item.entry
    if item.folded is not None:
        return [*lines, *_rule(item)]
    if isinstance(entry, e.Access):
        return [*lines, *_access(item, entry)]
    if isinstance(entry, e.Downgrade):
        lines.append(f"It records that a write by {_who(item.state, entry.principal)} made records less protected.")
        return [*lines, f"Clause `{entry.clause}` permits that: step {entry.counted.ordinal} of its day's count."]
    if isinstance(entry, e.SubjectsNamed):
        lines.append(
            f"{_who(item.state, entry.principal)} named {count_of(entry.users, 'user')}, "
            "to ask for access to them alone."
        )
        return [*lines, _about(item)]
    if isinstance(entry, e.Refusals):
        who = _who(item.state, entry.principal) if entry.principal else "Callers whom nobody knows"
        return [
            *lines,
            f"{who}: {count_of(entry.requests, 'request')} refused, {_name(entry.reason)}, "
            f"since {show_time(entry.since_ms)}.",
        ]
    if isinstance(entry, e.Outcome):
        which = f"The access at position {entry.position} of batch {entry.n} of its lane"
        return [*lines, f"{which} was not answered: {_name(entry.result)}."]
    return [*lines, "It orders and seals what one writer wrote; it decides nothing."]


def _where(item: Explained) -> str:
    header, state = item.header, item.state
    charter = f"charter {state.charter.name}@{state.charter.version}" if state.charter else "no charter yet"
    if header is None:
        return f"Leaf {item.leaf}."
    return (
        f"Leaf {item.leaf}: written at {show_time(header.at_ms)} in lane {header.lane}, batch {header.n}, under epoch "
        f"{header.epoch} ({charter}, engine {state.engine or 'none'})."
    )


# -- accesses ------------------------------------------------------------------------------------------------------


def _access(item: Explained, entry: e.Access) -> list[str]:
    state = item.state
    charter = state.rules
    dataset = charter.datasets.get(entry.dataset)
    purpose = charter.purposes.get(entry.purpose, "")
    what = f"{entry.records} record(s) of {_name(entry.dataset)}" if entry.dataset else "everything of a user"
    many = "of several users" if entry.shape == "bulk" else "of one user"
    where = f"from {_name(entry.country)} (so says the {_name(entry.country_from)})"
    lines = [
        f"{_who(state, entry.principal)}, {where}, asked to "
        f"{_VERBS.get(entry.verb) or _name(entry.verb)} {what} {many}"
        + (f" ({quote(dataset.words)})" if dataset and dataset.words else "")
        + f", for the purpose {_name(entry.purpose)}"
        + (f": {quote(purpose)}" if purpose else "")
        + ".",
    ]
    flows = {flow.name: flow.words for flow in charter.flows}
    asked = asked_by(entry)
    for data_class, said in entry.decided.items():
        if said and not said.startswith("!"):
            lines.append(
                f"Class {_name(data_class)}: permitted by clause `{_name(said)}`: {quote(flows.get(said, ''))}"
            )
        else:
            at_ms = item.header.at_ms if item.header else 0
            reason = why_refused(state, asked, {data_class: said}, at_ms=at_ms)
            lines.append(f"Class {_name(data_class)}: refused: {reason.words}.")
            if "!@person" in said and not item.detail:
                lines.append(f"  The chain that the suspension rests on is {WITHHELD}.")
    if entry.grant:
        lines += _grant(item, entry.grant)
        if entry.granted is None:
            lines.append("  Nothing was given by it.")
    for step in (entry.counted, entry.granted):
        if step is not None:
            counter = f"the counter {_name(step.counter)}"
            lines.append(f"It is step {step.ordinal} of {counter}: {step.amount} more, {step.total} in all.")
    return [*lines, _about(item)]


def _grant(item: Explained, number: int) -> list[str]:
    given = item.state.standing.grants.get(number) if item.state.standing else None
    if given is None:
        return [f"It names grant {number}, which there is not."]
    grant = given.grant
    limits = f"up to {grant.records_max} records until {show_time(given.until_ms)}"
    whose = describe_person(item.state, grant.person)
    lines = [f"It names grant {number} ({grant.kind}) of {whose}, for {grant.purpose}: {limits}."]
    if grant.kind == c.BREAK_GLASS:
        due = (
            f"reviewed by rule {given.reviewed}"
            if given.reviewed
            else f"to be reviewed by {show_time(given.review_until_ms)}"
        )
        return [*lines, f"  That person gave it alone, by rule {given.epoch}; {due}."]
    agreed = [*describe_agreement(item.trail, given.proposal), f"It was carried as rule {given.epoch}."]
    return [*lines, *[f"  {line}" for line in agreed]]


def _about(item: Explained) -> str:
    about = item.about
    if about is None:
        return f"Whom it is about is {WITHHELD}."
    subjects = sorted({subject.hex() for subject in about.subjects})
    unknown = f" and {len(about.unknown)} users who are not there" if about.unknown else ""
    if not subjects:
        return f"It is about nobody known{unknown}."
    more = f" and {len(subjects) - USERS_NAMED_MAX:,} more" if len(subjects) > USERS_NAMED_MAX else ""
    return f"It is about the users {', '.join(subjects[:USERS_NAMED_MAX])}{more}{unknown}."


def _who(state: State, principal: int) -> str:
    known = state.principals.get(principal)
    if known is None:
        return f"Principal {principal}, who is not registered"
    member = state.standing.members.get(principal) if state.standing else None
    if member is None:
        subject = name_principals(state)[principal].who
        named = f", {quote(subject)}" if subject else ""
        return f"A service of {known.party} (principal {principal}{named})"
    duties = ", ".join(sorted(member.duties)) or "no duty"
    return f"{begin(describe_person(state, principal))} of {known.party}, holding {duties}"


# -- rules ---------------------------------------------------------------------------------------------------------


def _rule(item: Explained) -> list[str]:
    folded = item.folded
    if folded is None:
        return []
    rule = folded.rule
    lines = [f"It is rule {folded.after.epoch}: {type(rule).__name__}."]
    match rule:
        case g.Proposed():
            return [*lines, *describe_change(rule.change), *describe_agreement(item.trail, rule.number)]
        case g.Approved() | g.Declined():
            verb = "agreed to" if isinstance(rule, g.Approved) else "refused"
            who = begin(describe_person(folded.before, rule.by))
            lines.append(f"{who} {verb} proposal {rule.proposal}, with key {rule.key}.")
            return [*lines, *_change_of(item.trail, rule.proposal)]
        case g.Carried():
            lines += _change_of(item.trail, rule.proposal)
            lines += describe_agreement(item.trail, rule.proposal)
            return [*lines, "It was carried here.", *_coalition(minimum_of(folded.before, folded.after), rule)]
        case g.Ordered():
            who = begin(describe_person(folded.before, rule.by))
            lines.append(f"{who} ordered it alone, with key {rule.key}. {describe_reason(folded.opening)}")
            return [*lines, *describe_change(rule.change)]
        case g.PeopleRecorded():
            return [*lines, *_people(item, rule)]
        case g.CredentialIssued():
            return [*lines, *_credential(folded.before, rule)]
        case e.CharterEnacted():
            return [
                *lines,
                f"Charter {rule.name}, version {rule.version}, decides from here on, by engine {rule.engine}.",
            ]
        case e.Genesis():
            return [*lines, *_genesis(rule)]
        case e.SubjectErased():
            who = _who(folded.before, rule.principal)
            clauses = ", ".join(map(_name, sorted(set(rule.decided.values()))))
            lines.append(
                f"{who}, from {_name(rule.country)}, erased a user for the purpose {_name(rule.purpose)}, by {clauses}."
            )
            return [*lines, _about(item)]
        case _:
            told = ", ".join(f"{name} {_plain(getattr(rule, name))}" for name in rule.__struct_fields__)
            return [*lines, f"It says: {told}."]


def _coalition(asked: int, rule: g.Carried) -> list[str]:
    """Say what was counted with a change that had to leave so many people; nothing where nothing was."""
    if not rule.proof:
        return []
    few = "" if rule.coalition >= asked else ", and the change left no fewer than it found"
    least = f"At least {count_people(rule.coalition)}" if rule.coalition >= asked else count_people(rule.coalition)
    return [
        f"{begin(least)} had to join the excluded parties from then on to get past the rules; the charter asked for "
        f"{asked}{few}."
    ]


def summarise(folded: FoldedRule, trail: Trail) -> str:
    """Give what a rule does in one line, without how it came about; `trail` followed the rules up to it."""
    rule = folded.rule
    match rule:
        case g.Carried():
            lines = _change_of(trail, rule.proposal)[:1]  # the weightiest
        case g.Ordered():
            lines = [f"By order: {describe_change(rule.change)[0]}"]
        case g.PeopleRecorded():
            lines = [*_told_anew(folded), *(f"It suspends person {person}." for person in rule.suspends)]
        case e.CharterEnacted():
            lines = [f"Charter {rule.name}, version {rule.version}, decides from here on."]
        case _:
            lines = [f"{type(rule).__name__}."]
    return show_line(" ".join(lines))


def _told_anew(folded: FoldedRule) -> list[str]:
    """Say which facts a rule changed, and about whom."""
    before, after = (state.standing.register if state.standing else None for state in (folded.before, folded.after))
    if before is None or after is None:
        return [f"Facts about people are recorded, and {WITHHELD}."]
    people = [number for number, facts in sorted(after.people.items()) if before.people.get(number) != facts]
    more = f" And facts about {len(people) - PEOPLE_TOLD_MAX:,} more." if len(people) > PEOPLE_TOLD_MAX else ""
    told = (
        f"{begin(describe_person(folded.after, number))} {_told(before.people.get(number), after.people[number])}."
        for number in people[:PEOPLE_TOLD_MAX]
    )
    return [" ".join(told) + more]


def _told(before: PersonFacts | None, after: PersonFacts) -> str:
    if before is None:
        whose = f"managed by {after.manager}" if after.manager else "without a manager"
        return f"is new, of {quote(after.party)}, {whose}"
    changed = (
        f"{name} from {_fact(old)} to {_fact(new)}"
        for name in after.__struct_fields__
        if (old := getattr(before, name)) != (new := getattr(after, name))
    )
    return f"has other facts: {', '.join(changed) or 'none'}"


def _fact(value: object) -> str:
    if isinstance(value, tuple):
        return " and ".join(map(str, value)) or "nobody"
    return (quote(value) if isinstance(value, str) else str(value)) if value else "none"


def _change_of(trail: Trail, proposal: int) -> list[str]:
    proposed = trail.proposed.get(proposal)
    return describe_change(proposed.rule.change) if proposed and isinstance(proposed.rule, g.Proposed) else []


def _people(item: Explained, rule: g.PeopleRecorded) -> list[str]:
    folded = item.folded
    lines = [
        f"The register learned facts about {rule.people} people, {rule.added} of them new, from {_name(rule.source)}."
    ]
    if rule.by:
        lines.append(f"The service {rule.by} told them, which a quorum let feed the register.")
    for person in rule.suspends:
        why = why_inactive(folded.after, person, at_ms=folded.batch.at_ms) if folded else ""
        lines.append(f"It suspends person {person}: {why}.")
        if not item.detail:
            lines.append(f"  The chain that this rests on is {WITHHELD}.")
    lines += [f"Person {person} has no authority from {show_time(until_ms)} on." for person, until_ms in rule.ends]
    return lines if rule.suspends or rule.ends else [*lines, "It takes nothing from anybody."]


def _credential(before: State, rule: g.CredentialIssued) -> list[str]:
    build = before.standing.builds.get(rule.build) if before.standing else None
    named = f"{quote(build.name)}, " if build else ""
    return [
        f"{_who(before, rule.principal)} was given a credential for the build {named}{rule.build.hex()}, by an "
        f"attestation with SHA-256 {rule.attestation.hex()}.",
        f"It is bound to the certificate with SHA-256 {rule.certificate.hex()} and ends at {show_time(rule.until_ms)}.",
    ]


def _genesis(rule: e.Genesis) -> list[str]:
    if not rule.founders:
        return [f"The ledger {quote(rule.origin)} begins, in {rule.mode} mode. One operator makes its rules."]
    founders = [f"{founder.person} of {founder.party} ({', '.join(founder.duties)})" for founder in rule.founders]
    keys = f"any {rule.threshold} of {', '.join(map(str, rule.holders))}" if rule.holders else "whoever has the host"
    return [
        f"The ledger {quote(rule.origin)} begins, in {rule.mode} mode, founded by {'; '.join(founders)}.",
        f"The custodian's keys open with the shares of {keys}." if rule.holders else f"The keys lie open to {keys}.",
    ]


def _plain(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else _name(value) if isinstance(value, str) else str(value)


def _name(text: str) -> str:
    """Give what an entry calls something: as it is where it can be no more than a name, else in quotation marks."""
    return text if _PLAIN.fullmatch(text) else quote(text)
