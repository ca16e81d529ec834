"""Coalitions as a picture: for each goal a graph of who takes part in which step, from the people to the goal.

Rules of this file:
1. Everything that is drawn stands in words as well: as the title of its step, and in the list below the drawing.
2. Shapes tell what somebody does, and a dashed wall where somebody outside could still stop it; colours tell nothing.
3. A row is a person, a column a step; the line along the top leads from step to step to the goal.
4. Whatever is from a charter or a register is escaped.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from ringfence.core.governance.wording import show_line
from ringfence.prover.coalition.answers import Answer, Coalition
from ringfence.prover.coalition.run import Deed
from ringfence.prover.coalition.words import (
    Names,
    describe_deed,
    describe_number,
    describe_open,
    describe_who,
    show_wait,
)
from ringfence.prover.page import render_page, shorten

_LABEL, _COLUMN, _ROW, _HEAD, _SPINE, _GOAL = 262, 64, 40, 122, 98, 190
_MARGIN: Final = 26
_NAME_LENGTH, _SMALL_LENGTH, _STEP_LENGTH, _GOAL_LENGTH = 31, 40, 22, 26
_INK, _GREY, _PALE = "#16202c", "#8796a5", "#e4e9ee"
_STYLE: Final = """
ol { margin: .4rem 0; padding-left: 1.6rem; max-width: 70rem } section { margin-bottom: 2.4rem }
svg .number { font: 600 12px system-ui, sans-serif; text-anchor: middle }
"""
JOINS, BROUGHT, START, BESIDE, HANDS = (
    "who must join",
    "whom they bring",
    "theirs from the start",
    "others, named and not asked",
    "past the program",
)


@dataclass(frozen=True, slots=True)
class _Row:
    """A person of a run, or the one row of what the program does not see; `group` is one of the words above."""

    group: str
    name: str
    small: str
    person: int = 0


def draw_coalitions(asked: Coalition, answers: Sequence[Answer], *, source: str, minimum: int) -> str:
    """Give the page: for each goal how many must join, the drawing of what they would do, and the same in words.

    Args:
        asked: the coalition.
        answers: what is known of its goals.
        source: where the rules are from, in words.
        minimum: how many the charter asks for; 0 for no number.
    """
    charter, named = asked.world.charter, Names(asked.state)
    title = f"Who must join: {charter.name}, version {charter.version}"
    asks = f"The charter asks that {minimum} people are needed." if minimum else "The charter asks for no number."
    parties = ", ".join(asked.world.parties) or "no party"
    parts = [
        f"<p>From {escape(source)}. Colluding from the start: {escape(parties)}, and whom they employ, pay, manage or "
        f"direct: {escape(named(asked.world.base_people) or 'no member')}. {asks}</p>",
        *_tell_legend(),
    ]
    for at, answer in enumerate(answers):
        parts += _tell_goal(asked, answer, named, at, minimum=minimum)
    return render_page(title, parts, style=_STYLE)


def _tell_legend() -> Iterator[str]:
    yield "<p>Read each drawing from the left: people, then the steps that they take, then the goal.</p>"
    yield '<p class="keys">'
    for mark, words in (
        (_mark("by", 14, 12), "asks for it, orders it or does it"),
        (_mark("agreed", 14, 12), "agrees to it, or somebody signs in their name"),
        (_mark("hands", 14, 12), "is done past the program: so the charter says"),
        (_wall(14, 2, 22), "somebody outside could still stop it, and how long"),
    ):
        yield f'<span><svg width="28" height="24" aria-hidden="true">{mark}</svg> {words}</span>'
    yield "</p>"


def _tell_goal(asked: Coalition, answer: Answer, named: Names, at: int, *, minimum: int) -> Iterator[str]:
    yield f"<section><h2>{escape(answer.goal.name)}: to {escape(answer.goal.words)}</h2>"
    yield f"<p>{escape(describe_number(answer, minimum=minimum))}.</p>"
    if fewer := describe_open(answer, asked.lent):
        yield f"<p>{escape(fewer[:1].upper() + fewer[1:])}.</p>"
    if who := describe_who(answer, named):
        yield f"<p>{escape(who[:1].upper() + who[1:])}.</p>"
    if answer.deeds:
        yield '<div class="drawing">'
        yield from _draw(answer, _rows_of(asked, answer, named), named, at)
        yield "</div><ol>"
        yield from (f"<li>{escape(describe_deed(deed, named))}</li>" for deed in answer.deeds)
        yield "</ol>"
    yield "</section>"


# -- rows --------------------------------------------------------------------------------------------------------------


def _rows_of(asked: Coalition, answer: Answer, named: Names) -> list[_Row]:
    """Give those who take part, in groups: who joins, whom they bring, the others, and what no person is named for."""
    world = asked.world
    acting = {person for deed in answer.deeds for person in (*deed.by, *deed.agreed)}
    beside = acting.difference(answer.joined, answer.brought, world.base_people)
    groups = (
        (JOINS, answer.joined),
        (BROUGHT, answer.brought),
        (START, sorted(acting.intersection(world.base_people))),
        (BESIDE, sorted(beside)),
    )
    rows = [
        _Row(group, named.one(person), _small(asked, answer, group, person), person)
        for group, people in groups
        for person in people
    ]
    if any(not deed.by for deed in answer.deeds):
        rows.append(_Row(HANDS, "by hand", "the charter says who can"))
    return rows


def _small(asked: Coalition, answer: Answer, group: str, person: int) -> str:
    """Say what somebody is before the run begins, and who brings them."""
    member = asked.state.governed.members.get(person)
    principal = asked.state.principals.get(person)
    if member is not None:
        words = f"{', '.join(sorted(member.duties)) or 'no duty'}, of {member.party}"
    else:
        words = f"a service of {principal.party}" if principal else "no member"
    if group == BROUGHT:
        chiefs = [chief for chief in answer.joined if person in asked.world.below.get(chief, ())]
        return f"brought by {', '.join(map(str, chiefs))}: {words}"
    return words


# -- the drawing -------------------------------------------------------------------------------------------------------


def _draw(answer: Answer, rows: Sequence[_Row], named: Names, at: int) -> Iterator[str]:
    tops = _tops(rows)
    bottom = tops[-1] + _ROW
    right = _x(len(answer.deeds) - 1) + _COLUMN // 2 + _MARGIN
    width, height = right + _GOAL + 2, bottom + 20
    yield (
        f'<svg width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img" '
        f'aria-labelledby="t{at} d{at}">'
    )
    yield f'<title id="t{at}">{escape(answer.goal.name)}: {escape(describe_number(answer))}</title>'
    yield (
        f'<desc id="d{at}">{len(answer.deeds)} steps lead from the people on the left to the goal on the right. The '
        "list below says the same in words.</desc>"
    )
    yield from _draw_rows(answer, rows, tops)
    yield f'<path d="M{_LABEL} {_SPINE} H{right - 9}" stroke="{_INK}" stroke-width="2"/>'
    yield f'<path d="M{right} {_SPINE} l-10 -6 v12 z" fill="{_INK}"/>'
    for place, deed in enumerate(answer.deeds):
        yield from _draw_step(place, deed, rows, tops, describe_deed(deed, named))
    yield from _draw_goal(answer, right)
    yield "</svg>"


def _tops(rows: Sequence[_Row]) -> list[int]:
    """Give where each row begins: under its group's heading where it is the first of it."""
    tops, top = [], _HEAD
    for at, row in enumerate(rows):
        top += 20 if at == 0 or rows[at - 1].group != row.group else 0
        tops.append(top)
        top += _ROW
    return tops


