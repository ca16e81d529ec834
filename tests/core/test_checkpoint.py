"""Signed notes and checkpoints: published vectors, every flipped byte, and every missing or foreign signature."""

from __future__ import annotations

import dataclasses

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from ringfence.core.checkpoint import (
    KEY_TYPE_COSIGNATURE,
    Checkpoint,
    Note,
    NoteSignature,
    VerifierKey,
    add_cosignatures,
    check_signatures,
    cosign,
    open_checkpoint,
    parse_checkpoint,
    parse_note,
    parse_vkey,
    render_checkpoint,
    render_note,
    render_vkey,
    sign_checkpoint,
    sign_text,
    verifier_key_of,
    verify_note,
)
from ringfence.core.errors import InvalidInputError, ProofInvalidError
from ringfence.core.merkle import EMPTY_ROOT
from ringfence.core.signed_note import SIGNATURES_MAX, parse_base64

ORIGIN = "ledger.example.com/custody"
LOG_SECRET = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
WITNESS_SECRET = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
OTHER_SECRET = Ed25519PrivateKey.from_private_bytes(bytes(range(2, 34)))
LOG_KEY = verifier_key_of(LOG_SECRET, name=ORIGIN)
WITNESS_KEY = verifier_key_of(WITNESS_SECRET, name="witness.example.net/w1", key_type=KEY_TYPE_COSIGNATURE)
TIME_SECONDS = 1_700_000_000
CHECKPOINT = Checkpoint(ORIGIN, 20852163, bytes(range(100, 132)))
TEXT = render_checkpoint(CHECKPOINT)
SIGNED = sign_checkpoint(CHECKPOINT, name=ORIGIN, key=LOG_SECRET, time_seconds=TIME_SECONDS)


def witnessed(secret: Ed25519PrivateKey = WITNESS_SECRET, name: str = WITNESS_KEY.name) -> bytes:
    return add_cosignatures(SIGNED, [cosign(TEXT, name=name, key=secret, time_seconds=TIME_SECONDS + 1)])


# -- published vectors -------------------------------------------------------------------------------------------------

# From the tests of golang.org/x/mod/sumdb/note.
GO_KEYS = [
    "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
    "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop",
]
GO_NOTE = """\
If you think cryptography is the answer to your problem,
then you don't know what your problem is.

— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=
— EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=
""".encode()
# A public log's checkpoint with a public witness's cosignature, and that witness's published key.
WITNESSED_NOTE = """\
arche2025h1.staging.ct.transparency.dev
1432088532
U7WM79jrzyhGZ5/GUBTpM7NzwdyfFx61t3RovgcC4Ro=

— arche2025h1.staging.ct.transparency.dev ui8GwCF1+kWqZrxGdhj4aX3gcw7XUlXQQabg/27lefwhUkzbC3NygNI75MdhL1bfTW9g8Ei59RA23oHP7Ry1k3ZFWwQ=
— remora.n621.de 2net5wAAAABqEiEgPlfF3V06o0Y+fHM+J5J9s27wgxxcOVSpZ/2g/KSiXCg9DEZI+aVCIobWX9sXTynk5XeU/zZ0WBxtqB0DrAWfBw==
""".encode()  # noqa: E501
WITNESSED_KEYS = [
    "arche2025h1.staging.ct.transparency.dev+ba2f06c0+AU0vHmlGCS/PdN8b2OaGmKprLI8HKM+dJ472xgFYh15f",
    "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2",
]
# From c2sp.org/tlog-cosignature; its keys are not published, so only its form is checked.
SPECIFIED_NOTE = """\
example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==
""".encode()  # noqa: E501


def test_published_notes_verify() -> None:
    for data, keys in [(GO_NOTE, GO_KEYS), (WITNESSED_NOTE, WITNESSED_KEYS)]:
        note = parse_note(data)
        verify_note(note, map(parse_vkey, keys))
        assert render_note(note) == data
        assert [render_vkey(parse_vkey(key)) for key in keys] == keys

    signed = check_signatures(parse_note(WITNESSED_NOTE), map(parse_vkey, WITNESSED_KEYS))
    assert [item.time_seconds for item in signed] == [0, 0x6A122120]
    assert parse_checkpoint(parse_note(WITNESSED_NOTE).text).size == 1432088532


