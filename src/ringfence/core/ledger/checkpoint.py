"""Checkpoints: a log's size and root at one moment, signed so that the log cannot take them back.

Rules:
  1. The text is three lines or more: origin, size in decimal, root in base64, then extension lines. None is empty.
  2. The log signs each checkpoint twice with one key pair under one name: plainly (type 0x01), which every reader of
     signed notes knows, and as `cosignature/v1` (type 0x04), which adds a signed time.
  3. Opening demands both. Witnesses' cosignatures come on top; those by keys that the caller names are checked and
     given back, and whether they are enough is the caller's rule.
  4. The log's key bears the origin as its name unless the caller says which origin it signs for.

Source: c2sp.org/tlog-checkpoint, c2sp.org/tlog-cosignature.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ringfence.core.errors import InvalidInputError, ProofInvalidError
from ringfence.core.ledger.merkle import HASH_SIZE_BYTES, TREE_SIZE_MAX
from ringfence.core.ledger.signed_note import (
    KEY_TYPE_COSIGNATURE,
    KEY_TYPE_ED25519,
    Note,
    NoteSignature,
    VerifiedSignature,
    VerifierKey,
    check_signatures,
    cosign,
    is_note_text,
    parse_base64,
    parse_note,
    render_base64,
    render_note,
    render_vkey,
    sign_text,
)

_SIZE: Final = re.compile("0|[1-9][0-9]{0,18}")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A log's tree at one moment: `size` leaves, `root` of 32 bytes. Extensions are lines without newlines."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SignedCheckpoint:
    """A checkpoint whose signatures were checked.

    `time_seconds` is the POSIX time that the log signed. `cosignatures` are those of the witnesses that were named.
    """

    checkpoint: Checkpoint
    time_seconds: int
    cosignatures: tuple[VerifiedSignature, ...] = field(default=())


def parse_checkpoint(text: str, *, place: str = "checkpoint") -> Checkpoint:
    """Read a checkpoint's text, without its signatures.

    Raises:
        ProofInvalidError: not such a text; the place has the line.
    """
    lines = text.split("\n")
    if len(lines) < 4 or lines.pop():
        raise ProofInvalidError(
            f"{place} is not the text of a checkpoint", place=place, expected="three lines or more, each ended"
        )
    for number, line in enumerate(lines, start=1):
        if not line or not is_note_text(line):
            raise ProofInvalidError(
                f"{place} line {number} is empty or has a control character", place=f"{place} line {number}"
            )
    origin, size, root, *extensions = lines
    if not _SIZE.fullmatch(size) or int(size) > TREE_SIZE_MAX:
        raise ProofInvalidError(
            f"{place} line 2 is not a tree size",
            place=f"{place} line 2",
            expected="a decimal number below 2**63",
            found=repr(size[:40]),
        )
    root_hash = parse_base64(root, place=f"{place} line 3")
    if len(root_hash) != HASH_SIZE_BYTES:
        raise ProofInvalidError(
            f"{place} line 3 is not a root hash",
            place=f"{place} line 3",
            expected=f"{HASH_SIZE_BYTES} bytes",
            found=f"{len(root_hash)} bytes",
        )
    return Checkpoint(origin, int(size), root_hash, tuple(extensions))


def render_checkpoint(checkpoint: Checkpoint) -> str:
    """Give the text that is signed; `parse_checkpoint` gives the checkpoint back.

    Raises:
        InvalidInputError: a value cannot be put in a checkpoint.
    """
    lines = [checkpoint.origin, str(checkpoint.size), render_base64(checkpoint.root), *checkpoint.extensions]
    text = "\n".join(lines) + "\n"
    try:
        if parse_checkpoint(text) == checkpoint:
            return text
    except ProofInvalidError as error:
        raise InvalidInputError(f"this cannot be a checkpoint: {error.message}", place=error.place) from None
    raise InvalidInputError("this cannot be a checkpoint: it would be read as another one", place="checkpoint")


def sign_checkpoint(checkpoint: Checkpoint, *, name: str, key: Ed25519PrivateKey, time_seconds: int) -> bytes:
    """Sign a checkpoint as its log, twice: rule 2. The same arguments always give the same bytes.

    Args:
        checkpoint: what to sign; its `origin` is commonly `name`.
        name: the log's key name.
        key: the log's signing key.
        time_seconds: POSIX time of the signature.

    Raises:
        InvalidInputError: the checkpoint, name or time cannot be put in a note.
    """
    text = render_checkpoint(checkpoint)
    plain = sign_text(text, name=name, key=key)
    timed = cosign(text, name=name, key=key, time_seconds=time_seconds)
    return render_note(Note(text, (plain, timed)))


def add_cosignatures(note_bytes: bytes, cosignatures: Iterable[NoteSignature]) -> bytes:
    """Give the checkpoint with witnesses' signature lines put after its own, none of them checked.

    Raises:
        ProofInvalidError: `note_bytes` is not a note.
        InvalidInputError: a line cannot be put in it.
    """
    note = parse_note(note_bytes, place="checkpoint")
    return render_note(Note(note.text, (*note.signatures, *cosignatures)))


def open_checkpoint(
    note_bytes: bytes,
    *,
    log_key: VerifierKey,
    witness_keys: Iterable[VerifierKey] = (),
    origin: str | None = None,
    strict: bool = True,
    place: str = "checkpoint",
) -> SignedCheckpoint:
    """Check a checkpoint's signatures and give what it says.

    Args:
        note_bytes: the file, whole.
        log_key: the log's key, type 0x01; its cosignature key follows from it.
        witness_keys: type 0x04 keys whose cosignatures, where present, are checked and given back.
        origin: the origin that it must name; None for the name of `log_key`.
        strict: refuse lines by any other key, so that no byte of the file can change unseen. Not strict, they are
            passed over, as the standard asks of readers that meet witnesses they do not know.
        place: what to call it in an error.

    Raises:
        ProofInvalidError: malformed, for another origin, lacking either of the log's signatures, or with a wrong one.
    """
    if log_key.key_type != KEY_TYPE_ED25519:
        raise InvalidInputError("the log's key must be of type 0x01", place="log_key")
    witnesses = tuple(witness_keys)
    if any(key.key_type != KEY_TYPE_COSIGNATURE for key in witnesses):
        raise InvalidInputError("a witness's key must be of type 0x04", place="witness_keys")
    note = parse_note(note_bytes, place=place)
    log_keys = (log_key, log_key.as_cosigner())
    verified = {item.key: item for item in check_signatures(note, (*log_keys, *witnesses), strict=strict, place=place)}
    for key in log_keys:
        if key not in verified:
            raise ProofInvalidError(
                f"{place} lacks a signature by its log", place=place, expected=f"a signature by {render_vkey(key)}"
            )
    checkpoint = parse_checkpoint(note.text, place=place)
    wanted_origin = log_key.name if origin is None else origin
    if checkpoint.origin != wanted_origin:
        raise ProofInvalidError(
            f"{place} is of another log", place=f"{place} line 1", expected=wanted_origin, found=checkpoint.origin
        )
    cosignatures = tuple(item for key, item in verified.items() if key not in log_keys)
    return SignedCheckpoint(checkpoint, verified[log_keys[1]].time_seconds, cosignatures)
