"""`ringfence charter`, as people and programs use it."""

from __future__ import annotations

import json
from pathlib import Path

import cedarpy
import pytest
from click.testing import CliRunner, Result

from ringfence.cli.charter import charter
from tests.core.small_charter import SMALL


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(SMALL, encoding="utf-8")
    return path


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    path = tmp_path / "broken.yaml"
    path.write_text(SMALL.replace("version: 3", "version: x").replace("who: [app]", "who: [ap]"), encoding="utf-8")
    return path


def run(*arguments: str | Path, given: str | None = None) -> Result:
    """Run the command; an error that is not an exit is a failure of the test."""
    result = CliRunner().invoke(charter, [str(argument) for argument in arguments], input=given)
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result


def test_check_of_a_valid_charter_says_what_is_in_it(small: Path) -> None:
    result = run("check", small)
    assert result.exit_code == 0
    assert "small, version 3, is valid: 5 parties, 5 datasets" in result.stdout
    assert result.stderr == ""


def test_check_of_a_broken_charter_says_where_on_standard_error(broken: Path) -> None:
    result = run("check", broken)
    assert result.exit_code == 1
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert lines[0].startswith(f"{broken}:2:10: found `x`; expected")
    assert "did you mean `app`?" in lines[1]
    assert lines[-1].startswith("2 problems. Mend these places")


def test_check_speaks_json_of_both(small: Path, broken: Path) -> None:
    valid = json.loads(run("check", "--json", small).stdout)
    assert (valid["valid"], valid["version"], valid["problems"]) == (True, 3, [])
    result = run("check", "--json", broken)
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert told["valid"] is False
    assert (told["problems"][0]["line"], told["problems"][0]["column"]) == (2, 10)


def test_charter_may_come_from_standard_input() -> None:
    assert run("check", "-", given=SMALL).exit_code == 0
    assert "<stdin>:1:1: found an empty file" in run("check", "-", given="").stderr


@pytest.mark.parametrize("name", ["missing.yaml", "."])
def test_file_that_cannot_be_read_is_said_without_a_traceback(tmp_path: Path, name: str) -> None:
    result = run("check", tmp_path / name)
    assert result.exit_code == 1
    assert "cannot be read" in result.stderr
    assert "Traceback" not in result.stderr


def test_endless_file_is_refused_and_not_read_whole() -> None:
    result = run("check", "/dev/zero")
    assert result.exit_code == 1
    assert "at most 1048576 bytes" in result.stderr


def test_explain_gives_sentences(small: Path, broken: Path) -> None:
    result = run("explain", small)
    assert result.exit_code == 0
    assert "No rule here lets Parent read, look up or export protected data." in result.stdout
    assert json.loads(run("explain", "--json", small).stdout)["text"] == result.stdout
    assert run("explain", broken).exit_code == 1


def test_schema_is_json_either_way() -> None:
    assert json.loads(run("schema").stdout) == json.loads(run("schema", "--json").stdout)


def test_export_gives_the_policies_and_their_schema(small: Path, broken: Path) -> None:
    policies = run("export", small, "--format", "cedar")
    schema = run("export", small, "--format", "cedar-schema")

    assert (policies.exit_code, schema.exit_code) == (0, 0)
    assert cedarpy.validate_policies(policies.stdout, schema.stdout).validation_passed
    assert policies.stdout.count("\npermit (") == 3
    assert policies.stdout.count("\nforbid (") == 2
    told = json.loads(run("export", small, "--format", "cedar", "--json").stdout)
    assert (told["format"], told["text"]) == ("cedar", policies.stdout)
    refused = run("export", broken, "--format", "cedar")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert run("export", small, "--format", "rego").exit_code == 2
