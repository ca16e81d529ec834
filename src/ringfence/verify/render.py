"""The verdict as text for a regulator, and as JSON for a program.

Rules of this file:
1. Whatever came from the bundle is shown without control characters, so that it cannot rewrite the reader's screen.
2. The JSON is stable: members are added, never renamed or taken away, without a new `format`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Final

from ringfence.core.ledger.entry import DEVELOPMENT
from ringfence.core.times import show_time
from ringfence.verify.revocations import Revocation, percentile_ms
from ringfence.verify.verdict import REFUTED, SELF_CONSISTENT, UNREADABLE, VERIFIED, Refutation, Verdict

FORMAT: Final = "ringfence-verdict/1"

_HEADLINES: Final = {
    VERIFIED: "VERIFIED against the pinned keys.\nWhat was only asserted, and what was withheld, is named below.",
    REFUTED: "REFUTED: the bundle contradicts itself or the pins.",
    SELF_CONSISTENT: (
        "SELF-CONSISTENT ONLY: it agrees with itself, but nothing pins whose ledger it is\n(no --trust)."
    ),
    UNREADABLE: "UNREADABLE: the bundle could not be checked.",
}
_COUNTS: Final = (
    ("leaves", "leaves"),
    ("entries", "entries in {batches} batches of {lanes} lanes, under {seals} seals"),
    ("rules", "rules folded"),
    ("decisions", "decisions made again"),
    ("accesses_given", "accesses given"),
    ("accesses_refused", "accesses refused"),
    ("requests_refused", "more requests refused, summed up in {refusals} entries"),
    ("downgrades", "moves to a less protected class"),
    ("counted", "steps of counters"),
    ("erasures", "subjects erased"),
    ("outcomes", "accesses not answered as decided"),
    ("openings", "openings held against their commitments"),
)
_ASSERTED: Final = {
    "class": "data class of what was written: the build",
    "country": "country of the caller: the gateway, from its",
    "identity": "who the caller is: the token's issuer; principal",
    "time": "time of a batch: the clock of a lane for",
}


def render_json(verdict: Verdict) -> str:
    """Give the verdict as one line of JSON; `docs/verify.md` lists the members."""
    return json.dumps({"format": FORMAT, **asdict(verdict)})


def render_text(verdict: Verdict) -> str:
    """Give the verdict as text that fits 80 columns, but for long places and names."""
    return "\n".join(_lines(verdict)) + "\n"


def _lines(verdict: Verdict) -> Iterator[str]:
    yield _HEADLINES[verdict.outcome]
    if verdict.problem:
        yield f"  {_clean(verdict.problem)}"
    if verdict.mode == DEVELOPMENT:
        yield "!! MODE: DEVELOPMENT. Anyone could mint tokens for this ledger."
        yield "!! It proves nothing about production."
    for number, refutation in enumerate(verdict.refutations, start=1):
        first, *following = render_refutation(refutation)
        yield f"{number}. {first}"
        yield from following
    if verdict.refutations_more:
        yield "  There are more refutations than are shown."
    if not verdict.origin:
        return
    yield ""
    yield from _ledger(verdict)
    yield ""
    yield "Seen and counted:" if verdict.outcome == REFUTED else "Checked:"
    for name, words in _COUNTS:
        number = verdict.counts.get(name, 0)
        if number or name in ("leaves", "decisions"):
            yield f"  {number:>10,}  {words.format(**verdict.counts)}"
    yield from _revocations(verdict.revocations)
    if any(verdict.asserted.values()):
        yield ""
        yield "Asserted, not derived from the ledger: how many rest on whose word:"
        for kind, labels in verdict.asserted.items():
            for label, number in labels.items():
                yield f"  {number:>10,}  {_ASSERTED.get(kind, kind)} {_clean(label)}"
    yield ""
    yield "Withheld or not checked:" if verdict.withheld else "Withheld or not checked: nothing"
    for withheld in verdict.withheld:
        yield f"  {withheld.count:>10,}  {withheld.what}"
    for item in verdict.recovered:
        yield (
            f"!! RECOVERED: at leaf {item.leaf} the custodian went on without what lane {item.lane} wrote after batch "
            f"{item.n}: {_clean(item.reason)}"
        )


def _revocations(revocations: Sequence[Revocation]) -> Iterator[str]:
    """Say how many there were, how long 99 of 100 took at most, and which took longest."""
    if not revocations:
        return
    yield ""
    yield "Revocations, from the time in the signed statement to that of the entry:"
    known = [item for item in revocations if item.took_ms is not None]
    if len(known) < len(revocations):
        yield f"  {len(revocations) - len(known):>10,}  of which the statement is withheld"
    if known:
        worst = max(known, key=lambda item: item.took_ms or 0)
        yield f"  {len(known):>10,}  in {percentile_ms(known):,} ms or less (99 of 100)"
        yield f"  {worst.took_ms:>10,}  ms, the longest: {_clean(worst.change)} by {worst.by}, leaf {worst.leaf}"


def render_refutation(refutation: Refutation) -> Iterator[str]:
    """Give the lines that say where something is wrong, what, what was expected and what was found."""
    yield f"{_clean(refutation.place)}: {_clean(refutation.what)}"
    if refutation.expected:
        yield f"  expected {_clean(refutation.expected)}"
    if refutation.found:
        yield f"  found    {_clean(refutation.found)}"


def _ledger(verdict: Verdict) -> Iterator[str]:
    yield f"Ledger    {_clean(verdict.origin)}"
    yield f"Mode      {_clean(verdict.mode) or 'unknown'}"
    yield f"Rules     epoch {verdict.epoch}, charter {_clean(verdict.charter) or 'none'}"
    yield f"Tree      {verdict.size:,} leaves"
    yield f"Root      {verdict.root}"
    yield f"Signed    {show_time(verdict.signed_at_seconds * 1000)}{_age(verdict.age_seconds)}"
    wanted = verdict.witness_quorum
    names = ", ".join(map(_clean, verdict.witnesses)) or "none"
    yield f"Witnesses {names}" + (f" ({wanted} wanted)" if wanted else " (the reader pins no quorum)")
    yield f"Earlier   checkpoints in the bundle: {verdict.checkpoints_earlier}"
    if verdict.since_size is not None:
        yield f"Since     the reader's own checkpoint of {verdict.since_size:,} leaves"
    if verdict.from_leaf:
        yield f"From      leaf {verdict.from_leaf:,}: entries before it were not decided again"
    yield f"Openings  {'in the bundle' if verdict.detail else 'not in the bundle'}"


def _age(seconds: int | None) -> str:
    if seconds is None:
        return ""
    if seconds < 0:
        return f", which is {_span(-seconds)} AHEAD of this machine's clock"
    return f", {_span(seconds)} ago"


def _span(seconds: int) -> str:
    for unit, length in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length:,} {unit}"
    return f"{seconds} seconds"


def _clean(text: str) -> str:
    return "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape", "backslashreplace").decode() for sign in text
    )
