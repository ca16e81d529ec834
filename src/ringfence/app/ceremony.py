"""The key ceremony: a governed ledger begins only when everyone who founds it has signed the same bytes.

1. `begin_ceremony` makes the deployment's keys and database, and the founding document, which names them.
2. Each founder reads the document and signs it, with a key that was made elsewhere and never comes here.
3. `finish_ceremony` checks every signature and writes the ledger's first entries: all that they say is tried first. A
   crash leaves a deployment without a ledger, or one whose first entries are not all there; the step can be repeated,
   and goes on from where it stopped. Two at once would pin different beginnings: one waits for nobody and is refused.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, TypeAlias

import msgspec

from ringfence.app.build import build_digest
from ringfence.app.ceremony_plan import read_plan
from ringfence.app.credential_keys import create_credentials_key
from ringfence.app.deployment import TRUST_FILE, Deployment
from ringfence.app.initialise import (
    Ground,
    Shared,
    authority_key,
    make_deployment,
    open_first_key_epochs,
    write_file,
    write_trust,
)
from ringfence.app.runtime import clock_ms, open_runtime
from ringfence.core.charter import Charter, parse_charter
from ringfence.core.coalition.gate import describe_too_few
from ringfence.core.decisions.engines import NEWEST_ENGINE
from ringfence.core.errors import CharterInvalidError, ConfigurationError, InvalidInputError, ProofInvalidError
from ringfence.core.folding import RuleSource, fold
from ringfence.core.governance.founding import (
    Founding,
    SignedFounding,
    check_founding,
    genesis_of,
    parse_founding,
    render_founding,
    render_founding_opening,
    verify_founding,
)
from ringfence.core.governance.proposals import understaffed
from ringfence.core.issuers import CREDENTIALS_ISSUER
from ringfence.core.ledger import entry as e
from ringfence.core.ledger.governed_entry import TrustedIssuer
from ringfence.core.ledger.lane import AUTHORITY_LANE
from ringfence.core.people.register import EMPTY_REGISTER, record
from ringfence.core.people.signatures import read_signature
from ringfence.core.state import EMPTY, State

CEREMONY: Final = "ceremony"
DOCUMENT: Final = "founding.json"
CHARTER: Final = "charter.yaml"

Short: TypeAlias = Sequence[tuple[str, int, int]]
"""Duties with fewer people than the charter's minimum: (duty, how many hold it, how many should)."""


@dataclass(frozen=True, slots=True)
class Begun:
    """A ceremony that was begun: what its founders must sign, and what they are too few for.

    `short` are the duties that have too few of them; `weak` says, by which path, that fewer people than the charter
    asks stand between the excluded parties and the data, or "".
    """

    founding: Founding
    short: Short
    weak: str


@dataclass(frozen=True, slots=True)
class Founded:
    """A ledger that was founded: the charter in force, and what its people are too few for, as in `Begun`."""

    charter: Charter
    short: Short
    weak: str


async def begin_ceremony(directory: Path, ground: Ground, *, plan: Path) -> Begun:
    """Make a deployment without a ledger, and the document that its founders must sign.

    Raises:
        CharterInvalidError, ConfigurationError, InvalidInputError: as for `initialise`, or the plan is wrong.
        ProofInvalidError: these people may not found a ledger on this charter; says who and why.
    """
    charter_text = ground.charter_text
    charter = parse_charter(charter_text, file=ground.charter_file)
    if charter.governance is None:
        raise InvalidInputError(
            "the charter says nothing of governance", hint="a governed ledger needs `duties` and `governance`"
        )
    founders = read_plan(plan)
    founding = Founding(
        origin=ground.origin,
        mode=ground.mode,
        engine=NEWEST_ENGINE,
        authority=bytes(32),
        log_key="",
        charter=hashlib.sha256(charter_text).digest(),
        build=build_digest(),
        at_ms=clock_ms(),
        nonce=os.urandom(16),
        people=founders.people,
        services=founders.services,
        issuers=_with_credentials(founders.issuers, bytes(32)),
        holders=founders.holders,
        threshold=founders.threshold,
    )
    tried = _try(founding, charter_text, place="the plan")
    deployment, log_key = await make_deployment(directory, ground, charter, shared=_shared(founding))
    founding = msgspec.structs.replace(
        founding,
        authority=authority_key(deployment),
        log_key=log_key,
        issuers=_with_credentials(founders.issuers, create_credentials_key(deployment)),
    )
    (directory / CEREMONY).mkdir(mode=0o700)
    write_file(directory / CEREMONY / CHARTER, charter_text)
    write_file(directory / CEREMONY / DOCUMENT, render_founding(founding))
    return Begun(founding, understaffed(tried, at_ms=founding.at_ms), describe_too_few(tried, at_ms=founding.at_ms))


async def is_ceremony_open(deployment: Deployment) -> bool:
    """Tell whether a ceremony was begun here and no ledger was founded yet.

    Raises:
        UnavailableError: the database does not answer.
    """
    return (deployment.directory / CEREMONY / DOCUMENT).exists() and await _epoch(deployment) == 0


def is_founding_cut_short(deployment: Deployment, state: State) -> bool:
    """Tell whether a ledger that was begun here by a ceremony lacks some of its first entries, as a crash leaves it."""
    try:
        charter = parse_charter((deployment.directory / CEREMONY / CHARTER).read_bytes(), file=CHARTER)
    except (OSError, CharterInvalidError):
        return False
    return not _is_whole(state, charter)


