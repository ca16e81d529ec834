"""SCIM from hostile and careless clients: each gets an error that says what is wrong, and nothing is recorded."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence.core.people.register import PersonFacts
from ringfence.gateway.scim.requests import (
    ATTRIBUTES_MAX,
    BODY_SIZE_BYTES_MAX,
    FILTER_CHARACTERS_MAX,
    OPERATIONS_MAX,
    PATH_CHARACTERS_MAX,
    RESULTS_MAX,
)
from tests.gateway.scim_stage import CORE, PATCH, PERSON, WORK, HrStage, open_hr_stage, patch_of, user_of
from tests.governed import FOUNDERS, NUMBERS, facts

EVE = f"/Users/{NUMBERS['eve']}"
DEEP = "emails[" + "not (" * 60 + "type pr" + ")" * 60 + "]"
SEARCH = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"


@pytest.fixture(scope="module")
def hr(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HrStage]:
    with open_hr_stage(tmp_path_factory.mktemp("scim")) as stage:
        yield stage


# -- bodies --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("media_type", ["text/plain", "application/xml", "", "application/scim+json-patch"])
def test_body_of_another_media_type_is_refused(hr: HrStage, media_type: str) -> None:
    body = patch_of({"op": "replace", "path": "displayName", "value": "eve"})

    for method, path in (("PATCH", EVE), ("PUT", EVE), ("POST", "/Users"), ("POST", "/Users/.search")):
        status, _, words = hr.refused(method, path, body, headers={"content-type": media_type})
        assert (status, "application/scim+json" in words) == (415, True)
    for good in ("application/json", "Application/SCIM+json; charset=utf-8"):
        assert hr.send("PATCH", EVE, body, headers={"content-type": good}).status_code == 200


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "found no JSON"),
        (b"{", "found no JSON"),
        (b"[]", "no JSON object"),
        (b'"active"', "no JSON object"),
        (b"\xff\xfe{}", "not UTF-8"),
        (b'{"active": false, "active": true}', "a name twice"),
        (b'{"active": false, "Active": true}', "a name twice in one object, in other letters"),
        (b'{"urn:x": {"starts": "a", "STARTS": "b"}}', "in other letters"),
        (b'{"Operations": [{"op": "add", "OP": "remove"}]}', "in other letters"),
        (b'{"a":' * 65 + b"1" + b"}" * 65, "levels inside each other"),
        (b"[" * 60_000, "no JSON"),
        (b'{"userName": "\\ud800"}', "surrogate"),
        (b'{"userName": NaN}', "not JSON"),
    ],
)
@pytest.mark.parametrize(("method", "path"), [("POST", "/Users"), ("PUT", EVE), ("PATCH", EVE)])
def test_body_that_means_nothing_or_two_things_is_refused(
    hr: HrStage, method: str, path: str, body: bytes, words: str
) -> None:
    status, keyword, detail = hr.refused(method, path, body)

    assert (status, keyword) == (400, "invalidSyntax")
    assert words in detail or (words == "no JSON" and "levels" in detail)


def test_body_that_is_too_large_is_refused(hr: HrStage) -> None:
    padding = BODY_SIZE_BYTES_MAX - len(json.dumps(user_of("eve"))) - 20
    fits = json.dumps(user_of("eve", nickName="x" * padding)).encode()
    assert hr.send("PUT", EVE, fits).status_code == 200

    status, _, words = hr.refused("PUT", EVE, json.dumps(user_of("eve", nickName="x" * (padding + 100))).encode())

    assert (status, "larger than" in words) == (413, True)


@pytest.mark.parametrize(
    ("told", "where"),
    [
        ({"acitve": False}, "acitve"),
        ({"urn:example:schemas:1.0:Other": {"a": 1}}, "urn:example:schemas:1.0:Other"),
        ({WORK: {"organization": "trust", "organisation": "trust"}}, f"{WORK}:organisation"),
        ({PERSON: {"residense": "US"}}, f"{PERSON}:residense"),
        ({"schemas": [CORE, WORK, "urn:example:schemas:1.0:Other"]}, "urn:example:schemas:1.0:Other"),
    ],
)
def test_name_that_nobody_has_is_refused_so_that_a_mistake_is_never_ignored(
    hr: HrStage, told: dict[str, Any], where: str
) -> None:
    for method, path in (("POST", "/Users"), ("PUT", EVE)):
        status, keyword, words = hr.refused(method, path, {**user_of("eve"), **told})
        assert (status, keyword) == (400, "invalidSyntax")
        assert where in words


@pytest.mark.parametrize(
    "told",
    [
        {"active": "perhaps"},
        {"active": []},
        {"userName": 7},
        {"userName": None},
        {"displayName": ["a"]},
        {WORK: []},
        {WORK: {"organization": "trust", "manager": "1"}},
        {PERSON: {"starts": "soon"}},
        {PERSON: {"directedBy": [{}]}},
    ],
)
def test_value_of_another_type_is_refused(hr: HrStage, told: dict[str, Any]) -> None:
    for method, path in (("POST", "/Users"), ("PUT", EVE)):
        status, keyword, _ = hr.refused(method, path, {**user_of("eve"), **told})
        assert (status, keyword) == (400, "invalidValue")
    assert hr.send("PUT", EVE, user_of("eve")).status_code == 200


# -- operations ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("operations", "keyword"),
    [
        ([], "invalidValue"),
        ([{"op": "move", "path": "displayName", "value": "x"}], "invalidValue"),
        ([{"op": "replace", "path": "displayName"}], "invalidValue"),
        ([{"op": "remove"}], "noTarget"),
        ([{"op": "remove", "path": "displayName", "value": "x"}], "invalidValue"),
        ([{"op": "replace", "path": "acitve", "value": False}], "invalidPath"),
        ([{"op": "replace", "value": {"acitve": False}}], "invalidValue"),
        ([{"op": "replace", "path": "active eq", "value": False}], "invalidPath"),
        ([{"op": "replace", "path": "[" * 500, "value": False}], "invalidPath"),
        ([{"op": "replace", "path": DEEP, "value": {}}], "invalidPath"),
        ([{"op": "replace", "path": 'emails[type eq "work"].value', "value": "x"}], "noTarget"),
        ([{"op": "remove", "path": "userName"}], "mutability"),
        ([{"op": "replace", "path": "schemas", "value": []}], "mutability"),
        (["x"], "invalidValue"),
        ("x", "invalidValue"),
        ({}, "invalidValue"),
        (None, "invalidValue"),
    ],
)
def test_operations_that_are_none_are_refused(hr: HrStage, operations: Any, keyword: str) -> None:
    status, found, _ = hr.refused("PATCH", EVE, {"schemas": [PATCH], "Operations": operations})

    assert (status, found) == (400, keyword)


def test_too_many_operations_and_too_long_paths_are_refused(hr: HrStage) -> None:
    one = {"op": "replace", "path": "displayName", "value": "eve"}
    assert hr.send("PATCH", EVE, patch_of(*[one] * OPERATIONS_MAX)).status_code == 200
    long = 'emails[value eq "' + "x" * (PATH_CHARACTERS_MAX - 20) + '"]'
    assert hr.refused("PATCH", EVE, patch_of({"op": "replace", "path": long, "value": {}}))[:2] == (400, "noTarget")

    assert hr.refused("PATCH", EVE, patch_of(*[one] * (OPERATIONS_MAX + 1)))[0] == 413
    assert hr.refused("PATCH", EVE, patch_of({"op": "replace", "path": long + " " * 20, "value": {}}))[0] == 413


# -- queries -------------------------------------------------------------------------------------------------------


def found(hr: HrStage, text: str) -> list[str]:
    return [user["userName"] for user in hr.do("GET", "/Users", params={"filter": text})["Resources"]]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('userName eq "hr-eve"', ["hr-eve"]),
        ('USERNAME EQ "HR-EVE"', ["hr-eve"]),
        (f'{CORE}:userName eq "hr-eve"', ["hr-eve"]),
        ('id eq "2"', ["hr-ben"]),
        ('id eq "02"', []),
        ('externalId eq "7"', []),
        ('userName sw "hr-" and displayName co "v"', ["hr-eve", "hr-ivy"]),
        ('active eq true and groups.value eq "officer"', ["hr-ada", "hr-ben", "hr-cid"]),
        ('groups[value eq "officer"] and not (userName eq "hr-ada")', ["hr-ben", "hr-cid"]),
        (f'{WORK}:organization eq "board"', ["hr-ivy"]),
        (f'{WORK}:manager pr or {PERSON}:residence ne "US"', []),
        ('meta.resourceType eq "Group"', []),
    ],
)
def test_filter_finds_who_matches(hr: HrStage, text: str, names: list[str]) -> None:
    assert found(hr, text) == names
    searched = hr.do("POST", "/Users/.search", {"schemas": [SEARCH], "filter": text})
    assert [user["userName"] for user in searched["Resources"]] == names


@pytest.mark.parametrize(
    "text",
    [
        "",
        "userName",
        "userName eq",
        'userName eq "x" and',
        "userName eq 'x'",
        "((((",
        "(" * 1000 + 'userName eq "x"',
        "not (" * 100 + "active pr" + ")" * 100,
        'password eq "x"',
        'emails.value eq "x"',
        "active gt true",
        'active eq "x"',
        "displayName gt 7",
        'urn:x:y:userName eq "x"',
        "userName eq \x00",
    ],
)
def test_filter_that_is_none_or_about_what_nobody_keeps_is_refused(hr: HrStage, text: str) -> None:
    for method, path, body, options in (
        ("GET", "/Users", None, {"params": {"filter": text}}),
        ("POST", "/Users/.search", {"schemas": [SEARCH], "filter": text}, {}),
    ):
        status, keyword, _ = hr.refused(method, path, body, **options)
        assert (status, keyword) == (400, "invalidFilter")


def test_filter_that_is_too_long_is_refused(hr: HrStage) -> None:
    fits = " or ".join(['userName eq "hr-eve"'] * 80)
    assert len(fits) < FILTER_CHARACTERS_MAX
    assert found(hr, fits) == ["hr-eve"]

    long = " or ".join(['userName eq "hr-eve"'] * 100)
    assert hr.refused("POST", "/Users/.search", {"schemas": [SEARCH], "filter": long})[0] == 413
    assert hr.refused("GET", "/Users", params={"filter": long + " " * 3000})[0] in (400, 413)


def test_pages_hold_everybody_once(hr: HrStage) -> None:
    names: list[str] = []
    while len(names) < len(FOUNDERS):
        page = hr.do("GET", "/Users", params={"startIndex": len(names) + 1, "count": 4})
        assert (page["totalResults"], page["startIndex"]) == (len(FOUNDERS), len(names) + 1)
        assert page["itemsPerPage"] == len(page["Resources"]) <= 4
        names += [user["userName"] for user in page["Resources"]]

    assert names == [f"hr-{name}" for name in FOUNDERS]
    with_filter = hr.do("GET", "/Users", params={"filter": "active eq true", "startIndex": 3, "count": 2})
    assert [user["id"] for user in with_filter["Resources"]] == ["3", "4"]
    assert with_filter["totalResults"] == len(FOUNDERS)


@pytest.mark.parametrize(
    ("params", "status"),
    [
        ({"count": "-5"}, 200),
        ({"count": "0"}, 200),
        ({"count": "999999999"}, 200),
        ({"startIndex": "-3"}, 200),
        ({"startIndex": "999999999"}, 200),
        ({"count": "9" * 10}, 400),
        ({"count": "ten"}, 400),
        ({"count": "1.5"}, 400),
        ({"count": "\u0661"}, 400),
        ({"startIndex": ""}, 400),
        ({"sortBy": "userName"}, 400),
        ({"cursor": "x"}, 400),
        ({"page": "2"}, 400),
        ({"attributes": "userName", "excludedAttributes": "active"}, 400),
        ({"attributes": 'emails[type eq "x"]'}, 400),
        ({"attributes": ",".join(["userName"] * (ATTRIBUTES_MAX + 1))}, 413),
    ],
)
def test_parameters_are_taken_within_limits(hr: HrStage, params: dict[str, str], status: int) -> None:
    assert hr.send("GET", "/Users", params=params).status_code == status


def test_only_the_attributes_that_are_asked_for_are_shown(hr: HrStage) -> None:
    user = hr.do("GET", EVE, params={"attributes": "userName"})
    assert user.keys() == {"schemas", "id", "userName"}
    left = hr.do("GET", "/Users", params={"excludedAttributes": f"groups,{WORK}:department", "count": 1})["Resources"]
    assert "groups" not in left[0]
    assert left[0][WORK] == {"organization": "trust"}


def test_page_is_never_longer_than_the_service_says(hr: HrStage) -> None:
    last = hr.world.state.principal_last
    people: list[PersonFacts] = [facts(last + n, f"more-{n}") for n in range(1, RESULTS_MAX + 10)]
    hr.runner.run(hr.world.record(*people))

    page = hr.do("GET", "/Users", params={"count": 10_000})

    assert page["itemsPerPage"] == len(page["Resources"]) == RESULTS_MAX
    assert page["totalResults"] == len(FOUNDERS) + len(people)
    assert hr.do("GET", "/ServiceProviderConfig")["filter"]["maxResults"] == RESULTS_MAX
    filtered = hr.do("GET", "/Users", params={"filter": 'displayName sw "more"', "count": 10_000})
    assert (filtered["totalResults"], filtered["itemsPerPage"]) == (len(people), RESULTS_MAX)


# -- calls that there are not --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/Nothing", 404),
        ("GET", "/Groups/x/y", 404),
        ("GET", "/Users/hr-eve", 404),
        ("GET", "/Users/0", 404),
        ("GET", "/Users/" + "9" * 400, 404),
        ("GET", "/Users/%00", 404),
        ("GET", "/Users/%ff", 400),
        ("GET", "/Schemas/urn:x", 404),
        ("GET", "/Schemas?filter=id+pr", 403),
        ("GET", "", 501),
        ("GET", "/", 501),
        ("POST", "/Bulk", 501),
        ("GET", "/Me", 501),
        ("POST", "/.search", 501),
        ("DELETE", "/Users", 405),
        ("PATCH", "/Users", 405),
        ("POST", EVE, 405),
        ("POST", "/Schemas", 405),
        ("DELETE", "/ServiceProviderConfig", 405),
        ("POST", "/Groups", 405),
        ("DELETE", "/Groups/officer", 405),
        ("TRACE", EVE, 405),
    ],
)
def test_call_that_there_is_not_is_refused(hr: HrStage, method: str, path: str, status: int) -> None:
    assert hr.refused(method, path)[0] == status
    assert hr.send("GET", EVE).status_code == 200


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(["active", "1", "US", "trust"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["value", "active", "op", "path", "$ref", WORK, PERSON, "manager"]), inner)
    ),
    max_leaves=8,
)
names = st.sampled_from(
    ["schemas", "userName", "displayName", "active", "externalId", "groups", "meta", "id", "name", WORK, PERSON]
)


@given(st.dictionaries(names, json_values, max_size=6), st.lists(json_values, max_size=3))
def test_anything_gets_an_answer_in_scims_own_form(hr: HrStage, told: dict[str, Any], operations: list[Any]) -> None:
    for method, path, body in (
        ("POST", "/Users", told),
        ("PUT", EVE, told),
        ("PATCH", EVE, patch_of(*operations)),
        ("PATCH", EVE, patch_of({"op": "add", "value": told})),
        ("PATCH", "/Groups/officer", patch_of({"op": "replace", "value": told})),
    ):
        answer = hr.send(method, path, body)
        assert answer.status_code < 500, answer.text
        assert answer.json()["schemas"]
