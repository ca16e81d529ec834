"""How source is written: documented, short, honest about errors. Read from the syntax tree.

Each function takes source text and gives one line for each thing found.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

FILE_LINES_MAX = 500
FUNCTION_LINES_MAX = 60

Function = ast.FunctionDef | ast.AsyncFunctionDef


def find_undocumented(source: str) -> list[str]:
    """Find the module, public classes, functions and methods that have no docstring.

    What repeats another's contract needs none: `@override`, `@overload`, and setters and deleters of a property.
    """
    tree = ast.parse(source)
    found = [] if ast.get_docstring(tree) else ["line 1: the module has no docstring"]
    return found + [
        f"line {node.lineno}: {name} has no docstring"
        for name, node in _list_public(tree, prefix="")
        if not ast.get_docstring(node)
    ]


def _list_public(tree: ast.Module | ast.ClassDef, prefix: str) -> Iterator[tuple[str, Function | ast.ClassDef]]:
    for node in tree.body:
        if not isinstance(node, Function | ast.ClassDef) or node.name.startswith("_"):
            continue
        if isinstance(node, ast.ClassDef):
            yield prefix + node.name, node
            yield from _list_public(node, prefix=f"{prefix}{node.name}.")
        elif not any(_repeats_a_contract(decorator) for decorator in node.decorator_list):
            yield prefix + node.name, node


def _repeats_a_contract(decorator: ast.expr) -> bool:
    return ast.unparse(decorator).rsplit(".", 1)[-1] in {"override", "overload", "setter", "deleter"}


def find_long_file(source: str) -> list[str]:
    """Find a file that holds more than one idea can need."""
    lines = len(source.splitlines())
    return [f"line {lines}: {lines} lines, at most {FILE_LINES_MAX}"] if lines > FILE_LINES_MAX else []


def find_long_functions(source: str) -> list[str]:
    """Find functions that do not fit a screen, counted from `def` to the last line, docstring included."""
    return [
        f"line {node.lineno}: {node.name} has {lines} lines, at most {FUNCTION_LINES_MAX}"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, Function)
        and (lines := (node.end_lineno or node.lineno) - node.lineno + 1) > FUNCTION_LINES_MAX
    ]


def find_asserts(source: str) -> list[str]:
    """Find `assert`, which is gone under `python -O` and so protects nothing."""
    return [
        f"line {node.lineno}: assert; raise an error of ringfence.core.errors"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Assert)
    ]


def find_swallowed_errors(source: str) -> list[str]:
    """Find handlers that catch everything and do nothing."""
    found: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ExceptHandler) and _catches_everything(node.type) and _does_nothing(node.body):
            found.append(f"line {node.lineno}: every error is swallowed")
        elif isinstance(node, ast.Call) and _suppresses_everything(node):
            found.append(f"line {node.lineno}: every error is suppressed")
    return found


def _suppresses_everything(call: ast.Call) -> bool:
    is_suppress = ast.unparse(call.func) in {"suppress", "contextlib.suppress"}
    return is_suppress and any(_catches_everything(argument) for argument in call.args)


def _catches_everything(caught: ast.expr | None) -> bool:
    if caught is None:
        return True
    names = caught.elts if isinstance(caught, ast.Tuple) else [caught]
    return any(isinstance(name, ast.Name) and name.id in {"Exception", "BaseException"} for name in names)


def _does_nothing(body: list[ast.stmt]) -> bool:
    return all(
        isinstance(statement, ast.Pass | ast.Continue)
        or (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant))
        for statement in body
    )


def find_todos(source: str) -> list[str]:
    """Find code that says of itself that it is not done: so that what it looks for stands here, as words."""
    found = [
        f"line {node.lineno}: raises NotImplementedError"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Raise) and node.exc and ast.unparse(node.exc).startswith("NotImplementedError")
    ]
    words = ("TODO", "FIXME", "XXX")
    return found + [
        f"line {number}: {word}"
        for number, line in enumerate(source.splitlines(), start=1)
        for word in words
        if word in line.partition("#")[2].replace(":", " ").split()
    ]
