"""A field that a newer charter gives another class is given by that class, however it was stored before."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from ringfence.core import changes as c
from ringfence.core.errors import DeniedError, NotFoundError
from ringfence.core.governance.statement import APPROVE, PROPOSE
from ringfence.prover.matrix.cells import ask_all
from ringfence.services.custody import searching
from ringfence.services.custody.batch_reading import read_records
from ringfence.services.custody.granting import submit_held
from ringfence.services.custody.listing import list_records
from ringfence.services.custody.opening import ReadRecord, RecordName
from ringfence.services.custody.reading import read_record
from ringfence.services.custody.request import Caller
from ringfence.services.custody.writing import WriteItem, write_records
from tests.governed import ISSUER, sign
from tests.services.governed_world import WIDER, GovernedWorld, found_deployment, in_governed_world

WATCHED = WIDER.replace(
    "\nduties:\n",
    """
  - name: watching
    words: The parent sees what is public.
    who: [parent]
    from: ["*"]
    purposes: [serve]
    verbs: [read]
    datasets: ["*"]
    classes: [public]
invariants:
  - name: parent-never-sees-protected
    words: The parent never sees what is protected.
    never: {roles: [excluded], verbs: [read], classes: [protected], datasets: ["*"]}
duties:
""",
    1,
)
FINDING = 'verbs: [read, find]\n    datasets: ["*"]\n    classes: [public]\ninvariants'
DECLARED = "fields: {Text: protected, Title: public}"
OPEN = "fields: {Text: public, Title: public}"
CLOSED = "fields: {Text: public, Title: protected}"
UNDECLARED = "fields: {Text: public}"
ASKED = "record_class: {field: Who, values: {all: public}}, fields: {Text: record, Title: public, Who: record}"
NARROWER = "record_class: {field: Who, values: {none: public}}, fields: {Text: record, Title: public, Who: record}"
STORED = {"Text": "a text", "Title": "a title", "Who": "all"}
POST = RecordName("ann", "posts", "one")


def charter(fields: str, version: int = 1) -> str:
    """Give the charter with these fields of posts."""
    assert DECLARED in WATCHED
    return WATCHED.replace(DECLARED, fields).replace("version: 1\n", f"version: {version}\n", 1)


async def enact(world: GovernedWorld, text: str) -> None:
    """Let a quorum put a charter in force."""
    file = text.encode()
    version = world.state.rules.version + 1
    change = c.EnactCharter(name="small", version=version, digest=hashlib.sha256(file).digest(), engine="v2")
    data = world.statement("fay", change)
    async with world.runtime.signed_governance() as governance:
        done = await governance.propose(data, sign("fay", data, PROPOSE), file=file)
        for name in ("ada", "ben", "ivy"):
            done = await governance.approve(done.proposal, sign(name, data, APPROVE))
    assert done.is_carried, done.waits_for
    assert not any(promise.broken for promise in ask_all(world.state.engine, world.state.rules).promises())


async def store(world: GovernedWorld) -> None:
    items = [WriteItem(POST.user, POST.dataset, POST.record, STORED)]
    await write_records(world.gate, world.caller("service"), purpose="serve", items=items)


async def see(world: GovernedWorld, caller: Caller) -> dict[str, Any]:
    """Give the stored post as a caller sees it: the same read singly, in a batch and in a list."""
    gate, found = world.gate, list[ReadRecord | None]()
    try:
        found.append((await read_record(gate, caller, purpose="serve", name=POST)).record)
    except DeniedError:
        return {}
    found += (await read_records(gate, caller, purpose="serve", names=[POST])).records
    told: dict[str, Any] = {"purpose": "serve", "user": POST.user, "dataset": POST.dataset, "records_max": 9}
    found += (await list_records(gate, caller, verb="read", after=b"", **told)).records
    seen = [one.values() if one else {} for one in found]
    assert seen == [seen[0]] * 3
    return seen[0]


@pytest.mark.parametrize(
    ("before", "after", "seen_before", "seen_after"),
    [
        (OPEN, CLOSED, {"Text", "Title"}, {"Text"}),
        (OPEN, UNDECLARED, {"Text", "Title"}, {"Text"}),
        (CLOSED, OPEN, {"Text"}, {"Text"}),
        (OPEN, OPEN, {"Text", "Title"}, {"Text", "Title"}),
        (ASKED, NARROWER, {"Text", "Title", "Who"}, {"Title"}),
        (ASKED, ASKED, {"Text", "Title", "Who"}, {"Text", "Title", "Who"}),
        (OPEN, ASKED, {"Text", "Title"}, {"Title"}),
    ],
)
def test_whoever_may_see_the_public_alone_sees_what_is_public_now(
    tmp_path: Path, before: str, after: str, seen_before: set[str], seen_after: set[str]
) -> None:
    """And whoever may see everything sees all of it, whatever it was stored as."""

    async def work(world: GovernedWorld) -> None:
        await store(world)
        watcher, app = Caller(world.state.identities[ISSUER, "watcher"], "CN"), world.caller("service")
        assert set(await see(world, watcher)) == seen_before

        await enact(world, charter(after, 2))

        assert set(await see(world, watcher)) == seen_after
        assert await see(world, app) == STORED

    services = [("parent", ISSUER, "watcher")]
    in_governed_world(found_deployment(tmp_path / "new", charter=charter(before), services=services), work)


def test_class_that_went_and_came_back_and_what_is_written_since(tmp_path: Path) -> None:
    """What was stored between is protected still where the charter says so; what is written anew is as it says now."""

    async def work(world: GovernedWorld) -> None:
        await store(world)
        watcher = Caller(world.state.identities[ISSUER, "watcher"], "CN")
        await enact(world, charter(CLOSED, 2))
        await enact(world, charter(OPEN, 3))
        assert set(await see(world, watcher)) == {"Text", "Title"}
        await enact(world, charter(CLOSED, 4))
        assert set(await see(world, watcher)) == {"Text"}
        await store(world)
        assert set(await see(world, watcher)) == {"Text"}
        assert await see(world, world.caller("service")) == STORED

    services = [("parent", ISSUER, "watcher")]
    in_governed_world(found_deployment(tmp_path / "new", charter=charter(OPEN), services=services), work)


def test_dataset_that_a_charter_left_out_is_known_when_it_comes_back(tmp_path: Path) -> None:
    async def work(world: GovernedWorld) -> None:
        await store(world)
        watcher = Caller(world.state.identities[ISSUER, "watcher"], "CN")
        without = charter(OPEN, 2)
        start = without.index("  posts: {")
        await enact(world, without[:start] + without[without.index("  rest: {", start) :])
        await enact(world, charter(CLOSED, 3))
        assert set(await see(world, watcher)) == {"Text"}

    services = [("parent", ISSUER, "watcher")]
    in_governed_world(found_deployment(tmp_path / "new", charter=charter(OPEN), services=services), work)


def test_record_of_which_nothing_is_left_to_give_is_not_told_of(tmp_path: Path) -> None:
    async def work(world: GovernedWorld) -> tuple[list[str], list[str]]:
        watcher = Caller(world.state.identities[ISSUER, "watcher"], "CN")
        for name, fields in (("bare", {"Title": "t"}), ("both", {"Title": "t", "Text": "a"})):
            items = [WriteItem("ann", "posts", name, fields)]
            await write_records(world.gate, world.caller("service"), purpose="serve", items=items)

        async def listed() -> list[str]:
            asked = {"purpose": "serve", "verb": "read", "user": "ann", "dataset": "posts"}
            page = await list_records(world.gate, watcher, **asked, after=b"", records_max=9)
            return sorted(record.record for record in page.records)

        before = await listed()
        await enact(world, charter(CLOSED, 2))
        with pytest.raises(NotFoundError):
            await read_record(world.gate, watcher, purpose="serve", name=RecordName("ann", "posts", "bare"))
        return before, await listed()

    deployment = found_deployment(tmp_path / "new", charter=charter(OPEN), services=[("parent", ISSUER, "watcher")])
    before, after = in_governed_world(deployment, work)
    assert (before, after) == (["bare", "both"], ["both"])


@pytest.mark.parametrize("is_closed", [True, False])
def test_look_up_is_decided_by_the_class_that_the_field_has_in_its_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_closed: bool
) -> None:
    finding = WATCHED.replace('verbs: [read]\n    datasets: ["*"]\n    classes: [public]\ninvariants', FINDING)
    finding = finding.replace("verbs: [read], classes: [protected]", "verbs: [read, find], classes: [protected]")
    opened = finding.replace("Email: {class: protected, distinct: many}", "Email: {class: public, distinct: many}")
    assert len({WATCHED, finding, opened}) == 3
    following = (finding if is_closed else opened).replace("version: 1\n", "version: 2\n", 1)

    async def work(world: GovernedWorld) -> list[str]:
        await world.store_user("ann")
        watcher = Caller(world.state.identities[ISSUER, "watcher"], "CN")

        async def submit_later(*given: Any) -> Any:
            await enact(world, following)
            return await submit_held(*given)

        monkeypatch.setattr(searching, "submit_held", submit_later)
        asked = {"purpose": "serve", "dataset": "person", "field": "Email", "value": "ann@example.org"}
        return (await searching.find_users(world.gate, watcher, **asked)).users

    deployment = found_deployment(tmp_path / "new", charter=opened, services=[("parent", ISSUER, "watcher")])
    if not is_closed:
        assert in_governed_world(deployment, work) == ["ann"]
        return
    with pytest.raises(DeniedError):
        in_governed_world(deployment, work)
