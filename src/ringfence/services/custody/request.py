"""Who asks, and what for, as far as the charter is concerned."""

from __future__ import annotations

import msgspec


class Caller(msgspec.Struct, frozen=True):
    """Who asks: a registered principal, and where this connection comes from (`OTHER` when it is not known).

    `country_from` names the source of the country: `connection`, or the trusted proxy's name.
    """

    principal: int
    country: str
    country_from: str = "connection"


class Request(msgspec.Struct, frozen=True):
    """What a caller asks for, as far as the charter is concerned.

    `shape` is `single` for one user and `bulk` for several; `records` is how many records are named at most.
    """

    caller: Caller
    purpose: str
    verb: str
    shape: str
    records: int
