"""What `ringfence doctor` looks at: each check says what it found and, when that is wrong, how to mend it."""

from __future__ import annotations

import ipaddress
import stat
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ringfence.app.ceremony import is_ceremony_open, is_founding_cut_short
from ringfence.app.deployment import Deployment, open_deployment
from ringfence.app.ingesting import verify_geography
from ringfence.app.issuers import IssuerBook
from ringfence.app.runtime import Runtime, clock_ms, open_runtime
from ringfence.app.surroundings import make_country_finder, verify_certificate
from ringfence.core.charter import PROTECTED, Charter
from ringfence.core.coalition.gate import describe_too_few
from ringfence.core.errors import ConfigurationError, RingfenceError
from ringfence.core.governance.proposals import render_understaffed, understaffed
from ringfence.core.ledger.entry import DEVELOPMENT
from ringfence.core.state import State
from ringfence.ledger.tree_reader import TreeReader
from ringfence.services.people.leavers import list_unusual

CHECKPOINT_AGE_SECONDS_MAX: Final = 120


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: `state` is `good`, `note` (works, but read it) or `wrong`."""

    check: str
    state: str
    detail: str
    hint: str = ""


_UNFOUNDED: Final = Finding(
    "ledger",
    "wrong",
    "no ledger is begun yet: its founders have to sign first",
    "each founder signs ceremony/founding.json with `ringfence sign`, and `ringfence found` begins it",
)


_CUT_SHORT: Final = Finding(
    "ledger",
    "wrong",
    "the ledger is begun, and not all of its first entries are there",
    "run `ringfence found` again, with the founders' signatures: it goes on from where it stopped",
)


async def check_deployment(directory: Path) -> list[Finding]:
    """Check settings, key files, store, rules, tree and lanes; never raises for what it finds."""
    try:
        deployment = open_deployment(directory)
    except RingfenceError as error:
        return [Finding("settings", "wrong", error.message, error.hint)]
    findings = [Finding("settings", "good", str(directory))]
    findings += _check_keys(deployment)
    findings += _check_listening(deployment)
    try:
        if await is_ceremony_open(deployment):
            return [*findings, _UNFOUNDED]
        async with open_runtime(deployment) as runtime:
            findings.append(Finding("store", "good", f"epoch {runtime.keeper.state.epoch}, not rolled back"))
            if is_founding_cut_short(deployment, runtime.keeper.state):
                return [*findings, _CUT_SHORT]
            findings += [finding async for finding in _check_running(runtime)]
    except RingfenceError as error:
        findings.append(Finding("store", "wrong", error.message, error.hint))
    return findings


def _check_keys(deployment: Deployment) -> list[Finding]:
    findings = []
    for path in sorted(deployment.keys.rglob("*")):
        if path.is_file() and stat.S_IMODE(path.stat().st_mode) & 0o077:
            findings.append(Finding("keys", "wrong", f"{path.name} can be read by others", f"run: chmod 600 {path}"))
    if not findings:
        findings.append(Finding("keys", "good", "readable by their owner alone"))
    if deployment.keys.joinpath("checkpoint.key").exists() and deployment.keys.joinpath("custody").exists():
        findings.append(
            Finding(
                "separation",
                "note",
                "the checkpoint key lies beside the gateway's keys",
                "in production keep keys/checkpoint.key on the sequencer's host alone",
            )
        )
    return findings


def _check_listening(deployment: Deployment) -> list[Finding]:
    listen = deployment.configuration.listen
    try:
        verify_certificate(deployment)
    except ConfigurationError as error:
        return [Finding("listen", "wrong", error.message, error.hint)]
    if not listen.certificate and not _is_loopback(listen.host):
        return [Finding("listen", "wrong", f"plain HTTP on {listen.host}", "set `listen.certificate` and `listen.key`")]
    how = f"{' with TLS' if listen.certificate else ''}{' and certificates of callers' if listen.client_ca else ''}"
    return [Finding("listen", "good", f"{listen.host}:{listen.port}{how}")]


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _check_surroundings(deployment: Deployment, state: State) -> Iterator[Finding]:
    rules = state.rules
    yield _check_region(deployment.configuration.region, rules)
    yield from _check_issuers(deployment, state)
    try:
        make_country_finder(deployment, mode=state.mode)
    except ConfigurationError as error:
        yield Finding("geography", "wrong", error.message, error.hint)
        return
    yield _check_geography(deployment.configuration.geography, rules)


def _check_issuers(deployment: Deployment, state: State) -> Iterator[Finding]:
    try:
        issuers = IssuerBook(deployment, lambda: state)
    except ConfigurationError as error:
        yield Finding("issuers", "wrong", error.message, error.hint)
        return
    hint = "name the file that people agreed to under `issuers`, or let them agree to this one: `do: trust-issuer`"
    yield from (Finding("issuers", "wrong", line, hint) for line in issuers.unused())
    names = issuers.usable()
    yield Finding("issuers", "good", f"{len(names)} trusted: {', '.join(names) or 'nobody can call'}")


def _check_region(region: str, rules: Charter) -> Finding:
    held = rules.held_in(region)
    if PROTECTED not in held:
        detail = f"the charter in force lets nothing {PROTECTED} be stored in the region {region}: no write is taken"
        return Finding("region", "wrong", detail, "move the data to a region of the charter that may hold it")
    return Finding("region", "good", f"{region} may hold {', '.join(held)}")


def _check_geography(geography: str, rules: Charter) -> Finding:
    """Without geography no caller is placed; and where logins count as evidence, nothing can be taken in."""
    if geography:
        return Finding("geography", "good", geography)
    try:
        verify_geography(rules, geography)
    except ConfigurationError as error:
        return Finding("geography", "wrong", error.message, error.hint)
    return Finding(
        "geography",
        "note",
        "no address is placed in a country, so only `from: *` flows permit",
        "name an MMDB file under `geography`",
    )


async def _check_running(runtime: Runtime) -> AsyncIterator[Finding]:
    state = runtime.keeper.state
    if state.mode == DEVELOPMENT:
        yield Finding("mode", "note", "development: anyone with the keys directory can make tokens")
    for finding in _check_surroundings(runtime.deployment, state):
        yield finding
    if state.standing is not None and (short := understaffed(state, at_ms=clock_ms())):
        hint = "let people be admitted, enrolled and appointed: propose `admit`, `enrol-key`, `appoint`"
        yield Finding("people", "note", render_understaffed(short), hint)
    register = state.standing.register if state.standing else None
    for unusual in list_unusual(state.standing, at_ms=clock_ms()) if state.standing else ():
        hint = "if that is not true, end the feed (`withdraw-service`) and admit them again; see docs/scim.md"
        yield Finding("people", "note", unusual, hint)
    if register is not None and (few := describe_too_few(state, at_ms=clock_ms())):
        hint = "`ringfence prove coalition` shows how; `--with` tries a change, `--since` tells what moved it"
        yield Finding("coalition", "note", few, hint)
    signed = TreeReader.in_directory(runtime.deployment.ledger).open_checkpoint(runtime.trust.log_key)
    head = await runtime.store.tree_head()
    if signed is None:
        yield Finding(
            "ledger", "note", "nothing was published yet", "run `ringfence serve` or `ringfence ledger sequence`"
        )
    else:
        age = int(time.time()) - signed.time_seconds
        detail = f"{signed.checkpoint.size} leaves published, signed {age} s ago, {head.size} committed"
        late = age > CHECKPOINT_AGE_SECONDS_MAX
        hint = "is the sequencer running? see `ringfence ledger sequence`" if late else ""
        yield Finding("ledger", "note" if late else "good", detail, hint)
    for lane in await runtime.store.lanes():
        seals = await runtime.store.seals(lane.lane, after_n=lane.n - 1)
        if lane.n and not seals:
            yield Finding(
                "lanes",
                "note",
                f"lane {lane.lane} has batches up to {lane.n} that are not sealed",
                "start the process that holds its key: it seals them",
            )
