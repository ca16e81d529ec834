"""Who keeps users from erasing: a run counts only when nobody outside could erase after it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.governed import Ground, facts
from tests.prover.powers import answer, least
from tests.prover.test_coalition_attacks import IVY, NO_POWERS, NOBODY, ORDERS, THEIR_GATEWAY

ADA = 1


def erasing(duties: str, order: str) -> str:
    """Give a charter's text in which nobody suspends and one officer orders one thing.

    A flow lets the app's services or the custodian's engineers erase.
    """
    text = NO_POWERS.replace(
        "host-root: {words: The board's machines., of: board}", f"host-root: {{words: x, {NOBODY}}}"
    )
    text = text.replace("    suspend: [monitor]\n", "    suspend: [keeper]\n")
    for name in ORDERS:
        for may in ("[people, officer]", "[inspector]", "[officer]"):
            text = text.replace(f"    {name}: {may}\n", f"    {name}: [keeper]\n")
    text = text.replace(f"    {order}: [keeper]\n", f"    {order}: [officer]\n")
    who = "trust" if duties else "app"
    flow = f"""  - name: erasing
    words: On request.
    who: [{who}]
    from: [US]
    purposes: [comply]
    verbs: [erase]
    datasets: ["*"]
    classes: [protected, public]
{duties}duties:
  engineer:"""
    assert text.count("duties:\n  engineer:") == 1
    return text.replace("duties:\n  engineer:", flow)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("duties", ["    duties: [engineer]\n", ""])
def test_an_order_hinders_only_when_it_leaves_nobody_who_erases(order: str, duties: str) -> None:
    """Whoever dismisses people shuts out no service; two officers suspend whatever it is."""
    found = answer(Ground.founded(erasing(duties, order)), "stop-erasure")
    enough = {"withdraw-issuer", *(("dismiss", "end-appointment") if duties else ("withdraw-service",))}
    assert found.at_least == 1
    assert found.at_most == (1 if order in enough else 2)
    assert found.deeds[-1].what == (f"order:{order}" if order in enough else "suspend")


def test_holders_who_refuse_their_shares_keep_every_gateway_that_starts_shut() -> None:
    ground = Ground.founded(erasing("", "dismiss"))
    ground.record(facts(IVY, "ivy", party="board", paid_by="parent"))
    for threshold, fewest in ((2, 0), (1, 1)):
        standing = replace(ground.state.governed, holders=(ADA, IVY), threshold=threshold)
        shared = replace(ground, state=replace(ground.state, standing=standing))
        assert least(shared, "stop-erasure") == fewest
        assert answer(shared, "stop-erasure").at_most == (0 if not fewest else 1)


def test_whoever_reaches_into_a_gateway_runs_a_program_of_their_own_there() -> None:
    found = answer(Ground.founded(THEIR_GATEWAY), "corrupt-build")
    assert (found.at_least, found.at_most) == (0, 0)
    assert (least(Ground.founded(NO_POWERS), "corrupt-build") or 0) > 1
