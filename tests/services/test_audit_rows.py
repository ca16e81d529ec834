"""What `vault audit` says of rows that a database administrator changed, took away or put back."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

import pytest

from ringfence.app.deployment import Deployment
from ringfence.app.runtime import clock_ms
from ringfence.core.ledger import entry as e
from ringfence.services.custody.access_entries import access_entry
from ringfence.services.custody.erasing import erase_user
from ringfence.services.custody.request import Request
from ringfence.services.custody.writing import WriteItem, write_records
from ringfence.services.jobs import Prepared
from ringfence.vault.audit import AuditReport
from tests.services.test_audit import audit, change
from tests.services.world import EXAMPLE, World, in_world, make_deployment

TABLES = ("subjects", "subject_keys", "parts", "searches")
Tamper = Callable[[sqlite3.Connection], object]


async def put(world: World, user: str, dataset: str = "profile", record: str = "self", **fields: Any) -> None:
    items = [WriteItem(user, dataset, record, fields)]
    await write_records(world.gate, world.caller("app"), purpose="serve_user", items=items)


async def fill(world: World) -> None:
    """Two users: user id, protected and public profile, and two tokens of the look-up each."""
    for user in ("alice", "mallory"):
        await put(world, user, userName=user, emailAddress=f"{user}@example.com", bioDescription="mine")


async def erase_alice(world: World) -> None:
    await erase_user(world.gate, world.caller("app"), purpose="user_request", user="alice")


def said(report: AuditReport) -> list[str]:
    """Give what the findings say, in order."""
    return sorted({finding.what for finding in report.findings})


@pytest.fixture
def filled(deployment: Deployment) -> Deployment:
    in_world(deployment, fill)
    assert audit(deployment).findings == []
    return deployment


def subjects_in(database: sqlite3.Connection) -> list[tuple[bytes, bytes]]:
    return database.execute("SELECT subject_ref, user_index FROM subjects ORDER BY subject_ref").fetchall()


def swap_users(database: sqlite3.Connection) -> None:
    (first, one), (second, two) = subjects_in(database)
    for reference, index in ((first, bytes(16)), (second, one), (first, two)):
        database.execute("UPDATE subjects SET user_index = ? WHERE subject_ref = ?", (index, reference))


def rename_user(database: sqlite3.Connection) -> None:
    first, _ = subjects_in(database)[0]
    database.execute("UPDATE subjects SET user_index = ? WHERE subject_ref = ?", (b"i" * 16, first))


def delete_subject(database: sqlite3.Connection) -> None:
    database.execute("DELETE FROM subjects WHERE subject_ref = ?", subjects_in(database)[0][:1])


def add_subject(database: sqlite3.Connection) -> None:
    database.execute("INSERT INTO subjects VALUES (?, ?)", (b"s" * 16, b"i" * 16))


def delete_keys(database: sqlite3.Connection) -> None:
    database.execute("DELETE FROM subject_keys")


def delete_one_key(database: sqlite3.Connection) -> None:
    database.execute(
        "DELETE FROM subject_keys WHERE data_class = 'public' AND subject_ref = ?", subjects_in(database)[0][:1]
    )


def redirect_token(database: sqlite3.Connection) -> None:
    """Let the look-up of the first user's e-mail address find the second, and that of the second nobody."""
    sql = "SELECT subject_ref, token FROM searches WHERE field = 'profile.emailAddress' ORDER BY 1"
    (_, token), (second, _) = database.execute(sql).fetchall()
    database.execute(
        "UPDATE searches SET token = ? WHERE field = 'profile.emailAddress' AND subject_ref = ?", (token, second)
    )


def delete_token(database: sqlite3.Connection) -> None:
    database.execute("DELETE FROM searches WHERE subject_ref = ?", subjects_in(database)[0][:1])


