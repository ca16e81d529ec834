"""Core has no input, output, clock, randomness, logging or environment; the client sees the error tree alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.architecture.purity import find_client_imports, find_impure_imports, find_impure_names
from tests.architecture.source_tree import ROOT, list_python_files

SOURCE = ROOT / "src"
CORE = list_python_files("src/ringfence/core")
CLIENT = list_python_files("src/ringfence/client")


def name_module(path: Path) -> str:
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def name_file(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_there_is_a_core_and_a_client_to_look_at() -> None:
    assert len(CORE) > 1
    assert CLIENT


@pytest.mark.parametrize("path", CORE, ids=name_file)
def test_core_imports_only_what_is_pure(path: Path) -> None:
    is_package = path.name == "__init__.py"
    assert find_impure_imports(path.read_text("utf-8"), name_module(path), is_package=is_package) == []


@pytest.mark.parametrize("path", CORE, ids=name_file)
def test_core_touches_no_file_clock_or_randomness(path: Path) -> None:
    assert find_impure_names(path.read_text("utf-8")) == []


@pytest.mark.parametrize("path", CLIENT, ids=name_file)
def test_client_sees_nothing_of_ringfence_but_its_errors(path: Path) -> None:
    is_package = path.name == "__init__.py"
    assert find_client_imports(path.read_text("utf-8"), name_module(path), is_package=is_package) == []


@pytest.mark.parametrize(
    "source",
    [
        "import os",
        "import time",
        "import logging",
        "import secrets",
        "import socket, json",
        "import urllib.request",
        "import json as j, random",
        "from pathlib import Path",
        "from urllib import request",
        "from os import environ",
        "import yaml",
        "import ringfence.vault",
        "import ringfence.corelike",
        "from ringfence import vault",
        "from ringfence.services.custody import read",
        "from ..vault import sqlite",
        "def later():\n    import subprocess",
        "if TYPE_CHECKING:\n    import asyncpg",
    ],
)
def test_impure_import_is_found(source: str) -> None:
    assert len(find_impure_imports(source, "ringfence.core.sample")) == 1


@pytest.mark.parametrize(
    "source",
    [
        "from __future__ import annotations",
        "import hashlib, hmac",
        "from collections.abc import Sequence",
        "from urllib.parse import quote",
        "import msgspec",
        "from pydantic import BaseModel",
        "from ruamel.yaml import YAML",
        "from cryptography.hazmat.primitives.ciphers.aead import AESGCM",
        "import ringfence.core.errors",
        "from ringfence.core import errors",
        "from . import errors",
        "from .errors import DeniedError",
    ],
)
def test_pure_import_is_left_alone(source: str) -> None:
    assert find_impure_imports(source, "ringfence.core.sample") == []


def test_relative_import_in_a_package_file_is_resolved_from_the_package() -> None:
    assert find_impure_imports("from . import errors", "ringfence.core", is_package=True) == []
    assert find_impure_imports("from .. import vault", "ringfence.core", is_package=True) != []


@pytest.mark.parametrize(
    "source",
    [
        "open('file')",
        "print(1)",
        "name = input()",
        "write = print",
        "eval('1')",
        "__import__('os')",
        "datetime.now(UTC)",
        "datetime.datetime.now()",
        "date.today()",
        "datetime.utcnow()",
        "field(default_factory=datetime.now)",
        "time.time()",
        "clock = time.monotonic",
        "os.urandom(16)",
        "urandom(16)",
        "token_bytes(16)",
        "secrets.token_bytes(16)",
        "random.randbytes(16)",
        "random.choice(a)",
        "os.environ['HOME']",
        "key = os.environ",
        "io.open('file')",
        "from io import open",
        "from hazmat import generate_private_key",
        "Ed25519PrivateKey.generate()",
        "AESGCM.generate_key(256)",
        "def read():\n    return open('file')",
    ],
)
def test_impure_name_is_found(source: str) -> None:
    assert find_impure_names(source) != []


@pytest.mark.parametrize(
    "source",
    [
        "def decide(now):\n    return now",
        "view.now",
        "context.time < expiry.time_max",
        "record.today_count",
        "envelope.open(key)",
        "def open(sealed):\n    return sealed\n\ndef read(sealed):\n    return open(sealed)",
        "datetime.fromtimestamp(seconds, UTC)",
        "from io import BytesIO",
        "'print(now())'",
        "re.compile('a')",
    ],
)
def test_pure_name_is_left_alone(source: str) -> None:
    assert find_impure_names(source) == []


@pytest.mark.parametrize(
    "source",
    [
        "import ringfence.core.state",
        "from ringfence.core import state",
        "from ringfence.core import *",
        "from ringfence.vault import sqlite",
        "from ..core import envelope",
        "import ringfence",
    ],
)
def test_client_import_of_more_than_errors_is_found(source: str) -> None:
    assert len(find_client_imports(source, "ringfence.client.sample")) == 1


@pytest.mark.parametrize(
    "source",
    [
        "import httpx",
        "from ringfence.core.errors import DeniedError",
        "from ringfence.core import errors",
        "from . import retries",
        "from ringfence.client.retries import pause",
    ],
)
def test_client_import_of_errors_is_left_alone(source: str) -> None:
    assert find_client_imports(source, "ringfence.client.sample") == []
