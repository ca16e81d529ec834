"""Entries and openings: each has one spelling, and any bytes are one or refused."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence.core.errors import ProofInvalidError
from ringfence.core.ledger import entry as e
from tests.core.ledger.any_entry import LEAVES, OPENINGS
from tests.core.mutation import mutated

SALT = bytes(e.SALT_SIZE_BYTES)
ACCESS = e.render_entry(
    e.Access(
        verb="read",
        principal=1,
        country="US",
        purpose="serve",
        dataset="person",
        decided={"protected": "serving", "public": ""},
        records=1,
        about=bytes(32),
        counted=e.Count(counter="bulk/serving", ordinal=1, amount=1, total=1, day=20_000),
    )
)
ABOUT = e.render_opening(SALT, e.About(subjects=[bytes(16)], written=[e.Written(bytes(16), "public", 1, bytes(32))]))


@given(LEAVES)
def test_entry_reads_back_as_what_it_was(leaf: e.AnyLeaf) -> None:
    data = e.render_entry(leaf)

    assert e.parse_entry(data) == leaf
    assert type(e.parse_entry(data)) is type(leaf)
    assert data.startswith(e.RULE_PREFIX) is isinstance(leaf, e.RULE_TYPES)


@given(st.binary(max_size=300) | mutated(ACCESS))
def test_any_bytes_are_an_entry_in_its_one_spelling_or_refused(data: bytes) -> None:
    with contextlib.suppress(ProofInvalidError):
        assert e.render_entry(e.parse_entry(data)) == data


@given(LEAVES.flatmap(lambda leaf: mutated(e.render_entry(leaf))))
def test_changed_entry_is_another_one_or_refused(data: bytes) -> None:
    with contextlib.suppress(ProofInvalidError):
        assert e.render_entry(e.parse_entry(data)) == data


@pytest.mark.parametrize(
    ("place", "spelling"),
    [
        (b"{", b"{ "),
        (b'"records":1', b'"records":1.0'),
        (b'"records":1', b'"records":1e0'),
        (b'"records":1', b'"records":1,"records":1'),
        (b'"records":1', b'"records":1,"shape":"single"'),
        (b'"country":"US"', b'"country":"\\u0055S"'),
        (b'"about":"AAAA', b'"about":"AAA'),
        (b'"principal":1', b'"principal":1,"more":2'),
        (b'"verb":"read","principal":1', b'"principal":1,"verb":"read"'),
        (b'"protected":"serving","public":""', b'"public":"","protected":"serving"'),
        (b'"kind":"access"', b'"kind":"accessed"'),
    ],
)
def test_second_spelling_of_an_entry_is_refused(place: bytes, spelling: bytes) -> None:
    assert place in ACCESS
    e.parse_entry(ACCESS)

    with pytest.raises(ProofInvalidError):
        e.parse_entry(ACCESS.replace(place, spelling, 1))


@pytest.mark.parametrize(("extra", "is_taken"), [(0, True), (1, False)])
def test_entry_is_held_to_its_size(extra: int, is_taken: bool) -> None:
    empty = len(e.render_entry(e.LaneRecovered(lane=1, n=1, reason="")))
    data = e.render_entry(e.LaneRecovered(lane=1, n=1, reason="a" * (e.ENTRY_SIZE_BYTES_MAX - empty + extra)))

    if is_taken:
        e.parse_entry(data)
    else:
        with pytest.raises(ProofInvalidError, match="too long"):
            e.parse_entry(data)


@given(OPENINGS)
def test_opening_reads_back_and_is_of_its_commitment_alone(value: e.About | e.Identity) -> None:
    opening = e.render_opening(SALT, value)
    parse = e.parse_about if isinstance(value, e.About) else e.parse_identity

    assert parse(opening) == value
    assert e.commit(opening) != e.commit(e.render_opening(bytes(15) + b"\1", value))


@given(st.binary(max_size=300) | mutated(ABOUT))
def test_any_bytes_are_an_opening_or_refused(data: bytes) -> None:
    for parse in (e.parse_about, e.parse_identity):
        with contextlib.suppress(ProofInvalidError):
            parse(data)
