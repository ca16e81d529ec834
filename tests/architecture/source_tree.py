"""Finds the files that the architecture tests look at, with git's help or without it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# What a checkout without git may hold that is not part of the source.
LEFT_OUT = {
    ".constraints-venv",
    ".git",
    ".hypothesis",
    ".import_linter_cache",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
    ".venv",
    "__pycache__",
    "build",
    "dist",
    "node_modules",
}


def list_with_git(root: Path) -> list[Path] | None:
    """Give the files that git tracks or would track, or None where git cannot tell."""
    if shutil.which("git") is None or not (root / ".git").exists():
        return None
    answer = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        capture_output=True,
        check=False,
    )
    if answer.returncode != 0:
        return None
    names = [os.fsdecode(name) for name in answer.stdout.split(b"\0") if name]
    # A file that is tracked and was deleted is still listed.
    return sorted(root / name for name in names if (root / name).is_file())


def list_by_walking(root: Path) -> list[Path]:
    """Give every file below the root except what tools leave behind."""
    found: list[Path] = []
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name not in LEFT_OUT and not name.endswith(".egg-info")]
        found += [Path(folder) / name for name in names if not name.endswith((".pyc", ".swp"))]
    return sorted(found)


def list_files(root: Path = ROOT) -> list[Path]:
    """Give every file of the source tree."""
    with_git = list_with_git(root)
    return list_by_walking(root) if with_git is None else with_git


def list_python_files(*folders: str, root: Path = ROOT) -> list[Path]:
    """Give every Python file of the source tree that lies in one of the folders."""
    wanted = [root / folder for folder in folders]
    return [
        path
        for path in list_files(root)
        if path.suffix == ".py" and any(path.is_relative_to(folder) for folder in wanted)
    ]


def render_place(path: Path, line: int, root: Path = ROOT) -> str:
    """Give a place in the form that editors jump to."""
    return f"{path.relative_to(root)}:{line}"
