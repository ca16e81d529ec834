"""Reading one person's export: where a fault is said to be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ringfence.core.charter import Charter, parse_charter
from ringfence.core.envelope import PLAINTEXT_SIZE_BYTES_MAX
from ringfence.legacy.evidence import EvidenceCollector
from ringfence.legacy.reader import Items
from ringfence.services.intake.messages import REFUSED, Piece, Told
from ringfence.services.intake.person import RECORDS_PER_STEP, PersonReader

CHARTER = Path("examples/us-user-data/charter.yaml")


@dataclass
class Lists:
    """An export of lists of records."""

    lists: list[Items] = field(default_factory=list)
    name: str = "ada.json"
    size_bytes: int = 1_000

    def read(self) -> Iterator[list[Items]]:
        yield self.lists

    def position(self) -> int:
        return self.size_bytes


def read(charter: Charter, *lists: Items) -> list[Any]:
    identity = charter.identity
    profile = Items(identity.dataset, [{identity.field: "ada"}], "/Profile", is_list=False)
    reader = PersonReader(charter, collector=lambda: EvidenceCollector(charter.jurisdiction, None))
    return [*reader.read(Lists([profile, *lists]))]


@pytest.fixture(scope="module")
def charter() -> Charter:
    return parse_charter(CHARTER.read_bytes(), file=CHARTER.name)


@pytest.mark.parametrize("place", [0, 3, RECORDS_PER_STEP + 7])
@pytest.mark.parametrize("is_list", [True, False])
def test_record_that_is_too_large_is_named_wherever_it_stands(charter: Charter, place: int, is_list: bool) -> None:
    dataset = charter.catch_all().name
    records: list[dict[str, Any]] = [{"value": number} for number in range(RECORDS_PER_STEP + 20)]
    records[place] = {"value": "x" * PLAINTEXT_SIZE_BYTES_MAX}
    lists = [Items(dataset, records, "/Other", is_list=True)]
    if not is_list:
        lists = [Items(dataset, [record], f"/Other/{number}", is_list=False) for number, record in enumerate(records)]

    told = [message for message in read(charter, *lists) if isinstance(message, Told)]

    assert [(message.outcome, message.place) for message in told] == [(REFUSED, f"ada.json#/Other/{place}")]
    assert "1048" in told[0].reason


def test_records_of_lists_of_any_length_are_all_given(charter: Charter) -> None:
    dataset = charter.catch_all().name
    count = 2 * RECORDS_PER_STEP + 20
    lists = [Items(dataset, [{"value": number} for number in range(count)], "/Other", is_list=True)]

    pieces = [message for message in read(charter, *lists, *lists) if isinstance(message, Piece)]

    names = [name for piece in pieces for name in piece.many.records]
    assert len(names) == len({*names}) == 2 * count
    assert sum(name.endswith("-2") for name in names) == count  # what is there a second time is not lost
    assert sum(length for piece in pieces for _, length in piece.many.runs) == 2 * count
