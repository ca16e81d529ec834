"""The matrix as a picture: one page of HTML with a drawing in it, which runs nothing and fetches nothing.

Rules of this file:
1. Everything that is drawn stands in words as well: as the title of its cell, and in the table below.
2. Colours get darker with strength, so that the picture is read in grey too; letters say which verbs.
3. Datasets of which everybody can do the same share a column.
4. Whatever is from a charter is escaped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from ringfence.core.charter import Charter
from ringfence.core.charter.terms import OTHER
from ringfence.prover.matrix.cells import GIVING, Matrix, Promise
from ringfence.prover.matrix.survey import BULK, NOTHING, STRENGTHS, Given, Place, Row, lines_of
from ringfence.prover.matrix.words import box_words, names_words, scope_words, widening_words
from ringfence.prover.page import render_page, shorten

_LETTERS: Final = {"read": "r", "write": "w", "find": "f", "export": "x", "erase": "e"}
_FILLS: Final = ("#ffffff", "#dbe9f6", "#a9cbe8", "#5b93c9", "#173f73")
_LABEL, _CELL, _ROW, _HEAD = 322, 54, 40, 58
_BROKEN_SHOWN_MAX: Final = 20
_STYLE: Final = """
table { border-collapse: collapse; font-size: .85rem } caption { text-align: left }
th, td { border: 1px solid #c3ccd6; padding: .25rem .5rem; text-align: left; vertical-align: top }
th { background: #f1f4f7 }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem .8rem; max-width: 70rem } dd { margin: 0 }
svg .letters { font: 12.5px ui-monospace, monospace; text-anchor: middle }
"""


@dataclass(frozen=True, slots=True)
class _Group:
    """Datasets that share a column, and the letters that it is headed by."""

    head: str
    datasets: tuple[str, ...]


def draw_picture(matrix: Matrix, promises: Sequence[Promise], rows: Sequence[Row], *, source: str) -> str:
    """Give the page: the promises, the drawing of who can do what to what, and the same in words.

    Args:
        matrix: the answers.
        promises: from `matrix.promises()`.
        rows: from `survey`.
        source: where the rules are from, in words.
    """
    charter = matrix.charter
    groups = _groups_of(charter, rows)
    title = f"Who can do what: {charter.name}, version {charter.version}"
    parts = [
        f"<p>From {escape(source)}, decided by engine {escape(matrix.engine)}. {escape(scope_words(matrix))}.</p>",
        *_tell_promises(matrix, promises),
        "<h2>At a glance</h2>",
        *_tell_legend(),
        '<div class="drawing">',
        *_draw(matrix, rows, groups, title),
        "</div>",
        "<h2>Columns</h2><dl>",
        *(f"<dt>{group.head}</dt><dd>{escape(', '.join(group.datasets))}</dd>" for group in groups),
        "</dl>",
        *_tell_lines(matrix, rows),
    ]
    return render_page(title, parts, style=_STYLE)


def _groups_of(charter: Charter, rows: Sequence[Row]) -> tuple[_Group, ...]:
    """Join the datasets of which every row can do the same (rule 3)."""
    alike: dict[tuple[object, ...], list[str]] = {}
    for dataset in charter.datasets:
        seen = tuple(
            (at, data_class, verb, frozenset(given.strengths), bool(given.withheld), tuple(given.broken))
            for at, row in enumerate(rows)
            for data_class in charter.classes
            for verb, given in sorted(row.reach.get(Place(data_class, dataset), {}).items())
        )
        alike.setdefault(seen, []).append(dataset)
    return tuple(_Group(_head(at), tuple(datasets)) for at, datasets in enumerate(alike.values()))


def _head(at: int) -> str:
    """Give the letters of a column as a spreadsheet has them: A to Z, then AA."""
    return (_head(at // 26 - 1) if at >= 26 else "") + chr(ord("A") + at % 26)


def _tell_promises(matrix: Matrix, promises: Sequence[Promise]) -> Iterator[str]:
    yield "<h2>Invariants</h2><ul>" if promises else "<h2>Invariants</h2><p>The charter has none.</p><ul>"
    for promise in promises:
        if promise.broken:
            yield f'<li class="broken">! {escape(promise.name)} is broken by {len(promise.broken)} cells<ul>'
            yield from (
                f"<li>{escape(box_words(cell, matrix.domain))}</li>" for cell in promise.broken[:_BROKEN_SHOWN_MAX]
            )
            yield "</ul></li>"
        else:
            yield f"<li>{escape(promise.name)} holds over {promise.views:,} questions: {escape(promise.words)}</li>"
    yield "</ul>"
    if widenings := matrix.widenings():
        yield "<h2>What a suspension would widen</h2><ul>"
        yield from (f"<li>{escape(widening_words(item).removeprefix('WIDENS').strip())}</li>" for item in widenings)
        yield "</ul>"


def _tell_legend() -> Iterator[str]:
    yield "<p>The colour says how much may be read, found or exported.</p>"
    yield '<p class="keys">'
    for fill, words in zip(_FILLS, STRENGTHS, strict=True):
        swatch = f'<rect x="1" y="1" width="32" height="18" fill="{fill}" stroke="#8796a5"/>'
        yield f'<span><svg width="34" height="20" aria-hidden="true">{swatch}</svg> {escape(words)}</span>'
    yield "</p>"
    letters = ", ".join(f"{letter} {verb}" for verb, letter in _LETTERS.items())
    yield (
        f"<p>Letters: {letters}; a capital means many users at once. ° some fields are kept back. "
        "! an invariant is broken. Point at a cell to read which flows, purposes and countries.</p>"
    )


# -- the drawing -------------------------------------------------------------------------------------------------------


def _draw(matrix: Matrix, rows: Sequence[Row], groups: Sequence[_Group], title: str) -> Iterator[str]:
    classes = tuple(matrix.charter.classes)
    across = len(classes) * len(groups) * _CELL
    width, height = _LABEL + across + 2, _HEAD + len(rows) * _ROW + 2
    yield f'<svg width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img" aria-labelledby="t d">'
    yield f'<title id="t">{escape(title)}</title>'
    yield (
        '<desc id="d">Rows are callers, columns are groups of datasets in each class; the darker a cell, the more may '
        "be read. The table below says the same in words.</desc>"
    )
    for y, words in ((18, "class"), (37, "group of datasets"), (51, "how many datasets")):
        yield f'<text class="end small" x="{_LABEL - 10}" y="{y}">{words}</text>'
    for at, data_class in enumerate(classes):
        x = _LABEL + at * len(groups) * _CELL
        yield f'<text class="middle strong" x="{x + len(groups) * _CELL / 2:g}" y="18">{escape(data_class)}</text>'
        for place, group in enumerate(groups):
            count = len(group.datasets)
            yield f'<text class="middle" x="{x + (place + 0.5) * _CELL:g}" y="37">{group.head}</text>'
            yield f'<text class="middle small" x="{x + (place + 0.5) * _CELL:g}" y="51">{count}</text>'
    for at, row in enumerate(rows):
        y = _HEAD + at * _ROW
        is_first = at == 0 or rows[at - 1].party != row.party
        yield from _draw_label(matrix.charter, row, y, is_first=is_first)
        for column, (data_class, group) in enumerate((item, group) for item in classes for group in groups):
            yield from _draw_cell(row, data_class, group, _LABEL + column * _CELL, y)
        if is_first:
            yield f'<path d="M0 {y} H{width}" stroke="#16202c" stroke-width="1.5"/>'
    for at in range(len(classes) + 1):
        x = _LABEL + at * len(groups) * _CELL
        yield f'<path d="M{x} 4 V{height - 2}" stroke="#16202c" stroke-width="1.5"/>'
    yield "</svg>"


def _draw_label(charter: Charter, row: Row, y: int, *, is_first: bool) -> Iterator[str]:
    if is_first:
        role = charter.parties[row.party].role if row.party in charter.parties else "no party"
        yield f'<text class="strong" x="2" y="{y + 17}">{escape(shorten(row.party, 16))}</text>'
        yield f'<text class="small" x="2" y="{y + 32}">{escape(role)}</text>'
    needs = row.needs()
    yield f'<text x="112" y="{y + (17 if needs else 24)}">{escape(shorten(row.who(), 31))}</text>'
    if needs:
        yield f'<text class="small" x="112" y="{y + 32}">{escape(shorten(f"with {needs}", 38))}</text>'


def _draw_cell(row: Row, data_class: str, group: _Group, x: int, y: int) -> Iterator[str]:
    verbs = row.reach.get(Place(data_class, group.datasets[0]), {})
    strength = max((max(verbs[verb].strengths) for verb in verbs if verb in GIVING), default=NOTHING)
    broken = any(given.broken for given in verbs.values())
    stroke = 'stroke="#c01515" stroke-width="3"' if broken else 'stroke="#c3ccd6"'
    inset = 2 if broken else 0.5
    ink = "#ffffff" if strength == BULK else "#4a5766" if strength == NOTHING else "#16202c"
    yield f"<g><title>{escape(_cell_words(row, data_class, group))}</title>"
    yield (
        f'<rect x="{x + inset}" y="{y + inset}" width="{_CELL - 2 * inset}" height="{_ROW - 2 * inset}" '
        f'fill="{_FILLS[strength]}" {stroke}/>'
    )
    letters = "".join(_letter(verb, verbs[verb]) for verb in _LETTERS if verb in verbs) or "·"
    letters += "°" * any(given.withheld for given in verbs.values()) + "!" * broken
    # An attribute would lose against the style of every text.
    yield f'<text class="letters" x="{x + _CELL / 2:g}" y="{y + 25}" style="fill: {ink}">{letters}</text></g>'


def _letter(verb: str, given: Given) -> str:
    return _LETTERS[verb].upper() if given.is_bulk else _LETTERS[verb]


def _cell_words(row: Row, data_class: str, group: _Group) -> str:
    who = ", ".join(part for part in (row.party, row.who(), f"with {row.needs()}" if row.needs() else "") if part)
    about = f"{names_words(group.datasets)}, class {data_class}"
    found: Mapping[str, list[Given]] = {
        verb: [
            place[verb]
            for dataset in group.datasets
            if verb in (place := row.reach.get(Place(data_class, dataset), {}))
        ]
        for verb in _LETTERS
    }
    lines = [f"{verb}: {_given_words(given)}" for verb, given in found.items() if given]
    return "\n".join([f"{who} - {about}", *(lines or ["nothing"])])


def _given_words(given: Sequence[Given]) -> str:
    strength = STRENGTHS[max(max(item.strengths) for item in given)]
    parts = [f"{strength} by {names_words(tuple(_names(given, 'clauses')))}"]
    parts.append(f"for {names_words(tuple(_names(given, 'purposes')))}")
    countries = tuple(_names(given, "countries"))
    parts.append("from anywhere" if OTHER in countries else f"from {names_words(countries)}")
    if withheld := tuple(_names(given, "withheld")):
        parts.append(f"without {names_words(withheld)}")
    if broken := tuple(_names(given, "broken")):
        parts.append(f"BREAKS {names_words(broken)}")
    return ", ".join(parts)


def _names(given: Sequence[Given], name: str) -> Iterator[str]:
    yield from dict.fromkeys(value for item in given for value in getattr(item, name))


# -- the same in words -------------------------------------------------------------------------------------------------


def _tell_lines(matrix: Matrix, rows: Sequence[Row]) -> Iterator[str]:
    yield "<h2>The same in words</h2><table>"
    heads = ("party", "who", "needs", "classes", "one user at a time", "many at once", "datasets", "flows", "breaks")
    yield "<thead><tr>" + "".join(f'<th scope="col">{head}</th>' for head in heads) + "</tr></thead><tbody>"
    every = len(matrix.charter.datasets)
    for row in rows:
        for line in lines_of(row, matrix.domain):
            datasets = f"all {every}" if len(line.datasets) == every else ", ".join(line.datasets)
            lists = (", ".join(names) for names in (line.classes, line.single, line.bulk))
            texts = (
                line.party,
                line.who,
                line.needs,
                *lists,
                datasets,
                ", ".join(line.clauses),
                ", ".join(line.broken),
            )
            yield "<tr>" + "".join(f"<td>{escape(text)}</td>" for text in texts) + "</tr>"
    yield "</tbody></table>"
