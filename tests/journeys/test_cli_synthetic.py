"""`ringfence synthetic`: a newcomer's exports, from nothing to the vault with the commands that the example prints."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from ringfence.synthetic.files import write_exports
from ringfence.synthetic.people import make_users
from tests.journeys.programs import run, run_inside
from tests.services.world import EXAMPLE


def read_all(directory: Path) -> dict[str, bytes]:
    """Give every file below a directory."""
    return {
        str(path.relative_to(directory)): path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file()
    }


def test_made_up_users_are_those_of_the_seed_and_are_counted_by_country(tmp_path: Path) -> None:
    facts = run_inside("synthetic", "made-up", "--users", "30", "--seed", "7", "--json", cwd=tmp_path).facts()

    write_exports(tmp_path / "expected", users=30, seed=7)
    assert read_all(tmp_path / "made-up" / "exports") == read_all(tmp_path / "expected")
    assert facts["users"] == 30
    assert facts["countries"] == Counter(user.country for user in make_users(30, seed=7))
    assert (facts["exports"], facts["geography"]) == ("made-up/exports", "made-up/geography.mmdb")


def test_commands_of_the_example_take_made_up_users_into_a_deployment(tmp_path: Path) -> None:
    said = run_inside("synthetic", "made-up", "--users", "20", cwd=tmp_path)
    assert (said.returncode, said.stderr) == (0, "")
    assert said.stdout.startswith("made-up/exports: 20 users, really from: ")

    charter = ("--charter", str(EXAMPLE), "--region", "virginia", "--geography", "made-up/geography.mmdb")
    assert run("init", "deployment", *charter, cwd=tmp_path).returncode == 0
    done = run("ingest", "made-up/exports", "--json", cwd=tmp_path)
    assert done.returncode == 0
    facts = done.facts()
    assert facts["taken"] + facts["left"] == 20
    assert facts["taken"] > 0
    assert facts["left"] > 0


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("full",), 3, "full is not empty"),
        (("full/file",), 3, "full/file cannot be made"),
        (("new", "--users", "0"), 2, "--users"),
        (("new", "--users", "100001"), 2, "--users"),
        (("new", "--seed", "x"), 2, "--seed"),
        ((), 2, "DIR"),
    ],
)
def test_wrong_use_is_said_and_nothing_is_written(
    tmp_path: Path, arguments: tuple[str, ...], code: int, words: str
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("mine")

    done = run_inside("synthetic", *arguments, cwd=tmp_path)

    assert done.returncode == code
    assert words in done.stderr
    assert [path.name for path in tmp_path.rglob("*")] == ["full", "file"]


def test_empty_directory_is_taken(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert run_inside("synthetic", "empty", "--users", "1", cwd=tmp_path).returncode == 0
    assert (tmp_path / "empty" / "geography.mmdb").is_file()
