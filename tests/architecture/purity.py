"""What a package may import and what core may call, read from the syntax tree.

Import-linter knows which module imports which, and misses what a module does with a builtin or with an allowed
library: these rules close that gap. Each function takes source text and gives one line for each thing found.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

# Modules without input, output, clock, randomness or environment. A name covers its submodules.
PURE_STANDARD_LIBRARY = frozenset(
    {
        "__future__",
        "abc",
        "array",
        "base64",
        "binascii",
        "bisect",
        "calendar",
        "collections",
        "contextlib",
        "copy",
        "dataclasses",
        "datetime",
        "decimal",
        "difflib",
        "enum",
        "fractions",
        "functools",
        "graphlib",
        "hashlib",
        "heapq",
        "hmac",
        "html",
        "io",
        "ipaddress",
        "itertools",
        "json",
        "math",
        "numbers",
        "operator",
        "re",
        "reprlib",
        "string",
        "struct",
        "textwrap",
        "types",
        "typing",
        "unicodedata",
        "urllib.parse",
        "zlib",
    }
)
PURE_LIBRARIES = frozenset(
    {"cryptography", "immutables", "msgspec", "pydantic", "pydantic_core", "ruamel.yaml", "sshsig"}
)
CORE_MAY_IMPORT = PURE_STANDARD_LIBRARY | PURE_LIBRARIES | {"ringfence.core"}

# Of Ringfence, the client sees itself and the error tree.
CLIENT_MAY_IMPORT_OF_RINGFENCE = frozenset({"ringfence.client", "ringfence.core.errors"})

# Builtins that reach out of the program, or hide what does from these rules.
BANNED_BUILTINS = frozenset({"__import__", "breakpoint", "compile", "eval", "exec", "input", "open", "print"})
# Never called, whatever they are called on. The last row makes keys from the system's randomness.
BANNED_CALLS = frozenset(
    {"now", "today", "utcnow", "urandom", "getrandom", "token_bytes", "token_hex", "token_urlsafe", "randbytes"}
    | {"randint", "randrange", "getrandbits", "uuid1", "uuid4", "getenv"}
    | {"generate", "generate_key", "generate_private_key", "generate_parameters"}
)
# Never even named, since a reference can be called elsewhere: `field(default_factory=datetime.now)`.
BANNED_ATTRIBUTES = {
    "date": {"today"},
    "datetime": {"now", "today", "utcnow"},
    "io": {"open", "open_code", "FileIO"},
    "os": {"environ", "getenv", "urandom", "getrandom"},
    "random": {"*"},
    "secrets": {"*"},
    "time": {"*"},
}
# Bound by an import, these are the same thing under a bare name.
BANNED_IMPORTED_NAMES = {
    "io": {"open", "open_code", "FileIO"},
}


def list_imports(source: str, module: str, *, is_package: bool = False) -> Iterator[tuple[int, str]]:
    """Give the line and the full name of everything that a module imports, relative imports resolved.

    `from a import b` gives `a.b`: whether b is a module or a name in it cannot be seen, and the rules go by prefix.
    """
    parts = module.split(".")
    package = parts if is_package else parts[:-1]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            start = ".".join([*above, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{start}.{alias.name}") for alias in node.names)


def is_within(name: str, allowed: Iterable[str]) -> bool:
    """Say whether a full name is one of those allowed or lies inside one."""
    return any(name == one or name.startswith(one + ".") for one in allowed)


def find_impure_imports(source: str, module: str, *, is_package: bool = False) -> list[str]:
    """Find imports that core may not have."""
    return [
        f"line {line}: core may not import {name}"
        for line, name in list_imports(source, module, is_package=is_package)
        if not is_within(name, CORE_MAY_IMPORT)
    ]


def find_client_imports(source: str, module: str, *, is_package: bool = False) -> list[str]:
    """Find imports of Ringfence that its client may not have."""
    return [
        f"line {line}: the client may not import {name}"
        for line, name in list_imports(source, module, is_package=is_package)
        if is_within(name, {"ringfence"}) and not is_within(name, CLIENT_MAY_IMPORT_OF_RINGFENCE)
    ]


def find_impure_names(source: str) -> list[str]:
    """Find what reaches for files, the terminal, the clock, randomness or the environment.

    A bare name counts as the builtin unless the module itself defines a function of that name: `seal` and `open` are
    a pair, and a module may have them.
    """
    tree = ast.parse(source)
    own = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)}
    found: list[tuple[int, str]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            if node.id in BANNED_BUILTINS - own:
                found.append((node.lineno, node.id))
        elif isinstance(node, ast.Attribute):
            if _is_banned_attribute(node):
                found.append((node.lineno, ast.unparse(node)))
        elif isinstance(node, ast.ImportFrom):
            banned = BANNED_IMPORTED_NAMES.get(node.module or "", set()) | BANNED_CALLS
            found += [(node.lineno, f"{node.module}.{alias.name}") for alias in node.names if alias.name in banned]
        if isinstance(node, ast.Call) and _last_name(node.func) in BANNED_CALLS - own:
            found.append((node.lineno, f"{ast.unparse(node.func)}()"))
    return [f"line {line}: core may not use {name}" for line, name in sorted(set(found))]


def _is_banned_attribute(node: ast.Attribute) -> bool:
    banned = BANNED_ATTRIBUTES.get(_last_name(node.value), set())
    return "*" in banned or node.attr in banned


def _last_name(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return node.attr
    return ""
