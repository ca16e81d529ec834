"""The demo's attacks: each is really done, to files of the demo, and what it shows is what the program then says."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

from ringfence.core.errors import IntegrityError
from ringfence.demo.paper import say, show_input, title
from ringfence.demo.stage import Stage


def expect(condition: bool, promise: str) -> None:
    """Hold the product to what the demo says of it.

    Raises:
        IntegrityError: the promise was not kept.
    """
    if not condition:
        raise IntegrityError(f"the demo found a promise broken: {promise}", hint="please report this")


def flip_a_byte(stage: Stage, bundle: Path) -> None:
    """Flip a bit in the first file of entries, and verify again."""
    title("14. One byte of the evidence is changed: refuted, with the place named")
    path = min(item for item in bundle.joinpath("tile", "entries").rglob("*") if item.is_file())
    data = bytearray(path.read_bytes())
    place = len(data) // 2
    data[place] ^= 1
    path.write_bytes(bytes(data))
    say(f"Byte {place:,} of {path.relative_to(bundle)} is no longer what it was.")
    arguments = ("verify", str(bundle), "--trust", str(stage.deployment / "trust.json"))
    done = stage.run(*arguments, check=False, lines_max=8)
    expect(done.returncode == 1 and "tile/entries/000" in done.stdout, "a flipped byte is refuted, and placed")


def slip_in_an_entry(stage: Stage) -> None:
    """Insert a batch into the database, behind the program's back, and start the service on it."""
    title("15. The database's administrator slips an entry in: refused at start")
    database = stage.deployment / "vault.db"
    kept = stage.directory / "kept.db"
    shutil.copyfile(database, kept)
    with sqlite3.connect(database) as connection:
        names = ", ".join(row[1] for row in connection.execute("PRAGMA table_info(batches)") if row[1] != "place")
        statement = (
            f"INSERT INTO batches (place, {names}) SELECT place + 1, {names} FROM batches "  # noqa: S608 - our own schema
            "WHERE place = (SELECT max(place) FROM batches)"
        )
        connection.execute(statement)
    connection.close()
    show_input(f"sqlite> {statement};")
    said = stage.refuse_to_start()
    expect("lane " in said and "batch " in said, "an entry that was slipped in is found, and placed")
    _restore(database, kept)


def keep_older_copy(stage: Stage) -> None:
    """Copy the database as it is now."""
    with sqlite3.connect(stage.deployment / "vault.db") as source, sqlite3.connect(_older(stage)) as target:
        source.backup(target)
    source.close()
    target.close()


def put_back_older_copy(stage: Stage) -> None:
    """Put the copy back, and start the service on it."""
    title("16. An older database is put back, to undo the erasure: refused at start")
    show_input("$ cp DEMO/older.db DEMO/deployment/vault.db")
    _restore(stage.deployment / "vault.db", _older(stage))
    said = stage.refuse_to_start()
    expect("already shown" in said, "an older database is not served from")


def _older(stage: Stage) -> Path:
    return stage.directory / "older.db"


def _restore(database: Path, copy: Path) -> None:
    for suffix in ("-wal", "-shm"):
        database.with_name(database.name + suffix).unlink(missing_ok=True)
    shutil.copyfile(copy, database)
