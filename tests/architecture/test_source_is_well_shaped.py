"""Everything public is documented, files and functions are short, and no error is lost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.architecture.shape import (
    FILE_LINES_MAX,
    FUNCTION_LINES_MAX,
    find_asserts,
    find_long_file,
    find_long_functions,
    find_swallowed_errors,
    find_todos,
    find_undocumented,
)
from tests.architecture.source_tree import list_python_files, render_place

Rule = Callable[[str], list[str]]

SHIPPED = list_python_files("src")
EVERYTHING = list_python_files("src", "tests", "benchmarks", "scripts")

RULES_OF_SHIPPED_FILES: list[Rule] = [find_undocumented, find_asserts, find_swallowed_errors, find_todos]
RULES_OF_ALL_FILES: list[Rule] = [find_long_file, find_long_functions]


def find_breaches(rule: Rule, files: list[Path]) -> list[str]:
    found: list[str] = []
    for path in files:
        for line in rule(path.read_text("utf-8")):
            number, _, what = line.removeprefix("line ").partition(": ")
            found.append(f"{render_place(path, int(number))}: {what}")
    return found


def test_there_is_source_to_look_at() -> None:
    assert len(SHIPPED) > 10
    assert len(EVERYTHING) > len(SHIPPED)


@pytest.mark.parametrize("rule", RULES_OF_SHIPPED_FILES)
def test_what_is_shipped_keeps_the_rule(rule: Rule) -> None:
    breaches = find_breaches(rule, SHIPPED)
    assert not breaches, "\n".join(breaches)


@pytest.mark.parametrize("rule", RULES_OF_ALL_FILES)
def test_every_file_keeps_the_rule(rule: Rule) -> None:
    breaches = find_breaches(rule, EVERYTHING)
    assert not breaches, "\n".join(breaches)


DOCUMENTED = '"""A module."""\n'


@pytest.mark.parametrize(
    ("source", "missing"),
    [
        ("x = 1", "the module"),
        (DOCUMENTED + "def read():\n    pass", "read"),
        (DOCUMENTED + "async def read():\n    pass", "read"),
        (DOCUMENTED + "class Vault:\n    pass", "Vault"),
        (DOCUMENTED + 'class Vault:\n    """A vault."""\n    def read(self): ...', "Vault.read"),
        (DOCUMENTED + 'class Vault:\n    """A vault."""\n    @property\n    def size(self): ...', "Vault.size"),
        (DOCUMENTED + "def read():\n    x = 'not a docstring'", "read"),
    ],
)
def test_missing_docstring_is_found(source: str, missing: str) -> None:
    (found,) = find_undocumented(source)
    assert missing in found


@pytest.mark.parametrize(
    "source",
    [
        DOCUMENTED + "def _read():\n    pass",
        DOCUMENTED + 'def read():\n    """Read."""\n    def inner():\n        pass',
        DOCUMENTED + "class _Private:\n    def read(self): ...",
        DOCUMENTED + 'class Vault:\n    """A vault."""\n    def __init__(self): ...',
        DOCUMENTED + 'class Vault:\n    """A vault."""\n    @override\n    def read(self): ...',
        DOCUMENTED + 'class Vault:\n    """A vault."""\n    @size.setter\n    def size(self, value): ...',
        DOCUMENTED + "@typing.overload\ndef read(): ...",
    ],
)
def test_complete_docstrings_are_left_alone(source: str) -> None:
    assert find_undocumented(source) == []


def test_file_over_the_limit_is_found() -> None:
    assert find_long_file("x = 1\n" * (FILE_LINES_MAX + 1)) != []
    assert find_long_file("x = 1\n" * FILE_LINES_MAX) == []


@pytest.mark.parametrize("start", ["def read():\n", "async def read():\n", "class A:\n  def read(self):\n"])
def test_function_over_the_limit_is_found(start: str) -> None:
    indent = "    "
    assert find_long_functions(start + f"{indent}x = 1\n" * FUNCTION_LINES_MAX) != []
    assert find_long_functions(start + f"{indent}x = 1\n" * (FUNCTION_LINES_MAX - 1)) == []


def test_assert_is_found() -> None:
    assert find_asserts("def verify(tag):\n    assert tag == 1") != []
    assert find_asserts("def verify(tag):\n    if tag != 1:\n        raise ValueError('assert')") == []


@pytest.mark.parametrize(
    "source",
    [
        "try:\n    x()\nexcept Exception:\n    pass",
        "try:\n    x()\nexcept BaseException as error:\n    ...",
        "try:\n    x()\nexcept:\n    pass",
        "try:\n    x()\nexcept (ValueError, Exception):\n    pass",
        "for a in b:\n    try:\n        x()\n    except Exception:\n        continue",
        "with suppress(Exception):\n    x()",
        "with contextlib.suppress(BaseException):\n    x()",
    ],
)
def test_swallowed_error_is_found(source: str) -> None:
    assert len(find_swallowed_errors(source)) == 1


@pytest.mark.parametrize(
    "source",
    [
        "try:\n    x()\nexcept ValueError:\n    pass",
        "try:\n    x()\nexcept Exception as error:\n    raise DeviceError() from error",
        "with suppress(FileNotFoundError):\n    x()",
    ],
)
def test_handled_error_is_left_alone(source: str) -> None:
    assert find_swallowed_errors(source) == []


# Samples of unfinished code, and below of finished code that has its words: neither is code of ours.
@pytest.mark.parametrize("source", ["raise NotImplementedError", "raise NotImplementedError('x')", "x = 1  # TODO: x"])
def test_unfinished_code_is_found(source: str) -> None:
    assert len(find_todos(source)) == 1


@pytest.mark.parametrize(
    "source", ["x = 1  # counts todos", "name = 'TODO'", "try:\n    x()\nexcept NotImplementedError:\n    y()"]
)
def test_finished_code_is_left_alone(source: str) -> None:
    assert find_todos(source) == []
