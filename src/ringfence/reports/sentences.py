"""An explained entry in plain sentences. See `explaining`."""

from __future__ import annotations

from typing import Final

from ringfence.core import changes as c
from ringfence.core import entry as e
from ringfence.core import governed_entry as g
from ringfence.core.errors import InvalidInputError
from ringfence.core.governance.statement import parse_statement
from ringfence.core.governance.wording import describe_change, quote
from ringfence.core.refusal_words import why_inactive, why_refused
from ringfence.core.ruling import asked_by
from ringfence.core.standing import GivenGrant
from ringfence.core.state import State
from ringfence.core.times import show_time
from ringfence.reports.explaining import Explained

WITHHELD: Final = "withheld: it needs the bundle's detail"
USERS_NAMED_MAX: Final = 20
_VERBS: Final = {"read": "read", "write": "write", "find": "look up", "export": "export", "erase": "erase"}


def explain(item: Explained) -> list[str]:
    """Say why an entry says what it says."""
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
        lines.append(f"{_who(item.state, entry.principal)} named {entry.users} users, to ask for access to them alone.")
        return [*lines, _about(item)]
    if isinstance(entry, e.Refusals):
        who = _who(item.state, entry.principal) if entry.principal else "Callers whom nobody knows"
        return [
            *lines,
            f"{who}: {entry.requests} requests were refused, `{entry.reason}`, since {show_time(entry.since_ms)}.",
        ]
    if isinstance(entry, e.Outcome):
        return [
            *lines,
            f"The access at position {entry.position} of batch {entry.n} of its lane was not answered: {entry.result}.",
        ]
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
    what = f"{entry.records} record(s) of {entry.dataset}" if entry.dataset else "everything of a user"
    many = "of several users" if entry.shape == "bulk" else "of one user"
    lines = [
        f"{_who(state, entry.principal)}, from {entry.country} (so says the {entry.country_from}), asked to "
        f"{_VERBS.get(entry.verb, entry.verb)} {what} {many}"
        + (f" ({quote(dataset.words)})" if dataset and dataset.words else "")
        + f", for the purpose {entry.purpose}"
        + (f": {quote(purpose)}" if purpose else "")
        + ".",
    ]
    flows = {flow.name: flow.words for flow in charter.flows}
    asked = asked_by(entry)
    for data_class, said in entry.decided.items():
        if said and not said.startswith("!"):
            lines.append(f"Class {data_class}: permitted by clause `{said}`: {quote(flows.get(said, ''))}")
        else:
            at_ms = item.header.at_ms if item.header else 0
            reason = why_refused(state, asked, {data_class: said}, at_ms=at_ms)
            lines.append(f"Class {data_class}: refused: {reason.words}.")
            if "!@person" in said and not item.detail:
                lines.append(f"  The chain that the suspension rests on is {WITHHELD}.")
    if entry.grant:
        lines += _grant(item, entry.grant)
    for step in (entry.counted, entry.granted):
        if step is not None:
            lines.append(
                f"It is step {step.ordinal} of the counter {step.counter}: {step.amount} more, {step.total} in all."
            )
    return [*lines, _about(item)]


def _grant(item: Explained, number: int) -> list[str]:
    given = item.state.standing.grants.get(number) if item.state.standing else None
    if given is None:
        return [f"It names grant {number}, which there is not."]
    grant = given.grant
    limits = f"up to {grant.records_max} records until {show_time(given.until_ms)}"
    lines = [f"It names grant {number} ({grant.kind}) of person {grant.person}, for {grant.purpose}: {limits}."]
    if grant.kind == c.BREAK_GLASS:
        due = (
            f"reviewed by rule {given.reviewed}"
            if given.reviewed
            else f"to be reviewed by {show_time(given.review_until_ms)}"
        )
        return [*lines, f"  That person gave it alone, by rule {given.epoch}; {due}."]
    return [*lines, *[f"  {line}" for line in _proposal(item, given)]]


def _proposal(item: Explained, given: GivenGrant) -> list[str]:
    return _agreement(item, given.proposal, made=f"carried as rule {given.epoch}")