def _is_whole(state: State, charter: Charter) -> bool:
    return state.charter is not None and charter.classes.keys() <= state.key_epochs.keys()


async def finish_ceremony(deployment: Deployment, signatures: Sequence[bytes]) -> Founded:
    """Write the first entries of a ledger that all its founders have signed for.

    Args:
        deployment: one that `begin_ceremony` made.
        signatures: of each founder one, in any order.

    Raises:
        ConfigurationError: no ceremony was begun here, it is finished, or another process finishes it.
        CharterInvalidError, ProofInvalidError: a signature is missing or does not hold, or the files are not those that
            were signed; says whose, or what.
    """
    folder = deployment.directory / CEREMONY
    try:
        document, charter_text = (folder / DOCUMENT).read_bytes(), (folder / CHARTER).read_bytes()
    except OSError:
        raise ConfigurationError(
            f"no ceremony was begun in {deployment.directory}", hint="begin one with `ringfence init --ceremony`"
        ) from None
    founding = parse_founding(document, place=DOCUMENT)
    signed = SignedFounding(document=document, signatures=_in_order(founding, signatures))
    verify_founding(signed, place=DOCUMENT)
    _try(founding, charter_text, place=DOCUMENT)
    charter = parse_charter(charter_text, file=CHARTER)
    with _alone(folder / DOCUMENT):
        deployment.open_custody()
        opening = render_founding_opening(os.urandom(e.SALT_SIZE_BYTES), signed)
        genesis = genesis_of(founding, commitment=e.commit(opening))
        if await _epoch(deployment) == 0:
            (deployment.directory / TRUST_FILE).unlink(missing_ok=True)  # of a try that did not come to the first entry
            write_trust(deployment, genesis)
        async with open_runtime(deployment) as runtime, runtime.governance() as governance:
            state = runtime.keeper.state
            if _is_whole(state, charter):
                raise ConfigurationError(
                    f"the ledger of {deployment.directory} is begun already",
                    hint="what follows is proposed and agreed to",
                )
            if state.epoch == 0:
                await governance.begin(genesis, opening=opening)
            if state.charter is None:
                await governance.enact(charter_text, file=CHARTER)
            await open_first_key_epochs(governance, charter)
            state, at_ms = runtime.keeper.state, clock_ms()
            return Founded(charter, understaffed(state, at_ms=at_ms), describe_too_few(state, at_ms=at_ms))


@contextmanager
def _alone(document: Path) -> Iterator[None]:
    """Hold a founding document for as long as the block runs.

    Raises:
        ConfigurationError: another process holds it.
    """
    with document.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigurationError(
                f"another process begins the ledger of {document} just now", hint="wait until it is done"
            ) from None
        yield


async def _epoch(deployment: Deployment) -> int:
    """Give how many rules the database has."""
    store = deployment.make_store()
    await store.open()
    try:
        return await store.epoch()
    finally:
        await store.close()


def _with_credentials(issuers: Sequence[TrustedIssuer], keys: bytes) -> tuple[TrustedIssuer, ...]:
    """Give the issuers with our own of credentials among them, in order of name."""
    own = TrustedIssuer(name=CREDENTIALS_ISSUER, keys=keys)
    return tuple(sorted([*issuers, own], key=lambda issuer: issuer.name))


def _shared(founding: Founding) -> Shared | None:
    """Give among whom the custodian's keys are shared out, by the file that each holder's share goes into."""
    if not founding.holders:
        return None
    people = [founding.people[number - 1] for number in founding.holders]
    return Shared({str(person.facts.number): person.key for person in people}, founding.threshold)


def _try(founding: Founding, charter_text: bytes, *, place: str) -> State:
    """Try whether these people may found a ledger on this charter, before anything is made, signed or written."""
    check_founding(founding, place=place)
    genesis = genesis_of(founding, commitment=bytes(32))
    state = fold(EMPTY, genesis, RuleSource(lane=AUTHORITY_LANE, at_ms=founding.at_ms, place=place))
    charter = parse_charter(charter_text, file=CHARTER)
    rule = e.CharterEnacted(name=charter.name, version=charter.version, digest=founding.charter, engine=founding.engine)
    register = record(EMPTY_REGISTER, [person.facts for person in founding.people], at_ms=founding.at_ms)
    state = replace(state, standing=replace(state.governed, register=register))
    return fold(state, rule, RuleSource(lane=AUTHORITY_LANE, at_ms=founding.at_ms, blob=charter_text, place=place))


def _in_order(founding: Founding, signatures: Sequence[bytes]) -> tuple[bytes, ...]:
    """Give the founders' signatures in the order of the document.

    Raises:
        ProofInvalidError: one is missing, or is nobody's.
    """
    by_key = {read_signature(signature).key: signature for signature in signatures}
    missing = [person.facts.name for person in founding.people if person.key not in by_key]
    if missing:
        raise ProofInvalidError(
            f"{len(missing)} of {len(founding.people)} founders have not signed: {', '.join(missing)}", place=DOCUMENT
        )
    if len(by_key) != len(founding.people):
        raise ProofInvalidError("a signature is by a key of nobody in the founding document", place=DOCUMENT)
    return tuple(by_key[person.key] for person in founding.people)
