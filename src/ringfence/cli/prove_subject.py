"""What `ringfence prove` proves something of: a charter's file, the rules of a bundle, or those of a deployment."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ringfence.app.deployment import open_deployment
from ringfence.app.runtime import open_runtime
from ringfence.cli.files import read_file, show_path
from ringfence.cli.output import run
from ringfence.core.charter import Charter, parse_draft
from ringfence.core.charter.document import TEXT_SIZE_BYTES_MAX
from ringfence.core.decisions.engines import NEWEST_ENGINE
from ringfence.core.state import State
from ringfence.core.times import show_time
from ringfence.reports.history import open_evidence, read_history

NOT_VERIFIED: Final = "not verified here: `ringfence verify` it first"


@dataclass(frozen=True, slots=True)
class Subject:
    """The rules that something is proved of.

    Attributes:
        words: where they are from, for a person; says of a bundle that nothing verified it.
        charter: the charter; that of a file may break its own invariants.
        engine: the engine that decides.
        state: what the rules of a ledger came to; None for a charter's file.
        at_ms: the time that is meant: that of a bundle's checkpoint, or now.
    """

    words: str
    charter: Charter
    engine: str
    state: State | None = None
    at_ms: int = 0

    @property
    def stopped(self) -> frozenset[tuple[str, str]]:
        """(scope, name) of every suspension that holds."""
        standing = self.state.standing if self.state else None
        return standing.stopped if standing else frozenset()


def read_subject(source: Path | None, *, deployment: Path) -> Subject:
    """Read the rules that are to be looked at.

    Args:
        source: a charter's file, or an evidence bundle, whose rules are those at its newest checkpoint.
        deployment: the deployment whose rules are meant when there is no source.

    Raises:
        InvalidInputError: the source cannot be read, or is no charter; a bundle's rules hold no charter yet.
        ConfigurationError: there is no deployment.
        ProofInvalidError: the rules of the bundle cannot be folded.
    """
    if source is None:
        state = run(_state(deployment))
        now_ms = max(time.time_ns() // 1_000_000, state.ruled_ms)
        return Subject(
            f"the deployment {show_path(deployment)}, at {_place(state)}", state.rules, state.engine, state, now_ms
        )
    if source.is_dir():
        evidence = open_evidence(source)
        state = read_history(evidence, until_ms=evidence.signed_at_ms + 1_000).state  # its time is in whole seconds
        words = f"the bundle {show_path(source)}, at {_place(state)}, signed {show_time(evidence.signed_at_ms)}"
        at_ms = max(evidence.signed_at_ms, state.ruled_ms)
        return Subject(f"{words} ({NOT_VERIFIED})", state.rules, state.engine, state, at_ms)
    hint = "name a charter's file or an evidence bundle"
    text = read_file(source, size_bytes_max=TEXT_SIZE_BYTES_MAX, hint=hint)
    charter, _ = parse_draft(text, file=show_path(source))
    return Subject(f"the charter {show_path(source)}", charter, NEWEST_ENGINE)


def _place(state: State) -> str:
    return f"epoch {state.epoch}"


async def _state(deployment: Path) -> State:
    async with open_runtime(open_deployment(deployment)) as runtime:
        return runtime.keeper.state
