"""People's keys and signatures: OpenSSH's public keys.

Rules of this file:
1. A key is OpenSSH's wire form of an `ssh-ed25519` key, or of an `sk-ssh-ed25519@openssh.com` key, whose private half
   never leaves a hardware authenticator. No other algorithm, no certificate.
2. A key has one spelling, and is one that only its holder can sign with: a public key of small order, under which
   one signature fits every message, is refused, as is a point that is spelled otherwise than by its canonical bytes.

Source: RFC 8709; PROTOCOL.u2f of OpenSSH; RFC 8032, section 5.1.3.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_ssh_public_key

from ringfence.core.errors import InvalidInputError

ED25519: Final = "ssh-ed25519"
HARDWARE_ED25519: Final = "sk-ssh-ed25519@openssh.com"
ALGORITHMS: Final = (ED25519, HARDWARE_ED25519)
KEY_SIZE_BYTES_MAX: Final = 512
KEY_LINE_CHARACTERS_MAX: Final = 2048

_LENGTH_BYTES: Final = 4
_FIELD_PRIME: Final = 2**255 - 19
# The y coordinates of the eight points whose order divides 8; the sign bit is not among them.
_SMALL_ORDER_Y: Final = frozenset(
    {
        0,
        1,
        _FIELD_PRIME - 1,
        int.from_bytes(bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little"),
        int.from_bytes(bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"), "little"),
    }
)


@dataclass(frozen=True, slots=True)
class PersonKey:
    """A key that was read and keeps to the rules of this file.

    `application` is what a hardware key was made for, such as `ssh:`; "" for a key in a file.
    """

    algorithm: str
    point: Ed25519PublicKey
    application: str


def parse_public_key(line: str, *, place: str = "key") -> bytes:
    """Give the wire form of the key in a line such as a `.pub` file has: `ALGORITHM BASE64 [COMMENT]`.

    Raises:
        InvalidInputError: it is no such line, of another algorithm, or breaks a rule of this file.
    """
    words = line.strip(" \t\r\n").split(None, 2) if len(line) <= KEY_LINE_CHARACTERS_MAX else []
    if len(words) < 2 or re.search(r"[\r\n]", line.strip(" \t\r\n")):
        raise _invalid("this is no public key in OpenSSH's form", place)
    if words[0] not in ALGORITHMS:
        raise _invalid(f"a key of algorithm {words[0]!r:.80} is not taken", place)
    try:
        key = base64.b64decode(words[1], validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if base64.b64encode(key).decode() != words[1]:
        raise _invalid("the key's second word is not canonical base64", place)
    if read_key(key, place=place).algorithm != words[0]:
        raise _invalid("the key's two words are of different algorithms", place)
    return key


def render_public_key(key: bytes, *, comment: str = "") -> str:
    """Give a key as a line without its newline; `parse_public_key` gives it back.

    Raises:
        InvalidInputError: the key breaks a rule of this file.
    """
    line = f"{read_key(key).algorithm} {base64.b64encode(key).decode()}"
    return f"{line} {comment}" if comment else line


def fingerprint(key: bytes) -> str:
    """Give a key's fingerprint as `ssh-keygen -l` shows it: `SHA256:` and base64 without padding."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")


def read_key(key: bytes, *, place: str = "key") -> PersonKey:
    """Read a key in OpenSSH's wire form.

    Raises:
        InvalidInputError: it breaks a rule of this file.
    """
    for algorithm in ALGORITHMS:
        if key.startswith(_string(algorithm.encode())) and len(key) <= KEY_SIZE_BYTES_MAX:
            break
    else:
        raise _invalid("this is no key of an algorithm that is taken", place)
    try:
        point = load_ssh_public_key(algorithm.encode() + b" " + base64.b64encode(key))
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise _invalid(f"this is no well-formed key of algorithm {algorithm}", place) from None
    if not isinstance(point, Ed25519PublicKey):
        raise _invalid("this is no Ed25519 key", place)
    raw = point.public_bytes_raw()
    y = int.from_bytes(raw, "little") & (2**255 - 1)
    if y >= _FIELD_PRIME or y in _SMALL_ORDER_Y:
        raise _invalid("this key could be signed with by anyone, or has a second spelling", place)
    start = len(_string(algorithm.encode()) + _string(raw)) + _LENGTH_BYTES
    try:
        return PersonKey(algorithm, point, key[start:].decode("ascii"))
    except UnicodeDecodeError:
        raise _invalid("the key is for an application that is not named in ASCII", place) from None


def _string(data: bytes) -> bytes:
    """Give a string as the SSH protocol writes it: its length in 4 bytes, then it."""
    return len(data).to_bytes(_LENGTH_BYTES, "big") + data


def _invalid(message: str, place: str) -> InvalidInputError:
    return InvalidInputError(
        message, place=place, hint=f"give a key of {' or '.join(ALGORITHMS)}, as `ssh-keygen -t ed25519` makes"
    )


def verify_signature(signature: bytes, message: bytes, *, namespace: str, key: bytes) -> None:
    import io

    from sshsig.sshsig import SshsigSignature, do_sshsig_verify

    from ringfence.core.errors import ProofInvalidError

    try:
        outer = SshsigSignature(signature)
    except Exception as error:
        raise ProofInvalidError(f"no signature: {error}") from None
    if outer.public_key != key:
        raise ProofInvalidError("it is by another key")
    result = do_sshsig_verify(outer, io.BytesIO(message), namespace)
    if isinstance(result, Exception):
        raise ProofInvalidError(f"bad signature: {result}")


def key_of_signature(signature: bytes) -> bytes:
    from sshsig.sshsig import SshsigSignature

    return SshsigSignature(signature).public_key
