"""A deployment on disk: one directory with settings, pinned trust, keys, the embedded database and the static tree.

ringfence.yaml    settings
trust.json        what a verifier pins: give it to the overseer
keys/custody/     key-encryption keys, index secret, detail key    (gateways); or `sealed`, and `shares/` of it
keys/lanes/       N.key: a lane's signing key, N.head: what it sealed last   (gateways)
keys/authority.key, authority.head                                  (who changes rules)
keys/checkpoint.key                                                 (the sequencer alone)
keys/shown-checkpoint   the newest checkpoint that was seen         (all of these)
keys/token.jwk, token-keys.json   development tokens                (only in development mode)
keys/credentials.jwk, credentials-keys.json   sign credentials of services   (only in a governed ledger)
vault.db          the embedded database
ledger/           the static tree, for anyone to read and copy
ledger-work/      what the sequencer keeps beside it
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ringfence.app.configuration import SQLITE_STORE, Configuration, read_configuration
from ringfence.core.errors import ConfigurationError, ProofInvalidError
from ringfence.core.key_custody import KeyCustody
from ringfence.core.ledger.lane import AUTHORITY_LANE, LaneHead
from ringfence.core.ledger.signed_note import VerifierKey, parse_vkey
from ringfence.core.ports import Store
from ringfence.keys.files import read_key_file
from ringfence.keys.lane_heads import SUFFIX, LaneHeadFile
from ringfence.keys.shares import is_sealed, open_sealed_custody
from ringfence.keys.software import open_custody
from ringfence.ledger.shown import SHOWN, ShownCheckpoint
from ringfence.vault.postgres import PostgresStore
from ringfence.vault.sqlite import SqliteStore

SHARES_VARIABLE: Final = "RINGFENCE_SHARES"
TRUST_FILE: Final = "trust.json"


@dataclass(frozen=True, slots=True)
class Trust:
    """What is pinned from outside: the log's name, the genesis entry's leaf hash (32 bytes), the log's key."""

    origin: str
    genesis: bytes
    log_key: VerifierKey


@dataclass(frozen=True, slots=True)
class Deployment:
    """A deployment's directory and settings."""

    directory: Path
    configuration: Configuration

    @property
    def ledger(self) -> Path:
        """The static tree's directory."""
        return self.directory / "ledger"

    @property
    def keys(self) -> Path:
        """The keys' directory."""
        return self.directory / "keys"

    @property
    def is_embedded(self) -> bool:
        """Whether the store is the SQLite file in this directory."""
        return self.configuration.store == SQLITE_STORE

    def make_store(self, *, read_only: bool = False) -> Store:
        """Give the store that the settings name, not yet opened."""
        if self.is_embedded:
            return SqliteStore(self.directory / "vault.db", read_only=read_only)
        return PostgresStore(self.configuration.store)

    def open_custody(self) -> KeyCustody:
        """Open the custodian's keys; sealed ones with the holders' shares in the file that `SHARES_VARIABLE` names.

        Raises:
            ConfigurationError: they are not all here, or the shares are missing or too few.
        """
        directory = self.keys / "custody"
        if not is_sealed(directory):
            return open_custody(directory)
        return open_sealed_custody(directory, _read_shares())

    def signing_key(self, name: str) -> Ed25519PrivateKey:
        """Read one signing key: `authority`, `checkpoint`, or `lanes/N`."""
        return Ed25519PrivateKey.from_private_bytes(read_key_file(self.keys / f"{name}.key"))

    def lane_memory(self, lane: int) -> LaneHeadFile:
        """Give what remembers the last sealed head of a lane, beside the lane's key."""
        name = "authority" if lane == AUTHORITY_LANE else f"lanes/{lane}"
        return LaneHeadFile(self.keys / f"{name}{SUFFIX}", lane=lane)

    def remembered_heads(self) -> Iterator[LaneHead]:
        """Give the last sealed head of each lane whose key was ever used here.

        Raises:
            IntegrityError, UnavailableError: one of them cannot be read.
        """
        names = [path.stem for path in self.keys.glob(f"lanes/*{SUFFIX}")]
        for lane in [AUTHORITY_LANE, *sorted(int(name) for name in names if name.isdecimal())]:
            head = self.lane_memory(lane).read()
            if head is not None:
                yield head

    def shown_checkpoint(self, log_key: VerifierKey) -> ShownCheckpoint:
        """Give the copy of the newest checkpoint that was seen from here."""
        return ShownCheckpoint(self.keys / SHOWN, log_key=log_key)

    def path(self, name: str) -> Path:
        """Give a path of the settings, which is relative to the deployment."""
        return self.directory / name

    def read_trust(self) -> Trust:
        """Read what is pinned.

        Raises:
            ConfigurationError: the file is missing or malformed.
        """
        path = self.directory / TRUST_FILE
        try:
            values = json.loads(path.read_bytes())
            return Trust(values["origin"], bytes.fromhex(values["genesis"]), parse_vkey(values["log_key"]))
        except FileNotFoundError:
            raise ConfigurationError(
                f"there is no trust file {path}",
                hint="once every founder has signed, `ringfence found` begins the ledger and writes it; "
                "if it was there and got lost, restore it from a copy that a verifier has",
            ) from None
        except (OSError, ValueError, KeyError, TypeError, ProofInvalidError) as error:
            raise ConfigurationError(
                f"the trust file {path} cannot be read: {error}", hint="restore it from a copy that a verifier has"
            ) from None


def _read_shares() -> list[str]:
    path = os.environ.get(SHARES_VARIABLE, "")
    try:
        lines = Path(path).read_text("ascii").splitlines() if path else []
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"the shares in {path} cannot be read: {error}") from None
    if not lines:
        raise ConfigurationError(
            "the custodian's keys are sealed, and no shares are handed in",
            hint="each holder opens an own one: `ringfence share keys/custody/shares/NUMBER.age --key KEY`; put them, "
            f"a line each, into a file and name it with {SHARES_VARIABLE}",
        )
    return lines


def open_deployment(directory: Path) -> Deployment:
    """Open a deployment's directory.

    Raises:
        ConfigurationError: there is none, or its settings are wrong.
    """
    return Deployment(directory, read_configuration(directory))
