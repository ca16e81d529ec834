"""Charter text to a tree of values that know their place in the file.

Rules of this file:
1. YAML 1.2, one document, UTF-8, at most `TEXT_SIZE_BYTES_MAX`, `DEPTH_MAX` and `NODES_MAX`. A plain scalar is null,
   true, false, a decimal number or text, by the YAML 1.2 core schema: `NO` is text.
2. What a lawyer reads is what there is: anchors, aliases, tags and other versions of YAML are refused, and so are
   characters that hide text, reorder it, or are a line's end to some programs and none to others - as themselves, and
   as escapes in quotes. A key is text, and appears once.
3. Values are built here from the parser's events, never by YAML constructors, so nothing in the file can make an
   object, recurse or expand.
4. Whatever the text, the result is a tree or problems with their places, never another error.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, TypeAlias

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from ringfence.core.errors import Problem

TEXT_SIZE_BYTES_MAX: Final = 1024 * 1024
DEPTH_MAX: Final = 16
NODES_MAX: Final = 50_000
SHOWN_LENGTH_MAX: Final = 60  # characters of the file's own text that a problem repeats

_INTEGER: Final = re.compile(r"[-+]?[0-9]{1,18}")
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]{1,18}|[0-9]{1,18}(\.[0-9]{0,18})?)([eE][-+]?[0-9]{1,2})?")
_WORDS: Final[dict[str, bool | None]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
# Controls, half surrogate pairs and what is no character; line ends that YAML 1.2 does not know; characters that are
# not seen; characters that reorder text; a carriage return alone. Joiners are left: scripts and faces need them.
_FORBIDDEN: Final = re.compile(
    r"[^\t\n\r\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"
    r"|[\u2028\u2029\xad\u180e\u200b\u2060-\u2064\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
    r"|[\u061c\u200e\u200f\u202a-\u202e\u2066-\u206f]|\r(?!\n)"
)
_FORBIDDEN_TOLD_MAX: Final = 100
_VISIBLE_WORDS: Final = "characters that everyone sees alike: no controls, nothing that hides or reorders text"

Path: TypeAlias = tuple[str | int, ...]
"""Keys and positions from the top of the file to a value."""


class Place(NamedTuple):
    """Where something starts in the file; both count from 1."""

    line: int
    column: int


START: Final = Place(1, 1)


@dataclass(slots=True)
class Node:
    """A value and where it starts. A mapping also knows where each key starts."""

    place: Place
    value: bool | int | float | str | list[Node] | dict[str, Node] | None
    key_places: dict[str, Place] = field(default_factory=dict)


class Document:
    """A charter's text as plain values, with the place of each, and the problems found so far.

    Values that are broken can be dropped, so that the rest may still be checked.
    """

    def __init__(self, root: Node, *, file: str) -> None:
        self.file = file
        self._root = root
        self._nodes: dict[Path, Node] = {}
        self._keys: dict[Path, Place] = {}
        self._origins: dict[Path, Path] = {}
        self._dropped: set[Path] = set()
        self.values: Any = self._build((), (), root)

    def drop(self, paths: Sequence[Path]) -> None:
        """Leave out these values (paths in `values`) and build `values` and places again."""
        self._dropped |= {self._origins[path] for path in paths}
        self._nodes, self._keys, self._origins = {}, {}, {}
        self.values = self._build((), (), self._root)

    def is_whole(self, path: Path) -> bool:
        """Tell whether nothing was dropped from the value at the path."""
        origin = self._origins.get(path, path)
        return not any(dropped[: len(origin)] == origin for dropped in self._dropped)

    def place(self, path: Path) -> Place:
        """Give where the value at the path starts, or the nearest value above it."""
        while path not in self._nodes and path:
            path = path[:-1]
        return self._nodes[path].place if path in self._nodes else START

    def key_place(self, path: Path) -> Place:
        """Give where the key that leads to the path starts; for a list's item, the item itself."""
        while path not in self._keys and path not in self._nodes and path:
            path = path[:-1]
        return self._keys.get(path) or self.place(path)

    def problem(self, path: Path, *, found: str, expected: str, at_key: bool = False) -> Problem:
        """Make a problem of the value at the path, or of its key."""
        place = self.key_place(path) if at_key else self.place(path)
        return Problem(self.file, place.line, place.column, found, expected)

    def _build(self, path: Path, origin: Path, node: Node) -> Any:
        self._nodes[path] = node
        self._origins[path] = origin
        if isinstance(node.value, dict):
            built: dict[str, Any] = {}
            for key, child in node.value.items():
                if (*origin, key) not in self._dropped:
                    self._keys[(*path, key)] = node.key_places[key]
                    built[key] = self._build((*path, key), (*origin, key), child)
            return built
        if isinstance(node.value, list):
            items: list[Any] = []
            for position, child in enumerate(node.value):
                if (*origin, position) not in self._dropped:
                    items.append(self._build((*path, len(items)), (*origin, position), child))
            return items
        return node.value


