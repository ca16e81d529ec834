"""`ringfence verify` and `ledger check-receipt`: check a bundle, or one receipt, offline, and say what it proves.

Exit codes: 0 verified; 1 refuted; 2 unreadable, used wrongly, or self-consistent only (no --trust).
The verdict goes to standard output, progress and errors to standard error.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Final, NoReturn

import click
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

from ringfence.cli.files import FILE, read_file
from ringfence.cli.progress import show_progress
from ringfence.core.errors import RingfenceError
from ringfence.core.ledger.proof import PROOF_SIZE_BYTES_MAX
from ringfence.core.ledger.receipt import parse_receipt
from ringfence.core.ledger.signed_note import NOTE_SIZE_BYTES_MAX
from ringfence.verify import REFUTED, VERIFIED, Trust, parse_trust, verify_bundle
from ringfence.verify.processes import JOBS_MAX
from ringfence.verify.receipts import FORMAT as RECEIPT_FORMAT
from ringfence.verify.receipts import check_receipt, render_receipt_json, render_receipt_text
from ringfence.verify.render import FORMAT, render_json, render_text
from ringfence.verify.trust import TRUST_SIZE_BYTES_MAX
from ringfence.verify.verdict import REFUTATIONS_MAX, UNREADABLE

EXIT_VERIFIED: Final = 0
EXIT_REFUTED: Final = 1
EXIT_NOT_VERIFIED: Final = 2
JOBS_BY_DEFAULT_MAX: Final = 8
_COLUMNS: Final = (
    *(TextColumn("verifying"), BarColumn(), MofNCompleteColumn()),
    *(TextColumn("leaves"), TimeRemainingColumn()),
)


@click.command("verify", short_help="Check an evidence bundle, offline.")
@click.argument("directory", metavar="DIR", type=FILE)
@click.option("--trust", "trust_file", metavar="FILE", type=FILE, help="Pins: origin, genesis, log key, witnesses.")
@click.option(
    "--from", "from_leaf", metavar="LEAF", type=click.IntRange(0), default=0, help="Decide again from here on."
)
@click.option("--since", metavar="CHECKPOINT", type=FILE, help="A checkpoint kept from before; must be a beginning.")
@click.option("--jobs", metavar="N", type=click.IntRange(1, JOBS_MAX), help="Processes to use; as many as processors.")
@click.option(
    "--refutations",
    metavar="N",
    type=click.IntRange(1, 10_000),
    default=REFUTATIONS_MAX,
    show_default=True,
    help="How many contradictions to name at most.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
def verify(
    directory: Path,
    *,
    trust_file: Path | None,
    from_leaf: int,
    since: Path | None,
    jobs: int | None,
    refutations: int,
    as_json: bool,
) -> None:
    """Check the evidence bundle in DIR: every leaf, seal, rule and decision, with no network and no secret.

    Exits with 0 when it is verified against the pins, 1 when it is refuted, 2 when it cannot be read or, without
    --trust, agrees with itself only.
    """
    try:
        trust = _read_trust(trust_file) if trust_file else None
        kept = read_file(since, size_bytes_max=NOTE_SIZE_BYTES_MAX) if since else None
        with show_progress("verifying", *_COLUMNS, quiet=as_json) as tell:
            verdict = verify_bundle(
                directory,
                trust=trust,
                from_leaf=from_leaf,
                since=kept,
                jobs=jobs or min(os.cpu_count() or 1, JOBS_BY_DEFAULT_MAX),
                now_seconds=int(time.time()),
                refutations_max=refutations,
                progress=tell,
            )
    except RingfenceError as error:
        _refuse(error, FORMAT, as_json=as_json)
    click.echo(render_json(verdict) if as_json else render_text(verdict), nl=as_json)
    _exit(verdict.outcome)


@click.command("check-receipt", short_help="Check the proof of a receipt, offline.")
@click.argument("receipt")
@click.argument("proof", type=FILE)
@click.option(
    "--trust", "trust_file", metavar="FILE", type=FILE, required=True, help="Pins: origin, log key, witnesses."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
def check_one_receipt(receipt: str, proof: Path, *, trust_file: Path, as_json: bool) -> None:
    """Check by the file PROOF that the ledger holds the entry of RECEIPT, with no network and no secret.

    PROOF is what a gateway answers to `GET /v1/receipts/RECEIPT`. Exits with 0 when it is verified against the pins, 1
    when it is refuted, 2 when something cannot be read.
    """
    try:
        trust = _read_trust(trust_file)
        proved = read_file(proof, size_bytes_max=PROOF_SIZE_BYTES_MAX)
        verdict = check_receipt(parse_receipt(receipt), proved, trust=trust)
    except RingfenceError as error:
        _refuse(error, RECEIPT_FORMAT, as_json=as_json)
    click.echo(render_receipt_json(verdict) if as_json else render_receipt_text(verdict))
    _exit(verdict.outcome)


def _exit(outcome: str) -> NoReturn:
    if outcome == VERIFIED:
        sys.exit(EXIT_VERIFIED)
    sys.exit(EXIT_REFUTED if outcome == REFUTED else EXIT_NOT_VERIFIED)


def _read_trust(file: Path) -> Trust:
    return parse_trust(read_file(file, size_bytes_max=TRUST_SIZE_BYTES_MAX), file=str(file))


def _refuse(error: RingfenceError, form: str, *, as_json: bool) -> NoReturn:
    if as_json:
        click.echo(json.dumps({"format": form, "outcome": UNREADABLE, "problem": error.message}))
    click.echo(f"error: {error.message}", err=True)
    if error.hint:
        click.echo(f"hint: {error.hint}", err=True)
    sys.exit(EXIT_NOT_VERIFIED)
