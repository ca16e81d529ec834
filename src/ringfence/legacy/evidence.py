"""Finds the country that a value of a user's data speaks for, with the libraries that know such things.

- A value that says nothing certain is silent, with a reason: a wrong vote would put a protected user outside, silence
  cannot. So a phone number whose code several countries share, and that no plan settles, is silent; so is an address
  that the database does not know.
- No value makes a look-up fail. Only a database that cannot be read is an error, and rises when it is opened.
- Every answer names the library and version that gave it: it is recorded, and never worked out again.
"""

from __future__ import annotations

import functools
import ipaddress
import os
from collections import Counter
from importlib import metadata
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

import maxminddb
import phonenumbers
import pycountry

from ringfence.core.charter import FieldReference, JurisdictionRules
from ringfence.core.countries import COUNTRIES, USUAL_MISTAKES
from ringfence.core.errors import ConfigurationError
from ringfence.core.jurisdiction import DECLARED, LOGIN_IP, PHONE, Evidence, Observation

VALUE_CHARACTERS_MAX: Final = 200
DISTINCT_VALUES_MAX: Final = 1000
_CACHED_VALUES_MAX: Final = 4096
_CACHED_NETWORKS_MAX: Final = 65_536
_NETWORK_SIZE_BYTES: Final = {4: 3, 6: 6}  # /24 and /48: what a site is given, so that its addresses are in one country

PHONE_LIBRARY: Final = f"phonenumbers {metadata.version('phonenumbers')}"
COUNTRY_LIBRARY: Final = f"pycountry {metadata.version('pycountry')}"


class Location(NamedTuple):
    """What a value says of the country.

    Attributes:
        country: ISO 3166-1 alpha-2 code; "" when the value is silent.
        library: what was asked, with its version.
        reason: why the value is silent; "" when it is not.
    """

    country: str
    library: str
    reason: str = ""


@functools.lru_cache(maxsize=_CACHED_VALUES_MAX)
def locate_declared(text: str) -> Location:
    """Find the country that a user wrote: a code of two or three letters or a name, however capitalised."""
    words = text.strip()
    if not words or len(words) > VALUE_CHARACTERS_MAX:
        return Location("", COUNTRY_LIBRARY, "no country is written")
    code = USUAL_MISTAKES.get(words.upper(), words.upper())
    if code in COUNTRIES:
        return Location(code, COUNTRY_LIBRARY)
    try:
        # `lookup` compares whole codes and names; `search_fuzzy` would guess.
        country = pycountry.countries.lookup(words)
    except LookupError:
        return Location("", COUNTRY_LIBRARY, "no country has this name or code")
    return _known(str(country.alpha_2), COUNTRY_LIBRARY)


@functools.lru_cache(maxsize=_CACHED_VALUES_MAX)
def locate_phone(text: str, *, declared_country: str = "") -> Location:
    """Find the country of a phone number.

    Args:
        text: in international form, or in the national form of the declared country.
        declared_country: alpha-2 code that the user declared; "" when there is none.
    """
    if len(text) > VALUE_CHARACTERS_MAX:
        return Location("", PHONE_LIBRARY, "it is no phone number")
    try:
        number = phonenumbers.parse(text, declared_country or None)
    except phonenumbers.NumberParseException:
        return Location("", PHONE_LIBRARY, "it is no phone number, or a national one of an unknown country")
    if not phonenumbers.is_possible_number(number):
        return Location("", PHONE_LIBRARY, "its length is no phone number's")
    sharing = phonenumbers.region_codes_for_country_code(number.country_code or 0)
    region = phonenumbers.region_code_for_number(number)
    if region is None and len(sharing) == 1:
        region = sharing[0]
    if region is None:
        return Location("", PHONE_LIBRARY, "several countries share its code")
    return _known(region, PHONE_LIBRARY)


