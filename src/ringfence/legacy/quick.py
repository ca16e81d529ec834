"""Reads a small export in a third of the time, or says that it is one for `reader`, which decides.

- Nothing is refused here. Whatever is not plainly in order (a fault, a number of unusual length, half of a surrogate
  pair, a name twice, a size near a limit) is left to the reader, whose words and JSON pointer the user gets.
- What is read is, item by item, what the reader gives: their tests hold them against each other.
- The whole text and all its items are in memory, so only exports of at most `QUICK_SIZE_BYTES_MAX` are read here.
- A parser that does not tell a name that stands twice is tried first: then the text has more `":` than the values
  have names. No `:` follows white space, and one in a string only adds to the count, so that it cannot even out. Where
  that does not hold, another parser reads the text again, and tells.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from decimal import Decimal
from itertools import chain
from typing import Any, Final, NoReturn

import msgspec

from ringfence.core.charter import Dataset
from ringfence.core.charter.catalog import SourceMatcher, SourceNode
from ringfence.core.errors import InvalidInputError
from ringfence.legacy.checked_stream import BYTE_ORDER_MARKS
from ringfence.legacy.limits import MEBIBYTE, ReadLimits
from ringfence.legacy.reader import (
    INTEGER_MAX,
    INTEGER_MIN,
    KEY_OVERHEAD,
    POINTERS_SIZE_MAX,
    Items,
    Json,
    escape_key,
    exact_number,
)

QUICK_SIZE_BYTES_MAX: Final = MEBIBYTE
NUMBER_CHARACTERS_MAX: Final = 30
LEVELS_MAX: Final = 20
_SPACE_BEFORE_COLON: Final = re.compile(rb'"[ \t\r\n]+:')
_OBJECT: Final = frozenset((dict,))
_PLAIN: Final = frozenset((str, bool, float, type(None)))
_BYTES_PER_KEY_MIN: Final = 5  # `"":0,`
_HALF_PAIR: Final = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    rb"|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F]"
)


class _UnusualError(ValueError):
    """Something that the reader is to look at."""


def read_quickly(text: bytes, *, matcher: SourceMatcher, limits: ReadLimits) -> list[Items] | None:
    """Give the records of one export in the order of the file; None when the reader is to read it.

    Args:
        text: the whole JSON text.
        matcher: says which paths of keys are which dataset.
        limits: those of the reader.
    """
    if not _is_within(text, limits):
        return None
    levels_max = min(LEVELS_MAX, limits.depth_max)
    items = _read_plainly(text, matcher, levels_max=levels_max)
    return _read_exactly(text, matcher, levels_max=levels_max) if items is None else items


def _read_plainly(text: bytes, matcher: SourceMatcher, *, levels_max: int) -> list[Items] | None:
    """Read what has no name twice and no integer over 64 bits; None leaves it to `_read_exactly`."""
    is_spaced = b" :" in text or b"\n" in text or b"\t" in text or b"\r" in text
    if is_spaced and _SPACE_BEFORE_COLON.search(text):
        return None
    walk = _Walk(matcher, levels_max=levels_max)
    try:
        items = walk.walk(_parse_plainly(text))
    except (ValueError, RecursionError, InvalidInputError):
        return None
    return items if walk.names == text.count(b'":') else None


def _read_exactly(text: bytes, matcher: SourceMatcher, *, levels_max: int) -> list[Items] | None:
    """Read whatever no limit stands against; None leaves it to the reader."""
    if _has_half_pair(text):
        return None
    try:
        document = json.loads(
            text.decode("utf-8"),
            object_pairs_hook=_distinct,
            parse_int=_integer,
            parse_float=_float,
            parse_constant=_unusual,
        )
        return _Walk(matcher, levels_max=levels_max).walk(document)
    except (ValueError, RecursionError, InvalidInputError):  # every fault is the reader's to name
        return None


def _is_within(text: bytes, limits: ReadLimits) -> bool:
    """Whether no limit can be passed in so short a text."""
    size = len(text)
    size_max = min(
        QUICK_SIZE_BYTES_MAX,
        limits.export_size_bytes_max,
        limits.record_size_bytes_max,
        limits.string_characters_max,
    )
    if size > size_max or limits.number_characters_max < NUMBER_CHARACTERS_MAX or text.startswith(BYTE_ORDER_MARKS):
        return False
    if size + size // _BYTES_PER_KEY_MIN * KEY_OVERHEAD > limits.open_keys_size_max:
        return False
    containers_max = limits.record_containers_max
    return size <= containers_max or text.count(b"{") + text.count(b"[") <= containers_max


def _has_half_pair(text: bytes) -> bool:
    """Whether an escape may be half of a surrogate pair, which this parser takes; the one before refuses it."""
    has_pairs = b"\\ud" in text or b"\\uD" in text
    return has_pairs and (rb"\\" in text or _HALF_PAIR.search(text) is not None)


def _distinct(pairs: Sequence[tuple[str, Json]]) -> dict[str, Json]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _UnusualError
    return members


def _integer(text: str) -> Json:
    if len(text) > NUMBER_CHARACTERS_MAX:
        raise _UnusualError
    return exact_number(int(text), characters_max=NUMBER_CHARACTERS_MAX)


def _float(text: str) -> Json:
    if len(text) > NUMBER_CHARACTERS_MAX:
        raise _UnusualError
    return exact_number(Decimal(text), characters_max=NUMBER_CHARACTERS_MAX)


def _unusual(name: str) -> NoReturn:
    raise _UnusualError


_parse_plainly = msgspec.json.Decoder(float_hook=_float).decode


class _Walk:
    """The walk of `reader._ExportReader` over values instead of events; gathers `items` and counts `names`."""

    def __init__(self, matcher: SourceMatcher, *, levels_max: int) -> None:
        self._root = matcher.root
        self._catch_all = matcher.catch_all.name
        self._levels_max = levels_max
        self.items: list[Items] = []
        self.names = 0
        self._pointers_size = 0

    def walk(self, document: Json) -> list[Items]:
        """Give every record of the document."""
        self._walk(self._root, document, "", 0, None)
        return self.items

    def _walk(self, node: SourceNode | None, value: Json, pointer: str, level: int, wild_key: str | None) -> None:
        dataset = None if node is None else node.dataset
        if dataset is not None:
            self._take(dataset, value, pointer, level, wild_key)
        elif type(value) is dict:
            self._walk_object(node, value, pointer, level + 1, wild_key)
        elif type(value) is list:
            self._check_level(level + 1)
            if not value and (node is None or wild_key is not None):
                self._add_leaf(value, pointer)
            for index, element in enumerate(value):
                self._walk(None, element, f"{pointer}/{index}", level + 1, None)
        elif value is not None or node is None or wild_key is not None:
            self._add_leaf(value, pointer)

    def _walk_object(
        self, node: SourceNode | None, members: dict[str, Json], pointer: str, level: int, wild_key: str | None
    ) -> None:
        self._check_level(level)
        self.names += len(members)
        if not members and (node is None or wild_key is not None):
            self._add_leaf({}, pointer)
        for key, value in members.items():
            child, child_wild_key = None, wild_key
            if node is not None:
                child = node.children.get(key)
                if child is None and node.any_child is not None:
                    child, child_wild_key = node.any_child, key
            if child is not None and child_wild_key is None and (value is None or value == []):
                if value is not None:
                    self._check_level(level + 1)
                continue  # nothing is there, as at most places of an export
            escaped = escape_key(key) if "~" in key or "/" in key else key
            self._walk(child, value, f"{pointer}/{escaped}", level, child_wild_key)

    def _take(self, dataset: Dataset, value: Json, pointer: str, level: int, wild_key: str | None) -> None:
        if type(value) is list and dataset.records_many:
            self._check_level(level + 1)
            self._take_list(dataset, value, pointer, level + 2, wild_key)
        elif value is None or value == []:
            if wild_key is not None:
                self._add_leaf(value, pointer)
        else:
            self._take_record(dataset, value, pointer, level + 1, wild_key)

    def _take_list(
        self, dataset: Dataset, elements: list[Json], pointer: str, level: int, wild_key: str | None
    ) -> None:
        if wild_key is not None:
            if not elements:
                self._add_leaf(elements, pointer)
            for index, element in enumerate(elements):
                self._take_record(dataset, element, f"{pointer}/{index}", level, wild_key)
        elif elements:
            if not self._all_plain(elements, level):
                elements = [self._record(element, level) for element in elements]
            self.items.append(Items(dataset.name, elements, pointer, is_list=True))

    def _all_plain(self, elements: list[Json], level: int) -> bool:
        """Whether these are objects of plain values, as most are: then their names are counted."""
        if not _OBJECT.issuperset(map(type, elements)):
            return False
        if not _PLAIN.issuperset(map(type, chain.from_iterable(map(dict.values, elements)))):
            return False
        self._check_level(level)
        self.names += sum(map(len, elements))
        return True

    def _record(self, value: Json, level: int) -> dict[str, Json]:
        """Give a value as a record, its names counted and its numbers and depth looked at."""
        if type(value) is dict:
            self._look_inside(value, level)
            return value
        self._look_inside((value,), level - 1)
        return {"value": value}

    def _take_record(self, dataset: Dataset, value: Json, pointer: str, level: int, wild_key: str | None) -> None:
        record = self._record(value, level)
        if wild_key is not None:
            if dataset.key_field in record:  # it gives way to the dynamic key, and is not lost
                self._add_leaf(record[dataset.key_field], f"{pointer}/{escape_key(dataset.key_field)}")
            record[dataset.key_field] = wild_key
        self._add(dataset.name, record, pointer)

    def _add_leaf(self, value: Json, pointer: str) -> None:
        self._check_number(value)
        self._add(self._catch_all, {"path": pointer, "value": value}, pointer)

    def _add(self, dataset: str, record: dict[str, Json], pointer: str) -> None:
        """Give a single record; the reader holds fewer at once, where their pointers are long."""
        self._pointers_size += len(pointer)
        if self._pointers_size > POINTERS_SIZE_MAX:
            raise _UnusualError
        self.items.append(Items(dataset, [record], pointer, is_list=False))

    def _check_level(self, level: int) -> None:
        if level > self._levels_max:
            raise _UnusualError

    def _look_inside(self, value: Json, level: int) -> None:
        """Count the names in an object or list of a record, at its level, and look at its numbers and its depth."""
        self._check_level(level)
        inner: Any = value
        if type(value) is dict:
            self.names += len(value)
            inner = value.values()
        for child in inner:
            kind = type(child)
            if kind is str:
                continue
            if kind is dict or kind is list:
                self._look_inside(child, level + 1)
            else:
                self._check_number(child)

    def _check_number(self, value: Json) -> None:
        """Leave to the exact parser what is kept as text."""
        if type(value) is int and not INTEGER_MIN <= value <= INTEGER_MAX:
            raise _UnusualError
