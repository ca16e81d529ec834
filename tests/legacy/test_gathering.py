"""What is read of an export is held in lists that stay small, and given up to the fault."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from ringfence.core.errors import InvalidInputError
from ringfence.legacy.limits import DEFAULT_LIMITS
from ringfence.legacy.quick import QUICK_SIZE_BYTES_MAX, read_quickly
from ringfence.legacy.reader import POINTERS_SIZE_MAX, Item, Items, gather_items
from tests.legacy.exports import load_matcher

KEY_SIZE = 10_000
COUNT = 3 * POINTERS_SIZE_MAX // KEY_SIZE


def items(count: int, *, key: str = "key") -> Iterator[Item]:
    for place in range(count):
        yield Item("other", {"value": place}, f"/{key}/{place}")


def broken(count: int) -> Iterator[Item]:
    yield from items(count)
    raise InvalidInputError("found nonsense; expected JSON")


def gather(found: Iterator[Item]) -> list[list[Items]]:
    return [*gather_items(found, position=lambda: 0)]


def quickly(key: str) -> list[Items] | None:
    text = json.dumps({key: [0] * COUNT}).encode()
    assert len(text) < QUICK_SIZE_BYTES_MAX
    return read_quickly(text, matcher=load_matcher(), limits=DEFAULT_LIMITS)


def test_items_of_one_block_are_held_together_as_long_as_their_pointers_are_short() -> None:
    assert [len(lot) for lot in gather(items(COUNT))] == [COUNT]


def test_items_with_long_pointers_are_given_before_they_fill_the_memory() -> None:
    lots = gather(items(COUNT, key="k" * KEY_SIZE))

    sizes = [sum(len(found.pointer) for found in lot) for lot in lots]
    assert sum(map(len, lots)) == COUNT
    assert max(sizes) < POINTERS_SIZE_MAX + 2 * KEY_SIZE


def test_quick_walk_leaves_an_export_whose_pointers_are_long_to_the_reader() -> None:
    short = quickly("k")
    assert short is not None
    assert len(short) == COUNT
    assert quickly("k" * KEY_SIZE) is None


def test_what_stood_before_a_fault_is_given_first() -> None:
    lots = gather_items(broken(3), position=lambda: 0)

    assert [found.pointer for found in next(lots)] == ["/key/0", "/key/1", "/key/2"]
    with pytest.raises(InvalidInputError):
        next(lots)
