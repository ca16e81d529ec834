"""Who asks, and what for, as far as the charter is concerned."""

from __future__ import annotations

from typing import Final

import msgspec

from ringfence.core.decisions.ruling import Asked

ITEMS_PER_BATCH_MAX: Final = 200
"""Records that one request may name."""


class Caller(msgspec.Struct, frozen=True):
    """Who asks: a registered principal, and where this connection comes from (`OTHER` when it is not known).

    `country_from` names the source of the country: `connection`, or the trusted proxy's name. `grant` is the grant that
    the caller names, or 0; `build` the digest of the build that a service's credential names and `certificate` that of
    the certificate that it is bound to, or b"". `issuer` signed the caller's token, by the keys of which `issuer_keys`
    is the digest; b"" where no ledger needs to trust them.
    """

    principal: int
    country: str
    country_from: str = "connection"
    grant: int = 0
    build: bytes = b""
    certificate: bytes = b""
    issuer: str = ""
    issuer_keys: bytes = b""


class Request(msgspec.Struct, frozen=True):
    """What a caller asks for, as far as the charter is concerned.

    `shape` is `single` for one user and `bulk` for several; `records` is how many records are named at most.
    """

    caller: Caller
    purpose: str
    verb: str
    shape: str
    records: int

    def asked(self, dataset: str) -> Asked:
        """Give what is asked of one dataset ("" of every one), as an entry tells it."""
        caller = self.caller
        return Asked(
            caller.principal,
            caller.country,
            self.purpose,
            self.verb,
            dataset,
            self.shape,
            self.records,
            caller.grant,
            caller.build,
        )
