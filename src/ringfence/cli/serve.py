"""`ringfence serve`: the gateway under uvicorn, and the sequencer as a process of its own."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import click
import uvicorn

from ringfence.app.deployment import Deployment, open_deployment
from ringfence.app.serving import DEPLOYMENT_VARIABLE
from ringfence.cli.output import deployment_option
from ringfence.core.errors import ConfigurationError

STOP_SECONDS_MAX: Final = 15
CONNECTIONS_MAX: Final = 4096


@click.command()
@deployment_option
@click.option("--port", type=click.IntRange(0, 65535), help="Instead of the port in ringfence.yaml.")
@click.option("--processes", type=click.IntRange(1, 64), default=1, show_default=True, help="Gateway processes.")
@click.option("--no-sequencer", is_flag=True, help="Another host runs `ringfence ledger sequence`.")
def serve(*, directory: Path, port: int | None, processes: int, no_sequencer: bool) -> None:
    """Serve the custody calls over HTTP until interrupted; stops without losing anything."""
    deployment = open_deployment(directory)
    if processes > 1 and deployment.is_embedded:
        raise ConfigurationError(
            "the embedded database takes one gateway process", hint="use PostgreSQL for several: see `store`"
        )
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s %(message)s", stream=sys.stderr)
    os.environ[DEPLOYMENT_VARIABLE] = str(directory.resolve())
    sequencer = None if no_sequencer else start_sequencer(directory)
    try:
        _run_gateway(deployment, port=port, processes=processes)
    finally:
        if sequencer is not None:
            sequencer.terminate()
            try:
                sequencer.wait(STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                sequencer.kill()


def start_sequencer(directory: Path) -> subprocess.Popen[bytes]:
    """Start the sequencer as a child that ends when this process does."""
    command = [sys.executable, "-m", "ringfence", "ledger", "sequence", "-d", str(directory), "--while-parent-lives"]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL)  # noqa: S603 - our own program


def _run_gateway(deployment: Deployment, *, port: int | None, processes: int) -> None:
    listen = deployment.configuration.listen
    uvicorn.run(
        "ringfence.app.serving:make_application",
        factory=True,
        host=listen.host,
        port=listen.port if port is None else port,
        workers=processes,
        ssl_certfile=str(deployment.path(listen.certificate)) if listen.certificate else None,
        ssl_keyfile=str(deployment.path(listen.key)) if listen.key else None,
        access_log=False,
        log_level="warning",
        proxy_headers=False,
        server_header=False,
        date_header=False,
        limit_concurrency=CONNECTIONS_MAX,
        backlog=CONNECTIONS_MAX,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=STOP_SECONDS_MAX,
        lifespan="on",
        ws="none",
    )
