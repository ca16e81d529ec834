"""Making a deployment: keys, database, the first entries of the ledger, and the trust file that others pin."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ringfence.app.configuration import FILE, Configuration, render_configuration
from ringfence.app.deployment import TRUST_FILE, Deployment
from ringfence.app.runtime import clock_ms, open_runtime
from ringfence.app.tokens import create_token_key
from ringfence.core.charter import PROTECTED, Charter, parse_charter
from ringfence.core.decisions.engines import NEWEST_ENGINE
from ringfence.core.errors import ConfigurationError, InvalidInputError, RingfenceError
from ringfence.core.issuers import LOCAL_ISSUER
from ringfence.core.ledger import entry as e
from ringfence.core.ledger.merkle import hash_leaf
from ringfence.core.ledger.signed_note import render_vkey, verifier_key_of
from ringfence.keys.files import write_key_file
from ringfence.keys.shares import check_holders, seal_custody
from ringfence.keys.software import create_custody, make_custody_files
from ringfence.services.governance.authority import Governance

LOCAL_TOOLS: Final = ("ingest", "operator")


@dataclass(frozen=True, slots=True)
class Ground:
    """What a deployment is made from.

    Attributes:
        charter_text: the charter's file.
        charter_file: what to call it in problems.
        origin: the ledger's name, such as a domain that the custodian owns.
        configuration: the settings to write.
        mode: `development` or `production`, for ever.
    """

    charter_text: bytes
    charter_file: str
    origin: str
    configuration: Configuration
    mode: str


@dataclass(frozen=True, slots=True)
class Shared:
    """Among whom the secret of the custodian's keys is shared out: public keys by name, and how many open it."""

    holders: Mapping[str, bytes]
    threshold: int


async def initialise(directory: Path, ground: Ground) -> Charter:
    """Make a deployment in an empty or absent directory and put the charter in force: one operator makes its rules.

    Raises:
        CharterInvalidError: the charter has problems.
        ConfigurationError: the directory is not empty, or something cannot be written.
        InvalidInputError: the region is not one of the charter that may hold what is protected, or a production
            deployment has a development country.
    """
    charter = parse_charter(ground.charter_text, file=ground.charter_file)
    deployment, log_key = await make_deployment(directory, ground, charter)
    genesis = e.Genesis(
        origin=ground.origin,
        mode=ground.mode,
        engine=NEWEST_ENGINE,
        authority=authority_key(deployment),
        log_key=log_key,
        at_ms=clock_ms(),
    )
    write_trust(deployment, genesis)
    async with open_runtime(deployment) as runtime, runtime.governance() as governance:
        await governance.begin(genesis)
        await governance.enact(ground.charter_text, file=ground.charter_file)
        await open_first_key_epochs(governance, charter)
        for tool in LOCAL_TOOLS:
            await governance.register(issuer=LOCAL_ISSUER, subject=tool, party=charter.custodian)
    return charter


async def make_deployment(
    directory: Path, ground: Ground, charter: Charter, *, shared: Shared | None = None
) -> tuple[Deployment, str]:
    """Make the directory, the database and the keys that a ledger begins with; give them, and the log's key.

    Raises:
        ConfigurationError, InvalidInputError: as for `initialise`.
    """
    configuration, origin, mode = ground.configuration, ground.origin, ground.mode
    _check_region(configuration.region, charter)
    if configuration.development_country and mode != e.DEVELOPMENT:
        raise InvalidInputError("a production deployment has no development country", hint="leave one of the two out")
    if shared is not None:
        check_holders(shared.holders)
    verifier_key_of(Ed25519PrivateKey.generate(), name=origin)  # refuses a name that no key can have
    if configuration.geography and not Path(configuration.geography).is_file():
        raise ConfigurationError(f"there is no file {configuration.geography}", hint="name an MMDB file")
    deployment = Deployment(directory, configuration)
    _make_directory(directory)
    try:
        await _make_store(deployment)
    except RingfenceError:
        _remove_embedded(directory)
        raise
    log_key = _make_keys(deployment, charter, origin=origin, mode=mode, shared=shared)
    deployment.ledger.mkdir()
    write_file(directory / FILE, render_configuration(configuration).encode())
    return deployment, log_key


def authority_key(deployment: Deployment) -> bytes:
    """Give the public key (32 bytes) of the authority's lane."""
    return deployment.signing_key("authority").public_key().public_bytes_raw()


def write_trust(deployment: Deployment, genesis: e.Genesis) -> None:
    """Write what a verifier pins."""
    trust = {
        "origin": genesis.origin,
        "genesis": hash_leaf(e.render_entry(genesis)).hex(),
        "log_key": genesis.log_key,
        "witnesses": [],
        "witness_quorum": 0,
    }
    write_file(deployment.directory / TRUST_FILE, json.dumps(trust, indent=2).encode() + b"\n")


async def open_first_key_epochs(governance: Governance, charter: Charter) -> None:
    """State the first key epoch of each class that has none yet."""
    for data_class in charter.classes:
        if data_class not in governance.keeper.state.key_epochs:
            await governance.open_key_epoch(data_class, 1)


def _check_region(region: str, charter: Charter) -> None:
    """Refuse a region where nothing could be written: a user's id is protected, and comes with the first record."""
    if region not in charter.regions:
        raise InvalidInputError(
            f"there is no region {region!r:.80}", hint=f"the charter names {', '.join(charter.regions)}"
        )
    if PROTECTED not in charter.held_in(region):
        able = ", ".join(name for name in charter.regions if PROTECTED in charter.held_in(name))
        raise InvalidInputError(
            f"the charter lets nothing {PROTECTED} be stored in the region {region!r}", hint=f"it does in: {able}"
        )


def _make_directory(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        empty = not any(directory.iterdir())
    except OSError as error:
        raise ConfigurationError(
            f"{directory} cannot be made: {error.strerror}", hint="name a directory that is not there yet"
        ) from None
    if not empty:
        raise ConfigurationError(f"{directory} is not empty", hint="name a directory that is not there yet")


async def _make_store(deployment: Deployment) -> None:
    store = deployment.make_store()
    await store.create()
    await store.close()


def _remove_embedded(directory: Path) -> None:
    """Leave the directory empty, as it was, so that the command can be repeated."""
    for path in directory.iterdir():
        path.unlink()


def _make_keys(deployment: Deployment, charter: Charter, *, origin: str, mode: str, shared: Shared | None) -> str:
    authority, checkpoint = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    write_key_file(deployment.keys / "authority.key", authority.private_bytes_raw())
    write_key_file(deployment.keys / "checkpoint.key", checkpoint.private_bytes_raw())
    jurisdiction, custody = charter.jurisdiction.country, deployment.keys / "custody"
    if shared is None:
        create_custody(custody, jurisdiction=jurisdiction, classes=charter.classes)
    else:
        files = make_custody_files(jurisdiction=jurisdiction, classes=charter.classes)
        seal_custody(custody, files, holders=shared.holders, threshold=shared.threshold)
    if mode == e.DEVELOPMENT:
        create_token_key(deployment)
    return render_vkey(verifier_key_of(checkpoint, name=origin))


def write_file(path: Path, data: bytes) -> None:
    """Write a new file, synced to the disk."""
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
