"""Signed notes: a text, and under it lines that say which keys signed it.

Rules:
  1. A note is UTF-8 without control characters other than newline: the text (which ends in a newline), an empty
     line, then signature lines `— <name> <base64>`. The last empty line is the one that separates.
  2. The base64 is a 4-byte key ID and the signature. A key is known by its name *and* key ID, which is the
     beginning of SHA-256(name || newline || type || public key).
  3. Type 0x01 is Ed25519 over the text. Type 0x04, `cosignature/v1`, is an 8-byte time and Ed25519 over two lines
     (`cosignature/v1`, `time <seconds>`) and the text. The two never sign one message as long as no text begins with
     the line `cosignature/v1`, so one key pair may serve both; both signing and opening refuse such a text.
  4. Parsing takes one spelling of each value. A known key whose signature is wrong refuses the whole note, as does
     a key that signs twice. Strict opening also refuses lines by unknown keys, so that no byte can change unseen.

Source: c2sp.org/signed-note, c2sp.org/tlog-cosignature.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from ringfence.core.errors import InvalidInputError, ProofInvalidError

KEY_TYPE_ED25519: Final = 0x01
KEY_TYPE_COSIGNATURE: Final = 0x04
NOTE_SIZE_BYTES_MAX: Final = 128 * 1024
SIGNATURES_MAX: Final = 64  # the standard wants at least 16
VKEY_SIZE_CHARACTERS_MAX: Final = 1024
TIME_SECONDS_MAX: Final = 2**63 - 1

_DASH: Final = "\N{EM DASH} "
_KEY_ID_BYTES: Final = 4
_TIME_BYTES: Final = 8
_SIGNATURE_BYTES: Final = 64
_PUBLIC_KEY_BYTES: Final = 32
_COSIGNATURE_HEADER: Final = "cosignature/v1\n"
_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f]")
_SURROGATE: Final = re.compile(r"[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A key that signs notes: its name, what its signatures mean (rule 3), and 32 bytes of Ed25519 public key."""

    name: str
    key_type: int
    public_key: bytes

    @property
    def key_id(self) -> bytes:
        """The 4 bytes that, with the name, tell this key from others: rule 2."""
        return _key_id(self.name, self.key_type, self.public_key)

    def as_cosigner(self) -> VerifierKey:
        """Give the same key pair under the same name, for its `cosignature/v1` signatures."""
        return VerifierKey(self.name, KEY_TYPE_COSIGNATURE, self.public_key)


@dataclass(frozen=True, slots=True)
class NoteSignature:
    """One signature line, not checked. `signature` is what follows the key ID, at least 1 byte."""

    name: str
    key_id: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Note:
    """A text that ends in a newline, and its signature lines, none of them checked."""

    text: str
    signatures: tuple[NoteSignature, ...]


@dataclass(frozen=True, slots=True)
class VerifiedSignature:
    """A signature that was checked. `time_seconds` is its POSIX time; 0 for type 0x01, which has none."""

    key: VerifierKey
    time_seconds: int


def parse_note(data: bytes, *, place: str = "note") -> Note:
    """Read a note, checking its form (rules 1, 2 and 4) but no signature.

    Raises:
        ProofInvalidError: not a note; the place has the line.
    """
    if len(data) > NOTE_SIZE_BYTES_MAX:
        raise _invalid("is too large", place, expected=f"{NOTE_SIZE_BYTES_MAX} bytes", found=f"{len(data)} bytes")
    try:
        whole = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _invalid("is not UTF-8", f"{place} offset {error.start}") from None
    if control := _CONTROL.search(whole):
        raise _invalid("has a control character", place, found=repr(control[0]))
    text, separator, block = whole.rpartition("\n\n")
    if not separator or not block:
        raise _invalid("has no signature", place, expected="an empty line, then signature lines")
    if not block.endswith("\n"):
        raise _invalid("does not end in a newline", place)
    lines = block[:-1].split("\n")
    if len(lines) > SIGNATURES_MAX:
        raise _invalid("has too many signatures", place, expected=f"up to {SIGNATURES_MAX}", found=str(len(lines)))
    signatures = [
        _parse_signature(line, place=f"{place} signature {number}") for number, line in enumerate(lines, start=1)
    ]
    return Note(f"{text}\n", tuple(signatures))


