"""What a user's data says of the country: found with certainty, or silent with a reason; never an error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import maxminddb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence.core.countries import COUNTRIES
from ringfence.core.errors import ConfigurationError
from ringfence.core.jurisdiction import CONTRADICTORY, INSIDE, MISSING, OUTSIDE, determine
from ringfence.legacy import evidence
from ringfence.legacy.evidence import (
    DISTINCT_VALUES_MAX,
    AddressBook,
    EvidenceCollector,
    locate_declared,
    locate_phone,
)
from ringfence.synthetic.geography import write_geography
from tests.legacy.exports import load_charter


@pytest.fixture(scope="module")
def addresses(tmp_path_factory: pytest.TempPathFactory) -> AddressBook:
    path = tmp_path_factory.mktemp("geography") / "geography.mmdb"
    write_geography(path)
    return AddressBook(path)


# ---- declared --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "country"),
    [
        ("US", "US"),
        (" us ", "US"),
        ("USA", "US"),
        ("United States", "US"),
        ("united states of america", "US"),
        ("UK", "GB"),
        ("Norway", "NO"),
        ("NO", "NO"),
        ("Côte d'Ivoire", "CI"),
    ],
)
def test_a_declared_country_is_found_by_code_or_name(written: str, country: str) -> None:
    location = locate_declared(written)

    assert (location.country, location.reason) == (country, "")
    assert location.library.startswith("pycountry ")


@pytest.mark.parametrize(
    "written", ["", "  ", "Atlantis", "United", "XX", "ZZ", "840x", "x" * 10_000, "\x00", "Georgia, USA"]
)
def test_what_names_no_country_is_silent(written: str) -> None:
    location = locate_declared(written)

    assert location.country == ""
    assert location.reason


# ---- phone -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "declared", "country"),
    [
        ("+1 202-555-0143", "", "US"),
        ("+12025550143", "GB", "US"),
        ("(202) 555-0143", "US", "US"),
        ("+1 416 555 0123", "", "CA"),
        ("416-555-0123", "US", "CA"),
        ("+44 20 7946 0123", "", "GB"),
        ("020 7946 0123", "GB", "GB"),
        ("+61 2 5550 1234", "", "AU"),
        ("+353 20 910 0123", "", "IE"),
    ],
)
def test_a_phone_number_is_located(written: str, declared: str, country: str) -> None:
    location = locate_phone(written, declared_country=declared)

    assert (location.country, location.reason) == (country, "")
    assert location.library.startswith("phonenumbers ")


@pytest.mark.parametrize(
    ("written", "declared"),
    [
        ("(202) 555-0143", ""),  # national, of an unknown country
        ("(202) 555-0143", "ZZ"),
        ("+1 555 555 0100", ""),  # one of over twenty countries
        ("+800 1234 5678", ""),  # international freephone
        ("+999 123 4567", ""),
        ("+1 202", "US"),
        ("hello", "US"),
        ("", "US"),
        ("1" * 100_000, "US"),
        ("\ud800", "US"),
    ],
)
def test_a_phone_number_that_says_nothing_certain_is_silent(written: str, declared: str) -> None:
    location = locate_phone(written, declared_country=declared)

    assert location.country == ""
    assert location.reason


# ---- addresses -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "country"),
    [
        ("192.0.2.1", "US"),
        (" 192.0.2.1 ", "US"),
        ("::ffff:192.0.2.1", "US"),
        ("2001:db8:1::7", "US"),
        ("203.0.113.130", "CN"),
    ],
)
def test_an_address_is_located(addresses: AddressBook, written: str, country: str) -> None:
    location = addresses.locate(written)

    assert (location.country, location.reason) == (country, "")
    assert location.library == addresses.library


@pytest.mark.parametrize(
    "written",
    ["127.0.0.1", "::1", "203.0.113.250", "2001:db8:ffff::1", "192.0.2.256", "192.0.2.1:80", "", "x" * 10_000],
)
def test_an_address_that_nobody_placed_is_silent(addresses: AddressBook, written: str) -> None:
    location = addresses.locate(written)

    assert location.country == ""
    assert location.reason


def test_a_file_that_is_no_database_is_refused_when_it_is_opened(tmp_path: Path) -> None:
    write_geography(tmp_path / "whole.mmdb")
    with AddressBook(tmp_path / "whole.mmdb") as book:
        assert book.locate("192.0.2.1").country == "US"
    (tmp_path / "broken.mmdb").write_bytes((tmp_path / "whole.mmdb").read_bytes()[:-100])
    (tmp_path / "empty.mmdb").touch()
    for name in ("broken.mmdb", "empty.mmdb", "gone.mmdb", "."):
        with pytest.raises(ConfigurationError):
            AddressBook(tmp_path / name)


def test_any_damaged_byte_of_a_database_gives_an_answer_or_a_refusal(tmp_path: Path) -> None:
    path = tmp_path / "geography.mmdb"
    write_geography(path)
    content = path.read_bytes()
    for place in range(0, len(content), max(1, len(content) // 300)):
        damaged = bytearray(content)
        damaged[place] ^= 0xFF
        path.write_bytes(damaged)
        try:
            book = AddressBook(path)
        except ConfigurationError:
            continue
        for text in ("192.0.2.1", "2001:db8:1::7", "127.0.0.1"):
            assert book.locate(text).country in COUNTRIES | {""}


@given(st.text() | st.from_regex(r"\+?[0-9 ()\-]{0,20}", fullmatch=True), st.sampled_from(["", "US", "GB", "QQ"]))
def test_no_value_makes_a_look_up_fail(addresses: AddressBook, text: str, declared: str) -> None:
    for location in (locate_declared(text), locate_phone(text, declared_country=declared), addresses.locate(text)):
        assert location.country in COUNTRIES | {""}
        assert bool(location.country) != bool(location.reason)


# ---- one user --------------------------------------------------------------------------------------------------------


def reason_of(addresses: AddressBook | None, *records: tuple[str, dict[str, Any]]) -> str:
    """Give the verdict's reason for a user with these records."""
    rules = load_charter().jurisdiction
    collector = EvidenceCollector(rules, addresses)
    for dataset, record in records:
        collector.add(dataset, record)
    return determine(rules, collector.evidence()).reason


