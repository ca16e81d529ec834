"""Signed notes and verifier keys: published vectors, and every malformed spelling refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence.core.errors import InvalidInputError, ProofInvalidError
from ringfence.core.ledger.checkpoint import Checkpoint, open_checkpoint, parse_checkpoint, sign_checkpoint
from ringfence.core.ledger.signed_note import (
    SIGNATURES_MAX,
    Note,
    NoteSignature,
    check_signatures,
    cosign,
    parse_base64,
    parse_note,
    parse_vkey,
    render_note,
    render_vkey,
    sign_text,
    verifier_key_of,
)
from tests.core.ledger.notes import CHECKPOINT, LOG_KEY, LOG_SECRET, ORIGIN, SIGNED, TEXT, WITNESS_KEY, witnessed
from tests.core.mutation import mutated

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
        assert {item.key for item in check_signatures(note, map(parse_vkey, keys))} == {*map(parse_vkey, keys)}
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


def test_keys_that_did_not_sign_are_not_given_back() -> None:
    keys = [LOG_KEY, LOG_KEY.as_cosigner(), WITNESS_KEY]
    assert [item.key for item in check_signatures(parse_note(SIGNED), keys)] == keys[:2]
    assert [item.key for item in check_signatures(parse_note(witnessed()), keys)] == keys
    assert check_signatures(parse_note(SIGNED), [], strict=False) == ()


def test_message_of_a_cosignature_is_never_signed_as_a_note() -> None:
    disguised = f"cosignature/v1\ntime 1\n{TEXT}"
    with pytest.raises(InvalidInputError):
        sign_text(disguised, name=ORIGIN, key=LOG_SECRET)
    with pytest.raises(InvalidInputError):
        cosign(disguised, name=ORIGIN, key=LOG_SECRET, time_seconds=1)
    signature = LOG_SECRET.sign(disguised.encode())
    note = Note(disguised, (NoteSignature(ORIGIN, LOG_KEY.key_id, signature),))
    with pytest.raises(ProofInvalidError, match="message of a cosignature"):
        check_signatures(note, [LOG_KEY])


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


@given(st.binary(max_size=300) | mutated(GO_NOTE) | st.text(max_size=60).map(lambda text: f"{text}\n\n{LINE}".encode()))
def test_any_bytes_are_a_note_or_refused(data: bytes) -> None:
    try:
        note = parse_note(data)
    except ProofInvalidError:
        return
    assert render_note(note) == data


@given(st.text(max_size=100) | mutated(GO_KEYS[0].encode()).map(lambda data: data.decode("utf-8", "replace")))
def test_any_text_is_a_verifier_key_or_refused(text: str) -> None:
    try:
        key = parse_vkey(text)
    except ProofInvalidError:
        return
    assert render_vkey(key) == text.removesuffix("\n")