def add_token(database: sqlite3.Connection) -> None:
    """Let a user be found by something that no record of the user holds."""
    first, second = (reference for reference, _ in subjects_in(database))
    database.execute(
        "INSERT INTO searches SELECT ?, field, x'00112233445566778899aabbccddeeff', token FROM searches"
        " WHERE subject_ref = ?",
        (first, second),
    )


@pytest.mark.parametrize(
    ("tamper", "what", "differences"),
    [
        (swap_users, "this subject is found as another user than the one whose it is", 2),
        (rename_user, "this subject is found as another user than the one whose it is", 1),
        (delete_subject, "this is stored, but its subject is not there", 7),  # three parts, two keys, two tokens
        (add_subject, "this subject has no user id of its own", 1),
        (delete_keys, "there is no key that opens this", 6),
        (delete_one_key, "there is no key that opens this", 1),
        (redirect_token, "the record that this leads to does not hold what it is found by", 1),
        (delete_token, "this record cannot be found by what it holds", 2),
        (add_token, "the record that this leads to is not stored", 2),
    ],
)
def test_row_that_leads_elsewhere_or_nowhere_is_found(
    filled: Deployment, tamper: Tamper, what: str, differences: int
) -> None:
    change(filled, tamper)

    report = audit(filled)

    assert said(report) == [what]
    assert len(report.findings) == differences


def copy_of(database: sqlite3.Connection, table: str) -> list[tuple[Any, ...]]:
    return database.execute(f"SELECT * FROM {table}").fetchall()


@pytest.mark.parametrize("table", TABLES)
def test_each_row_of_an_erased_user_that_is_put_back_is_found(filled: Deployment, table: str) -> None:
    saved: list[tuple[Any, ...]] = []
    change(filled, lambda db: saved.extend(copy_of(db, table)))
    in_world(filled, erase_alice)
    left: list[tuple[Any, ...]] = []
    change(filled, lambda db: left.extend(copy_of(db, table)))
    assert audit(filled).findings == []

    def put_back(database: sqlite3.Connection) -> None:
        places = ", ".join("?" * len(saved[0]))
        database.executemany(f"INSERT OR IGNORE INTO {table} VALUES ({places})", saved)

    change(filled, put_back)

    report = audit(filled)
    assert said(report) == ["the ledger says that this subject was erased, but this is stored"]
    assert len(report.findings) == len(saved) - len(left)


def test_user_who_came_back_after_an_erasure_has_no_differences(filled: Deployment) -> None:
    in_world(filled, erase_alice)
    in_world(filled, lambda world: put(world, "alice", userName="alice", emailAddress="alice@example.com"))

    assert audit(filled).findings == []


# --- deletions -------------------------------------------------------------------------------------------------------


async def publish_and_hide(world: World) -> list[tuple[Any, ...]]:
    """Publish a post on one lane and hide it on the other, in one millisecond; gives its public part."""
    now = clock_ms() + 5
    for writer in (world.gate.singles, world.gate.bulk):
        writer.clock_ms = lambda: now
    await put(world, "ada", "posts", "p1", WhoCanView="Everyone", Title="secret")
    database = sqlite3.connect(world.directory / "vault.db")
    public = database.execute("SELECT * FROM parts WHERE data_class = 'public'").fetchall()
    database.close()
    hidden = [
        WriteItem("ada", "posts", "p1", {"WhoCanView": "Only me", "Title": "secret"}),
        WriteItem("ada", "posts", "p0", {"WhoCanView": "Only me"}),
    ]
    await write_records(world.gate, world.caller("app"), purpose="serve_user", items=hidden)
    return public


def test_part_that_another_lane_deleted_in_the_same_millisecond_is_known_as_deleted(deployment: Deployment) -> None:
    public = in_world(deployment, publish_and_hide)
    assert audit(deployment).findings == []

    change(
        deployment, lambda db: db.execute(f"INSERT INTO parts VALUES ({', '.join('?' * len(public[0]))})", public[0])
    )

    assert said(audit(deployment)) == ["no entry of the ledger wrote this row, or it was deleted"]


