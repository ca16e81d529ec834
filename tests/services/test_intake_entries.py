"""Entries name every new record of a chunk once, under its dataset, within their bounds."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence.core.ledger import entry as e
from ringfence.services.custody.write_entries import RECORDS_PER_ENTRY_MAX, Group, Groups
from ringfence.services.intake.entries import NewRecords
from ringfence.services.intake.messages import SealedRows, SealedRun

CLASSES = ("protected", "public", "friends")
DATASETS = ("posts", "likes", "logins")


class FewGroups(Groups):
    """Groups of datasets that are their names, so many records each."""

    def __init__(self, records_max: int = RECORDS_PER_ENTRY_MAX) -> None:
        rules = SimpleNamespace(datasets={name: name for name in DATASETS})
        gate = SimpleNamespace(keeper=SimpleNamespace(state=SimpleNamespace(rules=rules)))
        super().__init__(gate, asking=None)  # type: ignore[arg-type]
        self._most = records_max

    def _records_max(self, dataset: str) -> int:
        return self._most


def rows_of(subject: int, runs: list[tuple[str, list[set[str]]]]) -> SealedRows:
    """Give sealed rows; each record is the classes that it has a part of. A dataset `@x` is named under `x`."""
    classes = [some for _, records in runs for some in records]
    keys = [bytes([subject, place // 256, place % 256]) + b"k" * 13 for place in range(len(classes))]
    parts = {
        name: (
            [b"sealed" if name in some else b"" for some in classes],
            [digest(key, name) if name in some else b"" for key, some in zip(keys, classes, strict=True)],
        )
        for name in CLASSES
        if any(name in some for some in classes)
    }
    sealed_runs = [
        SealedRun(dataset, len(records), dataset.lstrip("@"), counted=not dataset.startswith("@"))
        for dataset, records in runs
    ]
    return SealedRows(sealed_runs, keys, parts, [])


def digest(key: bytes, name: str) -> bytes:
    return (key + name.encode()).ljust(32, b"-")[:32]


def name_all(groups: Groups, users: list[SealedRows]) -> list[Group]:
    new = NewRecords()
    for subject, rows in enumerate(users):
        new.add(bytes([subject]) * 16, rows)
    new.name_in(groups)
    return groups.all()


RUNS = st.lists(
    st.tuples(
        st.sampled_from([*DATASETS, "@posts"]),
        st.lists(st.sets(st.sampled_from(CLASSES), min_size=1), min_size=1, max_size=6),
    ),
    max_size=5,
)


@given(st.lists(RUNS, max_size=5), st.integers(1, 7))
def test_every_record_is_named_once_with_all_its_parts(users: list[Any], records_max: int) -> None:
    sealed = [rows_of(subject, runs) for subject, runs in enumerate(users)]

    groups = name_all(FewGroups(records_max), sealed)

    expected: Counter[Any] = Counter()
    parts: Counter[Any] = Counter()
    for subject, (rows, runs) in enumerate(zip(sealed, users, strict=True)):
        names = iter(rows.keys)
        for dataset, records in runs:
            for classes in records:
                key = next(names)
                expected[dataset.lstrip("@"), bytes([subject]) * 16, key] += 1
                own = dataset if dataset.startswith("@") else ""
                parts.update((dataset.lstrip("@"), e.Written(key, name, 1, digest(key, name), own)) for name in classes)
    found = Counter(
        (group.dataset, subject, key)
        for group in groups
        for subject, key in zip(group.subjects, group.records, strict=True)
    )
    assert found == expected
    assert Counter((group.dataset, written) for group in groups for written in group.written) == parts
    for group in groups:
        assert group.classes == {written.data_class for written in group.written}
        assert {written.record_key for written in group.written} <= {*group.records}
        assert group.count <= records_max
    counted = sum(len(records) for runs in users for dataset, records in runs if not dataset.startswith("@"))
    assert sum(group.count for group in groups) == counted


def test_records_of_one_part_fill_an_entry_by_number() -> None:
    users = [rows_of(subject, [("posts", [{"protected"}] * 50)]) for subject in range(5)]

    assert [group.count for group in name_all(FewGroups(), users)] == [RECORDS_PER_ENTRY_MAX, 50]


@pytest.mark.parametrize("classes", [{"protected"}, {*CLASSES}])
def test_opening_of_a_full_entry_stays_within_its_bound(classes: set[str]) -> None:
    users = [rows_of(subject, [("posts", [classes] * 230), ("@posts", [classes] * 230)]) for subject in range(4)]

    groups = name_all(FewGroups(), users)

    sizes = [len(e.render_opening(bytes(e.SALT_SIZE_BYTES), group.about())) for group in groups]
    assert max(sizes) <= e.OPENING_SIZE_BYTES_MAX
    assert sum(len(group.records) for group in groups) == 4 * 460


def test_entry_that_was_begun_is_gone_on_with() -> None:
    groups = FewGroups()
    begun = groups.open("posts")
    begun.add(b"s" * 16, b"r" * 16, written=[e.Written(b"r" * 16, "public", 2, bytes(32))])

    (group,) = name_all(groups, [rows_of(1, [("posts", [{"protected"}] * 3)])])

    assert group is begun
    assert (group.count, group.classes) == (4, {"public", "protected"})


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_class_that_one_user_alone_has_is_named_for_that_user_alone(order: tuple[int, int]) -> None:
    users = [rows_of(0, [("posts", [{"public"}] * 2)]), rows_of(1, [("posts", [{"protected"}] * 3)])]

    (group,) = name_all(FewGroups(), [users[place] for place in order])

    named = {(written.record_key, written.data_class) for written in group.written}
    assert named == {(key, "public") for key in users[0].keys} | {(key, "protected") for key in users[1].keys}
