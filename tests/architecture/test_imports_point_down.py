"""The import contracts of pyproject.toml hold, and each of them refuses a sample that breaks it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.source_tree import ROOT

PACKAGES = [
    *("app", "cli", "client", "core", "gateway", "keys", "ledger", "legacy"),
    *("prover", "reports", "services", "vault", "verify"),
]
LINT_IMPORTS = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(sys.argv[1]))"


def lint_imports(source: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", LINT_IMPORTS, str(ROOT / "pyproject.toml")],
        cwd=source,
        env={**os.environ, "PYTHONPATH": str(source), "NO_COLOR": "1", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )


def make_sample(source: Path, modules: dict[str, str]) -> Path:
    for package in ["", *PACKAGES]:
        folder = source / "ringfence" / package
        folder.mkdir(parents=True)
        (folder / "__init__.py").write_text("")
    for name, text in modules.items():
        (source / "ringfence" / name).write_text(text)
    return source


def test_the_contracts_hold() -> None:
    answer = lint_imports(ROOT / "src")
    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_a_sample_whose_imports_point_down_is_kept(tmp_path: Path) -> None:
    sample = make_sample(
        tmp_path,
        {
            "core/errors.py": "import hashlib",
            "services/custody.py": "from ringfence.core import errors",
            "verify/verifier.py": "from ringfence.core import errors",
            "vault/sqlite.py": "import sqlite3\nfrom ringfence.core import errors",
            "reports/review.py": "from ringfence.verify import verifier",
            "gateway/http.py": "from ringfence.services import custody",
            "app/wiring.py": "from ringfence.vault import sqlite\nfrom ringfence.gateway import http",
            "cli/main.py": "from ringfence.app import wiring",
        },
    )
    answer = lint_imports(sample)
    assert answer.returncode == 0, answer.stdout + answer.stderr


@pytest.mark.parametrize(
    ("contract", "modules"),
    [
        ("Imports point down", {"core/state.py": "import ringfence.vault"}),
        ("Imports point down", {"vault/sqlite.py": "import ringfence.services"}),
        ("Imports point down", {"vault/sqlite.py": "import ringfence.keys"}),
        ("Imports point down", {"verify/verifier.py": "import ringfence.ledger"}),
        ("Imports point down", {"services/custody.py": "import ringfence.gateway"}),
        ("Imports point down", {"gateway/http.py": "import ringfence.app"}),
        ("Imports point down", {"gateway/http.py": "import ringfence.client"}),
        ("Imports point down", {"verify/verifier.py": "import ringfence.reports"}),
        ("Imports point down", {"prover/matrix.py": "import ringfence.verify"}),
        ("Imports point down", {"reports/review.py": "import ringfence.services"}),
        ("Imports point down", {"utils.py": ""}),
        ("The verifier, the prover and the reports have no network", {"verify/verifier.py": "import socket"}),
        ("The verifier, the prover and the reports have no network", {"reports/review.py": "import sqlite3"}),
        ("The verifier, the prover and the reports have no network", {"prover/matrix.py": "import http"}),
        (
            "The verifier, the prover and the reports have no network",
            {"core/fetch.py": "import httpx", "verify/a.py": "import ringfence.core.fetch"},
        ),
        ("Services see ports", {"services/custody.py": "import ringfence.vault"}),
        ("Services see ports", {"services/custody.py": "import asyncpg"}),
        ("No circles", {"core/a.py": "import ringfence.core.b", "core/b.py": "import ringfence.core.a"}),
    ],
)
def test_a_sample_that_breaks_the_contract_is_refused(tmp_path: Path, contract: str, modules: dict[str, str]) -> None:
    answer = lint_imports(make_sample(tmp_path, modules))
    assert answer.returncode != 0
    assert any(contract in line and "BROKEN" in line for line in answer.stdout.splitlines()) or (
        "utils.py" in modules and "utils" in answer.stdout + answer.stderr
    ), answer.stdout + answer.stderr
