"""The OpenAPI document of the gateway's calls: the same facts as the routes in `application`, for tools."""

from __future__ import annotations

import importlib.metadata
from typing import Any, Final

import msgspec

from ringfence.gateway.http import BODY_SIZE_BYTES_MAX
from ringfence.gateway.openapi_governance import governance_paths, governance_schemas
from ringfence.gateway.openapi_parts import (
    TEXT,
    an_object,
    exact_object,
    file_call,
    gated_call,
    list_of,
    path_names,
    public_call,
    reference,
)
from ringfence.services.custody.listing import PAGE_RECORDS_MAX
from ringfence.services.custody.request import ITEMS_PER_BATCH_MAX

_PURPOSE: Final = {
    "name": "purpose",
    "in": "query",
    "required": True,
    "schema": TEXT,
    "description": "A purpose of the charter's vocabulary.",
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
            "paths": {**_paths(), **governance_paths()},
            "components": {
                "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
                "schemas": {**_schemas(), **governance_schemas()},
            },
        }
    )


def _paths() -> dict[str, Any]:
    record, user = path_names("dataset", "user", "record"), path_names("user")
    after = {"name": "after", "in": "query", "schema": TEXT, "description": "Cursor from the page before."}
    limit = {"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": PAGE_RECORDS_MAX}}
    request_id = {"name": "idempotency-key", "in": "header", "schema": TEXT, "description": "Makes a retry safe."}
    return {
        "/v1/records/{dataset}/{user}/{record}": {
            "get": gated_call("Read one record", [*record, _PURPOSE], answer=reference("Record")),
            "put": gated_call(
                "Store one record",
                [*record, _PURPOSE, request_id],
                body={"type": "object", "description": "The record's fields."},
                answer=reference("Stored"),
                created=True,
            ),
        },
        "/v1/records/{dataset}/{user}": {
            "get": gated_call(
                "A page of a user's records",
                [*path_names("dataset", "user"), _PURPOSE, after, limit],
                answer=an_object(records=list_of(reference("Record")), after=TEXT),
            )
        },
        "/v1/read": {"post": gated_call("Read several records", [], body=reference("ReadMany"), answer=_many())},
        "/v1/write": {
            "post": gated_call("Store several records", [], body=reference("WriteMany"), answer=reference("StoredMany"))
        },
        "/v1/find": {
            "post": gated_call("Look users up", [], body=reference("Find"), answer=an_object(users=list_of(TEXT)))
        },
        "/v1/users/{user}": {
            "delete": gated_call("Erase a user", [*user, _PURPOSE], answer=reference("Erased")),
        },
        "/v1/users/{user}/export": {
            "get": gated_call(
                "All of a user's records, one JSON object a line; the last line has `complete` and the receipts",
                [*user, _PURPOSE],
                media="application/x-ndjson",
                receipt=False,
            )
        },
        "/v1/receipts/{receipt}": {
            "get": gated_call(
                "An inclusion proof (tlog-proof)", path_names("receipt"), media="text/plain", receipt=False
            )
        },
        "/healthz": {"get": public_call("Whether the process lives")},
        "/readyz": {"get": public_call("Whether it should get requests", refusal="503", answer=reference("Readiness"))},
        "/openapi.json": {"get": public_call("This document")},
        "/checkpoint": {"get": public_call("The newest signed checkpoint", media="text/plain", problem="404")},
        "/vkey": {"get": public_call("The ledger's key: pin it from elsewhere", media="text/plain", problem="404")},
        "/tile/{path}": {"get": file_call("A tile of the public ledger; the path has slashes", "path")},
        "/blobs/{digest}": {"get": file_call("A charter that a rule of the ledger names by its SHA-256", "digest")},
    }


def _many() -> dict[str, Any]:
    return an_object(records=list_of({"anyOf": [reference("Record"), {"type": "null"}]}))


def _schemas() -> dict[str, Any]:
    name = {"user": TEXT, "dataset": TEXT, "record": TEXT}
    fields = {"type": "object"}
    items_max = {"maxItems": ITEMS_PER_BATCH_MAX, "minItems": 1}
    return {
        "Record": an_object(record=TEXT, classes=list_of(TEXT), fields=fields),
        "Stored": an_object(version={"type": "integer"}, repeated={"type": "boolean"}),
        "StoredMany": an_object(versions=list_of({"type": "integer"}), repeated={"type": "boolean"}),
        "Erased": an_object(
            refused_from_ms={"type": "integer"}, epoch={"type": "integer"}, shredded={"type": "boolean"}
        ),
        "ReadMany": exact_object(purpose=TEXT, items={**list_of(exact_object(**name)), **items_max}),
        "WriteMany": {
            **exact_object(
                purpose=TEXT, items={**list_of(exact_object(**name, fields=fields)), **items_max}, request_id=TEXT
            ),
            "required": ["purpose", "items"],
        },
        "Find": exact_object(purpose=TEXT, dataset=TEXT, field=TEXT, value=TEXT),
        "Readiness": exact_object(
            status={"enum": ["ready", "not ready"]},
            reasons={**list_of(TEXT), "description": "Why it should get no requests."},
            notes={**list_of(TEXT), "description": "What its operator should know although it serves."},
        ),
        "Problem": {
            "type": "object",
            "description": "Problem details, RFC 9457.",
            "required": ["type", "title", "status", "detail"],
            "properties": {
                **dict.fromkeys(("type", "title", "detail", "hint", "place", "clause", "receipt", "limit"), TEXT),
                "status": {"type": "integer"},
                "value_max": {"type": "integer"},
                "could_ask": list_of(TEXT),
            },
        },
    }
