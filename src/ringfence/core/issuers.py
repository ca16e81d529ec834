"""Issuers of tokens: whose tokens are taken in a governed ledger, and which names are this program's own."""

from __future__ import annotations

from typing import Final

from ringfence.core.state import State

OWN_PREFIX: Final = "ringfence:"
CREDENTIALS_ISSUER: Final = "ringfence:credentials"
"""Signs credentials for approved builds; the one issuer of our own that a ledger trusts by the digest of its keys."""


def is_own(name: str) -> bool:
    """Tell whether a name stands for an issuer of this program's own, however it is spelled."""
    return name.strip().lower().startswith(OWN_PREFIX)


def is_trustable(name: str) -> bool:
    """Tell whether a ledger can trust an issuer of this name: who signs as one of our own would be one of them."""
    return name == CREDENTIALS_ISSUER or not is_own(name)


def is_trusted(state: State, name: str, keys: bytes) -> bool:
    """Tell whether tokens of an issuer are taken.

    Args:
        state: of then. In a ledger that is not governed the settings alone decide.
        name: the issuer's.
        keys: SHA-256 (32 bytes) of the file with its JWK set.
    """
    return state.standing is None or state.standing.issuers.get(name) == keys
