"""`ringfence share`: a holder opens the own share of the custodian's keys, on the own machine.

What it prints is a secret: hand it to whoever starts the gateway, over a channel that nobody else reads.
"""

from __future__ import annotations

from pathlib import Path

import click
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from ringfence.cli.files import FILE, read_file, show_path
from ringfence.cli.output import json_option, say
from ringfence.cli.person_key import (
    ask_passphrase,
    passphrase_option,
    read_key,
    read_passphrase,
    unlock_private_key,
)
from ringfence.keys.shares import SEALED_SIZE_BYTES_MAX, open_share


@click.command(short_help="Open your share of the custodian's keys.")
@click.argument("file", metavar="SHARE.age", type=FILE)
@click.option("--key", "key_file", metavar="FILE", type=FILE, required=True, help="Your private key.")
@passphrase_option
@json_option
def share(file: Path, *, key_file: Path, passphrase_file: Path | None, as_json: bool) -> None:
    """Open SHARE.age with your own key and print the share, which is a secret.

    Enough of them, a line each in the file that RINGFENCE_SHARES names, start a gateway.
    """
    data = read_file(file, size_bytes_max=SEALED_SIZE_BYTES_MAX)
    private = unlock_private_key(
        read_key(key_file),
        key_file,
        ask=lambda: read_passphrase(passphrase_file) if passphrase_file else ask_passphrase(key_file),
    )
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    text = open_share(data, pem, place=show_path(file))
    say(text, {"share": text}, as_json=as_json)
