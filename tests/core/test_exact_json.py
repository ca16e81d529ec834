"""JSON is taken exactly or not at all."""

from __future__ import annotations

import contextlib
import json
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence.core.errors import InvalidInputError
from ringfence.core.exact_json import LEVELS_MAX, parse_exact_json

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(), children, max_size=4),
    max_leaves=12,
)


def nested(levels: int, *, opening: str = '{"a":', closing: str = "}") -> bytes:
    return (opening * levels + "1" + closing * levels).encode()


@pytest.mark.parametrize(
    ("refused", "taken", "words"),
    [
        (b'{"a":1,"a":1}', b'{"a":1,"b":1}', "twice"),
        (b'{"a":1,"\\u0061":2}', b'{"a":1,"\\u0062":2}', "twice"),
        (b'[{"b":{"a":1,"a":2}}]', b'[{"b":{"a":1}},{"b":{"a":2}}]', "twice"),
        (b"[NaN]", b"[null]", "NaN"),
        (b"[Infinity]", b'["Infinity"]', "Infinity"),
        (b"[-Infinity]", b"[-1]", "Infinity"),
        (b"[1e999]", b"[1e308]", "float"),
        (b"[-1e999]", b"[-1e308]", "float"),
        (b"[1e-999]", b"[1e-300]", "float"),
        (b"[1e-9999999999999999999999]", b"[5e-324]", "float"),
        (b"[9007199254740993.0]", b"[9007199254740992.0]", "float"),
        (b"[0.1000000000000000055511151231257827]", b"[0.1000]", "float"),
        (b"[" + b"1" * 5000 + b"]", b"[" + b"1" * 300 + b"]", "digits"),
        (rb'["\ud800"]', rb'["\ud83d\ude00"]', "surrogate"),
        (rb'[{"\udc00":1}]', rb'[{"\u00e9":1}]', "surrogate"),
        (b'["\xff"]', '["é"]'.encode(), "UTF-8"),
        (b"\xef\xbb\xbf[]", b"[]", "no JSON"),
        (b'["\x00"]', rb'["\u0000"]', "no JSON"),
        (b"[1] 2", b"[1] ", "no JSON"),
        (b"", b'""', "no JSON"),
        (b"[1,]", b"[1]", "no JSON"),
        (b"[01]", b"[0]", "no JSON"),
        (nested(LEVELS_MAX + 1), nested(LEVELS_MAX), "levels"),
        (nested(100_000), nested(1), "levels"),
        (nested(100_000, opening="[", closing="]"), nested(LEVELS_MAX, opening="[", closing="]"), "levels"),
    ],
)
def test_what_would_not_survive_is_refused_and_its_twin_is_taken(refused: bytes, taken: bytes, words: str) -> None:
    with pytest.raises(InvalidInputError, match=words):
        parse_exact_json(refused)
    assert parse_exact_json(taken) == json.loads(taken)


@given(value=JSON)
def test_value_that_is_written_and_kept_comes_back_the_same(value: Any) -> None:
    taken = parse_exact_json(json.dumps(value).encode())
    kept = msgspec.json.decode(msgspec.json.encode(taken))

    assert repr(taken) == repr(value)
    assert kept == value


@given(text=st.from_regex(r"\A-?(0|[1-9][0-9]{0,25})(\.[0-9]{1,25})?([eE][+-]?[0-9]{1,3})?\Z"))
def test_number_is_said_exactly_or_refused(text: str) -> None:
    try:
        taken = parse_exact_json(text.encode())
    except InvalidInputError:
        assert any(mark in text for mark in ".eE"), "an integer of this length always survives"
        return
    assert Decimal(repr(taken)) == Decimal(text)


@given(text=st.binary() | st.text().map(str.encode) | st.text('[]{}",:\\u0123456789aden.-+').map(str.encode))
def test_any_bytes_are_taken_or_refused_with_the_one_error(text: bytes) -> None:
    with contextlib.suppress(InvalidInputError):
        parse_exact_json(text)


def test_refusal_quotes_nothing_of_the_text() -> None:
    for text in (b'{"secret":1,"secret":2}', b'["secret\xff"]', b'{"secret":1e999}', rb'["secret\ud800"]'):
        with pytest.raises(InvalidInputError) as refused:
            parse_exact_json(text)
        assert "secret" not in refused.value.message + refused.value.hint
