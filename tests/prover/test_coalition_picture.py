"""A run as a picture: who takes part in which step, whom they bring, where it could be stopped; it runs nothing."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from ringfence.prover.coalition.answers import Answer, Coalition
from ringfence.prover.coalition.picture import BESIDE, BROUGHT, HANDS, JOINS, START, draw_coalitions
from ringfence.prover.coalition.run import Deed
from tests.governed import HOUR_MS, Ground, facts
from tests.prover.pages import Page, assert_inert
from tests.prover.powers import COUNTED

ADA, BEN, CID, DOT, EVE, FAY = range(1, 7)


def coalition(**told: dict[str, object]) -> Coalition:
    ground = Ground.founded(COUNTED, **told)
    return Coalition(ground.state, at_ms=ground.now_ms)


def draw(asked: Coalition, *answers: Answer) -> str:
    return draw_coalitions(asked, answers, source="here", minimum=3)


def answer(asked: Coalition, name: str) -> Answer:
    return asked.answer(next(goal for goal in asked.goals if goal.name == name))


def supposed(asked: Coalition, people: int, steps: int, *, waits_ms: int = 0) -> Answer:
    """Give a run of so many people and steps, each taken by one and agreed to by the next."""
    deeds = tuple(
        Deed("appoint", (1 + at % people,), (1 + (at + 1) % people,) if people > 1 else (), f"step {at}", waits_ms)
        for at in range(steps)
    )
    return Answer(asked.goals[0], people, people, joined=tuple(range(1, people + 1)), deeds=deeds)


def shapes(page: Page) -> list[str]:
    """Give the shapes of the drawing, without those of the legend."""
    drawn = [place for place, (tag, told) in enumerate(page.elements) if tag == "svg" and "role" in told]
    return [tag for tag, _ in page.elements[drawn[0] :]] if drawn else []


def words(page: Page) -> list[str]:
    return [text for tag, text in page.texts if tag == "text"]


def test_picture_of_every_goal_runs_nothing_and_fetches_nothing() -> None:
    asked = coalition()

    assert_inert(draw(asked, *(asked.answer(goal) for goal in asked.goals)))


@pytest.mark.parametrize(("minimum", "said"), [(3, "3 people must join."), (4, "3 people must join: FEWER THAN")])
def test_picture_says_as_the_words_do_that_fewer_are_needed_than_the_charter_asks(minimum: int, said: str) -> None:
    asked = coalition()

    page = draw_coalitions(asked, [answer(asked, "give-grant")], source="here", minimum=minimum)

    assert f"<p>{said}" in page


@pytest.mark.parametrize(("people", "steps"), [(1, 1), (3, 4), (8, 12)])
def test_each_person_has_a_row_each_step_a_number_and_each_part_a_mark(people: int, steps: int) -> None:
    asked = coalition()
    run = supposed(asked, people, steps)

    page = Page(draw(asked, run))

    said = words(page)
    assert [text for text in said if text.isdigit()] == [str(at + 1) for at in range(steps)]
    assert len([text for text in said if "(hr-" in text]) == people
    found = shapes(page)
    assert found.count("rect") == steps + 1, "a square for who asks, and the goal"
    assert found.count("circle") == steps + sum(len(deed.agreed) for deed in run.deeds)
    drawing = next(told for tag, told in page.elements if told.get("role") == "img")
    assert int(drawing["width"] or 0) >= steps * 40


def test_whom_they_bring_who_is_named_and_what_is_done_by_hand_are_groups_of_their_own() -> None:
    asked = coalition(ben={"manager": ADA})

    bring = words(Page(draw(asked, answer(asked, "change-rules"))))
    by_hand = words(Page(draw(asked, answer(asked, "outside-flows"))))
    alone = words(Page(draw(asked, answer(asked, "flow:helping"))))

    assert [text for text in bring if text in (JOINS, BROUGHT, START, BESIDE, HANDS)] == [JOINS, BROUGHT, BESIDE]
    assert "brought by 1: officer, of trust" in bring
    assert HANDS in by_hand
    assert [text for text in alone if text in (JOINS, BROUGHT, START, BESIDE, HANDS)] == [JOINS]


def test_a_step_that_could_be_stopped_has_a_wall_and_says_for_how_long() -> None:
    asked = coalition()

    stopped, open_way = (draw(asked, supposed(asked, 2, 2, waits_ms=hours * HOUR_MS)) for hours in (72, 0))

    assert words(Page(stopped)).count("72 h") == 2
    assert stopped.count("stroke-dasharray") == 3, "one is the legend's"
    assert not any(text.endswith(" h") for text in words(Page(open_way)))
    assert open_way.count("stroke-dasharray") == 1


def test_the_same_is_told_in_words_and_every_drawing_has_a_name_of_its_own() -> None:
    asked = coalition()
    page = Page(draw(asked, *(asked.answer(goal) for goal in asked.goals)))

    told = [text for tag, text in page.texts if tag == "li"]
    steps = [text for tag, text in page.texts if tag == "title"]
    assert "4 is given the duty engineer [appoint]; by 4 (hr-dot), agreed to by 1 (hr-ada), 2 (hr-ben)" in told
    assert "1. 4 is given the duty engineer [appoint]; by 4 (hr-dot), agreed to by 1 (hr-ada), 2 (hr-ben)" in steps
    labels = [told["aria-labelledby"] for tag, told in page.elements if told.get("role") == "img"]
    assert len(set(labels)) == len(labels) == len(asked.goals)
    named = {told["id"] for _, told in page.elements if "id" in told}
    assert {name for label in labels for name in str(label).split()} == named


def test_a_goal_that_is_out_of_reach_has_words_and_no_drawing() -> None:
    asked = coalition()

    text = draw(asked, Answer(asked.goals[0], None, closed=("a", "b")))

    assert "never: not if everybody joins" in text
    assert not shapes(Page(text))


def test_what_a_register_or_a_charter_says_is_escaped() -> None:
    hostile = "<script>alert('x')</script>"
    ground = Ground.founded(COUNTED)
    ground.record(msgspec.structs.replace(facts(EVE, "eve"), reference=hostile))
    asked = Coalition(ground.state, at_ms=ground.now_ms)
    goal = replace(asked.goals[0], words=hostile)
    run = Answer(goal, 1, 1, joined=(EVE,), deeds=(Deed(hostile, (EVE,), (), hostile),))

    text = draw(asked, run)

    assert_inert(text)
    assert "&lt;script&gt;" in text
