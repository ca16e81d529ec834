"""Which entries name the new records of a chunk: they are gathered in columns, then each dataset's are named together.

A chunk has dozens of users with a few records of each of dozens of datasets. Naming them user by user costs more than
all else that is done with a record before it is written, so it is done once for each dataset of the chunk.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate, compress, repeat
from typing import TypeVar

from ringfence.core.ledger import entry as e
from ringfence.services.custody.write_entries import Groups
from ringfence.services.intake.messages import SealedRows, SealedRun, fill_column, runs_of, spread

Value = TypeVar("Value")


class NewRecords:
    """First versions of records of any users, one after the other, and what entries say of each."""

    def __init__(self) -> None:
        self._entry_datasets: list[str] = []
        self._subjects: list[bytes] = []
        self._keys: list[bytes] = []
        self._own: list[str] = []
        self._counted: list[bool] = []
        self._digests: dict[str, list[bytes]] = {}

    def add(self, subject_ref: bytes, rows: SealedRows) -> None:
        """Take the records of one user."""
        for data_class, (_, digests) in rows.parts.items():
            column = fill_column(self._digests, data_class, len(self._keys))
            column += digests
        self._entry_datasets += spread((run.entry_dataset, run.length) for run in rows.runs)
        self._own += spread((_own(run), run.length) for run in rows.runs)
        self._counted += spread((run.counted, run.length) for run in rows.runs)
        self._subjects += repeat(subject_ref, len(rows.keys))
        self._keys += rows.keys

    def name_in(self, groups: Groups) -> None:
        """Have entries name them, those of each dataset in the order in which they were taken."""
        order = _order_by(self._entry_datasets)
        subjects, keys = _in_order(self._subjects, order), _in_order(self._keys, order)
        own, counted = _in_order(self._own, order), _in_order(self._counted, order)
        columns = [
            _Column(data_class, keys, _in_order(fill_column(self._digests, data_class, len(keys)), order), own)
            for data_class in self._digests
        ]
        start = 0
        for dataset, length in runs_of(_in_order(self._entry_datasets, order)):
            end = start + length
            while start < end:
                group, room = groups.find_room(dataset)
                stop = min(end, start + room)
                while stop > start + 1 and not group.fits(
                    stop - start, sum(column.count(start, stop) for column in columns)
                ):
                    stop = start + (stop - start) // 2
                group.count += sum(counted[start:stop])
                group.subjects += subjects[start:stop]
                group.records += keys[start:stop]
                for column in columns:
                    if written := column.between(start, stop):
                        group.written += written
                        group.classes.add(column.data_class)
                start = stop


class _Column:
    """What entries say of the parts of one class.

    Args:
        data_class: the class.
        keys, digests, own: of each record: its blinded name, the part's SHA-256 or b"" where there is none, and
            `Written.dataset`.
    """

    __slots__ = ("_before", "_written", "data_class")

    def __init__(self, data_class: str, keys: Sequence[bytes], digests: Sequence[bytes], own: Sequence[str]) -> None:
        self.data_class = data_class
        there = (compress(keys, digests), repeat(data_class), repeat(1), filter(None, digests), compress(own, digests))
        self._written = [*map(e.Written, *there)]
        self._before = [*accumulate(map(bool, digests), initial=0)]

    def between(self, start: int, end: int) -> list[e.Written]:
        """Give what is said of the records from one place up to another one."""
        return self._written[self._before[start] : self._before[end]]

    def count(self, start: int, end: int) -> int:
        """Give how many parts these records have."""
        return self._before[end] - self._before[start]


def _own(run: SealedRun) -> str:
    """Give what an entry calls the dataset of a run: see `Written.dataset`."""
    return "" if run.dataset == run.entry_dataset else run.dataset


def _order_by(names: Sequence[str]) -> list[int]:
    """Give the places of names so that equal ones follow one another, otherwise in order."""
    ranks = {name: rank for rank, name in enumerate(dict.fromkeys(names))}
    return sorted(range(len(names)), key=[*map(ranks.__getitem__, names)].__getitem__)


def _in_order(values: Sequence[Value], order: Iterable[int]) -> list[Value]:
    return [*map(values.__getitem__, order)]
