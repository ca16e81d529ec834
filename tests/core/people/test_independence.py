"""Independence: what keeps a person from a duty, with the chain spelled out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ringfence.core.charter.governance import RELATIONS, IndependenceRule
from ringfence.core.people import independence
from ringfence.core.people.independence import Conflict, approver_conflicts, describe_tie, find_conflicts
from ringfence.core.people.register import MANAGER, PAY, TEAM, PersonFacts, Register, Tie, record
from ringfence.core.times import DAY_MS
from tests.core.people.small_register import (
    AT_HOME,
    COOLING_MS,
    NOW_MS,
    UNDIRECTED,
    person,
    register_of,
    ruled_charter,
)
from tests.core.small_charter import small_charter


def conflicts_of(
    register: Register, *rules: IndependenceRule, number: int = 7, duty: str = "officer", at_ms: int = NOW_MS
) -> list[Conflict]:
    return list(find_conflicts(register, ruled_charter(*rules), number, duties=[duty], at_ms=at_ms))


def words_of(register: Register, *rules: IndependenceRule, at_ms: int = NOW_MS) -> list[str]:
    return [conflict.words for conflict in conflicts_of(register, *rules, at_ms=at_ms)]


# ---- chains to a party ------------------------------------------------------------------------------------------


def test_person_whom_no_party_of_the_rule_reaches_has_no_conflict() -> None:
    register = register_of(
        person(7, manager=4, directed_by=(3,)),
        person(4, party="hoster"),
        person(3, party="watch", manager=4),
    )

    assert conflicts_of(register, UNDIRECTED, AT_HOME) == []


@pytest.mark.parametrize(
    ("people", "chain", "words"),
    [
        ([person(7, party="parent")], (7,), "7 is employed by parent"),
        ([person(7, party="app")], (7,), "7 is employed by app"),
        ([person(7, paid_by="parent")], (7,), "7 is paid by parent"),
        (
            [person(7, manager=4), person(4, party="parent")],
            (7, 4),
            "7 is managed by 4, who is employed by parent",
        ),
        (
            [person(7, directed_by=(4,)), person(4, paid_by="parent")],
            (7, 4),
            "7 is directed by 4, who is paid by parent",
        ),
        (
            [person(7, manager=4), person(4, directed_by=(2,)), person(2, party="parent")],
            (7, 4, 2),
            "7 is managed by 4, who is directed by 2, who is employed by parent",
        ),
        (
            [person(7, directed_by=(3, 4)), person(3), person(4, manager=1), person(1, party="parent")],
            (7, 4, 1),
            "7 is directed by 4, who is managed by 1, who is employed by parent",
        ),
    ],
)
def test_chain_to_the_parent_is_spelled_out(people: list[PersonFacts], chain: tuple[int, ...], words: str) -> None:
    assert conflicts_of(register_of(*people), UNDIRECTED) == [Conflict(UNDIRECTED.name, chain, words)]


def test_shortest_chain_is_told() -> None:
    register = register_of(
        person(7, manager=5, directed_by=(2,)),
        person(5, manager=4),
        person(4, party="parent"),
        person(2, party="app"),
    )

    assert words_of(register, UNDIRECTED) == ["7 is directed by 2, who is employed by app"]


def test_people_who_manage_each_other_end_the_search() -> None:
    register = register_of(person(7, manager=4), person(4, manager=5), person(5, manager=7, directed_by=(5,)))

    assert conflicts_of(register, UNDIRECTED) == []


def test_parent_behind_a_cycle_is_found() -> None:
    register = register_of(
        person(7, manager=4), person(4, manager=5), person(5, manager=7, directed_by=(2,)), person(2, party="parent")
    )

    assert words_of(register, UNDIRECTED) == [
        "7 is managed by 4, who is managed by 5, who is directed by 2, who is employed by parent"
    ]


@pytest.mark.parametrize(
    ("through", "found"),
    [
        (("employer",), False),
        (("pay",), False),
        (("manager",), True),
        (("direction",), False),
        (("direction", "manager"), True),
    ],
)
def test_only_the_ways_of_the_rule_are_gone(through: tuple[str, ...], found: bool) -> None:
    register = register_of(person(7, manager=4), person(4, paid_by="parent"))

    assert bool(conflicts_of(register, replace(UNDIRECTED, through=through))) is found


@pytest.mark.parametrize(("through", "found"), [(("employer",), True), (("pay",), False), (("manager",), False)])
def test_own_employer_counts_when_the_rule_names_it(through: tuple[str, ...], found: bool) -> None:
    register = register_of(person(7, party="parent", paid_by="keeper"))

    assert bool(conflicts_of(register, replace(UNDIRECTED, through=through))) is found


def test_roles_without_ways_and_ways_without_roles_ask_nothing() -> None:
    register = register_of(person(7, party="parent"))

    assert conflicts_of(register, replace(UNDIRECTED, roles=()), replace(UNDIRECTED, through=())) == []
    assert conflicts_of(register, UNDIRECTED) != []


# ---- ties that ended ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ({"manager": 2}, {"manager": 4}, "7 was managed until 2025-06-15 by 2, who is employed by parent"),
        (
            {"directed_by": (2, 4)},
            {"directed_by": (4,)},
            "7 was directed until 2025-06-15 by 2, who is employed by parent",
        ),
        ({"party": "parent"}, {}, "7 was employed until 2025-06-15 by parent"),
        ({"paid_by": "parent"}, {}, "7 was paid until 2025-06-15 by parent"),
    ],
)
def test_tie_that_ended_counts_until_the_cooling_time_is_over(
    before: dict[str, Any], after: dict[str, Any], words: str
) -> None:
    others = [person(2, party="parent"), person(4)]
    register = record(register_of(person(7, **before), *others), [person(7, **after)], at_ms=NOW_MS)

    assert words_of(register, UNDIRECTED, at_ms=NOW_MS) == [words]
    assert words_of(register, UNDIRECTED, at_ms=NOW_MS + COOLING_MS - 1) == [words]
    assert words_of(register, UNDIRECTED, at_ms=NOW_MS + COOLING_MS) == []


def test_cooling_time_is_the_charters() -> None:
    register = record(register_of(person(7, party="parent")), [person(7)], at_ms=NOW_MS)
    charter = ruled_charter(UNDIRECTED, cooling_ms=DAY_MS)

    def found(at_ms: int) -> bool:
        return bool(find_conflicts(register, charter, 7, duties=["officer"], at_ms=at_ms))

    assert found(NOW_MS + DAY_MS - 1)
    assert not found(NOW_MS + DAY_MS)
    assert not find_conflicts(register, ruled_charter(UNDIRECTED, cooling_ms=0), 7, duties=["officer"], at_ms=NOW_MS)


def test_manager_who_was_of_the_parent_counts_for_those_below() -> None:
    register = register_of(person(7, manager=4), person(4, party="parent"))
    register = record(register, [person(4)], at_ms=NOW_MS)

    assert words_of(register, UNDIRECTED) == ["7 is managed by 4, who was employed until 2025-06-15 by parent"]
    assert words_of(register, UNDIRECTED, at_ms=NOW_MS + COOLING_MS) == []


def test_manager_who_has_left_still_counts() -> None:
    register = register_of(person(7, manager=4), person(4, party="parent", ends_ms=NOW_MS - DAY_MS))

    assert words_of(register, UNDIRECTED) == ["7 is managed by 4, who is employed by parent"]


# ---- what is not known -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("people", "words"),
    [
        ([person(7, party="")], "7 is employed by a party that is not known"),
        ([person(7, party="acme")], "7 is employed by acme, a party that the charter does not name"),
        ([person(7, paid_by="acme")], "7 is paid by acme, a party that the charter does not name"),
        ([person(7, manager=4)], "7 is managed by 4, who is not in the register"),
        ([person(7, directed_by=(4,))], "7 is directed by 4, who is not in the register"),
        (
            [person(7, manager=4), person(4, party="")],
            "7 is managed by 4, who is employed by a party that is not known",
        ),
    ],
)
def test_what_nobody_knows_counts_against_the_person(people: list[PersonFacts], words: str) -> None:
    assert words_of(register_of(*people), UNDIRECTED) == [words]


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"residence": "SE"}, "7 lives in SE"),
        ({"residence": ""}, "7 lives in a country that is not known"),
        ({"works_in": "DK"}, "7 works in DK"),
        ({"works_in": ""}, "7 works in a country that is not known"),
        ({"devices_of": "app"}, "7 works on devices of app"),
        ({"devices_of": ""}, "7 works on devices of a party that is not known"),
    ],
)
def test_fact_about_place_and_devices_must_be_one_of_the_rules(facts: dict[str, str], words: str) -> None:
    assert conflicts_of(register_of(person(7, **facts)), AT_HOME) == [Conflict(AT_HOME.name, (7,), words)]


def test_rule_that_does_not_ask_for_a_fact_does_not_miss_it() -> None:
    register = register_of(person(7, residence="", works_in="", devices_of="", team=""))

    assert conflicts_of(register, UNDIRECTED) == []


def test_every_fault_is_told_in_the_order_of_the_rules() -> None:
    register = register_of(person(7, party="parent", residence="SE", works_in="DK", devices_of=""))

    assert words_of(register, AT_HOME, UNDIRECTED) == [
        "7 lives in SE",
        "7 works in DK",
        "7 works on devices of a party that is not known",
        "7 is employed by parent",
    ]


def test_person_outside_of_the_register_has_every_conflict() -> None:
    words = "9 is not in the register"

    found = conflicts_of(register_of(person(7)), UNDIRECTED, AT_HOME, number=9)

    assert found == [Conflict(UNDIRECTED.name, (9,), words), Conflict(AT_HOME.name, (9,), words)]


def test_person_who_left_or_has_not_started_has_every_conflict() -> None:
    register = register_of(person(7, starts_ms=NOW_MS, ends_ms=NOW_MS + DAY_MS))

    assert words_of(register, UNDIRECTED, AT_HOME, at_ms=NOW_MS - 1) == ["7 does not start before 2025-06-15"] * 2
    assert words_of(register, UNDIRECTED, AT_HOME, at_ms=NOW_MS) == []
    assert words_of(register, UNDIRECTED, AT_HOME, at_ms=NOW_MS + DAY_MS) == ["7 left on 2025-06-16"] * 2


def test_time_that_no_calendar_has_is_told_all_the_same() -> None:
    register = register_of(person(7, starts_ms=10**18))

    assert words_of(register, AT_HOME) == ["7 does not start before 1000000000000000000 ms since 1970"]


def test_more_people_above_than_are_looked_at_count_against_the_person(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(independence, "PEOPLE_ABOVE_MAX", 3)
    register = register_of(person(1), *(person(number, manager=number - 1) for number in range(2, 8)))

    assert conflicts_of(register, UNDIRECTED, number=4) == []
    assert words_of(register, UNDIRECTED) == ["7 has more than 3 people above, and no more are looked at"]


# ---- which rules are asked ---------------------------------------------------------------------------------------


def test_rule_is_asked_only_for_the_duties_that_it_names() -> None:
    register = register_of(person(7, residence="SE"))
    charter = ruled_charter(AT_HOME)

    def found(*duties: str) -> bool:
        return bool(find_conflicts(register, charter, 7, duties=duties, at_ms=NOW_MS))

    assert found("officer")
    assert found("engineer", "officer")
    assert not found("engineer")
    assert not found()


def test_charter_without_governance_has_no_rules() -> None:
    register = register_of(person(7, party="parent"))

    assert find_conflicts(register, small_charter(), 7, duties=["officer"], at_ms=NOW_MS) == ()
    assert find_conflicts(register, ruled_charter(UNDIRECTED), 7, duties=["officer"], at_ms=NOW_MS) != ()


@pytest.mark.parametrize(
    ("tie", "words"),
    [
        (Tie(MANAGER, person=4), "is managed by"),
        (Tie(PAY, name="app", ended_ms=NOW_MS), "was paid until 2025-06-15 by"),
        (Tie(TEAM, name="blue"), "is in the team"),
        (Tie(TEAM, name="blue", ended_ms=NOW_MS), "was until 2025-06-15 in the team"),
    ],
)
def test_tie_is_told_in_words(tie: Tie, words: str) -> None:
    assert describe_tie(tie) == words


# ---- who may not approve -----------------------------------------------------------------------------------------


def approver_of(
    register: Register, *never: str, approver: int = 7, requester: int = 5, beneficiary: int = 0, at_ms: int = NOW_MS
) -> tuple[str, ...]:
    return approver_conflicts(
        register,
        approver=approver,
        requester=requester,
        beneficiary=beneficiary,
        never=never,
        at_ms=at_ms,
        cooling_ms=COOLING_MS,
    )


def test_relations_are_those_that_a_charter_can_name() -> None:
    names = [
        independence.SAME_TEAM,
        independence.SAME_MANAGER,
        independence.DIRECTED_BY_REQUESTER,
        independence.APPOINTED_BY_REQUESTER,
    ]

    assert names == list(RELATIONS)


def test_person_with_nothing_in_common_may_approve() -> None:
    register = register_of(person(7, manager=4), person(5, manager=3), person(4), person(3), person(6, manager=3))

    assert approver_of(register, *RELATIONS) == ()
    assert approver_of(register, *RELATIONS, beneficiary=6) == ()


def test_nobody_approves_for_themselves_whatever_the_charter_says() -> None:
    register = register_of(person(7), person(5))

    assert approver_of(register, requester=7) == ("self",)
    assert approver_of(register, beneficiary=7) == ("self",)
    assert approver_of(register) == ()


@pytest.mark.parametrize("asker", ["requester", "beneficiary"])
@pytest.mark.parametrize(
    ("name", "approver", "other"),
    [
        ("same-team", {"team": "blue"}, {"team": "blue"}),
        ("same-team", {"team": "Blue"}, {"team": "bLUE"}),
        ("same-team", {"team": ""}, {}),
        ("same-team", {}, {"team": ""}),
        ("same-manager", {"manager": 4}, {"manager": 4}),
        ("directed-by-requester", {"manager": 6}, {}),
        ("directed-by-requester", {"directed_by": (6,)}, {}),
        ("directed-by-requester", {"manager": 3}, {}),
        ("directed-by-requester", {"manager": 99}, {}),
    ],
)
def test_relation_keeps_from_approving_when_the_charter_names_it(
    asker: str, name: str, approver: dict[str, Any], other: dict[str, Any]
) -> None:
    register = register_of(
        person(7, **approver),
        person(6, **other),
        person(5),
        person(4),
        person(3, directed_by=(2,)),
        person(2, manager=6),
    )

    assert approver_of(register, name, **{asker: 6}) == (name,)
    assert approver_of(register, *(set(RELATIONS) - {name}), **{asker: 6}) == ()


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("same-team", {"team": "team 5"}, {"team": "blue"}),
        ("same-manager", {"manager": 4}, {"manager": 3}),
        ("directed-by-requester", {"manager": 5}, {"manager": 4}),
    ],
)
def test_relation_that_ended_counts_until_the_cooling_time_is_over(
    name: str, before: dict[str, Any], after: dict[str, Any]
) -> None:
    register = register_of(person(7, **before), person(5, manager=4), person(4), person(3))
    register = record(register, [person(7, **after)], at_ms=NOW_MS)

    assert approver_of(register, name, at_ms=NOW_MS + COOLING_MS - 1) == (name,)
    assert approver_of(register, name, at_ms=NOW_MS + COOLING_MS) == ()


def test_two_people_without_a_manager_do_not_have_the_same() -> None:
    assert approver_of(register_of(person(7), person(5)), "same-manager") == ()


def test_requester_who_manages_nobody_above_in_a_cycle_does_not_direct() -> None:
    register = register_of(person(7, manager=4), person(4, manager=7), person(5))

    assert approver_of(register, "directed-by-requester") == ()


def test_more_people_above_an_approver_than_are_looked_at_keep_from_approving(monkeypatch: pytest.MonkeyPatch) -> None:
    register = register_of(*(person(number, manager=number - 1) for number in range(2, 8)), person(1), person(9))

    assert approver_of(register, "directed-by-requester", requester=9) == ()
    monkeypatch.setattr(independence, "PEOPLE_ABOVE_MAX", 3)
    assert approver_of(register, "directed-by-requester", requester=9) == ("directed-by-requester",)


def test_relation_that_is_not_known_here_keeps_from_approving() -> None:
    assert approver_of(register_of(person(7), person(5)), "plays-chess-with") == ("plays-chess-with",)


@pytest.mark.parametrize("who", ["approver", "requester", "beneficiary"])
def test_person_outside_of_the_register_keeps_from_approving(who: str) -> None:
    register = register_of(person(7), person(5))

    found = approver_of(register, "same-team", "appointed-by-requester", **{who: 99})

    assert found == ("not-in-register", "same-team")


def test_leaver_does_not_approve() -> None:
    register = register_of(person(7, ends_ms=NOW_MS), person(5))

    assert approver_of(register, "same-team", at_ms=NOW_MS - 1) == ()
    assert approver_of(register, "same-team", at_ms=NOW_MS) == ("not-in-register", "same-team")
