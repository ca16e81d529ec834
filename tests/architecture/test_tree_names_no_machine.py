"""No file names a path of one machine or the host of a package registry."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.architecture.banned_text import find_banned_text
from tests.architecture.source_tree import ROOT, list_by_walking, list_files, list_with_git


def test_no_file_names_a_machine_or_a_registry() -> None:
    breaches = [
        f"{path.relative_to(ROOT)}: {found}" for path in list_files() for found in find_banned_text(path.read_bytes())
    ]
    assert not breaches, "\n".join(breaches)


# Joined from pieces, so that this file keeps the rule that it tests.
@pytest.mark.parametrize(
    "pieces",
    [
        ["cd /", "work/main"],
        ["path = '/", "root/.cache'"],
        ["see ../", "shared/notes.md"],
        ["/", "home/alice/ringfence"],
        ["PIP=/opt/", "wheels"],
        ["https://", "py", "pi.org/simple"],
        ["https://files.python", "hosted.org/"],
        ["https://registry.npm", "js.org/"],
        ["GOPROXY=https://proxy", ".golang.org"],
        ["http://deb", ".debian.org/debian"],
        ["--index", "-url x"],
        ["--extra-index", "-url x"],
    ],
)
def test_banned_text_is_found_with_its_line(pieces: list[str]) -> None:
    (found,) = find_banned_text(("first line\n" + "".join(pieces)).encode())
    assert found.startswith("line 2: ")


# Joined from pieces as well: alike to what is banned, and none of it.
@pytest.mark.parametrize(
    "pieces",
    [
        ["docs/", "work/main"],
        ["the ", "root/leaf path"],
        ["see ", "shared/x"],
        ["$HOME/", "work/x"],
        ["install it from ", "PyPI"],
        ["/", "work"],
    ],
)
def test_ordinary_text_is_left_alone(pieces: list[str]) -> None:
    assert find_banned_text("".join(pieces).encode()) == []


def test_binary_file_is_not_searched() -> None:
    assert find_banned_text(b"\0../" + b"shared") == []


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed: apt-get install git")
def test_git_and_walking_find_the_same_files(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    (tmp_path / ".gitignore").write_text(".venv/\n")
    for name in ("a.py", "folder/b.py", ".venv/c.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    subprocess.run(["git", "add", "a.py"], cwd=tmp_path, check=True)

    expected = [tmp_path / ".gitignore", tmp_path / "a.py", tmp_path / "folder/b.py"]
    assert list_with_git(tmp_path) == expected
    assert list_by_walking(tmp_path) == expected


def test_without_a_repository_the_tree_is_walked(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("")
    assert list_with_git(tmp_path) is None
    assert list_files(tmp_path) == [tmp_path / "a.py"]
