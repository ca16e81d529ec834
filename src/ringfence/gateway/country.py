"""The country that a connection comes from: by its own address, or by what a named trusted proxy says of it."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from typing import Final

from ringfence.core.charter.terms import OTHER

ADDRESSES_CACHED_MAX: Final = 50_000
FORWARDED_SIZE_BYTES_MAX: Final = 1_024
DEVELOPMENT_SOURCE: Final = "development"

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class CountryFinder:
    """Finds countries.

    Args:
        locate: gives the ISO 3166 alpha-2 country of an address, or "" when it is not known.
        trusted_proxies: name to network; only these may speak for others, through `X-Forwarded-For`.
        loopback: in development, the country of a connection from this machine that speaks for nobody else; "": none.
    """

    def __init__(
        self, locate: Callable[[str], str], trusted_proxies: Mapping[str, Network], *, loopback: str = ""
    ) -> None:
        self._locate = locate
        self._loopback = loopback
        self._trusted = dict(trusted_proxies)
        self._known: dict[tuple[str, bytes], tuple[str, str]] = {}

    def find(self, peer: str, forwarded_for: bytes) -> tuple[str, str]:
        """Give the country (`OTHER` when not known) and its source: `connection`, `proxy NAME` or `development`."""
        known = self._known.get((peer, forwarded_for))
        if known is None:
            # What a stranger says of itself, and a word that is too long, would only fill the memory.
            if len(forwarded_for) > FORWARDED_SIZE_BYTES_MAX or (forwarded_for and self._proxy(peer) is None):
                return self._find(peer, forwarded_for)
            if len(self._known) >= ADDRESSES_CACHED_MAX:
                self._known.clear()
            known = self._known[(peer, forwarded_for)] = self._find(peer, forwarded_for)
        return known

    def _find(self, peer: str, forwarded_for: bytes) -> tuple[str, str]:
        proxy = self._proxy(peer)
        if self._loopback and _is_loopback(peer) and (proxy is None or not forwarded_for):
            return self._loopback, DEVELOPMENT_SOURCE
        if proxy is None:
            return self._country(peer), "connection"
        if not forwarded_for or len(forwarded_for) > FORWARDED_SIZE_BYTES_MAX:
            return OTHER, f"proxy {proxy}"
        # The rightmost address that is not a trusted proxy's is the last one that a trusted proxy saw.
        for hop in reversed([part.strip() for part in forwarded_for.decode("latin-1").split(",")]):
            if self._proxy(hop) is None:
                return self._country(hop), f"proxy {proxy}"
        return OTHER, f"proxy {proxy}"

    def _proxy(self, address: str) -> str | None:
        parsed = _parse(address)
        if parsed is None:
            return None
        for name, network in self._trusted.items():
            if parsed.version == network.version and parsed in network:
                return name
        return None

    def _country(self, address: str) -> str:
        parsed = _parse(address)
        return (self._locate(str(parsed)) or OTHER) if parsed else OTHER


def _parse(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Read an address; an IPv4 address in IPv6 form is the IPv4 address."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return None
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return mapped or parsed


def _is_loopback(address: str) -> bool:
    parsed = _parse(address)
    return parsed is not None and parsed.is_loopback
