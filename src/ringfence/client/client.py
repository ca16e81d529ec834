"""A client of the gateway for Python programs: one method for each call, typed errors, safe retries.

Rules of this file:
1. An answer that is not a success raises the error of `core.errors` that the gateway meant.
2. Only what is safe is sent again: reads, and writes that carry a request id, which this client makes itself.
3. Every wait and every retry has a limit.
"""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import quote

import httpx

from ringfence.client.tls import make_context
from ringfence.core import errors
from ringfence.core.errors import RingfenceError

ATTEMPTS_MAX: Final = 5
PAUSE_SECONDS: Final = 0.1
PAUSE_SECONDS_MAX: Final = 2.0
RETRIED_STATUS: Final = 503
RECEIPT: Final = "ringfence-receipt"
GRANT: Final = "ringfence-grant"
PORT_MAX: Final = 65_535
_TOKEN: Final = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True, slots=True)
class Record:
    """A record as far as it was given: its name, the classes that were opened, its fields, and the receipt."""

    record: str
    classes: tuple[str, ...]
    fields: Mapping[str, Any]
    receipt: str = ""


@dataclass(frozen=True, slots=True)
class Stored:
    """The version that a write left, whether it had been taken before, and the receipt."""

    version: int
    repeated: bool
    receipt: str


