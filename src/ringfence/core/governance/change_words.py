"""Changes in plain sentences, for the person who is about to sign. Nothing of a change is left out.

Rules of this file:
1. Every field of a change is in its sentences, in full: two changes that differ have sentences that differ.
2. Text that somebody wrote stands in quotation marks, and shows what it is: see `wording`.
3. Persons, grants, keys and services are numbers, shown as such: whoever signs looks the number up.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, assert_never

from ringfence.core import changes as c
from ringfence.core.governance.wording import count_of, quote, show_duration, show_key
from ringfence.core.people.attestors import name_attestor, read_attestor
from ringfence.core.times import show_time

_KIND_WORDS: Final = {
    c.ACCESS: "This is a grant of the kind access: others must agree before it holds",
    c.LEGAL_DEMAND: "This is a grant of the kind legal-demand: it answers a demand by law",
    c.BREAK_GLASS: "This is a grant of the kind break-glass: one person's word is enough, and it is reviewed after",
}
_FEEDS: Final = (
    "It READS AND FEEDS the register of people: what it tells can take authority from anyone, and gives none."
)


def describe_change(change: c.AnyChange) -> list[str]:
    """Give what a change does as sentences, the weightiest first, by the rules of this file.

    Args:
        change: one that `change_shape.check_change` takes.
    """
    if isinstance(change, c.GIVING_TYPES):
        return _describe_giving(change)
    return _describe_taking(change)


def _describe_giving(change: c.Giving) -> list[str]:
    match change:
        case c.EnactCharter():
            return [
                f"Put version {change.version} of the charter {change.name} in force.",
                f"The SHA-256 of the charter's file is {change.digest.hex()}.",
                f"Decide by the engine {change.engine}.",
            ]
        case c.Admit():
            return [
                f"Admit person {change.person} as a member of the party {change.party}.",
                "The person may call the gateway, may be given duties, and is cleared of an earlier suspension.",
                f"The commitment to the person's identity is {change.identity.hex()}.",
                f"This ends at {show_time(change.until_ms)}." if change.until_ms else "No end of this is known.",
            ]
        case c.Appoint():
            return [f"Give the duty {change.duty} to person {change.person}."]
        case c.EnrolKey():
            return [
                f"Let person {change.person} sign with the key {show_key(change.key)}.",
                "Whatever is signed with it from then on counts as that person's word.",
            ]
        case c.Grant():
            return _describe_grant(change)
        case c.ApproveBuild():
            return [
                f"Let the build {quote(change.name)} of the party {change.party} run.",
                f"The SHA-256 of what is built is {change.digest.hex()}.",
                _describe_attestor(change.attestor),
            ]
        case c.RegisterService():
            return [
                f"Make a service of the party {change.party} known, so that it may call the gateway.",
                _FEEDS if change.feeds else "It tells the register of people nothing.",
                f"The commitment to the service's identity is {change.identity.hex()}.",
            ]
        case c.TrustIssuer():
            return [
                f"Take tokens of the issuer {quote(change.name)}, in place of what was trusted under that name.",
                f"The SHA-256 of the file with its keys is {change.keys.hex()}.",
            ]
        case c.OpenKeyEpoch():
            return [f"Wrap new keys of users for the class {change.data_class} under key epoch {change.key_epoch}."]
        case c.RecoverLane():
            return [
                f"Go on without whatever lane {change.lane} wrote after its batch {change.n}. What it wrote is lost.",
                f"The reason that the ledger will show is {quote(change.reason)}.",
            ]
        case c.Lift():
            return [f"End suspension {change.suspension}, so that what it stopped is allowed again."]
        case c.Review():
            verdict = "used rightly" if change.justified else "NOT used rightly"
            return [f"Find that break-glass grant {change.grant} was {verdict}, and end the wait for its review."]
    assert_never(change)


def _describe_attestor(attestor: bytes) -> str:
    if not attestor:
        return "No service gets a credential for it, since nobody is to attest it."
    known = f"{read_attestor(attestor).algorithm} key with the SHA-256 {name_attestor(attestor)}"
    return f"Services of the party get credentials for it with an attestation that is signed by the {known}."


def _describe_grant(grant: c.Grant) -> list[str]:
    bulk = "Requests for many users at once are included." if grant.bulk else "Only requests for one user at a time."
    users = "It is for ANY user." if grant.subjects_any else "It is only for the users that are named below."
    withheld = f"Kept back: {_listed([quote(field) for field in grant.withhold])}."
    return [
        f"Let person {grant.person} {' and '.join(grant.verbs)} records of users for the purpose {grant.purpose}.",
        f"{_KIND_WORDS[grant.kind]}.",
        f"Datasets: {_listed(grant.datasets)}.",
        f"Classes: {_listed(grant.classes)}.",
        users,
        f"At most {count_of(grant.records_max, 'record')} over its whole life. {bulk}",
        f"It lasts {show_duration(grant.lasts_ms)} from the entry that gives it.",
        withheld if grant.withhold else "No field is kept back beyond what the charter keeps back.",
    ]


def _describe_taking(change: c.Taking) -> list[str]:
    match change:
        case c.Suspend():
            what = "EVERYTHING" if change.scope == c.EVERYTHING else f"the {change.scope} {change.name}"
            return [f"Stop {what} from the next request on, until the suspension is lifted by quorum."]
        case c.EndAppointment():
            return [f"Take the duty {change.duty} from person {change.person}."]
        case c.Dismiss():
            return [f"Take everything from person {change.person}: duties, keys, grants, and calls to the gateway."]
        case c.RevokeKey():
            return [f"Take no more signatures by key number {change.key}."]
        case c.RevokeGrant():
            return [f"End grant {change.grant}."]
        case c.NarrowGrant():
            return [
                f"Leave less of grant {change.grant}. What is named here stays, and nothing else.",
                f"Datasets that stay: {_listed(change.datasets)}.",
                f"Classes that stay: {_listed(change.classes)}.",
                f"At most {count_of(change.records_max, 'record')} over its whole life.",
                f"It lasts {show_duration(change.lasts_ms)} from the entry that narrows it.",
            ]
        case c.WithdrawBuild():
            return [
                "Give a build no more credentials, and stop taking those that it has.",
                f"The SHA-256 of what is built is {change.digest.hex()}.",
            ]
        case c.WithdrawService():
            return [f"Make service {change.principal} unknown, so that it can call the gateway no more."]
        case c.WithdrawIssuer():
            return [f"Take no more tokens of the issuer {quote(change.name)}."]
    assert_never(change)


def _listed(words: Sequence[str]) -> str:
    return ", ".join(words)
