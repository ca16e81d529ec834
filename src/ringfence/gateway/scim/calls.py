"""The calls of SCIM at `/scim/v2` (RFC 7644): an HR system reads and feeds the register of people.

    GET    /ServiceProviderConfig, /ResourceTypes, /Schemas     what the service is
    GET    /Users?filter=&startIndex=&count=                     people; also POST /Users/.search
    POST   /Users                                                somebody new
    GET, PUT, PATCH, DELETE /Users/{id}                          one person
    GET    /Groups, /Groups/{id}                                 duties and who holds them; also POST /Groups/.search
    PUT, PATCH /Groups/{id}                                      refused where anything would change

All of it is for callers whom a quorum let feed the register. What is told is durable in the ledger, with everything
that it takes away, before it is answered.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec
import scim2_models as scim

from ringfence.core.errors import DeniedError, NotFoundError, UnavailableError
from ringfence.core.people.register import PersonFacts, Register
from ringfence.core.state import State
from ringfence.gateway import http
from ringfence.gateway.http import Receive, Scope
from ringfence.gateway.scim import documents, duties, feeding
from ringfence.gateway.scim.errors import ScimRefusedError
from ringfence.gateway.scim.listing import list_resources, list_users, render_resource
from ringfence.gateway.scim.people import USERS, show_user
from ringfence.gateway.scim.requests import (
    holds_for,
    parse_patch,
    parse_query,
    parse_resource,
    parse_search,
    read_object,
)
from ringfence.gateway.scim.resources import Group, ShownUser, TakenUser
from ringfence.services.custody.callers import check_caller
from ringfence.services.custody.gate import Gate
from ringfence.services.custody.request import Caller
from ringfence.services.governance.rule_writing import RuleWriter
from ringfence.services.people.feeding import FedPerson, Tell, require_feed
from ringfence.services.people.leavers import list_unusual
from ringfence.services.people.recording import record_people, require_register

PREFIX: Final = "/scim/v2"
REFUSAL: Final = "people-feed"
WRITES_WAITING_MAX: Final = 50
"""Most requests of a process that tell something and wait for each other, for each is an entry of its own."""

OpenRules: TypeAlias = Callable[[], AbstractAsyncContextManager[RuleWriter]]
_encode: Final = msgspec.json.Encoder().encode
log = logging.getLogger("ringfence.people")


class Reply(NamedTuple):
    """An answer: status, body, and headers beside those that every answer has."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[bytes, bytes], ...] = ()


