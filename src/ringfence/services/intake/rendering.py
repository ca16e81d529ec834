"""From a record as it was read to a row that is ready to be sealed: named, split by class, its searchable values
normalized.

Where the charter classifies nothing of a dataset but as protected, the canonical JSON that names the record is its
one part too, so that it is rendered once: nearly all of an export's records are of this kind.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import compress, count
from typing import Any

from ringfence.core.charter import PROTECTED, Charter, Dataset, Searchable
from ringfence.core.charter.catalog import class_of_record, classify_record
from ringfence.core.envelope import PLAINTEXT_SIZE_BYTES_MAX
from ringfence.core.errors import InvalidInputError
from ringfence.core.searchable import normalize
from ringfence.services.custody.opening import render_plaintext
from ringfence.services.intake.messages import Row, fill_column
from ringfence.services.intake.record_names import RecordNamer, digest_content, name_contents, render_content


@dataclass(frozen=True, slots=True)
class _Kind:
    """What is needed of a dataset for each of its records."""

    dataset: Dataset
    is_many: bool
    all_protected: bool
    searchable: tuple[tuple[str, Searchable], ...]


class RowRenderer:
    """Renders the records of any export under one charter."""

    def __init__(self, charter: Charter) -> None:
        self._kinds = {dataset.name: _kind(dataset, charter) for dataset in charter.datasets.values()}
        many = {name: kind for name, kind in self._kinds.items() if kind.is_many and not kind.searchable}
        self.many = frozenset(many)
        """Datasets whose records `render_many` renders."""
        self._mixed = frozenset(name for name, kind in many.items() if not kind.all_protected)

    def render_many(
        self, datasets: Sequence[str], records: Sequence[Mapping[str, Any]], namer: RecordNamer
    ) -> tuple[Sequence[str], dict[str, list[bytes]]]:
        """Give the names and the parts, of whatever size, of records of which a user has many: see `ManyRows`.

        Args:
            datasets: of each record.
            records: those of a dataset in the order of the export.
            namer: has named what came before in the export.
        """
        contents = [*map(render_content, records)]
        names = namer.name_many(datasets, name_contents(contents))
        encoded = [*map(str.encode, names)]
        texts = [b'{"record":"%b","fields":%b}' % pair for pair in zip(encoded, contents, strict=True)]
        parts = {PROTECTED: texts}
        if not self._mixed.isdisjoint(datasets):
            for place in compress(count(), map(self._mixed.__contains__, datasets)):
                self._split(parts, place, encoded[place], datasets[place], records[place])
        return names, parts

    def _split(
        self, parts: dict[str, list[bytes]], place: int, name: bytes, dataset: str, record: Mapping[str, Any]
    ) -> None:
        """Put one part for each class where the whole record stands among the protected ones."""
        texts = parts[PROTECTED]
        texts[place] = b""
        for data_class, fields in classify_record(self._kinds[dataset].dataset, record).items():
            column = fill_column(parts, data_class, len(texts))
            column[place] = b'{"record":"%b","fields":%b}' % (name, render_content(fields))

    def render(self, dataset: str, record: Mapping[str, Any], namer: RecordNamer) -> Row | None:
        """Give a record's row; None when it says the same as another one of the export and needs none.

        Raises:
            InvalidInputError: a part is over `PLAINTEXT_SIZE_BYTES_MAX`.
        """
        kind = self._kinds[dataset]
        digest = digest_content(render_content(record))
        name = namer.name_many([dataset], [digest.hex()])[0] if kind.is_many else namer.name_one(dataset, digest)
        if not name:
            return None
        split = classify_record(kind.dataset, record)
        parts = [(data_class, render_plaintext(name, fields)) for data_class, fields in split.items()]
        for _, plaintext in parts:
            if len(plaintext) > PLAINTEXT_SIZE_BYTES_MAX:
                raise too_large(plaintext)
        searched = [(label, _text(record, rule)) for label, rule in kind.searchable] if kind.searchable else []
        own_class = class_of_record(kind.dataset, record) if kind.dataset.record_class else ""
        return Row(dataset, name, b"" if kind.is_many else digest, own_class, parts, searched)


def render_single(dataset: str, name: str, fields: Mapping[str, Any]) -> Row:
    """Give the row of a protected record that this program makes itself, of which a user has one."""
    return Row(
        dataset, name, digest_content(render_content(fields)), "", [(PROTECTED, render_plaintext(name, fields))], []
    )


def too_large(plaintext: bytes) -> InvalidInputError:
    """Give the error for a part over `PLAINTEXT_SIZE_BYTES_MAX`."""
    return InvalidInputError(
        f"found a record that takes {len(plaintext)} bytes; expected at most {PLAINTEXT_SIZE_BYTES_MAX}"
    )


def _kind(dataset: Dataset, charter: Charter) -> _Kind:
    return _Kind(
        dataset,
        dataset.records_many,
        all(item.data_class == PROTECTED for item in dataset.fields),
        tuple((f"{rule.dataset}.{rule.field}", rule) for rule in charter.searchable if rule.dataset == dataset.name),
    )


def _text(record: Mapping[str, Any], rule: Searchable) -> str:
    value = record.get(rule.field)
    return normalize(value, rule.normalize) if isinstance(value, str) else ""
