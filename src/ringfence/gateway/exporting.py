"""A user's own export, streamed page by page: each page has its ledger entry before any of it is sent."""

from __future__ import annotations

from typing import Final

import msgspec

from ringfence.core.errors import DeniedError, RingfenceError
from ringfence.gateway.http import Send
from ringfence.gateway.problems import render_problem
from ringfence.services.custody.gate import Gate
from ringfence.services.custody.listing import list_records
from ringfence.services.custody.request import Caller

PAGE_RECORDS: Final = 500
CONTENT_TYPE: Final = b"application/x-ndjson"
_encode = msgspec.json.Encoder().encode


async def send_export(gate: Gate, caller: Caller, *, purpose: str, user: str, send: Send) -> None:
    """Send every record that this caller may export, one line of JSON each, then a line `{"complete": true}`.

    An error before the first page is an ordinary answer; one after it is the last line instead of `complete`.

    Raises:
        DeniedError: of no dataset anything may be exported.
    """
    started = False
    denied: DeniedError | None = None
    receipts: list[str] = []
    for dataset in gate.keeper.state.rules.datasets:
        after = b""
        while True:
            try:
                page = await list_records(
                    gate,
                    caller,
                    purpose=purpose,
                    verb="export",
                    user=user,
                    dataset=dataset,
                    after=after,
                    records_max=PAGE_RECORDS,
                )
            except RingfenceError as error:
                if isinstance(error, DeniedError) and not after:
                    denied = error  # nothing of this dataset; one that ends in the middle is not complete
                    break
                if not started:
                    raise
                _, problem = render_problem(error)
                await send({"type": "http.response.body", "body": problem + b"\n"})
                return
            if not started:
                started = True
                await _start(send)
            receipts.append(page.receipt)
            lines = [_encode({"dataset": dataset, "record": r.record, "fields": r.fields}) for r in page.records]
            if lines:
                await send({"type": "http.response.body", "body": b"\n".join(lines) + b"\n", "more_body": True})
            after = page.following
            if not after:
                break
    if not started:
        raise denied or DeniedError("the charter names no dataset that could be exported")
    await send({"type": "http.response.body", "body": _encode({"complete": True, "receipts": receipts}) + b"\n"})


async def _start(send: Send) -> None:
    headers = [(b"content-type", CONTENT_TYPE), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
