"""What a founding document says, in plain sentences: what whoever signs its bytes agrees to. Nothing is left out.

Text that somebody wrote, names of countries and teams included, stands in quotation marks, as for changes: so that no
fact about one person can look like a sentence about another.
"""

from __future__ import annotations

from ringfence.core.governance.founding import Founding, FoundingPerson
from ringfence.core.governance.wording import quote, show_key
from ringfence.core.times import show_time


def describe_founding(founding: Founding) -> list[str]:
    """Give all that a founding document says, from it alone: documents that differ have sentences that differ.

    Args:
        founding: one that `parse_founding` gave.
    """
    lines = [
        f"Found the ledger {quote(founding.origin)} in {founding.mode} mode, for ever, at {show_time(founding.at_ms)}.",
        f"Its first charter is the file with SHA-256 {founding.charter.hex()}, decided by engine {founding.engine}.",
        f"The custodian's build is {founding.build.hex()}.",
        f"The key that writes its rules is {founding.authority.hex()}; that of its checkpoints is "
        f"{quote(founding.log_key)}.",
        f"Its number used once is {founding.nonce.hex()}.",
        f"{len(founding.people)} people found it, and rules change by their quorum from then on:",
    ]
    for number, person in enumerate(founding.people, start=1):
        lines += _describe_person(number, person)
    if founding.holders:
        holders = ", ".join(map(str, founding.holders))
        lines.append(f"The custodian's keys open with the shares of any {founding.threshold} of these: {holders}.")
    else:
        lines.append("The custodian's keys LIE OPEN on the custodian's host: whoever has the host has them.")
    for service in founding.services:
        lines.append(
            f"  A service of {service.party}: the subject {quote(service.identity.subject)} of the issuer "
            f"{quote(service.identity.issuer)}."
        )
    if not founding.issuers:
        lines.append("Tokens of no issuer are taken until the quorum trusts one.")
    for issuer in founding.issuers:
        lines.append(
            f"  Tokens of the issuer {quote(issuer.name)} are taken, by the keys with SHA-256 {issuer.keys.hex()}."
        )
    return lines


def _describe_person(number: int, person: FoundingPerson) -> list[str]:
    facts = person.facts
    known = [
        f"employed by {facts.party}",
        f"paid by {quote(facts.paid_by)}" if facts.paid_by else "paid by the same",
        f"living in {quote(facts.residence)}" if facts.residence else "living in an unknown country",
        f"working in {quote(facts.works_in)}" if facts.works_in else "working in an unknown country",
        f"on devices of {quote(facts.devices_of)}" if facts.devices_of else "on devices of nobody known",
        f"in the team {quote(facts.team)}" if facts.team else "in no known team",
        f"managed by {facts.manager}" if facts.manager else "managed by nobody",
        *(f"directed by {other}" for other in facts.directed_by),
        *([f"from {show_time(facts.starts_ms)}"] if facts.starts_ms else []),
        *([f"until {show_time(facts.ends_ms)}"] if facts.ends_ms else []),
        *([f"called {quote(facts.external_id)} by who feeds the register"] if facts.external_id else []),
        *(["taken off the list by who feeds the register"] if facts.unlisted else []),
    ]
    return [
        f"  {number}: {quote(facts.name)} ({quote(facts.reference)}), {', '.join(known)}.",
        f"     Duties: {', '.join(person.duties)}. Signs with the key {show_key(person.key)}. Tokens: the subject "
        f"{quote(person.identity.subject)} of the issuer {quote(person.identity.issuer)}.",
    ]
