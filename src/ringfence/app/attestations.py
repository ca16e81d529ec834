"""Attestations: who built what, as whoever built it signed it. What they name is approved, or not, by people.

Rules of this file:
1. An attestation is a DSSE envelope with an in-toto statement v1 of SLSA provenance v1. Nothing of it is believed
   before a signature of a known attestor holds over its exact bytes and its type; other predicates say something else
   of a build, such as what is wrong with it, and are refused.
2. It names one build, by SHA-256: of two nobody could say which one runs.
3. The key id of an envelope is a hint that nobody signed. Each signature is tried with each known key instead, and
   everybody known who signed is told: whose word counts for the build is not for this file to say.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, TypeVar

import msgspec
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import UnverifiedSignatureError
from securesystemslib.signer import SSlibKey

from ringfence.core.errors import InvalidInputError, ProofInvalidError
from ringfence.core.exact_json import parse_exact_json
from ringfence.core.people.attestors import name_attestor, read_attestor

PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE: Final = "https://slsa.dev/provenance/v1"
SIZE_BYTES_MAX: Final = 1024 * 1024
SIGNATURES_MAX: Final = 16
_SHA256: Final = re.compile(r"[0-9a-f]{64}")

_Part = TypeVar("_Part", bound=msgspec.Struct)


@dataclass(frozen=True, slots=True)
class Attested:
    """What an attestation says: the build's digest (32 bytes), its name there, and the known attestors that signed it.

    `attestors` are keys as DER, at least one.
    """

    build: bytes
    name: str
    attestors: frozenset[bytes]


class _Signature(msgspec.Struct):
    sig: str


class _Envelope(msgspec.Struct):
    payload: str
    payload_type: str = msgspec.field(name="payloadType")
    signatures: list[_Signature]


class _Subject(msgspec.Struct):
    digest: dict[str, str]
    name: str = ""


class _Statement(msgspec.Struct):
    type_: str = msgspec.field(name="_type")
    predicate_type: str = msgspec.field(name="predicateType")
    subject: list[_Subject]


def verify_attestation(data: bytes, attestors: Collection[bytes], *, place: str) -> Attested:
    """Give what an attestation says, and every known attestor whose signature over it holds, once one does.

    Args:
        data: the envelope's JSON.
        attestors: keys as DER.
        place: what to call it in problems.

    Raises:
        ProofInvalidError: it is no such envelope, no known attestor signed it, or it does not name one build.

    Source: DSSE v1; in-toto attestation framework, statement v1.
    """
    if len(data) > SIZE_BYTES_MAX:
        raise ProofInvalidError("the attestation is too long", place=place, expected=f"<= {SIZE_BYTES_MAX} bytes")
    envelope = _convert(data, _Envelope, "DSSE envelope", place)
    if envelope.payload_type != PAYLOAD_TYPE:
        raise ProofInvalidError(
            "the attestation is of another type", place=place, expected=PAYLOAD_TYPE, found=envelope.payload_type[:100]
        )
    if not 1 <= len(envelope.signatures) <= SIGNATURES_MAX:
        raise ProofInvalidError(
            "the attestation has no signature, or too many",
            place=place,
            expected=f"1 to {SIGNATURES_MAX}",
            found=str(len(envelope.signatures)),
        )
    payload, signers = b"", set()
    for attestor in attestors:
        for signature in envelope.signatures:
            signed = _signed_payload(envelope, signature, attestor)
            if signed is not None:
                payload = signed  # the same for each: a signature is over the envelope's one payload
                signers.add(attestor)
                break
    if not signers:
        raise ProofInvalidError(
            "nobody signed the attestation whose word people agreed to take on a build", place=place
        )
    return _read_statement(payload, frozenset(signers), place)


def _signed_payload(envelope: _Envelope, signature: _Signature, attestor: bytes) -> bytes | None:
    """Give the payload when this is this attestor's signature over it and its type, else None."""
    key = SSlibKey.from_crypto(read_attestor(attestor).key, keyid=name_attestor(attestor))
    told = {
        "payload": envelope.payload,
        "payloadType": envelope.payload_type,
        "signatures": [{"keyid": key.keyid, "sig": signature.sig}],
    }
    try:
        signed = Envelope.from_dict(told)
        signed.verify([key], 1)
    except (UnverifiedSignatureError, binascii.Error, ValueError):
        return None
    return bytes(signed.payload)


def _read_statement(payload: bytes, attestors: frozenset[bytes], place: str) -> Attested:
    statement = _convert(payload, _Statement, "in-toto statement", place)
    for field, expected, found in (
        ("statement", STATEMENT_TYPE, statement.type_),
        ("predicate", PREDICATE_TYPE, statement.predicate_type),
    ):
        if found != expected:
            raise ProofInvalidError(
                f"the attestation's {field} is of another type", place=place, expected=expected, found=found[:100]
            )
    if len(statement.subject) != 1:
        raise ProofInvalidError(
            "the attestation does not name one build", place=place, expected="1", found=str(len(statement.subject))
        )
    subject = statement.subject[0]
    digest = subject.digest.get("sha256", "")
    if not _SHA256.fullmatch(digest):
        raise ProofInvalidError("the attestation names its build by no SHA-256", place=place, found=digest[:100])
    return Attested(bytes.fromhex(digest), subject.name, attestors)


def _convert(data: bytes, kind: type[_Part], what: str, place: str) -> _Part:
    try:
        return msgspec.convert(parse_exact_json(data), kind)
    except (InvalidInputError, msgspec.ValidationError) as error:
        raise ProofInvalidError(f"this is no {what}: {error}", place=place) from None
