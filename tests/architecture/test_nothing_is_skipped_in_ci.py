"""Where nothing may be skipped, a skipped test fails the run; elsewhere it does not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.source_tree import ROOT

# Samples of what is refused: no test here is skipped by one.
SKIPS = {
    "in the body": "def test_a():\n    pytest.skip('lacks Go')",
    "by a mark": "@pytest.mark.skip(reason='lacks Go')\ndef test_a():\n    pass",
    "by a condition": "@pytest.mark.skipif(True, reason='lacks Go')\ndef test_a():\n    pass",
    "as a module": "pytest.skip('lacks Go', allow_module_level=True)",
    "by an import": "pytest.importorskip('there_is_no_such_module', reason='lacks Go')",
    "in a fixture": "@pytest.fixture\ndef go():\n    pytest.skip('lacks Go')\ndef test_a(go):\n    pass",
}


def run_pytest(
    folder: Path, bodies: dict[str, str], *, nothing_skipped: str, workers: int = 0
) -> subprocess.CompletedProcess[str]:
    shutil.copy(ROOT / "tests/conftest.py", folder / "conftest.py")
    for way, body in bodies.items():
        name = f"test_{way.replace(' ', '_')}.py"
        (folder / name).write_text(f"import pytest\n\n{body}\n\n\ndef test_other():\n    pass\n")
    environment = {**os.environ, "RINGFENCE_TEST_NOTHING_SKIPPED": nothing_skipped}
    environment.pop("PYTEST_XDIST_WORKER", None)
    options = ["-q", "-rA", "-p", "no:cacheprovider", "--continue-on-collection-errors", "-n", str(workers)]
    return subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(folder)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("workers", [0, 2])
def test_skipped_test_fails_the_run_and_says_why(tmp_path: Path, workers: int) -> None:
    answer = run_pytest(tmp_path, SKIPS, nothing_skipped="1", workers=workers)
    assert answer.returncode != 0
    assert "1 failed, 4 passed, 5 errors" in answer.stdout
    assert answer.stdout.count("skipped where nothing may be") >= len(SKIPS)
    assert answer.stdout.count("lacks Go") >= len(SKIPS)


@pytest.mark.parametrize("nothing_skipped", ["", "0"])
def test_skipped_test_is_skipped_elsewhere(tmp_path: Path, nothing_skipped: str) -> None:
    answer = run_pytest(tmp_path, SKIPS, nothing_skipped=nothing_skipped)
    assert answer.returncode == 0
    assert "4 passed, 6 skipped" in answer.stdout


def test_expected_failure_is_no_skip(tmp_path: Path) -> None:
    # A sample too: a failure that is known and named is run and told, unlike a skip.
    body = "@pytest.mark.xfail(reason='known')\ndef test_a():\n    raise ValueError"
    answer = run_pytest(tmp_path, {"expected": body}, nothing_skipped="1")
    assert answer.returncode == 0
    assert "1 xfailed" in answer.stdout
