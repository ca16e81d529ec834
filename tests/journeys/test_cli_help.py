"""`ringfence --help` fits a terminal: every command in one whole line, every option explained."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from ringfence.cli.main import _SECTIONS, cli

COLUMNS = 80


def list_all(group: click.Group, *words: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield words, group
    for name in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from list_all(command, *words, name)
        else:
            yield (*words, name), command


def help_of(*words: str) -> str:
    done = CliRunner().invoke(cli, [*words, "--help"], terminal_width=COLUMNS)
    assert done.exit_code == 0
    return done.output


COMMANDS = list(list_all(cli))


@pytest.mark.parametrize("words", [words for words, _ in COMMANDS], ids=" ".join)
def test_help_fits_eighty_columns_and_cuts_nothing_off(words: tuple[str, ...]) -> None:
    for line in help_of(*words).splitlines():
        assert len(line) <= COLUMNS, line
        assert not line.endswith("...") or line.startswith("Usage: "), line


@pytest.mark.parametrize(("words", "command"), COMMANDS, ids=[" ".join(words) for words, _ in COMMANDS])
def test_every_option_says_what_it_is_for(words: tuple[str, ...], command: click.Command) -> None:
    options = [param for param in command.params if isinstance(param, click.Option) and not param.hidden]

    assert [option.name for option in options if not option.help] == []


def test_commands_are_listed_section_by_section_in_the_order_they_are_met() -> None:
    text = help_of()

    places = [text.index(f"{title}:") for title in _SECTIONS]
    assert places == sorted(places)
    for names in _SECTIONS.values():
        assert [name for name in names if f"\n  {name} " not in text] == []
