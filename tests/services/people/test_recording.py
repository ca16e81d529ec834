"""Recording an HR file: what it takes away, in the entry that is written, on a governed ledger in memory."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable

import pytest

from ringfence.core import changes as c
from ringfence.core.errors import ConflictError, LimitExceededError, NotFoundError, PeopleInvalidError
from ringfence.core.ledger.governed_entry import PeopleRecorded
from ringfence.core.state import EMPTY, State
from ringfence.services.governance.rule_writing import WrittenRule
from ringfence.services.people import recording
from ringfence.services.people.recording import (
    Ending,
    PeopleFile,
    RecordingPlan,
    Suspended,
    plan_recording,
    record_people,
)
from ringfence.services.people.viewing import list_people, show_person
from tests.governed import FOUNDERS, NUMBERS, SALT, Ground
from tests.services.people.files import file_of, row_of

DAY_MS = 24 * 3_600_000


@pytest.fixture
def ground() -> Ground:
    return Ground.founded()


def staff(name: str, **values: str) -> dict[str, str]:
    """Give a founder's row, as the founding told it but for what is told here."""
    party = FOUNDERS[name][0] if name in FOUNDERS else "trust"
    usual = {"employer": party, "residence": "US", "works_in": "US", "devices_of": "trust", "team": name, "starts": ""}
    return row_of(f"hr-{name}", **{"name": name, **usual, **values})


def planned(
    ground: Ground, *rows: dict[str, str], is_partial: bool = True, leavers_max: int | None = None
) -> RecordingPlan:
    file = PeopleFile(data=file_of(*rows), name="hr.csv", is_partial=is_partial, leavers_max=leavers_max)
    return plan_recording(ground.state, file, at_ms=ground.now_ms + 1000)


def take(ground: Ground, *rows: dict[str, str], is_partial: bool = True) -> RecordingPlan:
    """Take a file, and fold the entry that it leads to."""
    plan = planned(ground, *rows, is_partial=is_partial)
    written = plan.render(SALT)
    assert isinstance(written.rule, PeopleRecorded)
    ground.fold(written.rule, file=written.file)
    return plan


def test_entry_says_what_was_recorded_and_commits_to_the_facts(ground: Ground) -> None:
    last = ground.state.principal_last
    plan = planned(ground, staff("new"), staff("eve", team="red"))

    written = plan.render(SALT)

    assert written.rule == PeopleRecorded(
        source="file", added=1, people=2, facts=hashlib.sha256(written.file).digest(), suspends=(), ends=()
    )
    assert written.file.startswith(SALT)
    ground.fold(written.rule, file=written.file)
    register = ground.state.governed.register
    assert register is not None
    assert register.people[last + 1].reference == "hr-new"
    assert register.people[NUMBERS["eve"]].team == "red"
    assert ground.state.principal_last == last + 1


def test_file_that_says_what_the_register_says_changes_nothing(ground: Ground) -> None:
    plan = planned(ground, *map(staff, FOUNDERS), is_partial=False)

    assert plan.difference.facts == ()
    assert plan.difference.unchanged == len(FOUNDERS)


def test_member_directed_from_the_parent_is_suspended_with_the_chain(ground: Ground) -> None:
    eve, boss = NUMBERS["eve"], ground.state.principal_last + 1

    plan = take(ground, staff("boss", employer="parent"), staff("eve", directed_by="hr-boss"))

    chain = f"{eve} is directed by {boss}, who is employed by parent"
    assert plan.suspends == (Suspended(eve, "hr-eve", (f"not-directed-from-the-parent: {chain}",)),)
    assert ground.state.governed.members[eve].suspended


def test_favourable_fact_gives_nothing_back(ground: Ground) -> None:
    eve = NUMBERS["eve"]
    take(ground, staff("eve", residence="CN"))
    assert ground.state.governed.members[eve].suspended

    plan = take(ground, staff("eve"))

    assert (plan.suspends, plan.ends) == ((), ())
    assert ground.state.governed.members[eve].suspended


def test_member_who_changes_the_employer_is_suspended_with_the_reason(ground: Ground) -> None:
    ivy = NUMBERS["ivy"]

    plan = take(ground, staff("ivy", employer="trust"))

    assert plan.suspends == (Suspended(ivy, "hr-ivy", (f"{ivy} is employed by trust, and was admitted for board",)),)