def show(value: object) -> str:
    """Give a value of the file for a message: quoted, escaped, and cut to a bounded length."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        return str(value)
    text = value if len(value) <= SHOWN_LENGTH_MAX else value[:SHOWN_LENGTH_MAX] + "…"
    return "`" + "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text) + "`"


def parse_document(text: bytes, *, file: str) -> tuple[Document | None, list[Problem]]:
    """Read charter text into plain values and their places.

    Returns:
        The document, or None when the text cannot be one; and the problems, which may be none. A document may come
        with problems (a key that appears twice).
    """
    decoded, problem = _decode(text, file=file)
    if problem is not None:
        return None, [problem]
    reader = _Reader(file)
    decoded = reader.take_text(decoded)
    try:
        for event in YAML(typ="safe", pure=True).parse(decoded):
            reader.take(event)
            if reader.stopped:
                break
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(mark.line + 1, mark.column + 1) if mark else Place(0, 0)
        words = str(error.problem or error.context or "it cannot be read")[:200]
        reader.refuse(place, f"text that is not YAML: {words}", "well-formed YAML 1.2")
    except Exception as error:
        # The parser is a library reading hostile text: whatever it trips over, the text is what is wrong (rule 4).
        name = type(error).__name__
        reader.refuse(reader.last_place, f"text that the YAML parser cannot read ({name})", "well-formed YAML 1.2")
    if not reader.fatal and reader.root is None:
        reader.refuse(START, "an empty file", "a charter: a mapping that starts with `charter: NAME`")
    if reader.fatal or reader.root is None:
        return None, reader.problems
    return Document(reader.root, file=file), reader.problems


def _decode(text: bytes, *, file: str) -> tuple[str, Problem | None]:
    if len(text) > TEXT_SIZE_BYTES_MAX:
        return "", Problem(file, 0, 0, f"{len(text)} bytes", f"a charter of at most {TEXT_SIZE_BYTES_MAX} bytes")
    try:
        decoded = text.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        place = _place_of(text[: error.start].decode("utf-8", "replace"))
        return "", Problem(file, *place, f"byte 0x{text[error.start]:02x}, which is not UTF-8", "text in UTF-8")
    return decoded, None


def _place_of(before: str) -> Place:
    return Place(before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1)


@dataclass(slots=True)
class _Open:
    """A list or mapping that has begun and not ended; in a mapping, the key that waits for its value."""

    node: Node
    key: str | None = None
    key_place: Place = START
    skip: bool = False  # the waiting key appeared before: its value is read and forgotten


class _Reader:
    """Builds nodes from parser events. `fatal` once something makes the text no document of ours."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self.fatal = False
        self.stopped = False
        self.root: Node | None = None
        self.last_place = START
        self._stack: list[_Open] = []
        self._nodes = 0
        self._documents = 0

    def refuse(self, place: Place, found: str, expected: str) -> None:
        self._report(place, found, expected)
        self.fatal = True

    def _report(self, place: Place, found: str, expected: str) -> None:
        self.problems.append(Problem(self.file, place.line, place.column, found, expected))

    def take_text(self, text: str) -> str:
        """Report the characters that are refused and give the text with spaces in their place, to be read on."""
        for count, found in enumerate(_FORBIDDEN.finditer(text), start=1):
            place = _place_of(text[: found.start()])
            if count > _FORBIDDEN_TOLD_MAX:
                self._report(place, "more such characters", "text without them")
                break
            self._report(place, f"the character U+{ord(found[0]):04X}", _VISIBLE_WORDS)
        return _FORBIDDEN.sub(" ", text)

    def take(self, event: Event) -> None:
        place = Place(event.start_mark.line + 1, event.start_mark.column + 1) if event.start_mark else self.last_place
        self.last_place = place
        if isinstance(event, DocumentStartEvent):
            self._start(event, place)
        elif isinstance(event, AliasEvent):
            self.refuse(place, f"the alias {show('*' + str(event.anchor))}", "the value itself: no anchors or aliases")
            self._add(Node(place, None))
        elif isinstance(event, ScalarEvent):
            self._check_bare(event, place)
            text = self._visible(event, place)
            self._add(Node(place, _resolve(event, text)), text=text)
        elif isinstance(event, SequenceStartEvent | MappingStartEvent):
            self._check_bare(event, place)
            self._open(Node(place, [] if isinstance(event, SequenceStartEvent) else {}))
        elif isinstance(event, SequenceEndEvent | MappingEndEvent):
            self._stack.pop()

    def _start(self, event: DocumentStartEvent, place: Place) -> None:
        self._documents += 1
        if self._documents > 1:
            self.refuse(place, "a second YAML document", "one charter in a file")
            self.stopped = True
        if event.version not in (None, (1, 2)) or event.tags:
            self.refuse(place, "a YAML directive", "YAML 1.2 without directives")

    def _check_bare(self, event: Any, place: Place) -> None:
        if event.anchor is not None:
            self._report(place, f"the anchor {show('&' + str(event.anchor))}", "a value without anchors or aliases")
        if event.tag is not None:
            self._report(place, f"the tag {show(str(event.tag))}", "a value without a tag")

    def _visible(self, event: ScalarEvent, place: Place) -> str:
        """Give a scalar's text; what an escape in it stands for is held to what the file's own text is held to."""
        text = str(event.value)
        found = _FORBIDDEN.search(text)
        if found is None:
            return text
        self._report(place, f"an escape for the character U+{ord(found[0]):04X}", _VISIBLE_WORDS)
        return _FORBIDDEN.sub("\ufffd", text)

    def _open(self, node: Node) -> None:
        self._add(node)
        self._stack.append(_Open(node))
        if len(self._stack) > DEPTH_MAX:
            self.refuse(node.place, f"more than {DEPTH_MAX} levels", f"at most {DEPTH_MAX} levels of nesting")
            self.stopped = True

    def _add(self, node: Node, *, text: str | None = None) -> None:
        self._nodes += 1
        if self._nodes > NODES_MAX:
            self.refuse(node.place, f"more than {NODES_MAX} values", f"a charter of at most {NODES_MAX} values")
            self.stopped = True
        if not self._stack:
            self.root = self.root or node
            return
        top = self._stack[-1]
        if isinstance(top.node.value, list):
            top.node.value.append(node)
        elif isinstance(top.node.value, dict):
            self._add_to_mapping(top, top.node.value, node, text)

    def _add_to_mapping(self, top: _Open, entries: dict[str, Node], node: Node, text: str | None) -> None:
        if top.key is None:
            if text is None:
                self.refuse(node.place, f"{show(node.value)} as a key", "a key that is text")
            top.key, top.key_place = text or "", node.place
            top.skip = top.key in entries
            if top.skip:
                line = top.node.key_places[top.key].line
                found = f"the key {show(top.key)} a second time"
                self.problems.append(Problem(self.file, *node.place, found, f"each key once (first on line {line})"))
            return
        if text == "":
            node.place = top.key_place  # an empty value stands nowhere: the parser says where the next thing begins
        if not top.skip:
            entries[top.key] = node
            top.node.key_places[top.key] = top.key_place
        top.key = None


def _resolve(event: ScalarEvent, text: str) -> bool | int | float | str | None:
    """Give the value of a scalar: only a plain one can be other than text (rule 1)."""
    if event.style:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text


def sorted_problems(problems: Iterator[Problem] | Sequence[Problem]) -> list[Problem]:
    """Give the problems in the order of the file, each once."""
    return sorted(dict.fromkeys(problems), key=lambda problem: (problem.line, problem.column, problem.found))
