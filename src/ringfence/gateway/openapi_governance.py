"""The calls of governance in the OpenAPI document: the same facts as `governance`, for tools.

`/scim/v2` describes itself, as RFC 7644 has it: `/ServiceProviderConfig`, `/ResourceTypes` and `/Schemas`.
"""

from __future__ import annotations

from typing import Any, Final

from ringfence.gateway.openapi_parts import TEXT, an_object, exact_object, gated_call, list_of, path_names, reference

_NUMBER: Final = {"type": "integer", "minimum": 0}
_FLAG: Final = {"type": "boolean"}
_BYTES: Final = {"type": "string", "contentEncoding": "base64"}
_ANY: Final = {"type": "object"}


def governance_paths() -> dict[str, Any]:
    """Give the paths."""
    number = path_names("number")
    done, signature = reference("Done"), reference("Signature")
    return {
        "/v1/governance": {"get": _call("What a statement is made with", answer=reference("Ground"))},
        "/v1/proposals": {
            "get": _call("The open proposals", answer=an_object(proposals=list_of(reference("Proposal")))),
            "post": _call("Propose a change", body=reference("Signed"), answer=done, created=True),
        },
        "/v1/proposals/{number}/statement": {
            "get": _call("The exact bytes of a proposal, to be signed", number, media="application/octet-stream")
        },
        "/v1/proposals/{number}/approvals": {
            "post": _call("Approve a proposal", number, body=signature, answer=done, created=True)
        },
        "/v1/proposals/{number}/declines": {
            "post": _call("Decline a proposal", number, body=signature, answer=done, created=True)
        },
        "/v1/proposals/{number}/carry": {
            "post": _call("Put a proposal in effect, once nothing is missing", number, answer=done)
        },
        "/v1/orders": {
            "post": _call(
                "Order a change that takes authority away", body=reference("Signed"), answer=done, created=True
            )
        },
        "/v1/subjects": {
            "post": _call(
                "The references of users, to limit a grant to them",
                body=exact_object(users={**list_of(TEXT), "maxItems": 100}),
                answer=an_object(subjects=list_of(TEXT)),
            )
        },
        "/v1/grants": {"get": _call("The caller's own grants", answer=an_object(grants=list_of(reference("Grant"))))},
    }


def governance_schemas() -> dict[str, Any]:
    """Give what the paths refer to."""
    return {
        "Ground": an_object(origin=TEXT, genesis=TEXT, epoch=_NUMBER, mode=TEXT, caller=_NUMBER),
        "Signed": {
            **exact_object(statement=_BYTES, signature=_BYTES, file=_BYTES),
            "required": ["statement", "signature"],
        },
        "Signature": exact_object(signature=_BYTES),
        "Done": an_object(epoch=_NUMBER, proposal=_NUMBER, number=_NUMBER, carried=_FLAG, waits_for=TEXT),
        "Proposal": an_object(
            number=_NUMBER,
            operation=TEXT,
            change=_ANY,
            by=_NUMBER,
            at_ms=_NUMBER,
            expires_ms=_NUMBER,
            approved_by=list_of(_NUMBER),
            waits_for=TEXT,
        ),
        "Grant": an_object(
            number=_NUMBER,
            grant=_ANY,
            given_ms=_NUMBER,
            until_ms=_NUMBER,
            ended=_FLAG,
            live=_FLAG,
            review_until_ms=_NUMBER,
            reviewed=_FLAG,
        ),
    }


def _call(summary: str, parameters: list[dict[str, Any]] | None = None, **told: Any) -> dict[str, Any]:
    return gated_call(summary, parameters or [], receipt=False, granted=False, **told)
