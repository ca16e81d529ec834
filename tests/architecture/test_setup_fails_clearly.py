"""Setting up needs python3 with venv and make only, says what is missing, and never looks done when it is not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.source_tree import ROOT

# Stand-ins for an interpreter: they answer the questions of scripts/python.sh and nothing else.
TOO_OLD = 'case "$2" in *print*) echo 3.9 ;; *) exit 1 ;; esac'
WITHOUT_VENV = 'case "$2" in *print*) echo 3.12 ;; *ensurepip*) exit 1 ;; esac'
FITTING = 'case "$2" in *print*) echo 3.13 ;; esac'


def find_python(folder: Path, interpreters: dict[str, str], *, named: str = "") -> subprocess.CompletedProcess[str]:
    for name, script in interpreters.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    return subprocess.run(
        ["/bin/sh", "-c", f'. "{ROOT}/scripts/python.sh"; find_python && echo "$python"'],
        env={"PATH": str(folder), "PYTHON": named},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("interpreters", "message", "hint"),
    [
        ({}, "no Python found", "apt-get install python3 python3-venv"),
        ({"python3": TOO_OLD}, "3.11 or newer is needed; python3 is 3.9", "PYTHON="),
        ({"python3": WITHOUT_VENV}, "Python 3.12 is here, but its venv module is not", "python3.12-venv"),
        ({"python3": TOO_OLD, "python3.12": WITHOUT_VENV}, "venv module is not", "python3-venv"),
    ],
)
def test_missing_python_is_named_with_a_hint(
    tmp_path: Path, interpreters: dict[str, str], message: str, hint: str
) -> None:
    answer = find_python(tmp_path, interpreters)
    assert answer.returncode == 1
    assert message in answer.stderr
    assert hint in answer.stderr


@pytest.mark.parametrize(
    ("interpreters", "chosen"),
    [
        ({"python3": FITTING}, "python3"),
        ({"python3": TOO_OLD, "python3.12": FITTING}, "python3.12"),
        ({"python3": WITHOUT_VENV, "python3.11": FITTING, "python3.13": FITTING}, "python3.13"),
    ],
)
def test_first_fitting_python_is_chosen(tmp_path: Path, interpreters: dict[str, str], chosen: str) -> None:
    answer = find_python(tmp_path, interpreters)
    assert answer.returncode == 0
    assert answer.stdout.strip() == chosen


def test_python_that_is_named_is_the_only_one_tried(tmp_path: Path) -> None:
    answer = find_python(tmp_path, {"python3": FITTING, "python3.9": TOO_OLD}, named="python3.9")
    assert answer.returncode == 1
    assert "python3.9 is 3.9" in answer.stderr


def copy_what_setup_reads(folder: Path) -> Path:
    shutil.copytree(ROOT / "scripts", folder / "scripts")
    for name in ("pyproject.toml", "constraints.txt", "Makefile"):
        shutil.copy(ROOT / name, folder / name)
    return folder


def run_setup(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", "scripts/setup.sh", "demo"],
        cwd=folder,
        env={**os.environ, "PYTHON": sys.executable, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_failed_setup_leaves_no_stamp_and_says_so(tmp_path: Path) -> None:
    folder = copy_what_setup_reads(tmp_path)

    answer = run_setup(folder, PIP_NO_INDEX="1", PIP_FIND_LINKS="")

    assert answer.returncode != 0
    assert "set-up failed while installing the build tools; nothing is marked as done" in answer.stderr
    assert list(folder.glob(".venv/.ringfence-*")) == []


def test_setup_that_is_done_does_nothing_until_what_it_was_made_from_changes(tmp_path: Path) -> None:
    folder = copy_what_setup_reads(tmp_path)
    (folder / ".venv/bin").mkdir(parents=True)
    (folder / ".venv/bin/python").symlink_to(sys.executable)
    key = "(cat pyproject.toml constraints.txt scripts/setup.sh; pwd) | cksum > .venv/.ringfence-dev"
    subprocess.run(["/bin/sh", "-c", key], cwd=folder, check=True)

    done = run_setup(folder, PIP_NO_INDEX="1", PIP_FIND_LINKS="")
    with (folder / "constraints.txt").open("a") as constraints:
        constraints.write("# changed\n")
    changed = run_setup(folder, PIP_NO_INDEX="1", PIP_FIND_LINKS="", PYTHON="there-is-no-such-python")

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert changed.returncode != 0
    assert "no Python found under the name there-is-no-such-python" in changed.stderr


def test_bare_make_lists_every_target_with_its_help() -> None:
    if shutil.which("make") is None:
        pytest.skip("make is not installed: apt-get install make")
    makefile = (ROOT / "Makefile").read_text("utf-8")
    phony = next(line for line in makefile.splitlines() if line.startswith(".PHONY:"))

    answer = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True)

    listed = {line.split()[0]: line.split()[1:] for line in answer.stdout.splitlines() if line.startswith("  ")}
    assert set(listed) == set(phony.split()[1:])
    assert all(listed.values())