class ScimCalls:
    """Answers the calls of SCIM.

    Args:
        gate: the custody service, which has the state and the clock, and counts refusals.
        open_rules: takes the authority's lane for as long as a block runs.
    """

    def __init__(self, gate: Gate, open_rules: OpenRules) -> None:
        self._gate = gate
        self._open = open_rules
        self._writing = asyncio.Lock()
        self._waiting = 0

    async def answer(self, scope: Scope, receive: Receive, caller: Caller) -> Reply:
        """Answer one call.

        Raises:
            RingfenceError: it is refused; `errors.render_refusal` says how.
        """
        try:
            state = await self._gate.keeper.refresh()
            check_caller(self._gate, caller)  # the rules may be newer than those that the token was taken by
            require_feed(state, caller.principal, at_ms=self._gate.clock_ms(), build=caller.build)
        except DeniedError:
            self._gate.refusals.count(caller.principal, REFUSAL)
            raise
        parts = http.segments(scope["raw_path"])[2:]
        method: str = "GET" if scope["method"] == "HEAD" else scope["method"]
        match parts:
            case ["Users", *rest]:
                return await self._users(method, rest, scope, receive, caller)
            case ["Groups", *rest]:
                return await self._groups(method, rest, scope, receive)
            case [documents.SERVICE | documents.TYPES | documents.SCHEMAS as name, *rest] if len(rest) < 2:
                _allow(method, "GET")
                return self._document(name, rest, scope)
            case ["Bulk" | "Me" | ""] | ["Me", _] | [".search"] | []:
                raise ScimRefusedError(
                    f"{method} {PREFIX}/{'/'.join(parts):.80} is not supported",
                    status=501,
                    hint="there are Users and Groups",
                )
            case _:
                raise NotFoundError(f"there is no call {method} {PREFIX}/{'/'.join(parts):.200}")

    # -- people --------------------------------------------------------------------------------------------------

    async def _users(self, method: str, rest: list[str], scope: Scope, receive: Receive, caller: Caller) -> Reply:
        match rest:
            case []:
                _allow(method, "GET", "POST")
                if method == "GET":
                    return await self._list_users(parse_query(scope, ShownUser))
                user = parse_resource(await read_object(scope, receive), TakenUser, replaces=False)
                number, state = await self._record(caller, feeding.tell_of_new(user))
                return self._user(state, str(number), status=201)
            case [".search"]:
                _allow(method, "POST")
                return await self._list_users(parse_search(await read_object(scope, receive), ShownUser))
            case [text]:
                _allow(method, "GET", "PUT", "PATCH", "DELETE")
                return await self._one_user(method, text, scope, receive, caller)
            case _:
                raise NotFoundError(f"there is no call {method} {USERS}/{'/'.join(rest):.200}")

    async def _one_user(self, method: str, text: str, scope: Scope, receive: Receive, caller: Caller) -> Reply:
        condition = http.header(scope, b"if-match")
        if method == "GET":
            return self._user(self._gate.keeper.state, text, scope=scope)
        if method == "DELETE":
            await self._record(caller, feeding.tell_of_deleted(text, condition))
            return Reply(204)
        told = await read_object(scope, receive)
        if method == "PUT":
            user = parse_resource(told, TakenUser, replaces=True)
            _, state = await self._record(caller, feeding.tell_of_replaced(text, user, condition))
        else:
            patch = parse_patch(told, TakenUser)
            _, state = await self._record(caller, feeding.tell_of_patched(text, patch, condition))
        return self._user(state, text, scope=scope)

    async def _record(self, caller: Caller, tell: Tell) -> tuple[int, State]:
        """Record what is told; give the number of whom it changed (0 for nobody), and the state that has it."""

        def tell_if_trusted(state: State, register: Register, at_ms: int) -> PersonFacts:
            check_caller(self._gate, caller)  # whose issuer may have been withdrawn while this waited
            return tell(state, register, at_ms)

        if self._waiting >= WRITES_WAITING_MAX:
            raise UnavailableError(f"{self._waiting} requests wait to be recorded", hint="tell of fewer people at once")
        self._waiting += 1
        try:  # one after the other, in order: the authority's lane is one, and who asks for it anew may never get it
            async with self._writing, self._open() as rules:
                source = FedPerson(caller.principal, tell_if_trusted, caller.build)
                plan, state = await record_people(rules, source, at_ms=self._gate.clock_ms())
        finally:
            self._waiting -= 1
        if plan.suspends or any(facts.ends_ms for facts in plan.difference.facts):
            for unusual in list_unusual(state.governed, at_ms=self._gate.clock_ms()):
                log.critical("%s; the service %d told more, and was not refused", unusual, caller.principal)
        changes = (*plan.difference.added, *plan.difference.changed)
        return changes[0].number if changes else 0, state

    async def _list_users(self, asked: Any) -> Reply:
        state = self._gate.keeper.state
        _, register = require_register(state)
        return _json(200, await list_users(state, register, asked, at_ms=self._gate.clock_ms()))

    def _user(self, state: State, text: str, *, status: int = 200, scope: Scope | None = None) -> Reply:
        at_ms = self._gate.clock_ms()
        _, register = require_register(state)
        facts = feeding.require_person(state, register, text, at_ms=at_ms)
        return _resource(show_user(state, facts, at_ms=at_ms), ShownUser, status=status, scope=scope)

    # -- duties --------------------------------------------------------------------------------------------------

    async def _groups(self, method: str, rest: list[str], scope: Scope, receive: Receive) -> Reply:
        state = self._gate.keeper.state
        match rest:
            case []:
                _allow(method, "GET")
                return _json(200, list_resources(duties.list_duties(state), parse_query(scope, Group)))
            case [".search"]:
                _allow(method, "POST")
                asked = parse_search(await read_object(scope, receive), Group)
                return _json(200, list_resources(duties.list_duties(state), asked))
            case [name]:
                _allow(method, "GET", "PUT", "PATCH")
                shown = duties.show_duty(state, name)
                if method == "PUT":
                    told = parse_resource(await read_object(scope, receive), scim.Group, replaces=True)
                    duties.check_replacement(state, name, told)
                elif method == "PATCH":
                    duties.check_patch(state, name, parse_patch(await read_object(scope, receive), scim.Group))
                return _resource(shown, Group, scope=scope)
            case _:
                raise NotFoundError(f"there is no call {method} {PREFIX}/Groups/{'/'.join(rest):.200}")

    # -- what the service is -------------------------------------------------------------------------------------

    def _document(self, name: str, rest: Sequence[str], scope: Scope) -> Reply:
        if "filter=" in scope["query_string"].decode("latin-1"):
            raise ScimRefusedError(f"{name} takes no filter", status=403)  # RFC 7644, section 4
        if name == documents.SERVICE:
            if rest:
                raise NotFoundError(f"there is nothing below {PREFIX}/{name}")
            return _json(200, render_resource(documents.service_document()))
        charter = self._gate.keeper.state.rules
        found: Sequence[Any] = documents.resource_types() if name == documents.TYPES else documents.schemas(charter)
        if not rest:
            return _json(200, list_resources(found, scim.SearchRequest(count=len(found))))
        for one in found:
            if one.id == rest[0]:
                return _json(200, render_resource(one))
        raise NotFoundError(f"there is nothing at {PREFIX}/{name}/{rest[0]:.200}")


def _allow(method: str, *allowed: str) -> None:
    """Refuse a method that a resource does not have."""
    if method not in allowed:
        raise ScimRefusedError(
            f"{method:.20} is not for this resource",
            status=405,
            hint=f"it takes {', '.join(allowed)}",
            headers=((b"allow", ", ".join(allowed).encode()),),
        )


def _resource(shown: Any, model: Any, *, status: int = 200, scope: Scope | None = None) -> Reply:
    """Answer with a resource, or with nothing where the caller has this version of it."""
    asked = parse_query(scope, model) if scope is not None else None
    facts = render_resource(shown, asked)
    version: str = shown.meta.version
    headers = ((b"etag", version.encode()), (b"location", shown.meta.location.encode()))
    condition = http.header(scope, b"if-none-match") if scope is not None else b""
    if scope is not None and scope["method"] in ("GET", "HEAD") and condition and holds_for(condition, version):
        return Reply(304, b"", headers)
    return Reply(status, _encode(facts), headers)


def _json(status: int, facts: dict[str, Any]) -> Reply:
    return Reply(status, _encode(facts))
