"""What a request must not do when the rules, or the user, change while it waits in a batch."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from ringfence.app.deployment import Deployment
from ringfence.core.errors import ConflictError, DeniedError, LimitExceededError, NotFoundError, RingfenceError
from ringfence.services.custody.batch_reading import read_records
from ringfence.services.custody.erasing import erase_user
from ringfence.services.custody.listing import list_records
from ringfence.services.custody.opening import RecordName
from ringfence.services.custody.reading import read_record
from ringfence.services.custody.searching import find_users
from ringfence.services.custody.writing import WriteItem, write_records
from ringfence.vault.audit import audit_vault
from tests.services.world import OPEN, World, in_world, make_deployment, verified

PUBLIC = {"Title": "for all", "WhoCanView": "Everyone"}
PRIVATE = {"Title": "for me", "WhoCanView": "Only me"}


async def put(world: World, user: str, record: str, fields: dict[str, object], *, who: str = "app") -> list[int]:
    """Store a post."""
    item = WriteItem(user, "posts", record, fields)
    purpose = "serve_user" if who == "app" else "migrate"
    return (await write_records(world.gate, world.caller(who), purpose=purpose, items=[item])).versions


async def differences(world: World) -> list[str]:
    """Audit the vault."""
    report = await audit_vault(
        world.runtime.store, world.runtime.custody, world.runtime.keeper.state, report=lambda done, total: None
    )
    return [f"{finding.place}: {finding.what}" for finding in report.findings]


def test_writes_and_reads_behind_an_erasure_never_touch_the_subject_that_is_gone(
    deployment: Deployment, tmp_path: Path
) -> None:
    async def work(world: World) -> tuple[int, list[str], list[str]]:
        gate, app = world.gate, world.caller("app")
        await put(world, "ada", "first", PUBLIC)
        names = [RecordName("ada", "posts", "first"), RecordName("bob", "posts", "first")]
        listing = {"purpose": "serve_user", "verb": "read", "user": "ada", "dataset": "posts"}
        waiting = [
            erase_user(gate, app, purpose="user_request", user="ada"),
            *[put(world, "ada", f"post{number}", PUBLIC) for number in range(20)],
            *[read_record(gate, app, purpose="serve_user", name=names[0]) for _ in range(10)],
            *[read_records(gate, app, purpose="rank_feeds", names=names) for _ in range(5)],
            *[list_records(gate, app, after=b"", records_max=10, **listing) for _ in range(5)],
        ]
        answers = await asyncio.gather(*waiting, return_exceptions=True)
        unforeseen = [repr(a) for a in answers if isinstance(a, Exception) and not isinstance(a, RingfenceError)]
        acknowledged = [f"post{n}" for n, answer in enumerate(answers[1:21]) if isinstance(answer, list)]
        page = await list_records(gate, app, after=b"", records_max=100, **listing)
        missing = sorted(set(acknowledged) - {record.record for record in page.records})
        return len(acknowledged), unforeseen + missing, await differences(world)

    acknowledged, wrong, found = in_world(deployment, work)

    assert acknowledged > 0
    assert (wrong, found) == ([], [])
    assert verified(deployment, tmp_path / "bundle").outcome == "verified"


def limited(tmp_path: Path, *, per_day: int) -> Deployment:
    """A deployment whose custodian may write 10 records a batch and so many a day, and move none to public."""
    text = OPEN
    start = text.index("name: bring-data-in")
    end = text.index("bulk:", start)
    line = text[end : text.index("\n", end)]
    charter = text.replace(line, f"bulk: {{records_max: 10, records_per_day_max: {per_day}}}", 1)
    charter = re.sub(r"\n *downgrades_per_day_max: [0-9_]+", "", charter)
    return make_deployment(tmp_path / "deployment", charter=charter.encode())


async def migrate(world: World, items: list[WriteItem]) -> None:
    """Write many records as the custodian."""
    await write_records(world.gate, world.caller("staff"), purpose="migrate", items=items)


def posts(users: range, record: str = "one", fields: dict[str, object] = PUBLIC) -> list[WriteItem]:
    """A post of each of these users."""
    return [WriteItem(f"user{n}", "posts", record, fields) for n in users]


def test_write_over_the_daily_limit_stores_nothing_counts_nothing_and_says_so(tmp_path: Path) -> None:
    deployment = limited(tmp_path, per_day=12)

    async def work(world: World) -> list[str]:
        await migrate(world, posts(range(8)))
        with pytest.raises(DeniedError, match="daily limit"):
            await migrate(world, posts(range(8), "two"))
        await migrate(world, posts(range(4), "three"))  # what is left of the day may still be used
        return await differences(world)

    assert in_world(deployment, work) == []
    verdict = verified(deployment, tmp_path / "bundle")
    assert (verdict.counts["accesses_given"], verdict.counts["requests_refused"]) == (2, 1)


def test_refused_downgrade_in_bulk_leaves_the_counters_whole(tmp_path: Path) -> None:
    deployment = limited(tmp_path, per_day=1000)

    async def work(world: World) -> list[str]:
        await migrate(world, posts(range(4), fields=PRIVATE))
        with pytest.raises(DeniedError, match="less protected"):
            await migrate(world, posts(range(4), fields=PUBLIC))
        await migrate(world, posts(range(4), "two"))
        return await differences(world)

    assert in_world(deployment, work) == []
    assert verified(deployment, tmp_path / "bundle").outcome == "verified"


def test_batch_of_new_users_with_large_openings_can_be_exported_and_audited(
    deployment: Deployment, tmp_path: Path
) -> None:
    async def work(world: World) -> list[str]:
        items = [WriteItem(f"user{n}", "app_settings", "self", {"App": {"a": n}}) for n in range(200)]
        await migrate(world, items)
        return await differences(world)

    assert in_world(deployment, work) == []
    assert verified(deployment, tmp_path / "bundle").outcome == "verified"


def test_batch_with_more_records_than_the_clause_allows_is_refused_whole(tmp_path: Path) -> None:
    deployment = limited(tmp_path, per_day=1000)

    async def work(world: World) -> None:
        with pytest.raises(DeniedError):
            await migrate(world, posts(range(11)))
        await migrate(world, posts(range(10)))
        with pytest.raises(LimitExceededError):
            await migrate(world, posts(range(201)))

    in_world(deployment, work)


def test_repeated_request_is_decided_again_and_dies_with_its_user(deployment: Deployment) -> None:
    async def write(world: World, country: str = "US") -> bool:
        item = WriteItem("ada", "posts", "one", PUBLIC)
        caller = world.caller("app", country)
        answer = await write_records(world.gate, caller, purpose="serve_user", items=[item], request_id="r1")
        return answer.repeated

    async def work(world: World) -> list[bool]:
        first = [await write(world), await write(world)]
        with pytest.raises(DeniedError):
            await write(world, "CN")
        await erase_user(world.gate, world.caller("app"), purpose="user_request", user="ada")
        with pytest.raises(ConflictError, match="gone since"):
            await write(world)
        with pytest.raises(NotFoundError):
            await read_record(
                world.gate, world.caller("app"), purpose="serve_user", name=RecordName("ada", "posts", "one")
            )
        return first

    assert in_world(deployment, work) == [False, True]


def test_what_is_kept_of_a_request_says_nothing_of_it_without_the_keys(deployment: Deployment) -> None:
    async def work(world: World) -> tuple[bytes, bytes]:
        item = WriteItem("ada", "posts", "one", PUBLIC)
        for user in ("ada", "ada"):
            assert user == item.user
            await write_records(world.gate, world.caller("app"), purpose="serve_user", items=[item], request_id="r1")
        ((key, digest),) = world.runtime.store._read("SELECT key, digest FROM requests")  # type: ignore[attr-defined]
        return key, digest

    key, digest = in_world(deployment, work)

    assert len(key) == len(digest) == 32
    other = make_deployment(deployment.directory.parent / "other")
    assert in_world(other, work) != (key, digest)  # the same request under other keys


def test_write_may_not_delete_a_part_of_a_class_that_the_caller_may_not_write(tmp_path: Path) -> None:
    text = OPEN
    start = text.index("name: bring-data-in")
    line_start = text.index("classes:", start)
    line = text[line_start : text.index("\n", line_start)]
    charter = text[:line_start] + "classes: [public]" + text[line_start + len(line) :]
    deployment = make_deployment(tmp_path / "deployment", charter=charter.encode())

    async def work(world: World) -> list[str]:
        await put(world, "ada", "one", PRIVATE)
        with pytest.raises(DeniedError):
            await put(world, "ada", "one", PUBLIC, who="staff")
        assert await put(world, "ada", "two", PUBLIC, who="staff") == [1]
        return await differences(world)

    assert in_world(deployment, work) == []


def test_field_that_is_withheld_cannot_be_guessed_by_a_look_up(tmp_path: Path) -> None:
    text = OPEN
    start = text.index("name: serve-users")
    end = text.index("classes:", start)
    charter = text[:end] + "withhold: [profile.emailAddress]\n    " + text[end:]
    charter = re.sub(
        r"(name: serve-users.*?)\n    withhold: \[(?!profile.emailAddress)[^]]*\]", r"\1", charter, flags=re.S
    )
    deployment = make_deployment(tmp_path / "deployment", charter=charter.encode())

    async def work(world: World) -> list[str]:
        item = WriteItem("ada", "profile", "self", {"userName": "ada", "emailAddress": "ada@example.com"})
        await write_records(world.gate, world.caller("app"), purpose="serve_user", items=[item])
        ask = {"dataset": "profile", "field": "emailAddress", "value": "ada@example.com"}
        with pytest.raises(DeniedError, match="withholds"):
            await find_users(world.gate, world.caller("app"), purpose="serve_user", **ask)
        return (await find_users(world.gate, world.caller("staff"), purpose="user_request", **ask)).users

    assert in_world(deployment, work) == ["ada"]
    assert verified(deployment, tmp_path / "bundle").outcome == "verified"
