"""What an intake refuses: broken exports, one by one; a charter that does not permit it, at once and whole."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from ringfence.app.deployment import Deployment
from ringfence.app.ingesting import local_caller
from ringfence.app.runtime import Runtime, open_runtime
from ringfence.core.errors import DeniedError, InvalidInputError
from ringfence.core.issuers import DEVELOPMENT_ISSUER
from ringfence.legacy.limits import DEFAULT_LIMITS
from ringfence.services.custody.erasing import erase_user
from ringfence.services.custody.gate import Gate
from ringfence.services.custody.request import Caller
from ringfence.services.custody.writing import WriteItem, write_records
from ringfence.services.intake import chunk, person
from ringfence.services.intake.intake import Intake
from ringfence.services.intake.messages import NO_ROWS, Interrupted, Message, Piece
from tests.services.exports_taken import (
    Taken,
    dump,
    fields_of,
    make_export,
    messages_of,
    stored,
    take,
    take_in,
    write_export,
)
from tests.services.world import EXAMPLE, make_deployment, verified

WATCH_LIST = "/Your Activity/Watch History/VideoList"


def problem(taken: Taken) -> tuple[str, str]:
    """The place, below the file's name, and the words of the one export that was refused."""
    (found,) = taken.summary.problems
    return found.place.rpartition("/exports/")[2], found.reason


@pytest.mark.parametrize("kept_size", [1, 8 * 1024 * 1024])
@pytest.mark.parametrize(
    ("broken", "pointer"),
    [
        ('"Date": NaN', f"{WATCH_LIST}/2/Date"),
        ('"Date": 1, "Date": 2', f"{WATCH_LIST}/2/Date"),
        ('"Date": "\\ud800"', f"{WATCH_LIST}/2/Date"),
        ('"Date": ' + "[" * 100 + "]" * 100, f"{WATCH_LIST}/2/Date"),
    ],
)
def test_broken_export_is_named_with_its_pointer_and_leaves_nothing(
    deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept_size: int, broken: str, pointer: str
) -> None:
    monkeypatch.setattr(person, "KEPT_SIZE_BYTES_MAX", kept_size)
    monkeypatch.setattr(person, "ROWS_PER_PIECE_MAX", 1)
    for user in ("ada", "bob", "eve"):
        write_export(tmp_path / f"exports/{user}.json", make_export(user))
    path = tmp_path / "exports/bob.json"
    whole = path.read_text()
    last = whole.index("10:00:02")
    path.write_text(whole[:last].rpartition('"Date"')[0] + broken + whole[whole.index('"', last) + 1 :])
    taken = take(deployment, tmp_path / "exports")
    place, _ = problem(taken)
    assert taken.outcomes() == {"ada.json": "taken", "bob.json": "refused", "eve.json": "taken"}
    assert place.startswith(f"bob.json#{pointer}")
    assert {at.user for at in stored(deployment)} == {"ada", "eve"}

    path.write_text(whole)
    mended = take(deployment, tmp_path / "exports")
    assert mended.outcomes() == {"ada.json": "present", "bob.json": "taken", "eve.json": "present"}


@pytest.mark.parametrize(
    ("profile", "words"),
    [
        ({}, "found no user id; expected one in profile.userName"),
        ({"userName": None}, "found no user id"),
        ({"userName": ""}, "found no user id"),
        ({"userName": ["ada"]}, "found a user id that is no text"),
        ({"userName": "a" * 257}, "found a user id over 256 bytes"),
    ],
)
def test_export_without_a_user_is_refused(
    deployment: Deployment, tmp_path: Path, profile: dict[str, Any], words: str
) -> None:
    export = make_export("ada")
    export["Profile"]["Profile Info"]["ProfileMap"] = profile
    taken = take(deployment, write_export(tmp_path / "exports/ada.json", export))
    place, reason = problem(taken)
    assert place == "ada.json#"
    assert words in reason


def test_user_id_that_is_a_number_is_its_digits(deployment: Deployment, tmp_path: Path) -> None:
    export = make_export("ada")
    export["Profile"]["Profile Info"]["ProfileMap"]["userName"] = 7_000_000_001
    take(deployment, write_export(tmp_path / "ada.json", export))
    assert {place.user for place in stored(deployment)} == {"7000000001"}


