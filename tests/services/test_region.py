"""Only what the charter lets a region hold is stored there, whoever writes it and whenever the charter says so."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from ringfence.app.configuration import Configuration, render_configuration
from ringfence.app.deployment import Deployment, open_deployment
from ringfence.app.doctor import check_deployment
from ringfence.app.initialise import Ground, initialise
from ringfence.core.errors import ConfigurationError, DeniedError, InvalidInputError
from ringfence.core.ledger.entry import DEVELOPMENT
from ringfence.services.custody.opening import RecordName
from ringfence.services.custody.reading import read_record
from ringfence.services.custody.writing import WriteAnswer, WriteItem, write_records
from tests.services.exports_taken import dump, make_export, stored, take, write_export
from tests.services.world import EXAMPLE, World, in_world, make_deployment, verified

HOLDS = "holds: [protected, public, aggregated, interoperability]"
NOTHING_PUBLIC = "the charter lets nothing public be stored in the region `virginia`"


def charter_of(holds: str, *, version: int = 1, region: str = "virginia") -> bytes:
    """Give the example with other classes that its first region may hold."""
    text = EXAMPLE.read_text("utf-8")
    assert HOLDS in text
    text = text.replace(HOLDS, f"holds: [{holds}]").replace("\nversion: 1\n", f"\nversion: {version}\n")
    return text.replace("  virginia:", f"  {region}:").encode()


async def put(world: World, dataset: str, **fields: str) -> WriteAnswer:
    item = WriteItem("ada", dataset, "one", fields)
    return await write_records(world.gate, world.caller("app"), purpose="serve_user", items=[item])


async def enact(world: World, charter: bytes) -> None:
    async with world.runtime.governance() as governance:
        await governance.enact(charter, file="charter.yaml")


def test_class_that_the_region_may_not_hold_is_refused_and_recorded_and_others_are_taken(tmp_path: Path) -> None:
    deployment = make_deployment(tmp_path / "deployment", charter=charter_of("protected"))

    async def work(world: World) -> str:
        with pytest.raises(DeniedError, match=NOTHING_PUBLIC) as refused:
            await put(world, "posts", Title="for all", WhoCanView="Everyone")
        await put(world, "posts", Title="for me", WhoCanView="Only me")
        return refused.value.receipt

    assert in_world(deployment, work)
    assert {part.fields["Title"] for part in stored(deployment).values() if "Title" in part.fields} == {"for me"}
    assert verified(deployment, tmp_path / "bundle").counts["refusals"] == 1


def test_export_is_not_taken_in_where_a_part_of_it_may_not_be(tmp_path: Path) -> None:
    deployment = make_deployment(tmp_path / "deployment", charter=charter_of("protected, interoperability"))
    path = write_export(tmp_path / "ada.json", make_export("ada"))

    with pytest.raises(DeniedError, match=NOTHING_PUBLIC):
        take(deployment, path)

    assert dump(deployment)["parts"] == []


def test_charter_that_takes_a_class_out_of_the_region_holds_at_once_for_writes_and_lets_data_be_taken_away(
    deployment: Deployment,
) -> None:
    async def work(world: World) -> None:
        await put(world, "posts", Title="for all", WhoCanView="Everyone")
        await enact(world, charter_of("protected", version=2))
        name = RecordName("ada", "posts", "one")
        given = await read_record(world.gate, world.caller("app"), purpose="serve_user", name=name)
        assert given.record.values()["Title"] == "for all"
        with pytest.raises(DeniedError, match=NOTHING_PUBLIC):
            await put(world, "posts", Title="for all again", WhoCanView="Everyone")
        await put(world, "posts", Title="for me", WhoCanView="Only me")

    in_world(deployment, work)
    assert {at.data_class for at, part in stored(deployment).items() if "Title" in part.fields} == {"protected"}


def test_region_that_the_charter_names_no_more_takes_nothing(deployment: Deployment, tmp_path: Path) -> None:
    path = write_export(tmp_path / "ada.json", make_export("ada"))

    async def work(world: World) -> None:
        await enact(world, charter_of("protected, public", version=2, region="ohio"))
        with pytest.raises(DeniedError, match="the charter lets nothing protected"):
            await put(world, "comments", comment="hello")

    in_world(deployment, work)
    with pytest.raises(ConfigurationError, match="names no region 'virginia'") as refused:
        take(deployment, path)
    assert refused.value.hint == "it names ohio, singapore"


@pytest.mark.parametrize(("region", "words"), [("singapore", "nothing protected"), ("mars", "there is no region")])
def test_deployment_is_not_made_where_nothing_protected_may_be(tmp_path: Path, region: str, words: str) -> None:
    with pytest.raises(InvalidInputError, match=words) as refused:
        asyncio.run(
            initialise(
                tmp_path / "deployment",
                Ground(
                    charter_text=EXAMPLE.read_bytes(),
                    charter_file="charter.yaml",
                    origin="ledger.example.org/test",
                    configuration=Configuration(region=region),
                    mode=DEVELOPMENT,
                ),
            )
        )
    assert "virginia" in refused.value.hint
    assert not (tmp_path / "deployment").exists()


@pytest.mark.parametrize(("region", "state"), [("virginia", "good"), ("singapore", "wrong"), ("mars", "wrong")])
def test_doctor_says_whether_the_region_may_hold_the_data(deployment: Deployment, region: str, state: str) -> None:
    settings = deployment.configuration.model_copy(update={"region": region})
    (deployment.directory / "ringfence.yaml").write_text(render_configuration(settings), "utf-8")

    findings = asyncio.run(check_deployment(open_deployment(deployment.directory).directory))

    assert [finding.state for finding in findings if finding.check == "region"] == [state]
