"""Whatever an export holds, each of its leaves comes out once, or it is refused; and in little memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence.core.errors import InvalidInputError
from ringfence.legacy.reader import Item
from tests.legacy.exports import CHARTER_FILE, load_charter, load_matcher, read_text

PROFILE = '{"Profile": {"Profile Info": {"ProfileMap": %s}}}'
CHATS = '{"Direct Message": {"Direct Messages": {"ChatHistory": %s}}}'
WATCHED = '{"Your Activity": {"Watch History": {"VideoList": %s}}}'
BEFORE_PROFILE, BEFORE_WATCHED = PROFILE.split("%s")[0], WATCHED.split("%s")[0]

NAMES = [
    *"ab~/",
    "",
    "Conversation",
    "value",
    "path",
    "Profile",
    "Profile Info",
    "ProfileMap",
    "Autofill",
    "Direct Message",
]
NAMES += ["Direct Messages", "ChatHistory", "Your Activity", "Watch History", "VideoList", "*"]
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES) | st.text(), inner, max_size=6),
    max_leaves=25,
)
SHAPED = st.one_of(
    VALUES,
    st.builds(lambda value: json.loads(PROFILE % json.dumps(value)), VALUES),
    st.builds(lambda value: json.loads(CHATS % json.dumps(value)), VALUES),
    st.builds(lambda value: json.loads(WATCHED % json.dumps(value)), VALUES),
)


def escape(key: str) -> str:
    """Escape a key for a JSON pointer."""
    return key.replace("~", "~0").replace("/", "~1")


def list_leaves(value: Any, pointer: str = "", keys: tuple[str, ...] | None = ()) -> list[tuple[str, str, str]]:
    """List (dataset, pointer, value) of every leaf that says something; `keys` is None below a list."""
    if isinstance(value, dict):
        return [
            leaf
            for key, inner in value.items()
            for leaf in list_leaves(inner, f"{pointer}/{escape(key)}", None if keys is None else (*keys, key))
        ]
    if isinstance(value, list):
        matched = keys is not None and (found := load_matcher().match(keys)) and not found.dataset.catch_all
        inner_keys = keys if matched else None
        return [
            leaf for index, inner in enumerate(value) for leaf in list_leaves(inner, f"{pointer}/{index}", inner_keys)
        ]
    if value is None:
        return []
    found = load_matcher().match(keys) if keys is not None else None
    return [(found.dataset.name if found else "unclassified", pointer, repr(value))]


def list_leaves_of_items(items: list[Item], document: Any) -> list[tuple[str, str, str]]:
    """List the same of what was read."""
    leaves: list[tuple[str, str, str]] = []
    for item in items:
        if item.dataset == "unclassified":
            # A field that gave way to the dynamic key is still a leaf of its record's place.
            leaves += [("unclassified", *leaf[1:]) for leaf in list_leaves(item.record["value"], item.record["path"])]
            continue
        original = resolve(document, item.pointer)
        record = dict(item.record)
        key_field = load_charter().datasets[item.dataset].key_field
        if key_field:
            assert f"/{escape(record.pop(key_field))}" in item.pointer
        inner = record if isinstance(original, dict) else record.pop("value")
        assert isinstance(original, dict) or not record
        leaves += [(item.dataset, *leaf[1:]) for leaf in list_leaves(inner, item.pointer)]
    return leaves


def resolve(document: Any, pointer: str) -> Any:
    """Give what a JSON pointer points at."""
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        document = document[int(key)] if isinstance(document, list) else document[key]
    return document


@given(SHAPED, st.booleans())
def test_every_leaf_of_any_document_comes_out_once_in_its_dataset(document: Any, ascii_only: bool) -> None:
    items = read_text(json.dumps(document, ensure_ascii=ascii_only))

    given_leaves = Counter(list_leaves(document))
    read_leaves = Counter(list_leaves_of_items(items, document))
    # Fields of a record that are named like its key field are in the catch-all instead.
    moved = {leaf for leaf in given_leaves if leaf[0] == "direct_messages" and "/Conversation" in leaf[1]}
    for leaf in moved:
        if leaf not in read_leaves:
            given_leaves["unclassified", *leaf[1:]] += given_leaves.pop(leaf)
    assert read_leaves == given_leaves


@given(st.binary(max_size=200))
def test_any_bytes_give_records_or_a_refusal(text: bytes) -> None:
    assert is_read_or_refused(text)


def is_read_or_refused(text: bytes) -> bool:
    """Whether a text gives records alone, or a refusal with a place; anything else rises."""
    try:
        return all(isinstance(item, Item) for item in read_text(text))
    except InvalidInputError as error:
        return error.place.startswith("x.json#")


@given(SHAPED, st.data())
def test_any_damage_to_a_document_gives_records_or_a_refusal(document: Any, data: st.DataObject) -> None:
    text = bytearray(json.dumps(document).encode())
    for _ in range(data.draw(st.integers(1, 3))):
        position = data.draw(st.integers(0, len(text) - 1))
        text[position : position + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2) | st.just(b'"'))
        if not text:
            break
    assert is_read_or_refused(bytes(text))


# ---- memory ----------------------------------------------------------------------------------------------------------

MEASURE = """
import io, sys
from pathlib import Path
from ringfence.core.charter.catalog import SourceMatcher
from ringfence.core.charter import parse_charter
from ringfence.core.errors import InvalidInputError
from ringfence.legacy.reader import read_export

class Repeated(io.RawIOBase):
    def __init__(self, start, middle, end, size):
        self.parts = iter([start] + [middle] * (size // len(middle)) + [end])
        self.rest = b""
    def read(self, size=-1):
        while len(self.rest) < size and (part := next(self.parts, b"")):
            self.rest += part
        block, self.rest = self.rest[:size], self.rest[size:]
        return block

def peak():
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])

matcher = SourceMatcher(parse_charter(Path(sys.argv[1]).read_bytes(), file="charter.yaml"))
start, middle, end = (part.encode() for part in sys.argv[2:5])
list(read_export(io.BytesIO(b"{}"), name="x", matcher=matcher))
middle *= max(1, 60_000 // len(middle))
before, count, refused = peak(), 0, ""
try:
    for item in read_export(Repeated(start, middle, end, 50_000_000), name="x", matcher=matcher):
        count += 1
except InvalidInputError as error:
    refused = error.message
print(peak() - before, count, refused)
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="needs Linux's /proc to measure memory")
@pytest.mark.parametrize(
    ("start", "middle", "end", "taken"),
    [
        (BEFORE_WATCHED + "[{}", ',{"Date": "2021-01-01 00:00:00", "Link": "https://example.com/v/1"}', "]}}}", True),
        ('{"New": [1', ',"some text here"', "]}", True),
        ('{"New": "', "x", '"}', False),
        (BEFORE_PROFILE + '{"a": [1', ",[]", "]}}}}", False),
        (BEFORE_PROFILE + '{"a": [1', ',{"ab":0.5}', "]}}}}", False),
        ('{"New":' + " " * 10, " ", "1}", False),
    ],
    ids=["many records", "many leaves", "one string", "one record of lists", "one record of objects", "white space"],
)
def test_fifty_megabytes_take_little_memory(start: str, middle: str, end: str, taken: bool) -> None:
    command = [sys.executable, "-c", MEASURE, str(CHARTER_FILE), start, middle, end]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    peak_kib, count, refused = output.rstrip("\n").split(" ", 2)

    assert int(peak_kib) < 80 * 1024
    assert (refused == "") == taken, refused
    assert not taken or int(count) > 500_000