def test_part_of_an_earlier_life_is_found_when_it_is_put_back(deployment: Deployment) -> None:
    async def turn(world: World) -> list[tuple[Any, ...]]:
        await put(world, "ada", "posts", "p1", WhoCanView="Everyone", Title="first")
        database = sqlite3.connect(world.directory / "vault.db")
        public = database.execute("SELECT sealed FROM parts WHERE data_class = 'public'").fetchall()
        database.close()
        await put(world, "ada", "posts", "p1", WhoCanView="Only me", Title="hidden")
        await put(world, "ada", "posts", "p1", WhoCanView="Everyone", Title="second")
        return public

    public = in_world(deployment, turn)
    assert audit(deployment).findings == []

    change(deployment, lambda db: db.execute("UPDATE parts SET sealed = ? WHERE data_class = 'public'", public[0]))

    assert said(audit(deployment)) == ["the stored bytes are not those that were written"]


# --- what was refused, and charters that changed ---------------------------------------------------------------------


@pytest.mark.parametrize("clause", ["", "!app-serves-users"])
def test_entry_of_a_write_that_was_refused_wrote_nothing(filled: Deployment, clause: str) -> None:
    """Such an entry may name parts all the same: what counts is what was given."""

    async def refused(world: World) -> None:
        written = [e.Written(bytes(16), "protected", 1, bytes(32)), e.Written(b"r" * 16, "public", -7, b"")]
        about = e.About(subjects=[bytes(16)] * 2, records=[bytes(16), b"r" * 16], written=written)
        request = Request(world.caller("parent", "CN"), "show_public_content", "write", "single", 1)
        leaf, opening = access_entry(world.gate, request, dataset="profile", decided={"protected": clause}, about=about)
        await world.gate.singles.submit(lambda state, at_ms: Prepared(entries=[leaf], openings=[opening]))

    in_world(filled, refused)

    assert audit(filled).findings == []


def test_part_that_an_entry_gives_and_nobody_stored_is_missed(filled: Deployment) -> None:
    async def lost(world: World) -> None:
        written = [e.Written(b"r" * 16, "protected", 1, bytes(32))]
        about = e.About(subjects=[b"s" * 16], records=[b"r" * 16], written=written)
        request = Request(world.caller("app"), "serve_user", "write", "single", 1)
        leaf, opening = access_entry(world.gate, request, dataset="profile", decided={"protected": "x"}, about=about)
        await world.gate.singles.submit(lambda state, at_ms: Prepared(entries=[leaf], openings=[opening]))

    in_world(filled, lost)

    assert said(audit(filled)) == ["the ledger says that this row was written, but it is not stored"]


def test_changed_charter_asks_only_for_tokens_that_it_or_an_earlier_one_wanted(tmp_path: Any) -> None:
    text = EXAMPLE.read_text()
    searchable = "  - {dataset: profile, field: emailAddress, normalize: email}\n"
    assert searchable in text
    without = text.replace("version: 1", "version: 2", 1).replace(searchable, "")
    again = text.replace("version: 1", "version: 3", 1)
    deployment = make_deployment(tmp_path / "deployment")

    async def enact(world: World, charter: str) -> None:
        async with world.runtime.governance() as governance:
            await governance.enact(charter.encode(), file="charter.yaml")

    async def work(world: World) -> None:
        await put(world, "ada", userName="ada", emailAddress="ada@example.com")
        await enact(world, without)
        await put(world, "bob", userName="bob", emailAddress="bob@example.com")
        await enact(world, again)
        await put(world, "eve", userName="eve", emailAddress="eve@example.com")

    in_world(deployment, work)
    assert audit(deployment).findings == []

    change(deployment, lambda db: db.execute("DELETE FROM searches"))

    assert said(audit(deployment)) == ["this record cannot be found by what it holds"]
    assert len(audit(deployment).findings) == 5  # bob's address was not to be searched when it was written
