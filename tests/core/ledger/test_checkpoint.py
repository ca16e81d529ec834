"""Checkpoints: every flipped byte, every missing, foreign, moved or doubled signature, every malformed line."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from ringfence.core.errors import InvalidInputError, ProofInvalidError
from ringfence.core.ledger.checkpoint import (
    Checkpoint,
    add_cosignatures,
    open_checkpoint,
    parse_checkpoint,
    render_checkpoint,
    sign_checkpoint,
)
from ringfence.core.ledger.merkle import EMPTY_ROOT
from ringfence.core.ledger.signed_note import (
    Note,
    NoteSignature,
    VerifierKey,
    cosign,
    parse_note,
    render_note,
    verifier_key_of,
)
from tests.core.ledger.notes import (
    CHECKPOINT,
    LOG_KEY,
    LOG_SECRET,
    ORIGIN,
    SIGNED,
    TEXT,
    TIME_SECONDS,
    WITNESS_KEY,
    WITNESS_SECRET,
    witnessed,
)
from tests.core.mutation import mutated

OTHER_SECRET = Ed25519PrivateKey.from_private_bytes(bytes(range(2, 34)))


def test_signed_checkpoint_opens_with_its_time() -> None:
    signed = open_checkpoint(SIGNED, log_key=LOG_KEY)

    assert (signed.checkpoint, signed.time_seconds, signed.cosignatures) == (CHECKPOINT, TIME_SECONDS, ())
    assert sign_checkpoint(CHECKPOINT, name=ORIGIN, key=LOG_SECRET, time_seconds=TIME_SECONDS) == SIGNED
    assert SIGNED.startswith(b"ledger.example.com/custody\n20852163\n")
    assert SIGNED.count("—".encode()) == 2


def test_every_flipped_bit_of_a_checkpoint_is_refused() -> None:
    data = witnessed()
    for position in range(len(data)):
        for bit in range(8):
            flipped = bytearray(data)
            flipped[position] ^= 1 << bit
            with pytest.raises(ProofInvalidError):
                open_checkpoint(bytes(flipped), log_key=LOG_KEY, witness_keys=[WITNESS_KEY])


def test_every_removed_or_doubled_byte_of_a_checkpoint_is_refused() -> None:
    for position in range(len(SIGNED)):
        for changed in (SIGNED[:position] + SIGNED[position + 1 :], SIGNED[: position + 1] + SIGNED[position:]):
            if changed != SIGNED:
                with pytest.raises(ProofInvalidError):
                    open_checkpoint(changed, log_key=LOG_KEY)


def test_checkpoint_that_lacks_either_of_the_logs_signatures_is_refused() -> None:
    note = parse_note(SIGNED)
    for kept in note.signatures:
        with pytest.raises(ProofInvalidError, match="lacks a signature by its log"):
            open_checkpoint(render_note(Note(note.text, (kept,))), log_key=LOG_KEY)
    swapped = Note(note.text, note.signatures[::-1])
    assert open_checkpoint(render_note(swapped), log_key=LOG_KEY).checkpoint == CHECKPOINT


def test_checkpoint_of_another_key_is_refused() -> None:
    other = verifier_key_of(OTHER_SECRET, name=ORIGIN)
    for strict in (True, False):
        with pytest.raises(ProofInvalidError):
            open_checkpoint(SIGNED, log_key=other, strict=strict)
    forged = sign_checkpoint(CHECKPOINT, name=ORIGIN, key=OTHER_SECRET, time_seconds=TIME_SECONDS)
    with pytest.raises(ProofInvalidError, match="unknown key"):
        open_checkpoint(forged, log_key=LOG_KEY)


def test_signature_moved_from_another_checkpoint_is_refused() -> None:
    later = dataclasses.replace(CHECKPOINT, size=CHECKPOINT.size + 1)
    moved = Note(render_checkpoint(later), parse_note(SIGNED).signatures)

    with pytest.raises(ProofInvalidError, match="signature 1 is wrong"):
        open_checkpoint(render_note(moved), log_key=LOG_KEY)


def test_plain_signature_passed_off_as_a_timed_one_is_refused() -> None:
    plain, _ = parse_note(SIGNED).signatures
    timed = NoteSignature(ORIGIN, LOG_KEY.as_cosigner().key_id, bytes(8) + plain.signature)

    with pytest.raises(ProofInvalidError, match="signature 2 is wrong"):
        open_checkpoint(render_note(Note(TEXT, (plain, timed))), log_key=LOG_KEY)


@pytest.mark.parametrize("changed", [lambda data: b"x" + data, lambda data: data + b"x", lambda data: data[1:]])
def test_signature_of_another_length_is_refused(changed: Callable[[bytes], bytes]) -> None:
    note = parse_note(SIGNED)
    for at in (0, 1):
        signatures = list(note.signatures)
        signatures[at] = dataclasses.replace(signatures[at], signature=changed(signatures[at].signature))
        with pytest.raises(ProofInvalidError, match=f"signature {at + 1} has the wrong length"):
            open_checkpoint(render_note(Note(note.text, tuple(signatures))), log_key=LOG_KEY)


def test_known_witness_is_given_back_with_its_time() -> None:
    signed = open_checkpoint(witnessed(), log_key=LOG_KEY, witness_keys=[WITNESS_KEY])

    assert [(item.key, item.time_seconds) for item in signed.cosignatures] == [(WITNESS_KEY, TIME_SECONDS + 1)]


def test_unknown_witness_is_refused_when_strict_and_passed_over_when_not() -> None:
    with pytest.raises(ProofInvalidError, match="signature 3 is by an unknown key"):
        open_checkpoint(witnessed(), log_key=LOG_KEY)
    assert open_checkpoint(witnessed(), log_key=LOG_KEY, strict=False).cosignatures == ()


def test_known_witness_with_a_wrong_signature_is_refused_even_when_not_strict() -> None:
    line = dataclasses.replace(
        cosign(TEXT, name=WITNESS_KEY.name, key=OTHER_SECRET, time_seconds=1), key_id=WITNESS_KEY.key_id
    )
    for strict in (True, False):
        with pytest.raises(ProofInvalidError, match="signature 3 is wrong"):
            open_checkpoint(
                add_cosignatures(SIGNED, [line]), log_key=LOG_KEY, witness_keys=[WITNESS_KEY], strict=strict
            )


def test_log_does_not_count_as_its_own_witness() -> None:
    signed = open_checkpoint(SIGNED, log_key=LOG_KEY, witness_keys=[LOG_KEY.as_cosigner()])

    assert signed.cosignatures == ()


def test_key_that_signs_twice_is_refused() -> None:
    again = cosign(TEXT, name=ORIGIN, key=LOG_SECRET, time_seconds=TIME_SECONDS + 9)

    with pytest.raises(ProofInvalidError, match="second one by the same key"):
        open_checkpoint(add_cosignatures(SIGNED, [again]), log_key=LOG_KEY)


def test_checkpoint_for_another_origin_is_refused() -> None:
    data = sign_checkpoint(CHECKPOINT, name="signer.example.org", key=LOG_SECRET, time_seconds=1)
    key = verifier_key_of(LOG_SECRET, name="signer.example.org")

    with pytest.raises(ProofInvalidError, match="another log"):
        open_checkpoint(data, log_key=key)
    assert open_checkpoint(data, log_key=key, origin=ORIGIN).checkpoint == CHECKPOINT


def test_keys_of_the_wrong_type_are_refused() -> None:
    with pytest.raises(InvalidInputError):
        open_checkpoint(SIGNED, log_key=LOG_KEY.as_cosigner())
    with pytest.raises(InvalidInputError):
        open_checkpoint(SIGNED, log_key=LOG_KEY, witness_keys=[verifier_key_of(WITNESS_SECRET, name="w.example")])


@pytest.mark.parametrize(
    "checkpoint",
    [
        Checkpoint(ORIGIN, 0, EMPTY_ROOT),
        Checkpoint(ORIGIN, 2**63 - 1, bytes(32)),
        Checkpoint("origin with spaces é", 1, bytes(32), ("extension one", "—")),
    ],
)
def test_checkpoint_text_reads_back(checkpoint: Checkpoint) -> None:
    assert parse_checkpoint(render_checkpoint(checkpoint)) == checkpoint


@pytest.mark.parametrize(
    "checkpoint",
    [
        Checkpoint("", 0, bytes(32)),
        Checkpoint("a\nb", 0, bytes(32)),
        Checkpoint("a\ud800", 0, bytes(32)),
        Checkpoint("a", -1, bytes(32)),
        Checkpoint("a", 2**63, bytes(32)),
        Checkpoint("a", 0, bytes(31)),
        Checkpoint("a", 0, b""),
        Checkpoint("a", 0, bytes(32), ("",)),
        Checkpoint("a", 0, bytes(32), ("x\ty",)),
    ],
)
def test_checkpoint_that_has_no_text_is_refused(checkpoint: Checkpoint) -> None:
    with pytest.raises(InvalidInputError):
        render_checkpoint(checkpoint)
    with pytest.raises(InvalidInputError):
        sign_checkpoint(checkpoint, name=ORIGIN, key=LOG_SECRET, time_seconds=0)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", 0),
        ("a\n1\n", 0),
        (TEXT[:-1], 0),
        (f"{TEXT}\n", 4),
        (TEXT.replace("20852163", "020852163"), 2),
        (TEXT.replace("20852163", "+1"), 2),
        (TEXT.replace("20852163", "1 "), 2),
        (TEXT.replace("20852163", "\u0661"), 2),
        (TEXT.replace("20852163", "9223372036854775808"), 2),
        (TEXT.replace("20852163", "9" * 5000), 2),
        (TEXT.replace("=", ""), 3),
        (TEXT.replace("=", "=="), 3),
        (TEXT.replace("=\n", "=A\n"), 3),
        (f"a\n1\n{'A' * 44}\n", 3),
        (f"a\n1\n{'A' * 42}B=\n", 3),  # the unused bits are not zero
        (f"\n1\n{'A' * 43}=\n", 1),
        (f"a\tb\n1\n{'A' * 43}=\n", 1),
        (f"a\ud800b\n1\n{'A' * 43}=\n", 1),
        (f"{TEXT}an extension\0\n", 4),
    ],
)
def test_malformed_checkpoint_text_is_refused_at_its_line(text: str, line: int) -> None:
    with pytest.raises(ProofInvalidError) as caught:
        parse_checkpoint(text)
    assert caught.value.place == (f"checkpoint line {line}" if line else "checkpoint")


@given(mutated(SIGNED))
def test_changed_checkpoint_is_refused_or_the_same(data: bytes) -> None:
    try:
        open_checkpoint(data, log_key=LOG_KEY)
    except ProofInvalidError:
        return
    assert data == SIGNED


@given(st.text(max_size=100) | mutated(TEXT.encode()).map(lambda data: data.decode("utf-8", "replace")))
def test_any_text_is_a_checkpoint_or_refused(text: str) -> None:
    try:
        checkpoint = parse_checkpoint(text)
    except ProofInvalidError:
        return
    assert render_checkpoint(checkpoint) == text


@given(
    st.builds(
        Checkpoint,
        st.from_regex(r"[a-z.]{1,20}/[a-z0-9]{1,9}", fullmatch=True),
        st.integers(0, 2**63 - 1),
        st.binary(min_size=32, max_size=32),
        st.lists(st.from_regex(r"[ -~é]{1,30}", fullmatch=True), max_size=3).map(tuple),
    ),
    st.integers(0, 2**63 - 1),
)
def test_any_checkpoint_that_is_signed_opens(checkpoint: Checkpoint, time_seconds: int) -> None:
    data = sign_checkpoint(checkpoint, name=checkpoint.origin, key=LOG_SECRET, time_seconds=time_seconds)
    key = VerifierKey(checkpoint.origin, 1, LOG_SECRET.public_key().public_bytes_raw())

    signed = open_checkpoint(data, log_key=key)

    assert (signed.checkpoint, signed.time_seconds) == (checkpoint, time_seconds)
