"""Each rule of what follows from what, in a world in which nothing else is open: as few people as trying everything
finds. A rule that is missing has somebody join who need not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import pytest

from ringfence.core import changes as c
from ringfence.core.charter.governance import ORDERS
from ringfence.core.coalition.world import see_world
from ringfence.core.decisions.ruling import Asked, rule_access
from ringfence.core.governance.effects import next_number
from ringfence.core.governance.proposals import approve, carry
from ringfence.core.issuers import is_trusted
from ringfence.core.ledger.governed_entry import Approved, Carried
from ringfence.core.people.register import PersonFacts, record
from ringfence.core.state import Principal, State
from tests.governed import ISSUER
from tests.prover import brute_force
from tests.prover.bare_worlds import AB, A, B, C, M, N, answered, asked_by_a, bare_world, counted, of, tried
from tests.prover.small_worlds import AT_MS

MN: Final = ("m", of("m"))
"""What M asks for and N agrees to, or the other way round."""

STAFF: Final = {"appoint": AB, "admit": AB, "enrol-key": AB}
APP: Final = Principal(9, "app")
FEED: Final = Principal(9, "trust", feeds=True)
BUILT: Final = {"builds": ("approved",)}


def read_by_c(*needs: str) -> dict[str, Any]:
    """Give a flow that is for those with C's duty."""
    return {"duties": ("c",), "needs": needs}


def by_board(**more: Any) -> dict[str, Any]:
    """Give a world in which a grant takes somebody of the board, of whom there is nobody: they must be made up."""
    operations = {**STAFF, "grant": ("a", of("m")), **more.pop("operations", {})}
    return {"absent": (M, N), "operations": operations, "separations": (("a", "b", "c"),), **more}


ISSUED: Final = {"issue-tokens": "parent"}
ACCESS, LEGAL, URGENT = read_by_c("access"), read_by_c("legal-demand"), read_by_c("break-glass")

