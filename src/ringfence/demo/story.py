"""What the demo tells, step by step. Every answer that it shows is checked: a demo that lies is a defect."""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import click

from ringfence.core.errors import IntegrityError
from ringfence.demo.stage import Stage
from ringfence.synthetic.files import write_exports
from ringfence.synthetic.geography import write_geography
from ringfence.synthetic.people import SyntheticUser

USERS: Final = 2_000
SEED: Final = 20_220_314
REGION: Final = "virginia"
APP, PARENT, PAPER_EMPLOYEE = "the-app", "parent-analyst", "us-employee"
CALLERS: Final = {APP: "tiktok", PARENT: "bytedance", PAPER_EMPLOYEE: "tiktok"}


def tell(stage: Stage, charter: Path) -> None:
    """Run the whole demo.

    Raises:
        RingfenceError: a step did not go as the product promises.
    """
    began = time.monotonic()
    people = _make_users(stage)
    _make_deployment(stage, charter)
    _ingest(stage)
    user = _choose_user(stage, people)
    stage.start()
    try:
        posts = _serve(stage, user)
        _refuse(stage, user)
        _release(stage, user, posts)
        _copy_database(stage.deployment / "vault.db", stage.directory / "older.db")
        _erase(stage, user)
    finally:
        stage.stop()
    bundle = _prove(stage)
    _flip(stage, bundle)
    _slip_in(stage)
    _put_back(stage)
    _title("Done")
    click.echo(f"   All of it took {time.monotonic() - began:.0f} seconds. The files are in {stage.directory}.")


def _title(text: str) -> None:
    click.echo(f"\n== {text}")


def _say(text: str) -> None:
    click.echo(f"   {text}")


def _expect(condition: bool, promise: str) -> None:
    if not condition:
        raise IntegrityError(f"the demo found a promise broken: {promise}", hint="please report this")


def _make_users(stage: Stage) -> Sequence[SyntheticUser]:
    _title(f"1. {USERS} made-up users, in the shape of a TikTok data export")
    people = write_exports(stage.directory / "exports", users=USERS, seed=SEED)
    write_geography(stage.directory / "geography.mmdb")
    countries = Counter(person.country for person in people)
    _say(f"from {len(countries)} countries: " + ", ".join(f"{name} {count}" for name, count in countries.most_common()))
    _expect(len(countries) >= 8, "at least 8 countries")
    return people


def _make_deployment(stage: Stage, charter: Path) -> None:
    _title("2. The custodian puts the agreement (the charter) in force")
    geography = str(stage.directory / "geography.mmdb")
    arguments = ("--charter", str(charter), "--region", REGION, "--geography", geography)
    stage.run("init", str(stage.deployment), *arguments)
    settings = stage.deployment / "ringfence.yaml"
    text = settings.read_text().replace("trusted_proxies: {}", "trusted_proxies:\n  edge: 127.0.0.1/32")
    settings.write_text(text)
    for name, party in CALLERS.items():
        stage.run("principal", "register", name, "--party", party, "-d", str(stage.deployment))
        stage.tokens[name] = stage.run_json("token", name, "-d", str(stage.deployment))["token"]
    _say(f"`{PAPER_EMPLOYEE}` is U.S. staff of the app on paper. Where the connection comes from will tell.")


def _ingest(stage: Stage) -> None:
    _title("3. The U.S. users' data is ring-fenced: sealed under keys that only the custodian has")
    exports = str(stage.directory / "exports")
    done = stage.run("ingest", exports, "-d", str(stage.deployment))
    for line in done.stdout.strip().splitlines():
        _say(line)


def _choose_user(stage: Stage, people: Sequence[SyntheticUser]) -> SyntheticUser:
    """Give a U.S. user who has a post for everyone and one for nobody else."""
    from ringfence.synthetic.export import make_export

    for person in people:
        if person.country != "US" or person.evidence != "clear":
            continue
        export = make_export(person)
        posts = ((export.get("Post") or {}).get("Posts") or {}).get("VideoList") or []
        visible = {post.get("WhoCanView") for post in posts}
        if {"Everyone", "Only me"} <= visible:
            return person
    raise IntegrityError("no made-up user has both a public and a private post")


def _records(user: SyntheticUser, dataset: str, record: str = "") -> str:
    return f"/v1/records/{dataset}/{user.user_name}" + (f"/{record}" if record else "")


def _serve(stage: Stage, user: SyntheticUser) -> dict[str, str]:
    _title("4. The app reads a user's data to serve that user: permitted, and recorded before it is answered")
    answer = stage.call(APP, "GET", _records(user, "profile", "self") + "?purpose=serve_user")
    _expect(answer.status_code == 200 and user.email in answer.text, "the app is given its user's profile")
    page = stage.call(APP, "GET", _records(user, "posts") + "?purpose=serve_user&limit=1000", show=False).json()
    posts: dict[str, str] = {}
    for record in page["records"]:
        posts.setdefault(record["fields"].get("WhoCanView", ""), record["record"])
    proof = stage.wait_published(answer.headers["ringfence-receipt"])
    _say(f"the receipt's proof from the signed ledger: {len(proof.splitlines())} lines, checked offline by anyone")
    return posts


