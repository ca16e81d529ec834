"""The one tree of errors, split by who must act.

    RingfenceError
    ├── CallerError             the caller must change the request
    │   ├── InvalidInputError       the input is malformed: says where and what was expected
    │   │   └── FileInvalidError        every problem of a file at once
    │   │       ├── CharterInvalidError     of a charter
    │   │       └── PeopleInvalidError      of a file about people
    │   ├── UnauthenticatedError    no valid credential
    │   ├── DeniedError             the charter does not permit it: says which clause, and what could be asked
    │   ├── NotFoundError           nothing there that this caller may know of
    │   ├── ConflictError           the same request_id with another content, or a racing write
    │   └── LimitExceededError      a named limit was passed
    ├── DeviceError             the operator must act: disk, database, keys, configuration
    │   ├── UnavailableError        a device does not answer now; trying later may help
    │   ├── ConfigurationError      a file or setting is wrong: says which and how to mend it
    │   ├── IntegrityError          stored data is not what was written: row, key or ledger
    │   └── RollbackError           the database is older than what was already shown
    └── ProofInvalidError       whoever holds the evidence must act: it does not prove what it claims

Facts are attributes, never secrets or record contents. Exit codes live in `cli`, HTTP codes in one table in
`gateway`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class RingfenceError(Exception):
    """Root of every error that this program raises on purpose.

    Args:
        message: what happened and to what, in one sentence.
        hint: what to do about it, in one sentence; empty when the message already says it.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.place = ""

    def render(self) -> str:
        """Give what happened, and where, as one line; the hint is not in it."""
        return f"{self.place}: {self.message}" if self.place else self.message


class CallerError(RingfenceError):
    """The caller must change the request."""


class InvalidInputError(CallerError):
    """Input is malformed.

    Args:
        message: what was found and what was expected.
        place: where: a file with line and column, a JSON pointer, a parameter name.
    """

    def __init__(self, message: str, *, place: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.place = place


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in a file: where, what was found, what was expected.

    `line` and `column` count from 1; 0 means that the place is the whole file.
    """

    file: str
    line: int
    column: int
    found: str
    expected: str

    def render(self) -> str:
        """Give the problem as one line, in the form that editors jump to."""
        return f"{self.file}:{self.line}:{self.column}: found {self.found}; expected {self.expected}"


class FileInvalidError(InvalidInputError):
    """A file has problems, and nothing of it was taken; carries every one of them, in the order of the file.

    Args:
        what: what the file is, such as `the charter`.
        problems: those that are listed.
        count: how many there are, when some are left out of the list.
    """

    def __init__(self, what: str, problems: Sequence[Problem], *, count: int | None = None) -> None:
        count = len(problems) if count is None else count
        noun = "problem" if count == 1 else "problems"
        super().__init__(f"{what} has {count} {noun}", place=problems[0].file if problems else "")
        self.problems = tuple(problems)


class CharterInvalidError(FileInvalidError):
    """A charter has problems."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("the charter", problems)


class PeopleInvalidError(FileInvalidError):
    """A file about people has problems."""

    def __init__(self, problems: Sequence[Problem], *, count: int) -> None:
        super().__init__("the file about people", problems, count=count)


class UnauthenticatedError(CallerError):
    """No valid credential came with the request."""


class DeniedError(CallerError):
    """The charter does not permit what was asked.

    Args:
        clause: the clause that decided, or "" when no clause permits it.
        could_ask: what this caller could ask for instead, in words; may be empty.
        receipt: the receipt of the refusal's ledger entry, as text, when there is one.
    """

    def __init__(self, message: str, *, clause: str = "", could_ask: Sequence[str] = (), receipt: str = "") -> None:
        super().__init__(message)
        self.clause = clause
        self.could_ask = tuple(could_ask)
        self.receipt = receipt


class NotFoundError(CallerError):
    """Nothing is there that this caller may know of."""


class ConflictError(CallerError):
    """The request contradicts one that was already taken (same request_id, other content), or lost a race."""


class LimitExceededError(CallerError):
    """A named limit was passed.

    Args:
        limit: the limit's name.
        value_max: the largest value that is taken.
    """

    def __init__(self, message: str, *, limit: str, value_max: int, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.limit = limit
        self.value_max = value_max


class DeviceError(RingfenceError):
    """The operator must act on a disk, a database, a key or the configuration."""


class UnavailableError(DeviceError):
    """A device does not answer now; the same request may succeed later. Nothing was released."""


class ConfigurationError(DeviceError):
    """A file or a setting is wrong; the message names it and the hint says how to mend it."""


class IntegrityError(DeviceError):
    """Stored data is not what was written.

    Args:
        place: the row, key or ledger position.
    """

    def __init__(self, message: str, *, place: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.place = place


class RollbackError(DeviceError):
    """The database is older than a checkpoint that was already shown. Serving from it would rewrite history."""


class ProofInvalidError(RingfenceError):
    """Evidence does not prove what it claims.

    Args:
        place: file, leaf or field, such as `tile/entries/000 leaf 17`.
        expected: what would have been right, as text.
        found: what was there, as text.
    """

    def __init__(self, message: str, *, place: str = "", expected: str = "", found: str = "") -> None:
        super().__init__(message)
        self.place = place
        self.expected = expected
        self.found = found

    def render(self) -> str:
        """Give what is wrong, where, and what was expected and found, as one line."""
        facts = [f"{word} {text}" for word, text in (("expected", self.expected), ("found", self.found)) if text]
        return super().render() + (f" ({', '.join(facts)})" if facts else "")
