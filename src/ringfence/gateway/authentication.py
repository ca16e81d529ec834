"""Step 1 of the main path: who calls.

A token says who its bearer is (`iss` and `sub`), never which party that belongs to: that is looked up in the state on
each request. Only the check of the signature is remembered: not beyond the token's own end, and no longer than tokens
of its issuer are taken, by these very keys.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from ringfence.core.errors import ConfigurationError, UnauthenticatedError

ALGORITHMS: Final = ("Ed25519", "EdDSA", "ES256", "RS256", "PS256")
AUDIENCE: Final = "ringfence"
TOKEN_SIZE_BYTES_MAX: Final = 8_192
TOKENS_CACHED_MAX: Final = 10_000
LEEWAY_SECONDS: Final = 30
LIFETIME_SECONDS_MAX: Final = 86_400
KEYS_SIZE_BYTES_MAX: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class Issuer:
    """An issuer whose tokens are taken: its name, its public keys, and the audience it must name.

    `digest` is SHA-256 of its JWK set's file, by which a governed ledger trusts it; b"" where none needs to.
    """

    name: str
    keys: KeySet
    audience: str = AUDIENCE
    digest: bytes = b""


class Bearer(NamedTuple):
    """Whom a token names (issuer and subject), and the issuer that signed it."""

    identity: tuple[str, str]
    issuer: Issuer


def read_issuer(name: str, path: Path, *, audience: str = AUDIENCE) -> Issuer:
    """Read an issuer's public keys from a JWK set file.

    Raises:
        ConfigurationError: the file is missing, is too large, is not a JWK set, or holds a key that is not public.
    """
    try:
        with path.open("rb") as file:
            text = file.read(KEYS_SIZE_BYTES_MAX + 1)
        if len(text) > KEYS_SIZE_BYTES_MAX:
            raise ValueError(f"it is larger than {KEYS_SIZE_BYTES_MAX} bytes")
        keys = KeySet.import_key_set(json.loads(text))
        if any(key.is_private for key in keys.keys):
            raise ValueError("it holds a secret or private key")
        return Issuer(name, keys, audience, hashlib.sha256(text).digest())
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, JoseError) as error:
        raise ConfigurationError(
            f"the keys of issuer {name} cannot be read from {path}: {error}",
            hint="name a file with the issuer's JWK set under `issuers` in ringfence.yaml",
        ) from None


class TokenChecker:
    """Checks bearer tokens.

    Args:
        issuers: gives those whose tokens are taken now, by name.
        clock_seconds: gives seconds since 1970 UTC.
    """

    def __init__(self, issuers: Callable[[], Mapping[str, Issuer]], *, clock_seconds: Callable[[], float]) -> None:
        self._issuers = issuers
        self._clock_seconds = clock_seconds
        self._checked: dict[bytes, tuple[Bearer, float]] = {}

    def check(self, authorization: bytes) -> Bearer:
        """Give whom the bearer token in an Authorization header's value names.

        Raises:
            UnauthenticatedError: no token, or one that is not valid now.
        """
        known = self._checked.get(authorization)
        now = self._clock_seconds()
        issuers = self._issuers()
        if known is not None and now < known[1] and issuers.get(known[0].issuer.name) is known[0].issuer:
            return known[0]
        bearer, ends = self._verify(authorization, issuers, now)
        if len(self._checked) >= TOKENS_CACHED_MAX:
            self._checked.clear()
        self._checked[authorization] = (bearer, ends)
        return bearer

    def _verify(self, authorization: bytes, issuers: Mapping[str, Issuer], now: float) -> tuple[Bearer, float]:
        scheme, _, token = authorization.partition(b" ")
        if scheme.lower() != b"bearer" or not token:
            raise UnauthenticatedError("a bearer token is missing", hint="send `Authorization: Bearer TOKEN`")
        if len(token) > TOKEN_SIZE_BYTES_MAX:
            raise UnauthenticatedError(f"the token is longer than {TOKEN_SIZE_BYTES_MAX} bytes")
        try:
            issuer = issuers[_name_of(token)]
            claims = jwt.decode(token.decode("ascii"), issuer.keys, algorithms=list(ALGORITHMS)).claims
        except (JoseError, LookupError, ValueError, TypeError, AttributeError, RecursionError):
            raise UnauthenticatedError("the token is not signed by an issuer that is trusted here") from None
        return check_claims(claims, issuer, now)


def _name_of(token: bytes) -> str:
    """Give the issuer that a token names; the name counts only because its keys are then asked."""
    from joserfc.util import urlsafe_b64decode

    name: str = json.loads(urlsafe_b64decode(token.split(b".")[1]))["iss"]
    return name


def check_claims(claims: Mapping[str, Any], issuer: Issuer, now: float) -> tuple[Bearer, float]:
    """Give whom the claims of a token name, which this issuer signed, and when it ends (seconds since 1970 UTC).

    Raises:
        UnauthenticatedError: it is for another audience, names nobody, or is not valid now.
    """
    audience = claims.get("aud")
    subject = claims.get("sub")
    starts, ends = claims.get("nbf", claims.get("iat", 0)), claims.get("exp")
    if claims.get("iss") != issuer.name or issuer.audience not in (
        audience if isinstance(audience, list) else [audience]
    ):
        raise UnauthenticatedError("the token is for another audience", hint=f"ask for audience {issuer.audience}")
    if not isinstance(subject, str) or not 0 < len(subject) <= 255:
        raise UnauthenticatedError("the token names no subject")
    if not _is_time(ends) or not _is_time(starts) or ends is None or starts is None:
        raise UnauthenticatedError("the token has no end", hint="an `exp` claim is needed")
    if now >= ends or now + LEEWAY_SECONDS < starts:
        raise UnauthenticatedError("the token is not valid now", hint="get a new token")
    if ends - now > LIFETIME_SECONDS_MAX:
        raise UnauthenticatedError(f"the token is valid for more than {LIFETIME_SECONDS_MAX} seconds")
    return Bearer((issuer.name, subject), issuer), float(ends)


def _is_time(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 2**53
