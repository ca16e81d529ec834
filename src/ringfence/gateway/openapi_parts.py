"""What the OpenAPI documents of the calls are put together from."""

from __future__ import annotations

from typing import Any, Final

TEXT: Final = {"type": "string"}
GRANT: Final = {
    "name": "ringfence-grant",
    "in": "header",
    "schema": {"type": "integer", "minimum": 1},
    "description": "Number of the grant that the call rests on, where a clause of the charter needs one.",
}
RECEIPT: Final = {
    "ringfence-receipt": {
        "description": "Where the entry stands that was durable before this answer: lane-batch-position-hash.",
        "schema": TEXT,
    }
}
PROBLEMS: Final = {
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


def gated_call(
    summary: str,
    parameters: list[dict[str, Any]],
    *,
    body: dict[str, Any] | None = None,
    answer: dict[str, Any] | None = None,
    media: str = "application/json",
    created: bool = False,
    receipt: bool = True,
    granted: bool = True,
) -> dict[str, Any]:
    """Give a call that needs a token.

    Args:
        created: it answers 201 as well, or instead.
        receipt: its answer names the entry that was durable before it.
        granted: it may rest on a grant.
    """
    done: dict[str, Any] = {"description": "Done.", "content": {media: {"schema": answer or TEXT}}}
    if receipt:
        done["headers"] = RECEIPT
    responses = {"200": done, **({"201": done} if created else {})}
    responses |= {code: problem_answer(code) for code in PROBLEMS}
    call: dict[str, Any] = {
        "summary": summary,
        "parameters": [*parameters, *([GRANT] if granted else [])],
        "responses": responses,
    }
    if body is not None:
        call["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
    return call


def problem_answer(code: str) -> dict[str, Any]:
    """Give an answer that is a problem."""
    content = {"application/problem+json": {"schema": reference("Problem")}}
    return {"description": PROBLEMS[code], "content": content}


def public_call(
    summary: str,
    *,
    media: str = "application/json",
    refusal: str = "",
    problem: str = "",
    answer: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Give a call that needs no token; `refusal` answers in the same form as 200 does, `problem` as a problem."""
    schema: dict[str, Any] = answer or ({"type": "object"} if media == "application/json" else TEXT)
    done = {"description": "Done.", "content": {media: {"schema": schema}}}
    responses = {"200": done}
    if refusal:
        responses[refusal] = {**done, "description": "Not now; the body says why."}
    if problem:
        responses[problem] = problem_answer(problem)
    return {"summary": summary, "security": [], "responses": responses}


def file_call(summary: str, name: str) -> dict[str, Any]:
    """Give a call for a file of the public tree."""
    call = public_call(summary, media="application/octet-stream", problem="404")
    return {**call, "parameters": path_names(name)}


def path_names(*names: str) -> list[dict[str, Any]]:
    """Give parameters that stand in the path."""
    return [{"name": name, "in": "path", "required": True, "schema": TEXT} for name in names]


def reference(name: str) -> dict[str, Any]:
    """Refer to a schema of the document."""
    return {"$ref": f"#/components/schemas/{name}"}


def an_object(**properties: Any) -> dict[str, Any]:
    """Give an object that has these members, and may have others."""
    return {"type": "object", "required": list(properties), "properties": properties}


def exact_object(**properties: Any) -> dict[str, Any]:
    """Give an object that may have no other members."""
    return {**an_object(**properties), "additionalProperties": False}


def list_of(items: dict[str, Any]) -> dict[str, Any]:
    """Give a list."""
    return {"type": "array", "items": items}
