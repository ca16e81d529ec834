"""What rests on a grant, held against the grant: how many records were counted, and about whom it was.

Rules of this file:
1. Whether the grant is the caller's, live, and covers the request is decided again with everything else: see
   `decisions`. Here is what depends on more than the request: the counter, and the users.
2. An entry that gives something because of a grant takes one step of the grant's counter, `grant/N`, of the records
   that it names. The total is never above what the grant is for, as it was given or narrowed since.
3. One that says that the grant is used up takes a step of 0 that leaves no room for its records.
4. Under a grant for named users nothing is given about others, nor by a look-up, which may find anyone; and what it
   refuses because it is for other users is about at least one other. Who they are is in openings, and where there are
   openings each grant's statement is among them (see `rules`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ringfence.core.decisions.ruling import (
    GRANT_OTHER_USER,
    GRANT_USED_UP,
    Ruling,
    grant_counter,
    is_within,
    rests_on_grant,
    without_grant,
)
from ringfence.core.errors import ProofInvalidError
from ringfence.core.ledger.entry import About, Access, Count
from ringfence.core.people.standing import GivenGrant, Standing


class GrantUse(NamedTuple):
    """An entry that a grant for named users permits, or refuses because it is about others."""

    given: GivenGrant
    is_refused: bool


def named_users(standing: Standing | None) -> dict[int, frozenset[bytes]]:
    """Give the users of each grant that is for named ones, as far as they are known."""
    if standing is None:
        return {}
    return {number: given.subjects for number, given in standing.grants.items() if given.subjects is not None}


def rule_under_grant(entry: Access, ruling: Ruling) -> Ruling:
    """Give what an entry must say, where its grant may refuse what the charter permits: by users or by number."""
    given, step = ruling.grant, entry.granted
    if given is None:
        return ruling
    others = without_grant(ruling, GRANT_OTHER_USER)
    if not given.grant.subjects_any and entry.decided == others.decided:
        return others
    return without_grant(ruling, GRANT_USED_UP) if step is not None and step.amount == 0 else ruling


def check_granted(entry: Access, ruling: Ruling) -> GrantUse | None:
    """Check that an entry, which says what it must, counts for its grant (rules 2 to 4).

    Args:
        entry: the entry.
        ruling: what the charter says to it.

    Returns:
        What is left to hold against the entry's opening.

    Raises:
        ProofInvalidError: it is counted wrongly, or is a look-up under a grant for named users.
    """
    given, step = ruling.grant, entry.granted
    said = entry.decided.values()
    if given is None or not (rests_on_grant(ruling, entry.decided) or GRANT_USED_UP in said):
        if step is not None:
            raise _other_counter("no counter", step)
        return GrantUse(given, is_refused=True) if given is not None and GRANT_OTHER_USER in said else None
    if step is None:
        raise ProofInvalidError("what a grant gave is not counted", expected=grant_counter(given.number))
    _check_step(given, step)
    if GRANT_USED_UP in said:
        _check_used_up(entry, given, step)
        return None
    _check_counted(entry, given, step)
    return None if given.grant.subjects_any else GrantUse(given, is_refused=False)


def check_users(use: GrantUse, about: About, users: Mapping[int, frozenset[bytes]]) -> None:
    """Check whom an entry is about (rule 4).

    Raises:
        ProofInvalidError: the grant permits it and is for others, or refuses it and is for these; or nobody knows whom
            it is for.
    """
    subjects = users.get(use.given.number)
    if subjects is None:
        raise ProofInvalidError(f"whom grant {use.given.number} is for is not among the openings")
    if is_within(use.given.grant, subjects, about) == use.is_refused:
        name = f"grant {use.given.number}"
        what = f"{name} is for this user" if use.is_refused else f"{name} is for other users"
        raise ProofInvalidError(
            f"an access is about somebody else than its entry says: {what}", expected=f"one of {len(subjects)} users"
        )


def _check_step(given: GivenGrant, step: Count) -> None:
    if step.counter != grant_counter(given.number):
        raise _other_counter(grant_counter(given.number), step)
    if step.day != 0 or step.ordinal < 1 or step.amount < 0 or step.total < 0:
        raise ProofInvalidError(
            f"a step of counter {step.counter} is malformed",
            expected="day 0",
            found=f"day {step.day}, ordinal {step.ordinal}, amount {step.amount}, total {step.total}",
        )


def _check_used_up(entry: Access, given: GivenGrant, step: Count) -> None:
    """Check that a grant that refuses for its number had no room left (rule 3)."""
    room = given.grant.records_max - step.total
    if entry.records <= room:
        raise ProofInvalidError(
            f"grant {given.number} was not used up, so it refuses nothing",
            expected=f"a total above {given.grant.records_max - entry.records}",
            found=f"a total of {step.total}",
        )


def _check_counted(entry: Access, given: GivenGrant, step: Count) -> None:
    """Check what a grant gave (rules 2 and 4)."""
    if entry.verb == "find" and not given.grant.subjects_any:
        raise ProofInvalidError(f"a look-up may find anyone, and grant {given.number} is for named users")
    if step.amount != entry.records:
        raise ProofInvalidError(
            "what a grant gave is counted wrongly", expected=str(entry.records), found=str(step.amount)
        )
    if step.total > given.grant.records_max:
        raise ProofInvalidError(
            f"grant {given.number} gave more records than it is for",
            expected=f"<= {given.grant.records_max}",
            found=str(step.total),
        )


def _other_counter(expected: str, step: Count) -> ProofInvalidError:
    return ProofInvalidError(
        "an access is counted by a counter that is not its own", expected=expected, found=step.counter[:80]
    )
