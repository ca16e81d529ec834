"""From findings to the verdict."""

from __future__ import annotations

from ringfence.core.errors import RingfenceError
from ringfence.core.ledger.entry import Genesis
from ringfence.verify.checkpoints import Notes
from ringfence.verify.openings import ERASURES_WITHHELD
from ringfence.verify.rules import RuleBook
from ringfence.verify.trust import Trust
from ringfence.verify.verdict import (
    REFUTED,
    SELF_CONSISTENT,
    UNREADABLE,
    VERIFIED,
    Findings,
    Tally,
    Verdict,
    Withheld,
)


def unreadable(error: RingfenceError) -> Verdict:
    """Give the verdict on what could not be read."""
    hint = f" ({error.hint})" if error.hint else ""
    return Verdict(UNREADABLE, problem=error.message + hint)


def conclude(
    findings: Findings,
    *,
    trust: Trust | None,
    notes: Notes | None = None,
    genesis: Genesis | None = None,
    rules: RuleBook | None = None,
    tally: Tally | None = None,
    lanes: int = 0,
    detail: bool = False,
    from_leaf: int = 0,
    since: bytes | None = None,
    now_seconds: int | None = None,
) -> Verdict:
    """Give the verdict on what was checked; what is None was not reached."""
    outcome = REFUTED if findings else VERIFIED if trust else SELF_CONSISTENT
    refutations, more = findings.in_order(), findings.more
    if notes is None or rules is None or tally is None:
        return Verdict(outcome, refutations=refutations, refutations_more=more)
    newest = notes.newest
    size = newest.checkpoint.size
    charter = rules.state.charter
    kept = next((item for item in notes.earlier if item.is_kept), None)
    return Verdict(
        outcome,
        refutations=refutations,
        refutations_more=more,
        origin=notes.origin,
        mode=genesis.mode if genesis else "",
        size=size,
        root=newest.checkpoint.root.hex(),
        signed_at_seconds=newest.time_seconds,
        age_seconds=None if now_seconds is None else now_seconds - newest.time_seconds,
        witnesses=tuple(sorted(item.key.name for item in newest.cosignatures)),
        witness_quorum=trust.witness_quorum if trust else 0,
        checkpoints_earlier=sum(not item.is_kept for item in notes.earlier),
        since_size=kept.signed.checkpoint.size if since and kept else None,
        from_leaf=from_leaf,
        detail=detail,
        epoch=rules.state.epoch,
        charter=f"{charter.name}@{charter.version}" if charter else "",
        counts={"leaves": size, "lanes": lanes, **{name: tally.counts[name] for name in _COUNTS}},
        asserted={kind: dict(sorted(labels.items())) for kind, labels in sorted(tally.asserted.items())},
        withheld=_withheld(tally, rules, detail=detail),
        recovered=tuple(rules.recovered),
        revocations=tuple(rules.revocations),
    )


_COUNTS = (
    "batches",
    "seals",
    "entries",
    "rules",
    "decisions",
    "accesses_given",
    "accesses_refused",
    "erasures",
    "downgrades",
    "counted",
    "refusals",
    "requests_refused",
    "outcomes",
    "openings",
)


def _withheld(tally: Tally, rules: RuleBook, *, detail: bool) -> tuple[Withheld, ...]:
    withheld = [Withheld(what, count) for what, count in sorted(tally.withheld.items())]
    if not detail:
        counts = tally.counts
        about = sum(counts[name] for name in ("accesses_given", "accesses_refused", "downgrades"))
        withheld.append(Withheld("openings of accesses: the bundle has no detail/, so subjects are not known", about))
        withheld.append(Withheld("erased subjects never listed again: needs detail/", counts["erasures"]))
        if standing := rules.state.standing:
            what = "signatures and facts that changes of the rules rest on: needs detail/"
            withheld.append(Withheld(what, standing.withheld))
            what = "how few people a coalition needed after a change of the rules: needs detail/"
            withheld.append(Withheld(what, rules.uncounted))
    elif count := tally.withheld[ERASURES_WITHHELD]:
        withheld.append(Withheld("erased subjects never listed again: their openings are not there", count))
    return tuple(item for item in withheld if item.count)
