"""Issuers of tokens with real keys, and tokens of any shape."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OKPKey, RSAKey

from ringfence.gateway.authentication import Issuer, TokenChecker

NOW = 1_800_000_000
HOUR = 3600
FIRST, SECOND = "https://login.example.org", "https://login.example.net"
KEYS = {
    "Ed25519": OKPKey.generate_key("Ed25519", parameters={"kid": "one"}),
    "ES256": ECKey.generate_key("P-256", parameters={"kid": "ec"}),
    "RS256": RSAKey.generate_key(2048, parameters={"kid": "rsa"}),
}
OTHER_KEY = OKPKey.generate_key("Ed25519", parameters={"kid": "one"})
SECOND_KEY = OKPKey.generate_key("Ed25519", parameters={"kid": "second"})


def public(*keys: Any) -> KeySet:
    """Give the public halves as a key set."""
    return KeySet.import_key_set({"keys": [key.as_dict(private=False) for key in keys]})


ISSUERS = {
    FIRST: Issuer(FIRST, public(*KEYS.values())),
    SECOND: Issuer(SECOND, public(SECOND_KEY), "custody"),
}
"""Two issuers, each with keys and an audience of its own."""


class Clock:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.seconds: float = NOW

    def __call__(self) -> float:
        return self.seconds


def make_checker(clock: Clock | None = None) -> TokenChecker:
    """Make a checker that takes the tokens of both issuers."""
    return TokenChecker(lambda: ISSUERS, clock_seconds=clock or Clock())


def claims(**changes: Any) -> dict[str, Any]:
    """Give the claims of a good token; a change to None leaves the claim out."""
    good = {"iss": FIRST, "sub": "app", "aud": "ringfence", "iat": NOW, "exp": NOW + HOUR}
    return {name: value for name, value in (good | changes).items() if value is not None}


def sign(
    values: dict[str, Any], *, key: Any = KEYS["Ed25519"], alg: str = "Ed25519", kid: str | None = "one", **header: Any
) -> bytes:
    """Give an Authorization header's value with these claims signed."""
    head = {"alg": alg, **({"kid": kid} if kid is not None else {}), **header}
    return b"Bearer " + jwt.encode(head, values, key, algorithms=[alg]).encode()


def encode(part: bytes) -> bytes:
    """Give base64url without padding."""
    return base64.urlsafe_b64encode(part).rstrip(b"=")


def raw(header: Any, payload: Any, signature: bytes = b"") -> bytes:
    """Give a token of any parts, signed by nobody."""
    parts = [part if isinstance(part, bytes) else json.dumps(part).encode() for part in (header, payload)]
    return b"Bearer " + b".".join([*map(encode, parts), encode(signature)])


def sign_with_secret(header: Any, payload: Any, secret: bytes) -> bytes:
    """Give a token with an HMAC, as an attacker makes who takes a public key for a secret."""
    signed = b".".join(encode(json.dumps(part).encode()) for part in (header, payload))
    return b"Bearer " + signed + b"." + encode(hmac.digest(secret, signed, hashlib.sha256))
