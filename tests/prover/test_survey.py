"""Who can do what, as rows and as a picture: what is told follows from the cells, and the picture runs nothing."""

from __future__ import annotations

from dataclasses import replace
from html import escape

import pytest

from ringfence.core.changes import EVERYTHING, FLOW, PARTY
from ringfence.core.charter import Charter, parse_draft
from ringfence.core.charter.terms import NONE, VERBS
from ringfence.core.decisions.engines import decide
from ringfence.core.decisions.view import APPROVED, View
from ringfence.prover.matrix.cells import ask_all
from ringfence.prover.matrix.picture import draw_picture
from ringfence.prover.matrix.survey import BULK, BULK_GRANT, SINGLE, SINGLE_GRANT, Place, Row, lines_of, survey
from tests.core.governed_charter import governed_charter
from tests.core.small_charter import small_charter
from tests.prover.pages import Page, assert_inert
from tests.prover.test_matrix import BREAKING, example


def rows_of(charter: Charter, *stopped: tuple[str, str]) -> tuple[Row, ...]:
    return survey(ask_all("v2", charter), stopped=stopped)


def row_of(rows: tuple[Row, ...], party: str, who: str, needs: str = "") -> Row:
    (found,) = [row for row in rows if (row.party, row.who(), row.needs()) == (party, who, needs)]
    return found


# -- rows --------------------------------------------------------------------------------------------------------------


def test_rows_of_the_worked_example_are_who_can_do_anything_and_who_can_do_nothing() -> None:
    rows = rows_of(example())

    assert [(row.party, row.who(), row.needs()) for row in rows] == [
        ("usds", "a service", ""),
        ("usds", "engineer or on-call-engineer", "a grant (access or break-glass)"),
        ("usds", "support-agent", "a grant (access)"),
        ("usds", "counsel", "a grant (legal-demand)"),
        ("oracle", "anyone", ""),
        ("tiktok", "a service", ""),
        ("tiktok", "a service", "an approved build"),
        ("bytedance", "a service", ""),
        ("cfius", "monitor or examiner", ""),
        ("other", "anyone", ""),
    ]
    parent = row_of(rows, "bytedance", "a service")
    assert {place.data_class for place in parent.reach} == {"public", "interoperability"}
    profile = row_of(rows, "usds", "engineer or on-call-engineer", "a grant (access or break-glass)").reach[
        Place("protected", "profile")
    ]
    assert {verb: given.strengths for verb, given in profile.items()} == {"read": {BULK_GRANT, SINGLE_GRANT}} | {
        "find": {BULK_GRANT, SINGLE_GRANT}
    }
    assert list(profile["read"].withheld) == ["birthDate"]


@pytest.mark.parametrize("grant", [NONE, "access", "break-glass", "legal-demand"])
@pytest.mark.parametrize("build", [NONE, APPROVED])
def test_row_says_what_the_engine_says_to_its_callers_and_to_nobody_else(grant: str, build: str) -> None:
    charter = governed_charter()
    asked = ask_all("v2", charter)
    rows = survey(asked)
    for party in asked.domain.party:
        for duty in asked.domain.duty:
            may: dict[tuple[str, str, str], bool] = {}
            for country in asked.domain.country:
                for purpose in asked.domain.purpose:
                    for place in (Place(kind, name) for kind in charter.classes for name in charter.datasets):
                        for verb in VERBS:
                            view = View(party, country, purpose, verb, place.dataset, place.data_class, "single")
                            view = view._replace(duty=duty, grant=grant, build=build)
                            if decide("v2", charter, view).permitted:
                                may[(*place, verb)] = True
            told = {
                (*place, verb)
                for row in rows
                if row.party == party
                and duty in row.duties
                and (not row.grants or grant in row.grants)
                and (not row.build or build == APPROVED)
                for place, verbs in row.reach.items()
                for verb in verbs
            }
            assert told == set(may), (party, duty)