class Client:
    """Calls one gateway.

    Args:
        base_url: such as `https://gateway.example.org`.
        token: the bearer token.
        grant: the grant that every call rests on; 0 for none.
        ca: a file with the certificate authority to trust; "" for the system's.
        certificate, key: PEM files of the client's own certificate and its key, for a token bound to it; "" for none.
        timeout_seconds: for each attempt.
        sleep: waits between attempts.
        transport: how requests are sent; for tests.

    Raises:
        InvalidInputError: the address is no HTTP address, the token could not stand in a header, or the grant's number
            is negative.
        ConfigurationError: the file of the certificate authority, or one's own, cannot be read.
    """

    def __init__(
        self,
        base_url: str,
        *,
        token: str,
        grant: int = 0,
        ca: str = "",
        certificate: str = "",
        key: str = "",
        timeout_seconds: float = 15.0,
        sleep: Callable[[float], None] = time.sleep,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._sleep = sleep
        _check_address(base_url)
        if not _TOKEN.fullmatch(token):
            raise errors.InvalidInputError("the token is empty, or holds what no token has", place="token")
        if grant < 0:
            raise errors.InvalidInputError(f"{grant} is not the number of a grant", place="grant")
        self._http = httpx.Client(
            base_url=base_url,
            headers={"authorization": f"Bearer {token}", **({GRANT: str(grant)} if grant else {})},
            timeout=timeout_seconds,
            verify=make_context(ca, certificate, key) if ca or certificate or key else True,
            transport=transport,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of every connection."""
        self._http.close()

    def read(self, dataset: str, user: str, record: str = "self", *, purpose: str) -> Record:
        """Give one record.

        Raises:
            DeniedError, NotFoundError, InvalidInputError, UnauthenticatedError, UnavailableError: as the gateway says.
        """
        answer = self._send("GET", path_of("records", dataset, user, record), params={"purpose": purpose})
        return _record(facts_of(answer), answer.headers.get(RECEIPT, ""))

    def read_many(self, names: Sequence[tuple[str, str, str]], *, purpose: str) -> list[Record | None]:
        """Give several records by (dataset, user, record), in order; None where nothing may be given."""
        items = [{"dataset": dataset, "user": user, "record": record} for dataset, user, record in names]
        answer = self._send("POST", "/v1/read", body={"purpose": purpose, "items": items})
        receipt = answer.headers.get(RECEIPT, "")
        return [_record(item, receipt) if item else None for item in facts_of(answer)["records"]]

    def list_records(self, dataset: str, user: str, *, purpose: str, page_records: int = 100) -> Iterator[Record]:
        """Give all of a user's records of one dataset, page by page as they are asked for."""
        after = ""
        while True:
            params = {"purpose": purpose, "limit": str(page_records), "after": after}
            answer = self._send("GET", path_of("records", dataset, user), params=params)
            page = facts_of(answer)
            for item in page["records"]:
                yield _record(item, answer.headers.get(RECEIPT, ""))
            after = page["after"]
            if not after:
                return

    def write(
        self,
        dataset: str,
        user: str,
        fields: Mapping[str, Any],
        *,
        purpose: str,
        record: str = "self",
        request_id: str = "",
    ) -> Stored:
        """Store one record; a retry with the same `request_id` (made here when not given) is taken once."""
        item = {"dataset": dataset, "user": user, "record": record, "fields": dict(fields)}
        return self.write_many([item], purpose=purpose, request_id=request_id)[0]

    def write_many(self, items: Sequence[Mapping[str, Any]], *, purpose: str, request_id: str = "") -> list[Stored]:
        """Store several records, all or none; each item has `dataset`, `user`, `record` and `fields`."""
        body = {
            "purpose": purpose,
            "items": [dict(item) for item in items],
            "request_id": request_id or secrets.token_hex(16),
        }
        answer = self._send("POST", "/v1/write", body=body)
        facts, receipt = facts_of(answer), answer.headers.get(RECEIPT, "")
        return [Stored(version, facts["repeated"], receipt) for version in facts["versions"]]

    def find(self, dataset: str, field: str, value: str, *, purpose: str) -> list[str]:
        """Give the ids of the users whose searchable field has this value."""
        body = {"purpose": purpose, "dataset": dataset, "field": field, "value": value}
        users: list[str] = facts_of(self._send("POST", "/v1/find", body=body))["users"]
        return users

    def export(self, user: str, *, purpose: str) -> Iterator[Mapping[str, Any]]:
        """Give all of a user's records, line by line.

        Raises:
            DeniedError: what was permitted when it began is not any more: a grant was revoked, or has expired.
            UnavailableError: the export ended before it was complete.
        """
        path = path_of("users", user, "export")
        request = self._request("GET", path, params={"purpose": purpose}, body=None)
        try:
            with closing(self._http.send(request, stream=True)) as answer:
                if answer.status_code != httpx.codes.OK:
                    answer.read()
                    raise error_of(answer)
                for line in answer.iter_lines():
                    facts = json.loads(line)
                    if facts.get("complete") is True:
                        return
                    if "dataset" not in facts:
                        raise _error(int(facts.get("status", 500)), facts)
                    yield facts
        except (httpx.TransportError, ValueError) as error:
            raise errors.UnavailableError(f"the export broke off: {error}", hint="export again") from error
        raise errors.UnavailableError("the export ended before it was complete", hint="export again")

    def erase(self, user: str, *, purpose: str) -> Mapping[str, Any]:
        """Erase a user; gives from when every access is refused, and the receipt.

        An erasure that is sent again after it was done answers that the user is not there.
        """
        answer = self._send("DELETE", path_of("users", user), params={"purpose": purpose}, attempts_max=1)
        return {**facts_of(answer), "receipt": answer.headers.get(RECEIPT, "")}

    def prove(self, receipt: str) -> str:
        """Give the inclusion proof of a receipt, as a tlog-proof."""
        return self._send("GET", path_of("receipts", receipt)).text

    def _send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Any = None,
        attempts_max: int = ATTEMPTS_MAX,
    ) -> httpx.Response:
        """Send a request that may be sent again, until it is answered or the attempts are used up."""
        pause = PAUSE_SECONDS
        request = self._request(method, path, params=params, body=body)
        for attempt in range(1, attempts_max + 1):
            try:
                answer = self._http.send(request)
            except httpx.TransportError as error:
                if attempt == attempts_max:
                    raise errors.UnavailableError(
                        f"the gateway does not answer: {error}", hint="does it run, and is this its address?"
                    ) from error
            else:
                if answer.is_success:
                    return answer
                if answer.status_code != RETRIED_STATUS or attempt == attempts_max:
                    raise error_of(answer)
            self._sleep(pause)
            pause = min(pause * 2, PAUSE_SECONDS_MAX)
        raise errors.UnavailableError("the gateway does not answer")

    def _request(self, method: str, path: str, *, params: Mapping[str, str] | None, body: Any) -> httpx.Request:
        try:
            return self._http.build_request(method, path, params=params, json=body)
        except (ValueError, TypeError, RecursionError) as error:
            raise errors.InvalidInputError(
                f"the request holds what JSON cannot say: {type(error).__name__}",
                hint="half surrogate pairs, NaN and infinities are no JSON",
            ) from None


def _check_address(base_url: str) -> None:
    try:
        url = httpx.URL(base_url)
    except (httpx.InvalidURL, ValueError):
        url = None
    if url is None or url.scheme not in ("http", "https") or not url.host or (url.port or 1) > PORT_MAX:
        raise errors.InvalidInputError(
            f"{base_url!r:.200} is no address of a gateway", place="url", hint="such as https://gateway.example.org"
        )


def facts_of(answer: httpx.Response) -> dict[str, Any]:
    """Give the JSON object of an answer.

    Raises:
        DeviceError: it holds none.
    """
    try:
        facts = answer.json()
    except ValueError:
        facts = None
    if not isinstance(facts, dict):
        raise errors.DeviceError("the gateway answered something that is not a JSON object", hint="is it a gateway?")
    return facts


def error_of(answer: httpx.Response) -> RingfenceError:
    """Give the error that an answer means; one that is no problem document is a device's."""
    try:
        problem = answer.json()
    except ValueError:
        problem = {}
    return _error(answer.status_code, problem if isinstance(problem, dict) else {})


def _error(status: int, problem: Mapping[str, Any]) -> RingfenceError:
    message = str(problem.get("detail") or f"the gateway answered {status}")
    hint = str(problem.get("hint", ""))
    if status == httpx.codes.FORBIDDEN:
        could_ask = tuple(str(line) for line in problem.get("could_ask", ()))
        return errors.DeniedError(
            message, clause=str(problem.get("clause", "")), could_ask=could_ask, receipt=str(problem.get("receipt", ""))
        )
    if status == httpx.codes.REQUEST_ENTITY_TOO_LARGE:
        value_max = problem.get("value_max")
        return errors.LimitExceededError(
            message,
            limit=str(problem.get("limit", "")),
            value_max=value_max if isinstance(value_max, int) else 0,
            hint=hint,
        )
    if status == httpx.codes.BAD_REQUEST:
        return errors.InvalidInputError(message, place=str(problem.get("place", "")), hint=hint)
    kinds: dict[int, type[RingfenceError]] = {
        401: errors.UnauthenticatedError,
        404: errors.NotFoundError,
        409: errors.ConflictError,
        503: errors.UnavailableError,
    }
    return kinds.get(status, errors.DeviceError)(message, hint=hint)


def _record(facts: Mapping[str, Any], receipt: str) -> Record:
    return Record(facts["record"], tuple(facts["classes"]), facts["fields"], receipt)


def path_of(*parts: str) -> str:
    """Give the path of a call, each part escaped.

    Raises:
        InvalidInputError: a part cannot be a name in a path.
    """
    for part in parts:
        if part in ("", ".", ".."):
            raise errors.InvalidInputError(f"{part!r} cannot be a name in a path", place="path")
        try:
            part.encode("utf-8")
        except UnicodeEncodeError:
            raise errors.InvalidInputError(f"{part!r:.80} is not UTF-8", place="path") from None
    return "/v1/" + "/".join(quote(part, safe="") for part in parts)
