"""The custody use cases on a real deployment: what is given, what is refused, and that the ledger says the same."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from ringfence.app.deployment import Deployment
from ringfence.core.errors import ConflictError, DeniedError, InvalidInputError, LimitExceededError, NotFoundError
from ringfence.services.custody.batch_reading import read_records
from ringfence.services.custody.erasing import erase_user
from ringfence.services.custody.listing import list_records
from ringfence.services.custody.opening import RecordName
from ringfence.services.custody.reading import ReadAnswer, read_record
from ringfence.services.custody.searching import find_users
from ringfence.services.custody.writing import WriteAnswer, WriteItem, write_records
from tests.services.world import World, in_world, verified

PROFILE = {"userName": "ada", "emailAddress": "ada@example.com", "bioDescription": "hello"}
PUBLIC_POST = {"Title": "for all", "WhoCanView": "Everyone"}
PRIVATE_POST = {"Title": "for me", "WhoCanView": "Only me"}


async def put(world: World, dataset: str, record: str, fields: dict[str, object], **more: str) -> WriteAnswer:
    """Store one record of ada as the app."""
    item = WriteItem(more.pop("user", "ada"), dataset, record, fields)
    return await write_records(world.gate, world.caller("app"), purpose="serve_user", items=[item], **more)


async def get(
    world: World, who: str, dataset: str, record: str, *, purpose: str = "serve_user", country: str = "US"
) -> ReadAnswer:
    """Read one record of ada."""
    name = RecordName("ada", dataset, record)
    return await read_record(world.gate, world.caller(who, country), purpose=purpose, name=name)


def test_app_is_given_what_it_stored_and_the_ledger_verifies(deployment: Deployment, tmp_path: Path) -> None:
    async def work(world: World) -> ReadAnswer:
        await put(world, "profile", "self", PROFILE)
        return await get(world, "app", "profile", "self")

    answer = in_world(deployment, work)

    assert answer.record.values() == PROFILE
    assert verified(deployment, tmp_path / "bundle").outcome == "verified"


def test_first_records_of_a_new_user_are_stored_together(deployment: Deployment, tmp_path: Path) -> None:
    async def work(world: World) -> list[int]:
        items = [
            WriteItem("ada", "profile", "self", {**PROFILE}),
            *(WriteItem("ada", "posts", f"p{number}", {**PRIVATE_POST}) for number in range(3)),
        ]
        answer = await write_records(world.gate, world.caller("app"), purpose="serve_user", items=items)
        return answer.versions

    assert in_world(deployment, work) == [1, 1, 1, 1]
    verified(deployment, tmp_path / "bundle")


def test_parent_is_refused_protected_data_and_told_what_it_could_ask(deployment: Deployment) -> None:
    async def work(world: World) -> DeniedError:
        await put(world, "profile", "self", PROFILE)
        with pytest.raises(DeniedError) as refused:
            await get(world, "parent", "profile", "self")
        return refused.value

    refused = in_world(deployment, work)

    assert refused.receipt
    assert any("public-content" in line for line in refused.could_ask)


def test_parent_is_given_public_fields_only(deployment: Deployment) -> None:
    async def work(world: World) -> ReadAnswer:
        await put(world, "profile", "self", PROFILE)
        return await get(world, "parent", "profile", "self", purpose="show_public_content", country="CN")

    values = in_world(deployment, work).record.values()

    assert values == {"userName": "ada", "bioDescription": "hello"}


def test_only_me_post_is_withheld_where_a_public_one_is_given(deployment: Deployment) -> None:
    async def work(world: World) -> ReadAnswer:
        await put(world, "posts", "one", PUBLIC_POST)
        await put(world, "posts", "two", PRIVATE_POST)
        with pytest.raises(NotFoundError):
            await get(world, "parent", "posts", "two", purpose="show_public_content")
        return await get(world, "parent", "posts", "one", purpose="show_public_content")

    assert in_world(deployment, work).record.values() == PUBLIC_POST


def test_withheld_post_and_absent_post_are_answered_alike(deployment: Deployment) -> None:
    async def work(world: World) -> list[str]:
        await put(world, "posts", "two", PRIVATE_POST)
        answers = []
        for record in ("two", "six"):
            with pytest.raises(NotFoundError) as absent:
                await get(world, "parent", "posts", record, purpose="show_public_content")
            answers.append(absent.value.message.split("(receipt")[0].replace(record, ""))
        return answers

    withheld, absent = in_world(deployment, work)

    assert withheld == absent


def test_country_of_the_connection_decides(deployment: Deployment) -> None:
    async def work(world: World) -> ReadAnswer:
        await put(world, "profile", "self", PROFILE)
        with pytest.raises(DeniedError):
            await get(world, "app", "profile", "self", country="CN")
        return await get(world, "app", "profile", "self", country="US")

    assert in_world(deployment, work).record.values() == PROFILE


@pytest.mark.parametrize("purpose", ["", "curiosity"])
def test_purpose_outside_the_vocabulary_is_refused(deployment: Deployment, purpose: str) -> None:
    async def work(world: World) -> None:
        with pytest.raises(InvalidInputError, match="purpose"):
            await get(world, "app", "profile", "self", purpose=purpose)

    in_world(deployment, work)


def test_second_write_replaces_the_record_and_counts_its_version(deployment: Deployment) -> None:
    async def work(world: World) -> tuple[WriteAnswer, ReadAnswer]:
        await put(world, "profile", "self", PROFILE)
        second = await put(world, "profile", "self", {"userName": "ada"})
        return second, await get(world, "app", "profile", "self")

    second, answer = in_world(deployment, work)

    assert second.versions == [2]
    assert answer.record.values() == {"userName": "ada"}


def test_repeated_request_id_is_answered_once_and_another_content_is_refused(deployment: Deployment) -> None:
    async def work(world: World) -> tuple[WriteAnswer, WriteAnswer]:
        first = await put(world, "profile", "self", PROFILE, request_id="r1")
        again = await put(world, "profile", "self", PROFILE, request_id="r1")
        with pytest.raises(ConflictError):
            await put(world, "profile", "self", {"userName": "eve"}, request_id="r1")
        return first, again

    first, again = in_world(deployment, work)

    assert (again.repeated, again.receipt, again.versions) == (True, first.receipt, first.versions)


def test_erased_user_is_gone_and_may_come_back_as_another_subject(deployment: Deployment, tmp_path: Path) -> None:
    async def work(world: World) -> ReadAnswer:
        await put(world, "profile", "self", PROFILE)
        await erase_user(world.gate, world.caller("app"), purpose="user_request", user="ada")
        with pytest.raises(NotFoundError):
            await get(world, "app", "profile", "self")
        with pytest.raises(NotFoundError):
            await erase_user(world.gate, world.caller("app"), purpose="user_request", user="ada")
        await put(world, "profile", "self", {"userName": "ada", "bioDescription": "new"})
        return await get(world, "app", "profile", "self")

    assert in_world(deployment, work).record.values()["bioDescription"] == "new"
    assert verified(deployment, tmp_path / "bundle").outcome == "verified"


def test_parent_may_not_erase(deployment: Deployment) -> None:
    async def work(world: World) -> ReadAnswer:
        await put(world, "profile", "self", PROFILE)
        with pytest.raises(DeniedError):
            await erase_user(world.gate, world.caller("parent"), purpose="user_request", user="ada")
        return await get(world, "app", "profile", "self")

    assert in_world(deployment, work).record.values() == PROFILE


def test_look_up_finds_every_spelling_and_is_refused_to_the_parent(deployment: Deployment) -> None:
    async def find(world: World, who: str, value: str) -> list[str]:
        answer = await find_users(
            world.gate, world.caller(who), purpose="serve_user", dataset="profile", field="emailAddress", value=value
        )
        return answer.users

    async def work(world: World) -> tuple[list[str], list[str]]:
        await put(world, "profile", "self", PROFILE)
        with pytest.raises(DeniedError):
            await find(world, "parent", "ada@example.com")
        return await find(world, "app", " ADA@example.com "), await find(world, "app", "eve@example.com")

    assert in_world(deployment, work) == (["ada"], [])


def test_field_that_the_charter_does_not_let_be_searched_is_refused(deployment: Deployment) -> None:
    async def work(world: World) -> None:
        with pytest.raises(InvalidInputError, match="cannot be searched"):
            await find_users(
                world.gate,
                world.caller("app"),
                purpose="serve_user",
                dataset="profile",
                field="bioDescription",
                value="x",
            )

    in_world(deployment, work)


def test_batch_read_gives_what_is_there_and_counts_it_in_bulk(deployment: Deployment, tmp_path: Path) -> None:
    async def work(world: World) -> list[str | None]:
        for user in ("ada", "bob"):
            await put(world, "profile", "self", {"userName": user}, user=user)
        names = [RecordName(user, "profile", "self") for user in ("bob", "nobody", "ada")]
        answer = await read_records(world.gate, world.caller("app"), purpose="rank_feeds", names=names)
        return [record and record.values()["userName"] for record in answer.records]

    assert in_world(deployment, work) == ["bob", None, "ada"]
    assert verified(deployment, tmp_path / "bundle").outcome == "verified"


def test_batch_over_the_clauses_limit_is_refused(deployment: Deployment) -> None:
    async def work(world: World) -> None:
        names = [RecordName(f"user{number}", "profile", "self") for number in range(101)]
        with pytest.raises(DeniedError, match="limit of clause"):
            await read_records(world.gate, world.caller("app"), purpose="rank_feeds", names=names)
        with pytest.raises(LimitExceededError):
            await read_records(world.gate, world.caller("app"), purpose="rank_feeds", names=names * 2)

    in_world(deployment, work)


def test_pages_of_a_users_records_give_each_record_once(deployment: Deployment) -> None:
    async def work(world: World) -> list[str]:
        for number in range(5):
            fields = PUBLIC_POST if number % 2 else PRIVATE_POST
            await put(world, "posts", f"post{number}", dict(fields, Location="somewhere"))
        seen: list[str] = []
        after = b""
        while True:
            page = await list_records(
                world.gate,
                world.caller("app"),
                purpose="serve_user",
                verb="read",
                user="ada",
                dataset="posts",
                after=after,
                records_max=2,
            )
            seen += [record.record for record in page.records]
            after = page.following
            if not after:
                return seen

    assert sorted(in_world(deployment, work)) == [f"post{number}" for number in range(5)]


def test_move_out_of_protected_is_a_counted_downgrade_or_refused(deployment: Deployment, tmp_path: Path) -> None:
    limit = deployment_downgrades(deployment)

    async def work(world: World) -> bool:
        await put(world, "posts", "two", PRIVATE_POST)
        try:
            await put(world, "posts", "two", PUBLIC_POST)
        except DeniedError:
            return False
        return True

    assert in_world(deployment, work) is (limit > 0)
    assert verified(deployment, tmp_path / "bundle").outcome == "verified"


def deployment_downgrades(deployment: Deployment) -> int:
    """The app's write clause says how many records a day may become less protected."""

    async def work(world: World) -> int:
        flows = world.runtime.keeper.state.rules.flows
        return next(flow.downgrades_per_day_max for flow in flows if flow.name == "serve-users")

    return in_world(deployment, work)


def test_many_batches_at_once_count_every_record_in_steps_without_gaps(deployment: Deployment, tmp_path: Path) -> None:
    names = [RecordName(user, "profile", "self") for user in ("ada", "bob", "eve")]

    async def work(world: World) -> int:
        caller = world.caller("app")
        reads = [read_records(world.gate, caller, purpose="rank_feeds", names=names) for _ in range(60)]
        return len(await asyncio.gather(*reads))

    assert in_world(deployment, work) == 60
    assert verified(deployment, tmp_path / "bundle").outcome == "verified"


def test_erasing_somebody_unknown_is_recorded_before_it_is_answered(deployment: Deployment, tmp_path: Path) -> None:
    async def work(world: World) -> int:
        before = world.gate.singles.head.n
        with pytest.raises(NotFoundError, match="receipt"):
            await erase_user(world.gate, world.caller("app"), purpose="user_request", user="nobody")
        return world.gate.singles.head.n - before

    assert in_world(deployment, work) == 1
    assert verified(deployment, tmp_path / "bundle").outcome == "verified"
