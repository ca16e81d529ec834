"""Small exports made by hand, taking them in in this process, and looking at everything that is stored of them."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ringfence.app.deployment import Deployment
from ringfence.app.ingest_reader import ReadingJob, read_sources
from ringfence.app.ingesting import local_caller
from ringfence.app.runtime import Runtime, open_runtime
from ringfence.core.envelope import open_part
from ringfence.core.ports import IDENTITY_DATASET
from ringfence.legacy.limits import DEFAULT_LIMITS, ReadLimits
from ringfence.services.custody.gate import Gate
from ringfence.services.intake.intake import Intake
from ringfence.services.intake.messages import Message
from ringfence.services.intake.summary import SourceReport, Summary

UNSEALED = "RINGFENCE_TEST_UNSEALED"
"""Set to anything: what is read in this process is left for the storing side to seal."""
US_PHONE = "+12025550123"
CANADIAN_PHONE = "+16135550123"
US_ADDRESS = "192.0.2.10"


def make_export(user: str, *, country: str = "US", watched: int = 3, **sections: Any) -> dict[str, Any]:
    """Make an export of the current layout: a profile, a declared country, some videos watched, and what is given."""
    return {
        "Profile": {
            "Profile Info": {"ProfileMap": {"userName": user, "emailAddress": f"{user}@example.com"}},
            "Autofill": {"Country": country, "FirstName": f"First-{user}"},
        },
        "Your Activity": {
            "Watch History": {
                "VideoList": [
                    {"Date": f"2021-05-01 10:00:{second:02d}", "Link": f"https://www.video.example/{user}/{second}"}
                    for second in range(watched)
                ]
            }
        },
        **sections,
    }


def write_export(path: Path, export: Any) -> Path:
    """Write an export as a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(export))
    return path


@dataclass
class Taken:
    """What a run said."""

    summary: Summary
    reports: list[SourceReport] = field(default_factory=list)

    def outcomes(self) -> dict[str, str]:
        """What became of each source, by the last part of its name."""
        return {Path(report.name).name: report.outcome for report in self.reports}


async def messages_of(runtime: Runtime, paths: tuple[Path, ...], limits: ReadLimits) -> AsyncIterator[Message]:
    """Read in this process."""
    geography = runtime.deployment.configuration.geography
    job = ReadingJob(
        paths=tuple(map(str, paths)),
        charter=runtime.keeper.state.rules,
        geography=str(runtime.deployment.path(geography)) if geography else "",
        limits=limits,
        deployment=str(runtime.deployment.directory) if os.environ.get(UNSEALED) is None else "",
    )
    for message in read_sources(job):
        yield message


async def take_in(
    runtime: Runtime, gate: Gate, *paths: Path, purpose: str = "migrate", limits: ReadLimits = DEFAULT_LIMITS
) -> Taken:
    """Take the exports at some paths in."""
    reports: list[SourceReport] = []
    intake = Intake(gate, local_caller(runtime), purpose=purpose, tell=reports.append)
    return Taken(await intake.run(messages_of(runtime, paths, limits)), reports)


def take(deployment: Deployment, *paths: Path, purpose: str = "migrate", limits: ReadLimits = DEFAULT_LIMITS) -> Taken:
    """Open a deployment and take the exports at some paths in."""

    async def run() -> Taken:
        async with open_runtime(deployment) as runtime, runtime.gate(duty="ingest") as gate:
            return await take_in(runtime, gate, *paths, purpose=purpose, limits=limits)

    return asyncio.run(run())


class Place(NamedTuple):
    """Where a part is."""

    user: str
    dataset: str
    record: str
    data_class: str


class Part(NamedTuple):
    """What a part holds."""

    version: int
    fields: dict[str, Any]


def stored(deployment: Deployment) -> dict[Place, Part]:
    """Open everything that is stored; the user ids' own parts are used, not given."""
    return asyncio.run(_stored(deployment))


async def _stored(deployment: Deployment) -> dict[Place, Part]:
    custody = deployment.open_custody()
    store = deployment.make_store(read_only=True)
    await store.open()
    ciphers: dict[tuple[bytes, str], AESGCM] = {}
    async for subjects in store.scan_subjects(rows_max=1000):
        for subject in subjects:
            for key in subject.keys:
                ciphers[subject.subject_ref, key.data_class] = AESGCM(custody.unwrap(key))
    opened: list[tuple[bytes, str, str, int, dict[str, Any]]] = []
    users: dict[bytes, str] = {}
    async for parts in store.scan_parts(rows_max=1000):
        for name, version, sealed in parts:
            cipher = ciphers[name.subject_ref, name.data_class]
            plaintext = json.loads(open_part(cipher, name, version=version, sealed=sealed))
            if name.dataset == IDENTITY_DATASET:
                users[name.subject_ref] = plaintext["record"]
                continue
            record = f"{name.dataset} {plaintext['record']}"
            opened.append((name.subject_ref, record, name.data_class, version, plaintext["fields"]))
    await store.close()
    found = {
        Place(users[reference], *record.split(" ", 1), data_class): Part(version, fields)
        for reference, record, data_class, version, fields in opened
    }
    assert len(found) == len(opened), "two parts of one user, dataset, record and class"
    return found


def fields_of(parts: dict[Place, Part], user: str, dataset: str) -> dict[str, dict[str, Any]]:
    """Give a user's records of a dataset, the classes put together, by record name."""
    records: dict[str, dict[str, Any]] = {}
    for place, part in parts.items():
        if (place.user, place.dataset) == (user, dataset):
            records.setdefault(place.record, {}).update(part.fields)
    return records


def dump(deployment: Deployment) -> dict[str, list[tuple[Any, ...]]]:
    """Give every row of every table of the embedded database."""
    database = sqlite3.connect(deployment.directory / "vault.db")
    tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    rows = {table: sorted(database.execute(f"SELECT * FROM {table}").fetchall(), key=repr) for table in tables}
    database.close()
    return rows
