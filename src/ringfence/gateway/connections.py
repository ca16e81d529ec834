"""How many connections one address may hold, and how long and how large what it sends may be.

Rules of this file:
1. A peer's address counts as a whole for IPv4; for IPv6 its /64 does, which is what one customer gets.
2. A trusted proxy speaks for many, so that it is not held to the limit of one.
3. Each gateway process counts for itself.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

STATE_KEY: Final = "connections"
"""Where the server's state has the `ConnectionGuard`, so that the protocol finds it in every process."""

IPV6_PREFIX_BITS: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLimits:
    """What one connection may do, and how many there may be.

    Attributes:
        head_size_bytes_max: of a request's line and headers together. Enforced as bytes arrive: a head that begins in
            the midst of what was read may be longer by as much again.
        head_seconds_max: from a connection's begin, or a head's first byte, to the head's end.
        body_seconds_max: without any byte of an expected body.
        answer_seconds_max: in which a peer that is behind must take some of its answer.
        per_address_max: connections of one address at once.
        connections_max: connections of all of them.
    """

    head_size_bytes_max: int = 32 * 1024
    head_seconds_max: float = 10.0
    body_seconds_max: float = 30.0
    answer_seconds_max: float = 30.0
    per_address_max: int = 256
    connections_max: int = 4096


class ConnectionGuard:
    """Counts the connections of each address in this process.

    Args:
        limits: see `ConnectionLimits`.
        trusted: networks of proxies that are not counted.
    """

    def __init__(self, limits: ConnectionLimits | None = None, *, trusted: Iterable[Network] = ()) -> None:
        self.limits = limits or ConnectionLimits()
        self._trusted = tuple(trusted)
        self._held: Counter[str] = Counter()

    def admit(self, address: str) -> str | None:
        """Take a connection and give what to hand to `leave`; None when its address has too many."""
        peer = self._peer(address)
        if peer and self._held[peer] >= self.limits.per_address_max:
            return None
        if peer:
            self._held[peer] += 1
        return peer

    def leave(self, peer: str) -> None:
        """Let a connection go."""
        if not peer:
            return
        self._held[peer] -= 1
        if self._held[peer] <= 0:
            del self._held[peer]

    def held(self) -> int:
        """Give how many counted connections there are."""
        return self._held.total()

    def _peer(self, address: str) -> str:
        """Give what an address counts as; "" for one that is not counted: a trusted proxy, or a socket without one."""
        try:
            parsed = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return ""
        if isinstance(parsed, ipaddress.IPv6Address):
            parsed = parsed.ipv4_mapped or parsed
        if any(parsed.version == network.version and parsed in network for network in self._trusted):
            return ""
        if parsed.version == 4:
            return str(parsed)
        return str(ipaddress.ip_network((parsed, IPV6_PREFIX_BITS), strict=False))
