"""Step 1 of the main path: who calls.

A token says who its bearer is (`iss` and `sub`), never which party that belongs to: that is looked up in the state on
each request. Only the check of the signature is remembered, and not beyond the token's own end.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

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


@dataclass(frozen=True, slots=True)
class Issuer:
    """An issuer of tokens that the configuration trusts: its name, its public keys, and the audience it must name."""

    name: str
    keys: KeySet
    audience: str = AUDIENCE


def read_issuer(name: str, path: Path, *, audience: str = AUDIENCE) -> Issuer:
    """Read an issuer's public keys from a JWK set file.

    Raises:
        ConfigurationError: the file is missing, is not a JWK set, or holds a key that is not public.
    """
    try:
        keys = KeySet.import_key_set(json.loads(path.read_bytes()))
        if any(key.is_private for key in keys.keys):
            raise ValueError("it holds a secret or private key")
        return Issuer(name, keys, audience)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, JoseError) as error:
        raise ConfigurationError(
            f"the keys of issuer {name} cannot be read from {path}: {error}",
            hint="name a file with the issuer's JWK set under `issuers` in ringfence.yaml",
        ) from None


class TokenChecker:
    """Checks bearer tokens.

    Args:
        issuers: by name.
        clock_seconds: gives seconds since 1970 UTC.
    """

    def __init__(self, issuers: Mapping[str, Issuer], *, clock_seconds: Callable[[], float]) -> None:
        self._issuers = issuers
        self._clock_seconds = clock_seconds
        self._checked: dict[bytes, tuple[tuple[str, str], float]] = {}

    def check(self, authorization: bytes) -> tuple[str, str]:
        """Give (issuer, subject) of the bearer token in an Authorization header's value.

        Raises:
            UnauthenticatedError: no token, or one that is not valid now.
        """
        known = self._checked.get(authorization)
        now = self._clock_seconds()
        if known is not None and now < known[1]:
            return known[0]
        identity, ends = self._verify(authorization, now)
        if len(self._checked) >= TOKENS_CACHED_MAX:
            self._checked.clear()
        self._checked[authorization] = (identity, ends)
        return identity

    def _verify(self, authorization: bytes, now: float) -> tuple[tuple[str, str], float]:
        scheme, _, token = authorization.partition(b" ")
        if scheme.lower() != b"bearer" or not token:
            raise UnauthenticatedError("a bearer token is missing", hint="send `Authorization: Bearer TOKEN`")
        if len(token) > TOKEN_SIZE_BYTES_MAX:
            raise UnauthenticatedError(f"the token is longer than {TOKEN_SIZE_BYTES_MAX} bytes")
        try:
            issuer = self._issuer_of(token)
            claims = jwt.decode(token.decode("ascii"), issuer.keys, algorithms=list(ALGORITHMS)).claims
        except (JoseError, LookupError, ValueError, TypeError, AttributeError, RecursionError):
            raise UnauthenticatedError("the token is not signed by an issuer that is trusted here") from None
        return self._check_claims(claims, issuer, now)

    def _issuer_of(self, token: bytes) -> Issuer:
        """Find the issuer that a token names; the name counts only because its keys are then asked."""
        from joserfc.util import urlsafe_b64decode

        claims = json.loads(urlsafe_b64decode(token.split(b".")[1]))
        return self._issuers[claims["iss"]]

    def _check_claims(self, claims: Mapping[str, Any], issuer: Issuer, now: float) -> tuple[tuple[str, str], float]:
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
        return (issuer.name, subject), float(ends)


def _is_time(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 2**53
