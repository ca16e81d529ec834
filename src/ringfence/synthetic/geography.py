"""Where made-up users are: documentation networks placed in countries, and phone numbers that regulators keep unused.

- Networks: RFC 5737 (IPv4) and RFC 3849 (IPv6). Part of them, and all real networks with the loopback among them, are
  placed nowhere, so that an address can also be unknown.
- Phone numbers: only ranges that a regulator reserves for drama or examples. A country that reserves none has no
  phone numbers here: any other number could be somebody's.
"""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass
from typing import Final

from ringfence.core.errors import ConfigurationError

DATABASE_TYPE: Final = "Ringfence-Documentation-Networks"
UNPLACED_NETWORKS: Final = ("203.0.113.192/26", "2001:db8:ffff::/48")
DOCUMENTATION_NETWORKS: Final = ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")


@dataclass(frozen=True, slots=True)
class PhoneRange:
    """Reserved numbers: after the country's `code`, `prefix` and then `digits` digits that begin at `first`.

    `trunk` is dialled before them inside the country.
    """

    code: str
    prefix: str
    digits: int
    first: int = 0
    trunk: str = "0"

    def international(self, number: int) -> str:
        """Render one of the numbers with its country code; `number` wraps around."""
        return f"+{self.code}{self.prefix}{self._rest(number)}"

    def national(self, number: int) -> str:
        """Render one of the numbers as it is dialled inside the country."""
        return f"{self.trunk}{self.prefix}{self._rest(number)}"

    def _rest(self, number: int) -> str:
        return str(self.first + number % (10**self.digits - self.first)).zfill(self.digits)


@dataclass(frozen=True, slots=True)
class Place:
    """A country that made-up users come from.

    Attributes:
        country: ISO 3166-1 alpha-2 code.
        spellings: how its users write it.
        locale: whose names and towns they have.
        share: how many of a hundred users.
        ipv4, ipv6: its part of the documentation networks.
        phones: its reserved ranges; empty where its regulator reserves none.
    """

    country: str
    spellings: tuple[str, ...]
    locale: str
    share: int
    ipv4: str
    ipv6: str
    phones: tuple[PhoneRange, ...] = ()


def _north_american(*areas: str) -> tuple[PhoneRange, ...]:
    """555-0100 to 555-0199 in each area, kept for fiction by the numbering plan's administrator."""
    return tuple(PhoneRange("1", f"{area}55501", 2, trunk="") for area in areas)


PLACES: Final = (
    Place(
        "US",
        ("US", "United States", "USA"),
        "en_US",
        36,
        "192.0.2.0/25",
        "2001:db8:1::/48",
        _north_american("202", "212", "213", "305", "312", "404", "415", "503", "512", "617", "702", "713", "808"),
    ),
    # Ofcom's numbers for drama.
    Place(
        "GB",
        ("GB", "United Kingdom", "UK"),
        "en_GB",
        9,
        "192.0.2.128/26",
        "2001:db8:2::/48",
        (PhoneRange("44", "2079460", 3), PhoneRange("44", "1614960", 3), PhoneRange("44", "1314960", 3)),
    ),
    Place(
        "CA",
        ("CA", "Canada"),
        "en_CA",
        7,
        "192.0.2.192/26",
        "2001:db8:3::/48",
        _north_american("416", "514", "604", "780"),
    ),
    # ACMA's numbers for creative works.
    Place(
        "AU",
        ("AU", "Australia"),
        "en_AU",
        6,
        "198.51.100.0/27",
        "2001:db8:4::/48",
        (PhoneRange("61", "25550", 4), PhoneRange("61", "37010", 4)),
    ),
    # ComReg's range for drama.
    Place("IE", ("IE", "Ireland"), "en_IE", 4, "198.51.100.32/27", "2001:db8:5::/48", (PhoneRange("353", "20910", 4),)),
    # ARCEP's ranges for audiovisual works.
    Place(
        "FR",
        ("FR", "France"),
        "fr_FR",
        7,
        "198.51.100.64/27",
        "2001:db8:6::/48",
        (PhoneRange("33", "19900", 4), PhoneRange("33", "63998", 4)),
    ),
    # Bundesnetzagentur's numbers for media.
    Place(
        "DE",
        ("DE", "Germany"),
        "de_DE",
        7,
        "198.51.100.96/27",
        "2001:db8:7::/48",
        (PhoneRange("49", "3023125", 3), PhoneRange("49", "4066969", 3)),
    ),
    # PTS's numbers for books and films: 070-1740605 to 070-1740699.
    Place(
        "SE",
        ("SE", "Sweden"),
        "sv_SE",
        4,
        "198.51.100.128/27",
        "2001:db8:8::/48",
        (PhoneRange("46", "7017406", 2, first=5),),
    ),
    Place("SG", ("SG", "Singapore"), "en_US", 4, "198.51.100.160/27", "2001:db8:9::/48"),
    Place("JP", ("JP", "Japan"), "ja_JP", 6, "198.51.100.192/27", "2001:db8:a::/48"),
    Place("BR", ("BR", "Brazil"), "pt_BR", 5, "198.51.100.224/27", "2001:db8:b::/48"),
    Place("IN", ("IN", "India"), "en_IN", 5, "203.0.113.0/27", "2001:db8:c::/48"),
)

NETWORKS_WITHOUT_USERS: Final = (("CN", "203.0.113.128/26"), ("CN", "2001:db8:d::/48"))
"""Placed too, for people at work rather than users."""


def write_geography(path: str | os.PathLike[str]) -> None:
    """Write an MMDB file that places the documentation networks in countries, and nothing else anywhere.

    Raises:
        ConfigurationError: the libraries of the `demo` extra are not installed.
    """
    try:
        from mmdb_writer import MMDBWriter
        from netaddr import IPSet
    except ImportError as error:
        raise missing_extra(error) from None
    placed = [(place.country, network) for place in PLACES for network in (place.ipv4, place.ipv6)]
    writer = MMDBWriter(
        ip_version=6,
        ipv4_compatible=True,
        database_type=DATABASE_TYPE,
        languages=["en"],
        description="Documentation networks (RFC 5737, RFC 3849) placed in countries for tests",
    )
    for country, network in (*placed, *NETWORKS_WITHOUT_USERS):
        writer.insert_network(IPSet([network]), {"country": {"iso_code": country}})
    writer.to_db_file(os.fspath(path))


def address_in(network: str, number: int) -> str:
    """Give one host address of a network; `number` wraps around."""
    block = ipaddress.ip_network(network)
    usable = min(block.num_addresses - 2, 1 << 32)
    return str(block[1 + number % usable])


def missing_extra(error: ImportError) -> ConfigurationError:
    """Make the error for a library of the `demo` extra that is not there."""
    return ConfigurationError(
        f"making synthetic data needs {error.name}, which is not installed",
        hint="install the program with its demo extra: pip install 'ringfence[demo]'",
    )
