"""What the checks between the parts of a charter share: the names that there are, and how a problem is told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from ringfence.core.charter.document import Document, Path, show
from ringfence.core.charter.shape import CharterShape, FieldReferenceShape
from ringfence.core.charter.shape_parsing import suggest
from ringfence.core.charter.terms import ANY, PROTECTED
from ringfence.core.countries import COUNTRIES, USUAL_MISTAKES
from ringfence.core.errors import Problem

SUGGESTIONS_MAX: Final = 100  # looking for near names is slow, and after so many problems it helps nobody
_COUNTRY_WORDS: Final = "an ISO 3166 alpha-2 country code"


@dataclass(frozen=True, slots=True)
class FileNames:
    """The names in a charter file, whether or not the rest is right.

    Attributes:
        sections: names in each section that is a mapping; one within `governance` or `coalition`
            is `governance.KEY` or `coalition.KEY`.
        fields: names of fields by dataset.
    """

    sections: Mapping[str, frozenset[str]]
    fields: Mapping[str, frozenset[str]]


def names_in_file(values: object) -> FileNames:
    """Collect the names from a document's values, before anything is dropped from it."""
    sections = values if isinstance(values, dict) else {}
    datasets = sections.get("datasets")
    below = {
        f"{name}.{key}": item
        for name in ("governance", "coalition")
        if isinstance(section := sections.get(name), dict)
        for key, item in section.items()
    }
    return FileNames(
        sections={str(key): frozenset(item) for key, item in {**sections, **below}.items() if isinstance(item, dict)},
        fields={
            name: frozenset(item["fields"])
            for name, item in (datasets if isinstance(datasets, dict) else {}).items()
            if isinstance(item, dict) and isinstance(item.get("fields"), dict)
        },
    )


@dataclass(slots=True)
class Checker:
    """A charter under check, and the problems found so far."""

    document: Document
    shape: CharterShape
    names: FileNames
    problems: list[Problem] = field(default_factory=list)

    def add(self, path: Path, found: str, expected: str, *, at_key: bool = False) -> None:
        """Note a problem of the value at the path, or of its key."""
        self.problems.append(self.document.problem(path, found=found, expected=expected, at_key=at_key))

    def near(self, word: str, known: Iterable[str]) -> str:
        """Ask whether a near name was meant, as long as there are few problems."""
        return suggest(word, known) if len(self.problems) < SUGGESTIONS_MAX else ""

    def known(self, section: str) -> frozenset[str]:
        """Give the names that the file has in a section, those of broken parts too."""
        return self.names.sections.get(section, frozenset())

    def name(self, path: Path, value: str, section: str, what: str) -> bool:
        """Check that a name is one of a section's."""
        if value in self.known(section) or (section == "classes" and value == PROTECTED):
            return True  # that the class `protected` is missing is reported once, for the section
        known = sorted(self.known(section))
        if not known:
            return False  # so is a section that is missing, empty or no mapping
        listed = "one of " + ", ".join(known) if len(known) <= 12 else f"the name of one of the {section}"
        self.add(path, f"the unknown {what} {show(value)}", listed + self.near(value, known))
        return False

    def name_list(self, path: Path, values: Sequence[str], section: str, what: str, *, any_allowed: bool) -> None:
        """Check that each name is one of a section's, and there once; `*` stands alone, where it is allowed."""
        self.once(path, values)
        for position, value in enumerate(values):
            if value == ANY and any_allowed:
                self.alone(path, position, values)
            else:
                self.name((*path, position), value, section, what)

    def country(self, path: Path, value: str) -> None:
        """Check that a country is one."""
        if value not in COUNTRIES:
            upper = value.upper()
            right = USUAL_MISTAKES.get(upper, upper if upper in COUNTRIES else "")
            hint = f"; did you mean `{right}`?" if right else ""
            self.add(path, f"the unknown country {show(value)}", _COUNTRY_WORDS + hint)

    def country_list(self, path: Path, values: Sequence[str], *, any_allowed: bool) -> None:
        """Check that each country is one, and there once; `*` stands alone, where it is allowed."""
        self.once(path, values)
        for position, value in enumerate(values):
            if value == ANY and any_allowed:
                self.alone(path, position, values)
            else:
                self.country((*path, position), value)

    def once(self, path: Path, values: Sequence[str]) -> None:
        """Check that nothing is in a list twice."""
        for position, value in enumerate(values):
            if value in values[:position]:
                self.add((*path, position), f"{show(value)} a second time", "each entry of the list once")

    def alone(self, path: Path, position: int, values: Sequence[str]) -> None:
        """Check that `*` is the whole list."""
        if len(values) > 1:
            self.add((*path, position), "`*` among other entries", "`*` alone, or names alone")

    def field_of(self, path: Path, dataset: str, field_name: str, *, at: Path) -> None:
        """Check that a dataset, if it has a mapping of fields at all, declares a field."""
        declared = self.names.fields.get(dataset)
        if declared is not None and field_name not in declared:
            hint = self.near(field_name, declared)
            found = f"the unknown field {show(field_name)}"
            self.add((*path, *at), found, f"a field that `{dataset}` declares{hint}")

    def reference(self, path: Path, item: FieldReferenceShape) -> None:
        """Check that a dataset is there and declares the field, if it is whole."""
        if self.name((*path, "dataset"), item.dataset, "datasets", "dataset"):
            self.field_of(path, item.dataset, item.field, at=("field",))