WORLDS: dict[str, tuple[str, int, dict[str, Any]]] = {
    # how a coalition grows
    "told by hand": ("give-grant", 2, by_board(powers={"feed-people": of("a")})),
    "told by a service that is registered": ("give-grant", 2, by_board(operations={"register-service": AB})),
    "told with tokens of a feed": ("give-grant", 2, by_board(powers={"issue-tokens": of("a")}, services=[FEED])),
    "told with an issuer's of a feed": ("give-grant", 2, by_board(operations={"trust-issuer": AB}, services=[FEED])),
    "told by a gateway": ("give-grant", 2, by_board(powers={"gateway-root": of("a")})),
    "their own charter grants": ("give-grant", 2, {"operations": {"enact-charter": AB}}),
    "their own charter lets the glass be broken": (
        "flow:helping",
        2,
        {"operations": {"enact-charter": AB}, "flow": URGENT},
    ),
    "their own charter lifts": ("lift-suspension", 2, {"operations": {"enact-charter": AB}}),
    # a flow for people: its holder, or a name that is the coalition's
    "holder": ("flow:helping", 1, {"flow": read_by_c()}),
    "holder, granted": ("flow:helping", 3, {"operations": {"grant": AB}, "flow": ACCESS}),
    "holder, by law": ("flow:helping", 3, {"operations": {"legal-demand": AB}, "flow": LEGAL}),
    "holder, breaking the glass": ("flow:helping", 1, {"orders": {"break-glass": ("b", "c")}, "flow": URGENT}),
    "holder with a live grant": ("flow:helping", 1, {"live": "access", "flow": ACCESS}),
    "holder with a live demand": ("flow:helping", 1, {"live": "legal-demand", "flow": LEGAL}),
    "holder who broke the glass": ("flow:helping", 1, {"live": "break-glass", "flow": URGENT}),
    "tokens": ("flow:helping", 0, {"powers": ISSUED, "flow": read_by_c()}),
    "tokens, live grant": ("flow:helping", 0, {"powers": ISSUED, "live": "access", "flow": ACCESS}),
    "tokens, granted": ("flow:helping", 2, {"operations": {"grant": AB}, "powers": ISSUED, "flow": ACCESS}),
    "tokens, by law": ("flow:helping", 2, {"operations": {"legal-demand": AB}, "powers": ISSUED, "flow": LEGAL}),
    "issuer": ("flow:helping", 2, {"operations": {"grant": AB, "trust-issuer": AB}, "flow": ACCESS}),
    "login of one admitted": ("flow:helping", 2, {"operations": {"grant": AB, "admit": AB}, "flow": ACCESS}),
    "gateway says who called": (
        "flow:helping",
        2,
        {"operations": {"grant": AB}, "powers": {"gateway-root": "parent"}, "flow": ACCESS},
    ),
    "tokens, breaking the glass by a key": (
        "flow:helping",
        0,
        {
            "operations": {"enrol-key": AB},
            "powers": ISSUED,
            "orders": {"break-glass": ("c",)},
            "theirs": (A, B),
            "flow": URGENT,
        },
    ),
    # who is in it from the start, and whom others bring
    "paid by the parent": ("flow:helping", 0, {"facts": {C: {"paid_by": "parent"}}, "flow": read_by_c()}),
    "employed by the parent": (
        "flow:helping",
        0,
        {"facts": {C: {"party": "parent", "paid_by": "trust"}}, "flow": read_by_c()},
    ),
    "paid by whom nobody names": ("flow:helping", 0, {"facts": {C: {"paid_by": "aunt"}}, "flow": read_by_c()}),
    "managed by whom nobody knows": ("flow:helping", 0, {"facts": {C: {"manager": 99}}, "flow": read_by_c()}),
    "managed by a chain": (
        "flow:helping",
        0,
        {"facts": {A: {"paid_by": "parent"}, B: {"manager": A}, C: {"directed_by": (B,)}}, "flow": read_by_c()},
    ),
    "brought by a chain": (
        "change-rules",
        1,
        {"operations": {"enact-charter": ("a", of("c"))}, "facts": {B: {"directed_by": (A,)}, C: {"manager": B}}},
    ),
    "brought by M, who returns to another duty": (
        "corrupt-build",
        2,
        {
            "operations": {"admit": MN, "appoint": MN},
            "powers": {"deploy": of("c")},
            "facts": {A: {"manager": M}},
            "lost": (A,),
            "without": (B, C),
        },
    ),
    "brought by B, who returns to a duty of another party": (
        "corrupt-build",
        2,
        {
            "operations": {"admit": ("b", of("c")), "appoint": ("b", of("c"))},
            "powers": {"deploy": of("m")},
            "facts": {A: {"manager": B, "party": "board"}},
            "lost": (A,),
            "absent": (M, N),
        },
    ),
    "brought by a chief who is no member": (
        "change-rules",
        1,
        {
            "operations": {"enact-charter": ("a", of("c"))},
            "facts": {A: {"manager": B}, C: {"manager": B}},
            "without": (B,),
        },
    ),
    "brought by A, of a party that has the power": (
        "corrupt-build",
        1,
        {"powers": {"deploy": ("board", of("a"))}, "facts": {M: {"manager": A}}, "without": (M, N)},
    ),
    "paid by the parent, of a party that has the power": (
        "corrupt-build",
        0,
        {"powers": {"deploy": "board"}, "facts": {M: {"paid_by": "parent"}}, "without": (M, N)},
    ),
    "signing as who was never admitted": (
        "change-rules",
        2,
        {
            "operations": {"enact-charter": ("m", of("c")), "enrol-key": MN, "admit": MN, "appoint": MN},
            "without": (C,),
            "absent": (A, B),
        },
    ),
    "who brings somebody of no use is as good as who brings nobody": (
        "change-rules",
        3,
        {
            "operations": {"enact-charter": ("a", of("m", 2))},
            "facts": {C: {"party": "app", "manager": N}},
            "without": (C,),
        },
    ),
    # a flow for services
    "service": ("flow:serving", 2, {"operations": {"register-service": AB}}),
    "service by tokens": ("flow:serving", 1, {"powers": {"issue-tokens": of("a")}, "services": [APP]}),
    "service by an issuer": ("flow:serving", 2, {"operations": {"trust-issuer": AB}, "services": [APP]}),
    "service by a gateway": ("flow:serving", 1, {"powers": {"gateway-root": of("a")}, "services": [APP]}),
    "built service": ("flow:serving", 2, {"operations": {"register-service": AB, "approve-build": AB}, "flow": BUILT}),
    "built service by tokens": (
        "flow:serving",
        2,
        {"operations": {"approve-build": AB}, "powers": ISSUED, "services": [APP], "flow": BUILT},
    ),
    "built service by an issuer": (
        "flow:serving",
        2,
        {"operations": {"trust-issuer": AB, "approve-build": AB}, "services": [APP], "flow": BUILT},
    ),
    "built service by a gateway": (
        "flow:serving",
        1,
        {"powers": {"gateway-root": of("a")}, "services": [APP], "built": True, "flow": BUILT},
    ),
    "build of another's that they attest": (
        "flow:serving",
        2,
        {"operations": {"register-service": AB}, "powers": {"sign-builds": of("a")}, "built": True, "flow": BUILT},
    ),
    # goals
    "grant": ("give-grant", 2, {"operations": {"grant": AB}, "flow": read_by_c("access")}),
    "legal demand": ("give-grant", 2, {"operations": {"legal-demand": AB}, "flow": read_by_c("legal-demand")}),
    "charter": ("change-rules", 2, {"operations": {"enact-charter": AB}}),
    "lift": ("lift-suspension", 2, {"operations": {"lift": AB}}),
    "deploy": ("corrupt-build", 1, {"powers": {"deploy": of("a")}}),
    "gateway runs another": ("corrupt-build", 1, {"powers": {"gateway-root": of("a")}}),
    "deploy is a gateway": ("outside-flows", 1, {"powers": {"deploy": of("a")}}),
    "gateway": ("outside-flows", 1, {"powers": {"gateway-root": of("a")}}),
    "shares and the store": ("outside-flows", 3, {"powers": {"host-root": of("m")}, "threshold": 2}),
    "store": ("destroy-data", 1, {"powers": {"host-root": of("a")}}),
    "gateway destroys": ("destroy-data", 1, {"powers": {"gateway-root": of("a")}}),
    "shares lost": ("destroy-data", 2, {"threshold": 2}),
    # how people are counted
    "one of several ways": ("give-grant", 2, {"operations": {"grant": ("a", (*of("a", 60), *of("b")))}}),
    "one of several ways to a power": ("corrupt-build", 1, {"powers": {"deploy": (*of("a", 60), *of("b"))}}),
    "one of several duties": ("flow:helping", 1, {"flow": {"duties": ("a", "c"), "needs": ()}, "without": (A,)}),
    "signing in others' names": (
        "change-rules",
        2,
        {"operations": {"enact-charter": ("a", ((*of("b")[0], *of("c")[0]),)), "enrol-key": MN}},
    ),
    "who can be appointed": (
        "change-rules",
        4,
        {"operations": {"enact-charter": ("b", of("a")), "appoint": MN}, "without": (A,)},
    ),
    "who moved and was not admitted anew can be appointed": (
        "change-rules",
        4,
        {
            "operations": {"enact-charter": ("b", of("a")), "appoint": MN},
            "facts": {C: {"party": "app"}},
            "without": (A,),
        },
    ),
    "who can return": ("change-rules", 4, {"operations": {"enact-charter": ("b", of("a")), "admit": MN}, "lost": (A,)}),
    "who can be admitted": (
        "corrupt-build",
        3,
        {"operations": {"admit": MN, "appoint": MN}, "powers": {"deploy": of("a")}, "without": (A, B, C)},
    ),
}
"""By what can be done: the goal, how few must join, and the world."""

