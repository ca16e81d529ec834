"""The OpenAPI document is valid and true: it names every call, and what the application answers is what it says."""

from __future__ import annotations

import inspect
import json
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import validate

from ringfence.core import changes as c
from ringfence.core.governance.statement import APPROVE, DECLINE, ORDER, PROPOSE
from ringfence.gateway import application
from ringfence.gateway.bodies import Find, ReadMany, WriteMany
from ringfence.gateway.openapi import openapi_document
from ringfence.services.custody.opening import RecordName
from ringfence.services.custody.writing import WriteItem
from tests.gateway.asgi import Stage, open_stage
from tests.gateway.governed_gateway import make_gateway
from tests.gateway.issuers import claims, sign
from tests.governed import a_grant
from tests.governed import sign as sign_as
from tests.services.governed_world import GovernedWorld, found_deployment, in_governed_world

DOCUMENT: dict[str, Any] = json.loads(openapi_document())
SERVE = {"purpose": "serve_user"}
HELP = {"purpose": "user_request"}
PROFILE = {"userName": "ada"}
NAME = {"user": "ada", "dataset": "profile", "record": "self"}
NOBODY = "1-1-0-" + "0" * 64


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """An open application with two users and a request id that is taken, all of it under a checkpoint."""
    with open_stage(tmp_path_factory.mktemp("openapi") / "deployment") as opened:
        for user in ("ada", "eve"):
            items = [{**NAME, "user": user, "fields": PROFILE}]
            body = {**SERVE, "items": items, "request_id": "taken" if user == "ada" else ""}
            assert opened.request("POST", "/v1/write", json=body).status_code == 200
        opened.sequence()
        yield opened


class Call(NamedTuple):
    """A request: the path as the document has it, what stands in it, what else is sent, and the answer's status."""

    path: str
    method: str
    names: dict[str, str]
    status: int
    options: dict[str, Any] = {}  # noqa: RUF012 - a tuple's default, never changed


RECORD, MANY = "/v1/records/{dataset}/{user}/{record}", {"purpose": "serve_user", "items": [NAME]}
SEARCH = {"purpose": "serve_user", "dataset": "profile", "field": "emailAddress", "value": "a@example.com"}
WRITE = {"purpose": "serve_user", "items": [{**NAME, "fields": PROFILE}]}
OTHER = {"purpose": "serve_user", "items": [{**NAME, "fields": {}}]}
CALLS = [
    Call(RECORD, "get", NAME, 200, {"params": SERVE}),
    Call(RECORD, "get", NAME, 400, {"params": {"purpose": "none"}}),
    Call(RECORD, "get", NAME, 401, {"params": SERVE, "headers": {"authorization": "Bearer no"}}),
    Call(RECORD, "get", NAME, 403, {"params": SERVE, "name": "parent"}),
    Call(RECORD, "get", {**NAME, "user": "nobody"}, 404, {"params": SERVE}),
    Call(RECORD, "put", {**NAME, "record": "x"}, 201, {"params": SERVE, "json": PROFILE}),
    Call(RECORD, "put", NAME, 200, {"params": SERVE, "json": PROFILE}),
    Call(RECORD, "put", NAME, 400, {"params": SERVE, "json": []}),
    Call("/v1/records/{dataset}/{user}", "get", NAME, 200, {"params": SERVE}),
    Call("/v1/records/{dataset}/{user}", "get", NAME, 413, {"params": {**SERVE, "limit": "1001"}}),
    Call("/v1/read", "post", {}, 200, {"json": {"purpose": "rank_feeds", "items": [NAME, {**NAME, "user": "nobody"}]}}),
    Call("/v1/read", "post", {}, 400, {"json": {**MANY, "more": 1}}),
    Call("/v1/read", "post", {}, 413, {"json": {**MANY, "items": []}}),
    Call("/v1/write", "post", {}, 200, {"json": {**WRITE, "request_id": "one"}}),
    Call("/v1/write", "post", {}, 409, {"json": {**OTHER, "request_id": "taken"}}),
    Call("/v1/find", "post", {}, 200, {"json": SEARCH}),
    Call("/v1/find", "post", {}, 400, {"json": {**SEARCH, "field": "bioDescription"}}),
    Call("/v1/users/{user}/export", "get", NAME, 200, {"params": HELP}),
    Call("/v1/users/{user}/export", "get", NAME, 403, {"params": HELP, "name": "parent"}),
    Call("/v1/users/{user}", "delete", {"user": "nobody"}, 404, {"params": HELP}),
    Call("/v1/users/{user}", "delete", {"user": "eve"}, 200, {"params": HELP}),
    Call("/v1/receipts/{receipt}", "get", {"receipt": NOBODY}, 404),
    Call("/v1/receipts/{receipt}", "get", {"receipt": "none"}, 400),
    Call("/healthz", "get", {}, 200),
    Call("/readyz", "get", {}, 200),
    Call("/openapi.json", "get", {}, 200),
    Call("/checkpoint", "get", {}, 200),
    Call("/vkey", "get", {}, 200),
    Call("/tile/{path}", "get", {"path": "0/000"}, 404),
    Call("/blobs/{digest}", "get", {"digest": "0" * 64}, 404),
]


