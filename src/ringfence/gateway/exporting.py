"""A user's own export, streamed page by page: each page has its ledger entry before any of it is sent.

Rules of this file:
1. What is permitted when it begins is what it is of. When less is permitted later (a grant was revoked or narrowed, has
   expired or is used up, a flow was suspended, the charter changed) it ends before the next page, and its last line
   says why: what is cut is never `complete`.
2. Under a grant pages are small: all that is asked for counts.
"""

from __future__ import annotations

from typing import Final

import msgspec

from ringfence.core.errors import DeniedError, RingfenceError
from ringfence.gateway.http import Send
from ringfence.gateway.problems import render_problem
from ringfence.services.custody.gate import Gate
from ringfence.services.custody.listing import Page, list_records
from ringfence.services.custody.request import Caller, Request
from ringfence.services.custody.request_checks import check_name, check_purpose, find_dataset

PAGE_RECORDS: Final = 500
GRANTED_PAGE_RECORDS: Final = 10
CONTENT_TYPE: Final = b"application/x-ndjson"
_encode = msgspec.json.Encoder().encode


async def send_export(gate: Gate, caller: Caller, *, purpose: str, user: str, send: Send) -> None:
    """Send every record that this caller may export, one line of JSON each, then a line `{"complete": true}`.

    An error before the first page is an ordinary answer; one after it is the last line instead of `complete`.

    Raises:
        DeniedError: of no dataset anything may be exported.
    """
    check_purpose(gate, purpose)
    check_name(user, "user")
    export = _Export(gate, caller, purpose, user)
    permitted = {name: export.classes_of(name) for name in gate.keeper.state.rules.datasets}
    datasets = [name for name, classes in permitted.items() if classes] or [*permitted][:1]  # one is refused in words
    started = False
    receipts: list[str] = []
    try:
        for dataset in datasets:
            after = b""
            while True:
                page = await export.page(dataset, after, permitted[dataset])
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
    except RingfenceError as error:
        if not started:
            raise
        _, problem = render_problem(error)
        await send({"type": "http.response.body", "body": problem + b"\n"})
        return
    if not started:
        raise DeniedError("the charter names no dataset that could be exported")
    await send({"type": "http.response.body", "body": _encode({"complete": True, "receipts": receipts}) + b"\n"})


class _Export:
    """What all pages of an export have in common."""

    def __init__(self, gate: Gate, caller: Caller, purpose: str, user: str) -> None:
        self._gate = gate
        self._caller = caller
        self._purpose = purpose
        self._user = user
        standing = gate.keeper.state.standing
        given = standing.grants.get(caller.grant) if standing and caller.grant else None
        self._page_records = min(GRANTED_PAGE_RECORDS, given.grant.records_max) if given else PAGE_RECORDS

    def classes_of(self, dataset: str) -> frozenset[str]:
        """Give the classes of a dataset that may be exported now."""
        gate = self._gate
        request = Request(self._caller, self._purpose, "export", "single", self._page_records)
        ruling = gate.rulings.rule(gate.keeper.state, request, find_dataset(gate, dataset), at_ms=gate.clock_ms())
        return frozenset(ruling.permitted)

    async def page(self, dataset: str, after: bytes, needed: frozenset[str]) -> Page:
        """Give one page, of these classes at least."""
        return await list_records(
            self._gate,
            self._caller,
            purpose=self._purpose,
            verb="export",
            user=self._user,
            dataset=dataset,
            after=after,
            records_max=self._page_records,
            needed=needed,
        )


async def _start(send: Send) -> None:
    headers = [(b"content-type", CONTENT_TYPE), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
