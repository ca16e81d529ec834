"""`ringfence key`: make a key pair to sign statements with, and show which one it is."""

from __future__ import annotations

from pathlib import Path

import click

from ringfence.cli.files import FILE, show_path
from ringfence.cli.output import json_option, say
from ringfence.cli.person_key import (
    check_passphrase,
    check_unused,
    choose_passphrase,
    make_key_pair,
    parse_public_file,
    passphrase_option,
    public_path_of,
    read_key,
    read_passphrase,
)
from ringfence.core.governance.wording import show_key
from ringfence.core.people.signatures import fingerprint, render_public_key
from ringfence.core.people.signatures import read_key as understand_key


@click.group(short_help="Make and show the key that you sign with.")
def key() -> None:
    """Make and show keys that people sign statements with. No deployment and no server takes part."""


@key.command("new", short_help="Make an Ed25519 key pair: FILE and FILE.pub.")
@click.argument("file", type=FILE)
@click.option("--comment", default="", help="Words that follow the public key, such as whose it is.")
@click.option("--no-passphrase", is_flag=True, help="Leave the private half unencrypted.")
@passphrase_option
@json_option
def new(file: Path, *, comment: str, no_passphrase: bool, passphrase_file: Path | None, as_json: bool) -> None:
    """Make an Ed25519 key pair in OpenSSH's form: FILE, for you alone, and FILE.pub, to be enrolled.

    An existing file is never overwritten. Keep the private half where no server and no administrator reaches it.
    """
    if no_passphrase and passphrase_file:
        raise click.UsageError("give --no-passphrase or --passphrase-file, not both")
    check_unused(file)  # before anybody thinks of a passphrase
    if no_passphrase:
        passphrase = ""
    elif passphrase_file:
        passphrase = check_passphrase(read_passphrase(passphrase_file))
    else:
        passphrase = choose_passphrase()
    made = make_key_pair(file, passphrase=passphrase, comment=comment)
    say(
        f"{show_path(file)}: keep it; nobody else may have it\n"
        f"{show_path(public_path_of(file))}: give it to those who enrol you\n"
        f"{show_key(made)}",
        {
            "private": show_path(file),
            "public": show_path(public_path_of(file)),
            "fingerprint": fingerprint(made),
            "key": render_public_key(made),
        },
        as_json=as_json,
    )


@key.command("show", short_help="Show the fingerprint of FILE.pub.")
@click.argument("file", metavar="FILE.pub", type=FILE)
@json_option
def show(file: Path, *, as_json: bool) -> None:
    """Show algorithm and fingerprint of the public key in FILE.pub, to compare over another channel."""
    shown = parse_public_file(read_key(file), file)
    say(
        show_key(shown),
        {
            "algorithm": understand_key(shown).algorithm,
            "fingerprint": fingerprint(shown),
            "key": render_public_key(shown),
        },
        as_json=as_json,
    )