def test_leaver_has_no_authority_from_the_entry_on_whatever_a_clock_says(ground: Ground) -> None:
    cid = NUMBERS["cid"]
    rows = [staff(name) for name in FOUNDERS if name != "cid"]

    plan = take(ground, *rows, is_partial=False)

    assert plan.ends == (Ending(cid, "hr-cid", ground.now_ms),)
    assert plan.suspends == ()
    member = ground.state.governed.members[cid]
    assert not member.is_active(ground.now_ms)
    assert not member.is_active(ground.now_ms - 5000)  # as a gateway has it whose clock is behind


def test_member_who_leaves_later_ends_then(ground: Ground) -> None:
    plan = take(ground, staff("cid", ends="2030-01-31"))

    assert plan.ends == (Ending(NUMBERS["cid"], "hr-cid", 1_896_134_400_000),)
    assert plan.suspends == ()
    assert ground.state.governed.members[NUMBERS["cid"]].is_active(ground.now_ms)


def test_leaver_who_is_told_to_be_back_has_no_authority_until_a_quorum_gives_it(ground: Ground) -> None:
    cid = NUMBERS["cid"]
    take(ground, staff("cid", ends="2020-01-01"))

    plan = take(ground, staff("cid"))

    assert (plan.suspends, plan.ends) == ((), ())
    assert not ground.state.governed.members[cid].is_active(ground.now_ms)


def test_member_who_had_not_left_yet_is_suspended_by_what_comes_before_that(ground: Ground) -> None:
    take(ground, staff("cid", ends="2030-01-31"))

    plan = take(ground, staff("cid", ends="2030-01-31", residence="CN"))

    assert [one.number for one in plan.suspends] == [NUMBERS["cid"]]
    assert plan.ends == ()


def test_file_with_a_problem_plans_nothing(ground: Ground) -> None:
    with pytest.raises(PeopleInvalidError) as caught:
        planned(ground, staff("new"), staff("eve", manager="hr-nobody"))

    assert [(problem.line, problem.column) for problem in caught.value.problems] == [(3, 7)]


def test_file_that_may_be_cut_off_is_refused_until_somebody_says_that_it_is_whole(ground: Ground) -> None:
    take(ground, *(staff(f"p{number}") for number in range(20)))
    present = len(FOUNDERS) + 20
    rows = [*map(staff, FOUNDERS), *(staff(f"p{number}") for number in range(10))]

    assert len(planned(ground, *rows, is_partial=False).difference.gone) == 10
    with pytest.raises(ConflictError, match=f"11 of {present} people have left, and 10 are allowed for") as caught:
        planned(ground, *rows[:-1], is_partial=False)
    assert "--leavers-max 11" in caught.value.hint
    assert len(planned(ground, *rows[:-1], is_partial=False, leavers_max=11).difference.gone) == 11
    with pytest.raises(ConflictError, match="and 10 are allowed for"):
        planned(ground, *rows[:-1], is_partial=False, leavers_max=10)


