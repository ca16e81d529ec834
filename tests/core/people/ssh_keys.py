"""Keys and signatures as OpenSSH makes them, written apart from the code under test."""

from __future__ import annotations

import base64
import hashlib

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

FILE_ALGORITHM = b"ssh-ed25519"
HARDWARE_ALGORITHM = b"sk-ssh-ed25519@openssh.com"
USER_PRESENT = 0x01
USER_VERIFIED = 0x04


def private_key(seed: int) -> Ed25519PrivateKey:
    """Give the private key with this seed."""
    return Ed25519PrivateKey.from_private_bytes(seed.to_bytes(32, "big"))


def file_key(seed: int) -> bytes:
    """Give the public key, in wire form, of the key pair with this seed."""
    return wire(FILE_ALGORITHM, private_key(seed).public_key().public_bytes_raw())


def hardware_key(seed: int, application: bytes = b"ssh:") -> bytes:
    """Give the wire form of a hardware key, whose private half a test has."""
    return wire(HARDWARE_ALGORITHM, private_key(seed).public_key().public_bytes_raw(), application)


def wire(*strings: bytes) -> bytes:
    """Give strings as the SSH protocol writes them."""
    return b"".join(len(string).to_bytes(4, "big") + string for string in strings)


def key_line(key: bytes, algorithm: str = "ssh-ed25519") -> str:
    """Give a key as a `.pub` file has it."""
    return f"{algorithm} {base64.b64encode(key).decode()} someone@example.com\n"


def ssh_signature(
    key: bytes, inner: bytes, *, namespace: bytes, reserved: bytes = b"", hashed: bytes = b"sha512"
) -> bytes:
    """Give an SSHSIG without its armour, of parts that need not fit each other."""
    return b"SSHSIG" + (1).to_bytes(4, "big") + wire(key, namespace, reserved, hashed, inner)


def signed_bytes(message: bytes, namespace: bytes, *, hashed: str = "sha512", reserved: bytes = b"") -> bytes:
    """Give what an SSHSIG's signature is over."""
    return b"SSHSIG" + wire(namespace, reserved, hashed.encode(), hashlib.new(hashed, message).digest())


def sign_in_hardware(
    seed: int,
    message: bytes,
    *,
    namespace: bytes,
    flags: int = USER_PRESENT,
    counter: int = 7,
    application: bytes = b"ssh:",
) -> bytes:
    """Sign as an authenticator does through `ssh-keygen -Y sign`; gives the SSHSIG without its armour."""
    asserted = bytes([flags]) + counter.to_bytes(4, "big")
    digest = hashlib.sha256(signed_bytes(message, namespace)).digest()
    raw = private_key(seed).sign(hashlib.sha256(application).digest() + asserted + digest)
    return ssh_signature(hardware_key(seed, application), wire(HARDWARE_ALGORITHM, raw) + asserted, namespace=namespace)
