"""A governed deployment on a real store, opened in this process: founded by the people of `tests.governed`.

Everything that people decide is signed by them and written through the services, as in a deployment that runs.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from ringfence.app.configuration import Configuration
from ringfence.app.deployment import Deployment, open_deployment
from ringfence.app.initialise import Ground
from ringfence.app.runtime import Runtime, open_runtime
from ringfence.core import changes as c
from ringfence.core.governance.statement import APPROVE, ORDER, PROPOSE, Statement, render_statement
from ringfence.core.ledger import entry as e
from ringfence.core.people.register import PersonFacts
from ringfence.core.state import State
from ringfence.services.custody.gate import Gate
from ringfence.services.custody.request import Caller
from ringfence.services.custody.writing import WriteItem, write_records
from ringfence.services.governance.rule_writing import WrittenRule
from tests.founders import found
from tests.governed import APP, CHARTER, FOUNDERS, HOUR_MS, ISSUER, NUMBERS, SALT, facts_entry, sign
from tests.stores import POSTGRES, make_postgres_database, shared_server

Result = TypeVar("Result")

WIDER = (
    CHARTER.replace("verbs: [read, find]", "verbs: [read, find, export, write]")
    .replace(
        "  rest: {",
        "  posts: {words: P., records: many, sources: [[Post]], fields: {Text: protected, Title: public}}\n  rest: {",
    )
    .replace("Email: protected", "Email: {class: protected, distinct: many}")
    .replace("purposes: {", "searchable: [{dataset: person, field: Email}]\npurposes: {")
)
"""The small charter with a dataset of many records, a searchable field, and more to be done under a grant."""

PERSON = {"userName": "ann", "Email": "ann@example.org", "Country": "US"}
POSTS = 25


def found_deployment(
    directory: Path,
    *,
    store: str = "sqlite",
    charter: str = WIDER,
    services: Sequence[tuple[str, str, str]] = (),
) -> Deployment:
    """Found a governed ledger and give its deployment, with the app's service and others (party, issuer, subject)."""
    if store == POSTGRES:
        store = asyncio.run(make_postgres_database(shared_server())).dsn
    ground = Ground(
        charter_text=charter.encode(),
        charter_file="charter.yaml",
        origin="ledger.example.org/governed",
        configuration=Configuration(store=store, region="home", development_country="US"),
        mode=e.DEVELOPMENT,
    )
    found(directory, ground, people=FOUNDERS, services=[("app", ISSUER, "service"), *services])
    return open_deployment(directory)


