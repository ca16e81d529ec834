"""An HR system at a running gateway: a public SCIM client and a public suite of checks, over HTTP.

The checks are those of scim2-tester. What they find fault with is listed one by one, with the reason why it is meant.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
import scim2_models as scim
from scim2_client import SCIMClientException
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_tester import CheckResult, Status, check_server

from ringfence.app.deployment import open_deployment
from ringfence.cli.change_file import read_change
from ringfence.core import changes as c
from ringfence.core.governance.change_words import describe_change
from ringfence.core.issuers import DEVELOPMENT_ISSUER
from tests.architecture.source_tree import ROOT
from tests.faults.serving import Server, command
from tests.founders import EXAMPLE_PEOPLE, number_of, register_service
from tests.journeys.desks import found_example
from tests.services.world import verified

PERSON = "urn:ringfence:scim:schemas:1.0:Person"
MEANT = {
    ("check_add_attribute", "active"): "telling that somebody is there gives no authority",
    ("check_remove_attribute", "active"): "the service says who has authority, and always does",
    ("check_replace_attribute", "active"): "telling that somebody is there gives no authority",
    ("check_add_attribute", f"{PERSON}:directedBy"): "the check before has added a director, and `add` adds another",
    ("check_remove_attribute", PERSON): "an end that has come is undone by nobody's silence",
}
"""What the checks expect otherwise, and why it is not so here."""


@dataclass
class Feed:
    """A served deployment, and how the HR system reaches it."""

    server: Server
    http: httpx2.Client


@pytest.fixture(scope="module")
def feed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Feed]:
    directory = found_example(tmp_path_factory.mktemp("scim") / "deployment")
    register_service(directory, "usds", issuer=DEVELOPMENT_ISSUER, subject="hr", feeds=True)
    server = Server(directory)
    server.start()
    token = command("token", "hr", "-d", str(directory))["token"]
    headers = {"authorization": f"Bearer {token}"}
    with httpx2.Client(base_url=f"{server.url}/scim/v2", headers=headers, timeout=30) as http:
        yield Feed(server, http)
    assert server.stop() == 0
    assert "Traceback" not in server.said()
    verified(open_deployment(directory), directory.parent / "bundle")


def describe(client: SyncSCIMClient) -> None:
    """Let the client describe the service by what it publishes, but for dates, which the checks cannot make up."""
    schemas = list(client.query(scim.Schema).resources)
    for schema in schemas:
        schema.attributes = [attribute for attribute in schema.attributes if attribute.type != "dateTime"]
    client.provider = scim.ScimProvider.from_discovery(
        schemas,
        client.query(scim.ResourceType).resources,
        client.query(scim.ServiceProviderConfig),
        scim.ScimPolicy(unknown=scim.ScimPolicy.Unknown.ignore),
    )


def attribute_of(result: CheckResult) -> str:
    data: Any = result.data
    urn = data.get("urn", "") if isinstance(data, dict) else ""
    return str(urn).removeprefix("urn:ietf:params:scim:schemas:core:2.0:User:")


def test_service_passes_the_public_checks_but_for_what_would_give_authority(feed: Feed) -> None:
    random.seed(7)  # which values of a vocabulary are told
    client = SyncSCIMClient(feed.http)
    describe(client)

    results = check_server(client, resource_types=["User"])

    faults = {(str(one.title), attribute_of(one)): one.reason for one in results if one.status == Status.ERROR}
    assert faults.keys() <= MEANT.keys(), {key: faults[key] for key in faults.keys() - MEANT.keys()}
    assert ("check_add_attribute", "active") in faults
    passed = [one for one in results if one.status == Status.SUCCESS]
    assert len(passed) > 60
    tried = {str(one.title) for one in passed}
    assert {"object_creation", "object_query", "object_replacement", "object_deletion", "random_url"} <= tried
    assert {"check_add_attribute", "check_remove_attribute", "check_replace_attribute"} <= tried


def test_client_hires_somebody_moves_them_and_lets_them_go(feed: Feed) -> None:
    client = SyncSCIMClient(feed.http)
    client.discover()
    user_type: Any = client.get_resource_model("User")
    work_type: Any = user_type.get_extension_model("EnterpriseUser")
    person_type: Any = user_type.get_extension_model("Person")
    user = user_type(user_name="hr-zoe", display_name="Zoe Example", external_id="0001", active=True)
    user[work_type] = work_type(organization="usds", department="support", manager={"value": "1"})
    user[person_type] = person_type(residence="US", works_in="US", devices_of="usds", starts="2026-01-31T09:00:00Z")

    made: Any = client.create(user)

    assert made.active is False
    listed: Any = client.query(user_type, query_parameters=scim.SearchRequest(filter='externalId eq "0001"'))
    assert [one.id for one in listed.resources] == [made.id]
    patch_type: Any = scim.PatchOp[user_type]
    to_nights = {"op": "replace", "path": f"{work_type.__schema__}:department", "value": "night"}
    moved: Any = client.modify(user_type, made.id, patch_type(operations=[to_nights]))
    assert moved[work_type].department == "night"
    leaves = {"op": "replace", "path": "active", "value": False}
    gone: Any = client.modify(user_type, made.id, patch_type(operations=[leaves]))
    assert gone[person_type].ends is not None
    client.delete(user_type, made.id)
    with pytest.raises((scim.SCIMException, SCIMClientException)):
        client.query(user_type, made.id)
    known = command("people", "show", "hr-zoe", "-d", str(feed.server.deployment))
    assert (known["state"], known["external_id"], known["unlisted"]) == ("left", "0001", True)


def test_engineer_who_left_reads_nothing_more_and_the_client_sees_it(feed: Feed) -> None:
    eve = number_of("eve")
    assert feed.http.get(f"/Users/{eve}").json()["active"] is True

    body = {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{"op": "replace", "path": "active", "value": False}],
    }
    shown = feed.http.patch(f"/Users/{eve}", json=body).json()

    assert shown["active"] is False
    told = command("people", "show", "hr-eve", "-d", str(feed.server.deployment))
    assert told["state"] == "left"


def test_groups_are_the_duties_and_give_nothing(feed: Feed) -> None:
    groups = feed.http.get("/Groups").json()
    officers = feed.http.get("/Groups/security-officer").json()

    assert groups["totalResults"] == len(groups["Resources"]) > 5
    holders = [str(number_of(name)) for name, (_, duties) in EXAMPLE_PEOPLE.items() if "security-officer" in duties]
    assert [member["value"] for member in officers["members"]] == holders
    body = {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{"op": "add", "path": "members", "value": [{"value": str(number_of("dot"))}]}],
    }
    refused = feed.http.patch("/Groups/security-officer", json=body)
    assert (refused.status_code, refused.json()["scimType"]) == (400, "mutability")


def test_other_callers_are_refused(feed: Feed) -> None:
    token = command("token", "app", "-d", str(feed.server.deployment))["token"]

    answer = httpx2.get(f"{feed.server.url}/scim/v2/Users", headers={"authorization": f"Bearer {token}"})

    assert answer.status_code == 403
    assert feed.http.get("/Users").status_code == 200


def test_change_file_of_the_document_asks_a_quorum_to_let_the_hr_system_feed(tmp_path: Path) -> None:
    file = tmp_path / "feed.yaml"
    file.write_text((ROOT / "docs/scim.md").read_text("utf-8").split("```yaml\n")[1].split("```")[0], "utf-8")

    change = read_change(file, author=1).change

    assert isinstance(change, c.RegisterService)
    assert change.feeds
    assert "It READS AND FEEDS the register of people" in " ".join(describe_change(change))
    assert "FEEDS" not in " ".join(describe_change(c.RegisterService(party="usds", identity=change.identity)))
