"""Errors as answers: one status for each kind, and nothing of the inner workings in them."""

from __future__ import annotations

import json

import pytest

from ringfence.core import errors
from ringfence.core.errors import RingfenceError
from ringfence.gateway.problems import STATUS, render_problem

SECRET = "/srv/keys/kek-1.key of 198.51.100.7"
CASES: list[tuple[RingfenceError, int, str]] = [
    (errors.UnauthenticatedError("m", hint="h"), 401, "unauthenticated"),
    (errors.DeniedError("m", clause="c", could_ask=["a"], receipt="r"), 403, "denied"),
    (errors.NotFoundError("m", hint="h"), 404, "not-found"),
    (errors.ConflictError("m", hint="h"), 409, "conflict"),
    (errors.LimitExceededError("m", limit="l", value_max=7, hint="h"), 413, "limit-exceeded"),
    (errors.InvalidInputError("m", place="p", hint="h"), 400, "invalid-input"),
    (errors.FileInvalidError("the file", []), 400, "invalid-input"),
    (errors.CharterInvalidError([]), 400, "invalid-input"),
    (errors.PeopleInvalidError([], count=0), 400, "invalid-input"),
    (errors.CallerError("m"), 400, "invalid-input"),
    (errors.UnavailableError("m", hint="h"), 503, "unavailable"),
    (errors.DeviceError(SECRET, hint=SECRET), 500, "device"),
    (errors.ConfigurationError(SECRET, hint=SECRET), 500, "device"),
    (errors.IntegrityError(SECRET, place=SECRET, hint=SECRET), 500, "device"),
    (errors.RollbackError(SECRET, hint=SECRET), 500, "device"),
    (errors.ProofInvalidError(SECRET, place=SECRET, expected=SECRET, found=SECRET), 500, "internal"),
    (RingfenceError(SECRET, hint=SECRET), 500, "internal"),
]


@pytest.mark.parametrize(("error", "status", "name"), CASES, ids=lambda value: type(value).__name__)
def test_each_kind_of_error_has_its_status(error: RingfenceError, status: int, name: str) -> None:
    told, body = render_problem(error)
    problem = json.loads(body)

    assert (told, problem["status"], problem["type"]) == (status, status, f"urn:ringfence:problem:{name}")
    assert problem["title"]
    assert problem["detail"]


def test_every_kind_of_error_of_the_tree_has_a_case_here() -> None:
    def kinds(kind: type[RingfenceError]) -> set[type[RingfenceError]]:
        return {kind}.union(*map(kinds, kind.__subclasses__()))

    ours = {kind for kind in kinds(RingfenceError) if kind.__module__ == errors.__name__}
    assert {type(error) for error, _, _ in CASES} == ours


def test_kind_stands_before_the_kinds_it_belongs_to() -> None:
    for place, (kind, _, _) in enumerate(STATUS):
        assert not any(issubclass(later, kind) for later, _, _ in STATUS[place + 1 :]), kind


@pytest.mark.parametrize(
    "error", [error for error, status, _ in CASES if status == 500], ids=lambda e: type(e).__name__
)
def test_fault_of_a_device_is_told_without_its_inner_workings(error: RingfenceError) -> None:
    _, body = render_problem(error)

    assert SECRET not in body.decode()
    assert set(json.loads(body)) == {"type", "title", "status", "detail"}


def test_caller_is_told_what_to_do() -> None:
    by_kind = {type(error): json.loads(render_problem(error)[1]) for error, _, _ in CASES}

    assert (
        by_kind[errors.DeniedError] | {"clause": "c", "could_ask": ["a"], "receipt": "r"} == by_kind[errors.DeniedError]
    )
    assert (by_kind[errors.InvalidInputError]["place"], by_kind[errors.InvalidInputError]["hint"]) == ("p", "h")
    limit = by_kind[errors.LimitExceededError]
    assert (limit["limit"], limit["value_max"], limit["hint"]) == ("l", 7, "h")
    assert by_kind[errors.UnavailableError]["detail"] == "m"
