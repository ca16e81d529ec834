"""`ringfence vault`: hold what is stored against the ledger.

Exit codes of `audit`: 0 every row is what was written; 1 some are not; 3 a device or a setting is at fault.
"""

from __future__ import annotations

from pathlib import Path

import click

from ringfence.app.deployment import open_deployment
from ringfence.app.runtime import open_runtime
from ringfence.cli.output import EXIT_REFUSED, deployment_option, json_option, run, say
from ringfence.cli.progress import show_progress
from ringfence.vault.audit import AuditReport, audit_vault

FINDINGS_SHOWN_MAX = 50


@click.group(short_help="Hold the stored rows against the ledger.")
def vault() -> None:
    """What is stored, encrypted, in the database."""


@vault.command(short_help="Find rows that the ledger does not bear out.")
@deployment_option
@json_option
def audit(*, directory: Path, as_json: bool) -> int:
    """Hold every stored row and key against the ledger: changed, swapped, older and missing rows are found."""

    async def work() -> AuditReport:
        async with open_runtime(open_deployment(directory)) as runtime:
            with show_progress("auditing", quiet=as_json) as report:
                return await audit_vault(
                    runtime.store,
                    runtime.custody,
                    runtime.keeper.state,
                    report=report,
                )

    found = run(work())
    count = len(found.findings) + found.findings_more
    lines = [
        f"{found.parts} parts and {found.keys} keys held against {found.batches} batches of the ledger "
        f"({found.batches_unsealed} not sealed yet): {count or 'no'} differences"
    ]
    lines += [f"{finding.place}: {finding.what}" for finding in found.findings[:FINDINGS_SHOWN_MAX]]
    facts = {
        "parts": found.parts,
        "keys": found.keys,
        "batches": found.batches,
        "batches_unsealed": found.batches_unsealed,
        "differences": count,
        "findings": [{"place": finding.place, "what": finding.what} for finding in found.findings],
    }
    say("\n".join(lines), facts, as_json=as_json)
    return EXIT_REFUSED if count else 0
