"""Step 1 of the main path: who calls.

A token says who its bearer is (`iss` and `sub`), never which party that belongs to: that is looked up in the state on
each request. Only the check of the signature is remembered: not beyond the token's own end, and no longer than tokens
of its issuer are taken, by these very keys.

A token that is bound to a key (RFC 8705) is taken only on connections that showed the certificate of that key. Which
build a service runs is said by the issuer of credentials alone, in a bound token.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
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
THUMBPRINT: Final = "x5t#S256"
_THUMBPRINT: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_BUILD: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Issuer:
    """An issuer whose tokens are taken: its name, its public keys, and the audience it must name.

    `digest` is SHA-256 of its JWK set's file, by which a governed ledger trusts it; b"" where none needs to.
    `names_builds` holds for the issuer of credentials alone: its tokens are bound, and each names a build.
    """

    name: str
    keys: KeySet
    audience: str = AUDIENCE
    digest: bytes = b""
    names_builds: bool = False


class Bearer(NamedTuple):
    """What a token says: issuer and subject, and who signed it.

    `certificate` is SHA-256 of the certificate that it is bound to, `build` the digest of the build that it names; b""
    for none.
    """

    identity: tuple[str, str]
    issuer: Issuer
    certificate: bytes = b""
    build: bytes = b""


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

    def check(self, authorization: bytes, certificate: bytes = b"") -> Bearer:
        """Give what the bearer token in an Authorization header's value says.

        Args:
            authorization: the header's value.
            certificate: SHA-256 of the certificate that the connection showed, or b"".

        Raises:
            UnauthenticatedError: no token, or one that is not valid now.
        """
        known = self._checked.get(authorization)
        now = self._clock_seconds()
        issuers = self._issuers()
        if known is not None and now < known[1] and issuers.get(known[0].issuer.name) is known[0].issuer:
            return _hold_to_key(known[0], certificate)
        bearer, ends = self._verify(authorization, issuers, now)
        if len(self._checked) >= TOKENS_CACHED_MAX:
            self._checked.clear()
        self._checked[authorization] = (bearer, ends)
        return _hold_to_key(bearer, certificate)

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
    bound = _certificate_of(claims)
    return Bearer((issuer.name, subject), issuer, bound, _build_of(claims, issuer, bound)), float(ends)


def _hold_to_key(bearer: Bearer, certificate: bytes) -> Bearer:
    if bearer.certificate and bearer.certificate != certificate:
        shown = "showed another" if certificate else "showed none"
        raise UnauthenticatedError(
            f"the token is bound to the key of a certificate, and this connection {shown}",
            hint="connect to the gateway itself, with the certificate that the token was given for",
        )
    return bearer


def _certificate_of(claims: Mapping[str, Any]) -> bytes:
    """Give what a token is bound to; one that is bound in another way as well cannot be held to it, and is refused."""
    if "cnf" not in claims:
        return b""
    bound = claims["cnf"]
    text = bound.get(THUMBPRINT) if isinstance(bound, dict) and len(bound) == 1 else None
    if isinstance(text, str) and _THUMBPRINT.fullmatch(text):
        thumbprint = base64.urlsafe_b64decode(f"{text}=")
        if render_thumbprint(thumbprint) == text:
            return thumbprint
    raise UnauthenticatedError(f"the token is bound to a key in another way than by `{THUMBPRINT}`")


def render_thumbprint(thumbprint: bytes) -> str:
    """Give the SHA-256 of a certificate (32 bytes) as a token's `cnf` says it: RFC 8705, section 3.1."""
    return base64.urlsafe_b64encode(thumbprint).rstrip(b"=").decode("ascii")


def _build_of(claims: Mapping[str, Any], issuer: Issuer, bound: bytes) -> bytes:
    if not issuer.names_builds:
        return b""
    build = claims.get("build")
    if not bound or not isinstance(build, str) or not _BUILD.fullmatch(build):
        raise UnauthenticatedError("the credential names no build, or is bound to no key")
    return bytes.fromhex(build)


def _is_time(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 2**53
