"""The calls of governance: what people signed comes in, what is open and what was given goes out.

    GET    /v1/governance                      the ledger's name, genesis and epoch: what a statement is made with
    GET    /v1/proposals                       the open proposals
    POST   /v1/proposals                       propose a change
    GET    /v1/proposals/{number}/statement    the exact bytes to sign
    POST   /v1/proposals/{number}/approvals    approve; carries the change if that was the last it lacked
    POST   /v1/proposals/{number}/declines     decline
    POST   /v1/proposals/{number}/carry        carry, once a veto's time is over
    POST   /v1/orders                          order a change that takes authority away, or break-glass
    POST   /v1/subjects                        the references of users, to limit a grant to them
    GET    /v1/grants                          the caller's own grants

Who signs is found by the key and not by the token: a token only lets a registered caller speak to the gateway.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, TypeAlias

import msgspec

from ringfence.core.changes import operation_of
from ringfence.core.charter.document import TEXT_SIZE_BYTES_MAX
from ringfence.core.errors import DeniedError, InvalidInputError, NotFoundError
from ringfence.core.governance.proposals import declining_duties
from ringfence.core.governance.statement import STATEMENT_SIZE_BYTES_MAX
from ringfence.core.people.standing import GivenGrant, Proposal
from ringfence.core.state import State
from ringfence.gateway import http
from ringfence.gateway.bodies import Body
from ringfence.gateway.http import Receive
from ringfence.services.custody.gate import Gate
from ringfence.services.custody.naming import name_subjects
from ringfence.services.custody.request import Caller
from ringfence.services.governance.signed import Done, SignedGovernance, require_open, statement_of
from ringfence.services.governance.trials import Trials

SIGNATURE_SIZE_BYTES_MAX: Final = 4096
BODY_SIZE_BYTES_MAX: Final = 2 * (STATEMENT_SIZE_BYTES_MAX + SIGNATURE_SIZE_BYTES_MAX + TEXT_SIZE_BYTES_MAX)
OCTETS: Final = "application/octet-stream"

OpenGovernance: TypeAlias = Callable[[], AbstractAsyncContextManager[SignedGovernance]]
Reply: TypeAlias = tuple[int, bytes, str]
_encode = msgspec.json.Encoder().encode


class Signed(Body, frozen=True, forbid_unknown_fields=True):
    """A statement with its author's signature, both base64; `file` is the charter that it asks to enact."""

    statement: bytes
    signature: bytes
    file: bytes = b""


class Signature(Body, frozen=True, forbid_unknown_fields=True):
    """A signature over a proposal's statement, base64."""

    signature: bytes


class Users(Body, frozen=True, forbid_unknown_fields=True):
    """Users by the app's ids: at most 100."""

    users: list[str]


