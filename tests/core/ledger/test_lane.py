"""Lanes: a chain without gaps, codes that tell a lane its own batches, seals that sign its head."""

from __future__ import annotations

import dataclasses
import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from ringfence.core.errors import ProofInvalidError
from ringfence.core.ledger.entry import Batch, Outcome, Seal, parse_entry, render_entry
from ringfence.core.ledger.lane import (
    ENTRIES_PER_BATCH_MAX,
    NO_PREVIOUS,
    BuiltBatch,
    LaneHead,
    authenticate_header,
    build_batch,
    digest_entries,
    lane_secret,
    parse_stored_batch,
    seal_head,
    verify_batch,
    verify_link,
    verify_seal,
)
from ringfence.core.ledger.merkle import hash_leaf

ORIGIN = "log.example/ringfence"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER_KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
PUBLIC = KEY.public_key().public_bytes_raw()
NOW_MS = 1_760_000_000_000
START = LaneHead(3)


def entries(count: int, first: int = 1) -> list[bytes]:
    return [render_entry(Outcome(n=first + number, position=number, result="failed")) for number in range(count)]


def built(head: LaneHead = START, *, count: int = 2, at_ms: int = NOW_MS) -> BuiltBatch:
    return build_batch(head, epoch=4, at_ms=at_ms, entries=entries(count))


def header_of(batch: BuiltBatch) -> Batch:
    header = parse_entry(batch.header)
    assert isinstance(header, Batch)
    return header


def changed(header: Batch, **fields: object) -> Batch:
    return Batch(**({name: getattr(header, name) for name in header.__struct_fields__} | fields))


# --- batches ---------------------------------------------------------------------------------------------------------


def test_batch_names_what_it_follows_and_what_it_holds() -> None:
    first = built()
    second = built(first.head, count=1)
    header = header_of(first)
    assert (header.lane, header.n, header.previous, header.epoch, header.at_ms) == (3, 1, NO_PREVIOUS, 4, NOW_MS)
    assert (header.count, header.digest) == (2, digest_entries(first.entries))
    assert first.hashes == tuple(hash_leaf(entry) for entry in first.entries)
    assert header_of(second).previous == first.head.hash == hashlib.sha256(b"\x00" + first.header).digest()
    assert second.head.n == 2


@given(times=st.lists(st.integers(0, 1 << 45), min_size=1, max_size=6))
def test_chain_of_any_times_verifies_and_never_goes_back(times: list[int]) -> None:
    head = START
    for at_ms in times:
        batch = built(head, at_ms=at_ms)
        assert batch.head.at_ms == max(at_ms, head.at_ms)
        following = verify_batch(head, header_of(batch), header_leaf=batch.header, entries=batch.entries)
        assert following == batch.head
        head = following


@pytest.mark.parametrize("count", [0, ENTRIES_PER_BATCH_MAX + 1])
def test_batch_of_no_entries_or_too_many_is_not_built(count: int) -> None:
    with pytest.raises(ValueError, match="1 to 256"):
        built(count=count)
    assert len(built(count=ENTRIES_PER_BATCH_MAX).entries) == ENTRIES_PER_BATCH_MAX


@pytest.mark.parametrize(
    "fields",
    [{"n": 1}, {"n": 3}, {"lane": 4}, {"previous": NO_PREVIOUS}, {"at_ms": NOW_MS - 1}],
    ids=["again", "gap", "lane", "previous", "time"],
)
def test_header_that_does_not_follow_is_refused(fields: dict[str, object]) -> None:
    first = built()
    second = built(first.head)
    header = changed(header_of(second), **fields)
    with pytest.raises(ProofInvalidError):
        verify_link(first.head, header, header_leaf=render_entry(header))
    assert verify_link(first.head, header_of(second), header_leaf=second.header) == second.head


