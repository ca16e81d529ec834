"""`ringfence ledger`: run the sequencer, export evidence, look at the newest checkpoint, go on without a lost lane.

`check-receipt` is in `verify.py`: it needs no deployment.
"""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import click

from ringfence.app.deployment import Deployment, open_deployment
from ringfence.app.runtime import make_sequencer, open_runtime
from ringfence.cli.files import FILE
from ringfence.cli.output import deployment_option, json_option, run, say
from ringfence.cli.progress import show_progress
from ringfence.cli.verify import check_one_receipt
from ringfence.core.errors import ConfigurationError, DeviceError
from ringfence.ledger.export import export_bundle
from ringfence.ledger.sequencer import Progress
from ringfence.ledger.tree_reader import TreeReader

PARENT_INTERVAL_SECONDS = 0.5
WAITING_ROUNDS = 5


@click.group(short_help="Export evidence; run the sequencer.")
def ledger() -> None:
    """The tamper-evident ledger: sequence, export, inspect."""


ledger.add_command(check_one_receipt)


@ledger.command(short_help="Turn sealed batches into the signed tree.")
@deployment_option
@click.option("--once", is_flag=True, help="Sequence what is sealed now, then end.")
@click.option("--while-parent-lives", "parent", type=int, default=0, metavar="PID", hidden=True)
def sequence(*, directory: Path, once: bool, parent: int) -> None:
    """Turn sealed batches into the signed static tree, until interrupted."""
    run(_sequence(open_deployment(directory), once=once, parent=parent))


async def _sequence(deployment: Deployment, *, once: bool, parent: int) -> None:
    stop = asyncio.Event()
    if not once:  # before anything that takes time: whoever asks to stop meanwhile still has all of it published
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, stop.set)
        # Ctrl-C at a terminal reaches the gateway too, which still has something to write and says itself when to stop.
        loop.add_signal_handler(signal.SIGINT, (lambda: None) if parent else stop.set)
    trust = deployment.read_trust()
    store = deployment.make_store()
    await store.open()
    sequencer = make_sequencer(deployment, store, trust=trust)
    try:
        await sequencer.open()
        if once:
            while (await sequencer.run_round()).more:
                pass
            return
        watcher = asyncio.create_task(_stop_with_parent(parent, stop)) if parent else None
        await sequencer.run(stop, report=WaitingTeller(), report_unavailable=_tell)
        if watcher:
            watcher.cancel()
    finally:
        await sequencer.close()
        await store.close()


async def _stop_with_parent(parent: int, stop: asyncio.Event) -> None:
    while os.getppid() == parent:
        await asyncio.sleep(PARENT_INTERVAL_SECONDS)
    stop.set()


class WaitingTeller:
    """Says which batches wait, and why, when they have waited for a while; and says it once."""

    def __init__(self) -> None:
        self._rounds: dict[tuple[int, int], int] = {}

    def __call__(self, progress: Progress) -> None:
        """Take the report of a round."""
        self._rounds = {(item.lane, item.n): self._rounds.get((item.lane, item.n), 0) + 1 for item in progress.waiting}
        for item in progress.waiting:
            if self._rounds[item.lane, item.n] == WAITING_ROUNDS:
                why = "it is not sealed, and a rule waits for it: start the process that holds its lane's key"
                if item.early_ms:
                    why = (
                        f"its time is {item.early_ms / 1000:.1f} s ahead of this machine's clock: set the clocks right"
                    )
                click.echo(f"sequencer: batch {item.n} of lane {item.lane} waits: {why}", err=True)


def _tell(error: DeviceError) -> None:
    click.echo(f"sequencer: {error.message}", err=True)


@ledger.command(short_help="Write the evidence bundle to DIR.")
@click.argument("target", metavar="DIR", type=FILE)
@click.option("--detail", is_flag=True, help="Add the openings: who each entry is about. For the overseer alone.")
@deployment_option
@json_option
def export(target: Path, *, detail: bool, directory: Path, as_json: bool) -> None:
    """Write the evidence bundle to DIR, which must be empty or absent. Check it with `ringfence verify`."""

    async def work() -> int:
        deployment = open_deployment(directory)
        async with open_runtime(deployment) as runtime:
            with show_progress("exporting", quiet=as_json) as report:
                checkpoint = await export_bundle(
                    runtime.store,
                    runtime.custody,
                    deployment.ledger,
                    target,
                    detail=detail,
                    report=report,
                )
                return checkpoint.size

    size = run(work())
    say(f"{target}: {size} leaves", {"directory": str(target), "leaves": size, "detail": detail}, as_json=as_json)


@ledger.command()
@deployment_option
@json_option
def checkpoint(*, directory: Path, as_json: bool) -> None:
    """Show the newest signed checkpoint."""
    deployment = open_deployment(directory)
    tree = TreeReader.in_directory(deployment.ledger)
    signed = tree.open_checkpoint(deployment.read_trust().log_key)
    note = tree.read_checkpoint()
    if signed is None or note is None:
        raise ConfigurationError("nothing was published yet", hint="run `ringfence ledger sequence`")
    facts = {
        "origin": signed.checkpoint.origin,
        "size": signed.checkpoint.size,
        "root": signed.checkpoint.root.hex(),
        "time_seconds": signed.time_seconds,
    }
    say(note.decode("utf-8").rstrip("\n"), facts, as_json=as_json)


@ledger.command(short_help="Go on without a lane whose key is lost.")
@click.argument("lane", type=int)
@click.option("--reason", required=True, help="Why; it stands in the ledger.")
@deployment_option
@json_option
def recover(lane: int, *, reason: str, directory: Path, as_json: bool) -> None:
    """Go on without what LANE wrote after its last seal, when its key is lost. Always reported by `verify`.

    What it sealed and the database still has stays; a lane that a running process writes is refused.
    """

    async def work() -> int:
        deployment = open_deployment(directory)
        async with open_runtime(deployment, without_lane=lane) as runtime, runtime.governance() as governance:
            return await governance.recover_lane(lane, reason=reason)

    n = run(work())
    say(f"lane {lane} is closed after batch {n}", {"lane": lane, "n": n}, as_json=as_json)
