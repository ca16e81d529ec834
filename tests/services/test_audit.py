"""`vault audit` finds every row that is not what the ledger says, and finds nothing in an honest vault."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from ringfence.app.deployment import Deployment
from ringfence.services.custody.erasing import erase_user
from ringfence.services.custody.writing import WriteItem, write_records
from ringfence.vault.audit import AuditReport, audit_vault
from tests.services.world import World, in_world

PART = "dataset = 'profile' AND data_class = 'protected'"


def ignore(done: int, total: int) -> None:
    """Take no notice of progress."""


async def put(world: World, user: str, value: str) -> None:
    """Store a profile."""
    fields = {"userName": user, "emailAddress": f"{user}@example.com", "bioDescription": value}
    items = [WriteItem(user, "profile", "self", fields)]
    await write_records(world.gate, world.caller("app"), purpose="serve_user", items=items)


def fill(deployment: Deployment) -> None:
    """Three users, one written twice, one erased."""

    async def work(world: World) -> None:
        for user in ("ada", "bob", "eve"):
            await put(world, user, "first")
        await put(world, "ada", "second")
        await erase_user(world.gate, world.caller("app"), purpose="user_request", user="eve")

    in_world(deployment, work)


def audit(deployment: Deployment) -> AuditReport:
    """Audit the vault."""

    async def work(world: World) -> AuditReport:
        return await audit_vault(world.runtime.store, world.runtime.custody, world.runtime.keeper.state, report=ignore)

    return in_world(deployment, work)


def change(deployment: Deployment, work: Callable[[sqlite3.Connection], object]) -> None:
    """Do something to the database behind the program."""
    database = sqlite3.connect(deployment.directory / "vault.db")
    with database:
        work(database)
    database.close()


def test_honest_vault_has_no_differences(deployment: Deployment) -> None:
    fill(deployment)

    found = audit(deployment)

    assert found.findings == []
    assert (found.parts, found.keys) == (6, 4)  # two users: identity, protected, public each; two keys each


def swap_ciphertexts(database: sqlite3.Connection, which: str = PART) -> None:
    """Give two users each other's sealed part."""
    rows = database.execute(f"SELECT subject_ref, sealed FROM parts WHERE {which}").fetchall()
    (first, one), (second, two) = rows
    update = f"UPDATE parts SET sealed = ? WHERE subject_ref = ? AND {which}"
    database.execute(update, (two, first))
    database.execute(update, (one, second))


def swap_keys(database: sqlite3.Connection, data_class: str = "protected") -> None:
    """Give two users each other's wrapped key."""
    sql = "SELECT subject_ref, wrapped, commitment FROM subject_keys WHERE data_class = ?"
    (first, *one), (second, *two) = database.execute(sql, (data_class,)).fetchall()
    update = "UPDATE subject_keys SET wrapped = ?, commitment = ? WHERE subject_ref = ? AND data_class = ?"
    database.execute(update, (*two, first, data_class))
    database.execute(update, (*one, second, data_class))


def delete_row(database: sqlite3.Connection) -> None:
    """Delete one part."""
    database.execute(f"DELETE FROM parts WHERE {PART} AND subject_ref = (SELECT min(subject_ref) FROM parts)")


def add_row(database: sqlite3.Connection) -> None:
    """Add a part that no entry wrote."""
    columns = [row[1] for row in database.execute("PRAGMA table_info(parts)")]
    chosen = ", ".join("x'00112233445566778899aabbccddeeff'" if c == "record_key" else c for c in columns)
    names = ", ".join(columns)
    database.execute(f"INSERT INTO parts ({names}) SELECT {chosen} FROM parts WHERE {PART} LIMIT 1")


@pytest.mark.parametrize(
    ("tamper", "differences"), [(swap_ciphertexts, 2), (swap_keys, 2), (delete_row, 1), (add_row, 1)]
)
def test_row_changed_behind_the_program_is_found(
    deployment: Deployment, tamper: Callable[[sqlite3.Connection], None], differences: int
) -> None:
    fill(deployment)
    change(deployment, tamper)

    assert len(audit(deployment).findings) == differences


@pytest.mark.parametrize(
    ("tamper", "what"),
    [
        (partial(swap_ciphertexts, which="dataset = 'posts'"), "the stored bytes are not those that were written"),
        (partial(swap_keys, data_class="public"), "a wrapped key does not open"),
    ],
)
def test_swap_of_what_no_look_up_leads_to_is_found(
    deployment: Deployment, tamper: Callable[[sqlite3.Connection], None], what: str
) -> None:
    async def post(world: World) -> None:
        for user in ("ada", "bob"):
            items = [WriteItem(user, "posts", "p1", {"WhoCanView": "Everyone", "Title": "here"})]
            await write_records(world.gate, world.caller("app"), purpose="serve_user", items=items)

    in_world(deployment, post)
    assert audit(deployment).findings == []

    change(deployment, tamper)

    findings = audit(deployment).findings
    assert len(findings) == 2
    assert all(what in finding.what for finding in findings), findings


def test_older_row_put_back_is_found(deployment: Deployment, tmp_path: Path) -> None:
    in_world(deployment, lambda world: put(world, "ada", "first"))
    old: list[tuple[object, ...]] = []
    change(deployment, lambda db: old.extend(db.execute(f"SELECT version, sealed FROM parts WHERE {PART}")))
    in_world(deployment, lambda world: put(world, "ada", "second"))
    assert audit(deployment).findings == []

    change(deployment, lambda db: db.execute(f"UPDATE parts SET version = ?, sealed = ? WHERE {PART}", old[0]))

    (finding,) = audit(deployment).findings
    assert "version 1 is stored, but version 2 was written last" in finding.what


def test_nothing_readable_is_in_the_database_or_its_log(deployment: Deployment) -> None:
    planted = "planted-7f3a9c"

    async def work(world: World) -> None:
        await put(world, planted, planted)
        for path in deployment.directory.glob("vault.db*"):
            assert planted.encode() not in path.read_bytes(), path.name

    in_world(deployment, work)
    database = sqlite3.connect(deployment.directory / "vault.db")
    assert planted not in "\n".join(database.iterdump())
    assert "batches" in "\n".join(database.iterdump())
    database.close()
