"""Requests are read within limits, without guessing."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence.core.errors import InvalidInputError, LimitExceededError
from ringfence.gateway import http
from ringfence.gateway.bodies import Fields, Find, ReadMany, WriteMany

NAME = b'{"user":"u","dataset":"d","record":"r"}'


def read(*chunks: bytes, size_bytes_max: int = 10, last: str = "http.request") -> bytes:
    messages = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    messages.append({"type": last})

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    return asyncio.run(http.read_body(receive, size_bytes_max=size_bytes_max))


# -- query ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("refused", "taken", "found"),
    [
        (b"purpose=a&purpose=a", b"purpose=a&after=a", {"purpose": "a", "after": "a"}),
        (b"purpose=a&purp%6fse=b", b"purpose=a&purp%6fsf=b", {"purpose": "a", "purposf": "b"}),
        (b"purpose=%ff", b"purpose=%c3%bf", {"purpose": "ÿ"}),
        (b"purpose=\xff", b"purpose=y", {"purpose": "y"}),
        (b"purpose", b"purpose=", {"purpose": ""}),
        (b"a=" + b"x" * http.QUERY_SIZE_BYTES_MAX, b"a=x", {"a": "x"}),
        (b"&", b"", {}),
    ],
)
def test_query_that_could_be_read_in_two_ways_is_refused(refused: bytes, taken: bytes, found: dict[str, str]) -> None:
    with pytest.raises(InvalidInputError):
        http.query(refused)
    assert http.query(taken) == found


@given(pairs=st.dictionaries(st.text(min_size=1, max_size=20), st.text(max_size=20), max_size=5))
def test_query_comes_back_as_it_was_sent(pairs: dict[str, str]) -> None:
    assert http.query(urlencode(pairs).encode()) == pairs


@given(raw=st.binary(max_size=60))
def test_any_query_is_read_or_refused(raw: bytes) -> None:
    with contextlib.suppress(InvalidInputError):
        assert all(isinstance(value, str) for value in http.query(raw).values())


def test_queries_that_are_remembered_have_a_limit() -> None:
    for number in range(http.QUERIES_CACHED_MAX + 10):
        assert http.query(b"after=%d" % number) == {"after": str(number)}
    assert len(http._queries) <= http.QUERIES_CACHED_MAX


# -- path ----------------------------------------------------------------------------------------------------------


def test_slash_inside_a_name_is_not_a_slash_of_the_path() -> None:
    assert http.segments(b"/v1/records/posts/a%2Fb/c%20d") == ["v1", "records", "posts", "a/b", "c d"]
    assert http.segments(b"/v1/records/posts/a/b") == ["v1", "records", "posts", "a", "b"]


def test_percent_is_decoded_once() -> None:
    assert http.segments(b"/v1/%252F") == ["v1", "%2F"]
    assert http.segments(b"/v1/%2F") == ["v1", "/"]


@pytest.mark.parametrize("path", [b"/v1/%ff", b"/v1/\xff", b"/v1/%ed%a0%80", b"/" + b"x" * http.PATH_SIZE_BYTES_MAX])
def test_path_that_is_no_text_or_too_long_is_refused(path: bytes) -> None:
    with pytest.raises(InvalidInputError):
        http.segments(path)
    assert http.segments(b"/v1/%c3%bf") == ["v1", "ÿ"]


@given(names=st.lists(st.text(max_size=20), min_size=1, max_size=5))
def test_names_in_a_path_come_back_as_they_were_sent(names: list[str]) -> None:
    raw = "/" + "/".join(quote(name, safe="") for name in names)
    assert http.segments(raw.encode()) == names


# -- body ----------------------------------------------------------------------------------------------------------


def test_body_is_put_together_up_to_its_limit() -> None:
    assert read(b"12345", b"67890") == b"1234567890"
    with pytest.raises(LimitExceededError) as refused:
        read(b"12345", b"67890", b"1", b"never read")
    assert (refused.value.limit, refused.value.value_max) == ("body_size_bytes_max", 10)


def test_body_that_ends_with_the_connection_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="ended"):
        read(b"123", last="http.disconnect")
    assert read(b"123") == b"123"


@pytest.mark.parametrize(
    ("kind", "refused", "taken"),
    [
        (ReadMany, b'{"purpose":"p","items":[],"purpose":"q"}', b'{"purpose":"p","items":[]}'),
        (ReadMany, b'{"purpose":"p","items":[],"shape":"single"}', b'{"purpose":"p","items":[' + NAME + b"]}"),
        (ReadMany, b'{"purpose":"p","items":[{"user":"u","dataset":"d"}]}', b'{"items":[],"purpose":"p"}'),
        (
            ReadMany,
            b'{"purpose":"p","items":[{"user":"u","dataset":"d","record":"r","fields":{}}]}',
            b'{"purpose":"p","items":[' + NAME + b"," + NAME + b"]}",
        ),
        (
            WriteMany,
            b'{"purpose":"p","items":[{"user":"u","dataset":"d","record":"r","fields":{},"class":"public"}]}',
            b'{"purpose":"p","items":[{"user":"u","dataset":"d","record":"r","fields":{"class":"public"}}]}',
        ),
        (
            WriteMany,
            b'{"purpose":"p","items":[{"user":"u","dataset":"d","record":"r","fields":{"a":1,"a":2}}]}',
            b'{"purpose":"p","items":[{"user":"u","dataset":"d","record":"r","fields":{"a":{"a":2}}}]}',
        ),
        (
            WriteMany,
            b'{"purpose":"p","items":[{"user":1,"dataset":"d","record":"r","fields":{}}]}',
            b'{"purpose":"p","items":[{"user":"1","dataset":"d","record":"r","fields":{}}]}',
        ),
        (
            Find,
            b'{"purpose":"p","dataset":"d","field":"f","value":1}',
            b'{"purpose":"p","dataset":"d","field":"f","value":"1"}',
        ),
        (Fields, b"[]", b"{}"),
        (Fields, b"null", b'{"a":null}'),
        (Fields, b'{"a":1e400}', b'{"a":1e4}'),
        (Fields, b'{"a":"\xff"}', b'{"a":"\xc3\xbf"}'),
        (Fields, rb'{"a":"\udead"}', rb'{"a":"\\udead"}'),
        (Fields, b'{"a":' * 5000 + b"1" + b"}" * 5000, b'{"a":' * 60 + b"1" + b"}" * 60),
    ],
)
def test_body_that_is_not_exactly_what_the_call_takes_is_refused(kind: Any, refused: bytes, taken: bytes) -> None:
    with pytest.raises(InvalidInputError) as error:
        http.parse_body(refused, kind)
    assert error.value.place == "body"
    assert http.parse_body(taken, kind) is not None


@given(body=st.binary(max_size=80) | st.text('[]{}",:\\ud1a.-eE', max_size=40).map(str.encode))
def test_any_body_is_read_or_refused(body: bytes) -> None:
    for kind in (Fields, ReadMany, WriteMany, Find):
        with contextlib.suppress(InvalidInputError):
            http.parse_body(body, kind)
