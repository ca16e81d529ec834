"""Ways around the bound from below: fewer people than it might say, by what the core's own functions allow."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ringfence.core import changes as c
from ringfence.core.charter import parse_charter
from ringfence.core.charter.governance import Group
from ringfence.core.coalition.rules import FLOORED
from ringfence.core.state import Principal
from ringfence.prover.coalition.run import loosen
from tests.governed import Ground, facts
from tests.prover.powers import COUNTED, answer, least, written

ADA, BEN, CID, DOT, EVE, FAY, GUS, HAL, IVY = range(1, 10)
NOBODY = "by: {from: [inspector], count: 60}"
"""What no number of people meets: there are not so many."""

NO_POWERS = (
    COUNTED.replace("by: {all: [{from: [engineer], count: 1}, {from: [officer], count: 2}]}", NOBODY)
    .replace("by: {from: [inspector], count: 1}}", f"{NOBODY}}}")
    .replace("by: {from: [people], count: 1}}", f"{NOBODY}}}")
    .replace("by: {from: [manager], count: 1}}", f"{NOBODY}}}")
)
NO_POWERS = NO_POWERS.replace("  min: 3", "  min: 0").replace(
    "inspector, keeper]\n    roles", "inspector, keeper, monitor]\n    roles"
)
"""The charter of `COUNTED` with powers that nobody has, but for `host-root`, and a rule for all duties."""


APP_LOGIN = "issue-tokens: {words: The app's., of: app}"


def hard(text: str, *operations: str) -> str:
    """Give a charter's text with operations for which nine officers must agree."""
    for name in operations:
        old = f"    {name}: {{propose: [people], approve: {{from: [officer], count: 2}}"
        assert text.count(old) == 1, name
        text = text.replace(old, old.replace("count: 2", "count: 9"))
    return text


def nine(text: str) -> str:
    """Give a charter's text with grants of any kind that nine officers agree to, whoever these are."""
    old = "approve: {any: [{from: [officer], count: 2}, {all: [{from: [officer], count: 1}"
    never = "      never: [same-team, same-manager, directed-by-requester, appointed-by-requester]\n"
    legal = "approve: {from: [monitor, officer], count: 2}"
    assert text.count(old) == text.count(never) == text.count(legal) == 1
    text = text.replace(old, old.replace("count: 2", "count: 9").replace("count: 1", "count: 9"))
    return text.replace(never, "").replace(legal, legal.replace("count: 2", "count: 9"))


def test_who_joins_brings_people_below_who_were_never_admitted() -> None:
    """They are there, and can be admitted: seven of a chief's own are seven officers more."""
    text = hard(NO_POWERS, "enrol-key", "register-service", "trust-issuer")
    text = text.replace(
        f"words: An engineer and two officers.\n      {NOBODY}", "words: O.\n      by: {from: [officer], count: 9}"
    )
    alone, led = Ground.founded(text), Ground.founded(text)
    for name in ("kim", "lou", "max", "ned", "ora", "pia", "quy"):
        led.hire(name, manager=ADA)
        alone.hire(name)
    found = answer(led, "outside-flows")
    assert (found.at_least, found.at_most) == (3, 3), "who asks for people, and two officers: the pool fills itself"
    assert (least(alone, "outside-flows") or 99) > 3


def test_who_is_below_and_no_member_has_the_power_of_their_party() -> None:
    text = written(
        "gateway-root:\n      words: An engineer and two officers.",
        "gateway-root:\n      words: Both.\n      of: board",
    )
    text = text.replace(
        "by: {all: [{from: [engineer], count: 1}, {from: [officer], count: 2}]}\n    host",
        "by: {from: [engineer], count: 1}\n    host",
    )
    ground = Ground.founded(text)
    assert least(ground, "outside-flows") == 2
    ground.hire("kim", party="board", manager=EVE)
    found = answer(ground, "outside-flows")
    assert (found.at_least, found.at_most, found.joined) == (1, 1, (EVE,))


def test_who_is_the_parents_from_the_start_and_no_member_has_the_power_of_their_party() -> None:
    ground = Ground.founded(NO_POWERS)
    assert least(ground, "stop-erasure") == 1
    ground.hire("kim", party="board", paid_by="parent")
    assert least(ground, "destroy-data") == 0


def test_who_moved_has_the_power_of_the_new_party() -> None:
    """The register tells where somebody works; the membership is of before."""
    ground = Ground.founded(NO_POWERS)
    ground.record(facts(HAL, "hal", party="board", paid_by="parent"))
    assert ground.state.governed.members[HAL].party == "app"
    assert least(ground, "destroy-data") == 0


