"""What the reader pins from outside of the bundle: whose ledger it is, and which keys speak for it.

The file is a JSON object with exactly these members, got from the custodian once, by a way that the custodian's
servers do not control:

    origin          the log's name, as in the first line of its checkpoints
    genesis         leaf hash of the genesis entry (leaf 1), 64 hex digits
    log_key         the log's plain Ed25519 verifier key (vkey, type 0x01)
    witnesses       verifier keys of witnesses (vkeys, type 0x04), maybe none
    witness_quorum  how many of them must have cosigned the newest checkpoint
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from ringfence.core.errors import InvalidInputError, ProofInvalidError
from ringfence.core.ledger.signed_note import KEY_TYPE_COSIGNATURE, KEY_TYPE_ED25519, VerifierKey, parse_vkey

TRUST_SIZE_BYTES_MAX: Final = 128 * 1024
WITNESSES_MAX: Final = 32

_MEMBERS: Final = ("origin", "genesis", "log_key", "witnesses", "witness_quorum")


@dataclass(frozen=True, slots=True)
class Trust:
    """The pins. `genesis` is 32 bytes."""

    origin: str
    genesis: bytes
    log_key: VerifierKey
    witnesses: tuple[VerifierKey, ...] = ()
    witness_quorum: int = 0


def parse_trust(data: bytes, *, file: str) -> Trust:
    """Read a trust file.

    Args:
        data: the file's bytes, at most `TRUST_SIZE_BYTES_MAX`.
        file: what to call it in errors.

    Raises:
        InvalidInputError: it is not a trust file; the message says what was expected.
    """
    if len(data) > TRUST_SIZE_BYTES_MAX:
        raise _invalid(file, f"is larger than {TRUST_SIZE_BYTES_MAX} bytes")
    try:
        values = json.loads(data.decode("utf-8"), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise _invalid(file, f"is not JSON: {error}") from None
    if not isinstance(values, dict) or set(values) != set(_MEMBERS):
        raise _invalid(file, f"must be an object with exactly the members {', '.join(_MEMBERS)}")
    witnesses = values["witnesses"]
    if not isinstance(witnesses, list) or len(witnesses) > WITNESSES_MAX:
        raise _invalid(file, f"witnesses must be a list of at most {WITNESSES_MAX} vkeys")
    quorum = values["witness_quorum"]
    if type(quorum) is not int or not 0 <= quorum <= len(witnesses):
        raise _invalid(file, "witness_quorum must be a whole number from 0 to the number of witnesses")
    keys = tuple(_key(file, "witnesses", item, KEY_TYPE_COSIGNATURE) for item in witnesses)
    if len({key.public_key for key in keys}) != len(keys):
        raise _invalid(file, "names one witness twice, which would count twice for the quorum")
    log_key = _key(file, "log_key", values["log_key"], KEY_TYPE_ED25519)
    if log_key.public_key in {key.public_key for key in keys}:
        raise _invalid(file, "names the log itself as a witness")
    return Trust(
        origin=_text(file, "origin", values["origin"]),
        genesis=_hash(file, values["genesis"]),
        log_key=log_key,
        witnesses=keys,
        witness_quorum=quorum,
    )


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in pairs}) != len(pairs):
        raise ValueError("a member appears twice")
    return dict(pairs)


def _text(file: str, name: str, value: object) -> str:
    if not isinstance(value, str) or not value:
        raise _invalid(file, f"{name} must be text")
    return value


def _hash(file: str, value: object) -> bytes:
    text = _text(file, "genesis", value)
    if len(text) != 64 or set(text) - set("0123456789abcdef"):
        raise _invalid(file, "genesis must be 64 lower-case hex digits")
    return bytes.fromhex(text)


def _key(file: str, name: str, value: object, key_type: int) -> VerifierKey:
    try:
        key = parse_vkey(_text(file, name, value), place=f"{file} {name}")
    except ProofInvalidError as error:
        raise InvalidInputError(error.message, place=error.place) from None
    if key.key_type != key_type:
        raise _invalid(file, f"{name} must be a key of type 0x{key_type:02x}, not 0x{key.key_type:02x}")
    return key


def _invalid(file: str, what: str) -> InvalidInputError:
    return InvalidInputError(f"the trust file {file} {what}", place=file)
