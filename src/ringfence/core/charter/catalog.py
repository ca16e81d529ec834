"""What the charter says of a record: which dataset it belongs to, and the class of each of its fields.

Rules of this file:
1. What the charter does not name is protected: an unknown field, an unknown value of the field that decides a
   record's class, and all of whatever no source matches.
2. A record comes apart into one part for each class, and nothing of it is lost.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from ringfence.core.charter import ANY, PROTECTED, RECORD, Charter, Dataset


def classify_record(dataset: Dataset, record: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Split a record's fields into one part for each class; a class without a field has no part.

    An empty record is one empty protected part, for that it was there is a fact too.
    """
    classes = dataset.field_classes
    parts: dict[str, dict[str, Any]] = {}
    own_class = ""
    for name, value in record.items():
        data_class = classes.get(name, PROTECTED)
        if data_class == RECORD:
            own_class = own_class or class_of_record(dataset, record)
            data_class = own_class
        part = parts.get(data_class)
        if part is None:
            parts[data_class] = {name: value}
        else:
            part[name] = value
    return parts or {PROTECTED: {}}


def class_of_record(dataset: Dataset, record: Mapping[str, Any]) -> str:
    """Give the class of the fields that are declared `record`: by the value of one field, else protected."""
    rule = dataset.record_class
    if rule is None:
        return PROTECTED
    value = record.get(rule.field)
    return rule.values.get(value, PROTECTED) if isinstance(value, str) else PROTECTED


def classes_of(dataset: Dataset) -> tuple[str, ...]:
    """Give every class that a part of a record can have: protected first, then as the charter names them."""
    named = [PROTECTED]
    for item in dataset.fields:
        named.extend(_classes_of_field(dataset, item.name))
    return tuple(dict.fromkeys(named))


def _classes_of_field(dataset: Dataset, name: str) -> tuple[str, ...]:
    """Give every class that a field can have."""
    data_class = dataset.field_classes.get(name, PROTECTED)
    if data_class != RECORD:
        return (data_class,)
    return (PROTECTED, *(dataset.record_class.values.values() if dataset.record_class else ()))


class Kept(NamedTuple):
    """What the charters of a ledger have said of a dataset, of which records may be stored since any of them.

    Attributes:
        dataset: the dataset as it was named last.
        moved: fields whose class was another one before, each with every class that it could have until then; what is
            stored of these may be in a part of a class that is theirs no more.
    """

    dataset: Dataset
    moved: Mapping[str, frozenset[str]]

    def then(self, dataset: Dataset) -> Kept:
        """Give it once a newer charter names the dataset."""
        names = {*self.dataset.field_classes, *dataset.field_classes}
        moved = {
            name: self.moved.get(name, frozenset()).union(_classes_of_field(self.dataset, name))
            for name in names
            if _rule(self.dataset, name) != _rule(dataset, name)
        }
        return Kept(dataset, {**self.moved, **moved})

    def classes_now(self, stored: Collection[str]) -> frozenset[str]:
        """Give every class that what is in stored parts of a record can have now.

        Without opening a part nobody knows which fields are in it. So it is that of the part, and every class of each
        moved field that could ever be stored there: too many rather than too few.

        Args:
            stored: the classes that the parts were stored as.
        """
        moved = [name for name, before in self.moved.items() if not before.isdisjoint(stored)]
        return frozenset(stored).union(*(_classes_of_field(self.dataset, name) for name in moved))


def keep_datasets(kept: Mapping[str, Kept], charter: Charter) -> Mapping[str, Kept]:
    """Give what is known of all datasets once a charter is in force."""
    now = {name: kept[name].then(item) if name in kept else Kept(item, {}) for name, item in charter.datasets.items()}
    return {**kept, **now}


def _rule(dataset: Dataset, name: str) -> object:
    """Give what decides on a field's class."""
    data_class = dataset.field_classes.get(name, PROTECTED)
    return (data_class, dataset.record_class) if data_class == RECORD else data_class


class SourceMatch(NamedTuple):
    """Where a value of an export belongs.

    Attributes:
        dataset: the dataset; the catch-all when no source matches.
        key: the key that `*` stood for, to be kept under the dataset's `key_field`; "" when the source has none.
        depth: how many keys of the path lead to the value; the rest lead on inside of it. For the catch-all, the
            first key that no source goes on with is the last of them.
    """

    dataset: Dataset
    key: str
    depth: int


class SourceNode:
    """A place in an export that sources lead through, or end at when `dataset` is there. Made by `SourceMatcher`."""

    __slots__ = ("any_child", "children", "dataset")

    def __init__(self) -> None:
        self.children: dict[str, SourceNode] = {}
        self.any_child: SourceNode | None = None
        self.dataset: Dataset | None = None

    def child(self, key: str) -> SourceNode | None:
        """Give the place one key further, or None when no source leads there."""
        return self.children.get(key) or self.any_child


class SourceMatcher:
    """Finds the dataset for a path of keys, in time that grows with the length of the path alone."""

    __slots__ = ("catch_all", "root")

    def __init__(self, charter: Charter) -> None:
        self.catch_all = charter.catch_all()
        self.root = SourceNode()
        for dataset in charter.datasets.values():
            for source in dataset.sources:
                self._add(source, dataset)

    def match(self, path: Sequence[str]) -> SourceMatch | None:
        """Give where the value at a path belongs; None when sources lead on from there, so that it must be entered.

        A value that cannot be entered (a text where a source wants a mapping) belongs to `catch_all`.
        """
        node, starred = self.root, ""
        for depth, key in enumerate(path):
            exact = node.children.get(key)
            below = exact or node.any_child
            if below is None:
                return SourceMatch(self.catch_all, "", depth + 1)
            if exact is None:
                starred = key
            if below.dataset is not None:
                return SourceMatch(below.dataset, starred, depth + 1)
            node = below
        return None

    def _add(self, source: Sequence[str], dataset: Dataset) -> None:
        node = self.root
        for key in source:
            if key == ANY:
                node.any_child = node.any_child or SourceNode()
                node = node.any_child
            else:
                node = node.children.setdefault(key, SourceNode())
        node.dataset = dataset