def test_evidence_that_agrees_decides_and_the_order_of_records_does_not_matter(addresses: AddressBook) -> None:
    records = [
        ("profile", {"telephoneNumber": "020 7946 0123"}),
        ("login_history", {"IP": "192.0.2.130"}),
        ("autofill", {"Country": "United Kingdom", "PhoneNumber": None}),
        ("watch_history", {"Country": "US", "IP": "192.0.2.1"}),
    ]

    assert reason_of(addresses, *records) == OUTSIDE
    assert reason_of(addresses, *reversed(records)) == OUTSIDE
    assert reason_of(addresses, *records[:2]) == OUTSIDE  # the national number alone is silent
    assert reason_of(addresses, ("login_history", {"IP": "192.0.2.1"})) == INSIDE


def test_evidence_that_differs_is_contradictory(addresses: AddressBook) -> None:
    declared = ("autofill", {"Country": "US"})

    assert reason_of(addresses, declared, ("login_history", {"IP": "192.0.2.130"})) == CONTRADICTORY
    assert reason_of(addresses, declared, ("login_history", {"IP": "192.0.2.1"})) == INSIDE


def test_evidence_that_says_nothing_is_missing(addresses: AddressBook) -> None:
    silent = [("autofill", {"Country": None}), ("profile", {"telephoneNumber": 5}), ("login_history", {"IP": ["x"]})]

    assert reason_of(addresses, *silent, ("login_history", {"IP": "127.0.0.1"})) == MISSING
    assert reason_of(None, ("login_history", {"IP": "192.0.2.1"})) == MISSING


def test_a_national_number_is_silent_where_two_countries_are_declared() -> None:
    for declared, country in ((["GB"], "GB"), (["GB", "UK"], "GB"), (["GB", "US"], "")):
        collector = EvidenceCollector(load_charter().jurisdiction, None)
        collector.add("profile", {"telephoneNumber": "020 7946 0123"})
        for written in declared:
            collector.add("autofill", {"Country": written})

        (phone,) = [item for item in collector.evidence().observations if item.kind == "phone"]
        assert phone.country == country


def test_equal_logins_are_one_observation_with_their_count(addresses: AddressBook) -> None:
    collector = EvidenceCollector(load_charter().jurisdiction, addresses)
    for number in range(50_000):
        collector.add("login_history", {"IP": f"192.0.2.{number % 100}"})

    (observation,) = collector.evidence().observations

    assert (observation.kind, observation.country, observation.count) == ("login_ip", "US", 50_000)
    assert observation.library == addresses.library


def test_what_a_user_can_make_the_collector_hold_is_bounded() -> None:
    collector = EvidenceCollector(load_charter().jurisdiction, None)
    for number in range(3 * DISTINCT_VALUES_MAX):
        collector.add("autofill", {"Country": f"Nowhere {number}" + "x" * 10_000})

    (observation,) = collector.evidence().observations
    assert observation.count == DISTINCT_VALUES_MAX


def test_network_is_asked_for_once_and_what_is_kept_of_networks_is_bounded(
    addresses: AddressBook, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "geography.mmdb"
    write_geography(path)
    texts = [f"{network}.{host}" for host in (1, 2) for network in ("192.0.2", "198.51.100", "203.0.113", "8.8.8")]
    texts += [f"2001:db8:{network}::{host}" for host in (1, 2) for network in (1, 2, 3)]
    expected = [maxminddb.open_database(path).get(text) for text in texts]
    asked: list[str] = []
    for networks_max in (evidence._CACHED_NETWORKS_MAX, 2):
        monkeypatch.setattr(evidence, "_CACHED_NETWORKS_MAX", networks_max)
        with AddressBook(path) as book:
            ask = book._ask
            monkeypatch.setattr(book, "_ask", lambda address, ask=ask: asked.append(str(address)) or ask(address))
            for text, record in zip(texts, expected, strict=True):
                assert book.locate(text).country == ((record or {}).get("country", {}).get("iso_code", ""))
            assert len(book._networks) <= networks_max
        assert "8.8.8.2" not in asked
        assert ("2001:db8:1::2" in asked) == (networks_max == 2)
        assert "192.0.2.2" in asked  # its network is smaller than those that are kept
        asked.clear()
