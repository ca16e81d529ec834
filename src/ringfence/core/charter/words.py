"""A charter in plain sentences, for people who will sign it rather than run it.

Every sentence follows from the parsed charter, so what is read is what decides. Order is that of the file, which for
flows is the order of decision.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ringfence.core.charter.governance_words import explain_conditions, explain_governance
from ringfence.core.charter.model import Charter, Dataset, FieldReference, Flow, Invariant
from ringfence.core.charter.phrases import is_or_are, join_and, join_or
from ringfence.core.charter.terms import ANY, PROTECTED, RECORD, VERBS

_ROLE_WORDS = {
    "custodian": "the custodian, who holds the keys",
    "host": "the host, whose servers hold what is encrypted",
    "operator": "the operator, who serves the users",
    "excluded": "excluded, kept away from what is protected",
    "overseer": "the overseer, who checks that all this is kept",
}
_VERB_WORDS = {"read": "read", "write": "write", "find": "look up", "export": "export", "erase": "erase"}


def explain_charter(charter: Charter) -> str:
    """Give the whole charter in sentences, with a heading for each question that a reader asks."""
    sections = [
        (f"{charter.name}, version {charter.version}", _introduction(charter)),
        ("Who the parties are", _parties(charter)),
        ("Whose data is protected", _jurisdiction(charter)),
        ("Where the data may be", _regions(charter)),
        ("What kinds of data there are", _classes(charter)),
        ("Who may do what", _flows(charter)),
        ("What nobody may do", _invariants(charter)),
        ("How users can be looked up", _searchable(charter)),
        *explain_governance(charter),
    ]
    return "\n".join(f"{title}\n{'-' * len(title)}\n{_wrapped(lines)}\n" for title, lines in sections)


def _introduction(charter: Charter) -> list[str]:
    closing = "Whatever is not permitted below is refused. What is not classified is protected."
    return [charter.words, closing] if charter.words else [closing]


def _parties(charter: Charter) -> list[str]:
    lines = []
    for party in charter.parties.values():
        lines.append(f"{party.title} ({party.name}) is {_ROLE_WORDS[party.role]}. {party.words}".rstrip())
        if not any(party.name in flow.who for flow in charter.flows):
            lines[-1] += " It may do nothing with the data."
    return lines


def _jurisdiction(charter: Charter) -> list[str]:
    rules = charter.jurisdiction
    share = f"{float(rules.login_share_min * 100):g}%"
    lines = [f"Users of {rules.country} are found by evidence in their own data. Each piece of it votes."]
    if rules.declared:
        lines.append(f"The country that a user gave ({_fields(rules.declared)}) votes by being {rules.country} or not.")
    if rules.phone:
        lines.append(f"A phone number ({_fields(rules.phone)}) votes by its country.")
    if rules.login_ip:
        lines.append(
            f"Logins ({_fields(rules.login_ip)}) vote inside when at least {share} of those whose country can be "
            f"found are from {rules.country}."
        )
    lines.append("Only users whose evidence all says outside are not protected.")
    lines.append("Users whose evidence says inside, contradicts itself or is missing are protected.")
    lines.append(f"A user is known by {charter.identity.dataset}.{charter.identity.field}.")
    return lines


def _regions(charter: Charter) -> list[str]:
    return [
        f"{region.name} ({region.country}) may hold {join_and(region.holds)} data. {region.words}".rstrip()
        for region in charter.regions.values()
    ]


def _classes(charter: Charter) -> list[str]:
    lines = [f"{name}: {words}" for name, words in charter.classes.items()]
    for dataset in charter.datasets.values():
        lines.append(f"{dataset.name}: {dataset.words} {_dataset_classes(charter, dataset)}".replace("  ", " "))
    return lines


def _dataset_classes(charter: Charter, dataset: Dataset) -> str:
    if dataset.catch_all:
        return f"All of it is {PROTECTED}."
    by_class = {
        data_class: [item.name for item in dataset.fields if item.data_class == data_class]
        for data_class in charter.classes
        if data_class != PROTECTED
    }
    parts = [f"{join_and(names)} {is_or_are(names)} {data_class}" for data_class, names in by_class.items() if names]
    rule = dataset.record_class
    if rule is not None:
        names = [item.name for item in dataset.fields if item.data_class == RECORD]
        values = join_and([f"{value!r} is {data_class}" for value, data_class in rule.values.items()])
        parts.append(
            f"{join_and(names)} {is_or_are(names)} of the class that {rule.field} gives ({values}, any other protected)"
        )
    return f"In it, {'; '.join(parts)}; the rest is {PROTECTED}." if parts else f"All of it is {PROTECTED}."


def _flows(charter: Charter) -> list[str]:
    if not charter.flows:
        return ["Nobody may do anything."]
    return [_flow(charter, flow) for flow in charter.flows]


def _flow(charter: Charter, flow: Flow) -> str:
    who = join_and([charter.parties[name].title for name in flow.who])
    verbs = join_and([_VERB_WORDS[verb] for verb in flow.verbs])
    classes = "data of every class" if set(flow.classes) == set(charter.classes) else f"{join_and(flow.classes)} data"
    datasets = "every dataset" if set(flow.datasets) == set(charter.datasets) else join_and(flow.datasets)
    countries = "from any country" if flow.countries == (ANY,) else f"only from {join_or(flow.countries)}"
    sentences = [f"{flow.name}: {flow.words} {who} may {verbs} {classes} of {datasets}, {countries}, {_purpose(flow)}."]
    sentences += explain_conditions(flow, governed=charter.governance is not None)
    if flow.bulk is not None:
        sentences.append(
            f"One request may touch at most {flow.bulk.records_max:,} records, "
            f"and all of a day's bulk requests together {flow.bulk.records_per_day_max:,}."
        )
    else:
        sentences.append("One request may be about one user only.")
    if flow.withhold:
        sentences.append(f"Withheld: {_fields(flow.withhold)}.")
    if "write" in flow.verbs:
        count = flow.downgrades_per_day_max
        limit = f"at most {count:,} records a day" if count else "no record"
        sentences.append(f"Writing may move {limit} to a less protected class.")
    return " ".join(sentences)


def _purpose(flow: Flow) -> str:
    noun = "purpose" if len(flow.purposes) == 1 else "purposes"
    return f"for the {noun} {join_and(flow.purposes)}"


def _invariants(charter: Charter) -> list[str]:
    return [_invariant(charter, item) for item in charter.invariants] or ["No promise is made beyond the flows."]


def _invariant(charter: Charter, invariant: Invariant) -> str:
    titles = [charter.parties[name].title for name in invariant.parties]
    who = join_or(titles) or f"a party that is {join_or(invariant.roles)}"
    verbs = join_or([_VERB_WORDS[verb] for verb in invariant.verbs])
    verbs = "do anything to" if set(invariant.verbs) == set(VERBS) else verbs
    classes = "any" if set(invariant.classes) == set(charter.classes) else join_or(invariant.classes)
    where = "" if set(invariant.datasets) == set(charter.datasets) else f" of {join_or(invariant.datasets)}"
    outside = f" from outside of {join_and(invariant.from_outside)}" if invariant.from_outside else ""
    return f"{invariant.name}: {invariant.words} No rule here lets {who} {verbs} {classes} data{where}{outside}."


def _searchable(charter: Charter) -> list[str]:
    if not charter.searchable:
        return ["Users can be looked up by nothing but their id."]
    names = join_and([f"{item.dataset}.{item.field}" for item in charter.searchable])
    return [f"Users can be looked up by {names}, by whoever may look up the class of that field."]


def _fields(references: Iterable[FieldReference]) -> str:
    return join_and([f"{item.dataset}.{item.field}" for item in references])


def _wrapped(lines: Sequence[str]) -> str:
    # Words of the charter may have lines of their own; here they keep to one, or they could look like ours.
    return "\n".join(f"- {' '.join(line.split())}" for line in lines)
