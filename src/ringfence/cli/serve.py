"""`ringfence serve`: the gateway under uvicorn, and the sequencer as a process of its own."""

from __future__ import annotations

import logging
import os
import signal
import ssl
import subprocess
import sys
import threading
from pathlib import Path
from typing import Final

import click
import uvicorn

from ringfence.app.deployment import Deployment, open_deployment
from ringfence.app.serving import DEPLOYMENT_VARIABLE
from ringfence.app.surroundings import verify_certificate
from ringfence.cli.output import complain, deployment_option
from ringfence.core.errors import ConfigurationError
from ringfence.gateway.connections import ConnectionLimits
from ringfence.gateway.protocol import GatheringProtocol

STOP_SECONDS_MAX: Final = 15
RESTART_SECONDS: Final = 1.0
TLS_CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""What TLS 1.2 may use: forward secrecy and authenticated encryption alone. (TLS 1.3 has nothing else.)"""

log = logging.getLogger("ringfence.serve")


@click.command(short_help="Run the gateway and its sequencer.")
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
    verify_certificate(deployment)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s %(message)s", stream=sys.stderr)
    os.environ[DEPLOYMENT_VARIABLE] = str(directory.resolve())
    address = _address(deployment, port=port)
    complain(f"serving {directory} at {address}; ready once {address}/readyz says so; Ctrl-C stops it")
    sequencer = None if no_sequencer else SequencerChild(directory)
    # uvicorn stops gracefully and then raises the signal again; by then the work is done, so that it means nothing.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, frame: None)
    try:
        _run_gateway(deployment, port=port, processes=processes)
    except SystemExit as ended:
        if ended.code:  # the server has already said why
            raise ConfigurationError(
                "the gateway did not start", hint=f"run `ringfence doctor -d {directory}`"
            ) from None
    finally:
        if sequencer is not None:
            sequencer.stop()


class SequencerChild:
    """The sequencer as a child process: started again when it ends, ended when this process does."""

    def __init__(self, directory: Path) -> None:
        self._command = [sys.executable, "-m", "ringfence", "ledger", "sequence", "-d", str(directory)]
        self._stopping = threading.Event()
        self._child = self._start()
        threading.Thread(target=self._keep, name="keep the sequencer", daemon=True).start()

    def _start(self) -> subprocess.Popen[bytes]:
        # Named by its number: a parent that is gone before the child looks must not leave it running.
        command = [*self._command, "--while-parent-lives", str(os.getpid())]
        return subprocess.Popen(command, stdin=subprocess.DEVNULL)  # noqa: S603 - our own program

    def _keep(self) -> None:
        while not self._stopping.is_set():
            code = self._child.wait()
            if not self._stopping.wait(RESTART_SECONDS):
                log.error("the sequencer ended with %d and is started again", code)
                self._child = self._start()

    def stop(self) -> None:
        """End the sequencer after the gateway, so that what was written last is sequenced too."""
        self._stopping.set()
        self._child.terminate()
        try:
            if self._child.wait(STOP_SECONDS_MAX):  # it had hardly begun, so what it would have done is done now
                self._child = subprocess.Popen([*self._command, "--once"], stdin=subprocess.DEVNULL)  # noqa: S603
                self._child.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self._child.kill()


def _address(deployment: Deployment, *, port: int | None) -> str:
    listen = deployment.configuration.listen
    host = f"[{listen.host}]" if ":" in listen.host else listen.host
    return f"{'https' if listen.certificate else 'http'}://{host}:{listen.port if port is None else port}"


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
        ssl_ciphers=TLS_CIPHERS,
        ssl_ca_certs=str(deployment.path(listen.client_ca)) if listen.client_ca else None,
        # Whoever shows a certificate proves its key; most callers need none, and a token that does is refused without.
        ssl_cert_reqs=ssl.CERT_OPTIONAL if listen.client_ca else ssl.CERT_NONE,
        access_log=False,
        log_level="warning",
        proxy_headers=False,
        server_header=False,
        date_header=False,
        backlog=ConnectionLimits().connections_max,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=STOP_SECONDS_MAX,
        lifespan="on",
        ws="none",
        http=GatheringProtocol,
    )
