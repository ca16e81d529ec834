"""A count of coalitions that is not what follows: written by whoever has the authority's key, and refuted."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from ringfence.core import changes as c
from ringfence.core.coalition import countings, gate
from ringfence.core.coalition.countings import NEWEST_COUNTING, Counting
from ringfence.core.folding import RuleSource
from ringfence.core.ledger import entry as e
from ringfence.core.ledger.governed_entry import Carried
from tests.attacks.bundles import judge, require_refuted, require_verified
from tests.governed import NUMBERS
from tests.governed_ledgers import GovernedLedger, governed
from tests.prover.powers import COUNTED


def appointed(**told: object) -> GovernedLedger:
    """Give a ledger in which somebody was appointed; `told` is what its entry says otherwise of coalitions."""
    ledger = governed(charter=COUNTED)
    ledger.ground.agree("dot", c.Appoint(person=NUMBERS["dot"], duty="inspector"), "ada", "ben")
    rule, source = ledger.ground.entries[-1]
    assert isinstance(rule, Carried)
    ledger.ground.entries[-1] = msgspec.structs.replace(rule, **told), source
    ledger.follow()
    return ledger


def carried_at(ledger: GovernedLedger) -> int:
    return [leaf for leaf, data in enumerate(ledger.leaves) if isinstance(e.parse_entry(data), Carried)][-1]


def test_an_honest_count_is_verified_with_openings_and_without(tmp_path: Path) -> None:
    ledger = appointed()

    require_verified(judge(ledger, tmp_path / "whole"))
    require_verified(judge(ledger, tmp_path / "public", detail=False))


def test_a_count_that_is_believed_is_named_among_what_was_withheld(tmp_path: Path) -> None:
    """Without facts about people a wrong one is not found out, and nobody is left to think that it was looked at."""
    for number, ledger in enumerate((appointed(), appointed(coalition=2, proof=bytes(32)))):
        public = judge(ledger, tmp_path / f"public-{number}", detail=False)
        require_verified(public)
        assert [item.count for item in public.withheld if "how few people a coalition needed" in item.what] == [1]

    whole = judge(appointed(), tmp_path / "whole")
    require_verified(whole)
    assert not any("coalition" in item.what for item in whole.withheld)

    unasked = judge(governed(), tmp_path / "unasked", detail=False)
    require_verified(unasked)
    assert not any("coalition" in item.what for item in unasked.withheld), "no charter asks for a count"


@pytest.mark.parametrize(
    "told", [{"coalition": 5}, {"coalition": 2}, {"proof": bytes(32)}, {"coalition": 0, "proof": b""}]
)
def test_another_count_or_another_world_or_none_is_refuted(tmp_path: Path, told: dict[str, object]) -> None:
    ledger = appointed(**told)

    verdict = judge(ledger, tmp_path / "bundle")

    require_refuted(verdict, "another count of coalitions", leaf=carried_at(ledger))


def test_what_was_counted_before_a_correction_is_verified_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest counting gives another number here; the entry names the one that it was counted by."""
    ledger = appointed()
    nothing, counted = gate.Counted(), {c.Appoint: gate.Counted(1, bytes(32))}
    corrected = Counting((c.Appoint,), lambda before, after, change, *, at_ms: counted.get(type(change), nothing))
    monkeypatch.setattr(countings, "COUNTINGS", {**countings.COUNTINGS, "c9": corrected})
    monkeypatch.setattr(countings, "NEWEST_COUNTING", "c9")

    require_verified(judge(ledger, tmp_path / "as-it-was"))
    forged = judge(appointed(counting="c1"), tmp_path / "forged")
    require_refuted(forged, "another count of coalitions", leaf=carried_at(ledger))


@pytest.mark.parametrize(
    ("counting", "reason"), [("c9", "no such counting of coalitions"), ("", "names no counting of coalitions")]
)
@pytest.mark.parametrize("detail", [True, False])
def test_a_counting_that_nobody_knows_or_none_is_refuted(
    tmp_path: Path, counting: str, reason: str, *, detail: bool
) -> None:
    ledger = appointed(counting=counting)

    require_refuted(judge(ledger, tmp_path / "bundle", detail=detail), reason, leaf=carried_at(ledger))


def test_a_change_that_the_gate_would_refuse_is_refuted_though_its_count_is_right(tmp_path: Path) -> None:
    """Whoever has the authority's key carries it past the program, and says in the entry what is so."""
    ledger = governed(charter=COUNTED)
    ground = ledger.ground
    gil = ground.hire("gil", manager=NUMBERS["ada"])
    ground.admit("gil")
    proposal = ground.propose("dot", c.Appoint(person=gil, duty="engineer"))
    ground.approve(proposal, "ada", "ben")
    rule = Carried(proposal=proposal, counting=NEWEST_COUNTING, coalition=2)
    ground.entries.append((rule, RuleSource(lane=0, at_ms=ground.now_ms + 1000)))
    ledger.follow()

    require_refuted(judge(ledger, tmp_path / "bundle"), "2 people who joined", leaf=carried_at(ledger))