@pytest.mark.parametrize("change", ["one more", "one less", "another", "order", "none"])
def test_batch_that_does_not_hold_what_its_header_names_is_refused(change: str) -> None:
    batch = built(count=3)
    others = {
        "one more": [*batch.entries, *entries(1, first=9)],
        "one less": batch.entries[:2],
        "another": [*batch.entries[:2], *entries(1, first=9)],
        "order": batch.entries[::-1],
        "none": [],
    }[change]
    with pytest.raises(ProofInvalidError, match="does not hold"):
        verify_batch(START, header_of(batch), header_leaf=batch.header, entries=others)


def test_stored_batch_is_read_back() -> None:
    batch = built()
    header, leaves = parse_stored_batch(batch.header, batch.entries)
    assert header == header_of(batch)
    assert [render_entry(leaf) for leaf in leaves] == list(batch.entries)


def test_headers_and_seals_have_their_place() -> None:
    batch = built()
    seal = seal_head(KEY, origin=ORIGIN, head=batch.head)
    with pytest.raises(ProofInvalidError, match="start with its header"):
        parse_stored_batch(batch.entries[0], batch.entries)
    for stranger in (batch.header, seal):
        with pytest.raises(ProofInvalidError, match="among its entries"):
            parse_stored_batch(batch.header, [*batch.entries, stranger])


# --- codes and seals -------------------------------------------------------------------------------------------------


def test_code_needs_the_lanes_key_and_the_same_header() -> None:
    secret = lane_secret(KEY)
    first, second = built(), built(built().head)
    code = authenticate_header(secret, first.header)
    assert len(secret) == len(code) == 32
    assert code == authenticate_header(lane_secret(KEY), first.header)
    assert code != authenticate_header(secret, second.header)
    assert code != authenticate_header(lane_secret(OTHER_KEY), first.header)
    assert KEY.private_bytes_raw() not in secret + code


def parse_seal(leaf: bytes) -> Seal:
    seal = parse_entry(leaf)
    assert isinstance(seal, Seal)
    return seal


def test_seal_is_that_of_the_key_over_the_head() -> None:
    head = built().head
    seal = parse_seal(seal_head(KEY, origin=ORIGIN, head=head))
    assert (seal.lane, seal.n, seal.head, seal.at_ms) == (head.lane, head.n, head.hash, head.at_ms)
    verify_seal(seal, origin=ORIGIN, key=PUBLIC)


@pytest.mark.parametrize("field", ["lane", "n", "hash", "at_ms"])
def test_seal_of_another_head_is_refused(field: str) -> None:
    head = built().head
    other = {"lane": 4, "n": 2, "hash": bytes(32), "at_ms": 0}[field]
    signature = parse_seal(seal_head(KEY, origin=ORIGIN, head=dataclasses.replace(head, **{field: other}))).signature
    forged = Seal(lane=head.lane, n=head.n, head=head.hash, at_ms=head.at_ms, signature=signature)
    with pytest.raises(ProofInvalidError, match="signature"):
        verify_seal(forged, origin=ORIGIN, key=PUBLIC)


@pytest.mark.parametrize(
    ("origin", "key"),
    [
        ("log.example/other", PUBLIC),
        (ORIGIN, OTHER_KEY.public_key().public_bytes_raw()),
        (ORIGIN, PUBLIC[:-1]),
        (ORIGIN, b""),
    ],
)
def test_seal_under_another_origin_or_key_is_refused(origin: str, key: bytes) -> None:
    seal = parse_seal(seal_head(KEY, origin=ORIGIN, head=built().head))
    with pytest.raises(ProofInvalidError):
        verify_seal(seal, origin=origin, key=key)
    verify_seal(seal, origin=ORIGIN, key=PUBLIC)


@given(place=st.integers(0, 63), bit=st.integers(0, 7))
def test_every_bit_of_a_signature_counts(place: int, bit: int) -> None:
    seal = parse_seal(seal_head(KEY, origin=ORIGIN, head=built().head))
    signature = bytearray(seal.signature)
    signature[place] ^= 1 << bit
    with pytest.raises(ProofInvalidError):
        verify_seal(
            Seal(lane=seal.lane, n=seal.n, head=seal.head, at_ms=seal.at_ms, signature=bytes(signature)),
            origin=ORIGIN,
            key=PUBLIC,
        )