def test_first_file_that_leaves_most_founders_out_is_refused(ground: Ground) -> None:
    present = len(FOUNDERS)
    rows = [staff("new"), *map(staff, list(FOUNDERS)[present // 2 :])]

    assert len(planned(ground, *rows, is_partial=False).difference.gone) == present // 2
    with pytest.raises(ConflictError, match=f"{present} of {present} people have left, and {present // 2} are allowed"):
        planned(ground, staff("new"), is_partial=False)


def test_usual_number_of_leavers_is_a_tenth(ground: Ground) -> None:
    take(ground, *(staff(f"p{number}") for number in range(200)))
    rows = [*map(staff, FOUNDERS), *(staff(f"p{number}") for number in range(180))]

    assert len(planned(ground, *rows, is_partial=False).difference.gone) == 20
    with pytest.raises(ConflictError, match="21 of 209 people have left, and 20 are allowed for"):
        planned(ground, *rows[:-1], is_partial=False)


def test_too_many_changes_at_once_are_refused(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "PEOPLE_PER_RECORD_MAX", 1)

    assert len(planned(ground, staff("new")).difference.facts) == 1
    with pytest.raises(LimitExceededError, match="changes 2 people at once"):
        planned(ground, staff("new"), staff("newer"))


def test_ledger_without_founders_has_no_register() -> None:
    with pytest.raises(ConflictError, match="not governed"):
        plan_recording(EMPTY, PeopleFile(data=file_of(), name="hr.csv"), at_ms=1)


def test_withheld_register_is_not_compared_with(ground: Ground) -> None:
    written = planned(ground, staff("new")).render(SALT)
    ground.fold(written.rule)  # without the facts

    with pytest.raises(ConflictError, match="withheld here"):
        planned(ground, staff("newer"))


# ---- others who write at the same time ----------------------------------------------------------------------------


class RacingRules:
    """The authority's lane of a ledger in memory, where somebody else's file comes between reading and writing."""

    def __init__(self, ground: Ground, *rows: dict[str, str]) -> None:
        self.keeper = self
        self._ground = ground
        self._rows = rows

    async def refresh(self) -> State:
        return self._ground.state

    async def write(self, make: Callable[[State, int], WrittenRule]) -> State:
        if self._rows:
            take(self._ground, *self._rows)
        written = make(self._ground.state, self._ground.now_ms + 1000)
        return self._ground.fold(written.rule, file=written.file)


def record_racing(ground: Ground, row: dict[str, str], *others: dict[str, str]) -> RecordingPlan:
    file = PeopleFile(data=file_of(row), name="hr.csv", is_partial=True)
    rules = RacingRules(ground, *others)
    plan, state = asyncio.run(record_people(rules, file, at_ms=ground.now_ms))  # type: ignore[arg-type]
    assert state is ground.state
    return plan


def test_file_is_compared_again_when_another_came_first(ground: Ground) -> None:
    last = ground.state.principal_last

    plan = record_racing(ground, staff("late"), staff("early"), staff("eve", team="red"))

    assert [(one.reference, one.number) for one in plan.difference.added] == [("hr-late", last + 2)]
    assert [view.facts.reference for view in list_people(ground.state, at_ms=ground.now_ms)][-2:] == [
        "hr-early",
        "hr-late",
    ]


def test_file_that_nobody_came_before_is_recorded_as_it_was_compared(ground: Ground) -> None:
    plan = record_racing(ground, staff("late"))

    assert [one.number for one in plan.difference.added] == [ground.state.principal_last]


def test_file_that_another_has_made_true_is_told(ground: Ground) -> None:
    with pytest.raises(ConflictError, match=r"the register came to say what hr\.csv says just now"):
        record_racing(ground, staff("same"), staff("same"))


# ---- looking at the register -------------------------------------------------------------------------------------


def test_list_says_who_may_act(ground: Ground) -> None:
    ground.order("dot", c.Dismiss(person=NUMBERS["ben"]))
    take(
        ground,
        staff("eve", residence="CN"),
        staff("cid", ends="2020-01-01"),
        staff("later", starts="2030-01-01"),
        staff("gone", ends="2020-01-01"),
    )

    states = {view.facts.name: view.state for view in list_people(ground.state, at_ms=ground.now_ms)}

    assert states == {
        **dict.fromkeys(FOUNDERS, "present"),
        "ben": "dismissed",
        "eve": "suspended",
        "cid": "left",
        "later": "to come",
        "gone": "left",
    }


def test_person_is_shown_with_what_keeps_them_from_each_duty(ground: Ground) -> None:
    boss = ground.state.principal_last + 1
    take(ground, staff("boss", employer="parent"), staff("new", directed_by="hr-boss"))

    detail = show_person(ground.state, "hr-new", at_ms=ground.now_ms)

    conflicts = dict(detail.conflicts)
    assert list(conflicts) == ["engineer", "officer", "manager", "people", "inspector", "keeper"]
    assert conflicts["officer"][0].words == f"{boss + 1} is directed by {boss}, who is employed by parent"
    assert detail.view.member is None
    shown = show_person(ground.state, "hr-ada", at_ms=ground.now_ms)
    assert set(dict(shown.conflicts).values()) == {()}
    assert shown.view.member is not None


def test_person_is_found_by_reference_or_number(ground: Ground) -> None:
    take(ground, row_of("3", employer="trust", devices_of=""))

    assert show_person(ground.state, "hr-cid", at_ms=ground.now_ms).view.facts.number == NUMBERS["cid"]
    assert show_person(ground.state, str(NUMBERS["eve"]), at_ms=ground.now_ms).view.facts.name == "eve"
    assert show_person(ground.state, "3", at_ms=ground.now_ms).view.facts.reference == "3"
    for nobody in ("hr-nobody", "0", "999", "9" * 5000, "٣", "-1", ""):
        with pytest.raises(NotFoundError, match="nobody in the register"):
            show_person(ground.state, nobody, at_ms=ground.now_ms)


def test_ties_that_ended_are_shown(ground: Ground) -> None:
    take(ground, staff("eve", team="red"))

    former = show_person(ground.state, "hr-eve", at_ms=ground.now_ms).former

    assert [(tie.kind, tie.name, tie.ended_ms) for tie in former] == [("team", "eve", ground.now_ms)]
