"""People's keys and signatures, as OpenSSH makes them: `ssh-keygen -Y sign`, with a key in a file or in hardware.

Rules of this file:
1. A key is OpenSSH's wire form of an `ssh-ed25519` key, or of an `sk-ssh-ed25519@openssh.com` key, whose private half
   never leaves a hardware authenticator. No other algorithm, no certificate.
2. A key has one spelling, and is one that only its holder can sign with: a public key of small order, under which
   one signature fits every message, is refused, as is a point that is spelled otherwise than by its canonical bytes.
3. A signature is an SSHSIG, version 1, over SHA-512 of the message; it says which key made it and in which namespace.
   A byte too many, too few or reserved refuses it. The armour around it is for people; what is kept is what is in it.
4. A hardware key counts only when its authenticator says that somebody touched it (user presence).
5. The library `sshsig` reads the form, `cryptography` checks keys and signatures. What `sshsig` reads is taken only
   when it comes to the very same bytes written out again, since it is lenient where this must not be.

Source: PROTOCOL.sshsig and PROTOCOL.u2f of OpenSSH; RFC 8709; RFC 8032, section 5.1.3.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_ssh_public_key
from sshsig.sshsig import SshsigSignature, SshsigWrapper

from ringfence.core.errors import InvalidInputError, ProofInvalidError

ED25519: Final = "ssh-ed25519"
HARDWARE_ED25519: Final = "sk-ssh-ed25519@openssh.com"
ALGORITHMS: Final = (ED25519, HARDWARE_ED25519)
KEY_SIZE_BYTES_MAX: Final = 512
KEY_LINE_CHARACTERS_MAX: Final = 2048
SIGNATURE_SIZE_BYTES_MAX: Final = 2048
ARMOUR_SIZE_BYTES_MAX: Final = 4096

_LENGTH_BYTES: Final = 4
_MAGIC: Final = b"SSHSIG"
_HASH: Final = b"sha512"
_ED25519_SIGNATURE_BYTES: Final = 64
_FLAGS_AND_COUNTER_BYTES: Final = 5
_USER_PRESENT: Final = 0x01
_KEY_ALGORITHM: Final = re.compile(r"(ssh|ecdsa|sk-ssh|sk-ecdsa)-[a-z0-9-]{1,40}(@openssh\.com)?")
_ARMOUR: Final = re.compile(
    rb"\s*-----BEGIN SSH SIGNATURE-----\r?\n((?:[A-Za-z0-9+/=]{1,128}\r?\n)+)-----END SSH SIGNATURE-----\s*"
)
_ARMOUR_LINE_CHARACTERS: Final = 70  # as OpenSSH breaks lines
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


@dataclass(frozen=True, slots=True)
class Signature:
    """An SSHSIG that was read and not checked: the key in wire form that it says made it, and its namespace.

    `inner` is the signature itself as the SSH protocol writes it.
    """

    key: bytes
    namespace: str
    inner: bytes


def verify_signature(signature: bytes, message: bytes, *, namespace: str, key: bytes, place: str = "signature") -> None:
    """Check that a key signed exactly these bytes in this namespace.

    Args:
        signature: an SSHSIG without its armour, up to `SIGNATURE_SIZE_BYTES_MAX` bytes.
        message: what was signed, whole.
        namespace: what the signature must be for, such as `approve@ringfence`.
        key: a public key in OpenSSH's wire form.
        place: what to call the signature in an error.

    Raises:
        ProofInvalidError: it is malformed, by another key, in another namespace or over other bytes, or (hardware)
            nobody touched the authenticator; or the key breaks a rule of this file.
    """
    read = read_signature(signature, place=place)
    try:
        known = read_key(key)
    except InvalidInputError as error:
        raise _unproven(f"cannot be checked: {error.message}", place) from None
    if read.key != key:
        raise _unproven("is by another key", place, expected=fingerprint(key), found=fingerprint(read.key))
    if read.namespace != namespace:
        raise _unproven("says something else", place, expected=namespace, found=ascii(read.namespace)[1:-1])
    raw, asserted = _split(read.inner, known, place)
    signed = _signed_bytes(message, namespace)
    if known.algorithm == HARDWARE_ED25519:
        if not asserted[0] & _USER_PRESENT:
            raise _unproven("was made without anybody touching the key", place, expected="user presence")
        application = hashlib.sha256(known.application.encode("ascii")).digest()
        signed = application + asserted + hashlib.sha256(signed).digest()
    try:
        known.point.verify(raw, signed)
    except InvalidSignature:
        raise _unproven("is not over these bytes", place, expected=f"a signature by {fingerprint(key)}") from None


def sign_message(message: bytes, *, namespace: str, key: Ed25519PrivateKey) -> bytes:
    """Sign as `ssh-keygen -Y sign` does with a key in a file; gives the SSHSIG without its armour."""
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    inner = _string(ED25519.encode()) + _string(key.sign(_signed_bytes(message, namespace)))
    wire = base64.b64decode(public.split()[1])
    return _render(Signature(key=wire, namespace=namespace, inner=inner))


def read_signature(signature: bytes, *, place: str = "signature") -> Signature:
    """Read an SSHSIG without its armour; tells which key it says made it, and checks nothing of that.

    Raises:
        ProofInvalidError: it is no SSHSIG that keeps to rule 3.
    """
    if len(signature) > SIGNATURE_SIZE_BYTES_MAX:
        raise _unproven("is too long", place, expected=f"<= {SIGNATURE_SIZE_BYTES_MAX} bytes")
    try:
        outer = SshsigSignature(signature)
        read = Signature(outer.public_key, outer.namespace.decode("ascii"), outer.signature)
    except (ValueError, NotImplementedError):  # the second: how `sshsig` refuses a version or an algorithm
        raise _unproven("is no SSH signature", place, expected="what `ssh-keygen -Y sign` makes") from None
    if outer.hash_algo != _HASH:
        raise _unproven("is over another hash", place, expected=_HASH.decode(), found=ascii(outer.hash_algo[:20]))
    if _render(read) != signature:
        raise _unproven("has bytes that mean nothing", place, expected="what `ssh-keygen -Y sign` makes")
    return read


def remove_armour(data: bytes, *, place: str = "signature") -> bytes:
    """Give what is in the armour that `ssh-keygen -Y sign` writes around a signature; what has none is given back.

    Raises:
        ProofInvalidError: it is neither.
    """
    if len(data) > ARMOUR_SIZE_BYTES_MAX:
        raise _unproven("is too long", place, expected=f"<= {ARMOUR_SIZE_BYTES_MAX} bytes")
    if data.startswith(_MAGIC):
        return data
    match = _ARMOUR.fullmatch(data)
    text = b"".join(match[1].split()) if match else b""
    try:
        inside = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        inside = b""
    if not inside or base64.b64encode(inside) != text:
        raise _unproven("is no SSH signature", place, expected="-----BEGIN SSH SIGNATURE-----")
    return inside


def add_armour(signature: bytes) -> bytes:
    """Give a signature in the armour that `ssh-keygen` writes and reads; `remove_armour` gives it back."""
    text = base64.b64encode(signature)
    lines = [text[at : at + _ARMOUR_LINE_CHARACTERS] for at in range(0, len(text), _ARMOUR_LINE_CHARACTERS)]
    return b"\n".join([b"-----BEGIN SSH SIGNATURE-----", *lines, b"-----END SSH SIGNATURE-----", b""])


def parse_public_key(line: str, *, place: str = "key") -> bytes:
    """Give the wire form of the key in a line such as a `.pub` file has: `ALGORITHM BASE64 [COMMENT]`.

    Raises:
        InvalidInputError: it is no such line, of another algorithm, or breaks a rule of this file.
    """
    words = line.strip(" \t\r\n").split(None, 2) if len(line) <= KEY_LINE_CHARACTERS_MAX else []
    if len(words) < 2 or re.search(r"[\r\n]", line.strip(" \t\r\n")):
        raise _invalid("this is no public key in OpenSSH's form", place)
    if words[0] not in ALGORITHMS:
        # Only what is surely an algorithm is named: whatever else stands there may be somebody's secret.
        named = f"a key of algorithm {words[0]} is not taken"
        raise _invalid(
            named if _KEY_ALGORITHM.fullmatch(words[0]) else "this is no public key in OpenSSH's form", place
        )
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
    if not is_sound_point(raw):
        raise _invalid("this key could be signed with by anyone, or has a second spelling", place)
    start = len(_string(algorithm.encode()) + _string(raw)) + _LENGTH_BYTES
    try:
        return PersonKey(algorithm, point, key[start:].decode("ascii"))
    except UnicodeDecodeError:
        raise _invalid("the key is for an application that is not named in ASCII", place) from None


def is_sound_point(raw: bytes) -> bool:
    """Tell whether an Ed25519 public key (32 bytes) is one that its holder alone can sign with, in its one spelling."""
    y = int.from_bytes(raw, "little") & (2**255 - 1)
    return y < _FIELD_PRIME and y not in _SMALL_ORDER_Y


def _split(inner: bytes, key: PersonKey, place: str) -> tuple[bytes, bytes]:
    """Give the 64 bytes of Ed25519, and what a hardware authenticator asserted: flags (1 byte) and counter (4)."""
    start = _string(key.algorithm.encode()) + _ED25519_SIGNATURE_BYTES.to_bytes(_LENGTH_BYTES, "big")
    end = len(start) + _ED25519_SIGNATURE_BYTES
    asserted = _FLAGS_AND_COUNTER_BYTES if key.algorithm == HARDWARE_ED25519 else 0
    if not inner.startswith(start) or len(inner) != end + asserted:
        raise _unproven("is not of its key's algorithm", place, expected=key.algorithm)
    return inner[len(start) : end], inner[end:]


def _signed_bytes(message: bytes, namespace: str) -> bytes:
    return SshsigWrapper(
        namespace=namespace.encode("ascii"), hash_algo=_HASH, hash=hashlib.sha512(message).digest()
    ).to_bytes()


def _render(signature: Signature) -> bytes:
    parts = (signature.key, signature.namespace.encode("ascii"), b"", _HASH, signature.inner)
    return _MAGIC + SshsigSignature.VERSION.to_bytes(_LENGTH_BYTES, "big") + b"".join(map(_string, parts))


def _unproven(message: str, place: str, *, expected: str = "", found: str = "") -> ProofInvalidError:
    return ProofInvalidError(f"the signature {message}", place=place, expected=expected, found=found)


def _string(data: bytes) -> bytes:
    """Give a string as the SSH protocol writes it: its length in 4 bytes, then it."""
    return len(data).to_bytes(_LENGTH_BYTES, "big") + data


def _invalid(message: str, place: str) -> InvalidInputError:
    return InvalidInputError(
        message, place=place, hint=f"give a key of {' or '.join(ALGORITHMS)}, as `ssh-keygen -t ed25519` makes"
    )
