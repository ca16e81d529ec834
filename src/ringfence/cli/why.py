"""`ringfence why`: one entry of an evidence bundle, explained in sentences.

Exit codes: 0 explained; 1 there is no such entry, or the ledger's rules do not hold up to it; 2 used wrongly.
"""

from __future__ import annotations

from pathlib import Path

import click

from ringfence.cli.files import FILE
from ringfence.cli.output import json_option, say
from ringfence.core.receipt import parse_receipt
from ringfence.reports.explaining import find_entry
from ringfence.reports.sentences import explain

LEAF_DIGITS_MAX = 15


@click.command(short_help="Explain one entry of the evidence in sentences.")
@click.argument("directory", metavar="BUNDLE", type=FILE)
@click.argument("entry", metavar="ENTRY")
@json_option
def why(directory: Path, entry: str, *, as_json: bool) -> None:
    """Say in sentences why ENTRY of BUNDLE says what it says: a leaf's number, or a receipt.

    It tells what the ledger says and proves nothing; `ringfence verify` does.
    """
    if entry.isascii() and entry.isdigit() and len(entry) <= LEAF_DIGITS_MAX:
        found = find_entry(directory, leaf=int(entry))
    else:
        found = find_entry(directory, entry_hash=parse_receipt(entry).entry_hash)
    lines = explain(found)
    say("\n".join(lines), {"leaf": found.leaf, "kind": type(found.entry).__name__, "sentences": lines}, as_json=as_json)
