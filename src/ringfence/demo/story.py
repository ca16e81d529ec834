"""What the demo tells, step by step. Every answer that it shows is checked: a demo that lies is a defect."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click

from ringfence.core.charter import parse_charter
from ringfence.demo import access, hiring, tampering
from ringfence.demo.paper import say, show_members, title
from ringfence.demo.stage import Stage
from ringfence.demo.tampering import expect
from ringfence.demo.team import PEOPLE, Team
from ringfence.synthetic.export import make_export
from ringfence.synthetic.people import SyntheticUser, make_users

SEED: Final = 20_220_314
REGION: Final = "virginia"
APP, PARENT, PAPER_EMPLOYEE = "the-app", "parent-analyst", "us-employee"
CALLERS: Final = {APP: "tiktok", PARENT: "bytedance", PAPER_EMPLOYEE: "tiktok"}


def tell(stage: Stage, charter: Path, *, users: int) -> None:
    """Run the whole demo with so many users, 200 at least, so that all countries are met.

    Raises:
        RingfenceError: a step did not go as the product promises.
    """
    began = time.monotonic()
    _introduce(charter)
    people = _make_users(stage, users)
    team = Team(stage, stage.directory / "team")
    _found(stage, team, charter)
    _ingest(stage)
    user = _choose_user(people)
    stage.start()
    try:
        posts = _serve(stage, user)
        _refuse(stage, user)
        _release(stage, user, posts)
        access.ask_agree_read_revoke(stage, team, user)
        access.reveal_direction(stage, team, user)
        hiring.count_and_refuse(stage, team)
        tampering.keep_older_copy(stage)
        _erase(stage, user)
    finally:
        stage.stop()
    bundle = _prove(stage)
    tampering.flip_a_byte(stage, bundle)
    tampering.slip_in_an_entry(stage)
    tampering.put_back_older_copy(stage)
    _close(stage, seconds=time.monotonic() - began)


def _introduce(charter: Path) -> None:
    title("Ringfence, shown on made-up users")
    say(
        "A country wants its users' data out of the reach of an app's foreign parent company. The data is handed to "
        "an independent custodian, and who may still do what with it stands in an agreement, the charter. This is "
        "what the custodian's system then does. Its parties, from the worked example in examples/us-user-data:"
    )
    parties = parse_charter(charter.read_bytes(), file=str(charter)).parties.values()
    click.echo()
    show_members({party.name: f"{party.role}. {party.words}" for party in parties})
    click.echo()
    say(
        "Each step below is a real command or a real HTTP call, with its real answer behind the bar: JSON is laid "
        "out for reading, and long values are cut with `...`. Nothing leaves this machine."
    )


def _make_users(stage: Stage, users: int) -> Sequence[SyntheticUser]:
    title(f"1. {users:,} made-up users, each with a data export as the app hands it out")
    stage.run("synthetic", str(stage.made_up), "--users", str(users), "--seed", str(SEED))
    people = tuple(make_users(users, seed=SEED))
    countries = {person.country for person in people}
    expect(len(countries) >= 8, "at least 8 countries")
    return people


def _found(stage: Stage, team: Team, charter: Path) -> None:
    title("2. The custodian's people and the overseer's found the ledger together")
    say(
        "Each has a key of their own, on a machine of their own, and signs the same document. From then on the rules "
        "change by quorum, as the charter says: neither the operator of the host nor any one of them changes a rule."
    )
    deployment = str(stage.deployment)
    geography = str(stage.made_up / "geography.mmdb")
    arguments = ("--charter", str(charter), "--region", REGION, "--geography", geography)
    plan = str(team.prepare(CALLERS))
    stage.run("init", deployment, *arguments, "--trusted-proxy", "edge=127.0.0.1/32", "--ceremony", plan)
    document = stage.deployment / "ceremony" / "founding.json"
    signatures = [str(team.sign(name, document, "found")) for name in PEOPLE]
    stage.run("found", "-d", deployment, *signatures)
    for name in (*CALLERS, *PEOPLE):
        stage.tokens[name] = stage.run_json("token", name, "-d", deployment)["token"]
    say(
        "Whom a caller belongs to is a signed entry of the ledger, never a claim of the caller's. "
        f"`{PAPER_EMPLOYEE}` belongs to the app's U.S. staff on paper. Where the calls come from will tell."
    )


def _ingest(stage: Stage) -> None:
    title("3. The exports are taken in: U.S. users are ring-fenced, others left")
    say(
        "Who is inside is told by evidence in each export: declared country, phone, logins. Whoever's evidence "
        "contradicts itself or is missing is protected as well. Each user has keys of their own, which only the "
        "custodian can open."
    )
    stage.run("ingest", str(stage.made_up / "exports"), "-d", str(stage.deployment))


def _choose_user(people: Sequence[SyntheticUser]) -> SyntheticUser:
    """Give a U.S. user who has a post for everyone and one for nobody else."""
    for person in people:
        if person.country != "US" or person.evidence != "clear":
            continue
        export = make_export(person)
        posts = ((export.get("Post") or {}).get("Posts") or {}).get("VideoList") or []
        if {"Everyone", "Only me"} <= {post.get("WhoCanView") for post in posts}:
            return person
    raise AssertionError("the seed was chosen so that there is one")


def _records(user: SyntheticUser, dataset: str, record: str = "") -> str:
    return f"/v1/records/{dataset}/{user.user_name}" + (f"/{record}" if record else "")


def _serve(stage: Stage, user: SyntheticUser) -> dict[str, str]:
    title("4. The app reads a user's profile to serve that user: permitted")
    answer = stage.call(APP, "GET", _records(user, "profile", "self") + "?purpose=serve_user")
    expect(answer.status_code == 200 and user.email in answer.text, "the app is given its user's profile")
    page = stage.call(APP, "GET", _records(user, "posts") + "?purpose=serve_user&limit=1000", show=False).json()
    posts: dict[str, str] = {}
    for record in page["records"]:
        posts.setdefault(record["fields"].get("WhoCanView", ""), record["record"])
    proof = stage.wait_published(answer.headers["ringfence-receipt"])
    click.echo()
    say(
        "The access was written into the ledger before the answer left. The receipt says where it stands; a "
        f"moment later the signed ledger proves that it does, in {len(proof.splitlines())} lines that anyone can check."
    )
    return posts


def _refuse(stage: Stage, user: SyntheticUser) -> None:
    title("5. The parent company asks for the same: refused, and that is recorded")
    path = _records(user, "profile", "self") + "?purpose=serve_user"
    answer = stage.call(PARENT, "GET", path, country="CN")
    expect(answer.status_code == 403 and user.email not in answer.text, "the parent is refused")
    title('6. A "U.S." employee asks, from a network in another country: refused')
    answer = stage.call(PAPER_EMPLOYEE, "GET", path, country="CN")
    expect(answer.status_code == 403 and user.email not in answer.text, "the country of the connection counts")


def _release(stage: Stage, user: SyntheticUser, posts: dict[str, str]) -> None:
    title("7. What the user published may be shown abroad: the profile's public part")
    purpose = "?purpose=show_public_content"
    answer = stage.call(PARENT, "GET", _records(user, "profile", "self") + purpose, country="CN")
    expect(answer.status_code == 200 and user.user_name in answer.text, "public fields are released")
    expect(user.email not in answer.text, "no protected field is released")
    click.echo()
    say("E-mail, phone and birth date are protected: they lie under another key, which was not even opened.")
    title('8. A post for everyone is given; an "only me" post is withheld')
    answer = stage.call(PARENT, "GET", _records(user, "posts", posts["Everyone"]) + purpose, country="CN")
    expect(answer.status_code == 200, "a post for everyone is given")
    answer = stage.call(PARENT, "GET", _records(user, "posts", posts["Only me"]) + purpose, country="CN")
    expect(answer.status_code == 404, "an only-me post is withheld")


def _erase(stage: Stage, user: SyntheticUser) -> None:
    title("12. The user asks to be erased, and is gone")
    answer = stage.call(APP, "DELETE", f"/v1/users/{user.user_name}?purpose=user_request")
    expect(answer.status_code == 200, "a user can be erased")
    receipt = answer.headers["ringfence-receipt"]
    answer = stage.call(APP, "GET", _records(user, "profile", "self") + "?purpose=serve_user")
    expect(answer.status_code == 404, "an erased user is gone")
    stage.wait_published(answer.json()["detail"].rsplit("receipt ", 1)[1].rstrip(")"))
    stage.wait_published(receipt)


def _prove(stage: Stage) -> Path:
    title("13. The overseer takes the ledger away and checks all of it, offline")
    say(
        "It trusts nobody and nothing but trust.json, five values that it got once. Every decision is made again "
        "from the ledger alone, every signature is checked again, and all has to come out the same."
    )
    bundle = stage.directory / "evidence"
    stage.run("ledger", "export", str(bundle), "--detail", "-d", str(stage.deployment))
    stage.run("verify", str(bundle), "--trust", str(stage.deployment / "trust.json"))
    return bundle


def _close(stage: Stage, *, seconds: float) -> None:
    title("That was the main job: hold, decide, record, prove")
    say(f"It took {seconds:.0f} seconds. Everything is in {stage.directory} (DEMO above); delete it as you like.")
    say("To do the same by hand, see `Hands on` in README.md. What this does not protect against stands there too.")
