"""Founds governed deployments on disk, for tests, and lets founders agree to changes and order them afterwards."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from cryptography.hazmat.primitives import serialization

from ringfence.app.ceremony import CEREMONY, DOCUMENT, begin_ceremony, finish_ceremony
from ringfence.app.deployment import SHARES_VARIABLE, open_deployment
from ringfence.app.initialise import Ground
from ringfence.app.runtime import open_runtime
from ringfence.core import changes as c
from ringfence.core.governance.founding import FOUND
from ringfence.core.governance.statement import APPROVE, ORDER, PROPOSE, Statement, render_statement
from ringfence.core.ledger import entry as e
from ringfence.keys.shares import open_share
from ringfence.services.governance.signed import Done
from tests.governed import ISSUER, key_of, sign

People = Mapping[str, tuple[str, tuple[str, ...]]]

EXAMPLE_PEOPLE: People = {
    "ada": ("usds", ("security-officer",)),
    "ben": ("usds", ("security-officer",)),
    "cid": ("usds", ("security-officer",)),
    "dot": ("usds", ("people-administrator",)),
    "eve": ("usds", ("engineer",)),
    "fay": ("usds", ("data-manager", "key-holder")),
    "gus": ("usds", ("inspector", "key-holder")),
    "kay": ("usds", ("inspector", "key-holder")),
    "liv": ("usds", ("auditor",)),
    "hal": ("tiktok", ("release-manager",)),
    "ivy": ("cfius", ("monitor",)),
}
"""Who founds a ledger on the worked example, with their party and duties, in order of number."""


def number_of(name: str, people: People = EXAMPLE_PEOPLE) -> int:
    """Give a founder's number."""
    return list(people).index(name) + 1


def write_plan(
    folder: Path,
    people: People,
    services: Sequence[tuple[str, str, str]],
    *,
    issuer: str = ISSUER,
    holders: Sequence[str] = (),
    issuers: Mapping[str, bytes] | None = None,
) -> Path:
    """Write a plan and everybody's public key into a folder; services are (party, issuer, subject).

    `issuers` are names with the JWK set file of each.
    """
    lines = ["people:"]
    for name, (party, duties) in people.items():
        public = key_of(name).public_key()
        line = public.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
        (folder / f"{name}.pub").write_bytes(line + b"\n")
        lines.append(
            f"  - {{name: {name}, reference: hr-{name}, party: {party}, duties: [{', '.join(duties)}], "
            f'key: {name}.pub, issuer: "{issuer}", subject: {name}, residence: US, works_in: US, '
            f"devices_of: {party}, team: {name}}}"
        )
    own = (next(iter(people.values()))[0], "ringfence:local", "ingest")
    lines.append("services:")
    lines += [
        f'  - {{party: {party}, issuer: "{named}", subject: {subject}}}' for party, named, subject in (own, *services)
    ]
    lines += ["issuers:"] if issuers else []
    for number, (name, keys) in enumerate((issuers or {}).items(), start=1):
        (folder / f"issuer-{number}.json").write_bytes(keys)
        lines.append(f'  - {{name: "{name}", keys: issuer-{number}.json}}')
    if holders:
        lines.append(f"custody: {{holders: [{', '.join(f'hr-{name}' for name in holders)}], threshold: 2}}")
    path = folder / "plan.yaml"
    path.write_text("\n".join(lines), "utf-8")
    return path


def found(
    directory: Path,
    ground: Ground,
    *,
    people: People = EXAMPLE_PEOPLE,
    services: Sequence[tuple[str, str, str]] = (),
    issuer: str = ISSUER,
    holders: Sequence[str] = (),
    issuers: Mapping[str, bytes] | None = None,
) -> None:
    """Found a ledger in a directory that is not there yet; any two of the `holders`, if there are, open its keys."""
    folder = directory.with_name(f"{directory.name}-table")
    folder.mkdir()
    plan = write_plan(folder, people, services, issuer=issuer, holders=holders, issuers=issuers)
    asyncio.run(begin_ceremony(directory, ground, plan=plan))
    document = (directory / CEREMONY / DOCUMENT).read_bytes()
    if holders:
        hand_in_shares(directory, holders[:2], people=people)
    asyncio.run(finish_ceremony(open_deployment(directory), [sign(name, document, FOUND) for name in people]))


def hand_in_shares(directory: Path, names: Sequence[str], *, people: People = EXAMPLE_PEOPLE) -> None:
    """Open the shares of these holders, and hand them to every command that this process starts from here on."""
    lines = []
    for name in names:
        file = directory / "keys" / "custody" / "shares" / f"{number_of(name, people)}.age"
        pem = key_of(name).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
        )
        lines.append(open_share(file.read_bytes(), pem, place=str(file)))
    handed = directory.with_name(f"{directory.name}-shares")
    handed.write_text("\n".join(lines), "ascii")
    os.environ[SHARES_VARIABLE] = str(handed)


async def agree(
    directory: Path,
    by: str,
    change: c.AnyChange,
    *approvers: str,
    identity: e.Identity | None = None,
    salt: bytes = b"",
) -> Done:
    """Propose a change in a deployment and let others approve it; give what became of it."""
    async with open_runtime(open_deployment(directory)) as runtime, runtime.signed_governance() as governance:
        state = runtime.keeper.state
        data = _statement(state.origin, state.genesis, state.epoch, by, change, identity=identity, salt=salt)
        done = await governance.propose(data, sign(by, data, PROPOSE))
        for name in approvers:
            done = await governance.approve(done.proposal, sign(name, data, APPROVE))
        return done


async def order(directory: Path, by: str, change: c.AnyChange) -> Done:
    """Order a change in a deployment."""
    async with open_runtime(open_deployment(directory)) as runtime, runtime.signed_governance() as governance:
        state = runtime.keeper.state
        data = _statement(state.origin, state.genesis, state.epoch, by, change)
        return await governance.order(data, sign(by, data, ORDER))


def register_service(directory: Path, party: str, *, issuer: str, subject: str, feeds: bool = False) -> int:
    """Register a service by those whom the worked example names; give its number."""
    identity, salt = e.Identity(issuer, subject), os.urandom(16)
    change = c.RegisterService(party=party, identity=e.commit(e.render_opening(salt, identity)), feeds=feeds)
    done = asyncio.run(agree(directory, "eve", change, "ada", "gus", identity=identity, salt=salt))
    assert done.is_carried, done.waits_for
    return done.number


def _statement(
    origin: str,
    genesis: bytes,
    epoch: int,
    by: str,
    change: c.AnyChange,
    *,
    identity: e.Identity | None = None,
    salt: bytes = b"",
) -> bytes:
    now = time.time_ns() // 1_000_000
    return render_statement(
        Statement(
            origin=origin,
            genesis=genesis,
            epoch=epoch,
            at_ms=now,
            expires_ms=now + 3_600_000,
            nonce=os.urandom(16),
            by=number_of(by),
            change=change,
            reason="it is needed",
            identity=identity,
            identity_salt=salt,
        )
    )