def render_note(note: Note) -> bytes:
    """Give the bytes of a note; `parse_note` gives it back.

    Raises:
        InvalidInputError: the text or a signature cannot be put in a note.
    """
    lines = [f"{_DASH}{item.name} {render_base64(item.key_id + item.signature)}\n" for item in note.signatures]
    data = f"{note.text}\n{''.join(lines)}".encode("utf-8", errors="surrogatepass")
    try:
        if parse_note(data) == note:
            return data
    except ProofInvalidError as error:
        raise InvalidInputError(f"this cannot be a note: {error.message}", place=error.place) from None
    raise InvalidInputError("this cannot be a note: it would be read as another one", place="note")


def check_signatures(
    note: Note, keys: Iterable[VerifierKey], *, strict: bool = True, place: str = "note"
) -> tuple[VerifiedSignature, ...]:
    """Check every signature by these keys and give them in the note's order; may be none.

    Args:
        note: what `parse_note` gave.
        keys: the keys that are trusted. No two may share name and key ID.
        strict: refuse lines by other keys; otherwise they are passed over, as the standard has it.
        place: what to call the note in an error.

    Raises:
        ProofInvalidError: one of these keys signed wrongly or twice, or (strict) an unknown key signed.
    """
    known: dict[tuple[str, bytes], VerifierKey] = {}
    for key in keys:
        if known.setdefault((key.name, key.key_id), key) != key:
            raise InvalidInputError(f"two keys are both {_describe(key)}", place="keys")
    if note.text.startswith(_COSIGNATURE_HEADER):
        raise _invalid("is the message of a cosignature", place)
    verified: dict[VerifierKey, VerifiedSignature] = {}
    for number, item in enumerate(note.signatures, start=1):
        line = f"{place} signature {number}"
        signer = known.get((item.name, item.key_id))
        if signer is None:
            if strict:
                raise _invalid("is by an unknown key", line, found=f"{item.name}+{item.key_id.hex()}")
            continue
        if signer in verified:
            raise _invalid("is a second one by the same key", line, found=_describe(signer))
        verified[signer] = VerifiedSignature(signer, _verify(note.text, item.signature, key=signer, place=line))
    return tuple(verified.values())


def sign_text(text: str, *, name: str, key: Ed25519PrivateKey) -> NoteSignature:
    """Sign a note's text with type 0x01.

    Raises:
        InvalidInputError: not a note's text, or it begins as the message of a cosignature does.
    """
    _require_signable(text)
    return NoteSignature(name, _key_id(name, KEY_TYPE_ED25519, _public(key)), key.sign(text.encode()))


def cosign(text: str, *, name: str, key: Ed25519PrivateKey, time_seconds: int) -> NoteSignature:
    """Sign a checkpoint's text with type 0x04, `cosignature/v1`.

    Args:
        text: the whole text of the note, its last newline too.
        name: the cosigner's name.
        key: the cosigner's key; one key pair serves one name only, since the message does not hold the name.
        time_seconds: POSIX time of the signature, 0 to 2**63 - 1.

    Raises:
        InvalidInputError: the time is out of range, or the text is one that `sign_text` refuses.
    """
    _require_signable(text)
    if not 0 <= time_seconds <= TIME_SECONDS_MAX:
        raise InvalidInputError(f"{time_seconds} is no POSIX time", place="time_seconds")
    signature = key.sign(_cosigned_message(text, time_seconds))
    return NoteSignature(
        name,
        _key_id(name, KEY_TYPE_COSIGNATURE, _public(key)),
        time_seconds.to_bytes(_TIME_BYTES, "big") + signature,
    )


def parse_vkey(text: str, *, place: str = "vkey") -> VerifierKey:
    """Read a key as `<name>+<key ID, 8 hex digits>+<base64 of type and public key>`; one newline may end it.

    Raises:
        ProofInvalidError: not such a key, a type other than 0x01 and 0x04, or a key ID that is not the key's.
    """
    parts = text.removesuffix("\n").split("+", 2) if len(text) <= VKEY_SIZE_CHARACTERS_MAX else []
    if len(parts) != 3 or not _is_name(parts[0]) or not re.fullmatch("[0-9a-f]{8}", parts[1]):
        raise _invalid("is not a verifier key", place, expected="<name>+<8 hex digits>+<base64>")
    encoded = parse_base64(parts[2], place=place)
    if len(encoded) != 1 + _PUBLIC_KEY_BYTES or encoded[0] not in (KEY_TYPE_ED25519, KEY_TYPE_COSIGNATURE):
        raise _invalid("is of an unknown type", place, expected="an Ed25519 key of type 0x01 or 0x04")
    key = VerifierKey(parts[0], encoded[0], encoded[1:])
    if key.key_id.hex() != parts[1]:
        raise _invalid("has another key's ID", place, expected=key.key_id.hex(), found=parts[1])
    return key


