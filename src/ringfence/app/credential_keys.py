"""The key that signs credentials of services, and what a ledger must say for it to count.

The ledger trusts it like that of any other issuer: from the founding on, or by a quorum. Whoever puts another key in
its place is not believed.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from typing import Final

from joserfc.jwk import OKPKey

from ringfence.app.deployment import Deployment
from ringfence.app.tokens import create_signing_key, read_signing_key
from ringfence.core.errors import ConfigurationError
from ringfence.core.issuers import CREDENTIALS_ISSUER, is_trusted
from ringfence.core.people.standing import Standing
from ringfence.core.state import State

KEY_FILE: Final = "credentials.jwk"
PUBLIC_FILE: Final = "credentials-keys.json"


def create_credentials_key(deployment: Deployment) -> bytes:
    """Make the key that signs credentials; give the digest (32 bytes) by which a ledger trusts it.

    Raises:
        ConfigurationError: there is one already.
    """
    create_signing_key(deployment, f"credentials-{secrets.token_hex(4)}", key_file=KEY_FILE, public_file=PUBLIC_FILE)
    return credentials_digest(deployment)


def replace_credentials_key(deployment: Deployment, state: State) -> bytes:
    """Make another key in the place of the one that signs credentials; give its digest (32 bytes).

    A crash in between leaves none, so that no credential is given until this is done again.

    Raises:
        ConfigurationError: the ledger is not governed, or a file cannot be removed or written.
    """
    require_governed(state)
    for name in (KEY_FILE, PUBLIC_FILE):
        path = deployment.keys / name
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise ConfigurationError(f"{path} cannot be removed: {error.strerror}") from None
    return create_credentials_key(deployment)


def credentials_digest(deployment: Deployment) -> bytes:
    """Give the digest of the file with the public key of credentials.

    Raises:
        ConfigurationError: it cannot be read.
    """
    path = deployment.keys / PUBLIC_FILE
    try:
        return hashlib.sha256(path.read_bytes()).digest()
    except OSError as error:
        raise ConfigurationError(
            f"the public key of credentials cannot be read from {path}: {error.strerror}",
            hint="make one with `ringfence credential key --new`, and let people agree to it",
        ) from None


def read_trusted_key(deployment: Deployment, state: State) -> OKPKey:
    """Read the key that signs credentials.

    Raises:
        ConfigurationError: it cannot be read, or is not the one that the ledger trusts.
    """
    digest = credentials_digest(deployment)
    if not is_trusted(state, CREDENTIALS_ISSUER, digest):
        raise ConfigurationError(
            f"the ledger does not trust the key of credentials with SHA-256 {digest.hex()}",
            hint=f"a proposal does: `do: trust-issuer` with `name: {CREDENTIALS_ISSUER}`",
        )
    key = read_signing_key(deployment.keys / KEY_FILE)
    public = json.loads((deployment.keys / PUBLIC_FILE).read_bytes())
    if public != {"keys": [key.as_dict(private=False)]}:
        raise ConfigurationError(
            f"{KEY_FILE} and {PUBLIC_FILE} are not of one key", hint="restore both from the custodian's key backup"
        )
    return key


def require_governed(state: State) -> Standing:
    """Give what people agreed to.

    Raises:
        ConfigurationError: the ledger is not governed.
    """
    if state.standing is None:
        raise ConfigurationError(
            "the ledger is not governed, so that nobody approves builds", hint="found one: `ringfence init --ceremony`"
        )
    return state.standing
