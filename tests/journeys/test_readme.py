"""What the documents print is there: commands, options, targets, files, settings, exit codes and members."""

from __future__ import annotations

import importlib.util
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import click
import pytest

from ringfence.app.configuration import Configuration, read_configuration
from ringfence.cli import output
from ringfence.cli.main import cli
from tests.faults.serving import command
from tests.journeys.documents import (
    DOCUMENTS,
    ROOT,
    Printed,
    list_blocks,
    list_commands,
    list_links,
    list_options,
    list_paths,
)
from tests.journeys.programs import run
from tests.services.world import EXAMPLE

COMMANDS = [printed for document in DOCUMENTS for printed in list_commands(document)]
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
TARGETS = set(re.findall(r"^([a-z-]+):(?!=)", MAKEFILE, re.MULTILINE))
DEPLOYMENT = ROOT / "docs" / "deployment.md"


def of(program: str) -> list[Printed]:
    """Give the printed commands of a program."""
    return [printed for printed in COMMANDS if printed.text.startswith(program)]


def check_ringfence(text: str) -> str:
    """Say what of a printed command does not exist; "" when all of it does."""
    words = shlex.split(text.replace("[", " ").replace("]", " "))[1:]
    found: click.Command = cli
    while words and isinstance(found, click.Group) and not words[0].startswith("-") and not words[0].isupper():
        inner = found.get_command(click.Context(found), words[0])
        if inner is None:
            return f"there is no command {words[0]!r}"
        found, words = inner, words[1:]
    return _check_words(found, words)


def _check_words(found: click.Command, words: list[str]) -> str:
    options = {name: param for param in found.get_params(click.Context(found)) for name in param.opts}
    given = 0
    while words:
        word, words = words[0], words[1:]
        if word.startswith("-"):
            option = options.get(word)
            if option is None:
                return f"there is no option {word}"
            if isinstance(option, click.Option) and not option.is_flag and option.name != "help":
                words = words[1:]
        else:
            given += 1
    arguments = [param for param in found.params if isinstance(param, click.Argument)]
    unbounded = any(argument.nargs == -1 for argument in arguments)
    if isinstance(found, click.Group) or unbounded or given <= len(arguments):
        return ""
    return f"it takes {len(arguments)} arguments, not {given}"


@pytest.mark.parametrize("printed", of("ringfence "), ids=str)
def test_command_that_is_printed_exists_with_its_options(printed: Printed) -> None:
    assert check_ringfence(printed.text) == ""


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ringfence chart check", "no command 'chart'"),
        ("ringfence charter chek FILE", "no command 'chek'"),
        ("ringfence verify DIR --trusted FILE", "no option --trusted"),
        ("ringfence verify DIR [--sinc CHECKPOINT]", "no option --sinc"),
        ("ringfence doctor DIR", "takes 0 arguments"),
    ],
)
def test_command_that_does_not_exist_would_be_noticed(text: str, words: str) -> None:
    assert words in check_ringfence(text)


def test_the_documents_print_enough_for_this_to_mean_something() -> None:
    assert len(of("ringfence ")) > 30
    assert len(of("make ")) > 10
    assert {shlex.split(printed.text)[1] for printed in of("ringfence ")} >= set(
        cli.list_commands(click.Context(cli))
    ) - {"demo"}


@pytest.mark.parametrize("printed", of("make "), ids=str)
def test_target_that_is_printed_exists_with_its_variables(printed: Printed) -> None:
    for word in shlex.split(printed.text)[1:]:
        if "=" in word:
            assert re.search(rf"^{word.split('=')[0]} \?*=", MAKEFILE, re.MULTILINE), word
        elif not word.isupper():
            assert word in TARGETS


def test_make_alone_lists_every_target() -> None:
    if shutil.which("make") is None:
        pytest.fail("make is needed on the machine")
    listed = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert {line.split()[0] for line in listed.splitlines() if line.startswith("  ")} == TARGETS


@pytest.mark.parametrize("printed", of("python -m "), ids=str)
def test_module_that_is_printed_exists(printed: Printed) -> None:
    assert importlib.util.find_spec(printed.text.split()[2]) is not None