BY_NEED: Final = {
    "granted": (ACCESS, {"grant": MN}, {}),
    "by law": (LEGAL, {"legal-demand": MN}, {}),
    "no grant": (read_by_c(), {}, {}),
    "breaking the glass": (URGENT, {"enrol-key": MN}, {"break-glass": ("c",)}),
}
WORLDS |= {
    f"tokens of whom they {way}, {need}": (
        "flow:helping",
        2,
        {"operations": {way: MN, **more}, "powers": ISSUED, "orders": orders, "flow": flow, **whom},
    )
    for need, (flow, more, orders) in BY_NEED.items()
    for way, whom in {"appoint": {"without": (C,)}, "admit": {"lost": (C,)}}.items()
}


@pytest.mark.parametrize("name", WORLDS)
def test_no_more_must_join_than_are_enough(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(brute_force, "STATES_MAX", 400)
    goal, people, told = WORLDS[name]
    world = bare_world(**told)
    assert (counted(world, goal), tried(world, goal)) == (people, people)


ERASE: Final = {"verbs": ("read", "erase")}
RUNS: Final[dict[str, tuple[str, int, dict[str, Any]]]] = {
    "order to suspend": ("stop-erasure", 1, {"orders": {"suspend": ("a",)}, "services": [APP]}),
    "agreed to suspend": ("stop-erasure", 2, {"operations": {"suspend": AB}}),
    "the store": ("stop-erasure", 1, {"powers": {"host-root": of("a")}}),
    "a gateway": ("stop-erasure", 1, {"powers": {"gateway-root": of("a")}}),
    "shares refused": ("stop-erasure", 2, {"threshold": 2}),
    "their own charter stops": ("stop-erasure", 2, {"operations": {"enact-charter": AB}}),
    "a gateway, where no person erases": ("stop-erasure", 1, {"powers": {"gateway-root": of("a")}, "flow": {}}),
    "their own charter erases": (
        "destroy-data",
        2,
        {
            "operations": {"enact-charter": AB},
            "powers": dict.fromkeys(("host-root", "gateway-root", "deploy"), ("board", of("a", 60))),
            "flow": {},
        },
    ),
    "a flow that erases": ("destroy-data", 1, {"flow": {**ERASE, **read_by_c()}}),
    "a flow that is the parent's": ("flow:serving", 0, {"flow": {"who": ("parent",)}}),
    "the store and the log": ("rewrite-ledger", 3, {"powers": {"host-root": of("a"), "sign-log": of("b")}}),
    "a gateway and the log": ("rewrite-ledger", 3, {"powers": {"gateway-root": of("a"), "sign-log": of("b")}}),
}
"""The same of goals that only a run tries out."""


@pytest.mark.parametrize("name", RUNS)
def test_no_more_must_join_than_a_run_needs(name: str) -> None:
    goal, people, told = RUNS[name]
    assert answered(bare_world(**{"flow": ERASE, **told}), goal) == (people, people)


def erases(state: State) -> bool:
    """Tell whether C erases: by a login that is taken, through a lane that is open, with the grant that C has."""
    asked = Asked(C, "US", "support", "erase", "person", "single", 1, 1, b"")
    ruling = rule_access(state, asked, ("protected",), at_ms=AT_MS)
    is_known = is_trusted(state, ISSUER, bytes(32)) and state.identities.get((ISSUER, "p3")) == C
    return bool(ruling.permitted) and is_known and 1 not in state.governed.recoveries


ADMIT_C: Final = c.Admit(person=C, party="trust", identity=bytes(32))
NARROWED: Final = c.NarrowGrant(grant=1, datasets=("person",), classes=("public",), records_max=1, lasts_ms=1000)


@pytest.mark.parametrize(
    "change",
    [
        c.TrustIssuer(name=ISSUER, keys=bytes([1]) * 32),
        ADMIT_C,
        c.RecoverLane(lane=1, n=0, reason="lost"),
        c.RevokeGrant(grant=1),
        NARROWED,
        c.Dismiss(person=C),
        c.EndAppointment(person=C, duty="c"),
        c.WithdrawIssuer(name=ISSUER),
    ],
)
def test_whatever_takes_from_the_last_who_erases_stops_erasing(change: c.AnyChange) -> None:
    """Two carry it, or one orders it, and C, who need not join, erases nothing any more."""
    name = c.operation_of(change)
    is_order = name in ORDERS
    opened: dict[str, Any] = {"orders": {name: ("a",)}} if is_order else {"operations": {name: AB}}
    world = bare_world(**opened, live="access", flow={**ERASE, **ACCESS})
    keys = {A: A, B: B}
    place = brute_force.Place(world, keys, frozenset(keys))
    after = (brute_force.order_for if is_order else brute_force.carry_for)(place, change)
    assert after is not None
    assert (erases(world), erases(after)) == (True, False)
    assert counted(world, "stop-erasure") == (1 if is_order else 2)


def test_somebody_of_any_overseer_puts_the_checkpoints_away() -> None:
    """M signs the log, and is of the second overseer."""
    state = bare_world(powers={"host-root": of("a"), "sign-log": of("m")})
    assert answered(state, "rewrite-ledger") == (2, 2)
    assert counted(with_roles(state, app="overseer"), "rewrite-ledger") == 2


def test_where_there_is_no_overseer_nobody_notices() -> None:
    state = bare_world(powers={"host-root": of("a"), "sign-log": of("b")})
    assert counted(state, "rewrite-ledger") == 3
    assert counted(with_roles(state, board="host"), "rewrite-ledger") == 2


def with_roles(state: State, **roles: str) -> State:
    """Give a state by whose charter some parties have other roles."""
    parties = dict(state.rules.parties)
    parties |= {name: replace(parties[name], role=role) for name, role in roles.items()}
    return replace(state, charter=replace(state.rules, parties=parties, memo={}))


def test_a_grant_that_somebody_outside_asked_for_takes_only_who_agrees() -> None:
    """A asks for it, who need not join; C gains by it, and is the parent's."""
    state = bare_world({"grant": AB}, theirs=(C,), flow=ACCESS)
    assert (counted(state, "give-grant"), tried(state, "give-grant")) == (2, 2)
    flow = next(flow for flow in state.rules.flows if flow.duties)
    asked = asked_by_a(state, brute_force.grant_for(state, flow, c.ACCESS, C))
    assert (counted(asked, "give-grant"), tried(asked, "give-grant")) == (1, 1)


@pytest.mark.parametrize("change", [c.Suspend(scope=c.EVERYTHING), c.RecoverLane(lane=1, n=0, reason="lost")])
def test_what_stops_erasing_and_somebody_outside_asked_for_takes_only_who_agrees(change: c.AnyChange) -> None:
    state = bare_world({c.operation_of(change): AB})
    asked = asked_by_a(state, change)
    assert (counted(state, "stop-erasure"), counted(asked, "stop-erasure")) == (2, 1)
    agreed = Approved(proposal=1, by=B, key=B, signature=bytes(32))
    approved = replace(approve(asked, agreed, None, at_ms=AT_MS, place="bare"), epoch=asked.epoch + 1)
    carry(approved, Carried(proposal=1, number=next_number(approved, change)), at_ms=AT_MS, place="bare")


def test_whom_the_parent_pays_tomorrow_can_be_given_a_duty_that_no_rule_keeps_from_them() -> None:
    """A and B admit and appoint them, once the register tells of them; where a rule keeps them out, a third joins."""
    opened: dict[str, Any] = {"operations": {"admit": AB, "appoint": AB}, "powers": {"deploy": of("m")}}
    told = bare_world(**opened, theirs=(M,), without=(M,), absent=(N,))
    assert (counted(told, "corrupt-build"), tried(told, "corrupt-build")) == (2, 2)
    assert counted(bare_world(**opened, theirs=(C,), absent=(M, N)), "corrupt-build") == 2
    assert counted(bare_world(**opened, absent=(M, N)), "corrupt-build") == 3


def test_who_is_in_no_register_yet_signs_beside_all_in_whose_names_others_sign() -> None:
    """M and N enrol keys, admit and appoint: all three of the custodian, and the fourth who joins."""
    opened = {"enact-charter": ("m", of("c", 4)), "enrol-key": MN, "admit": MN, "appoint": MN}
    assert counted(bare_world(opened), "change-rules") == 3


def test_a_member_whom_the_register_does_not_know_is_the_coalitions() -> None:
    known, unknown = bare_world(flow=read_by_c()), bare_world(flow=read_by_c(), absent=(C,))
    register = unknown.governed.register
    assert counted(known, "flow:helping") == 1
    assert counted(replace(known, standing=replace(known.governed, register=register)), "flow:helping") == 0


@pytest.mark.parametrize("lengthens", [True, False])
def test_a_tie_that_ended_counts_by_the_longer_of_two_cooling_times(lengthens: bool) -> None:
    """C was the parent's until an hour ago; the charter before, or the one after it, still counts that."""
    state = bare_world(flow=read_by_c(), facts={C: {"paid_by": "parent"}})
    assert state.governed.register is not None
    register = record(
        state.governed.register, [PersonFacts(number=C, reference="p3", name="p3", party="trust")], at_ms=AT_MS - 1
    )
    state = replace(state, standing=replace(state.governed, register=register))
    long = replace(state.rules, governance=replace(state.governance, cooling_ms=1000), memo={})
    now, before = (long, state.rules) if lengthens else (state.rules, long)
    assert C not in see_world(state, at_ms=AT_MS).base_people
    assert C in see_world(replace(state, charter=now), at_ms=AT_MS, before=before).base_people


def test_a_duty_of_a_party_that_colludes_is_given_to_as_many_of_it_as_are_asked_for() -> None:
    """A and B admit and appoint people of the board, which is excluded by now and of which nobody is known yet."""
    opened: dict[str, Any] = {"operations": {"admit": AB, "appoint": AB}, "powers": {"deploy": of("m", 3)}}
    state = bare_world(**opened, absent=(M, N))
    assert counted(state, "corrupt-build") is None
    assert counted(with_roles(state, board="excluded"), "corrupt-build") == 2


@pytest.mark.parametrize(
    ("told", "parties", "people"),
    [
        ({}, (), 3),
        ({"through": ("employer", "manager", "direction")}, (), 2),
        ({"duties": ("a", "b", "c")}, (), 2),
        ({"roles": ("operator",)}, (), 2),
        ({}, ("parent", "app"), 2),
        ({"roles": ("excluded", "operator")}, ("parent", "app"), 3),
    ],
)
def test_a_rule_keeps_all_of_the_coalitions_own_from_a_duty_or_none_counts(
    told: dict[str, Any], parties: tuple[str, ...], people: int
) -> None:
    """A and B admit and appoint to what takes somebody of the board; where a rule leaves a gap, nobody else joins."""

    def world(**more: Any) -> State:
        opened: dict[str, Any] = {"operations": {"admit": AB, "appoint": AB}, "powers": {"deploy": of("m")}}
        state = bare_world(**opened, **more)
        rules = tuple(replace(rule, **told) for rule in state.governance.independence)
        charter = replace(state.rules, governance=replace(state.governance, independence=rules), memo={})
        return replace(state, charter=charter)

    assert counted(world(absent=(M, N)), "corrupt-build", *parties) == people
    if not parties:
        known = world(facts={M: {"paid_by": "parent"}}, without=(M,), absent=(N,))
        assert tried(known, "corrupt-build") == (2 if people == 2 else None)


def test_people_whom_no_register_knows_join_as_many_as_are_asked_for() -> None:
    """A and B are the parent's, and admit and appoint three of the board; or one of it, whoever that is, is enough."""
    opened: dict[str, Any] = {"operations": {"admit": AB, "appoint": AB}, "powers": {"deploy": of("m", 3)}}
    theirs = {A: {"paid_by": "parent"}, B: {"paid_by": "parent"}}
    assert counted(bare_world(**opened, facts=theirs, absent=(M, N)), "corrupt-build") == 3
    assert counted(bare_world(powers={"deploy": "board"}, absent=(M, N)), "corrupt-build") == 1
