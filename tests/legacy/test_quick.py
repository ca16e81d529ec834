"""The quick reading of small exports gives what the reader gives, or leaves the export to it."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence.core.errors import InvalidInputError
from ringfence.legacy.limits import DEFAULT_LIMITS, ReadLimits
from ringfence.legacy.quick import QUICK_SIZE_BYTES_MAX, read_quickly
from ringfence.legacy.reader import Item
from ringfence.synthetic.files import choose_layout, render_export
from ringfence.synthetic.people import make_users
from tests.legacy.exports import load_matcher, read_text
from tests.legacy.test_any_document import CHATS, PROFILE, SHAPED, WATCHED


def quickly(text: str | bytes, limits: ReadLimits = DEFAULT_LIMITS) -> list[Item] | None:
    found = read_quickly(text.encode() if isinstance(text, str) else text, matcher=load_matcher(), limits=limits)
    return None if found is None else [item for items in found for item in items.each()]


def outcome(items: list[Item] | None) -> list[tuple[str, str, str]] | None:
    """Items with the kinds of their values, since 1 == 1.0 == True."""
    return None if items is None else [(item.dataset, repr(item.record), item.pointer) for item in items]


@given(SHAPED, st.booleans())
def test_any_document_is_read_alike(document: Any, ascii_only: bool) -> None:
    text = json.dumps(document, ensure_ascii=ascii_only)
    found = quickly(text)
    if found is not None:
        assert outcome(found) == outcome(read_text(text))


UNITS = [
    "\\ud83d",
    "\\udE00",
    "\\uDBFF",
    "\\uDC00",
    "\\u0041",
    "\\ud7ff",
    "\\ue000",
    "x",
    "\\n",
    "\\\\",
    '\\"',
    "\U0001f600",
]
"""Halves of surrogate pairs, whole characters and what could hide a half."""


@given(st.lists(st.sampled_from(UNITS), max_size=5).map("".join))
def test_half_of_a_pair_is_left_to_the_reader_wherever_it_stands(text: str) -> None:
    export = PROFILE % f'{{"userName": "{text}"}}'
    is_whole = not any("\ud800" <= character <= "\udfff" for character in json.loads(f'"{text}"'))

    found = quickly(export)

    assert found is None or is_whole
    if is_whole:
        assert found is not None
        assert outcome(found) == outcome(read_text(export))


NAMED = st.recursive(
    st.sampled_from(
        [
            '"\\":"',
            '"x"',
            "1",
            "0.5",
            "2.50",
            "12345678901234567.5",
            "1e-320",
            "null",
            '" :"',
            '":',
            "18446744073709551616",
        ]
    ),
    lambda inner: (
        st.lists(
            st.tuples(st.sampled_from(['"a":', '"b":', '"a" :', '"a\\":":', '"b"\t:']), inner).map("".join), max_size=3
        ).map(lambda members: "{" + ",".join(members) + "}")
        | st.lists(inner, max_size=3).map(lambda items: "[" + ",".join(items) + "]")
    ),
    max_leaves=8,
)


@given(NAMED)
def test_name_that_stands_twice_is_never_read_quickly(value: str) -> None:
    for whole in (value, PROFILE % value, WATCHED % value, WATCHED % f"[{value}]", CHATS % value):
        try:
            expected = read_text(whole)
        except InvalidInputError:
            assert quickly(whole) is None
        else:
            assert outcome(quickly(whole)) == outcome(expected)


@given(st.text(alphabet='{}[]",:\\ud8e0123456789.-+eEtrufalsn "x/\n', max_size=40))
def test_what_the_reader_refuses_is_never_read_quickly(text: str) -> None:
    for whole in (text, PROFILE % text, WATCHED % text, CHATS % text):
        try:
            expected = read_text(whole)
        except InvalidInputError:
            assert quickly(whole) is None
        else:
            found = quickly(whole)
            assert found is None or outcome(found) == outcome(expected)


def test_exports_of_every_kind_of_user_are_read_quickly_and_alike() -> None:
    for user in make_users(60, seed=9):
        text = render_export(user, layout=choose_layout(user, layout_mix=0.5))
        found = quickly(text)
        assert found is not None
        assert outcome(found) == outcome(read_text(text))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "{} {}",
        '{"a": NaN}',
        '{"a": -Infinity}',
        '{"a": 1, "a": 2}',
        '{"a": [{"b": 1, "b": 1}]}',
        '{"a" : 1, "b": 2, "b": 3}',
        '{"a": "\\":", "a": 1}',
        '{"a" : "\\":", "a": 1}',
        WATCHED % '[{"Date": "x", "Date": "x"}]',
        WATCHED % '[{"Date": {"x": [{"y": 1, "y": 1}]}}]',
        PROFILE % '{"a": 1, "a": 1}',
        PROFILE % '[{"a": 1, "a": 1}]',
        CHATS % '{"with": [{"a": 1}], "with": [{"a": 1}]}',
        CHATS % '{"with": [{"Conversation": {"a": 1, "a": 2}}]}',
        '{"a": 1e999}',
        '{"a": ' + "1" * 40 + "}",
        '{"a": 0.' + "1" * 40 + "}",
        '{"a": ' + "[" * 30 + "]" * 30 + "}",
        WATCHED % ("[" + "[" * 30 + "]" * 30 + "]"),
        PROFILE % ('{"a": ' * 30 + "1" + "}" * 30),
        '{"a": "\\ud800"}',
        '{"a": "\\udc00"}',
        '{"a": "\\ud83d\\ud83d\\ude00"}',
        '{"a": "\\\\ud83d\\ude00"}',
        b"\xef\xbb\xbf{}",
        b'{"a": "\xff"}',
        b'{"a": "\xed\xa0\x80"}',
        '{"a": "\x01"}',
        json.dumps({"a": "x" * QUICK_SIZE_BYTES_MAX}),
    ],
)
def test_what_is_not_plainly_in_order_is_left_to_the_reader(text: str | bytes) -> None:
    assert quickly(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "[]",
        "null",
        " 1 ",
        '{"a": "\\ud83d\\ude00"}',
        '{"a": "\\\\"}',
        '{"a": 18446744073709551616}',
        '{"a": 1e5}',
        '{"a": 0.1, "b": 1.0, "c": 123456789012.345, "d": 1234567890123.456, "e": 12345678901234.567}',
        '{"a": 9007199254740993.0, "b": 0.1000000000000000055}',
        '{"a": 1.2345678901e-320, "b": 1.5}',
        '{"a": 0.0, "b": -0.0, "c": 1e-290, "d": 1e290, "e": 1e-300}',
        "0.30000000000000004",
        "[0.30000000000000004]",
        "12345678901234567.5",
        "-12345678901234567e0",
        '{"a": [1.5,12345678901234567.5]}',
        '{"a" : 1, "b"\n:2}',
        '{"a": "\\": :) \\":", "b": {"c": [{"d\\":": 1}]}}',
        WATCHED % '[{"Date": 1.5}, {"Date": {"x": [18446744073709551616]}}, 1.5, [1e2]]',
        PROFILE % '[1, {"a": -0}]',
    ],
)
def test_what_is_in_order_is_read(text: str) -> None:
    assert outcome(quickly(text)) == outcome(read_text(text))


@pytest.mark.parametrize(
    "limit",
    [
        {"export_size_bytes_max": 100},
        {"record_size_bytes_max": 100},
        {"string_characters_max": 100},
        {"record_containers_max": 3},
        {"open_keys_size_max": 100},
        {"depth_max": 3},
        {"number_characters_max": 10},
    ],
)
def test_size_near_any_limit_is_left_to_the_reader(limit: dict[str, int]) -> None:
    text = WATCHED % json.dumps([{"Date": "2021-05-01", "Link": f"x{number}"} for number in range(5)])
    assert quickly(text) is not None
    assert quickly(text, dataclasses.replace(DEFAULT_LIMITS, **limit)) is None