@pytest.mark.parametrize("printed", [printed for document in DOCUMENTS for printed in list_options(document)], ids=str)
def test_option_that_is_named_belongs_to_some_command(printed: Printed) -> None:
    def options(group: click.Group) -> set[str]:
        found: set[str] = set()
        for name in group.list_commands(click.Context(group)):
            inner = group.get_command(click.Context(group), name)
            assert inner is not None
            found |= {word for param in inner.params for word in param.opts}
            found |= options(inner) if isinstance(inner, click.Group) else set()
        return found

    assert printed.text in options(cli)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_file_that_is_linked_exists(document: Path) -> None:
    for link in list_links(document):
        assert (document.parent / link).exists(), link


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_path_and_test_that_is_named_exists(document: Path) -> None:
    for path, name in list_paths(document):
        found = [place / path for place in (ROOT, ROOT / "src" / "ringfence") if (place / path).exists()]
        assert found, path
        assert not name or f"def {name}(" in found[0].read_text("utf-8"), f"{path}::{name}"


def test_path_is_known_from_what_only_looks_like_one(tmp_path: Path) -> None:
    document = tmp_path / "page.md"
    document.write_text(
        "`tests/gone/`, `tests/a.py::test_b`, `vault.db`, `tile/<L>/<N>`, `/v1/records`, `core/ledger/entry.py`"
    )

    assert list_paths(document) == [("tests/gone/", ""), ("tests/a.py", "test_b"), ("core/ledger/entry.py", "")]


def test_exit_codes_are_those_of_the_program() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    paragraph = text[text.index("Exit codes: ") :].split("\n\n")[0]
    ours = {getattr(output, name) for name in dir(output) if name.startswith("EXIT_")}
    assert {int(number) for number in re.findall(r"\b\d+\b", paragraph)} == ours | {0}


def test_settings_that_are_shown_are_taken_and_all_are_described(tmp_path: Path) -> None:
    (block,) = list_blocks(DEPLOYMENT, "yaml")
    (tmp_path / "ringfence.yaml").write_text(block, "utf-8")
    assert read_configuration(tmp_path).region == "virginia"

    text = DEPLOYMENT.read_text("utf-8")
    section = text[text.index("## ringfence.yaml") : text.index("```yaml")]
    described = {
        name for row in re.findall(r"^\| (`[^|]+) \|", section, re.MULTILINE) for name in re.findall(r"`([^`]+)`", row)
    }
    fields = set(Configuration.model_fields) - {"listen"}
    listen = Configuration.model_fields["listen"].default
    assert described == fields | {f"listen.{name}" for name in type(listen).model_fields}


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("readme") / "deployment"
    command("init", str(directory), "--charter", str(EXAMPLE), "--region", "virginia")
    assert run("ledger", "sequence", "--once", "-d", str(directory)).returncode == 0
    return directory


def test_files_that_a_deployment_is_said_to_have_are_there_and_no_others(deployment: Path) -> None:
    text = DEPLOYMENT.read_text("utf-8")
    rows = re.findall(r"^\| (`[^|]+) \|", text[: text.index("## ringfence.yaml")], re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`([^`]+)`", row)}
    governed = {
        "keys/credentials.jwk",
        "keys/credentials-keys.json",
        "keys/custody/sealed",
        "keys/custody/shares/",
        "ceremony/",
    }  # held in test_credentials, test_ceremony
    for name in named - {"keys/lanes/N.key", "keys/lanes/N.head"} - governed:
        assert (deployment / name).exists(), name
    there = {str(path.relative_to(deployment)) for path in deployment.rglob("*") if path.is_file()}
    for path in there:
        assert (
            path in named
            or any(path.startswith(name) for name in named if name.endswith("/"))
            or path.startswith("vault.db")
        ), path


def test_verdict_has_the_members_that_are_described_and_no_others(deployment: Path, tmp_path: Path) -> None:
    command("ledger", "export", str(tmp_path / "bundle"), "-d", str(deployment))
    verdict = command("verify", str(tmp_path / "bundle"), "--trust", str(deployment / "trust.json"))

    text = (ROOT / "docs" / "verify.md").read_text("utf-8")
    section = text[text.index("| member | meaning |") :]
    described = {
        name for row in re.findall(r"^\| (`[^|]+) \|", section, re.MULTILINE) for name in re.findall(r"`([^`]+)`", row)
    }
    assert set(verdict) == described
    (counts,) = re.findall(r"^\| `counts` \| (.*) \|$", section, re.MULTILINE)
    assert set(verdict["counts"]) == set(re.findall(r"`([a-z_]+)`", counts))