class GovernanceCalls:
    """Answers the calls of governance.

    Args:
        gate: the custody service, which names users.
        open_governance: takes the authority's lane for as long as a block runs.
    """

    def __init__(self, gate: Gate, open_governance: OpenGovernance) -> None:
        self._gate = gate
        self._open = open_governance
        self._trials = Trials()

    async def answer(self, method: str, parts: list[str], caller: Caller, receive: Receive) -> Reply | None:
        """Answer one call: (status, body, content type); None when it is none of governance's.

        Raises:
            DeniedError: the ledger is not governed, or the caller may not see this.
            InvalidInputError, NotFoundError, ConflictError: as the services say.
        """
        if method == "GET":  # what is written is held against the newest rules by who writes it
            await self._gate.keeper.refresh()
        match parts:
            case ["governance"] if method == "GET":
                return _json(200, _ground(self._governed(), caller))
            case ["proposals"] if method == "GET":
                return _json(200, {"proposals": await self._proposals()})
            case ["proposals"] if method == "POST":
                signed = await _body(receive, Signed)
                async with self._open() as governance:
                    done = await governance.propose(signed.statement, signed.signature, file=signed.file)
                return _json(201, _done(done))
            case ["proposals", number, "statement"] if method == "GET":
                return 200, self._statement(_number(number), caller), OCTETS
            case ["proposals", number, step] if method == "POST":
                return await self._step(_number(number), step, receive)
            case ["orders"] if method == "POST":
                signed = await _body(receive, Signed)
                async with self._open() as governance:
                    done = await governance.order(signed.statement, signed.signature)
                return _json(201, _done(done))
            case ["subjects"] if method == "POST":
                users = (await _body(receive, Users)).users
                subjects = await name_subjects(self._gate, caller, users)
                return _json(200, {"subjects": [subject.hex() for subject in subjects]})
            case ["grants"] if method == "GET":
                return _json(200, {"grants": self._grants(caller)})
            case _:
                return None

    async def _step(self, number: int, step: str, receive: Receive) -> Reply:
        self._governed()
        if step == "carry":
            async with self._open() as governance:
                return _json(200, _done(await governance.carry(number)))
        if step not in ("approvals", "declines"):
            raise NotFoundError(f"there is no call POST /v1/proposals/{number}/{step:.80}")
        signature = (await _body(receive, Signature)).signature
        async with self._open() as governance:
            take = governance.approve if step == "approvals" else governance.decline
            return _json(201, _done(await take(number, signature)))

    def _governed(self) -> State:
        state = self._gate.keeper.state
        if state.standing is None:
            raise DeniedError(
                "the ledger is not governed: one operator makes its rules",
                could_ask=["a governed ledger is founded by `ringfence init --ceremony`"],
            )
        return state

    async def _proposals(self) -> list[dict[str, Any]]:
        state, now_ms = self._governed(), self._gate.clock_ms()
        proposals = sorted(state.governed.proposals.items())
        return [
            _proposal(proposal, await self._trials.describe_wait(state, proposal, at_ms=now_ms))
            for _, proposal in proposals
            if now_ms < proposal.expires_ms
        ]

    def _statement(self, number: int, caller: Caller) -> bytes:
        """Give a statement to its author and to those who may approve or decline it."""
        state = self._governed()
        proposal = require_open(state, number)
        member = state.governed.members.get(caller.principal)
        now_ms = self._gate.clock_ms()
        may = declining_duties(state, proposal, at_ms=now_ms)
        active = member is not None and member.is_active(now_ms)
        duties = member.duties.keys() if member is not None and active else frozenset()
        if not active or (caller.principal != proposal.by and duties.isdisjoint(may)):
            raise DeniedError(
                f"proposal {number} is shown to its author and to those who may approve or decline it",
                could_ask=[f"a holder of {' or '.join(sorted(may))} may see it"],
            )
        return statement_of(state, number)[0]

    def _grants(self, caller: Caller) -> list[dict[str, Any]]:
        standing, now = self._governed().governed, self._gate.clock_ms()
        member = standing.members.get(caller.principal)
        is_active = member is not None and member.is_active(now)
        return [
            _grant(given, is_live=is_active and given.is_live(now))
            for _, given in sorted(standing.grants.items())
            if given.grant.person == caller.principal
        ]


def _ground(state: State, caller: Caller) -> dict[str, Any]:
    ground = {"origin": state.origin, "genesis": state.genesis.hex(), "epoch": state.epoch, "mode": state.mode}
    return {**ground, "caller": caller.principal}


def _proposal(proposal: Proposal, waits_for: str) -> dict[str, Any]:
    return {
        "number": proposal.number,
        "operation": operation_of(proposal.change),
        "change": msgspec.to_builtins(proposal.change),
        "by": proposal.by,
        "at_ms": proposal.at_ms,
        "expires_ms": proposal.expires_ms,
        "approved_by": [approval.person for approval in proposal.approvals],
        "waits_for": waits_for,
    }


def _grant(given: GivenGrant, *, is_live: bool) -> dict[str, Any]:
    return {
        "number": given.number,
        "grant": msgspec.to_builtins(given.grant),
        "given_ms": given.given_ms,
        "until_ms": given.until_ms,
        "ended": bool(given.ended),
        "live": is_live,
        "review_until_ms": given.review_until_ms,
        "reviewed": bool(given.reviewed),
    }


def _done(done: Done) -> dict[str, Any]:
    return {
        "epoch": done.epoch,
        "proposal": done.proposal,
        "number": done.number,
        "carried": done.is_carried,
        "waits_for": done.waits_for,
    }


async def _body(receive: Receive, kind: type[http.Body]) -> http.Body:
    return http.parse_body(await http.read_body(receive, size_bytes_max=BODY_SIZE_BYTES_MAX), kind)


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 15:
        raise InvalidInputError("a proposal is named by its number", place="path")
    return int(text)


def _json(status: int, facts: dict[str, Any]) -> Reply:
    return status, _encode(facts), "application/json"
