"""A charter may have hundreds of datasets: what is stored at once names few, so that its entries are one batch."""

from __future__ import annotations

import asyncio
import pickle
import sys
from multiprocessing import resource_tracker, spawn
from pathlib import Path
from typing import Any

import pytest

from ringfence.app.deployment import Deployment
from ringfence.app.ingesting import SourceFeed
from ringfence.app.runtime import open_runtime
from ringfence.core.charter import parse_charter
from ringfence.core.errors import UnavailableError
from ringfence.core.ports import JURISDICTION_DATASET
from ringfence.legacy.evidence import EvidenceCollector
from ringfence.legacy.reader import Items
from ringfence.services.intake.chunk import DATASETS_PER_CHUNK_MAX, Chunk, Progress
from ringfence.services.intake.messages import NO_ROWS, Piece, Weight
from ringfence.services.intake.person import DATASETS_PER_PIECE_MAX, RECORDS_PER_STEP, PersonReader
from tests.services.exports_taken import UNSEALED, stored, take, write_export
from tests.services.test_intake_person import Lists
from tests.services.world import OPEN, make_deployment, verified

ADDED = 200
PIPE_SIZE_BYTES = 64 * 1024
RECORDS = 201
"""One more than an entry names."""


def wide_charter() -> bytes:
    """Give the example's charter with many datasets more."""
    added = "".join(
        f"  extra_{number}:\n    words: More.\n    records: many\n    sources:\n      - [Extra, extra_{number}]\n"
        "    fields: {note: protected}\n"
        for number in range(ADDED)
    )
    return OPEN.replace("\ndatasets:\n", f"\ndatasets:\n{added}", 1).encode()


def wide_export(user: str, *, datasets: int, records: int) -> dict[str, Any]:
    """Make an export with records of so many of the added datasets, and a single one of every other."""
    export: dict[str, Any] = {"Profile": {"Profile Info": {"ProfileMap": {"userName": user}}}}
    export["Extra"] = {
        f"extra_{number}": [{"note": str(place)} for place in range(records)] for number in range(datasets)
    }
    for dataset in parse_charter(wide_charter(), file="charter.yaml").datasets.values():
        if records == 1 and dataset.sources and dataset.records_many:
            place: Any = export
            *path, last = dataset.sources[0]
            for key in path:
                place = place.setdefault(key, {})
            place.setdefault(last, [{"note": "0"}])
    return export


@pytest.mark.parametrize("unsealed", [True, False])
def test_exports_with_records_of_hundreds_of_datasets_are_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unsealed: bool
) -> None:
    if unsealed:
        monkeypatch.setenv(UNSEALED, "1")
    deployment = make_deployment(tmp_path / "deployment", charter=wide_charter())
    write_export(tmp_path / "exports/ada.json", wide_export("ada", datasets=24, records=RECORDS))
    write_export(tmp_path / "exports/bob.json", wide_export("bob", datasets=ADDED, records=1))

    taken = take(deployment, tmp_path / "exports")

    assert taken.outcomes() == {"ada.json": "taken", "bob.json": "taken"}
    found = stored(deployment)
    assert len({place.dataset for place in found if place.user == "bob"}) > ADDED
    assert len([place for place in found if place.dataset.startswith("extra_")]) == 24 * RECORDS + ADDED
    verified(deployment, tmp_path / "bundle")


@pytest.mark.parametrize("count", [1, 3 * RECORDS_PER_STEP])
def test_piece_names_few_datasets(count: int) -> None:
    charter = parse_charter(wide_charter(), file="charter.yaml")
    profile = Items("profile", [{"userName": "ada"}], "/Profile", is_list=False)
    extra = [
        Items(f"extra_{number}", [{"note": str(place)} for place in range(count if number == 7 else 1)], "/x", True)
        for number in range(ADDED)
    ]
    reader = PersonReader(charter, collector=lambda: EvidenceCollector(charter.jurisdiction, None))

    pieces = [message for message in reader.read(Lists([profile, *extra])) if isinstance(message, Piece)]

    datasets = [{*piece.weigh().datasets} - {JURISDICTION_DATASET} for piece in pieces]
    assert max(map(len, datasets)) == DATASETS_PER_PIECE_MAX
    assert set().union(*datasets) == {"profile", *(items.dataset for items in extra)}
    assert sum(piece.weigh().records for piece in pieces) == ADDED + count


@pytest.mark.parametrize(
    ("reader", "words"),
    [("/bin/true", "was killed"), (sys.executable, "it did not fail")],
    ids=["gone at once", "reading"],
)
def test_reader_that_is_gone_before_it_heard_what_to_read_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reader: str, words: str
) -> None:
    deployment = make_deployment(tmp_path / "deployment", charter=wide_charter())
    write_export(tmp_path / "ada.json", wide_export("ada", datasets=1, records=1))
    resource_tracker.ensure_running()  # or it would be started as the reader is
    monkeypatch.setattr(spawn, "_python_exe", reader.encode())

    assert words in asyncio.run(read_from(deployment, tmp_path / "ada.json"))


async def read_from(deployment: Deployment, path: Path) -> str:
    """Read all; gives why that failed, if it did."""
    async with open_runtime(deployment) as runtime:
        assert len(pickle.dumps(runtime.keeper.state.rules)) > PIPE_SIZE_BYTES
        try:
            async for _ in SourceFeed(runtime, [path]).messages():
                pass
        except UnavailableError as error:
            return error.message
    return "it did not fail"


def weight(start: int, end: int) -> Weight:
    return Weight(1, 1, 1, [f"extra_{number}" for number in range(start, end)])


@pytest.mark.parametrize(
    ("datasets", "has_room"), [(DATASETS_PER_CHUNK_MAX, True), (DATASETS_PER_CHUNK_MAX + 1, False)]
)
def test_chunk_takes_a_piece_while_it_names_few_datasets(datasets: int, has_room: bool) -> None:
    chunk = Chunk()
    assert chunk.has_room(weight(0, datasets))  # alone
    chunk.add(Piece("a", "ada", "", [], NO_ROWS, 0, last=True), weight(0, 5), Progress("a", "ada", ""))

    assert chunk.has_room(weight(2, datasets)) is has_room
