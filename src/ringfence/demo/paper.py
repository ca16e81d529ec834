"""What the demo looks like: headings, explanations and real answers, laid out for 80 columns.

An answer is shown as it came, but for its layout: members of JSON stand in lines of their own, and what is too long is
cut with `...`.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any, Final

import click

COLUMNS: Final = 79
LINES_PER_VALUE_MAX: Final = 4
MEMBERS_MAX: Final = 10
OMITTED: Final = ("type", "title", "status", "clause")
"""Members of a problem that the status line says already, or that are empty in every refusal shown here."""


def title(text: str) -> None:
    """Begin a step."""
    click.echo()
    for line in textwrap.wrap(text, COLUMNS - 4, initial_indent="== ", subsequent_indent="   "):
        click.secho(line, bold=True)


def say(text: str) -> None:
    """Explain something, in the demo's own words."""
    for line in textwrap.wrap(text, COLUMNS - 2, break_long_words=False):
        click.echo(f"  {line}")


def show_input(text: str) -> None:
    """Show a command or a call as it would be typed; a long one goes on in the next line after a backslash."""
    wrapped = textwrap.wrap(text, COLUMNS - 7, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)
    click.echo()
    for number, line in enumerate(wrapped, start=1):
        click.secho(f"  {line}{' ' + chr(92) if number < len(wrapped) else ''}", fg="cyan")


def show_call(who: str, country: str, method: str, path: str, *, grant: int = 0) -> None:
    """Show a call to the gateway: who makes it, where the connection comes from, and the request itself."""
    target, _, query = path.partition("?")
    is_short = len(method) + len(path) + 4 < COLUMNS
    click.echo()
    under = f", under grant {grant}" if grant else ""
    click.secho(f"  {who}, calling from {country}{under}:", fg="cyan")
    click.secho(f"  {method} {path if is_short else target}", fg="cyan")
    if not is_short:
        click.secho(f"      ?{query}", fg="cyan")


def show_output(text: str, *, lines_max: int = 60) -> None:
    """Show what a program printed: all of it, or the first lines."""
    lines = text.strip("\n").splitlines()
    for line in lines[:lines_max]:
        _bar(line)
    if len(lines) > lines_max:
        _bar(f"... and {len(lines) - lines_max} more lines")


def show_members(members: Mapping[str, Any]) -> None:
    """Show an object of JSON, or a table of two columns, member by member."""
    for line in _lay_out(members):
        _bar(line)


def show_answer(status: str, body: str, *, receipt: str) -> None:
    """Show an HTTP answer: its status, the members of its JSON, and the receipt that came in a header."""
    _bar(status)
    members: dict[str, Any] = json.loads(body)
    shown = {name: value for name, value in members.items() if name not in OMITTED}
    if receipt:
        shown["receipt"] = receipt
    show_members(shown)


def _bar(line: str) -> None:
    first, *more = textwrap.wrap(line, COLUMNS - 4, subsequent_indent=_indent_of(line), break_on_hyphens=False) or [""]
    for part in (first, *more):
        click.echo(f"  | {part}".rstrip())


def _indent_of(line: str) -> str:
    """Give the blanks that a line which goes on begins with: two more than the line itself."""
    return " " * (len(line) - len(line.lstrip()) + 2)


def _lay_out(members: Mapping[str, Any]) -> Iterator[str]:
    """Give a line or more for each member, values in a column; one level of objects and lists is opened."""
    width = max((len(name) for name in members if not isinstance(members[name], dict)), default=0)
    for name, value in list(members.items())[:MEMBERS_MAX]:
        if isinstance(value, dict):
            yield f"{name}:"
            yield from (f"  {line}" for line in _lay_out(value))
        elif isinstance(value, list) and any(len(str(item)) > COLUMNS // 3 for item in value):
            for number, item in enumerate(value):
                yield from _row("" if number else name, f"- {_text(item)}", width=width, hanging="  ")
        else:
            yield from _row(name, _text(value), width=width)
    if len(members) > MEMBERS_MAX:
        yield f"... and {len(members) - MEMBERS_MAX} more"


def _row(name: str, text: str, *, width: int, hanging: str = "") -> Iterator[str]:
    wrapped = textwrap.wrap(
        text,
        COLUMNS - 8 - width,
        subsequent_indent=hanging,
        max_lines=LINES_PER_VALUE_MAX,
        placeholder=" ...",
        break_on_hyphens=False,
    )
    for number, line in enumerate(wrapped or ['""']):
        yield f"{'' if number else name:<{width}}  {line}"


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return ", ".join(map(_text, value))
    return json.dumps(value, ensure_ascii=False)
