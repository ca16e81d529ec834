"""The register of people: what it records, what it keeps of ties that ended, what it refuses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence.core.errors import ProofInvalidError
from ringfence.core.people import register as p
from tests.core.people.small_register import NOW_MS, person, register_of

LATER_MS = NOW_MS + 1000


def former_of(register: p.Register, number: int) -> set[p.Tie]:
    return set(register.former.get(number, ()))


def test_facts_are_found_by_number_and_by_reference() -> None:
    register = register_of(person(7), person(8))

    assert register.people[7] == person(7)
    assert register.numbers["E8"] == 8


def test_new_facts_replace_the_old_ones_and_leave_the_earlier_register_alone() -> None:
    before = register_of(person(7), person(8))

    after = p.record(before, [person(7, name="Married", residence="SE")], at_ms=NOW_MS)

    assert after.people[7] == person(7, name="Married", residence="SE")
    assert after.people[8] == person(8)
    assert before.people[7] == person(7)


@pytest.mark.parametrize(
    ("old", "new", "ended"),
    [
        ({"manager": 4}, {"manager": 5}, {p.Tie(p.MANAGER, person=4)}),
        ({"manager": 4}, {}, {p.Tie(p.MANAGER, person=4)}),
        ({"directed_by": (2, 3)}, {"directed_by": (3,)}, {p.Tie(p.DIRECTION, person=2)}),
        ({"team": "blue"}, {"team": "red"}, {p.Tie(p.TEAM, name="blue")}),
        ({"team": "blue"}, {"team": ""}, {p.Tie(p.TEAM, name="blue")}),
        (
            {"party": "parent"},
            {"party": "keeper"},
            {p.Tie(p.EMPLOYER, name="parent"), p.Tie(p.PAY, name="parent")},
        ),
        ({"party": "parent"}, {"party": "keeper", "paid_by": "parent"}, {p.Tie(p.EMPLOYER, name="parent")}),
        ({"paid_by": "parent"}, {}, {p.Tie(p.PAY, name="parent")}),
        ({"paid_by": "keeper"}, {}, set()),
        ({"residence": "SE", "name": "Ada", "devices_of": "app"}, {}, set()),
    ],
)
def test_tie_that_is_not_told_any_more_is_kept_with_the_time_it_ended(
    old: dict[str, object], new: dict[str, object], ended: set[p.Tie]
) -> None:
    before = register_of(person(7, **{"team": "", **old}))

    after = p.record(before, [person(7, **{"team": "", **new})], at_ms=NOW_MS)

    assert former_of(after, 7) == {tie._replace(ended_ms=NOW_MS) for tie in ended}


def test_tie_that_holds_again_is_no_former_one_until_it_ends_again() -> None:
    first = register_of(person(7, manager=4))
    away = p.record(first, [person(7, manager=5)], at_ms=NOW_MS)
    back = p.record(away, [person(7, manager=4)], at_ms=NOW_MS + 1)
    away_again = p.record(back, [person(7, manager=5)], at_ms=NOW_MS + 2)

    assert former_of(away, 7) == {p.Tie(p.MANAGER, person=4, ended_ms=NOW_MS)}
    assert former_of(back, 7) == {p.Tie(p.MANAGER, person=5, ended_ms=NOW_MS + 1)}
    assert former_of(away_again, 7) == {p.Tie(p.MANAGER, person=4, ended_ms=NOW_MS + 2)}


def test_facts_that_end_nothing_keep_what_ended_before() -> None:
    register = p.record(register_of(person(7, manager=4)), [person(7)], at_ms=NOW_MS)

    again = p.record(register, [person(7, residence="SE")], at_ms=LATER_MS)

    assert former_of(again, 7) == {p.Tie(p.MANAGER, person=4, ended_ms=NOW_MS)}


@pytest.mark.parametrize("at_ms", [0, NOW_MS - 1, NOW_MS, NOW_MS + 1, LATER_MS - 1, LATER_MS, LATER_MS + 1, -5])
def test_times_that_are_alike_give_the_same_ties_and_the_next_one_others(at_ms: int) -> None:
    register = p.record(register_of(person(7, manager=4), person(8, manager=4)), [person(7, manager=5)], at_ms=NOW_MS)
    register = p.record(register, [person(8, manager=5)], at_ms=LATER_MS)

    def ties(ended_after_ms: int) -> list[list[p.Tie]]:
        return [list(register.ties(number, ended_after_ms=ended_after_ms)) for number in (7, 8)]

    alike = register.alike(ended_after_ms=at_ms)

    assert at_ms in alike
    assert all(ties(other) == ties(at_ms) for other in (alike[0], alike[-1]))
    if alike[-1] < LATER_MS:
        assert ties(alike[-1] + 1) != ties(at_ms)
    if alike[0] >= NOW_MS:
        assert ties(alike[0] - 1) != ties(at_ms)


def test_ties_that_hold_come_first_then_those_that_ended_later_than_asked() -> None:
    register = register_of(person(7, manager=4, team=""))
    register = p.record(register, [person(7, manager=5, team="")], at_ms=NOW_MS)
    register = p.record(register, [person(7, manager=6, team="")], at_ms=LATER_MS)

    def managers(ended_after_ms: int) -> list[int]:
        return [tie.person for tie in register.ties(7, ended_after_ms=ended_after_ms) if tie.kind == p.MANAGER]

    assert managers(NOW_MS - 1) == [6, 4, 5]
    assert managers(NOW_MS) == [6, 5]
    assert managers(LATER_MS) == [6]


def test_leaver_stays_in_the_register_and_is_not_present() -> None:
    register = p.record(register_of(person(7)), [person(7, ends_ms=NOW_MS)], at_ms=NOW_MS)

    assert register.people[7].is_present(NOW_MS - 1)
    assert not register.people[7].is_present(NOW_MS)


def test_person_is_present_from_the_start_on() -> None:
    starting = person(7, starts_ms=NOW_MS)

    assert not starting.is_present(NOW_MS - 1)
    assert starting.is_present(NOW_MS)


@pytest.mark.parametrize(
    "facts",
    [
        [person(7, manager=7)],
        [person(7, manager=8), person(8, manager=7)],
        [person(7, manager=99)],
        [person(7, directed_by=(7, 99))],
        [person(7, party="nobody-knows-it", paid_by="", residence="", works_in="", devices_of="", team="")],
        [person(7, party="")],
        [person(7, starts_ms=LATER_MS, ends_ms=NOW_MS)],
        [person(7, directed_by=tuple(range(1, p.DIRECTED_BY_MAX + 1)))],
        [person(7, name="x" * p.TEXT_CHARACTERS_MAX, reference="x" * p.REFERENCE_CHARACTERS_MAX)],
        [],
    ],
)
def test_facts_that_are_strange_and_may_be_true_are_recorded(facts: list[p.PersonFacts]) -> None:
    register = p.record(p.EMPTY_REGISTER, facts, at_ms=NOW_MS)

    assert sorted(register.people.values(), key=lambda one: one.number) == facts


@pytest.mark.parametrize(
    ("facts", "fault"),
    [
        ([person(0)], "a number is 1 or more"),
        ([person(-1)], "a number is 1 or more"),
        ([person(7, reference="")], "a reference has 1 to 64 characters"),
        ([person(7, reference="x" * (p.REFERENCE_CHARACTERS_MAX + 1))], "a reference has 1 to 64 characters"),
        ([person(7, name="x" * (p.TEXT_CHARACTERS_MAX + 1))], "at most 200 characters"),
        ([person(7, team="x" * (p.TEXT_CHARACTERS_MAX + 1))], "at most 200 characters"),
        ([person(7, manager=-1)], "is not negative"),
        ([person(7, directed_by=(0,))], "in order and once each"),
        ([person(7, directed_by=(3, 2))], "in order and once each"),
        ([person(7, directed_by=(2, 2))], "in order and once each"),
        ([person(7, directed_by=tuple(range(1, p.DIRECTED_BY_MAX + 2)))], "at most 16 people"),
        ([person(7), person(7)], "there twice"),
        ([person(7), person(8, reference="E7")], "is that of another one as well"),
        ([person(9, reference="E1")], "is that of another one as well"),
    ],
)
def test_facts_of_nobody_are_refused(facts: list[p.PersonFacts], fault: str) -> None:
    register = register_of(person(1))

    with pytest.raises(ProofInvalidError, match=fault):
        p.record(register, facts, at_ms=NOW_MS)


def test_too_many_people_at_once_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(p, "PEOPLE_PER_RECORD_MAX", 2)

    assert len(p.record(p.EMPTY_REGISTER, [person(1), person(2)], at_ms=NOW_MS).people) == 2
    with pytest.raises(ProofInvalidError, match="too many people at once"):
        p.record(p.EMPTY_REGISTER, [person(1), person(2), person(3)], at_ms=NOW_MS)


def test_two_people_may_take_each_others_reference() -> None:
    register = register_of(person(7), person(8), person(9))

    swapped = [person(7, reference="E8"), person(8, reference="E7")]
    after = p.record(register, swapped, at_ms=NOW_MS)

    assert dict(after.numbers) == {"E8": 7, "E7": 8, "E9": 9}


def test_reference_that_is_given_up_is_free() -> None:
    register = p.record(register_of(person(7)), [person(7, reference="new")], at_ms=NOW_MS)

    after = p.record(register, [person(8, reference="E7")], at_ms=NOW_MS)

    assert dict(after.numbers) == {"new": 7, "E7": 8}


def test_facts_survive_being_rendered() -> None:
    facts = [person(1), person(2, name="Ærlig Åse", manager=1, directed_by=(1, 3), starts_ms=-5, ends_ms=NOW_MS)]

    assert p.parse_facts(p.render_facts(facts)) == facts


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[{}]",
        b'[{"number":1}]',
        b'[{"number":1,"reference":"a","name":"","party":"x","salary":3}]',
        b'[{"number":"1","reference":"a","name":"","party":"x"}]',
        b'[{"number":1,"reference":"a","name":"","party":"\xff"}]',
        b'[ {"number":1,"reference":"a","name":"","party":"x"}]',
        b'[{"reference":"a","number":1,"name":"","party":"x"}]',
        b'[{"number":1,"reference":"a","name":"","party":"x","manager":0}]',
        b"[" * 100_000,
    ],
)
def test_what_is_no_canonical_list_of_facts_is_refused(data: bytes) -> None:
    with pytest.raises(ProofInvalidError):
        p.parse_facts(data)


def test_shortest_canonical_facts_are_read() -> None:
    facts = p.parse_facts(b'[{"number":1,"reference":"a","name":"","party":"x"}]')

    assert facts == [p.PersonFacts(number=1, reference="a", name="", party="x")]


def test_facts_that_are_too_long_are_refused_before_they_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    data = p.render_facts([person(1)])
    monkeypatch.setattr(p, "FACTS_SIZE_BYTES_MAX", len(data) - 1)

    with pytest.raises(ProofInvalidError, match="too long"):
        p.parse_facts(data)


@given(
    steps=st.lists(
        st.tuples(st.integers(0, 3), st.lists(st.integers(1, 3), unique=True).map(sorted), st.sampled_from("ab")),
        min_size=1,
        max_size=8,
    )
)
def test_what_ended_is_what_was_told_once_and_is_not_told_now(steps: list[tuple[int, list[int], str]]) -> None:
    register = p.EMPTY_REGISTER
    told: dict[p.Tie, int] = {}
    for at_ms, (manager, directed_by, party) in enumerate(steps, start=1):
        facts = person(7, manager=manager, directed_by=tuple(directed_by), party=party)
        register = p.record(register, [facts], at_ms=at_ms)
        told |= dict.fromkeys(p.ties_of(facts), at_ms)

    last = len(steps)
    expected = {tie._replace(ended_ms=told[tie] + 1) for tie in told if told[tie] < last}
    former = register.former.get(7, ())
    assert set(former) == expected
    assert len(former) == len(expected)
    assert [tie.ended_ms for tie in former] == sorted(tie.ended_ms for tie in former)
