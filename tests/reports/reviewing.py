"""Reviews of ledgers under construction, as `--json` has them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from ringfence.cli.main import cli
from tests.governed_ledgers import GovernedLedger


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["review", *map(str, arguments)])


def rows(what: str, ledger: GovernedLedger, directory: Path, *options: object, detail: bool = True) -> list[Any]:
    """Write the bundle and review it; give the rows as --json has them."""
    if not directory.exists():
        ledger.write(directory, detail=detail)
    result = run(what, directory, *options, "--json")
    assert result.exit_code == 0, result.exception
    found: list[Any] = json.loads(result.stdout)["rows"]
    return found


def of(found: list[Any], **told: object) -> list[Any]:
    """Give the rows that say this."""
    return [row for row in found if all(row[name] == value for name, value in told.items())]


def iso(at_ms: int) -> str:
    """Give a time as an option takes it."""
    return datetime.fromtimestamp(at_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def kinds(found: list[Any], principal: int) -> set[str]:
    return {row["kind"] for row in of(found, principal=principal)}
