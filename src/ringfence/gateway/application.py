"""The HTTP gateway: one ASGI application. Every call is authenticated, its country found, its answer recorded first.

Calls (purpose is mandatory in each, a grant is named by the header `Ringfence-Grant`; see `openapi.py` for shapes and
limits):
    GET    /v1/records/{dataset}/{user}/{record}?purpose=            read one record: the hot path
    PUT    /v1/records/{dataset}/{user}/{record}?purpose=            store one record
    GET    /v1/records/{dataset}/{user}?purpose=&after=&limit=       a page of a user's records
    POST   /v1/read, /v1/write, /v1/find                             several records; look-up
    GET    /v1/users/{user}/export?purpose=                          all of a user's records, as lines of JSON
    DELETE /v1/users/{user}?purpose=                                 erase a user
    GET    /v1/receipts/{receipt}                                    an inclusion proof (tlog-proof)
    /scim/v2/...                                                     an HR system feeds the register: `scim.calls`
    GET    /checkpoint, /vkey, /tile/..., /blobs/..., /openapi.json, /healthz, /readyz
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

import msgspec

from ringfence.core.errors import (
    InvalidInputError,
    NotFoundError,
    UnauthenticatedError,
    UnavailableError,
)
from ringfence.gateway import http
from ringfence.gateway.authentication import TokenChecker
from ringfence.gateway.bodies import Fields, Find, ReadMany, WriteMany
from ringfence.gateway.country import CountryFinder
from ringfence.gateway.exporting import send_export
from ringfence.gateway.governance import GovernanceCalls
from ringfence.gateway.http import Receive, Scope, Send
from ringfence.gateway.problems import CONTENT_TYPE, render_failure
from ringfence.gateway.scim.calls import PREFIX, ScimCalls
from ringfence.gateway.scim.errors import render_refusal
from ringfence.gateway.scim.requests import MEDIA_TYPE
from ringfence.services.custody.batch_reading import read_records
from ringfence.services.custody.erasing import erase_user
from ringfence.services.custody.gate import Gate
from ringfence.services.custody.listing import PAGE_RECORDS_MAX, list_records
from ringfence.services.custody.opening import ReadRecord, RecordName
from ringfence.services.custody.reading import read_record
from ringfence.services.custody.request import Caller
from ringfence.services.custody.searching import find_users
from ringfence.services.custody.writing import WriteItem, write_records
from ringfence.services.refusals import STRANGER

PAGE_RECORDS_DEFAULT: Final = 100
RECEIPT: Final = b"ringfence-receipt"
GRANT: Final = b"ringfence-grant"
_GRANT_NUMBER: Final = re.compile(rb"[1-9][0-9]{0,14}")
TEXTS: Final = ("/checkpoint", "/vkey")

Answer = tuple[int, bytes, str]
_encode = msgspec.json.Encoder().encode


class Gateway:
    """The ASGI application.

    Args:
        gate: the custody service.
        tokens: checks bearer tokens.
        countries: finds where a connection comes from.
        readiness: gives the reasons why this process should get no requests; empty when it should.
        notes: gives what whoever looks after the process should know although it serves.
        documents: path to (content type, maker of the body) of what is served without a token.
        tree_file: gives the bytes of a file of the public tree by its path, or None.
        prove: gives the inclusion proof of a receipt, as text.
        governance: answers the calls of governance.
        people: answers the calls of SCIM.
    """

    def __init__(
        self,
        gate: Gate,
        *,
        tokens: TokenChecker,
        countries: CountryFinder,
        readiness: Callable[[], list[str]],
        notes: Callable[[], Sequence[str]],
        documents: Mapping[str, tuple[bytes, Callable[[], bytes]]],
        tree_file: Callable[[str], bytes | None],
        prove: Callable[[str], Awaitable[bytes]],
        governance: GovernanceCalls,
        people: ScimCalls,
    ) -> None:
        self.gate = gate
        self._tokens = tokens
        self._countries = countries
        self._readiness = readiness
        self._notes = notes
        self._documents = documents
        self._tree_file = tree_file
        self._prove = prove
        self._governance = governance
        self._people = people

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection event of the server."""
        if scope["type"] != "http":
            return
        try:
            await self._answer(scope, receive, send)
        except Exception as error:
            status, body, headers = render_failure(error)
            await http.send(send, status, body, content_type=CONTENT_TYPE, headers=headers)

    # -- 1. authenticate -----------------------------------------------------------------------------------------

    def authenticate(self, headers: Sequence[tuple[bytes, bytes]], peer: str, certificate: bytes) -> Caller:
        """Give the registered principal behind the token, and the country of this connection.

        Args:
            headers: of the request, their names in lower case.
            peer: the address that the connection comes from, or "".
            certificate: SHA-256 of the certificate that the connection showed, or b"".

        Raises:
            UnauthenticatedError: there is none, which is counted.
            InvalidInputError: the request names its grant in a way that is no number.
            UnavailableError: this process must not serve now.
        """
        authorization = forwarded_for = named_grant = b""
        for name, value in headers:
            if name == b"authorization":
                authorization = authorization + b"," + value if authorization else value
            elif name == b"x-forwarded-for":
                forwarded_for = forwarded_for + b"," + value if forwarded_for else value
            elif name == GRANT:
                named_grant = named_grant + b"," + value if named_grant else value or b"none"
        try:
            bearer = self._tokens.check(authorization, certificate)
        except UnauthenticatedError:
            self.gate.refusals.count(STRANGER, "unauthenticated")
            raise
        principal = self.gate.keeper.state.identities.get(bearer.identity)
        if principal is None:
            self.gate.refusals.count(STRANGER, "unregistered")
            raise UnauthenticatedError(
                "the token's bearer is not registered here",
                hint="ask the custodian to register this issuer and subject",
            )
        country, source = self._countries.find(peer, forwarded_for)
        reasons = self._readiness()
        if reasons:
            raise UnavailableError(f"the service does not serve now: {reasons[0]}", hint="try again in a few seconds")
        grant = _parse_grant(named_grant) if named_grant else 0
        issuer, build = bearer.issuer, bearer.build
        shown = bearer.certificate if build else b""
        keys = issuer.digest
        return Caller(principal, country, source, grant, build, shown, issuer=issuer.name, issuer_keys=keys)

    # -- routes --------------------------------------------------------------------------------------------------

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        if path == PREFIX or path.startswith(f"{PREFIX}/"):
            await self._answer_scim(scope, receive, send)
            return
        if not path.startswith("/v1/"):
            await self._answer_public(path, scope["method"], send)
            return
        caller = self._caller(scope)
        parts = http.segments(scope["raw_path"])
        method: str = scope["method"]
        if parts[0] != "v1":
            raise NotFoundError(f"there is no call {scope['method']} {path:.200}")
        match parts[1:]:
            case ["records", dataset, user, record] if method == "GET":
                status, body, receipt = await self._read(scope, caller, RecordName(user, dataset, record))
            case ["records", dataset, user, record] if method == "PUT":
                status, body, receipt = await self._put(scope, receive, caller, RecordName(user, dataset, record))
            case ["records", dataset, user] if method == "GET":
                status, body, receipt = await self._list(scope, caller, dataset, user)
            case ["users", user, "export"] if method == "GET":
                await send_export(self.gate, caller, purpose=_purpose(scope), user=user, send=send)
                return
            case ["users", user] if method == "DELETE":
                status, body, receipt = await self._erase(scope, caller, user)
            case ["receipts", text] if method == "GET":
                await http.send(send, 200, await self._prove(text), content_type=b"text/plain; charset=utf-8")
                return
            case [name] if method == "POST" and name in ("read", "write", "find"):
                status, body, receipt = await self._post(name, receive, caller)
            case _:
                await self._answer_governance(method, parts[1:], caller, receive, send)
                return
        await http.send(send, status, body, headers=((RECEIPT, receipt.encode()),))

    def _caller(self, scope: Scope) -> Caller:
        peer = scope["client"][0] if scope.get("client") else ""
        return self.authenticate(scope["headers"], peer, scope.get(http.CERTIFICATE, b""))

    async def _answer_scim(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            status, body, headers = await self._people.answer(scope, receive, self._caller(scope))
        except Exception as error:
            status, body, headers = render_refusal(error)
        await http.send(send, status, body, content_type=MEDIA_TYPE, headers=headers)

    async def _answer_governance(
        self, method: str, parts: list[str], caller: Caller, receive: Receive, send: Send
    ) -> None:
        reply = await self._governance.answer(method, parts, caller, receive)
        if reply is None:
            raise NotFoundError(f"there is no call {method} /v1/{'/'.join(parts):.200}")
        status, body, content_type = reply
        await http.send(send, status, body, content_type=content_type.encode())

    async def _answer_public(self, path: str, method: str, send: Send) -> None:
        if method not in ("GET", "HEAD"):
            raise NotFoundError(f"there is no call {method} {path:.200}")
        if path == "/healthz":
            await http.send(send, 200, b'{"status":"alive"}')
        elif path == "/readyz":
            reasons = self._readiness()
            status = 503 if reasons else 200
            facts = {"status": "not ready" if reasons else "ready", "reasons": reasons, "notes": self._notes()}
            await http.send(send, status, _encode(facts))
        elif path in self._documents:
            content_type, make = self._documents[path]
            await http.send(send, 200, make(), content_type=content_type)
        elif (body := self._tree_file(path[1:])) is not None:
            content_type = b"text/plain; charset=utf-8" if path in TEXTS else b"application/octet-stream"
            await http.send(send, 200, body, content_type=content_type)
        else:
            raise NotFoundError(f"there is nothing at {path:.200}")

    # -- calls ---------------------------------------------------------------------------------------------------

    async def _read(self, scope: Scope, caller: Caller, name: RecordName) -> Answer:
        answer = await read_record(self.gate, caller, purpose=_purpose(scope), name=name)
        return 200, _encode(answer.record), answer.receipt

    async def _put(self, scope: Scope, receive: Receive, caller: Caller, name: RecordName) -> Answer:
        fields = http.parse_body(await http.read_body(receive), Fields)
        request_id = http.header(scope, b"idempotency-key").decode("latin-1")
        item = WriteItem(name.user, name.dataset, name.record, fields)
        answer = await write_records(self.gate, caller, purpose=_purpose(scope), items=[item], request_id=request_id)
        body = {"version": answer.versions[0], "repeated": answer.repeated}
        return 200 if answer.repeated or answer.versions[0] > 1 else 201, _encode(body), answer.receipt

    async def _list(self, scope: Scope, caller: Caller, dataset: str, user: str) -> Answer:
        asked = http.query(scope["query_string"])
        try:
            after = bytes.fromhex(asked.get("after", ""))
            limit = int(asked.get("limit", str(PAGE_RECORDS_DEFAULT)))
        except ValueError:
            raise InvalidInputError(
                f"`after` is a cursor from the page before and `limit` a number up to {PAGE_RECORDS_MAX}", place="query"
            ) from None
        if len(after) not in (0, 16):
            raise InvalidInputError("`after` is not a cursor from the page before", place="after")
        page = await list_records(
            self.gate,
            caller,
            purpose=_purpose(scope),
            verb="read",
            user=user,
            dataset=dataset,
            after=after,
            records_max=limit,
        )
        return 200, _encode({"records": page.records, "after": page.following.hex()}), page.receipt

    async def _erase(self, scope: Scope, caller: Caller, user: str) -> Answer:
        answer = await erase_user(self.gate, caller, purpose=_purpose(scope), user=user)
        body = {"refused_from_ms": answer.refused_from_ms, "epoch": answer.epoch, "shredded": False}
        return 200, _encode(body), answer.receipt

    async def _post(self, name: str, receive: Receive, caller: Caller) -> Answer:
        body = await http.read_body(receive)
        if name == "read":
            many = http.parse_body(body, ReadMany)
            answer = await read_records(self.gate, caller, purpose=many.purpose, names=many.items)
            records: list[ReadRecord | None] = answer.records
            return 200, _encode({"records": records}), answer.receipt
        if name == "write":
            write = http.parse_body(body, WriteMany)
            written = await write_records(
                self.gate, caller, purpose=write.purpose, items=write.items, request_id=write.request_id
            )
            return 200, _encode({"versions": written.versions, "repeated": written.repeated}), written.receipt
        find = http.parse_body(body, Find)
        found = await find_users(
            self.gate, caller, purpose=find.purpose, dataset=find.dataset, field=find.field, value=find.value
        )
        return 200, _encode({"users": found.users}), found.receipt


def _parse_grant(text: bytes) -> int:
    """Give the number of the grant that a request names.

    Raises:
        InvalidInputError: it is no number from 1, or there are two.
    """
    if not _GRANT_NUMBER.fullmatch(text):
        raise InvalidInputError(
            "the header Ringfence-Grant is not the number of one grant",
            place="ringfence-grant",
            hint="such as `Ringfence-Grant: 7`; leave it out where no grant is needed",
        )
    return int(text)


def _purpose(scope: Scope) -> str:
    return http.query(scope["query_string"]).get("purpose", "")
