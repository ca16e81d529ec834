"""From a document to the shape of a charter: what is broken is told with its place and left out, the rest is given."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import Any

from pydantic import ValidationError

from ringfence.core.charter.document import Document, Path, show
from ringfence.core.charter.kinds import CODE_WORDS, NAME_WORDS, Shape
from ringfence.core.charter.shape import REQUIRED, SHAPES, CharterShape
from ringfence.core.errors import Problem


def suggest(word: str, known: Iterable[str]) -> str:
    """Give `; did you mean ...?` when a known word is near, else nothing."""
    by_folded = {name.casefold(): name for name in known}
    near = difflib.get_close_matches(word[:100].casefold(), by_folded, n=1, cutoff=0.6)
    return f"; did you mean `{by_folded[near[0]]}`?" if near else ""


def parse_shape(document: Document) -> tuple[CharterShape, list[Problem]]:
    """Check the document's shape; what is broken is dropped from the document, and the rest is given.

    The problems are all those of the shape; the values that remain have none, so that they may be checked further.
    """
    if not isinstance(document.values, dict):
        found = show(document.values)
        return CharterShape(), [
            document.problem((), found=found, expected="a mapping that starts with `charter: NAME`")
        ]
    problems = [
        document.problem((), found=f"no `{name}`", expected=f"`{name}`: {_description((), name)}")
        for name in REQUIRED
        if name not in document.values
    ]
    first = True
    while True:
        try:
            return CharterShape.model_validate(document.values), problems
        except ValidationError as error:
            details = error.errors(include_url=False, include_context=True)
        if first:
            problems += [_problem(document, detail) for detail in details]
            first = False
        # Dropping a value that must be there makes its mapping incomplete: the next round drops that, and so on up.
        document.drop([_broken_path(detail) for detail in details])


def _broken_path(detail: Any) -> Path:
    """Give the path to drop so that this error goes away."""
    path = _path(detail)
    return path[:-1] if detail["type"] == "missing" else path


def _path(detail: Any) -> Path:
    path: Path = tuple(part for part in detail["loc"] if part != "[key]")
    return path


def _problem(document: Document, detail: Any) -> Problem:
    path, kind, value = _path(detail), str(detail["type"]), detail["input"]
    name = str(path[-1]) if path else ""
    if kind == "missing":
        expected = f"`{name}`: {_description(path[:-1], name)}"
        return document.problem(path[:-1], found=f"no `{name}`", expected=expected, at_key=True)
    if kind == "extra_forbidden":
        known = [_alias(shape_name, info) for shape_name, info in _shape_at(path[:-1]).model_fields.items()]
        expected = "one of " + ", ".join(known) + suggest(name, known)
        return document.problem(path, found=f"the unknown key {show(name)}", expected=expected, at_key=True)
    at_key = detail["loc"][-1] == "[key]"
    expected = _expected(path, kind, value, detail.get("ctx", {}), at_key=at_key)
    found = show(name if at_key else value)
    if kind.endswith(("too_long", "too_short")) and isinstance(value, list | dict) and not at_key:
        found += f" of {len(value)}"
    return document.problem(path, found=found, expected=expected, at_key=at_key)


def _expected(path: Path, kind: str, value: Any, context: Any, *, at_key: bool) -> str:
    if kind == "literal_error":
        words = str(context["expected"]).replace("'", "`")
        return f"one of {words}{suggest(str(value), re.findall('`([^`]*)`', words))}"
    if kind == "string_pattern_mismatch":
        return CODE_WORDS if "_" in str(context["pattern"]) else NAME_WORDS
    if kind.endswith(("too_long", "too_short")):
        lower = context.get("min_length")
        bound = f"at least {lower}" if lower is not None else f"at most {context['max_length']}"
        unit = "characters" if kind.startswith("string") or at_key else "entries"
        return f"{bound} {unit}"
    if kind in ("greater_than_equal", "greater_than", "less_than_equal"):
        sign = {"greater_than_equal": "at least", "greater_than": "more than", "less_than_equal": "at most"}[kind]
        return f"{sign} {next(iter(context.values()))}"
    return _description(path[:-1], str(path[-1]))


def _description(path: Path, name: str) -> str:
    """Give the words for the key `name` of the mapping at the path, or for the list or mapping that holds it."""
    while True:
        shape = SHAPES.get(_pattern(path))
        if shape is not None:
            for field_name, info in shape.model_fields.items():
                if _alias(field_name, info) == name:
                    return info.description or name
        if not path:
            return "a value that fits the schema"
        path, name = path[:-1], str(path[-1])


def _shape_at(path: Path) -> type[Shape]:
    return SHAPES[_pattern(path)]


def _pattern(path: Path) -> Path:
    """Give the key of `SHAPES` for a path: names and positions that the charter chooses become `*`."""
    for pattern in SHAPES:
        if len(pattern) == len(path) and all(known in ("*", part) for known, part in zip(pattern, path, strict=True)):
            return pattern
    return path


def _alias(name: str, info: Any) -> str:
    return str(info.alias or name)
