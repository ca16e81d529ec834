"""`ringfence why`: one entry of an evidence bundle, explained in sentences.

Exit codes: 0 explained; 1 there is no such entry, or the ledger's rules do not hold up to it; 2 used wrongly.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import click

from ringfence.cli.files import FILE
from ringfence.cli.output import json_option, say
from ringfence.core.ledger.receipt import parse_receipt
from ringfence.reports.explaining import find_entry
from ringfence.reports.sentences import explain

_NUMBER: Final = re.compile(r"(rule:)?([0-9]{1,15})")


@click.command(short_help="Explain one entry of the evidence in sentences.")
@click.argument("directory", metavar="BUNDLE", type=FILE)
@click.argument("entry", metavar="ENTRY")
@json_option
def why(directory: Path, entry: str, *, as_json: bool) -> None:
    """Say in sentences why ENTRY of BUNDLE says what it says: a leaf's number, `rule:15`, or a receipt.

    It tells what the ledger says and proves nothing; `ringfence verify` does.
    """
    number = _NUMBER.fullmatch(entry)
    if number is not None and number[1]:
        found = find_entry(directory, rule=int(number[2]))
    elif number is not None:
        found = find_entry(directory, leaf=int(number[2]))
    else:
        found = find_entry(directory, entry_hash=parse_receipt(entry).entry_hash)
    lines = explain(found)
    say("\n".join(lines), {"leaf": found.leaf, "kind": type(found.entry).__name__, "sentences": lines}, as_json=as_json)