def test_export_of_two_users_is_refused_and_two_layouts_of_one_user_are_not(
    deployment: Deployment, tmp_path: Path
) -> None:
    export = make_export("ada")
    export["Profile"]["Profile Information"] = {"ProfileMap": {"userName": "bob"}}
    taken = take(deployment, write_export(tmp_path / "exports/ada.json", export))
    assert "found two user ids" in problem(taken)[1]

    export["Profile"]["Profile Information"] = {"ProfileMap": {"userName": "ada", "bioDescription": "older"}}
    taken = take(deployment, write_export(tmp_path / "exports/ada.json", export))
    assert taken.outcomes() == {"ada.json": "taken"}
    records = fields_of(stored(deployment), "ada", "profile")
    assert records == {
        "self": {"userName": "ada", "emailAddress": "ada@example.com"},
        "self-2": {"userName": "ada", "bioDescription": "older"},
    }


def test_record_too_large_to_be_sealed_is_refused_and_a_large_one_is_not(
    deployment: Deployment, tmp_path: Path
) -> None:
    at_most = 1024 * 1024 - 200
    for name, size in (("ada", at_most), ("bob", at_most + 200)):
        half = "x" * (size // 2)
        section = {"Comments": {"CommentsList": [{"comment": half, "photo": half}]}}
        write_export(tmp_path / f"exports/{name}.json", make_export(name, Comment=section))
    taken = take(deployment, tmp_path / "exports")
    assert taken.outcomes() == {"ada.json": "taken", "bob.json": "refused"}
    assert problem(taken)[0] == "bob.json#/Comment/Comments/CommentsList/0"


def test_counts_add_up_over_everything_that_was_found(deployment: Deployment, tmp_path: Path) -> None:
    root = tmp_path / "exports"
    for user, country in (("ada", "US"), ("bob", "DE"), ("eve", "")):
        write_export(root / f"{user}.json", make_export(user, country=country))
    (root / "broken.json").write_text('{"Profile": ')
    (root / "notes.txt").write_text("not an export")
    (root / "lines.ndjson").write_text("{]\n" + json.dumps(make_export("ida")) + "\n")
    taken = take(deployment, root)
    facts = taken.summary.facts()
    assert facts["sources"] == len(taken.reports) == len({report.name for report in taken.reports}) == 7
    assert facts["sources"] == sum(facts[outcome] for outcome in ("taken", "present", "left", "skipped", "refused"))
    assert (facts["taken"], facts["left"], facts["skipped"], facts["refused"]) == (3, 1, 1, 2)
    assert facts["reasons"] == {"inside": 2, "outside": 1, "contradictory": 0, "missing": 1, "erased": 0}
    assert sum(facts["reasons"].values()) == facts["taken"] + facts["present"] + facts["left"]
    assert facts["records"]["new"] == sum(report.records_new for report in taken.reports)
    assert facts["records"]["new"] == len(
        {(at.user, at.dataset, at.record) for at in stored(deployment) if not at.dataset.startswith("@")}
    )
    assert len(facts["problems"]) == 2


# -- the charter -----------------------------------------------------------------------------------------------------


def changed_charter(old: str, new: str) -> bytes:
    """The example charter with one thing changed."""
    text = EXAMPLE.read_text()
    assert text.count(old) == 1
    return text.replace(old, new).encode()


MIGRATE = """    purposes: [migrate]
    verbs: [write]
    datasets: ["*"]
    classes: ["*"]
    bulk: {records_max: 10000, records_per_day_max: 100000000000}
    downgrades_per_day_max: 1000000
"""


def test_charter_that_lacks_a_class_refuses_the_whole_chunk_and_says_so(tmp_path: Path) -> None:
    charter = changed_charter(MIGRATE, MIGRATE.replace('classes: ["*"]', "classes: [public, interoperability]"))
    deployment = make_deployment(tmp_path / "deployment", charter=charter)
    write_export(tmp_path / "ada.json", make_export("ada"))
    write_export(tmp_path / "bob.json", make_export("bob"))
    with pytest.raises(DeniedError, match="usds may not write profile from US for the purpose migrate") as refused:
        take(deployment, tmp_path / "ada.json", tmp_path / "bob.json")
    assert refused.value.receipt
    rows = dump(deployment)
    assert rows["parts"] == rows["subjects"] == rows["counters"] == []
    verified(deployment, tmp_path / "bundle")


@pytest.mark.parametrize(("limit", "stored_users"), [(9, 0), (10_000, 2)])
def test_daily_limit_of_the_clause_holds(tmp_path: Path, limit: int, stored_users: int) -> None:
    charter = changed_charter(MIGRATE, MIGRATE.replace("10000, ", f"{limit}, ").replace("100000000000", f"{limit}"))
    deployment = make_deployment(tmp_path / "deployment", charter=charter)
    paths = [write_export(tmp_path / f"{user}.json", make_export(user)) for user in ("ada", "bob")]
    if stored_users:
        take(deployment, *paths)
    else:
        with pytest.raises(DeniedError, match="daily limit of clause `bring-data-in`"):
            take(deployment, *paths)
    rows = dump(deployment)
    assert len(rows["subjects"]) == stored_users
    assert bool(rows["parts"]) == bool(rows["counters"]) == bool(stored_users)
    verified(deployment, tmp_path / "bundle")


def test_counter_goes_on_from_chunk_to_chunk_and_run_to_run(
    deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunk, "PARTS_PER_CHUNK_MAX", 20)
    for number in range(12):
        write_export(tmp_path / f"exports/{number:02d}.json", make_export(f"user{number}"))
    take(deployment, tmp_path / "exports")
    write_export(tmp_path / "exports/12.json", make_export("user12"))
    write_export(tmp_path / "exports/13.json", make_export("user13"))
    take(deployment, tmp_path / "exports")
    ((counter, _, _, total, _),) = dump(deployment)["counters"]
    assert (counter, total) == ("bulk/bring-data-in", 14 * 6)  # 5 records a user, and the evidence
    verified(deployment, tmp_path / "bundle")


def test_unknown_purpose_is_refused_before_anything_is_read(deployment: Deployment, tmp_path: Path) -> None:
    path = write_export(tmp_path / "ada.json", make_export("ada"))
    with pytest.raises(InvalidInputError, match="there is no purpose 'curiosity'"):
        take(deployment, path, purpose="curiosity")


def test_move_out_of_protected_is_counted_and_limited(tmp_path: Path) -> None:
    source = "      - [Profile And Settings, Settings, SettingsMap]\n    fields:\n"
    by_account = "    record_class: {field: Account, values: {Open: public}}\n    fields:\n"
    by_account += "      Account: protected\n      Motto: record\n"
    charter = changed_charter(source, source.replace("    fields:\n", by_account))
    charter = charter.replace(MIGRATE.encode(), MIGRATE.replace("1000000\n", "1\n").encode())
    deployment = make_deployment(tmp_path / "deployment", charter=charter)

    def settings_of(user: str, account: str) -> Path:
        section = {"Settings": {"SettingsMap": {"Account": account, "Motto": "m"}}}
        return write_export(tmp_path / f"{user}.json", make_export(user, **{"App Settings": section}))

    for user in ("ada", "bob"):
        take(deployment, settings_of(user, "Closed"))
    assert take(deployment, settings_of("ada", "Open")).summary.records_changed == 1
    with pytest.raises(DeniedError, match="lets no more records become less protected today"):
        take(deployment, settings_of("bob", "Open"))
    classes = {at.user: at.data_class for at, part in stored(deployment).items() if "Motto" in part.fields}
    assert classes == {"ada": "public", "bob": "protected"}
    verified(deployment, tmp_path / "bundle")


# -- what happens meanwhile ------------------------------------------------------------------------------------------


async def _with_something_between(runtime: Runtime, gate: Gate, path: Path, between: Any) -> AsyncIterator[Message]:
    first = True
    async for message in messages_of(runtime, (path,), DEFAULT_LIMITS):
        if isinstance(message, Piece):
            if not first:
                await between(message)
            first = False
        yield message


def test_user_erased_meanwhile_is_not_brought_back(
    deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(person, "ROWS_PER_PIECE_MAX", 5)
    monkeypatch.setattr(chunk, "PARTS_PER_CHUNK_MAX", 5)
    path = write_export(tmp_path / "ada.json", make_export("ada", watched=30))
    erased: list[str] = []

    async def run() -> Intake:
        async with open_runtime(deployment) as runtime, runtime.gate(duty="gateway") as gate:
            number = runtime.keeper.state.identities[DEVELOPMENT_ISSUER, "app"]

            async def erase(message: Message) -> None:
                while not erased:
                    if await gate.store.resolve([gate.subjects.index("ada")]) != [None]:
                        await erase_user(gate, Caller(number, "US"), purpose="user_request", user="ada")
                        erased.append("ada")
                    await asyncio.sleep(0.001)

            intake = Intake(gate, local_caller(runtime), purpose="migrate")
            await intake.run(_with_something_between(runtime, gate, path, erase))
            return intake

    intake = asyncio.run(run())
    assert erased
    assert intake.summary.problems == []
    assert (intake.summary.outcomes["left"], intake.summary.reasons["erased"]) == (1, 1)
    assert stored(deployment) == {}
    assert dump(deployment)["parts"] == []
    verified(deployment, tmp_path / "bundle")


def test_user_erased_before_is_not_brought_back_by_an_old_export_but_by_the_app(
    deployment: Deployment, tmp_path: Path
) -> None:
    path = write_export(tmp_path / "ada.json", make_export("ada", watched=3))
    assert take(deployment, path).summary.users_new == 1

    async def erase_and_return(back: bool) -> None:
        async with open_runtime(deployment) as runtime, runtime.gate(duty="gateway") as gate:
            caller = Caller(runtime.keeper.state.identities[DEVELOPMENT_ISSUER, "app"], "US")
            if back:
                item = WriteItem("ada", "profile", "self", {"userName": "ada"})
                await write_records(gate, caller, purpose="serve_user", items=[item])
            else:
                await erase_user(gate, caller, purpose="user_request", user="ada")

    asyncio.run(erase_and_return(back=False))
    again = take(deployment, path).summary
    assert (again.users_new, again.outcomes["left"], again.reasons["erased"], again.records_new) == (0, 1, 1, 0)
    assert again.records_left > 0
    assert dump(deployment)["parts"] == []

    asyncio.run(erase_and_return(back=True))
    assert take(deployment, path).summary.outcomes["taken"] == 1


def test_export_that_changes_while_it_is_read_is_refused(
    deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(person, "KEPT_SIZE_BYTES_MAX", 1)
    path = write_export(tmp_path / "exports/ada.json", make_export("ada"))
    read_again = person._Reading._read_again

    def read_after_a_change(self: Any) -> Any:
        write_export(path, make_export("bob", watched=9))
        return read_again(self)

    monkeypatch.setattr(person._Reading, "_read_again", read_after_a_change)
    taken = take(deployment, path)
    assert "another file than a moment ago" in problem(taken)[1]
    assert stored(deployment) == {}


def test_interrupted_export_says_that_a_part_of_it_is_stored(deployment: Deployment, tmp_path: Path) -> None:
    path = write_export(tmp_path / "ada.json", make_export("ada"))

    async def run() -> Taken:
        async with open_runtime(deployment) as runtime, runtime.gate(duty="ingest") as gate:

            async def interrupted() -> AsyncIterator[Message]:
                async for message in messages_of(runtime, (path,), DEFAULT_LIMITS):
                    if isinstance(message, Piece):
                        yield Piece(message.name, message.user, message.reason, message.rows, NO_ROWS, 0, last=False)
                        yield Interrupted(message.name, "found the end", f"{message.name}#")
                    else:
                        yield message

            reports: list[Any] = []
            intake = Intake(gate, local_caller(runtime), purpose="migrate", tell=reports.append)
            summary = await intake.run(interrupted())
            await take_in(runtime, gate, path)
            return Taken(summary, reports)

    taken = asyncio.run(run())
    (report,) = taken.reports
    assert (report.outcome, report.records_new) == ("refused", 2)
    assert len(fields_of(stored(deployment), "ada", "watch_history")) == 3, "running it again takes the rest"
