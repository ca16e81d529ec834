"""Only a named proxy is believed about where somebody else is."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence.core.charter.terms import OTHER
from ringfence.gateway import country
from ringfence.gateway.country import CountryFinder

PROXY, SECOND, OUTSIDE = "198.51.100.1", "198.51.100.2", "203.0.113.5"
US, SG, V6 = "192.0.2.10", "192.0.2.200", "2001:db8::7"
COUNTRIES = {US: "US", SG: "SG", V6: "DE", PROXY: "US", SECOND: "US", OUTSIDE: "SG"}
EDGE = ("US", "proxy edge")


@pytest.fixture
def finder() -> CountryFinder:
    return make_finder()


def make_finder() -> CountryFinder:
    networks = {
        "edge": ipaddress.ip_network("198.51.100.0/24"),
        "six": ipaddress.ip_network("2001:db8:1::/48"),
    }
    return CountryFinder(lambda address: COUNTRIES.get(address, ""), networks)


def test_connection_is_in_the_country_of_its_address(finder: CountryFinder) -> None:
    assert finder.find(US, b"") == ("US", "connection")
    assert finder.find(V6, b"") == ("DE", "connection")
    assert finder.find("203.0.113.99", b"") == (OTHER, "connection")


def test_what_a_stranger_says_of_itself_is_ignored_and_what_a_proxy_says_counts(finder: CountryFinder) -> None:
    assert finder.find(OUTSIDE, US.encode()) == ("SG", "connection")
    assert finder.find(PROXY, US.encode()) == EDGE
    assert finder.find(PROXY, SG.encode()) == ("SG", "proxy edge")


def test_what_a_caller_put_before_the_proxys_own_word_is_ignored(finder: CountryFinder) -> None:
    assert finder.find(PROXY, f"{US}, {SG}".encode()) == ("SG", "proxy edge")
    assert finder.find(PROXY, f"{SG}, {US}".encode()) == EDGE
    assert finder.find(PROXY, f"{US}, {PROXY}, {SG}".encode()) == ("SG", "proxy edge")


def test_chain_of_trusted_proxies_is_followed_to_whom_the_first_of_them_saw(finder: CountryFinder) -> None:
    assert finder.find(PROXY, f"{US}, {SG}, {SECOND}".encode()) == ("SG", "proxy edge")
    assert finder.find(PROXY, f"{US},{SECOND},{SECOND}".encode()) == EDGE
    assert finder.find("2001:db8:1::1", f"{US}, {SECOND}".encode()) == ("US", "proxy six")
    assert finder.find("2001:db8:2::1", f"{US}, {SECOND}".encode()) == (OTHER, "connection")


def test_proxy_that_names_nobody_but_proxies_places_nobody(finder: CountryFinder) -> None:
    assert finder.find(PROXY, b"") == (OTHER, "proxy edge")
    assert finder.find(PROXY, SECOND.encode()) == (OTHER, "proxy edge")
    assert finder.find(PROXY, f"{US}, {SECOND}".encode()) == EDGE


@pytest.mark.parametrize(
    "said",
    [
        b"unknown",
        b"_hidden",
        f"{US}:443".encode(),
        f"{US}/32".encode(),
        f"[{V6}]".encode(),
        b"192.0.2.010",
        b"3221225994",
        f"{US},".encode(),
        f"{US}, ,".encode(),
        f"{US};".encode(),
        f'"{US}"'.encode(),
        b"\xff\xfe",
        "192.0.2.1\u0660".encode(),
        f"{US} {US}".encode(),
        US.encode() + b"," * 1024,
        f"{SG}, ".encode() * 100 + US.encode(),
    ],
)
def test_malformed_word_of_a_proxy_places_nobody(finder: CountryFinder, said: bytes) -> None:
    assert finder.find(PROXY, said) == (OTHER, "proxy edge")
    assert finder.find(PROXY, f"  {US}\t".encode()) == EDGE


def test_ipv4_address_in_ipv6_form_is_the_ipv4_address(finder: CountryFinder) -> None:
    assert finder.find(f"::ffff:{US}", b"") == ("US", "connection")
    assert finder.find(f"::ffff:{PROXY}", f"::ffff:{SG}".encode()) == ("SG", "proxy edge")
    assert finder.find(f"::ffff:{OUTSIDE}", US.encode()) == ("SG", "connection")


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
def test_loopback_counts_as_a_country_where_development_says_so(peer: str) -> None:
    developing = CountryFinder(lambda address: COUNTRIES.get(address, ""), {}, loopback="US")
    assert developing.find(peer, b"") == ("US", "development")
    assert developing.find(peer, SG.encode()) == ("US", "development")
    assert make_finder().find(peer, b"") == (OTHER, "connection")


def test_development_country_is_of_nobody_but_loopback_speaking_for_itself() -> None:
    networks = {"edge": ipaddress.ip_network("127.0.0.1/32"), "far": ipaddress.ip_network("198.51.100.0/24")}
    developing = CountryFinder(lambda address: COUNTRIES.get(address, ""), networks, loopback="US")
    assert developing.find("127.0.0.1", b"") == ("US", "development")
    assert developing.find("127.0.0.1", SG.encode()) == ("SG", "proxy edge")
    assert developing.find("127.0.0.1", b"unknown") == (OTHER, "proxy edge")
    assert developing.find(PROXY, b"127.0.0.5") == (OTHER, "proxy far")
    assert developing.find(PROXY, b"") == (OTHER, "proxy far")
    assert developing.find(OUTSIDE, b"127.0.0.1") == ("SG", "connection")


def test_peer_without_an_address_is_in_no_country(finder: CountryFinder) -> None:
    for peer in ("", "/run/gateway.sock", "localhost"):
        assert finder.find(peer, US.encode()) == (OTHER, "connection")


@given(
    peer=st.sampled_from([PROXY, OUTSIDE, V6, ""]),
    said=st.binary(max_size=60) | st.text("0123456789.:, f", max_size=60).map(str.encode),
)
def test_anything_may_be_said_and_only_a_proxy_is_heard(peer: str, said: bytes) -> None:
    found, source = make_finder().find(peer, said)

    assert found in {*COUNTRIES.values(), OTHER}
    assert source == ("proxy edge" if peer == PROXY else "connection")
    if peer != PROXY:
        assert found == COUNTRIES.get(peer, OTHER)


def test_addresses_that_are_remembered_have_a_limit(finder: CountryFinder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(country, "ADDRESSES_CACHED_MAX", 10)
    for number in range(40):
        assert finder.find(f"192.0.2.{number}", b"") == (COUNTRIES.get(f"192.0.2.{number}", OTHER), "connection")
        assert len(finder._known) <= 10


def test_what_a_stranger_says_is_not_even_remembered(finder: CountryFinder) -> None:
    for number in range(100):
        finder.find(OUTSIDE, b"x" * 1000 + b"%d" % number)
    assert not finder._known

    for number in range(100):
        finder.find(PROXY, b"192.0.2.%d" % number)
    assert len(finder._known) == 100


def test_word_that_is_too_long_is_not_remembered(finder: CountryFinder) -> None:
    for number in range(100):
        assert finder.find(PROXY, b"%d" % number + b"," * country.FORWARDED_SIZE_BYTES_MAX) == (OTHER, "proxy edge")
    assert not finder._known
