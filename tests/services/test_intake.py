"""Taking exports in: who is taken, what is stored, and that the same again changes nothing."""

from __future__ import annotations

import asyncio
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from ringfence.app.deployment import Deployment
from ringfence.app.runtime import open_runtime
from ringfence.core.ledger.detail import parse_detail
from ringfence.core.ledger.entry import OPENING_SIZE_BYTES_MAX
from ringfence.core.ports import JURISDICTION_DATASET, TAKEN_DATASET
from ringfence.services.custody.request import Caller
from ringfence.services.custody.writing import WriteItem, write_records
from ringfence.services.intake import chunk, person
from ringfence.synthetic.files import write_exports
from ringfence.vault.audit import audit_vault
from tests.services.exports_taken import (
    CANADIAN_PHONE,
    UNSEALED,
    US_PHONE,
    Place,
    dump,
    fields_of,
    make_export,
    stored,
    take,
    write_export,
)
from tests.services.world import verified

WATCHED = "Your Activity"


@pytest.fixture(autouse=True, params=["sealed by the reader", "sealed when stored"])
def sealing(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything holds alike whichever side seals."""
    if request.param == "sealed when stored":
        monkeypatch.setenv(UNSEALED, "1")


def watched(*links: str) -> dict[str, Any]:
    """A section of videos watched."""
    return {"Watch History": {"VideoList": [{"Date": "2021-05-01 10:00:00", "Link": link} for link in links]}}


def test_user_of_the_jurisdiction_is_stored_record_by_record(deployment: Deployment, tmp_path: Path) -> None:
    write_export(tmp_path / "ada.json", make_export("ada"))
    taken = take(deployment, tmp_path / "ada.json")
    parts = stored(deployment)
    assert taken.outcomes() == {"ada.json": "taken"}
    assert fields_of(parts, "ada", "profile") == {"self": {"userName": "ada", "emailAddress": "ada@example.com"}}
    links = {record["Link"] for record in fields_of(parts, "ada", "watch_history").values()}
    assert links == {f"https://www.video.example/ada/{second}" for second in range(3)}
    assert (taken.summary.records_new, taken.summary.users_new) == (5, 1)


def test_user_outside_of_the_jurisdiction_is_left_and_leaves_no_row(deployment: Deployment, tmp_path: Path) -> None:
    write_export(tmp_path / "bob.json", make_export("bob", country="DE"))
    before = dump(deployment)
    taken = take(deployment, tmp_path / "bob.json")
    after = dump(deployment)
    assert taken.outcomes() == {"bob.json": "left"}
    assert (taken.summary.records_left, taken.summary.reasons["outside"]) == (5, 1)
    assert (
        [after[table] for table in ("subjects", "parts")]
        == [before[table] for table in ("subjects", "parts")]
        == [[], []]
    )


@pytest.mark.parametrize(
    ("country", "phone", "reason"),
    [("US", US_PHONE, "inside"), ("US", CANADIAN_PHONE, "contradictory"), ("", "", "missing")],
)
def test_doubtful_evidence_protects_and_is_kept(
    deployment: Deployment, tmp_path: Path, country: str, phone: str, reason: str
) -> None:
    export = make_export("ada", country=country)
    export["Profile"]["Profile Info"]["ProfileMap"]["telephoneNumber"] = phone
    taken = take(deployment, write_export(tmp_path / "ada.json", export))
    (evidence,) = fields_of(stored(deployment), "ada", JURISDICTION_DATASET).items()
    assert taken.summary.reasons == {reason: 1}
    assert evidence[0] == "self"
    assert (evidence[1]["verdict"], evidence[1]["reason"]) == ("protected", reason)
    said = {(item["kind"], item["country"]) for item in evidence[1]["observations"]}
    assert said == ({("declared", "US"), ("phone", "CA" if phone == CANADIAN_PHONE else "US")} if country else set())


def test_public_and_protected_fields_are_parts_of_their_own(deployment: Deployment, tmp_path: Path) -> None:
    posts = [{"Title": "for all", "WhoCanView": "Everyone"}, {"Title": "mine", "WhoCanView": "Only me"}]
    export = make_export("ada", Post={"Posts": {"VideoList": posts}})
    take(deployment, write_export(tmp_path / "ada.json", export))
    titles = {
        place.data_class: part.fields["Title"] for place, part in stored(deployment).items() if place.dataset == "posts"
    }
    assert titles == {"public": "for all", "protected": "mine"}


def test_second_run_changes_no_row_and_adds_no_entry(deployment: Deployment, tmp_path: Path) -> None:
    write_exports(tmp_path / "exports", users=20, seed=5)
    first = take(deployment, tmp_path / "exports")
    before = dump(deployment)
    second = take(deployment, tmp_path / "exports")
    assert dump(deployment) == before
    assert second.summary.outcomes == {
        "present": first.summary.outcomes["taken"],
        "left": first.summary.outcomes["left"],
    }
    assert (second.summary.records_new, second.summary.records_changed) == (0, 0)
    assert second.summary.records_known == first.summary.records_new + first.summary.records_known


def test_ledger_of_an_intake_verifies_and_the_audit_finds_no_difference(deployment: Deployment, tmp_path: Path) -> None:
    write_exports(tmp_path / "exports", users=20, seed=5)
    take(deployment, tmp_path / "exports")
    export = make_export("user-of-a-later-export")
    take(deployment, write_export(tmp_path / "later.json", export))
    export["Profile"]["Profile Info"]["ProfileMap"]["bioDescription"] = "changed"
    take(deployment, write_export(tmp_path / "later.json", export))
    verified(deployment, tmp_path / "bundle")

    async def audit() -> None:
        async with open_runtime(deployment) as runtime:
            found = await audit_vault(
                runtime.store, runtime.custody, runtime.keeper.state, report=lambda done, total: None
            )
            assert found.findings == []
            assert found.parts > 100

    asyncio.run(audit())


def test_changed_single_record_becomes_a_new_version_and_the_others_stay(
    deployment: Deployment, tmp_path: Path
) -> None:
    export = make_export("ada")
    take(deployment, write_export(tmp_path / "ada.json", export))
    export["Profile"]["Profile Info"]["ProfileMap"]["bioDescription"] = "new"
    del export["Profile"]["Profile Info"]["ProfileMap"]["emailAddress"]
    taken = take(deployment, write_export(tmp_path / "ada.json", export))
    parts = stored(deployment)
    assert fields_of(parts, "ada", "profile") == {"self": {"userName": "ada", "bioDescription": "new"}}
    assert parts[Place("ada", "profile", "self", "public")].version == 2
    assert Place("ada", "profile", "self", "protected") not in parts, "what is not in the record any more is dropped"
    assert parts[Place("ada", "autofill", "self", "protected")].version == 1
    assert (taken.summary.records_changed, taken.summary.records_new, taken.summary.records_known) == (1, 0, 4)


def test_edit_by_the_app_is_not_undone_by_the_same_export(deployment: Deployment, tmp_path: Path) -> None:
    path = write_export(tmp_path / "ada.json", make_export("ada"))
    take(deployment, path)

    async def edit() -> None:
        async with open_runtime(deployment) as runtime, runtime.gate() as gate:
            number = next(n for (_, subject), n in runtime.keeper.state.identities.items() if subject == "app")
            item = WriteItem("ada", "profile", "self", {"userName": "ada", "bioDescription": "edited"})
            await write_records(gate, Caller(number, "US"), purpose="serve_user", items=[item])

    asyncio.run(edit())
    taken = take(deployment, path)
    assert taken.outcomes() == {"ada.json": "present"}
    assert fields_of(stored(deployment), "ada", "profile")["self"]["bioDescription"] == "edited"


@pytest.mark.parametrize("parts_max", [1, 5_000])
def test_user_in_two_files_is_merged_in_any_chunking(
    deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parts_max: int
) -> None:
    monkeypatch.setattr(chunk, "PARTS_PER_CHUNK_MAX", parts_max)
    first, second = make_export("ada", watched=3), make_export("ada", watched=5)
    second["Profile"]["Profile Info"]["ProfileMap"]["bioDescription"] = "second"
    write_export(tmp_path / "exports/1.json", first)
    write_export(tmp_path / "exports/2.json", second)
    taken = take(deployment, tmp_path / "exports")
    before = dump(deployment)
    parts = stored(deployment)
    assert taken.outcomes() == {"1.json": "taken", "2.json": "taken"}
    assert taken.summary.users_new == 1
    assert len(fields_of(parts, "ada", "watch_history")) == 5
    assert fields_of(parts, "ada", "profile")["self"]["bioDescription"] == "second"
    assert (taken.summary.records_new, taken.summary.records_changed, taken.summary.records_known) == (7, 1, 4)
    take(deployment, tmp_path / "exports")
    assert dump(deployment) == before


@pytest.mark.parametrize("kept_size", [1, 8 * 1024 * 1024])
def test_no_repetition_is_lost_and_long_exports_name_them_alike(
    deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept_size: int
) -> None:
    monkeypatch.setattr(person, "KEPT_SIZE_BYTES_MAX", kept_size)
    export = make_export("ada", **{WATCHED: watched("a", "b", "a", "a")})
    take(deployment, write_export(tmp_path / "ada.json", export))
    records = fields_of(stored(deployment), "ada", "watch_history")
    assert sorted(record["Link"] for record in records.values()) == ["a", "a", "a", "b"]
    name = next(name for name, record in records.items() if record["Link"] == "a").partition("-")[0]
    assert {name, f"{name}-2", f"{name}-3"} <= records.keys()
    assert all(len(name.partition("-")[0]) == 32 for name in records)


@pytest.mark.parametrize("kept_size", [1, 4_000, 8 * 1024 * 1024])
def test_long_export_is_stored_as_a_short_one_is(
    deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept_size: int
) -> None:
    monkeypatch.setattr(person, "KEPT_SIZE_BYTES_MAX", kept_size)
    monkeypatch.setattr(person, "ROWS_PER_PIECE_MAX", 7)
    monkeypatch.setattr(chunk, "PARTS_PER_CHUNK_MAX", 20)
    export = make_export("ada", watched=50)
    taken = take(deployment, write_export(tmp_path / "ada.json", export))
    assert (taken.summary.records_new, taken.summary.users_new) == (52, 1)
    assert len(fields_of(stored(deployment), "ada", "watch_history")) == 50
    before = dump(deployment)
    assert take(deployment, tmp_path / "ada.json").summary.records_known == 52
    assert dump(deployment) == before


def test_both_layouts_and_every_form_of_file_are_taken(deployment: Deployment, tmp_path: Path) -> None:
    older = make_export("bob", Activity={"Video Browsing History": watched("old")["Watch History"]})
    older["Profile"]["Profile Information"] = older["Profile"].pop("Profile Info")
    root = tmp_path / "exports"
    write_export(root / "ada.json", make_export("ada"))
    (root / "lines.ndjson").write_text(json.dumps(older) + "\n\n" + json.dumps(make_export("eve")) + "\n")
    with zipfile.ZipFile(root / "more.zip", "w") as archive:
        archive.writestr("x/dan.json", json.dumps(make_export("dan")))
        archive.writestr("readme.txt", "not an export")
    taken = take(deployment, root)
    parts = stored(deployment)
    assert {place.user for place in parts} == {"ada", "bob", "eve", "dan"}
    assert any(record["Link"] == "old" for record in fields_of(parts, "bob", "watch_history").values())
    assert taken.summary.outcomes == {"taken": 4, "skipped": 1}


def test_searchable_fields_are_found_after_the_intake(deployment: Deployment, tmp_path: Path) -> None:
    from ringfence.services.custody.searching import find_users

    take(deployment, write_export(tmp_path / "ada.json", make_export("ada")))

    async def find(value: str) -> list[str]:
        async with open_runtime(deployment) as runtime, runtime.gate() as gate:
            number = next(n for (_, subject), n in runtime.keeper.state.identities.items() if subject == "app")
            caller = Caller(number, "US")
            answer = await find_users(
                gate, caller, purpose="serve_user", dataset="profile", field="emailAddress", value=value
            )
            return answer.users

    assert asyncio.run(find("ADA@example.com")) == ["ada"]
    assert asyncio.run(find("bob@example.com")) == []


def test_nothing_but_data_that_fits_no_source_goes_to_the_catch_all(deployment: Deployment, tmp_path: Path) -> None:
    export = make_export("ada", Experiments={"Groups": [{"Name": "x"}]})
    take(deployment, write_export(tmp_path / "ada.json", export))
    parts = stored(deployment)
    (record,) = fields_of(parts, "ada", "unclassified").values()
    assert record == {"path": "/Experiments/Groups/0/Name", "value": "x"}
    assert {place.data_class for place in parts if place.dataset in ("unclassified", TAKEN_DATASET)} == {"protected"}


def test_every_opening_stays_within_its_size(deployment: Deployment, tmp_path: Path) -> None:
    write_exports(tmp_path / "exports", users=150, seed=3)
    take(deployment, tmp_path / "exports")
    sizes: list[int] = []

    async def look() -> None:
        async with open_runtime(deployment) as runtime:
            for head in await runtime.store.lanes():
                for batch in await runtime.store.batches(head.lane, after_n=0, batches_max=10_000):
                    packed = runtime.custody.open_detail(lane=batch.lane, n=batch.n, sealed=batch.detail)
                    openings = parse_detail(packed, entries=len(batch.entries))
                    sizes.extend(len(opening) for opening in openings if opening)

    asyncio.run(look())
    assert 20_000 < max(sizes) < OPENING_SIZE_BYTES_MAX
