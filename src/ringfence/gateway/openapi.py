"""The OpenAPI document of the gateway's calls: the same facts as the routes in `application`, for tools."""

from __future__ import annotations

import importlib.metadata
from typing import Any, Final

import msgspec

from ringfence.gateway.http import BODY_SIZE_BYTES_MAX
from ringfence.services.custody.batch_reading import ITEMS_PER_BATCH_MAX
from ringfence.services.custody.listing import PAGE_RECORDS_MAX

_TEXT: Final = {"type": "string"}
_PURPOSE: Final = {
    "name": "purpose",
    "in": "query",
    "required": True,
    "schema": _TEXT,
    "description": "A purpose of the charter's vocabulary.",
}
_GRANT: Final = {
    "name": "ringfence-grant",
    "in": "header",
    "schema": {"type": "integer", "minimum": 1},
    "description": "Number of the grant that the call rests on, where a clause of the charter needs one.",
}
_RECEIPT: Final = {
    "ringfence-receipt": {
        "description": "Where the entry stands that was durable before this answer: lane-batch-position-hash.",
        "schema": _TEXT,
    }
}
_PROBLEMS: Final = {
    "400": "The request is malformed; `place` says where.",
    "401": "No valid token of a registered caller.",
    "403": "No clause of the charter permits it; `could_ask` says what would be.",
    "404": "Nothing is there that this caller may know of.",
    "408": "The request did not come whole in time.",
    "409": "The request_id was used for another request, or a race was lost.",
    "413": "A named limit was passed.",
    "429": "This address holds too many connections.",
    "431": "The request's line and headers are too large.",
    "500": "Stored data or a device is wrong; nothing was given.",
    "503": "Nothing was given; try again later.",
}


def openapi_document() -> bytes:
    """Give the document as JSON (OpenAPI 3.1)."""
    return msgspec.json.encode(
        {
            "openapi": "3.1.0",
            "info": {
                "title": "Ringfence gateway",
                "version": importlib.metadata.version("ringfence"),
                "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
                "description": "Every answer has its ledger entry first. Bodies hold at most "
                f"{BODY_SIZE_BYTES_MAX} bytes.",
            },
            "security": [{"bearer": []}],
            "paths": _paths(),
            "components": {
                "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
                "schemas": _schemas(),
            },
        }
    )


def _paths() -> dict[str, Any]:
    record, user = _path_names("dataset", "user", "record"), _path_names("user")
    after = {"name": "after", "in": "query", "schema": _TEXT, "description": "Cursor from the page before."}
    limit = {"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": PAGE_RECORDS_MAX}}
    request_id = {"name": "idempotency-key", "in": "header", "schema": _TEXT, "description": "Makes a retry safe."}
    return {
        "/v1/records/{dataset}/{user}/{record}": {
            "get": _call("Read one record", [*record, _PURPOSE], answer=_reference("Record")),
            "put": _call(
                "Store one record",
                [*record, _PURPOSE, request_id],
                body={"type": "object", "description": "The record's fields."},
                answer=_reference("Stored"),
                created=True,
            ),
        },
        "/v1/records/{dataset}/{user}": {
            "get": _call(
                "A page of a user's records",
                [*_path_names("dataset", "user"), _PURPOSE, after, limit],
                answer=_object(records=_list(_reference("Record")), after=_TEXT),
            )
        },
        "/v1/read": {"post": _call("Read several records", [], body=_reference("ReadMany"), answer=_many())},
        "/v1/write": {
            "post": _call("Store several records", [], body=_reference("WriteMany"), answer=_reference("StoredMany"))
        },
        "/v1/find": {"post": _call("Look users up", [], body=_reference("Find"), answer=_object(users=_list(_TEXT)))},
        "/v1/users/{user}": {
            "delete": _call("Erase a user", [*user, _PURPOSE], answer=_reference("Erased")),
        },
        "/v1/users/{user}/export": {
            "get": _call(
                "All of a user's records, one JSON object a line; the last line has `complete` and the receipts",
                [*user, _PURPOSE],
                media="application/x-ndjson",
                receipt=False,
            )
        },
        "/v1/receipts/{receipt}": {
            "get": _call("An inclusion proof (tlog-proof)", _path_names("receipt"), media="text/plain", receipt=False)
        },
        "/healthz": {"get": _public("Whether the process lives")},
        "/readyz": {"get": _public("Whether it should get requests", refusal="503", answer=_reference("Readiness"))},
        "/openapi.json": {"get": _public("This document")},
        "/checkpoint": {"get": _public("The newest signed checkpoint", media="text/plain", problem="404")},
        "/vkey": {"get": _public("The ledger's key: pin it from elsewhere", media="text/plain", problem="404")},
        "/tile/{path}": {"get": _file("A tile of the public ledger; the path has slashes", "path")},
        "/blobs/{digest}": {"get": _file("A charter that a rule of the ledger names by its SHA-256", "digest")},
    }