def test_suspended_flow_party_and_everything_are_left_out() -> None:
    charter = small_charter()
    person = Place("protected", "person")

    open_now = row_of(rows_of(charter), "app", "a service").reach[person]
    assert (set(open_now), list(open_now["read"].clauses)) == ({"read", "write", "find"}, ["serving", "serving-many"])
    without = row_of(rows_of(charter, (FLOW, "serving")), "app", "a service").reach[person]
    assert (set(without), list(without["read"].clauses)) == ({"read"}, ["serving-many"])
    stopped = rows_of(charter, (PARTY, "app"))
    assert row_of(stopped, "app", "anyone").reach == {}
    assert row_of(stopped, "keeper", "a service").reach != {}
    assert all(row.reach == {} for row in rows_of(charter, (EVERYTHING, "")))


def test_grant_and_build_that_add_something_have_rows_of_their_own() -> None:
    rows = rows_of(governed_charter())

    built = row_of(rows, "app", "a service", "an approved build").reach[Place("protected", "chats")]
    assert {verb: given.strengths for verb, given in built.items()} == {"write": {SINGLE}, "read": {SINGLE, BULK}}
    assert set(row_of(rows, "app", "a service").reach[Place("protected", "chats")]) == {"read"}
    assert row_of(rows, "keeper", "engineer", "a grant (access or break-glass)").reach != {}
    assert [row.needs() for row in rows if row.party == "parent"] == [""]


def test_lines_join_classes_to_which_the_same_may_be_done() -> None:
    asked = ask_all("v2", example())
    rows = survey(asked)

    for needs, bulk in (("", ()), ("an approved build", ("read",))):
        app = lines_of(row_of(rows, "tiktok", "a service", needs), asked.domain)
        assert [(line.classes, line.single, line.bulk) for line in app] == [
            (("protected", "public", "interoperability"), (*VERBS[:3], "export", "erase"), bulk),
            (("aggregated",), ("find", "export", "erase"), ()),
        ]
    assert lines_of(row_of(rows, "oracle", "anyone"), asked.domain)[0].single == ()


# -- the picture -------------------------------------------------------------------------------------------------------


def draw(charter: Charter) -> str:
    asked = ask_all("v2", charter)
    return draw_picture(asked, asked.promises(), survey(asked), source="here")


def test_picture_runs_nothing_and_fetches_nothing() -> None:
    assert_inert(draw(example()))


def test_picture_has_a_cell_in_words_for_every_caller_class_and_group_of_datasets() -> None:
    charter = example()
    page = Page(draw(charter))
    rows = rows_of(charter)

    titles = [text for tag, text in page.texts if tag == "title"][2:]
    assert len(titles) == len(rows) * len(charter.classes) * 7
    parent = [title for title in titles if title.startswith("bytedance") and "class protected" in title]
    assert len(parent) == 7
    assert all(title.endswith("\nnothing") for title in parent)
    public = next(title for title in titles if title.startswith("bytedance, a service - profile, class public"))
    assert "read: in bulk by public-content" in public
    assert "from anywhere" in public
    drawing = next(told for tag, told in page.elements if tag == "svg" and "aria-labelledby" in told)
    assert (drawing["role"], drawing["aria-labelledby"]) == ("img", "t d")


def test_picture_marks_what_breaks_an_invariant_and_nothing_in_a_charter_that_holds() -> None:
    draft, _ = parse_draft(BREAKING.encode(), file="small.yaml")

    broken, whole = draw(draft), draw(small_charter())

    assert "parent-never-reads is broken by" in broken
    assert "BREAKS parent-never-reads" in broken
    assert ">R!</text>" in broken
    assert "parent-never-reads holds over" in whole
    assert "BREAKS" not in whole
    assert "!</text>" not in whole


def test_what_a_charter_says_is_escaped_in_the_picture() -> None:
    hostile = "<script>alert('x')</script>&\""
    charter = small_charter()
    told = replace(
        charter,
        name=hostile,
        flows=tuple(replace(flow, name=f"{flow.name}{hostile}") for flow in charter.flows),
        invariants=tuple(replace(item, name=item.name + hostile, words=hostile) for item in charter.invariants),
        memo={},
    )

    text = draw(told)

    Page(text)
    assert "<script" not in text
    assert escape(hostile) in text
