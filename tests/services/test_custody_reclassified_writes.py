"""What is stored is replaced by whoever may write every class that it can have now, and by nobody else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from ringfence.core.errors import DeniedError
from ringfence.services.custody import writing
from ringfence.services.custody.granting import load_grant
from ringfence.services.custody.opening import RecordName, render_plaintext
from ringfence.services.custody.reading import read_record
from ringfence.services.custody.record_keys import blind_record
from ringfence.services.custody.request import Caller
from ringfence.services.custody.writing import WriteItem, write_records
from ringfence.services.intake import intake
from ringfence.services.intake.intake import Intake
from ringfence.services.intake.messages import NO_ROWS, Message, Piece, Row
from ringfence.services.intake.planning import Plan, plan_chunk
from ringfence.vault.audit import AuditFinding, audit_vault
from tests.governed import ISSUER
from tests.services.governed_world import GovernedWorld, found_deployment, in_governed_world
from tests.services.test_custody_reclassified import charter, enact
from tests.services.world import verified

OPEN = "fields: {Tag: public, Text: shown, Title: public, Note: protected}"
CLOSED = "fields: {Tag: public, Text: shown, Title: protected, Note: protected}"
UNDECLARED = "fields: {Tag: public, Text: shown, Note: protected}"
OF_RECORD = "fields: {Tag: public, Text: shown, Title: record, Who: shown}"
BY_WHO = f"record_class: {{field: Who, values: {{all: public}}}}, {OF_RECORD}"
BY_OTHERS = f"record_class: {{field: Who, values: {{none: public}}}}, {OF_RECORD}"
NOTE_OPEN = "fields: {Tag: public, Text: shown, Title: public, Note: public}"
READS = 'purposes: [serve]\n    verbs: [read]\n    datasets: ["*"]\n    classes: [public]'
SERVICES = [("parent", ISSUER, "watcher")]


def writable(fields: str, version: int = 1) -> str:
    """Give the charter in which the parent may write what is public or shown, and the app everything."""
    text = charter(fields, version)
    for found, instead in (
        (READS, READS.replace("[read]", "[read, write]").replace("[public]", "[public, shown]")),
        ("holds: [protected, public]", "holds: [protected, public, shown]"),
        ("What the user published.}", "What the user published., shown: What the user shows.}"),
        ("classes: [protected, public]\n  - name: helping", "classes: [protected, public, shown]\n  - name: helping"),
    ):
        assert text.count(found) == 1, found
        text = text.replace(found, instead)
    return text


async def put(world: GovernedWorld, caller: Caller, fields: dict[str, Any], record: str = "one") -> int:
    items = [WriteItem("ann", "posts", record, fields)]
    return (await write_records(world.gate, caller, purpose="serve", items=items)).versions[0]


async def values(world: GovernedWorld) -> dict[str, Any]:
    name = RecordName("ann", "posts", "one")
    return (await read_record(world.gate, world.caller("service"), purpose="serve", name=name)).record.values()


async def classes(world: GovernedWorld) -> set[str]:
    subject = await world.gate.subjects.find("ann")
    assert subject is not None
    key = blind_record(world.gate.keys, "posts", subject.subject_ref, "one")
    return set(dict((await world.gate.store.versions([("posts", subject.subject_ref, key)]))[0]))


async def differences(world: GovernedWorld) -> list[AuditFinding]:
    runtime = world.runtime
    return (await audit_vault(runtime.store, runtime.custody, world.state, report=lambda *told: None)).findings


def watcher_of(world: GovernedWorld) -> Caller:
    return Caller(world.state.identities[ISSUER, "watcher"], "CN")


@pytest.mark.parametrize(
    ("before", "after", "stored", "anew", "is_given"),
    [
        (OPEN, CLOSED, {"Title": "a"}, {"Text": "b"}, False),  # what was stored is deleted
        (OPEN, CLOSED, {"Text": "a", "Title": "a"}, {"Text": "b"}, False),
        (OPEN, CLOSED, {"Text": "a"}, {"Text": "b"}, True),  # nothing shown was moved
        (OPEN, UNDECLARED, {"Title": "a"}, {"Text": "b"}, False),
        (OPEN, BY_WHO, {"Title": "a"}, {"Title": "b", "Who": "all"}, False),  # what is replaced does not say who
        (BY_WHO, BY_OTHERS, {"Title": "a", "Who": "all"}, {"Title": "b", "Who": "none"}, False),
        (BY_WHO, BY_WHO, {"Title": "a", "Who": "all"}, {"Title": "b", "Who": "all"}, True),
        (OPEN, OPEN, {"Title": "a"}, {"Title": "b"}, True),
        (OPEN, NOTE_OPEN, {"Title": "a"}, {"Title": "b", "Note": "b"}, True),
        (OPEN, NOTE_OPEN, {"Note": "a"}, {"Note": "b"}, False),  # it was stored as protected
    ],
)
def test_whoever_may_not_write_what_is_protected_replaces_nothing_that_is_by_now(
    tmp_path: Path, before: str, after: str, stored: dict[str, Any], anew: dict[str, Any], is_given: bool
) -> None:
    """And whoever may write everything does; both are in the ledger, which verifies, and the vault is as it says."""
    deployment = found_deployment(tmp_path / "new", charter=writable(before), services=SERVICES)

    async def work(world: GovernedWorld) -> None:
        watcher, app = watcher_of(world), world.caller("service")
        await put(world, app, stored)
        await enact(world, writable(after, 2))
        assert await put(world, watcher, anew, "another") == 1
        if is_given:
            await put(world, watcher, anew)
        else:
            with pytest.raises(DeniedError) as refused:
                await put(world, watcher, anew)
            assert refused.value.receipt
            assert await values(world) == stored
        await put(world, app, anew)
        assert await values(world) == anew
        assert await differences(world) == []

    in_governed_world(deployment, work)
    counts = verified(deployment, tmp_path / "bundle").counts
    assert counts["accesses_refused"] == (0 if is_given else 1)


def test_part_is_held_against_every_class_that_it_may_have_had_since_it_was_stored(tmp_path: Path) -> None:
    """A field that was protected for a time is where it was written then; what is stored as public is public again."""
    deployment = found_deployment(tmp_path / "new", charter=writable(OPEN), services=SERVICES)

    async def work(world: GovernedWorld) -> None:
        watcher, app = watcher_of(world), world.caller("service")
        await put(world, app, {"Title": "a"})
        await enact(world, writable(CLOSED, 2))
        with pytest.raises(DeniedError):
            await put(world, watcher, {"Text": "b"})
        await enact(world, writable(OPEN, 3))
        assert await put(world, watcher, {"Title": "b"}) == 2

    in_governed_world(deployment, work)
    verified(deployment, tmp_path / "bundle")


@pytest.mark.parametrize("is_closed", [True, False])
def test_write_is_planned_again_where_a_charter_moved_a_field_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_closed: bool
) -> None:
    deployment = found_deployment(tmp_path / "new", charter=writable(OPEN), services=SERVICES)
    following = [writable(CLOSED if is_closed else OPEN, version) for version in (2, 3)]
    came = list[str]()

    async def work(world: GovernedWorld) -> None:
        watcher, app = watcher_of(world), world.caller("service")
        await put(world, app, {"Title": "a"})

        async def load_later(*given: Any) -> None:
            await load_grant(*given)
            if following and not came:
                came.append("now")
                await enact(world, following.pop(0))

        monkeypatch.setattr(writing, "load_grant", load_later)
        if is_closed:
            with pytest.raises(DeniedError):
                await put(world, watcher, {"Text": "b"})
            assert await values(world) == {"Title": "a"}
            following.clear()
            await enact(world, writable(OPEN, 3))
            following.append(writable(CLOSED, 4))
            came.clear()
        else:
            assert await put(world, watcher, {"Text": "b"}) == 1
            came.clear()
        await put(world, app, {"Title": "c"})
        assert came == ["now"]
        assert await classes(world) == ({"protected"} if is_closed else {"public"})
        assert await values(world) == {"Title": "c"}
        assert await differences(world) == []

    in_governed_world(deployment, work)
    verified(deployment, tmp_path / "bundle")


TITLE_PUBLIC = "fields: {Tag: public, Text: public, Title: public, Note: protected}"
TITLE_SHOWN = "fields: {Tag: public, Text: public, Title: shown, Note: protected}"
ALL_CLASSES = "classes: [protected, public, shown]\n  - name: helping"


def without_shown(fields: str, version: int = 1) -> str:
    """Give the charter in which the app may write everything but what is shown."""
    text = writable(fields, version)
    assert text.count(ALL_CLASSES) == 1
    return text.replace(ALL_CLASSES, ALL_CLASSES.replace(", shown", ""))


@pytest.mark.parametrize(("after", "is_given"), [(TITLE_PUBLIC, True), (TITLE_SHOWN, False)])
def test_export_replaces_what_is_stored_where_every_class_of_it_may_be_written(
    tmp_path: Path, after: str, is_given: bool
) -> None:
    deployment = found_deployment(tmp_path / "new", charter=without_shown(TITLE_PUBLIC), services=SERVICES)

    async def work(world: GovernedWorld) -> None:
        app = world.caller("service")
        await put(world, app, {"Title": "a"})
        await enact(world, without_shown(after, 2))
        if is_given:
            await take_export(world, app, {"Text": "b"})
            assert await values(world) == {"Text": "b"}
        else:
            with pytest.raises(DeniedError):
                await take_export(world, app, {"Text": "b"})
        assert await classes(world) == {"public"}
        assert await differences(world) == []

    in_governed_world(deployment, work)
    verified(deployment, tmp_path / "bundle")


async def take_export(world: GovernedWorld, caller: Caller, fields: dict[str, Any]) -> None:
    """Take in a record of which a user has one."""
    row = Row("posts", "one", bytes(16), "", [("public", render_plaintext("one", fields))], [])

    async def messages() -> AsyncIterator[Message]:
        yield Piece("ann.json", "ann", "inside", [row], NO_ROWS, 0, last=True)

    await Intake(world.gate, caller, purpose="serve").run(messages())


@pytest.mark.parametrize(("after", "is_given"), [(TITLE_PUBLIC, True), (TITLE_SHOWN, False)])
def test_export_is_planned_again_where_a_charter_moved_a_field_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: str, is_given: bool
) -> None:
    deployment = found_deployment(tmp_path / "new", charter=without_shown(TITLE_PUBLIC), services=SERVICES)
    plans: list[Plan] = []

    async def work(world: GovernedWorld) -> None:
        app = world.caller("service")
        await put(world, app, {"Title": "a"})

        monkeypatch.setattr(intake, "plan_chunk", plan_and_note)
        refuse = Intake._refuse_if_denied

        async def refuse_early(self: Intake, plan: Plan, asking: Any) -> None:
            await refuse(self, plan, asking)
            if len(plans) == 1:
                await enact(world, without_shown(after, 2))

        monkeypatch.setattr(Intake, "_refuse_if_denied", refuse_early)
        if is_given:
            await take_export(world, app, {"Text": "b"})
        else:
            with pytest.raises(DeniedError):
                await take_export(world, app, {"Text": "b"})
        assert len(plans) == (1 if is_given else 2)

    async def plan_and_note(*given: Any) -> Plan:
        plans.append(await plan_chunk(*given))
        return plans[-1]

    in_governed_world(deployment, work)
    verified(deployment, tmp_path / "bundle")