def _many() -> dict[str, Any]:
    return _object(records=_list({"anyOf": [_reference("Record"), {"type": "null"}]}))


def _schemas() -> dict[str, Any]:
    name = {"user": _TEXT, "dataset": _TEXT, "record": _TEXT}
    fields = {"type": "object"}
    items_max = {"maxItems": ITEMS_PER_BATCH_MAX, "minItems": 1}
    return {
        "Record": _object(record=_TEXT, classes=_list(_TEXT), fields=fields),
        "Stored": _object(version={"type": "integer"}, repeated={"type": "boolean"}),
        "StoredMany": _object(versions=_list({"type": "integer"}), repeated={"type": "boolean"}),
        "Erased": _object(refused_from_ms={"type": "integer"}, epoch={"type": "integer"}, shredded={"type": "boolean"}),
        "ReadMany": _exact(purpose=_TEXT, items={**_list(_exact(**name)), **items_max}),
        "WriteMany": {
            **_exact(purpose=_TEXT, items={**_list(_exact(**name, fields=fields)), **items_max}, request_id=_TEXT),
            "required": ["purpose", "items"],
        },
        "Find": _exact(purpose=_TEXT, dataset=_TEXT, field=_TEXT, value=_TEXT),
        "Readiness": _exact(
            status={"enum": ["ready", "not ready"]},
            reasons={**_list(_TEXT), "description": "Why it should get no requests."},
            notes={**_list(_TEXT), "description": "What its operator should know although it serves."},
        ),
        "Problem": {
            "type": "object",
            "description": "Problem details, RFC 9457.",
            "required": ["type", "title", "status", "detail"],
            "properties": {
                **dict.fromkeys(("type", "title", "detail", "hint", "place", "clause", "receipt", "limit"), _TEXT),
                "status": {"type": "integer"},
                "value_max": {"type": "integer"},
                "could_ask": _list(_TEXT),
            },
        },
    }


def _call(
    summary: str,
    parameters: list[dict[str, Any]],
    *,
    body: dict[str, Any] | None = None,
    answer: dict[str, Any] | None = None,
    media: str = "application/json",
    created: bool = False,
    receipt: bool = True,
) -> dict[str, Any]:
    done: dict[str, Any] = {"description": "Done.", "content": {media: {"schema": answer or _TEXT}}}
    if receipt:
        done["headers"] = _RECEIPT
    responses = {"200": done, **({"201": done} if created else {})}
    responses |= {code: _problem(code) for code in _PROBLEMS}
    call: dict[str, Any] = {"summary": summary, "parameters": [*parameters, _GRANT], "responses": responses}
    if body is not None:
        call["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
    return call


def _problem(code: str) -> dict[str, Any]:
    content = {"application/problem+json": {"schema": _reference("Problem")}}
    return {"description": _PROBLEMS[code], "content": content}


def _public(
    summary: str,
    *,
    media: str = "application/json",
    refusal: str = "",
    problem: str = "",
    answer: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Give a call that needs no token; `refusal` answers in the same form as 200 does, `problem` as a problem."""
    schema: dict[str, Any] = answer or ({"type": "object"} if media == "application/json" else _TEXT)
    done = {"description": "Done.", "content": {media: {"schema": schema}}}
    responses = {"200": done}
    if refusal:
        responses[refusal] = {**done, "description": "Not now; the body says why."}
    if problem:
        responses[problem] = _problem(problem)
    return {"summary": summary, "security": [], "responses": responses}


def _file(summary: str, name: str) -> dict[str, Any]:
    call = _public(summary, media="application/octet-stream", problem="404")
    return {**call, "parameters": _path_names(name)}


def _path_names(*names: str) -> list[dict[str, Any]]:
    return [{"name": name, "in": "path", "required": True, "schema": _TEXT} for name in names]


def _reference(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(properties), "properties": properties}


def _exact(**properties: Any) -> dict[str, Any]:
    """Give an object that may have no other members."""
    return {**_object(**properties), "additionalProperties": False}


def _list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}
