"""What can be told of a request before anything is decided: the charter knows its words, and its names are names."""

from __future__ import annotations

from typing import Final

from ringfence.core.charter import Dataset
from ringfence.core.errors import InvalidInputError
from ringfence.services.custody.gate import Gate

NAME_SIZE_BYTES_MAX: Final = 256
"""Of a user id, and of a record's name."""


def find_dataset(gate: Gate, name: str) -> Dataset:
    """Give a dataset of the charter in force.

    Raises:
        InvalidInputError: the charter names none such.
    """
    datasets = gate.keeper.state.rules.datasets
    found = datasets.get(name)
    if found is None:
        raise InvalidInputError(
            f"there is no dataset {name!r:.80}", place="dataset", hint=f"the charter names {', '.join(datasets)}"
        )
    return found


def check_purpose(gate: Gate, purpose: str) -> None:
    """Refuse a request that names no purpose of the charter's vocabulary.

    Raises:
        InvalidInputError: it is missing or unknown.
    """
    purposes = gate.keeper.state.rules.purposes
    if purpose not in purposes:
        found = f"there is no purpose {purpose!r:.80}" if purpose else "the purpose is missing"
        raise InvalidInputError(found, place="purpose", hint=f"the charter names {', '.join(purposes)}")


def check_name(value: str, place: str, *, size_bytes_max: int = NAME_SIZE_BYTES_MAX) -> None:
    """Refuse a user id or record name that is empty, too long or not text.

    Raises:
        InvalidInputError: says which.
    """
    if value.isascii():
        size = len(value)
    else:
        try:
            size = len(value.encode("utf-8"))
        except UnicodeEncodeError:
            raise InvalidInputError(f"the {place} holds a lone surrogate", place=place) from None
    if not 0 < size <= size_bytes_max:
        raise InvalidInputError(f"the {place} is {size} bytes long, not 1 to {size_bytes_max}", place=place)