def check_answer(answer: httpx.Response, call: Call) -> None:
    """Hold an answer against what the document says of its call and status."""
    said = DOCUMENT["paths"][call.path][call.method]["responses"]
    assert answer.status_code == call.status, answer.text
    assert str(call.status) in said
    response = said[str(call.status)]
    assert set(response.get("headers", {})) <= set(answer.headers)
    media = answer.headers["content-type"].partition(";")[0]
    schema = response["content"][media]["schema"]
    value = answer.json() if media.endswith("json") and "ndjson" not in media else answer.text
    OAS31Validator({**schema, "components": DOCUMENT["components"]}).validate(value)


def test_document_is_valid_openapi() -> None:
    validate(DOCUMENT)


def test_document_without_its_paths_is_not_valid() -> None:
    document = json.loads(openapi_document())
    document["paths"]["/v1/find"]["post"].pop("responses")
    document.pop("info")

    with pytest.raises(Exception, match="info"):
        validate(document)


@pytest.mark.parametrize("call", CALLS, ids=lambda call: f"{call.method} {call.path} {call.status}")
def test_answer_is_as_the_document_says(stage: Stage, call: Call) -> None:
    check_answer(stage.request(call.method.upper(), call.path.format(**call.names), **call.options), call)


def test_file_of_the_tree_and_proof_are_as_the_document_says(stage: Stage) -> None:
    written = stage.request("PUT", "/v1/records/profile/bob/self", params=SERVE, json=PROFILE)
    stage.sequence()
    tile = next((stage.deployment.ledger / "tile" / "0").rglob("*.p/*")).relative_to(stage.deployment.ledger / "tile")
    blob = next((stage.deployment.ledger / "blobs").iterdir()).name

    for call in (
        Call("/v1/receipts/{receipt}", "get", {"receipt": written.headers["ringfence-receipt"]}, 200),
        Call("/tile/{path}", "get", {"path": str(tile)}, 200),
        Call("/blobs/{digest}", "get", {"digest": blob}, 200),
    ):
        check_answer(stage.request("GET", call.path.format(**call.names)), call)


def test_process_that_should_not_serve_answers_as_the_document_says(stage: Stage) -> None:
    stage.reasons.append("batches are missing")
    try:
        check_answer(stage.request("GET", "/readyz"), Call("/readyz", "get", {}, 503))
        answer = stage.request("GET", "/v1/records/profile/ada/self", params=SERVE)
        check_answer(answer, Call(RECORD, "get", NAME, 503))
    finally:
        stage.reasons.clear()


# -- governance --------------------------------------------------------------------------------------------------------

STEP = "/v1/proposals/{number}"
GOVERNANCE_CALLS = [
    Call("/v1/governance", "get", {}, 200),
    Call("/v1/proposals", "post", {}, 201, {"json": "a proposal"}),
    Call("/v1/proposals", "post", {}, 400, {"json": {"statement": "x"}}),
    Call("/v1/proposals", "get", {}, 200),
    Call(f"{STEP}/statement", "get", {"number": "1"}, 200),
    Call(f"{STEP}/statement", "get", {"number": "99"}, 404),
    Call(f"{STEP}/approvals", "post", {"number": "1"}, 201, {"json": "ada"}),
    Call(f"{STEP}/approvals", "post", {"number": "1"}, 409, {"json": "eve"}),
    Call(f"{STEP}/carry", "post", {"number": "1"}, 409),
    Call(f"{STEP}/declines", "post", {"number": "1"}, 201, {"json": "ben"}),
    Call("/v1/orders", "post", {}, 201, {"json": "an order"}),
    Call("/v1/orders", "post", {}, 403, {"json": "a stranger's order"}),
    Call("/v1/subjects", "post", {}, 200, {"json": {"users": ["ann"]}}),
    Call("/v1/subjects", "post", {}, 413, {"json": {"users": ["ann"] * 101}}),
    Call("/v1/grants", "get", {}, 200),
]


