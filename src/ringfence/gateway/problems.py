"""Errors as HTTP answers: problem details (RFC 9457), one table of status codes."""

from __future__ import annotations

import logging
from typing import Final

import msgspec

from ringfence.core import errors
from ringfence.core.errors import RingfenceError

log = logging.getLogger("ringfence.gateway")
CONTENT_TYPE: Final = b"application/problem+json"
RETRY_AFTER_SECONDS: Final = 1

STATUS: Final[tuple[tuple[type[RingfenceError], int, str], ...]] = (
    (errors.UnauthenticatedError, 401, "unauthenticated"),
    (errors.DeniedError, 403, "denied"),
    (errors.NotFoundError, 404, "not-found"),
    (errors.ConflictError, 409, "conflict"),
    (errors.LimitExceededError, 413, "limit-exceeded"),
    (errors.InvalidInputError, 400, "invalid-input"),
    (errors.CallerError, 400, "invalid-input"),
    (errors.UnavailableError, 503, "unavailable"),
    (errors.DeviceError, 500, "device"),
    (RingfenceError, 500, "internal"),
)
"""First match wins, so a kind stands before the kinds it belongs to."""


def status_of(error: RingfenceError) -> tuple[int, str]:
    """Give the status code and the short name of an error's kind."""
    for kind, status, name in STATUS:
        if isinstance(error, kind):
            return status, name
    return 500, "internal"


def render_problem(error: RingfenceError) -> tuple[int, bytes]:
    """Give the status code and the body for an error. A device's inner workings stay in the operator's log."""
    status, name = status_of(error)
    problem: dict[str, object] = {
        "type": f"urn:ringfence:problem:{name}",
        "title": name.replace("-", " "),
        "status": status,
        "detail": error.message if status != 500 else "the service found its own data or devices to be wrong",
    }
    if error.hint and status != 500:
        problem["hint"] = error.hint
    if isinstance(error, errors.DeniedError):
        problem["clause"] = error.clause
        problem["could_ask"] = list(error.could_ask)
        problem["receipt"] = error.receipt
    if isinstance(error, errors.InvalidInputError) and error.place:
        problem["place"] = error.place
    if isinstance(error, errors.LimitExceededError):
        problem["limit"] = error.limit
        problem["value_max"] = error.value_max
    return status, msgspec.json.encode(problem)


def render_failure(error: BaseException) -> tuple[int, bytes, tuple[tuple[bytes, bytes], ...]]:
    """Give status, body and headers for whatever ended a request; what the operator must know goes into the log."""
    if not isinstance(error, RingfenceError):
        log.error("a request failed in a way that was not foreseen", exc_info=error)
        error = errors.DeviceError("internal")
    elif isinstance(error, errors.DeviceError) and not isinstance(error, errors.UnavailableError):
        log.error("%s: %s (%s)", type(error).__name__, error.message, error.hint)
    status, body = render_problem(error)
    headers: tuple[tuple[bytes, bytes], ...] = ()
    if status == 503:
        headers = ((b"retry-after", b"%d" % RETRY_AFTER_SECONDS),)
    elif status == 401:
        headers = ((b"www-authenticate", b"Bearer"),)
    return status, body, headers