@dataclass
class GovernedWorld:
    """An open deployment, and what people do in it."""

    runtime: Runtime
    gate: Gate

    @property
    def state(self) -> State:
        """The newest state of this process."""
        return self.runtime.keeper.state

    def caller(self, name: str, *, grant: int = 0, country: str = "US") -> Caller:
        """Give a founder as a caller, or `service`: the app's."""
        number = self.state.identities[ISSUER, name] if name == "service" else NUMBERS[name]
        return Caller(number, country, grant=grant)

    async def store_user(self, user: str) -> bytes:
        """Let the app store a user with some posts; give the user's reference."""
        items = [WriteItem(user, "person", "self", {**PERSON, "userName": user})]
        items += [
            WriteItem(user, "posts", f"post-{number}", {"Text": f"{user} {number}", "Title": "a"})
            for number in range(POSTS)
        ]
        await write_records(self.gate, self.caller("service"), purpose="serve", items=items)
        subject = await self.gate.subjects.find(user)
        assert subject is not None
        return subject.subject_ref

    async def agree(
        self,
        by: str,
        change: c.AnyChange,
        *approvers: str,
        subjects: tuple[bytes, ...] = (),
        identity: e.Identity | None = None,
    ) -> int:
        """Propose a change and let others approve it; give the number of what it made."""
        async with self.runtime.signed_governance() as governance:
            data = self.statement(by, change, subjects, identity)
            done = await governance.propose(data, sign(by, data, PROPOSE))
            for name in approvers:
                done = await governance.approve(done.proposal, sign(name, data, APPROVE))
        assert done.is_carried, done.waits_for
        return done.number

    async def propose(self, by: str, change: c.AnyChange) -> int:
        """Propose a change; give the number of the proposal."""
        async with self.runtime.signed_governance() as governance:
            data = self.statement(by, change)
            return (await governance.propose(data, sign(by, data, PROPOSE))).proposal

    async def register_service(self, subject: str, *, party: str = "trust", feeds: bool = False) -> int:
        """Let a quorum make a service known; give its number."""
        identity = e.Identity(ISSUER, subject)
        commitment = e.commit(e.render_opening(SALT, identity))
        change = c.RegisterService(party=party, identity=commitment, feeds=feeds)
        return await self.agree("dot", change, "ada", "ben", identity=identity)

    async def admit(self, person: int, name: str, *, party: str = "trust", until_ms: int = 0) -> None:
        """Let a quorum admit a person of the register."""
        identity = e.Identity(ISSUER, name)
        commitment = e.commit(e.render_opening(SALT, identity))
        change = c.Admit(person=person, party=party, identity=commitment, until_ms=until_ms)
        await self.agree("dot", change, "ada", "ben", identity=identity)

    async def give(self, *subjects: bytes, **told: object) -> int:
        """Let two officers give eve a grant, for these users or for any; give its number."""
        usual: dict[str, object] = {
            "kind": c.ACCESS,
            "person": NUMBERS["eve"],
            "purpose": "support",
            "verbs": ("export", "find", "read", "write"),
            "datasets": ("person", "posts"),
            "classes": ("protected", "public"),
            "records_max": 100,
            "lasts_ms": HOUR_MS,
            "subjects_any": not subjects,
            "bulk": True,
        }
        grant = c.Grant(**{**usual, **told})  # type: ignore[arg-type]
        return await self.agree("eve", grant, "ada", "ben", subjects=tuple(sorted(subjects)))

    async def order(self, by: str, change: c.AnyChange) -> int:
        """Order a change; give the number of what it made."""
        async with self.runtime.signed_governance() as governance:
            data = self.statement(by, change)
            return (await governance.order(data, sign(by, data, ORDER))).number

    async def record(self, *told: PersonFacts) -> None:
        """Record facts about people, with the effects that follow."""

        def make(state: State, at_ms: int) -> WrittenRule:
            entry, file = facts_entry(state, told, at_ms=at_ms)
            return WrittenRule(entry, file=file)

        async with self.runtime.governance() as governance:
            await governance.write(make)

    def statement(
        self,
        by: str,
        change: c.AnyChange,
        subjects: tuple[bytes, ...] = (),
        identity: e.Identity | None = None,
    ) -> bytes:
        """Give the bytes that ask for a change."""
        state, now_ms = self.state, self.gate.clock_ms()
        return render_statement(
            Statement(
                origin=state.origin,
                genesis=state.genesis,
                epoch=state.epoch,
                at_ms=now_ms,
                expires_ms=now_ms + HOUR_MS,
                nonce=os.urandom(16),
                by=NUMBERS[by],
                change=change,
                reason="a user asks for help",
                subjects=subjects,
                identity=identity,
                identity_salt=SALT if identity is not None else b"",
            )
        )


@asynccontextmanager
async def open_governed_world(deployment: Deployment) -> AsyncIterator[GovernedWorld]:
    """Open the custody service on a governed deployment."""
    async with open_runtime(deployment) as runtime, runtime.gate() as gate:
        yield GovernedWorld(runtime, gate)


def in_governed_world(deployment: Deployment, work: Callable[[GovernedWorld], Awaitable[Result]]) -> Result:
    """Run one piece of work in an open governed world."""

    async def run() -> Result:
        async with open_governed_world(deployment) as world:
            return await work(world)

    return asyncio.run(run())


__all__ = ["APP", "GovernedWorld", "found_deployment", "in_governed_world", "open_governed_world"]