def test_who_moved_can_be_given_duties_of_the_new_party() -> None:
    text = hard(NO_POWERS, "enrol-key", "register-service")
    ground = Ground.founded(text, hal={"manager": ADA})
    ground.record(facts(HAL, "hal", party="board", manager=ADA))
    found = answer(ground, "change-rules")
    assert found.at_least == 3, "two officers and who asks for people; the monitor is below one of them"


@pytest.mark.parametrize("payer", ["parent", "board"])
def test_whose_tie_to_the_parent_ends_can_be_given_duties_after_some_time(payer: str) -> None:
    """They are the parent's until the cooling time is over, and then no rule keeps them from a duty.

    Whether the tie has ended makes no difference: it is the parent who ends it.
    """
    text = nine(hard(NO_POWERS, "enrol-key", "register-service"))
    ground = Ground.founded(text)
    names = ("kim", "lou", "max", "ned", "ora", "pia", "quy")
    people = [ground.hire(name, paid_by=payer) for name in names]
    while_paid = least(ground, "give-grant")
    ground.record(*(facts(number, name) for number, name in zip(people, names, strict=True)))
    for found in (while_paid, least(ground, "give-grant")):
        assert (found == 3) == (payer == "parent")


THEIR_GATEWAY = NO_POWERS.replace(
    f"gateway-root:\n      words: An engineer and two officers.\n      {NOBODY}",
    "gateway-root: {words: The parent's., of: parent}",
)
"""The charter of `NO_POWERS`, with gateways that the parent reaches into."""


def test_a_gateway_writes_of_people_who_do_not_exist() -> None:
    """It has the authority's key, which facts are written with: the pool is filled by three who appoint."""
    most = "enact-charter: {propose: [officer, manager], approve: {all: [{from: [officer], count: "
    made_up, real = (
        answer(Ground.founded(nine(hard(text, "register-service").replace(f"{most}2", f"{most}9"))), "give-grant")
        for text in (THEIR_GATEWAY, NO_POWERS)
    )
    assert (made_up.at_least, made_up.at_most) == (3, 3)
    assert (real.at_least or 99) > 3


def test_a_gateway_says_who_called_and_with_which_build() -> None:
    built = '    datasets: ["*"]\n    classes: [protected, public]\n'
    for text in (THEIR_GATEWAY, THEIR_GATEWAY.replace(built, f"{built}    builds: approved\n", 1)):
        assert least(Ground.founded(text), "flow:serving") == 0
    assert (least(Ground.founded(NO_POWERS), "flow:serving") or 0) > 0


def test_who_puts_a_program_in_a_gateways_place_needs_nobody_to_approve_it() -> None:
    """A lane is certified for the build that the program says it is: what checks it is the program itself."""
    text = hard(NO_POWERS, "appoint", "enrol-key", "register-service").replace(
        "approve-build: {propose: [releaser, inspector], approve: {from: [inspector], count: 1}",
        "approve-build: {propose: [releaser, inspector], approve: {from: [officer], count: 9}",
    )
    one = text.replace(
        f"deploy: {{words: As a gateway opens., {NOBODY}}}",
        "deploy: {words: One engineer., by: {from: [engineer], count: 1}}",
    )
    assert one != text
    found = answer(Ground.founded(one), "corrupt-build")
    assert (found.at_least, found.at_most, found.joined) == (1, 1, (EVE,))
    assert (least(Ground.founded(text), "corrupt-build") or 99) > 1


@pytest.mark.parametrize("duties", ["    duties: [engineer]\n", ""])
def test_who_tells_of_people_keeps_people_from_erasing(duties: str) -> None:
    text = NO_POWERS.replace(
        f"feed-people: {{words: Whoever keeps the register., {NOBODY}}}",
        "feed-people: {words: The parent's., of: parent}",
    ).replace(
        "duties:\n  engineer:",
        "  - name: erasing\n    words: On request.\n    who: [trust]\n    from: [US]\n    purposes: [comply]\n"
        f'    verbs: [erase]\n    datasets: ["*"]\n    classes: [protected, public]\n{duties}duties:\n  engineer:',
        1,
    )
    assert least(Ground.founded(text), "stop-erasure") == (0 if duties else 1)


