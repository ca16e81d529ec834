"""Issuers of tokens as a deployment has them: key sets in files, used as far as the ledger trusts them.

Rules of this file:
1. In a governed ledger an issuer of the settings is used while the ledger trusts its name by the digest of its file.
   One that it does not trust, or whose file is another, is left out, and everything else goes on.
2. The files are read at start, and again whenever the ledger's trust changes: put a new file in place, then let it be
   agreed to, and it is used from that rule on.
3. Our own issuer of credentials is one of those that the ledger trusts, with its file among the deployment's keys.
4. The development issuer is used in development mode, governed or not: the ledger's mode trusts it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from ringfence.app.credential_keys import PUBLIC_FILE as CREDENTIALS_FILE
from ringfence.app.deployment import Deployment
from ringfence.app.tokens import PUBLIC_FILE
from ringfence.core.errors import ConfigurationError
from ringfence.core.issuers import CREDENTIALS_ISSUER, DEVELOPMENT_ISSUER, OWN_PREFIX, is_own
from ringfence.core.ledger.entry import DEVELOPMENT
from ringfence.core.state import State
from ringfence.gateway.authentication import AUDIENCE, Issuer, read_issuer

_NOTHING: Final[Mapping[str, bytes]] = {}


class IssuerBook:
    """The issuers whose tokens are taken now.

    Args:
        deployment: whose settings name them.
        state: gives the newest state.

    Raises:
        ConfigurationError: the settings name an issuer of our own; or, where the ledger is not governed, a key set
            cannot be read.
    """

    def __init__(self, deployment: Deployment, state: Callable[[], State]) -> None:
        self._deployment = deployment
        self._state = state
        self._trusted: Mapping[str, bytes] = _NOTHING
        self._usable: dict[str, Issuer] = {}
        self._unused: list[str] = []
        _check_names(deployment)
        self._read(self._trust())

    def usable(self) -> Mapping[str, Issuer]:
        """Give the issuers whose tokens are taken, by name."""
        trusted = self._trust()
        if trusted is not self._trusted:
            self._read(trusted)
        return self._usable

    def unused(self) -> list[str]:
        """Say which issuers are not used and why, a sentence each; those that only the ledger names included."""
        self.usable()
        return self._unused

    def _trust(self) -> Mapping[str, bytes]:
        standing = self._state().standing
        return _NOTHING if standing is None else standing.issuers

    def _read(self, trusted: Mapping[str, bytes]) -> None:
        state, usable, unused = self._state(), {}, []
        files = self._files()
        for name, (path, audience) in files.items():
            if state.standing is None:
                usable[name] = read_issuer(name, path, audience=audience)
                continue
            issuer, reason = _read_trusted(name, path, audience, trusted.get(name, b""))
            if issuer is None:
                unused.append(f"the issuer {name} is not used: {reason}")
            else:
                usable[name] = replace(issuer, names_builds=name == CREDENTIALS_ISSUER)
        unused += [f"the issuer {name} is not used: no setting names its keys" for name in trusted if name not in files]
        if state.mode == DEVELOPMENT:
            own = read_issuer(DEVELOPMENT_ISSUER, self._deployment.keys / PUBLIC_FILE)
            usable[DEVELOPMENT_ISSUER] = replace(own, digest=b"")
        self._usable, self._unused, self._trusted = usable, unused, trusted

    def _files(self) -> dict[str, tuple[Path, str]]:
        """Give where each issuer's keys are, and the audience that it names."""
        settings = self._deployment.configuration.issuers
        files = {name: (self._deployment.path(item.keys), item.audience) for name, item in settings.items()}
        if self._state().standing is not None and CREDENTIALS_ISSUER in self._trust():
            files[CREDENTIALS_ISSUER] = (self._deployment.keys / CREDENTIALS_FILE, AUDIENCE)
        return files


def _check_names(deployment: Deployment) -> None:
    for name in deployment.configuration.issuers:
        if is_own(name):
            raise ConfigurationError(
                f"{name} cannot be configured as an issuer: `{OWN_PREFIX}` stands for this program's own",
                hint="remove it from ringfence.yaml",
            )


def _read_trusted(name: str, path: Path, audience: str, digest: bytes) -> tuple[Issuer | None, str]:
    """Give an issuer whose file is the one that the ledger trusts; else None, and why not."""
    if not digest:
        return None, "the ledger does not trust it; a proposal does: trust-issuer"
    try:
        issuer = read_issuer(name, path, audience=audience)
    except ConfigurationError as error:
        return None, error.message
    if issuer.digest != digest:
        return None, f"the ledger trusts keys with SHA-256 {digest.hex()}, and {path} has {issuer.digest.hex()}"
    return issuer, ""
