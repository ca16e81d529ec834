"""Key custody that no one person can open: the keys are sealed under a secret that is shared out among holders.

Rules of this file:
1. The keys are never written unsealed. The secret is made, used and split in one process's memory, and each holder's
   share is encrypted to that holder's own SSH key before it is written.
2. Any `threshold` of the shares give the secret, fewer give nothing (Shamir's scheme over 128-bit halves).
3. A holder opens the own share on the own machine. Whoever starts a gateway needs that many opened shares.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec
import pyrage
from Crypto.Protocol.SecretSharing import Shamir
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ringfence.core.envelope import KEY_SIZE_BYTES, NONCE_SIZE_BYTES
from ringfence.core.errors import ConfigurationError, InvalidInputError
from ringfence.core.people.signatures import render_public_key
from ringfence.keys.files import write_key_file
from ringfence.keys.software import SoftwareCustody, custody_of

SEALED: Final = "sealed"
SHARES: Final = "shares"
SUFFIX: Final = ".age"
THRESHOLD_MIN: Final = 2
HOLDERS_MAX: Final = 32
SEALED_SIZE_BYTES_MAX: Final = 1024 * 1024
_HALF_BYTES: Final = 16
_CONTEXT: Final = b"ringfence sealed custody v1"
_SHARE: Final = re.compile(r"ringfence-share-1:([1-9][0-9]?):([0-9a-f]{64})")
_encode = msgspec.msgpack.Encoder().encode
_decoder: msgspec.msgpack.Decoder[dict[str, bytes]] = msgspec.msgpack.Decoder(dict[str, bytes])


def is_sealed(directory: Path) -> bool:
    """Tell whether a directory of keys is sealed."""
    return (directory / SEALED).exists()


def seal_custody(directory: Path, files: Mapping[str, bytes], *, holders: Mapping[str, bytes], threshold: int) -> None:
    """Write keys sealed, and to each holder an encrypted share.

    Args:
        directory: where; it holds nothing yet.
        files: the keys by the names of their files.
        holders: public key in OpenSSH's wire format by the holder's name.
        threshold: how many shares open it; at least `THRESHOLD_MIN`.

    Raises:
        InvalidInputError: the threshold or a holder's key does not fit.
        ConfigurationError: a file is there already, or cannot be written.
    """
    if not THRESHOLD_MIN <= threshold <= len(holders) <= HOLDERS_MAX:
        raise InvalidInputError(
            f"{threshold} of {len(holders)} shares cannot be: {THRESHOLD_MIN} or more, of up to {HOLDERS_MAX} holders"
        )
    secret = os.urandom(KEY_SIZE_BYTES)
    halves = [Shamir.split(threshold, len(holders), half) for half in (secret[:_HALF_BYTES], secret[_HALF_BYTES:])]
    for (name, key), (index, first), (_, second) in zip(holders.items(), *halves, strict=True):
        share = f"ringfence-share-1:{index}:{(first + second).hex()}".encode()
        write_key_file(directory / SHARES / f"{name}{SUFFIX}", pyrage.encrypt(share, [_recipient(name, key)]))
    nonce = os.urandom(NONCE_SIZE_BYTES)
    sealed = nonce + AESGCM(secret).encrypt(nonce, _encode(dict(files)), _CONTEXT)
    write_key_file(directory / SEALED, sealed)


def check_holders(holders: Mapping[str, bytes]) -> None:
    """Refuse holders to whom no share can be encrypted, before anything is made; `holders` as of `seal_custody`.

    Raises:
        InvalidInputError: names the first such holder.
    """
    for name, key in holders.items():
        _recipient(name, key)


def open_share(data: bytes, private_key: bytes, *, place: str) -> str:
    """Open a share with its holder's private key (PEM, OpenSSH's form, not encrypted).

    Raises:
        InvalidInputError: it is another holder's, or no share.
    """
    try:
        text: str = pyrage.decrypt(data, [pyrage.ssh.Identity.from_buffer(private_key)]).decode("ascii", "replace")
    except (pyrage.DecryptError, pyrage.IdentityError) as error:
        raise InvalidInputError(f"the share cannot be opened with this key: {error}", place=place) from None
    if not _SHARE.fullmatch(text):
        raise InvalidInputError("this is no share", place=place)
    return text


def open_sealed_custody(directory: Path, shares: Sequence[str]) -> SoftwareCustody:
    """Open sealed keys with enough shares.

    Raises:
        ConfigurationError: the shares are too few or do not belong here, or the file cannot be read.
    """
    parsed: dict[int, bytes] = {}
    for text in shares:
        match = _SHARE.fullmatch(text.strip())
        if match is None:
            raise ConfigurationError("a line of the shares is no share", hint="a holder opens one: `ringfence share`")
        parsed[int(match[1])] = bytes.fromhex(match[2])
    try:
        with (directory / SEALED).open("rb") as file:
            sealed = file.read(SEALED_SIZE_BYTES_MAX + 1)
    except OSError as error:
        raise ConfigurationError(f"the sealed keys cannot be read: {error.strerror}") from None
    if len(sealed) > SEALED_SIZE_BYTES_MAX:
        raise ConfigurationError(f"the sealed keys have more than {SEALED_SIZE_BYTES_MAX:,} bytes")
    try:
        secret = b"".join(
            Shamir.combine([(index, share[half : half + _HALF_BYTES]) for index, share in parsed.items()])
            for half in (0, _HALF_BYTES)
        )
        files = _decoder.decode(AESGCM(secret).decrypt(sealed[:NONCE_SIZE_BYTES], sealed[NONCE_SIZE_BYTES:], _CONTEXT))
    except (ValueError, InvalidTag, IndexError, msgspec.DecodeError):
        raise ConfigurationError(
            f"{len(parsed)} shares do not open the custodian's keys",
            hint="hand in the opened shares of more holders, a line each, in the file that RINGFENCE_SHARES names",
        ) from None
    return custody_of(files)


def _recipient(name: str, key: bytes) -> object:
    try:
        return pyrage.ssh.Recipient.from_str(render_public_key(key))
    except pyrage.RecipientError:
        raise InvalidInputError(
            f"no share can be encrypted to the key of {name}", hint="a holder's key is an Ed25519 key in a file"
        ) from None
