"""Plain ASGI: reading a request within limits, sending an answer. No framework on the hot path."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from http import HTTPStatus
from typing import Any, Final, TypeVar
from urllib.parse import parse_qsl, unquote_to_bytes

import msgspec

from ringfence.core.errors import InvalidInputError, LimitExceededError
from ringfence.core.exact_json import parse_exact_json

Body = TypeVar("Body")
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

BODY_SIZE_BYTES_MAX: Final = 8 * 1024 * 1024
QUERY_SIZE_BYTES_MAX: Final = 4_096
PATH_SIZE_BYTES_MAX: Final = 4_096
QUERIES_CACHED_MAX: Final = 4_096
JSON: Final = b"application/json"
CERTIFICATE: Final = "ringfence.client_certificate"
"""Where a request's scope has the SHA-256 of the certificate that its connection showed; b"" for none."""
_STATUS_LINES: Final[dict[int, bytes]] = {
    int(status): b"HTTP/1.1 %d %b\r\n" % (status, status.phrase.encode()) for status in HTTPStatus
}

_queries: dict[bytes, Mapping[str, str]] = {}


def header(scope: Scope, name: bytes) -> bytes:
    """Give a header's value, or b""; of a header that is there twice, the last."""
    found = b""
    for key, value in scope["headers"]:
        if key == name:
            found = value
    return found


def query(raw: bytes) -> Mapping[str, str]:
    """Give the parameters of a query, which comes without its "?".

    Raises:
        InvalidInputError: it is too long, not text, or names a parameter twice.
    """
    known = _queries.get(raw)
    if known is None:
        if len(raw) > QUERY_SIZE_BYTES_MAX:
            raise InvalidInputError(f"the query is longer than {QUERY_SIZE_BYTES_MAX} bytes", place="query")
        try:
            pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, strict_parsing=bool(raw), errors="strict")
        except ValueError:
            raise InvalidInputError("the query cannot be read", place="query") from None
        known = dict(pairs)
        if len(known) != len(pairs):
            raise InvalidInputError("the query names a parameter twice", place="query")
        if len(_queries) >= QUERIES_CACHED_MAX:
            _queries.clear()
        _queries[raw] = known
    return known


def segments(raw: bytes) -> list[str]:
    """Give a path's segments after the first "/", each percent-decoded by itself.

    Raises:
        InvalidInputError: it is too long, or not UTF-8.
    """
    if len(raw) > PATH_SIZE_BYTES_MAX:
        raise InvalidInputError(f"the path is longer than {PATH_SIZE_BYTES_MAX} bytes", place="path")
    try:
        if b"%" not in raw:
            return raw.decode("ascii")[1:].split("/")
        return [unquote_to_bytes(part).decode("utf-8") for part in raw[1:].split(b"/")]
    except UnicodeDecodeError:
        raise InvalidInputError("the path is not UTF-8", place="path") from None


async def read_body(receive: Receive, *, size_bytes_max: int = BODY_SIZE_BYTES_MAX) -> bytes:
    """Read a request's body.

    Raises:
        LimitExceededError: it is larger than `size_bytes_max`; the rest is not read.
    """
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise InvalidInputError("the connection ended inside the body", place="body")
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > size_bytes_max:
            raise LimitExceededError(
                f"the body is larger than {size_bytes_max} bytes", limit="body_size_bytes_max", value_max=size_bytes_max
            )
        chunks.append(chunk)
        if not message.get("more_body", False):
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def parse_body(body: bytes, kind: type[Body]) -> Body:
    """Read a JSON body as a value of this kind.

    Unknown members, wrong types, and whatever a decoder would lose without a word are refused.

    Raises:
        InvalidInputError: says where and what was expected.
    """
    try:
        return msgspec.convert(parse_exact_json(body), kind)
    except InvalidInputError as error:
        raise InvalidInputError(
            f"the body cannot be kept as it is: {error.message}", place="body", hint=error.hint
        ) from None
    except msgspec.ValidationError as error:
        raise InvalidInputError(f"the body is not what this call takes: {error}", place="body") from None


async def send(
    send_message: Send,
    status: int,
    body: bytes,
    *,
    content_type: bytes = JSON,
    headers: tuple[tuple[bytes, bytes], ...] = (),
) -> None:
    """Send a whole answer."""
    all_headers = _all_headers(body, content_type, headers)
    await send_message({"type": "http.response.start", "status": status, "headers": all_headers})
    await send_message({"type": "http.response.body", "body": body})


def render_answer(
    status: int, body: bytes, *, content_type: bytes = JSON, headers: tuple[tuple[bytes, bytes], ...] = ()
) -> bytes:
    """Give a whole answer as it goes over the wire: what `send` has the server send."""
    lines = [b"%b: %b\r\n" % header for header in _all_headers(body, content_type, headers)]
    return b"".join((_STATUS_LINES[status], *lines, b"\r\n", body))


def _all_headers(
    body: bytes, content_type: bytes, headers: tuple[tuple[bytes, bytes], ...]
) -> list[tuple[bytes, bytes]]:
    return [
        (b"content-type", content_type),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-store"),
        *headers,
    ]
