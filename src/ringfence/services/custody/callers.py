"""Who asks, by the newest rules: whose token still counts, and which party it speaks for."""

from __future__ import annotations

from ringfence.core.charter.terms import OTHER
from ringfence.core.errors import UnauthenticatedError
from ringfence.core.issuers import is_trusted
from ringfence.services.custody.gate import Gate
from ringfence.services.custody.request import Caller


def check_caller(gate: Gate, caller: Caller) -> None:
    """Refuse a caller whose token is not taken any more by the newest rules. No entry is written for one.

    Raises:
        UnauthenticatedError: the ledger does not trust the issuer by these keys, or has no such credential.
    """
    state = gate.keeper.state
    standing = state.standing
    if (
        caller.build
        and standing is not None
        and not standing.has_credential(caller.principal, caller.build, caller.certificate, at_ms=gate.clock_ms())
    ):
        raise UnauthenticatedError(
            "the ledger has no such credential for this service, build and certificate",
            hint="one that was given just now is known here within a second; get another where it ended",
        )
    if caller.issuer_keys and not is_trusted(state, caller.issuer, caller.issuer_keys):
        raise UnauthenticatedError(
            f"tokens of the issuer {caller.issuer} are not taken any more", hint="get one from a trusted issuer"
        )


def party_of(gate: Gate, caller: Caller) -> str:
    """Give the party that a caller belongs to, or `OTHER`."""
    who = gate.keeper.state.principals.get(caller.principal)
    return who.party if who else OTHER