def _refuse(stage: Stage, user: SyntheticUser) -> None:
    _title("5. The parent company asks for the same: refused, and the refusal is recorded")
    path = _records(user, "profile", "self") + "?purpose=serve_user"
    answer = stage.call(PARENT, "GET", path, country="CN")
    _expect(answer.status_code == 403 and user.email not in answer.text, "the parent is refused")
    _title('6. A "U.S." employee asks, from a network that is not in the U.S.: refused')
    answer = stage.call(PAPER_EMPLOYEE, "GET", path, country="CN")
    _expect(answer.status_code == 403 and user.email not in answer.text, "the country of the connection counts")


def _release(stage: Stage, user: SyntheticUser, posts: dict[str, str]) -> None:
    _title("7. What the user published may be shown abroad: the public part of the profile is released")
    purpose = "?purpose=show_public_content"
    answer = stage.call(PARENT, "GET", _records(user, "profile", "self") + purpose, country="CN")
    _expect(answer.status_code == 200 and user.user_name in answer.text, "public fields are released")
    _expect(user.email not in answer.text, "no protected field is released")
    _title('8. A post for everyone is given; an "only me" post is withheld')
    answer = stage.call(PARENT, "GET", _records(user, "posts", posts["Everyone"]) + purpose, country="CN")
    _expect(answer.status_code == 200, "a post for everyone is given")
    answer = stage.call(PARENT, "GET", _records(user, "posts", posts["Only me"]) + purpose, country="CN")
    _expect(answer.status_code == 404, "an only-me post is withheld")


def _erase(stage: Stage, user: SyntheticUser) -> None:
    _title("9. The user asks to be erased, and is gone")
    answer = stage.call(APP, "DELETE", f"/v1/users/{user.user_name}?purpose=user_request")
    _expect(answer.status_code == 200, "a user can be erased")
    receipt = answer.headers["ringfence-receipt"]
    answer = stage.call(APP, "GET", _records(user, "profile", "self") + "?purpose=serve_user")
    _expect(answer.status_code == 404, "an erased user is gone")
    stage.wait_published(answer.json()["detail"].rsplit("receipt ", 1)[1].rstrip(")"))
    stage.wait_published(receipt)


def _prove(stage: Stage) -> Path:
    _title("10. The overseer takes the ledger away and checks all of it offline, trusting only a pinned file")
    bundle = stage.directory / "evidence"
    stage.run("ledger", "export", str(bundle), "--detail", "-d", str(stage.deployment))
    done = stage.run("verify", str(bundle), "--trust", str(stage.deployment / "trust.json"))
    for line in done.stdout.strip().splitlines():
        _say(f"  {line}")
    return bundle


def _flip(stage: Stage, bundle: Path) -> None:
    _title("11. One byte of the evidence is flipped: refuted, with the place named")
    target = sorted(bundle.joinpath("tile", "entries").rglob("*"))
    path = next(item for item in target if item.is_file())
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    arguments = ("verify", str(bundle), "--trust", str(stage.deployment / "trust.json"))
    done = stage.run(*arguments, check=False)
    _show(done.stdout)
    _expect(done.returncode == 1, "a flipped byte is refuted")


def _slip_in(stage: Stage) -> None:
    _title("12. The database's administrator slips an entry in: the service refuses to start")
    database = stage.deployment / "vault.db"
    kept = stage.directory / "kept.db"
    shutil.copyfile(database, kept)
    with sqlite3.connect(database) as connection:
        newest = connection.execute("SELECT max(place) FROM batches").fetchone()[0]
        columns = [row[1] for row in connection.execute("PRAGMA table_info(batches)") if row[1] != "place"]
        names = ", ".join(columns)
        connection.execute(
            f"INSERT INTO batches (place, {names}) SELECT place + 1, {names} FROM batches WHERE place = ?",  # noqa: S608
            (newest,),
        )
    connection.close()
    _say("   INSERT INTO batches ... (a copy of the last batch, one number on)")
    _show(stage.refused_start())
    _restore(database, kept)


def _put_back(stage: Stage) -> None:
    _title("13. An older copy of the database is put back, to make the erasure undone: the service refuses to start")
    database = stage.deployment / "vault.db"
    _restore(database, stage.directory / "older.db")
    _show(stage.refused_start())


def _copy_database(database: Path, copy: Path) -> None:
    with sqlite3.connect(database) as source, sqlite3.connect(copy) as target:
        source.backup(target)
    source.close()
    target.close()


def _restore(database: Path, copy: Path) -> None:
    for suffix in ("-wal", "-shm"):
        database.with_name(database.name + suffix).unlink(missing_ok=True)
    shutil.copyfile(copy, database)


def _show(text: Any) -> None:
    for line in str(text).strip().splitlines()[:6]:
        _say(f"-> {line}")
