"""An error as one line: where, what, and what was expected and found, each only when it is known."""

from __future__ import annotations

import pytest

from ringfence.core.errors import IntegrityError, InvalidInputError, ProofInvalidError, RingfenceError, UnavailableError


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (UnavailableError("the database does not answer", hint="start it"), "the database does not answer"),
        (InvalidInputError("not JSON", place="--fields"), "--fields: not JSON"),
        (IntegrityError("a row is gone", place="part 7"), "part 7: a row is gone"),
        (ProofInvalidError("another root"), "another root"),
        (ProofInvalidError("another root", place="tile/0/000"), "tile/0/000: another root"),
        (
            ProofInvalidError("a gap", place="lane 4", expected="batch 3", found="batch 5"),
            "lane 4: a gap (expected batch 3, found batch 5)",
        ),
        (ProofInvalidError("a gap", found="batch 5"), "a gap (found batch 5)"),
    ],
)
def test_error_says_its_place_and_facts_in_one_line(error: RingfenceError, line: str) -> None:
    assert error.render() == line