def test_published_note_with_another_text_is_refused() -> None:
    for data, keys in [(GO_NOTE, GO_KEYS), (WITNESSED_NOTE, WITNESSED_KEYS)]:
        note = parse_note(data.replace(b"e", b"a", 1))
        for key in keys:
            with pytest.raises(ProofInvalidError, match="is wrong"):
                check_signatures(note, [parse_vkey(key)], strict=False)


def test_specified_example_is_read() -> None:
    note = parse_note(SPECIFIED_NOTE)

    assert parse_checkpoint(note.text) == Checkpoint(
        "example.com/behind-the-sofa", 20852163, parse_base64("CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=", place="")
    )
    assert int.from_bytes(note.signatures[1].signature[:8], "big") == 1679315147
    assert render_note(note) == SPECIFIED_NOTE


# -- checkpoints -------------------------------------------------------------------------------------------------------


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
    ],
)
def test_malformed_checkpoint_text_is_refused_at_its_line(text: str, line: int) -> None:
    with pytest.raises(ProofInvalidError) as caught:
        parse_checkpoint(text)
    assert caught.value.place == (f"checkpoint line {line}" if line else "checkpoint")


# -- notes and keys ----------------------------------------------------------------------------------------------------

LINE = "— name QUJDREU=\n"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n\n",
        b"text\n",
        b"text\n\n",
        f"text\n{LINE}".encode(),
        f"text\n\n{LINE}\n".encode(),
        f"text\n\n{LINE}"[:-1].encode(),
        f"text\r\n\n{LINE}".encode(),
        f"te\0xt\n\n{LINE}".encode(),
        f"te\txt\n\n{LINE}".encode(),
        b"\xff" + f"text\n\n{LINE}".encode(),
        f"text\n\n{LINE}".replace("— ", "—").encode(),
        f"text\n\n{LINE}".replace("— ", "- ").encode(),
        f"text\n\n{LINE}".replace("name", "na me").encode(),
        f"text\n\n{LINE}".replace("name", "na+me").encode(),
        f"text\n\n{LINE}".replace("name", "na\u2003me").encode(),
        f"text\n\n{LINE}".replace("name ", " ").encode(),
        f"text\n\n{LINE}".replace("QUJDREU=", "").encode(),
        f"text\n\n{LINE}".replace("QUJDREU=", "QUJDRA==").encode(),  # a key ID and no signature
        f"text\n\n{LINE}".replace("QUJDREU=", "QUJDREU").encode(),
        f"text\n\n{LINE}".replace("QUJDREU=", "QUJDREV=").encode(),
        f"text\n\n{LINE}".replace("QUJDREU=", "QUJD-_U=").encode(),
        f"text\n\n{LINE * (SIGNATURES_MAX + 1)}".encode(),
        b"x" * (128 * 1024) + f"\n\n{LINE}".encode(),
    ],
)
def test_malformed_note_is_refused(data: bytes) -> None:
    with pytest.raises(ProofInvalidError):
        parse_note(data)


def test_last_empty_line_separates_the_signatures() -> None:
    for text in ("\n", "\n\n", "a\n\n", "a\n\nb\n", f"a\n\n{LINE}"):
        note = parse_note(f"{text}\n{LINE}".encode())
        assert note == Note(text, (NoteSignature("name", b"ABCD", b"E"),))
        assert render_note(note) == f"{text}\n{LINE}".encode()
    assert len(parse_note(f"text\n\n{LINE * SIGNATURES_MAX}".encode()).signatures) == SIGNATURES_MAX


def test_note_that_would_read_as_another_is_not_written() -> None:
    line = NoteSignature("name", b"ABCD", b"E")
    for note in [
        Note("text", (line,)),
        Note("", (line,)),
        Note("text\n", ()),
        Note("te\ud800xt\n", (line,)),
        Note("text\n", (NoteSignature("na me", b"ABCD", b"E"),)),
        Note("text\n", (NoteSignature("name", b"ABC", b"E"),)),
        Note("text\n", (NoteSignature("name", b"ABC", b"DE"),)),
        Note("text\n", (NoteSignature("name\n\nmore\n— n", b"ABCD", b"E"),)),
    ]:
        with pytest.raises(InvalidInputError):
            render_note(note)


def test_note_is_never_checked_against_no_keys() -> None:
    with pytest.raises(InvalidInputError):
        verify_note(parse_note(SIGNED), [], strict=False)
    verify_note(parse_note(SIGNED), [LOG_KEY], strict=False)


