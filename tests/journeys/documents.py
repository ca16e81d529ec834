"""What the documents print as code: fenced blocks, spans, and the short forms of tables."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")
# The folders that a document may speak of: those of the repository, and those of the program.
_FOLDERS = (
    "src|tests|docs|examples|benchmarks|scripts|app|cli|client|core|demo|gateway|legacy|services|synthetic|vault|verify"
)
_PATH = re.compile(rf"(?P<path>(?:{_FOLDERS})/[\w./-]*)(?:::(?P<name>\w+))?")
# What the formats put before something that is signed.
_LABEL = re.compile(r"ringfence [a-z -]+ v[0-9]+")
_PROGRAMS = ("ringfence ", "make ", "python -m ")


@dataclass(frozen=True)
class Printed:
    """A piece of code, and the document that prints it."""

    document: Path
    text: str

    def __str__(self) -> str:
        return f"{self.document.relative_to(ROOT)}: {self.text}"


def list_blocks(document: Path, language: str = "") -> list[str]:
    """Give the fenced blocks of a language."""
    return [body for name, body in _FENCE.findall(document.read_text("utf-8")) if name == language]


def list_links(document: Path) -> list[str]:
    """Give the links to files of the repository."""
    return [link for link in _LINK.findall(document.read_text("utf-8")) if "://" not in link]


def list_options(document: Path) -> list[Printed]:
    """Give the options that stand alone in a span, such as `--json`."""
    return [Printed(document, span.split()[0]) for span in _spans(document) if span.startswith("--")]


def list_paths(document: Path) -> list[tuple[str, str]]:
    """Give the files and folders of the source tree that are named in spans, each with a test's name, or ""."""
    found = []
    for span in _SPAN.findall(_FENCE.sub("", document.read_text("utf-8"))):
        if match := _PATH.fullmatch(span):
            found.append((match["path"], match["name"] or ""))
    return found


def list_commands(document: Path) -> list[Printed]:
    """Give every command of the program, of make and of the benchmarks, as it is printed."""
    found: list[str] = []
    for block in list_blocks(document):
        found += [line.split(" #")[0].strip() for line in block.splitlines() if line.startswith(_PROGRAMS)]
    for line in _FENCE.sub("", document.read_text("utf-8")).splitlines():
        found += _commands_of(_SPAN.findall(line), is_table=line.startswith("|"))
    return [Printed(document, text) for text in found]


def _commands_of(spans: list[str], *, is_table: bool) -> Iterator[str]:
    """Give the commands of a line. In a table, a word after a command stands for it with another last word."""
    before = ""
    for span in spans:
        text = re.sub(r"^(?:[A-Z_]+=\S+ )+", "", span)
        if text.startswith(_PROGRAMS) and not _LABEL.fullmatch(text):
            before = text
            yield text
        elif is_table and before.startswith("ringfence ") and re.fullmatch(r"[a-z]+", text):
            yield f"{before.rsplit(' ', 1)[0]} {text}"
        else:
            before = ""


def _spans(document: Path) -> list[str]:
    spans: list[str] = _SPAN.findall(_FENCE.sub("", document.read_text("utf-8")))
    return spans
