"""Attestations of builds: what a known attestor signed is believed, to the byte, and nothing else."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence.app.attestations import SIGNATURES_MAX, SIZE_BYTES_MAX, Attested, verify_attestation
from ringfence.core.errors import ProofInvalidError
from tests.attestations import BUILDER, attest, envelope_of, sign_payload, statement_of
from tests.core.mutation import mutated
from tests.core.people.attestor_keys import attestor_key

BUILD, OTHER = (hashlib.sha256(name).digest() for name in (b"the app, built", b"the app, built otherwise"))
STRANGER = 99
KNOWN = {attestor_key(BUILDER), attestor_key(-BUILDER)}
GOOD = attest(BUILD)


def verify(data: bytes) -> Attested:
    return verify_attestation(data, KNOWN, place="here")


def refuse(data: bytes, words: str) -> None:
    """Hold a refusal to its words; the good one, which differs in that alone, is believed."""
    with pytest.raises(ProofInvalidError, match=words):
        verify(data)
    assert verify(GOOD).build == BUILD


def signed(payload: bytes) -> bytes:
    return json.dumps(envelope_of(payload, sign_payload(payload))).encode()


@pytest.mark.parametrize("seed", [BUILDER, -BUILDER])
def test_attestation_of_a_known_attestor_is_believed(seed: int) -> None:
    assert verify(attest(BUILD, seed)) == Attested(BUILD, "app-7.3.tar.gz", frozenset({attestor_key(seed)}))


def test_signature_of_a_known_attestor_is_found_among_others_whatever_the_key_ids_say() -> None:
    payload = json.dumps(statement_of(BUILD)).encode()
    stranger, own = sign_payload(payload, seed=STRANGER), sign_payload(payload)
    for signatures in ((stranger, own), (own, stranger), (stranger, b"", own)):
        assert verify(json.dumps(envelope_of(payload, *signatures)).encode()).attestors == {attestor_key(BUILDER)}
    refuse(json.dumps(envelope_of(payload, stranger, b"", stranger)).encode(), "nobody signed the attestation")


@pytest.mark.parametrize("seeds", [(BUILDER, -BUILDER), (-BUILDER, BUILDER), (BUILDER, STRANGER, -BUILDER, BUILDER)])
def test_every_known_attestor_that_signed_is_told_whatever_their_order(seeds: tuple[int, ...]) -> None:
    payload = json.dumps(statement_of(BUILD)).encode()
    whole = [sign_payload(payload, seed=seed) for seed in seeds]
    assert verify(json.dumps(envelope_of(payload, *whole)).encode()).attestors == KNOWN

    over_another = json.dumps(statement_of(OTHER)).encode()
    half = [sign_payload(payload if seed == BUILDER else over_another, seed=seed) for seed in seeds]
    assert verify(json.dumps(envelope_of(payload, *half)).encode()).attestors == {attestor_key(BUILDER)}


def test_attestation_of_a_stranger_is_refused() -> None:
    for seed in (STRANGER, -STRANGER):
        refuse(attest(BUILD, seed), "nobody signed the attestation whose word")
    with pytest.raises(ProofInvalidError, match="nobody signed"):
        verify_attestation(GOOD, set(), place="here")


def test_payload_that_was_changed_after_it_was_signed_is_refused() -> None:
    payload, changed = (json.dumps(statement_of(build)).encode() for build in (BUILD, OTHER))
    refuse(json.dumps(envelope_of(changed, sign_payload(payload))).encode(), "nobody signed the attestation")
    refuse(json.dumps(envelope_of(payload + b" ", sign_payload(payload))).encode(), "nobody signed the attestation")
    assert verify(json.dumps(envelope_of(changed, sign_payload(changed))).encode()).build == OTHER


def test_other_type_of_payload_is_refused_whether_it_was_signed_or_not() -> None:
    link = "application/vnd.in-toto.link+json"
    refuse(attest(BUILD, payload_type=link), "the attestation is of another type")
    payload = json.dumps(statement_of(BUILD)).encode()
    relabelled = envelope_of(payload, sign_payload(payload, payload_type=link))
    refuse(json.dumps(relabelled).encode(), "nobody signed the attestation")


@pytest.mark.parametrize(
    ("field", "member", "value"),
    [
        ("predicate", "predicateType", "https://slsa.dev/verification_summary/v1"),
        ("predicate", "predicateType", "https://slsa.dev/provenance/v0.2"),
        ("predicate", "predicateType", ""),
        ("statement", "_type", "https://in-toto.io/Statement/v0.1"),
    ],
)
def test_other_predicate_or_statement_is_refused(field: str, member: str, value: str) -> None:
    refuse(attest(BUILD, **{member: value}), f"{field} is of another type")


@pytest.mark.parametrize(
    "subjects",
    [
        [],
        statement_of(BUILD)["subject"] * 2,
        [*statement_of(BUILD)["subject"], *statement_of(OTHER)["subject"]],
    ],
)
def test_attestation_that_does_not_name_one_build_is_refused(subjects: list[Any]) -> None:
    refuse(attest(BUILD, subject=subjects), "does not name one build")


@pytest.mark.parametrize(
    "digest",
    [
        {},
        {"sha512": "00" * 64},
        {"sha256": ""},
        {"sha256": BUILD.hex().upper()},
        {"sha256": BUILD.hex()[2:]},
        {"sha256": BUILD.hex() + "\n"},
        {"SHA256": BUILD.hex()},
    ],
)
def test_build_that_is_named_by_no_sha256_is_refused(digest: dict[str, str]) -> None:
    refuse(attest(BUILD, subject=[{"name": "app", "digest": digest}]), "by no SHA-256")
    assert (
        verify(attest(BUILD, subject=[{"name": "app", "digest": {"sha1": "", "sha256": BUILD.hex()}}])).build == BUILD
    )


@pytest.mark.parametrize(
    "payload",
    [b"", b"[]", b"{}", b"\xff", b'{"_type": 7}', json.dumps(statement_of(BUILD, subject=[7])).encode()],
)
def test_signed_payload_that_is_no_statement_is_refused(payload: bytes) -> None:
    refuse(signed(payload), "this is no in-toto statement")


def test_statement_that_says_one_thing_twice_is_refused() -> None:
    text = json.dumps(statement_of(BUILD)).encode()
    twice = text[:-1] + b', "subject": ' + json.dumps(statement_of(OTHER)["subject"]).encode() + b"}"
    refuse(signed(twice), "this is no in-toto statement")


@pytest.mark.parametrize(
    "envelope",
    [
        b"",
        b"[]",
        b"{}",
        b"[" * 100_000,
        json.dumps({**json.loads(GOOD), "signatures": "x"}).encode(),
        json.dumps({**json.loads(GOOD), "payload": 7}).encode(),
        GOOD[:-1] + b', "payload": "e30="}',
    ],
)
def test_what_is_no_envelope_is_refused(envelope: bytes) -> None:
    refuse(envelope, "this is no DSSE envelope")


def test_envelope_beyond_its_limits_is_refused() -> None:
    payload = json.dumps(statement_of(BUILD)).encode()
    own = sign_payload(payload)
    for count in (0, SIGNATURES_MAX + 1):
        refuse(json.dumps(envelope_of(payload, *[own] * count)).encode(), "no signature, or too many")
    assert verify(json.dumps(envelope_of(payload, *[b""] * (SIGNATURES_MAX - 1), own)).encode()).build == BUILD
    refuse(GOOD + b" " * SIZE_BYTES_MAX, "too long")


@pytest.mark.parametrize("text", ["", "!", "=", "AAA", "é", "AA==AA==", "\x00"])
def test_signature_or_payload_that_is_no_base64_is_refused(text: str) -> None:
    whole = json.loads(GOOD)
    refuse(json.dumps({**whole, "signatures": [{"sig": text}]}).encode(), "nobody signed")
    refuse(json.dumps({**whole, "payload": text}).encode(), "nobody signed")


ATTESTED = [attest(BUILD, seed) for seed in (BUILDER, -BUILDER)]  # made once: ECDSA signs otherwise each time


@given(st.sampled_from(ATTESTED).flatmap(mutated))
def test_changed_attestation_is_refused_or_says_the_same(data: bytes) -> None:
    try:
        attested = verify(data)
    except ProofInvalidError:
        return
    assert (attested.build, attested.name) == (BUILD, "app-7.3.tar.gz")
