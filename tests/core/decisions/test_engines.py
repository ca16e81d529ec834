"""Engine v1 against a naive reading of the charter's text, over every view there is."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from ruamel.yaml import YAML

from ringfence.core.charter.terms import OTHER, SHAPES, VERBS
from ringfence.core.decisions.engines import ENGINES, NEWEST_ENGINE, decide, what_could_be_asked
from ringfence.core.decisions.engines.v1 import MEMO_VIEWS_MAX, SINGLE_RECORDS_MAX
from ringfence.core.decisions.view import DENIED, Decision, View
from ringfence.core.errors import ProofInvalidError
from tests.core.small_charter import SMALL, small_charter

RAW: dict[str, Any] = YAML(typ="safe", pure=True).load(SMALL)
VIEWS = [
    View(*view)
    for view in product(
        [*RAW["parties"], OTHER],
        ["NO", "SE", "CN", OTHER],
        [*RAW["purposes"], OTHER],
        [*VERBS, OTHER],
        [*RAW["datasets"], OTHER],
        [*RAW["classes"], OTHER],
        [*SHAPES, OTHER],
    )
]


def naive(view: View) -> Decision:
    """What a patient reader of the file would answer."""
    for flow in RAW["flows"]:
        bulk = flow.get("bulk")
        if (
            view.party in flow["who"]
            and (flow["from"] == ["*"] or view.country in flow["from"])
            and view.purpose in flow["purposes"]
            and view.verb in flow["verbs"]
            and view.dataset in (list(RAW["datasets"]) if flow["datasets"] == ["*"] else flow["datasets"])
            and view.data_class in (list(RAW["classes"]) if flow["classes"] == ["*"] else flow["classes"])
            and (view.shape == "single" or (view.shape == "bulk" and bulk))
        ):
            many = view.shape == "bulk"
            return Decision(
                permitted=True,
                clause=flow["name"],
                withheld=tuple(
                    item.split(".")[1] for item in flow.get("withhold", []) if item.split(".")[0] == view.dataset
                ),
                records_max=bulk["records_max"] if many else SINGLE_RECORDS_MAX,
                records_per_day_max=bulk["records_per_day_max"] if many else 0,
                downgrades_per_day_max=flow.get("downgrades_per_day_max", 0) if view.verb == "write" else 0,
            )
    return DENIED


def test_every_view_is_decided_as_the_file_reads() -> None:
    charter = small_charter()
    assert len(VIEWS) == 6 * 4 * 3 * 6 * 6 * 4 * 3
    wrong = [view for view in VIEWS if decide("v1", charter, view) != naive(view)]
    assert wrong == []
    again = [view for view in VIEWS if decide("v1", charter, view) != naive(view)]
    assert again == []
    assert {naive(view).clause for view in VIEWS} == {"", "serving", "serving-many", "showing"}


def test_first_flow_decides_alone() -> None:
    charter = small_charter()
    view = View("app", "NO", "serve", "read", "person", "public", "single")
    assert decide("v1", charter, view).clause == "serving"
    assert decide("v1", charter, view).withheld == ("country", "phone")
    in_bulk = decide("v1", charter, view._replace(shape="bulk"))
    assert (in_bulk.clause, in_bulk.withheld, in_bulk.records_max) == ("serving-many", (), 50)


def test_unknown_country_passes_only_where_any_country_does() -> None:
    charter = small_charter()
    shown = View("parent", OTHER, "show", "read", "posts", "public", "single")
    served = View("app", OTHER, "serve", "read", "posts", "public", "single")
    assert decide("v1", charter, shown).permitted
    assert not decide("v1", charter, served).permitted
    assert decide("v1", charter, served._replace(country="SE")).permitted


@pytest.mark.parametrize("field", ["party", "purpose", "verb", "dataset", "data_class", "shape"])
def test_other_is_never_permitted(field: str) -> None:
    charter = small_charter()
    view = View("parent", "CN", "show", "read", "posts", "public", "single")
    assert decide("v1", charter, view).permitted
    assert decide("v1", charter, view._replace(**{field: OTHER})) == DENIED


def test_decision_does_not_depend_on_what_was_asked_before() -> None:
    charter = small_charter()
    view = View("app", "NO", "serve", "read", "person", "public", "single")
    before = decide("v1", charter, view)
    for number in range(MEMO_VIEWS_MAX + 10):
        decide("v1", charter, view._replace(country=str(number)))
    assert len(charter.memo["v1"]) <= MEMO_VIEWS_MAX
    assert decide("v1", charter, view) == before
    assert charter == small_charter()


def test_engine_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ProofInvalidError, match="no such decision engine"):
        decide("v0", small_charter(), VIEWS[0])
    assert NEWEST_ENGINE in ENGINES


def test_hints_name_what_would_have_to_differ() -> None:
    view = View("app", "CN", "show", "read", "person", "shared", "single")
    assert what_could_be_asked(small_charter(), view) == [
        "clause `serving-many` permits app to read person from NO",
        "clause `serving` permits app to read person "
        "of class protected or public, for the purpose serve, from NO or SE",
    ]
    bulk = View("app", "SE", "serve", "find", "person", "public", "bulk")
    assert what_could_be_asked(small_charter(), bulk) == [
        "clause `serving` permits app to find person one user at a time"
    ]


def test_hints_say_nothing_of_what_others_may() -> None:
    charter = small_charter()
    for view in VIEWS:
        for sentence in what_could_be_asked(charter, view):
            named = {flow.name for flow in charter.flows if f"`{flow.name}`" in sentence}
            assert named
            assert all(view.party in flow.who for flow in charter.flows if flow.name in named)


@pytest.mark.parametrize("classes", [("protected", "public"), ("public", "protected")])
def test_classes_of_one_request_get_one_hint_for_each_flow(classes: tuple[str, ...]) -> None:
    views = [View("parent", "CN", "serve", "read", "posts", data_class, "single") for data_class in classes]

    assert what_could_be_asked(small_charter(), *views) == [
        "clause `showing` permits parent to read posts of class public, for the purpose show"
    ]


def test_hints_are_none_for_who_is_permitted_or_unknown() -> None:
    charter = small_charter()
    permitted = [view for view in VIEWS if decide("v1", charter, view).permitted]
    assert permitted
    assert not any(what_could_be_asked(charter, view) for view in permitted)
    assert not any(what_could_be_asked(charter, view) for view in VIEWS if view.party in (OTHER, "hoster"))


def test_each_hint_that_is_followed_is_permitted() -> None:
    charter = small_charter()
    denied = View("parent", "CN", "serve", "read", "posts", "protected", "bulk")
    assert what_could_be_asked(charter, denied) == [
        "clause `showing` permits parent to read posts of class public, for the purpose show"
    ]
    assert decide("v1", charter, denied._replace(data_class="public", purpose="show")).permitted