class AddressBook:
    """Countries of network addresses, from an MMDB file whose records have `country.iso_code`.

    Args:
        path: the file; read into memory, so that replacing it while it is open changes nothing.

    Raises:
        ConfigurationError: the file cannot be read as such a database.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        try:  # not by its C extension, which ends the process on some damaged files
            self._reader = maxminddb.open_database(path, maxminddb.MODE_MEMORY)
        except (OSError, ValueError, maxminddb.InvalidDatabaseError) as error:
            raise ConfigurationError(
                f"{os.fspath(path)} cannot be read as a database of addresses ({type(error).__name__})",
                hint="give an MMDB file whose records have country.iso_code, such as GeoLite2-Country",
            ) from None
        about = self._reader.metadata()
        self.library = f"{about.database_type} {about.build_epoch}"
        self._networks: dict[bytes, Location] = {}
        self._locate = functools.lru_cache(maxsize=_CACHED_VALUES_MAX)(self._look_up)

    def locate(self, text: str) -> Location:
        """Find the country of an address, IPv4 or IPv6."""
        return self._locate(text)

    def close(self) -> None:
        """Give the memory back; nothing can be located after."""
        self._reader.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _look_up(self, text: str) -> Location:
        try:
            address = ipaddress.ip_address(text.strip()[:VALUE_CHARACTERS_MAX])
        except ValueError:
            return Location("", self.library, "it is no address")
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        network = address.packed[: _NETWORK_SIZE_BYTES[address.version]]
        location = self._networks.get(network)
        if location is None:
            location, prefix = self._ask(address)
            if prefix <= 8 * len(network):  # so that it is the answer for the whole network
                if len(self._networks) >= _CACHED_NETWORKS_MAX:
                    self._networks.clear()
                self._networks[network] = location
        return location

    def _ask(self, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> tuple[Location, int]:
        """Ask the database; gives how many bits of the address it looked at too."""
        try:
            record: Any
            record, prefix = self._reader.get_with_prefix_len(address)
        except (ValueError, maxminddb.InvalidDatabaseError):
            reason = "the database does not hold such addresses, or is damaged there"
            return Location("", self.library, reason), 8 * len(address.packed)
        country = record.get("country") if isinstance(record, dict) else None
        code = country.get("iso_code") if isinstance(country, dict) else None
        if not isinstance(code, str):
            return Location("", self.library, "the database does not know the address"), prefix
        return _known(code, self.library), prefix


class EvidenceCollector:
    """Gathers one user's evidence from records in any order, in bounded memory.

    Args:
        rules: where the charter says that evidence is found.
        addresses: where network addresses are; None leaves every login silent.
    """

    def __init__(self, rules: JurisdictionRules, addresses: AddressBook | None) -> None:
        self._locate = addresses.locate if addresses else _locate_nowhere
        self._declared: dict[FieldReference, Counter[str]] = {place: Counter() for place in rules.declared}
        self._phones: dict[FieldReference, Counter[str]] = {place: Counter() for place in rules.phone}
        self._logins: dict[FieldReference, Counter[Location]] = {place: Counter() for place in rules.login_ip}

    def add(self, dataset: str, record: dict[str, Any]) -> None:
        """Take what the record says, if the charter looks for evidence in its dataset.

        Of each field at most `DISTINCT_VALUES_MAX` different countries or phone numbers are kept.
        """
        for held in (self._declared, self._phones):
            for place, values in held.items():
                text = _text(record.get(place.field)) if place.dataset == dataset else ""
                if text and (text in values or len(values) < DISTINCT_VALUES_MAX):
                    values[text] += 1
        for place, locations in self._logins.items():
            if place.dataset == dataset and (text := _text(record.get(place.field))):
                locations[self._locate(text)] += 1

    def evidence(self) -> Evidence:
        """Give what was gathered: declared countries, then phone numbers, then logins, equal answers counted."""
        found: list[Observation] = []
        for place, values in self._declared.items():
            found.extend(_observe(DECLARED, place, _count(values, locate_declared)))
        declared = {item.country for item in found if item.country}
        # A national number can be read only where the user declared one country.
        declared_country = declared.pop() if len(declared) == 1 else ""
        for place, values in self._phones.items():
            locate = functools.partial(locate_phone, declared_country=declared_country)
            found.extend(_observe(PHONE, place, _count(values, locate)))
        for place, locations in self._logins.items():
            found.extend(_observe(LOGIN_IP, place, locations))
        return Evidence(tuple(found))


def _text(value: Any) -> str:
    if type(value) is int:  # a phone number written without quotation marks
        value = str(value)
    return value[: VALUE_CHARACTERS_MAX + 1] if isinstance(value, str) else ""


def _locate_nowhere(text: str) -> Location:
    return Location("", "", "there is no database of addresses")


def _count(values: Counter[str], locate: Any) -> Counter[Location]:
    locations: Counter[Location] = Counter()
    for text, count in values.items():
        locations[locate(text)] += count
    return locations


def _observe(kind: str, place: FieldReference, locations: Counter[Location]) -> list[Observation]:
    """One observation for each country and library; why values are silent is not kept."""
    merged: Counter[tuple[str, str]] = Counter()
    for location, count in locations.items():
        merged[location.country, location.library] += count
    return [
        Observation(kind=kind, dataset=place.dataset, field=place.field, country=country, count=count, library=library)
        for (country, library), count in merged.items()
    ]


def _known(country: str, library: str) -> Location:
    if country in COUNTRIES:
        return Location(country, library)
    return Location("", library, "it belongs to no single country")