def _agreement(item: Explained, proposal: int, *, made: str) -> list[str]:
    proposed = item.trail.proposed.get(proposal)
    lines = []
    if proposed is not None and isinstance(proposed.rule, g.Proposed):
        asked = f"Person {proposed.rule.by} asked for it (proposal {proposal}, leaf {proposed.leaf})."
        lines.append(f"{asked} {_reason(proposed.opening)}")
    for agreed in item.trail.agreed.get(proposal, []):
        duties = ", ".join(agreed.duties) or "no duty"
        lines.append(f"Person {agreed.person} agreed, holding {duties} (leaf {agreed.leaf}).")
    return [*lines, f"It was {made}." if made else "It waits for more."]


def _reason(opening: bytes) -> str:
    if not opening:
        return f"The reason is {WITHHELD}."
    try:
        statement = parse_statement(e.parse_signed(opening).statement)
    except InvalidInputError:
        return "The statement cannot be read."
    ticket = f", ticket {quote(statement.ticket)}" if statement.ticket else ""
    return f"The reason: {quote(statement.reason)}{ticket}."


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
        return f"A service of {known.party} (principal {principal})"
    duties = ", ".join(sorted(member.duties)) or "no duty"
    return f"Person {principal} of {known.party}, holding {duties}"


# -- rules ---------------------------------------------------------------------------------------------------------


def _rule(item: Explained) -> list[str]:
    folded = item.folded
    if folded is None:
        return []
    rule = folded.rule
    lines = [f"It is rule {folded.after.epoch}: {type(rule).__name__}."]
    match rule:
        case g.Proposed():
            return [*lines, *describe_change(rule.change), *_agreement(item, rule.number, made="")[:1]]
        case g.Approved() | g.Declined():
            verb = "agreed to" if isinstance(rule, g.Approved) else "refused"
            lines.append(f"Person {rule.by} {verb} proposal {rule.proposal}, with key {rule.key}.")
            return [*lines, *_change_of(item, rule.proposal)]
        case g.Carried():
            lines += _change_of(item, rule.proposal)
            return [*lines, *_agreement(item, rule.proposal, made="carried here")]
        case g.Ordered():
            lines.append(f"Person {rule.by} ordered it alone, with key {rule.key}. {_reason(folded.opening)}")
            return [*lines, *describe_change(rule.change)]
        case g.PeopleRecorded():
            return [*lines, *_people(item, rule)]
        case e.CharterEnacted():
            return [
                *lines,
                f"Charter {rule.name}, version {rule.version}, decides from here on, by engine {rule.engine}.",
            ]
        case e.Genesis():
            return [*lines, *_genesis(rule)]
        case e.SubjectErased():
            who = _who(folded.before, rule.principal)
            clauses = ", ".join(sorted(set(rule.decided.values())))
            lines.append(f"{who}, from {rule.country}, erased a user for the purpose {rule.purpose}, by {clauses}.")
            return [*lines, _about(item)]
        case _:
            told = ", ".join(f"{name} {_plain(getattr(rule, name))}" for name in rule.__struct_fields__)
            return [*lines, f"It says: {told}."]


def _change_of(item: Explained, proposal: int) -> list[str]:
    proposed = item.trail.proposed.get(proposal)
    return describe_change(proposed.rule.change) if proposed and isinstance(proposed.rule, g.Proposed) else []


def _people(item: Explained, rule: g.PeopleRecorded) -> list[str]:
    folded = item.folded
    lines = [f"The register learned facts about {rule.people} people, {rule.added} of them new, from {rule.source}."]
    if rule.by:
        lines.append(f"The service {rule.by} told them, which a quorum let feed the register.")
    for person in rule.suspends:
        why = why_inactive(folded.after, person, at_ms=folded.batch.at_ms) if folded else ""
        lines.append(f"It suspends person {person}: {why}.")
        if not item.detail:
            lines.append(f"  The chain that this rests on is {WITHHELD}.")
    lines += [f"Person {person} has no authority from {show_time(until_ms)} on." for person, until_ms in rule.ends]
    return lines if rule.suspends or rule.ends else [*lines, "It takes nothing from anybody."]


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
    return value.hex() if isinstance(value, bytes) else str(value)
