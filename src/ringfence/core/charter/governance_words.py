"""What a charter says of people, in plain sentences; see `words`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ringfence.core.charter.governance import (
    BREAK_GLASS,
    EXCLUDED,
    POWERS,
    PROPOSE_ONLY,
    THROUGH,
    Duty,
    Governance,
    Group,
    IndependenceRule,
    Operation,
    Power,
)
from ringfence.core.charter.model import Charter, Flow
from ringfence.core.charter.phrases import as_sentence, join_and, join_or
from ringfence.core.times import DAY_MS, HOUR_MS

_OPERATION_WORDS: Final = {
    "enact-charter": "To put another version of this charter in force",
    "admit": "To let a person in, or in again",
    "appoint": "To give a person a duty",
    "enrol-key": "To let a person sign with a key",
    "grant": "To grant access for some time",
    "approve-build": "To let a build of a service have credentials",
    "register-service": "To let a service in",
    "trust-issuer": "To trust an issuer of tokens",
    "open-key-epoch": "To encrypt under a new key from then on",
    "recover-lane": "To go on without what a writer of the ledger lost",
    "lift": "To end a suspension",
    "review": "To find that breaking the glass was justified, or was not",
    "legal-demand": "To grant access because the law demands it",
    "suspend": "To stop a flow, a party or everything",
}
_ORDER_WORDS: Final = {
    "suspend": "To stop a flow, a party or everything",
    "end-appointment": "To take a duty from a person",
    "dismiss": "To take everything from a person",
    "revoke-key": "To stop taking a person's key",
    "revoke-grant": "To end a grant",
    "narrow-grant": "To leave less of a grant",
    "withdraw-build": "To stop a build of a service",
    "withdraw-service": "To shut a service out",
    "withdraw-issuer": "To stop trusting an issuer of tokens",
    BREAK_GLASS: "To break the glass, which is to take access alone in an emergency",
}
_POWER_WORDS: Final = {
    "gateway-root": "reach into a running gateway",
    "host-root": "read and write the store, its disks and its backups",
    "deploy": "choose what runs as a gateway",
    "sign-builds": "attest builds",
    "issue-tokens": "sign tokens in anybody's name",
    "feed-people": "tell the register facts about people",
    "sign-log": "sign the ledger's checkpoints",
}
_GRANT_WORDS: Final = {
    "access": "a grant of access",
    "legal-demand": "a grant that the law demands",
    BREAK_GLASS: "broken glass",
}
RELATION_WORDS: Final = {
    "same-team": "is of the same team as the one who asks or gains",
    "same-manager": "has the same manager as the one who asks or gains",
    "directed-by-requester": "is managed or directed by the one who asks or gains, through any chain of people",
    "appointed-by-requester": "was appointed by the one who asks",
}
"""Each relation that may keep a person from approving: the rest of a sentence about that person."""

_THROUGH_WORDS: Final = {"employer": "employs", "pay": "pays", "manager": "manages", "direction": "directs"}


def explain_governance(charter: Charter) -> list[tuple[str, list[str]]]:
    """Give the sections on people, each with its heading and its lines."""
    governance = charter.governance
    if governance is None:
        silence = "This charter does not say. Whoever runs the system changes its rules, people and services alone."
        return [("Who must agree to changes", [silence])]
    return [
        ("What duties people hold", _duties(charter, governance)),
        ("Who may hold a duty", _independence(charter, governance)),
        ("Who must agree to what", _operations(governance)),
        ("What one person may do alone", _orders(governance)),
        ("What a grant may give", _grants(governance)),
        ("How many people must collude", _coalition(charter, governance)),
    ]


def explain_conditions(flow: Flow, *, governed: bool) -> list[str]:
    """Give the sentences on what a flow asks of people and builds.

    Args:
        flow: the flow.
        governed: whether the charter says anything of people; if not, whoever is registered may use every flow.
    """
    sentences = []
    if flow.duties:
        sentences.append(f"Only people with the duty {join_or(flow.duties)} may use it.")
    if flow.needs:
        needs = join_or([_GRANT_WORDS[kind] for kind in flow.needs])
        sentences.append(f"A person may use it only under {needs}, and only as far as that goes.")
    if flow.builds:
        sentences.append("Only services with an approved build may use it.")
    elif governed and not flow.duties:
        sentences.append("Only services may use it, and no person.")
    return sentences


def _duties(charter: Charter, governance: Governance) -> list[str]:
    lines = [_duty(charter, duty) for duty in governance.duties.values()]
    lines += [f"Nobody holds two of {join_and(duties)}." for duties in governance.separations]
    return lines


def _duty(charter: Charter, duty: Duty) -> str:
    sentences = [f"{duty.name}, of {charter.parties[duty.party].title}: {as_sentence(duty.words)}"]
    if duty.minimum:
        few = "nobody holds" if duty.minimum == 1 else f"fewer than {duty.minimum:,} people hold"
        sentences.append(f"While {few} it, nothing is carried but letting people in, duties and keys.")
    if duty.veto_by:
        who = f"any one person with the duty {join_or(duty.veto_by)}"
        sentences.append(
            f"An appointment to it waits {_hours(duty.veto_ms)} from the request, in which {who} may stop it."
        )
    return " ".join(sentences)


def _independence(charter: Charter, governance: Governance) -> list[str]:
    cooling = _count(governance.cooling_ms // DAY_MS, "more day", "more days")
    return [
        *(_rule(charter, rule) for rule in governance.independence),
        *_gaps(charter, governance),
        "What is not known of a person, or of anyone above that person, counts against that person.",
        f"A tie to a party, a manager or a team that ended counts for {cooling}.",
        "From the record of a fact that breaks a rule on, the person has no authority until let in again.",
    ]


def _gaps(charter: Charter, governance: Governance) -> list[str]:
    """Say which power over whom no rule speaks of, for the parties that the people here should be independent of."""
    duties_by_gap: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for duty in governance.duties.values():
        for party in charter.parties.values():
            if party.role not in PROPOSE_ONLY or party.name == duty.party:
                continue
            rules = [rule for rule in governance.independence if duty.name in rule.duties and party.role in rule.roles]
            ways = tuple(way for way in THROUGH if not any(way in rule.through for rule in rules))
            if ways:
                duties_by_gap.setdefault((party.title, ways), []).append(duty.name)
    return [
        f"No rule here keeps the duty {join_or(duties)} from someone whom {title} "
        f"{join_or([_THROUGH_WORDS[way] for way in ways])}."
        for (title, ways), duties in duties_by_gap.items()
    ]


def _rule(charter: Charter, rule: IndependenceRule) -> str:
    asked = []
    if rule.roles:
        parties = [party.title for party in charter.parties.values() if party.role in rule.roles]
        whom = join_or(parties) or f"a party that is {join_or(rule.roles)}"
        power = join_or([_THROUGH_WORDS[way] for way in rule.through])
        asked.append(f"is someone whom {whom} {power}, directly or through any chain of people")
    if rule.residence:
        asked.append(f"lives anywhere but in {join_or(rule.residence)}")
    if rule.works_in:
        asked.append(f"works anywhere but in {join_or(rule.works_in)}")
    if rule.devices_of:
        owners = join_or([charter.parties[name].title for name in rule.devices_of])
        asked.append(f"works on devices of anyone but {owners}")
    words, duties = as_sentence(rule.words), join_or(rule.duties)
    return f"{rule.name}: {words} Nobody may hold the duty {duties} {_clauses(asked)}."


def _operations(governance: Governance) -> list[str]:
    return [
        "Whoever agrees signs the exact words of the request with a key of their own. A person counts once, whichever "
        "duties that person holds. Nobody agrees to what they ask for or gain from, nor to what was asked before they "
        "were given the duty. Whoever may agree may also decline, which ends the request, and so may the one who asks.",
        *(_operation(operation) for operation in governance.operations.values()),
    ]


def _operation(operation: Operation) -> str:
    sentences = [f"{_OPERATION_WORDS[operation.name]} ({operation.name}): {join_or(operation.propose)} may ask."]
    ways = _ways(operation.alternatives)
    if len(ways) == 1:
        sentences.append(f"Needed is the agreement of {ways[0]}.")
    else:
        sentences.append(f"Needed is one of these agreements: {_numbered(ways)}.")
    if operation.never:
        relations = [RELATION_WORDS[name] for name in operation.never]
        sentences.append(f"Nobody may agree {_clauses(relations)}.")
    sentences.append(f"A request stays open for at most {_hours(operation.expires_ms_max)}.")
    return " ".join(sentences)


def _ways(alternatives: Sequence[Sequence[Group]]) -> list[str]:
    return [join_and([_group(group) for group in groups]) for groups in alternatives]


def _numbered(ways: Sequence[str]) -> str:
    """Give ways of which one is enough, so that what is `and` in one is not taken for two."""
    return "; or ".join(f"({number}) {way}" for number, way in enumerate(ways, start=1))


def _group(group: Group) -> str:
    return f"{_count(group.count, 'person', 'people')} with the duty {join_or(group.duties)}"


def _orders(governance: Governance) -> list[str]:
    return [
        "Each of these takes effect at once, by one signature. All but the last only take authority away.",
        *(_order(name, duties) for name, duties in governance.orders.items()),
    ]


def _order(name: str, duties: Sequence[str]) -> str:
    who = f"any one person with the duty {join_or(duties)}" if duties else "nobody may"
    return f"{_ORDER_WORDS[name]} ({name}): {who}."


def _grants(governance: Governance) -> list[str]:
    limits = governance.grants
    lines = [
        f"A grant lasts at most {_hours(limits.lasts_ms_max)} and covers at most {limits.records_max:,} records in all."
    ]
    if governance.orders[BREAK_GLASS]:
        lasts, review = _hours(limits.break_glass_lasts_ms_max), _hours(limits.break_glass_review_ms)
        lines += [
            f"Broken glass gives access for at most {lasts} and to at most {limits.break_glass_records_max:,} records.",
            f"It must be reviewed within {review}. Until it was, the same person cannot break the glass again; "
            "when that time is over, nobody can.",
        ]
    return lines


def _coalition(charter: Charter, governance: Governance) -> list[str]:
    excluded = join_or([party.title for party in charter.parties.values() if party.role == EXCLUDED]) or "nobody"
    lines = ["This charter asks for no number of people."]
    if governance.coalition_min:
        people = _count(governance.coalition_min, "person", "people")
        lines = [
            "No charter, admission, duty, key, build, service or issuer takes effect that leaves fewer than "
            f"{people} who would have to join {excluded} to read protected data outside of every flow, put a charter "
            "of their own in force, give themselves a grant, or run a program of their own as a gateway; unless there "
            "were as few before.",
            "Facts about people are recorded whatever they do to that number.",
        ]
    lines += [_power(charter, governance.powers[name]) for name in POWERS if name in governance.powers]
    if untold := [f"{_POWER_WORDS[name]} ({name})" for name in POWERS if name not in governance.powers]:
        lines.append(f"It does not say who can {join_or(untold)}: whoever colludes is taken to.")
    return lines


def _power(charter: Charter, power: Power) -> str:
    ways = _ways(power.alternatives)
    people = [ways[0] if len(ways) == 1 else f"one of these: {_numbered(ways)}"] if ways else []
    own = [f"1 person of {charter.parties[power.party].title}"] if power.party else []
    who = join_and([*own, *people])
    return f"To {_POWER_WORDS[power.name]} ({power.name}) takes {who}: {as_sentence(power.words)}"


def _clauses(conditions: Sequence[str]) -> str:
    """Give conditions on a person, any of which is meant."""
    return "who " + "; or who ".join(conditions)


def _hours(time_ms: int) -> str:
    return _count(time_ms // HOUR_MS, "hour", "hours")


def _count(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"
