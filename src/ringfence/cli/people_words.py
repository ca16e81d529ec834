"""People in words and as JSON, for the commands about them. Text that somebody wrote is shown in quotation marks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from ringfence.core.governance.wording import quote
from ringfence.core.people.independence import describe_tie
from ringfence.core.people.register import PersonFacts, Register
from ringfence.core.people.standing import Member
from ringfence.core.times import show_time
from ringfence.services.people.diff import PersonChange, render_time, show_facts
from ringfence.services.people.recording import RecordingPlan
from ringfence.services.people.viewing import PersonDetail, PersonView

LINES_SHOWN_MAX: Final = 40
"""Most lines of each part of a difference; `--json` has all of them."""


def plan_words(plan: RecordingPlan) -> Iterator[str]:
    """Say what a file changes and what that takes away, a line each."""
    difference = plan.difference
    yield (
        f"{len(difference.added):,} added, {len(difference.changed):,} changed, {len(difference.gone):,} gone, "
        f"{difference.unchanged:,} as they were"
    )
    yield from _cut(difference.added, lambda one: f"  + {_who(one)}, number {one.number}")
    yield from _cut(difference.changed, lambda one: f"  ~ {_who(one)}: {_changes(one)}")
    yield from _cut(difference.gone, lambda one: f"  - {_who(one)} has left")
    for suspended in plan.suspends:
        yield f"suspended: {suspended.reference} (number {suspended.number})"
        yield from (f"  {reason}" for reason in suspended.reasons)
    for ending in plan.ends:
        yield f"no authority from {show_time(ending.until_ms)} on: {ending.reference} (number {ending.number})"


def plan_facts(plan: RecordingPlan) -> dict[str, Any]:
    """Give the same as JSON."""
    difference = plan.difference
    return {
        "added": [_change_facts(one) for one in difference.added],
        "changed": [
            {
                **_change_facts(one),
                "changes": [
                    {"column": change.column, "before": change.before, "after": change.after} for change in one.changes
                ],
            }
            for one in difference.changed
        ],
        "gone": [_change_facts(one) for one in difference.gone],
        "unchanged": difference.unchanged,
        "suspended": [
            {"number": one.number, "reference": one.reference, "reasons": list(one.reasons)} for one in plan.suspends
        ],
        "ending": [
            {"number": one.number, "reference": one.reference, "until": render_time(one.until_ms)} for one in plan.ends
        ],
    }


def _cut(changes: Sequence[PersonChange], describe: Callable[[PersonChange], str]) -> Iterator[str]:
    yield from map(describe, changes[:LINES_SHOWN_MAX])
    if len(changes) > LINES_SHOWN_MAX:
        yield f"    and {len(changes) - LINES_SHOWN_MAX:,} more; --json lists all"


def _who(one: PersonChange) -> str:
    return f"{one.reference} {quote(one.name)}"


def _changes(one: PersonChange) -> str:
    return "; ".join(f"{change.column} {_value(change.before)} -> {_value(change.after)}" for change in one.changes)


def _value(text: str) -> str:
    return quote(text) if text else "nothing"


def _change_facts(one: PersonChange) -> dict[str, Any]:
    return {"number": one.number, "reference": one.reference, "name": one.name}


def view_words(view: PersonView) -> str:
    """Give a person's line of a list."""
    facts = view.facts
    return f"{facts.number:>6}  {facts.reference:<16} {facts.party:<12} {view.state:<10} {quote(facts.name)}" + (
        f"  {_duties(view.member)}" if view.member else ""
    )


def view_facts(view: PersonView) -> dict[str, Any]:
    """Give a person of a list as JSON."""
    facts = view.facts
    return {
        "number": facts.number,
        "reference": facts.reference,
        "name": facts.name,
        "employer": facts.party,
        "state": view.state,
        "member": _member_facts(view.member),
    }


def detail_words(detail: PersonDetail, register: Register) -> Iterator[str]:
    """Say everything that is known of a person, a line each."""
    facts, member = detail.view.facts, detail.view.member
    yield f"{facts.reference} (number {facts.number}) {quote(facts.name)}: {detail.view.state}"
    for column, value in show_facts(facts, register).items():
        if column not in ("reference", "name") and value:
            yield f"  {column:<12} {value}"
    if facts.external_id:
        yield f"  external id  {quote(facts.external_id)}"
    if facts.unlisted:
        yield "  taken off the HR system's list"
    for tie in detail.former:
        yield f"  {describe_tie(tie)} {_name_of(register, tie.person) if tie.person else tie.name}"
    if member is None:
        yield "never admitted: no duties, no calls"
    else:
        yield f"member of {member.party}; {_duties(member)}"
    for duty, conflicts in detail.conflicts:
        if conflicts:
            yield f"may not be {duty}:"
            yield from (f"  {conflict.rule}: {conflict.words}" for conflict in conflicts)
        else:
            yield f"no rule of independence stands against {duty}"


def detail_facts(detail: PersonDetail, register: Register) -> dict[str, Any]:
    """Give everything that is known of a person as JSON."""
    shown = show_facts(detail.view.facts, register)
    return {
        **view_facts(detail.view),
        **shown,
        "directed_by": [_name_of(register, number) for number in detail.view.facts.directed_by],
        "external_id": detail.view.facts.external_id,
        "unlisted": detail.view.facts.unlisted,
        "former": [
            {
                "tie": tie.kind,
                "to": _name_of(register, tie.person) if tie.person else tie.name,
                "ended": render_time(tie.ended_ms),
            }
            for tie in detail.former
        ],
        "conflicts": {
            duty: [
                {"rule": conflict.rule, "chain": list(conflict.chain), "words": conflict.words}
                for conflict in conflicts
            ]
            for duty, conflicts in detail.conflicts
        },
    }


def _name_of(register: Register, number: int) -> str:
    facts: PersonFacts | None = register.people.get(number)
    return facts.reference if facts is not None else f"number {number}"


def _duties(member: Member) -> str:
    return f"duties: {', '.join(sorted(member.duties))}" if member.duties else "no duties"


def _member_facts(member: Member | None) -> dict[str, Any] | None:
    if member is None:
        return None
    return {
        "party": member.party,
        "duties": sorted(member.duties),
        "suspended": member.suspended,
        "dismissed": member.dismissed,
        "until": render_time(member.until_ms) if member.until_ms else "",
    }