def test_note_that_lacks_one_of_the_keys_is_refused() -> None:
    with pytest.raises(ProofInvalidError, match="lacks a signature"):
        verify_note(parse_note(SIGNED), [LOG_KEY, LOG_KEY.as_cosigner(), WITNESS_KEY])
    verify_note(parse_note(witnessed()), [LOG_KEY, LOG_KEY.as_cosigner(), WITNESS_KEY])


def test_message_of_a_cosignature_is_never_signed_as_a_note() -> None:
    disguised = f"cosignature/v1\ntime 1\n{TEXT}"
    with pytest.raises(InvalidInputError):
        sign_text(disguised, name=ORIGIN, key=LOG_SECRET)
    with pytest.raises(InvalidInputError):
        cosign(disguised, name=ORIGIN, key=LOG_SECRET, time_seconds=1)
    signature = LOG_SECRET.sign(disguised.encode())
    note = Note(disguised, (NoteSignature(ORIGIN, LOG_KEY.key_id, signature),))
    with pytest.raises(ProofInvalidError, match="message of a cosignature"):
        verify_note(note, [LOG_KEY])


def test_time_out_of_range_is_refused() -> None:
    for time_seconds in (-1, 2**63):
        with pytest.raises(InvalidInputError):
            sign_checkpoint(CHECKPOINT, name=ORIGIN, key=LOG_SECRET, time_seconds=time_seconds)
    latest = sign_checkpoint(CHECKPOINT, name=ORIGIN, key=LOG_SECRET, time_seconds=2**63 - 1)
    assert open_checkpoint(latest, log_key=LOG_KEY).time_seconds == 2**63 - 1
    message = f"cosignature/v1\ntime {2**63}\n{TEXT}".encode()
    late = NoteSignature(ORIGIN, LOG_KEY.as_cosigner().key_id, (2**63).to_bytes(8, "big") + LOG_SECRET.sign(message))
    with pytest.raises(ProofInvalidError, match="impossible time"):
        check_signatures(Note(TEXT, (late,)), [LOG_KEY.as_cosigner()])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "++",
        GO_KEYS[0].replace("c74f20a3", "c74f20a4"),
        GO_KEYS[0].replace("c74f20a3", "C74F20A3"),
        GO_KEYS[0].replace("c74f20a3", "c74f 0a3"),
        GO_KEYS[0].replace("Peter", "Pater"),
        GO_KEYS[0].replace("Peter", "Peter "),
        GO_KEYS[0].replace("Peter", "Peter\ud800"),
        GO_KEYS[0].replace("PeterNeumann", ""),
        GO_KEYS[0] + "=",
        GO_KEYS[0] + "\n\n",
        GO_KEYS[0][:-4],
        "PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==",
        "PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
    ],
)
def test_malformed_verifier_key_is_refused(text: str) -> None:
    with pytest.raises(ProofInvalidError):
        parse_vkey(text)


def test_verifier_key_reads_back() -> None:
    for key in (LOG_KEY, LOG_KEY.as_cosigner(), WITNESS_KEY):
        assert parse_vkey(render_vkey(key)) == key
        assert parse_vkey(render_vkey(key) + "\n") == key
    for name in ("", "a b", "a+b", "a\nb"):
        with pytest.raises(InvalidInputError):
            verifier_key_of(LOG_SECRET, name=name)


# -- any input ---------------------------------------------------------------------------------------------------------


@st.composite
def mutated(draw: st.DrawFn, original: bytes) -> bytes:
    data = bytearray(original)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        data[at : at + draw(st.integers(0, 3))] = draw(st.binary(max_size=3))
    return bytes(data)


@given(st.binary(max_size=300) | mutated(GO_NOTE) | st.text(max_size=60).map(lambda text: f"{text}\n\n{LINE}".encode()))
def test_any_bytes_are_a_note_or_refused(data: bytes) -> None:
    try:
        note = parse_note(data)
    except ProofInvalidError:
        return
    assert render_note(note) == data


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


@given(st.text(max_size=100) | mutated(GO_KEYS[0].encode()).map(lambda data: data.decode("utf-8", "replace")))
def test_any_text_is_a_verifier_key_or_refused(text: str) -> None:
    try:
        key = parse_vkey(text)
    except ProofInvalidError:
        return
    assert render_vkey(key) == text.removesuffix("\n")


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
