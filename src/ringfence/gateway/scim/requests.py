"""What comes in by SCIM, read within limits: bodies, operations, queries, preconditions.

Rules of this file:
1. A body is one JSON object of which nothing gets lost: no name twice, in whatever case, for SCIM's names have none.
2. Every size and count has a limit, and the limit is told.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from scim2_models import Context, PatchOp, SearchRequest

from ringfence.core.errors import InvalidInputError, LimitExceededError
from ringfence.core.exact_json import parse_exact_json
from ringfence.gateway import http
from ringfence.gateway.http import Receive, Scope
from ringfence.gateway.scim.errors import ScimRefusedError, as_refusals

MEDIA_TYPE: Final = b"application/scim+json"
MEDIA_TYPES: Final = (MEDIA_TYPE, b"application/json")
BODY_SIZE_BYTES_MAX: Final = 64 * 1024
OPERATIONS_MAX: Final = 100
PATH_CHARACTERS_MAX: Final = 1_000
FILTER_CHARACTERS_MAX: Final = 2_000
ATTRIBUTES_MAX: Final = 50
RESULTS_MAX: Final = 200
RESULTS_USUAL: Final = 100
PLACE_DIGITS_MAX: Final = 9
_WHOLE_NUMBERS: Final = ("startIndex", "count")
_QUERY: Final = frozenset({"filter", "attributes", "excludedattributes", "startindex", "count"})
_UNSUPPORTED: Final = frozenset({"sortby", "sortorder", "cursor"})


async def read_object(scope: Scope, receive: Receive) -> dict[str, Any]:
    """Read a request's body: one JSON object.

    Raises:
        ScimRefusedError: it is of another media type, or no such object.
        LimitExceededError: it is too large.
    """
    media_type = http.header(scope, b"content-type").partition(b";")[0].strip().lower()
    if media_type not in MEDIA_TYPES:
        raise ScimRefusedError(
            "the body is of a media type that SCIM does not have",
            status=415,
            hint="send it as application/scim+json",
        )
    body = await http.read_body(receive, size_bytes_max=BODY_SIZE_BYTES_MAX)
    try:
        told = parse_exact_json(body)
    except InvalidInputError as error:
        raise ScimRefusedError(f"the body: {error.message}", scim_type="invalidSyntax", hint=error.hint) from None
    if not isinstance(told, dict):
        raise ScimRefusedError("the body is no JSON object", scim_type="invalidSyntax")
    _check_names(told)
    return told


def _check_names(value: Any) -> None:
    """Refuse a name that is there twice in other letters: of two values of `active` one would be lost."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            folded: dict[str, str] = {}
            for name in one:
                if folded.setdefault(name.casefold(), name) != name:
                    raise ScimRefusedError(
                        "the body has a name twice in one object, in other letters; SCIM's names have no case",
                        scim_type="invalidSyntax",
                    )
            waiting.extend(one.values())
        elif isinstance(one, list):
            waiting.extend(one)


def parse_resource(told: dict[str, Any], model: Any, *, replaces: bool) -> Any:
    """Give a resource that is to be created, or to replace one.

    Raises:
        ScimRefusedError: it is none.
    """
    context = Context.RESOURCE_REPLACEMENT_REQUEST if replaces else Context.RESOURCE_CREATION_REQUEST
    with as_refusals():
        return model.model_validate(told, scim_ctx=context)


def parse_patch(told: dict[str, Any], model: Any) -> Any:
    """Give the operations of a PATCH.

    Raises:
        ScimRefusedError: they are none.
        LimitExceededError: there are too many, or a path is too long.
    """
    operations = next((value for name, value in told.items() if name.casefold() == "operations"), None)
    if isinstance(operations, list):
        _check_limit(len(operations), "operations", OPERATIONS_MAX)
        for one in operations:
            paths = (value for name, value in one.items() if name.casefold() == "path") if isinstance(one, dict) else ()
            for path in paths:
                _check_limit(len(path) if isinstance(path, str) else 0, "path", PATH_CHARACTERS_MAX)
    with as_refusals():
        return PatchOp[model].model_validate(told, scim_ctx=Context.RESOURCE_PATCH_REQUEST)


def parse_query(scope: Scope, model: Any) -> SearchRequest[Any]:
    """Give what a query's parameters ask for.

    Raises:
        ScimRefusedError, InvalidInputError, LimitExceededError: they are none, or ask for what there is not.
    """
    asked: Mapping[str, str] = http.query(scope["query_string"])
    told: dict[str, Any] = {}
    for name, value in asked.items():
        if name in _WHOLE_NUMBERS:
            digits = value.removeprefix("-")
            if not digits.isascii() or not digits.isdigit() or len(digits) > PLACE_DIGITS_MAX:
                raise InvalidInputError(f"{name} is no whole number of up to {PLACE_DIGITS_MAX} digits", place=name)
            told[name] = int(value)
        else:
            told[name] = value
    return parse_search(told, model)


def parse_search(told: dict[str, Any], model: Any) -> SearchRequest[Any]:
    """Give what a search asks for; the errors are those of `parse_query`."""
    for name, value in told.items():
        folded = name.casefold()
        if folded in _UNSUPPORTED:
            raise ScimRefusedError(f"{name} is not supported", scim_type="invalidValue", hint="page by startIndex")
        if folded not in _QUERY and folded != "schemas":
            raise InvalidInputError(f"there is no parameter {name!r:.80}", place="query")
        if isinstance(value, str) and folded == "filter":
            _check_limit(len(value), "filter", FILTER_CHARACTERS_MAX)
        elif folded.endswith("attributes"):
            count = value.count(",") + 1 if isinstance(value, str) else len(value) if isinstance(value, list) else 0
            _check_limit(count, name, ATTRIBUTES_MAX)
    with as_refusals():
        return SearchRequest[model].model_validate(told, scim_ctx=Context.SEARCH_REQUEST)


def _check_limit(size: int, what: str, size_max: int) -> None:
    if size > size_max:
        raise LimitExceededError(
            f"{what} is longer than {size_max}", limit=f"{what.casefold()}_max", value_max=size_max
        )


def holds_for(condition: bytes, version: str) -> bool:
    """Tell whether `If-Match` or `If-None-Match` names an entity tag, compared weakly (RFC 9110, section 8.8.3.2)."""
    opaque = version.removeprefix("W/")
    named = [tag.strip().removeprefix("W/") for tag in condition.decode("latin-1").split(",")]
    return "*" in named or opaque in named
