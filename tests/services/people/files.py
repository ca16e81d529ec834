"""HR files for tests: rows of people, and what their reading gives."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Final

from ringfence.core.errors import PeopleInvalidError
from ringfence.core.people.register import EMPTY_REGISTER, Register
from ringfence.services.people.diff import Difference, read_people
from ringfence.services.people.values import COLUMNS

PARTIES: Final = ("app", "hoster", "keeper", "parent", "watch")
NOW_MS: Final = 1_750_000_000_000
HEADER: Final = ",".join(COLUMNS)


def row_of(reference: str, /, **values: str) -> dict[str, str]:
    """Give the row of a person without faults, but for what is told."""
    usual = {
        "name": f"Person {reference}",
        "employer": "keeper",
        "residence": "NO",
        "works_in": "NO",
        "team": "blue",
        "devices_of": "keeper",
        "starts": "2020-01-01",
    }
    return {"reference": reference, **usual, **values}


def file_of(*rows: dict[str, str], columns: Sequence[str] = COLUMNS) -> bytes:
    """Give a file of these rows."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, columns, restval="")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue().encode("utf-8", "surrogateescape")


def lines_of(*lines: str, header: str = HEADER) -> bytes:
    """Give a file of these lines, after a header."""
    return "\r\n".join([header, *lines, ""]).encode()


def read(data: bytes, register: Register = EMPTY_REGISTER, *, is_partial: bool = False) -> Difference:
    """Read a file against a register."""
    return read_people(
        data,
        file="hr.csv",
        parties=PARTIES,
        register=register,
        number_last=max(register.people, default=0),
        at_ms=NOW_MS,
        is_partial=is_partial,
    )


def problems_of(data: bytes, register: Register = EMPTY_REGISTER, *, is_partial: bool = False) -> list[str]:
    """Give the problems of a file, one line each; empty when it is taken."""
    try:
        read(data, register, is_partial=is_partial)
    except PeopleInvalidError as error:
        return [problem.render() for problem in error.problems]
    return []


def places_of(problems: Iterable[str]) -> list[str]:
    """Give line and column of problems, such as `2:7`."""
    return [":".join(problem.split(":")[1:3]) for problem in problems]
