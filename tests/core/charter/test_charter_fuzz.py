"""Whatever bytes are given as a charter, the answer is a charter or problems with places, never another error."""

from __future__ import annotations

import json
import re

from hypothesis import given
from hypothesis import strategies as st

from ringfence.core.charter import parse_charter
from ringfence.core.errors import CharterInvalidError, Problem
from tests.core.governed_charter import GOVERNED
from tests.core.small_charter import SMALL

FRAGMENTS = (
    *("", " ", "\n", "\n\n", "\t", ":", ": ", "- ", "-", "?", "? ", "!", "!!", "&a ", "*a", "{", "}", "[", "]", ","),
    *("'", '"', "|", "|\n", ">", ">-\n ", "#", " #", "%", "%YAML 1.1\n", "---", "\n---\n", "\n...\n", "~", "<<: ", "="),
    *(
        "null",
        "true",
        "1",
        "-1",
        "1e9",
        ".inf",
        ".nan",
        "0x",
        "9" * 40,
        "2020-01-01",
        "x" * 400,
        "*",
        "other",
        "record",
    ),
    *('"\\ud800": a, ', '"\\u202e"', '"\\x1b"', '"\\U0010ffff": {}, '),
    *("\\", "\\u0000", "\x85", "\u2028", "\u200f", "é", "𐀀", "\ufeff", "[" * 30, "{a: " * 30, "- " * 30, "!!binary "),
    *("protected", "fields", "sources: []", "flows: ", "person.", ".", "..", "a.b", "US", "NO"),
)
WORDS = sorted({word for word in re.split(r"[\s,{}]+", GOVERNED) if len(word) > 1})

changes = st.lists(
    st.tuples(st.integers(0, len(GOVERNED)), st.integers(0, 12), st.sampled_from((*FRAGMENTS, *WORDS))),
    min_size=1,
    max_size=4,
)


def parse_or_told(data: bytes) -> None:
    """Parse; if refused, hold every problem against the text that it is about."""
    problems = problems_of(data)
    line_count = len(data.decode("utf-8", "replace").splitlines()) + 1
    for problem in problems:
        assert 0 <= problem.line <= line_count
        assert problem.column >= 0
        assert problem.found
        assert problem.expected
        assert problem.render().isprintable()
        assert len(problem.render()) < 5000


def problems_of(data: bytes) -> tuple[Problem, ...]:
    """Give the problems of a charter, none if it is valid; refused without a problem is an error."""
    try:
        parse_charter(data, file="f")
    except CharterInvalidError as error:
        return error.problems or (Problem("f", -1, -1, "", ""),)
    return ()


@given(st.sampled_from((SMALL, GOVERNED)), changes)
def test_changed_charter_is_parsed_or_told(text: str, edits: list[tuple[int, int, str]]) -> None:
    for start, length, fragment in edits:
        text = text[:start] + fragment + text[start + length :]
    parse_or_told(text.encode())


@given(st.binary(max_size=200))
def test_any_bytes_are_parsed_or_told(data: bytes) -> None:
    parse_or_told(data)


@given(st.lists(st.sampled_from(FRAGMENTS), max_size=30).map("".join))
def test_any_mixture_of_signs_is_parsed_or_told(text: str) -> None:
    parse_or_told(text.encode())


sections = st.sampled_from(
    (
        "charter",
        "version",
        "jurisdiction",
        "identity",
        "parties",
        "regions",
        "classes",
        "datasets",
        "purposes",
        "flows",
        "searchable",
        "invariants",
        "name",
        "who",
        "from",
        "fields",
        "never",
        "duties",
        "governance",
        "independence",
        "separations",
        "operations",
        "orders",
        "grants",
        "grant",
        "propose",
        "approve",
        "all",
        "any",
        "count",
        "needs",
        "roles",
        "through",
        "coalition",
        "powers",
        "min",
        "by",
        "of",
        "x",
    )
)
scalars = st.one_of(st.none(), st.booleans(), st.integers(-5, 10), st.sampled_from(("", "a", "*", "protected", "NO")))
trees = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(sections, inner, max_size=5), max_leaves=25
)


@given(st.dictionaries(sections, trees, max_size=12))
def test_any_tree_under_the_right_names_is_parsed_or_told(tree: dict[str, object]) -> None:
    parse_or_told(json.dumps(tree).encode())