def test_a_service_that_may_feed_the_register_makes_people_up() -> None:
    """A quorum registers it: with the same people whom it takes to appoint, nobody needs the HR system."""
    most = "enact-charter: {propose: [officer, manager], approve: {all: [{from: [officer], count: "
    text = nine(NO_POWERS.replace(f"{most}2", f"{most}9"))
    found = answer(Ground.founded(text), "give-grant")
    assert (found.at_least, found.at_most) == (3, 3)
    assert any("service of their own" in deed.words for deed in found.deeds)
    assert (least(Ground.founded(hard(text, "register-service")), "give-grant") or 99) > 3


@pytest.mark.parametrize("feeds", [True, False])
def test_tokens_in_the_name_of_a_feed_make_people_up(feeds: bool) -> None:
    text = nine(hard(NO_POWERS, "enrol-key", "register-service"))
    text = text.replace(
        f"issue-tokens: {{words: Whoever keeps the register., {NOBODY}}}", "issue-tokens: {words: The app's., of: app}"
    )
    ground = Ground.founded(text)
    number = ground.state.principal_last + 1
    principals = ground.state.principals.set(number, Principal(number=number, party="trust", feeds=feeds))
    ground.state = replace(ground.state, principals=principals, principal_last=number)
    assert (least(ground, "give-grant", "parent", "app") == 3) == feeds


@pytest.mark.parametrize("party", ["vendor", "trust"])
def test_a_feed_that_is_their_own_needs_nobody_else(party: str) -> None:
    """A host that colludes runs the service which tells the register about people: it makes people up at once."""
    two = "enact-charter: {propose: [officer, manager], approve: {all: [{from: [officer], count: 2"
    text = hard(NO_POWERS, "register-service", "trust-issuer")
    assert two in text
    text = nine(text.replace(two, f"{two[:-1]}9"))
    text = text.replace("  board: {name", "  vendor: {name: V, role: host}\n  board: {name", 1)
    text = text.replace("roles: [excluded, operator]", "roles: [excluded, operator, host]")
    ground = Ground.founded(text)
    number = ground.state.principal_last + 1
    principals = ground.state.principals.set(number, Principal(number=number, party=party, feeds=True))
    ground.state = replace(ground.state, principals=principals, principal_last=number)
    own = text.index("feed-people:"), text.index("\n", text.index("feed-people:"))
    told = Ground.founded(text[: own[0]] + "feed-people: {words: The vendor's., of: vendor}" + text[own[1] :])
    expected = least(told, "give-grant", "parent", "vendor")
    assert (least(ground, "give-grant", "parent", "vendor") == expected) == (party == "vendor")


@pytest.mark.parametrize("minimum", [0, 3])
def test_a_charter_of_their_own_is_tried_out(minimum: int) -> None:
    """Without enrolling, five agree to a charter; nine officers would agree to a grant, and need not.

    Where the charter asks for a number, they first agree to one that asks for none.
    """
    text = NO_POWERS.replace("  min: 0\n", f"  min: {minimum}\n")
    ground = Ground.founded(nine(hard(text, "admit", "appoint", "enrol-key", "register-service", "trust-issuer")))
    found = answer(ground, "give-grant")
    assert (found.at_least, found.at_most) == (4, 4)
    assert [deed.what for deed in found.deeds].count("enact-charter") == (2 if minimum else 1)


def test_a_charter_of_their_own_gives_whatever_else_takes_a_quorum() -> None:
    """Five may put a charter in force, nine must agree to a grant: five are enough for both."""
    ground = Ground.founded(nine(hard(NO_POWERS, "admit", "appoint", "enrol-key", "register-service", "trust-issuer")))
    rules = least(ground, "change-rules")
    assert rules is not None
    for goal in (*FLOORED, "lift-suspension", "flow:helping"):
        assert (least(ground, goal) or 0) <= rules, goal


def test_somebody_elses_name_is_enough_where_that_person_can_be_given_the_duty() -> None:
    """Nobody is an engineer yet: whoever appoints one, and makes tokens, needs no engineer who colludes."""
    appoint = "    appoint: {propose: [people], approve: {from: [officer], count: 2}"
    text = NO_POWERS.replace(appoint, "    appoint: {propose: [releaser], approve: {from: [monitor], count: 1}")
    text = text.replace(f"issue-tokens: {{words: Whoever keeps the register., {NOBODY}}}", APP_LOGIN)
    text = text.replace("needs: [access, break-glass, legal-demand]", "needs: []")
    ground = Ground.founded(text)
    ground.order("ada", c.EndAppointment(person=EVE, duty="engineer"))
    found = answer(ground, "flow:helping", "parent", "app")
    assert (found.at_least, found.joined) == (1, (IVY,)), "the overseer's monitor and the app's releaser appoint"


