"""Development tokens: signed by a key that only a deployment in development mode has, refused everywhere else."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Final

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from ringfence.app.deployment import Deployment
from ringfence.core.errors import ConfigurationError, InvalidInputError
from ringfence.core.issuers import DEVELOPMENT_ISSUER
from ringfence.core.ledger.entry import DEVELOPMENT
from ringfence.core.state import State
from ringfence.gateway.authentication import LIFETIME_SECONDS_MAX
from ringfence.keys.files import write_key_file

KEY_FILE: Final = "token.jwk"
PUBLIC_FILE: Final = "token-keys.json"


def create_token_key(deployment: Deployment) -> None:
    """Make the key that signs development tokens."""
    create_signing_key(deployment, "development", key_file=KEY_FILE, public_file=PUBLIC_FILE)


def create_signing_key(deployment: Deployment, name: str, *, key_file: str, public_file: str) -> None:
    """Make a key that signs tokens, and beside it the JWK set with its public half.

    Args:
        deployment: where both lie, among its keys.
        name: what tokens call the key.
        key_file, public_file: names of files that are not there yet.
    """
    key = OKPKey.generate_key("Ed25519", parameters={"kid": name})
    write_key_file(deployment.keys / key_file, json.dumps(key.as_dict(private=True)).encode())
    public = {"keys": [key.as_dict(private=False)]}
    write_key_file(deployment.keys / public_file, json.dumps(public).encode())


def read_signing_key(path: Path) -> OKPKey:
    """Read a key that signs tokens.

    Raises:
        ConfigurationError: it cannot be read, or is none.
    """
    try:
        return OKPKey.import_key(json.loads(path.read_bytes()))
    except (OSError, ValueError, KeyError, TypeError, JoseError) as error:
        raise ConfigurationError(
            f"the key that signs tokens cannot be read from {path}: {type(error).__name__}",
            hint="restore it from the custodian's key backup",
        ) from None


def check_development(state: State) -> None:
    """Refuse unless the genesis entry says that this ledger is for development.

    Raises:
        ConfigurationError: it does not, and never will.
    """
    if state.mode != DEVELOPMENT:
        raise ConfigurationError(
            "this deployment is in production mode: it makes no tokens",
            hint="get a token from an issuer that ringfence.yaml names",
        )


def mint_token(deployment: Deployment, state: State, *, subject: str, lifetime_seconds: int) -> str:
    """Make a development token for a registered subject.

    Raises:
        ConfigurationError: the deployment is not in development mode.
        InvalidInputError: the subject is not registered, or the lifetime is out of bounds.
    """
    check_development(state)
    if (DEVELOPMENT_ISSUER, subject) not in state.identities:
        known = ", ".join(sorted(sub for issuer, sub in state.identities if issuer == DEVELOPMENT_ISSUER)) or "nobody"
        raise InvalidInputError(
            f"{subject!r:.80} is not registered for development tokens; {known} is",
            hint="register it: `ringfence principal register`, or in a governed ledger by the founding plan or a "
            f"proposal with the issuer {DEVELOPMENT_ISSUER}",
        )
    if not 1 <= lifetime_seconds <= LIFETIME_SECONDS_MAX:
        raise InvalidInputError(f"a token is valid for 1 to {LIFETIME_SECONDS_MAX} seconds")
    now = int(time.time())
    claims = {
        "iss": DEVELOPMENT_ISSUER,
        "sub": subject,
        "aud": "ringfence",
        "iat": now,
        "exp": now + lifetime_seconds,
    }
    key = read_signing_key(deployment.keys / KEY_FILE)
    return jwt.encode({"alg": "Ed25519", "kid": "development"}, claims, key, algorithms=["Ed25519"])