def render_vkey(key: VerifierKey) -> str:
    """Give a key as text, without a newline; `parse_vkey` gives it back."""
    return f"{key.name}+{key.key_id.hex()}+{render_base64(bytes([key.key_type]) + key.public_key)}"


def verifier_key_of(key: Ed25519PrivateKey, *, name: str, key_type: int = KEY_TYPE_ED25519) -> VerifierKey:
    """Give the public half of a signing key.

    Raises:
        InvalidInputError: the name is empty, or has a space, a plus or a control character.
    """
    if not _is_name(name):
        raise InvalidInputError(f"{name!r} cannot name a key", place="name", hint="Leave out spaces and plus signs.")
    return VerifierKey(name, key_type, _public(key))


def parse_base64(text: str, *, place: str) -> bytes:
    """Read standard base64 in its one canonical spelling: padded, no line breaks, unused bits zero.

    Raises:
        ProofInvalidError: any other spelling, or empty.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        data = b""
    if not data or render_base64(data) != text:
        raise _invalid("is not canonical base64", place, expected="standard base64", found=repr(text[:100]))
    return data


def render_base64(data: bytes) -> str:
    """Give standard base64, padded and on one line."""
    return base64.b64encode(data).decode("ascii")


def is_note_text(text: str) -> bool:
    """Tell whether a text keeps to rule 1: no control character but newline, and no lone surrogate."""
    return not _CONTROL.search(text) and not _SURROGATE.search(text)


def _parse_signature(line: str, *, place: str) -> NoteSignature:
    name, separator, encoded = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not separator or not _is_name(name):
        raise _invalid("is not a signature line", place, expected=f"{_DASH}<name> <base64>", found=repr(line[:100]))
    data = parse_base64(encoded, place=place)
    if len(data) <= _KEY_ID_BYTES:
        raise _invalid("is too short", place, expected="more than 4 bytes", found=f"{len(data)} bytes")
    return NoteSignature(name, data[:_KEY_ID_BYTES], data[_KEY_ID_BYTES:])


def _verify(text: str, signature: bytes, *, key: VerifierKey, place: str) -> int:
    """Check one signature and give its time, 0 if its type has none."""
    message, time_seconds = text.encode(), 0
    length = _SIGNATURE_BYTES
    if key.key_type == KEY_TYPE_COSIGNATURE:
        length += _TIME_BYTES
        time_seconds = int.from_bytes(signature[:_TIME_BYTES], "big")
        message = _cosigned_message(text, time_seconds)
    if len(signature) != length:
        raise _invalid("has the wrong length", place, expected=f"{length} bytes", found=f"{len(signature)} bytes")
    if time_seconds > TIME_SECONDS_MAX:
        raise _invalid("has an impossible time", place, expected="below 2**63", found=str(time_seconds))
    try:
        Ed25519PublicKey.from_public_bytes(key.public_key).verify(signature[-_SIGNATURE_BYTES:], message)
    except (InvalidSignature, ValueError):
        raise _invalid("is wrong", place, expected=f"a signature by {_describe(key)}") from None
    return time_seconds


def _cosigned_message(text: str, time_seconds: int) -> bytes:
    return f"{_COSIGNATURE_HEADER}time {time_seconds}\n{text}".encode()


def _require_signable(text: str) -> None:
    if not is_note_text(text):
        raise InvalidInputError("a note's text is Unicode without control characters", place="text")
    if text.startswith(_COSIGNATURE_HEADER):
        raise InvalidInputError("a note may not begin as the message of a cosignature does", place="text")


def _key_id(name: str, key_type: int, public_key: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + bytes([key_type]) + public_key).digest()[:_KEY_ID_BYTES]


def _public(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes_raw()


def _is_name(name: str) -> bool:
    return is_note_text(name) and bool(name) and "+" not in name and not any(map(str.isspace, name))


def _describe(key: VerifierKey) -> str:
    return f"{key.name}+{key.key_id.hex()}"


def _invalid(message: str, place: str, *, expected: str = "", found: str = "") -> ProofInvalidError:
    return ProofInvalidError(f"{place} {message}", place=place, expected=expected, found=found)