ORDERS = ("dismiss", "end-appointment", "withdraw-service", "withdraw-build", "withdraw-issuer")


@pytest.mark.parametrize("order", ORDERS)
def test_any_order_that_leaves_nobody_to_erase_hinders_it(order: str) -> None:
    text = NO_POWERS.replace(
        "host-root: {words: The board's machines., of: board}", f"host-root: {{words: x, {NOBODY}}}"
    )
    text = text.replace("    suspend: [monitor]\n", "    suspend: [keeper]\n")
    for name in ORDERS:
        for duties in ("[people, officer]", "[inspector]", "[officer]"):
            text = text.replace(f"    {name}: {duties}\n", f"    {name}: [keeper]\n")
    assert least(Ground.founded(text), "stop-erasure") == 2, "one officer asks, another agrees"
    easy = text.replace(f"    {order}: [keeper]\n", f"    {order}: [inspector]\n")
    assert least(Ground.founded(easy), "stop-erasure") == 1


def test_an_overseer_who_colludes_notices_nothing() -> None:
    text = written(
        "sign-log: {words: Managers., by: {from: [manager], count: 1}}", "sign-log: {words: Parent., of: parent}"
    )
    text = text.replace(
        "host-root: {words: The board's machines., of: board}", "host-root: {words: Parent., of: parent}"
    ).replace("  board: {", "  press: {name: Another one, role: overseer}\n  board: {")
    assert least(Ground.founded(text), "rewrite-ledger", "parent") == 1
    assert least(Ground.founded(text), "rewrite-ledger", "parent", "press") == 0


@pytest.mark.parametrize(("monitors", "fewest"), [(1, 2), (2, 4)])
def test_who_joins_and_is_brought_as_well_is_not_two_beside_names_that_others_sign_in(
    monitors: int, fewest: int
) -> None:
    """The solver counts as the closure does: all officers by their names, or ivy and whoever brings her, not both."""
    enrol = "    enrol-key: {propose: [people], approve: {from: [officer], count: "
    most = "{propose: [officer, manager], approve: {all: [{from: [officer], count: 2}, {from: [monitor], count: 1}]}"
    own = most.replace("officer, manager", "manager").replace("[monitor], count: 1", f"[monitor], count: {monitors}")
    text = hard(NO_POWERS, "admit", "appoint", "register-service", "trust-issuer")
    assert (text.count(f"{enrol}2"), text.count(f"enact-charter: {most}")) == (1, 1)
    text = text.replace(f"{enrol}2", f"{enrol}1").replace(f"enact-charter: {most}", f"enact-charter: {own}")
    assert answer(Ground.founded(text, ivy={"manager": ADA}), "change-rules").at_least == fewest


def test_a_gateway_rewrites_the_ledger_with_whoever_signs_it() -> None:
    """It writes the store, as the host does."""
    text = THEIR_GATEWAY.replace(
        "host-root: {words: The board's machines., of: board}", f"host-root: {{words: x, {NOBODY}}}"
    )
    signed = text.replace(f"sign-log: {{words: Managers., {NOBODY}}}", "sign-log: {words: The parent's., of: parent}")
    found = answer(Ground.founded(signed), "rewrite-ledger")
    assert (found.at_least, found.at_most, found.joined) == (1, 1, (IVY,)), "somebody of the overseer's puts it away"
    assert (least(Ground.founded(text), "rewrite-ledger") or 99) > 1


def test_no_charter_of_their_own_lets_those_agree_who_may_only_propose() -> None:
    """The app's people may ask, and a file by which they agreed or ordered would be refused."""
    charter = parse_charter(COUNTED.encode(), file="counted.yaml")
    governance = loosen(charter).governance
    assert governance is not None
    for operation in governance.operations.values():
        assert operation.alternatives == ((Group(tuple(name for name in governance.duties if name != "releaser"), 1),),)
        assert "releaser" in operation.propose
    assert "releaser" not in {duty for duties in governance.orders.values() for duty in duties}


def test_a_program_of_their_own_as_a_gateway_can_destroy_the_data() -> None:
    ground = Ground.founded(
        NO_POWERS.replace(
            "host-root: {words: The board's machines., of: board}", f"host-root: {{words: x, {NOBODY}}}"
        ).replace(
            f"gateway-root:\n      words: An engineer and two officers.\n      {NOBODY}",
            "gateway-root: {words: Parent., of: parent}",
        )
    )
    assert least(ground, "outside-flows") == 0
    assert least(ground, "destroy-data") == 0
