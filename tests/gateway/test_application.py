"""The whole application: whatever is sent, it answers, never with a failure of its own, and leaks nothing."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence.core.errors import IntegrityError, UnavailableError
from ringfence.gateway import application
from tests.gateway.asgi import Stage, open_stage

SERVE = {"purpose": "serve_user"}
PROFILE = {"userName": "ada", "emailAddress": "ada@example.com"}


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """An open application with one user in it."""
    with open_stage(tmp_path_factory.mktemp("gateway") / "deployment") as opened:
        assert opened.request("PUT", "/v1/records/profile/ada/self", params=SERVE, json=PROFILE).status_code == 201
        yield opened


def problem(answer: Any) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["type"].rsplit(":", 1)[1]


# -- what a caller does --------------------------------------------------------------------------------------------


def test_record_comes_back_to_who_may_read_it_and_to_nobody_else(stage: Stage) -> None:
    answer = stage.request("GET", "/v1/records/profile/ada/self", params=SERVE)
    assert (answer.status_code, answer.json()["fields"]) == (200, PROFILE)
    assert answer.headers["ringfence-receipt"]
    assert answer.headers["cache-control"] == "no-store"

    assert problem(stage.request("GET", "/v1/records/profile/ada/self", params=SERVE, name="parent")) == (403, "denied")
    abroad = {"x-forwarded-for": "203.0.113.250"}
    assert problem(stage.request("GET", "/v1/records/profile/ada/self", params=SERVE, headers=abroad)) == (
        403,
        "denied",
    )


def test_request_without_a_token_is_counted_and_not_served(stage: Stage) -> None:
    before = dict(stage.gate.refusals._counts)
    answer = stage.request("GET", "/v1/records/profile/ada/self", params=SERVE, headers={"authorization": "Bearer no"})
    assert problem(answer) == (401, "unauthenticated")
    assert answer.headers["www-authenticate"] == "Bearer"
    counted = stage.gate.refusals._counts[(0, "unauthenticated")]
    assert counted == before.get((0, "unauthenticated"), 0) + 1


def test_two_authorization_headers_are_never_read_as_one(stage: Stage) -> None:
    good = b"Bearer " + stage.tokens["app"].encode()
    path, query = b"/v1/records/profile/ada/self", b"purpose=serve_user"
    country = (b"x-forwarded-for", b"192.0.2.10")
    assert stage.raw("GET", path, query, [(b"authorization", good), country], b"") == 200
    assert (
        stage.raw("GET", path, query, [(b"authorization", good), (b"authorization", b"Bearer x"), country], b"") == 401
    )
    assert (
        stage.raw("GET", path, query, [(b"authorization", b"Bearer x"), (b"authorization", good), country], b"") == 401
    )


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"userName":"a","userName":"b"}', 400),
        (b'{"userName":"a","bioDescription":"b"}', 200),
        (b'{"score":0.1000000000000000055511151231257827}', 400),
        (b'{"score":0.1}', 200),
        (b'{"score":NaN}', 400),
        (b'{"score":null}', 200),
        (b'{"score":' + b"[" * 64 + b"]" * 64 + b"}", 400),
        (b'{"score":' + b"[" * 63 + b"]" * 63 + b"}", 200),
        (rb'{"userName":"\ud800"}', 400),
        (rb'{"userName":"\ud83d\ude00"}', 200),
        (b'{"score":123456789012345678901234567890}', 200),
        (b"", 400),
        (b"{}", 200),
        (b"[]", 400),
    ],
)
def test_record_is_kept_exactly_or_refused(stage: Stage, body: bytes, status: int) -> None:
    path = "/v1/records/profile/exact/self"
    assert stage.request("PUT", path, params=SERVE, content=b'{"userName":"first"}').status_code in (200, 201)

    assert stage.request("PUT", path, params=SERVE, content=body).status_code in (
        {200, 201} if status == 200 else {400}
    )

    kept = stage.request("GET", path, params=SERVE).json()["fields"]
    assert kept == (json.loads(body) if status == 200 else {"userName": "first"})


def test_request_id_is_held_to_its_limit(stage: Stage) -> None:
    def write(request_id: str) -> int:
        item = {"user": "ida", "dataset": "profile", "record": "self", "fields": {"userName": "ida"}}
        body = {"purpose": "serve_user", "items": [item], "request_id": request_id}
        return stage.request("POST", "/v1/write", json=body).status_code

    assert write("x" * 200) == 200
    assert write("x" * 201) == 400
    assert write("é" * 100) == 200
    assert write("é" * 101) == 400


@pytest.mark.parametrize("name", ["parent", "app"])
def test_list_does_not_tell_a_user_without_records_from_nobody(stage: Stage, name: str) -> None:
    user = f"lea of {name}"
    stage.request("PUT", f"/v1/records/autofill/{user}/self", params=SERVE, content=b'{"PhoneNumber":"+12025550143"}')
    asked = {"purpose": "show_public_content" if name == "parent" else "serve_user"}
    known, unknown = (
        stage.request("GET", f"/v1/records/posts/{of}", name=name, params=asked) for of in (user, "nobody-at-all")
    )
    assert (known.status_code, known.json()) == (200, {"records": [], "after": ""})
    assert (unknown.status_code, unknown.json()) == (200, {"records": [], "after": ""})
    assert set(known.headers) == set(unknown.headers)
    stage.request("PUT", f"/v1/records/posts/{user}/one", params=SERVE, content=b'{"WhoCanView":"Everyone"}')
    filled = stage.request("GET", f"/v1/records/posts/{user}", name=name, params=asked)
    assert [record["record"] for record in filled.json()["records"]] == ["one"]


def test_receipt_that_was_made_up_is_the_callers_fault_and_raises_no_alarm(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    answer = stage.request("PUT", "/v1/records/profile/rita/self", params=SERVE, content=b'{"userName":"rita"}')
    lane, n, position, digest = answer.headers["ringfence-receipt"].split("-")
    stage.sequence()
    assert stage.request("GET", f"/v1/receipts/{lane}-{n}-{position}-{digest}").status_code == 200
    for made_up in (f"{lane}-{n}-{position}-{'0' * 64}", f"{lane}-{n}-200-{digest}", f"{lane}-99999-0-{digest}"):
        assert stage.request("GET", f"/v1/receipts/{made_up}").status_code in (404, 503)
    assert problem(stage.request("GET", f"/v1/receipts/{lane}-{n}-{position}-{'0' * 64}")) == (404, "not-found")
    assert [record for record in caplog.records if record.levelname in ("ERROR", "CRITICAL")] == []


def test_body_over_its_limit_is_refused_by_name(stage: Stage) -> None:
    answer = stage.request("PUT", "/v1/records/profile/ada/big", params=SERVE, content=b" " * (8 * 1024 * 1024 + 1))
    assert problem(answer) == (413, "limit-exceeded")
    assert (answer.json()["limit"], answer.json()["value_max"]) == ("body_size_bytes_max", 8 * 1024 * 1024)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1"),
        ("GET", "/v1/"),
        ("GET", "/v1/records"),
        ("POST", "/v1/records/profile/ada/self"),
        ("GET", "/v1/read"),
        ("GET", "/v1/users/ada"),
        ("GET", "/v1/charter"),
        ("POST", "/healthz"),
        ("DELETE", "/checkpoint"),
        ("GET", "/trust.json"),
        ("GET", "/vault.db"),
        ("GET", "/tile/../trust.json"),
        ("GET", "/tile/%2e%2e/trust.json"),
        ("GET", "/../trust.json"),
        ("GET", "//etc/passwd"),
        ("GET", "/tile/entries/../../../keys/authority.key"),
    ],
)
def test_what_is_not_there_is_not_found(stage: Stage, method: str, path: str) -> None:
    assert problem(stage.request(method, path)) == (404, "not-found")


def test_process_that_should_not_serve_answers_only_what_is_public(stage: Stage) -> None:
    stage.reasons.append("batches are missing")
    try:
        answer = stage.request("GET", "/v1/records/profile/ada/self", params=SERVE)
        assert problem(answer) == (503, "unavailable")
        assert answer.headers["retry-after"] == "1"
        assert stage.request("GET", "/readyz").status_code == 503
        assert stage.request("GET", "/healthz").status_code == 200
    finally:
        stage.reasons.clear()
    assert stage.request("GET", "/v1/records/profile/ada/self", params=SERVE).status_code == 200


@pytest.mark.parametrize(
    ("error", "status", "told"),
    [
        (IntegrityError("row 7 of /srv/vault.db", hint="look at /srv"), 500, False),
        (ZeroDivisionError("inner /srv/vault.db"), 500, False),
        (KeyError("/srv/vault.db"), 500, False),
        (UnavailableError("try /srv/vault.db later"), 503, True),
    ],
)
def test_inner_words_stay_in_the_operators_log(
    stage: Stage,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
    status: int,
    told: bool,
) -> None:
    async def fail(*arguments: Any, **options: Any) -> Any:
        raise error

    monkeypatch.setattr(application, "read_record", fail)
    with caplog.at_level(logging.ERROR, logger="ringfence.gateway"):
        answer = stage.request("GET", "/v1/records/profile/ada/self", params=SERVE)

    assert answer.status_code == status
    assert ("/srv" in answer.text) is told
    assert ("/srv/vault.db" in caplog.text) is not told


# -- anything ------------------------------------------------------------------------------------------------------

WORDS = st.sampled_from(
    "profile posts ada self serve_user user_request records users read write find export receipts v1 .. .".split()
)
PART = WORDS | st.text(max_size=12)
METHOD = st.sampled_from("GET PUT POST DELETE HEAD PATCH OPTIONS TRACE BREW".split())
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | PART,
    lambda children: st.lists(children, max_size=3) | st.dictionaries(PART, children, max_size=3),
    max_leaves=6,
)
ITEM = st.fixed_dictionaries({"user": PART, "dataset": PART, "record": PART}, optional={"fields": JSON, "x": JSON})
CALL = st.fixed_dictionaries(
    {"purpose": PART},
    optional={"items": st.lists(ITEM, max_size=3), "request_id": PART, "dataset": PART, "field": PART, "value": PART},
)
BODY = (
    st.binary(max_size=30)
    | JSON.map(lambda value: json.dumps(value).encode())
    | CALL.map(lambda value: json.dumps(value).encode())
)
PATH = st.one_of(
    st.lists(PART, max_size=6).map(lambda parts: "/v1/" + "/".join(quote(part, safe="") for part in parts)),
    st.tuples(st.sampled_from(["profile", "posts"]), PART, PART).map(
        lambda parts: "/v1/records/" + "/".join(quote(part, safe="") for part in parts)
    ),
    st.sampled_from(["/v1/read", "/v1/write", "/v1/find", "/v1/users/ada/export", "/checkpoint", "/tile/0/000", "/"]),
    PART.map(lambda part: "/v1/receipts/" + quote(part, safe="")),
    st.text("0123456789-abcdef", max_size=70).map(lambda text: "/v1/receipts/1-1-0" + text),
)
QUERY = st.dictionaries(
    st.sampled_from(["purpose", "after", "limit", "x"]) | PART, PART | st.integers().map(str), max_size=3
)
HEADERS = st.dictionaries(
    st.sampled_from(["x-forwarded-for", "idempotency-key", "content-type", "content-length", "expect", "host"]),
    st.text("abc0123456789.:,= ", max_size=20),
    max_size=2,
)


@given(
    method=METHOD,
    path=PATH,
    query=QUERY,
    headers=HEADERS,
    body=BODY,
    name=st.sampled_from(["app", "staff", "overseer"]),
)
def test_any_request_of_a_client_is_answered_without_a_failure(
    stage: Stage, method: str, path: str, query: dict[str, str], headers: dict[str, str], body: bytes, name: str
) -> None:
    answer = stage.request(
        method, path, params={"purpose": "serve_user"} | query, headers=headers, content=body, name=name
    )

    assert answer.status_code in {200, 201, 400, 403, 404, 409, 413}, answer.text
    if answer.status_code >= 400 and method != "HEAD":
        assert answer.json()["status"] == answer.status_code


@given(
    method=METHOD | st.text(max_size=5),
    path=st.binary(max_size=40) | st.text("v1/records%2fe.. profile", max_size=40).map(str.encode),
    query=st.binary(max_size=40),
    headers=st.lists(
        st.tuples(st.sampled_from([b"authorization", b"x-forwarded-for", b"idempotency-key"]), st.binary(max_size=20)),
        max_size=3,
    ),
    body=st.binary(max_size=20),
    known=st.booleans(),
)
def test_any_bytes_are_answered_without_a_failure(
    stage: Stage, method: str, path: bytes, query: bytes, headers: list[tuple[bytes, bytes]], body: bytes, known: bool
) -> None:
    if known:
        headers = [
            (b"authorization", b"Bearer " + stage.tokens["app"].encode()),
            *(h for h in headers if h[0] != b"authorization"),
        ]
    for prefix in (b"", b"/v1/", b"/v1/records/profile/ada/"):
        status = stage.raw(method, prefix + path, query, headers, body)
        assert status in ({200, 201, 400, 403, 404, 413} if known else {200, 401, 404})


def test_after_all_of_it_the_application_still_serves(stage: Stage) -> None:
    assert stage.request("PUT", "/v1/records/profile/last/self", params=SERVE, json=PROFILE).status_code == 201
    assert stage.request("GET", "/v1/records/profile/last/self", params=SERVE).json()["fields"] == PROFILE
