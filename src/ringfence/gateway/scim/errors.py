"""Refusals as SCIM says them (RFC 7644, section 3.12): a status, a keyword, and the words of every error here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import msgspec
from pydantic import ValidationError
from scim2_models import Error, SCIMException

from ringfence.core.errors import CallerError, InvalidInputError
from ringfence.gateway.problems import render_failure

ERRORS_TOLD_MAX: Final = 5
DETAIL_CHARACTERS_MAX: Final = 2_000
ERROR_SCHEMA: Final = str(Error.__schema__)


class ScimRefusedError(CallerError):
    """A request that SCIM has a status and a keyword for.

    Args:
        status: HTTP status.
        scim_type: keyword of RFC 7644, section 3.12; "" for none.
        headers: to send with it.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        scim_type: str = "",
        hint: str = "",
        headers: tuple[tuple[bytes, bytes], ...] = (),
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.scim_type = scim_type
        self.headers = headers


@contextmanager
def as_refusals() -> Iterator[None]:
    """Turn what the SCIM library refuses in the block into refusals of ours.

    Raises:
        ScimRefusedError: says what was wrong, and never what was sent.
    """
    try:
        yield
    except SCIMException as error:
        raise ScimRefusedError(str(error), status=error.status, scim_type=error.scim_type) from None
    except ValidationError as error:
        told = Error.from_validation_errors(error.errors(include_url=False, include_input=False)[:ERRORS_TOLD_MAX])
        words = "; ".join(one.detail or "" for one in told)
        raise ScimRefusedError(words, status=told[0].status or 400, scim_type=told[0].scim_type or "") from None


def render_refusal(error: BaseException) -> tuple[int, bytes, tuple[tuple[bytes, bytes], ...]]:
    """Give status, body and headers for whatever ended a request."""
    if isinstance(error, ScimRefusedError):
        status, headers, scim_type = error.status, error.headers, error.scim_type
        words = f"{error.message} ({error.hint})" if error.hint else error.message
    else:
        status, problem, headers = render_failure(error)
        words = _words_of(problem)
        scim_type = "invalidValue" if isinstance(error, InvalidInputError) else ""
    body: dict[str, object] = {"schemas": [ERROR_SCHEMA], "status": str(status)}
    if scim_type:
        body["scimType"] = scim_type
    body["detail"] = words[:DETAIL_CHARACTERS_MAX]
    return status, msgspec.json.encode(body), headers


def _words_of(problem: bytes) -> str:
    """Give a problem's words: what happened, and what can be done."""
    told = msgspec.json.decode(problem)
    more = [told["hint"]] if told.get("hint") else list(told.get("could_ask", ()))
    return f"{told['detail']} ({'; '.join(more)})" if more else str(told["detail"])
