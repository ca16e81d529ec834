"""Any leaf that the types allow, sensible or not: what a hostile writer with every key could put into a ledger."""

from __future__ import annotations

import types
import typing
from typing import Any

from hypothesis import strategies as st

from ringfence.core.ledger import entry as e

WORDS = (
    "",
    "app",
    "US",
    "serve",
    "person",
    "public",
    "protected",
    "serving",
    "!serving",
    "read",
    "write",
    "find",
    "v1",
)
NUMBERS = st.integers(-2, 300) | st.integers(-(2**70), 2**70)
TEXT = st.sampled_from(WORDS) | st.text(st.characters(codec="utf-8"), max_size=12)
BYTES = st.binary(max_size=40) | st.binary(min_size=32, max_size=32)


def of_type(kind: Any) -> st.SearchStrategy[Any]:
    """Give values of a field's type."""
    plain: dict[Any, st.SearchStrategy[Any]] = {
        int: NUMBERS,
        str: TEXT,
        bytes: BYTES,
        bool: st.booleans(),
        type(None): st.none(),
    }
    if kind in plain:
        return plain[kind]
    arguments = typing.get_args(kind)
    if isinstance(kind, types.UnionType):
        return st.one_of([of_type(item) for item in arguments])
    if typing.get_origin(kind) is dict:
        return st.dictionaries(TEXT, TEXT, max_size=4).map(lambda pairs: dict(sorted(pairs.items())))
    if typing.get_origin(kind) is list:
        return st.lists(of_type(arguments[0]), max_size=4)
    if typing.get_origin(kind) is tuple and arguments[-1] is Ellipsis:
        return st.lists(of_type(arguments[0]), max_size=4).map(tuple)
    if typing.get_origin(kind) is tuple:
        return st.tuples(*(of_type(item) for item in arguments))
    return struct_of(kind)


def struct_of(kind: Any) -> st.SearchStrategy[Any]:
    """Give values of a struct."""
    hints = typing.get_type_hints(kind)
    return st.builds(kind, **{name: of_type(hints[name]) for name in kind.__struct_fields__})


ACCESSES = st.one_of([struct_of(kind) for kind in (e.Access, e.Downgrade, e.Refusals, e.Outcome)])
RULES = st.one_of([struct_of(kind) for kind in e.RULE_TYPES])
LEAVES = st.one_of([struct_of(e.Batch), struct_of(e.Seal), ACCESSES, RULES])
OPENINGS = st.one_of([struct_of(e.About), struct_of(e.Identity)])
