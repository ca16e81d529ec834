"""Issuers of tokens: whose tokens are taken in a governed ledger, and which names are this program's own."""

from __future__ import annotations

from typing import Final

from ringfence.core.ledger.entry import DEVELOPMENT
from ringfence.core.state import State

OWN_PREFIX: Final = "ringfence:"
CREDENTIALS_ISSUER: Final = "ringfence:credentials"
"""Signs credentials for approved builds; the one issuer of our own that a ledger trusts by the digest of its keys."""


LOCAL_ISSUER: Final = "ringfence:local"
"""Stands for the tools on the custodian's host, which call without a token; nobody signs as it."""

DEVELOPMENT_ISSUER: Final = "ringfence:development"
"""Signs development tokens; taken in development mode, governed or not."""


def is_own(name: str) -> bool:
    """Tell whether a name stands for an issuer of this program's own, however it is spelled."""
    return name.strip().lower().startswith(OWN_PREFIX)


def is_trustable(name: str) -> bool:
    """Tell whether a ledger can trust an issuer of this name: who signs as one of our own would be one of them."""
    return name == CREDENTIALS_ISSUER or not is_own(name)


def can_call(state: State, name: str) -> bool:
    """Tell whether anybody who is known by an issuer of this name can call at all, whatever the issuer's keys are.

    Args:
        state: of then. In a ledger that is not governed the settings alone decide, and nobody is shut out by it.
        name: the issuer's.
    """
    if state.standing is None or name in state.standing.issuers or name == LOCAL_ISSUER:
        return True
    return name == DEVELOPMENT_ISSUER and state.mode == DEVELOPMENT


def is_trusted(state: State, name: str, keys: bytes) -> bool:
    """Tell whether tokens of an issuer are taken.

    Args:
        state: of then. In a ledger that is not governed the settings alone decide.
        name: the issuer's.
        keys: SHA-256 (32 bytes) of the file with its JWK set.
    """
    return state.standing is None or state.standing.issuers.get(name) == keys