def _x(place: int) -> int:
    return _LABEL + _MARGIN + _COLUMN // 2 + place * _COLUMN


def _draw_rows(answer: Answer, rows: Sequence[_Row], tops: Sequence[int]) -> Iterator[str]:
    for at, (row, top) in enumerate(zip(rows, tops, strict=True)):
        if at == 0 or rows[at - 1].group != row.group:
            yield f'<text class="small strong" x="2" y="{top - 4}">{row.group}</text>'
        yield f'<text class="strong" x="14" y="{top + 17}">{escape(shorten(row.name, _NAME_LENGTH))}</text>'
        yield f'<text class="small" x="14" y="{top + 31}">{escape(shorten(row.small, _SMALL_LENGTH))}</text>'
        last = max((place for place, deed in enumerate(answer.deeds) if _kind(row, deed)), default=None)
        if last is not None:
            yield f'<path d="M{_LABEL} {top + _ROW // 2} H{_x(last)}" stroke="{_GREY}" stroke-width="1"/>'


def _kind(row: _Row, deed: Deed) -> str:
    """Give the mark of a row in a step; "" for none."""
    if not row.person:
        return "" if deed.by else "hands"
    return "by" if row.person in deed.by else "agreed" if row.person in deed.agreed else ""


def _draw_step(place: int, deed: Deed, rows: Sequence[_Row], tops: Sequence[int], words: str) -> Iterator[str]:
    x = _x(place)
    marks = [(top + _ROW // 2, kind) for row, top in zip(rows, tops, strict=True) if (kind := _kind(row, deed))]
    yield f"<g><title>{place + 1}. {escape(words)}</title>"
    if deed.waits_ms:
        wall, bottom = x - _COLUMN // 2, tops[-1] + _ROW
        yield _wall(wall, _SPINE - 14, bottom)
        yield f'<text class="strong middle" x="{wall}" y="{bottom + 14}">{show_wait(deed)}</text>'
    if marks:
        yield f'<path d="M{x} {_SPINE} V{marks[-1][0]}" stroke="{_INK}" stroke-width="1.5"/>'
    yield from (_mark(kind, x, y) for y, kind in marks)
    yield f'<circle cx="{x}" cy="{_SPINE}" r="12" fill="#fff" stroke="{_INK}" stroke-width="2"/>'
    yield f'<text class="number" x="{x}" y="{_SPINE + 4}">{place + 1}</text>'
    what = escape(shorten(show_line(deed.what), _STEP_LENGTH))
    yield f'<text class="small" transform="translate({x} {_SPINE - 18}) rotate(-32)">{what}</text></g>'


def _mark(kind: str, x: int, y: int) -> str:
    """Give a mark: a square for who does it, a ring for who agrees, a diamond for what is done by hand."""
    if kind == "by":
        return f'<rect x="{x - 7}" y="{y - 7}" width="14" height="14" fill="{_INK}"/>'
    if kind == "agreed":
        return f'<circle cx="{x}" cy="{y}" r="6.5" fill="#fff" stroke="{_INK}" stroke-width="3"/>'
    return f'<path d="M{x} {y - 9} l9 9 l-9 9 l-9 -9 z" fill="#fff" stroke="{_INK}" stroke-width="2"/>'


def _wall(x: int, top: int, bottom: int) -> str:
    return f'<path d="M{x} {top} V{bottom}" stroke="{_INK}" stroke-width="2" stroke-dasharray="5 4"/>'


def _draw_goal(answer: Answer, x: int) -> Iterator[str]:
    lines = _wrap(answer.goal.words, _GOAL_LENGTH)
    height = 34 + 16 * len(lines)
    top = _SPINE - 22
    yield (
        f'<rect x="{x}" y="{top}" width="{_GOAL}" height="{height}" rx="4" fill="{_PALE}" stroke="{_INK}" '
        'stroke-width="2"/>'
    )
    name = escape(shorten(answer.goal.name, _GOAL_LENGTH))
    yield f'<text class="strong" x="{x + 10}" y="{top + 20}">{name}</text>'
    for at, line in enumerate(lines):
        yield f'<text class="small" x="{x + 10}" y="{top + 38 + 16 * at}">{escape(line)}</text>'


def _wrap(text: str, length: int) -> list[str]:
    lines: list[str] = []
    for word in text.split():
        if lines and len(lines[-1]) + 1 + len(word) <= length:
            lines[-1] += f" {word}"
        else:
            lines.append(shorten(word, length))
    return lines
