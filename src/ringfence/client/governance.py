"""The calls of governance, for people's own programs: what is open, what to sign, and what was signed."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any

from ringfence.client.client import Client, facts_of, path_of


class GovernanceClient(Client):
    """Calls one gateway on behalf of somebody who signs; made as a `Client` is.

    Every method raises what the gateway means: DeniedError (a key that is not enrolled, or not this caller's to see),
    ConflictError (the rules do not allow it: says by which rule), NotFoundError, InvalidInputError.
    """

    def ground(self) -> Mapping[str, Any]:
        """Give the ledger's `origin`, `genesis` (hex), `epoch` and `mode`, which a statement is made with.

        `caller` is the number of whoever asks.
        """
        return facts_of(self._send("GET", path_of("governance")))

    def proposals(self) -> list[Mapping[str, Any]]:
        """Give the open proposals: number, operation, change, who asked, who approved, what is still missing."""
        found: list[Mapping[str, Any]] = facts_of(self._send("GET", path_of("proposals")))["proposals"]
        return found

    def statement(self, proposal: int) -> bytes:
        """Give the exact bytes of a proposal's statement, to be read and signed."""
        return self._send("GET", path_of("proposals", str(proposal), "statement")).content

    def propose(self, statement: bytes, signature: bytes, *, file: bytes = b"") -> Mapping[str, Any]:
        """Propose a change; `file` is the charter that it asks to enact."""
        body = {"statement": _text(statement), "signature": _text(signature), "file": _text(file)}
        return facts_of(self._send("POST", path_of("proposals"), body=body, attempts_max=1))

    def approve(self, proposal: int, signature: bytes) -> Mapping[str, Any]:
        """Approve a proposal."""
        return self._step(proposal, "approvals", {"signature": _text(signature)})

    def decline(self, proposal: int, signature: bytes) -> Mapping[str, Any]:
        """Decline a proposal, which ends it."""
        return self._step(proposal, "declines", {"signature": _text(signature)})

    def carry(self, proposal: int) -> Mapping[str, Any]:
        """Put a proposal's change in effect, once nothing is missing."""
        return self._step(proposal, "carry", {})

    def order(self, statement: bytes, signature: bytes) -> Mapping[str, Any]:
        """Order a change that takes authority away, or break-glass."""
        body = {"statement": _text(statement), "signature": _text(signature)}
        return facts_of(self._send("POST", path_of("orders"), body=body, attempts_max=1))

    def name_users(self, users: Sequence[str]) -> list[bytes]:
        """Give the references (16 bytes each) of users, so that a grant can be limited to them."""
        answer = self._send("POST", path_of("subjects"), body={"users": list(users)}, attempts_max=1)
        return [bytes.fromhex(text) for text in facts_of(answer)["subjects"]]

    def grants(self) -> list[Mapping[str, Any]]:
        """Give the caller's own grants."""
        found: list[Mapping[str, Any]] = facts_of(self._send("GET", path_of("grants")))["grants"]
        return found

    def _step(self, proposal: int, step: str, body: Mapping[str, str]) -> Mapping[str, Any]:
        path = path_of("proposals", str(proposal), step)
        return facts_of(self._send("POST", path, body=dict(body), attempts_max=1))


def _text(data: bytes) -> str:
    return b64encode(data).decode("ascii")