def test_calls_of_governance_are_as_the_document_says(tmp_path: Path) -> None:
    deployment = found_deployment(tmp_path / "deployment")

    async def call_all(world: GovernedWorld) -> None:
        await world.store_user("ann")
        grant = await world.give()
        proposal = world.statement("eve", a_grant())
        order = world.statement("ada", c.RevokeGrant(grant=grant))
        bodies = {
            "a proposal": signed(proposal, "eve", PROPOSE),
            "ada": {"signature": signed(proposal, "ada", APPROVE)["signature"]},
            "eve": {"signature": signed(proposal, "eve", APPROVE)["signature"]},
            "ben": {"signature": signed(proposal, "ben", DECLINE)["signature"]},
            "an order": signed(order, "ada", ORDER),
            "a stranger's order": signed(world.statement("ada", c.RevokeKey(key=1)), "nobody", ORDER),
        }
        transport = httpx.ASGITransport(app=make_gateway(world), client=("127.0.0.1", 9))  # type: ignore[arg-type]
        headers = {"authorization": sign(claims(sub="eve")).decode()}
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway.example", headers=headers) as client:
            for one in GOVERNANCE_CALLS:
                sent = one.options.get("json")
                path = one.path.format(number=2) if one.names.get("number") == "1" else one.path.format(**one.names)
                options = {"json": bodies[sent] if isinstance(sent, str) else sent} if sent else {}
                check_answer(await client.request(one.method.upper(), path, **options), one)

    in_governed_world(deployment, call_all)


def signed(statement: bytes, name: str, namespace: str) -> dict[str, str]:
    """Give a body with a statement and somebody's signature over it."""
    signature = sign_as(name, statement, namespace)
    return {"statement": b64encode(statement).decode(), "signature": b64encode(signature).decode()}


def test_answer_that_is_not_as_the_document_says_would_be_noticed() -> None:
    request = httpx.Request("GET", "http://gateway.example")
    good = {"record": "self", "classes": [], "fields": {}}
    headers = {"ringfence-receipt": "1"}
    call = Call(RECORD, "get", NAME, 200)
    check_answer(httpx.Response(200, json=good, headers=headers, request=request), call)

    for wrong in (
        httpx.Response(200, json={**good, "classes": "all"}, headers=headers, request=request),
        httpx.Response(200, json=good, request=request),
        httpx.Response(200, text="{}", headers=headers, request=request),
    ):
        with pytest.raises(Exception, match=r"classes|array|headers|text/plain|<="):
            check_answer(wrong, call)


def test_every_call_of_the_document_is_tried_here() -> None:
    tried = {(call.path, call.method) for call in (*CALLS, *GOVERNANCE_CALLS)}
    assert tried == {(path, method) for path, calls in DOCUMENT["paths"].items() for method in calls}


@pytest.mark.parametrize("word", ["records", "users", "export", "receipts", "read", "write", "find"])
def test_every_word_of_the_routes_is_in_the_document(word: str) -> None:
    assert f'"{word}"' in inspect.getsource(application)
    assert any(word in path.split("/") for path in DOCUMENT["paths"])


@pytest.mark.parametrize(("name", "kind"), [("ReadMany", ReadMany), ("WriteMany", WriteMany), ("Find", Find)])
def test_bodies_have_the_members_that_the_application_takes(name: str, kind: Any) -> None:
    schema = DOCUMENT["components"]["schemas"][name]
    assert set(schema["properties"]) == set(kind.__struct_fields__)
    assert schema["additionalProperties"] is False
    item = {"ReadMany": RecordName, "WriteMany": WriteItem}.get(name)
    if item is not None:
        assert set(schema["properties"]["items"]["items"]["properties"]) == set(item.__struct_fields__)
