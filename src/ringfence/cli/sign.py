"""`ringfence sign`: read a statement in words, from its very bytes, and sign those bytes with your own key.

Nothing of a server takes part: what the words say follows from the bytes alone, and the bytes that were shown are the
bytes that are signed. A key in an agent or in hardware signs through `ssh-keygen`, and `--check` tells whether what
came of it is the signature that was meant.

Exit codes: 0 signed, or the signature holds; 1 not.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click

from ringfence.cli.files import FILE, read_file, show_path, write_new
from ringfence.cli.output import json_option, say
from ringfence.cli.person_key import (
    ask_passphrase,
    is_private,
    parse_public_file,
    passphrase_option,
    read_key,
    read_passphrase,
    unlock_private_key,
)
from ringfence.core.errors import InvalidInputError, ProofInvalidError
from ringfence.core.governance.founding import FOUND, FOUNDING_SIZE_BYTES_MAX, parse_founding
from ringfence.core.governance.founding_words import describe_founding
from ringfence.core.governance.statement import (
    APPROVE,
    DECLINE,
    ORDER,
    PROPOSE,
    STATEMENT_SIZE_BYTES_MAX,
    check_namespace,
    describe_statement,
    digest_statement,
    parse_statement,
)
from ringfence.core.governance.wording import show_key
from ringfence.core.people.signatures import (
    ARMOUR_SIZE_BYTES_MAX,
    add_armour,
    fingerprint,
    read_signature,
    remove_armour,
    sign_message,
    verify_signature,
)
from ringfence.core.times import show_time

_NAMESPACES: Final = {"propose": PROPOSE, "approve": APPROVE, "decline": DECLINE, "order": ORDER, "found": FOUND}
_MEANINGS: Final = {
    "propose": "you ask for this; it takes effect when those whom the charter names have agreed",
    "approve": "you agree to this, and it may take effect",
    "decline": "you refuse to agree to this",
    "order": "you order this, and it takes effect at once",
    "found": "you found this ledger, together with everyone else who is named",
}


@dataclass(frozen=True)
class _Request:
    """What is to be signed: where it is, its bytes, what a signature says, and the sentences.

    `expires_ms` is None for what does not expire.
    """

    file: Path
    data: bytes
    meaning: str
    words: Sequence[str]
    expires_ms: int | None

    @property
    def namespace(self) -> str:
        return _NAMESPACES[self.meaning]

    @property
    def digest(self) -> str:
        return digest_statement(self.data).hex()


@click.command(short_help="Read a statement in words, and sign it with your own key.")
@click.argument("file", metavar="STATEMENT", type=FILE)
@click.option("--as", "meaning", type=click.Choice(list(_NAMESPACES)), required=True, help="What your signature says.")
@click.option("--key", "key_file", metavar="FILE", type=FILE, required=True, help="Your key, private or (.pub) public.")
@click.option("--out", metavar="FILE", type=FILE, help="Where the signature goes.  [default: STATEMENT.MEANING.sig]")
@click.option("--check", metavar="FILE", type=FILE, help="Check a signature that ssh-keygen made, instead of signing.")
@click.option("--yes", is_flag=True, help="Sign without asking, for scripts.")
@passphrase_option
@json_option
def sign(
    file: Path,
    *,
    meaning: str,
    key_file: Path,
    out: Path | None,
    check: Path | None,
    yes: bool,
    passphrase_file: Path | None,
    as_json: bool,
) -> None:
    """Show what STATEMENT says, in words that follow from its bytes, and sign those bytes after asking you.

    To found a ledger, STATEMENT is the founding document of its key ceremony.

    With the public half of a key that is in an agent or in hardware it says how to sign with ssh-keygen, and with
    --check it tells whether that was done.
    """
    if as_json and not (yes or check):
        raise click.UsageError("--json asks nothing: give --yes with it")
    if check and (out or yes):
        raise click.UsageError("--check signs nothing: give it without --out and --yes")
    request = _read_request(file, meaning)
    key_data = read_key(key_file)
    if not as_json:
        _show(request)
    if check:
        _check(request, parse_public_file(key_data, key_file), check, as_json=as_json)
        return
    if not is_private(key_data):
        parse_public_file(key_data, key_file)
        raise _sign_elsewhere(request, key_file)
    if request.expires_ms is not None and time.time() * 1000 >= request.expires_ms:
        raise InvalidInputError(
            f"{show_path(file)} expired at {show_time(request.expires_ms)}", hint="ask for a new statement"
        )
    if not yes and not click.confirm(f"Do you {meaning} this?", err=True):
        raise InvalidInputError(f"{show_path(file)} was not signed")
    private = unlock_private_key(
        key_data,
        key_file,
        ask=lambda: read_passphrase(passphrase_file) if passphrase_file else ask_passphrase(key_file),
    )
    signature = sign_message(request.data, namespace=request.namespace, key=private)
    signer = read_signature(signature).key
    written = out or file.with_name(f"{file.name}.{meaning}.sig")
    write_new(written, add_armour(signature))
    say(
        f"{show_path(written)}: signed by {show_key(signer)}",
        {**_facts(request, signer), "signature": show_path(written)},
        as_json=as_json,
    )


def _check(request: _Request, key: bytes, file: Path, *, as_json: bool) -> None:
    signature = remove_armour(read_file(file, size_bytes_max=ARMOUR_SIZE_BYTES_MAX), place=show_path(file))
    verify_signature(signature, request.data, namespace=request.namespace, key=key, place=show_path(file))
    say(
        f"{show_path(file)}: the signature holds; it is by {show_key(key)}",
        {**_facts(request, key), "signature": show_path(file)},
        as_json=as_json,
    )


def _sign_elsewhere(request: _Request, key_file: Path) -> InvalidInputError:
    """Say how to sign with a key whose private half is not in a file."""
    file, key = shlex.quote(show_path(request.file)), shlex.quote(show_path(key_file))
    return InvalidInputError(
        f"{show_path(request.file)} was not signed: {show_path(key_file)} is the public half of a key",
        hint=f"if the private half is in an agent or in hardware, run these two:\n"
        f"  ssh-keygen -Y sign -f {key} -n {request.namespace} {file}\n"
        f"  ringfence sign {file} --as {request.meaning} --key {key} --check {file}.sig",
    )


def _read_request(file: Path, meaning: str) -> _Request:
    place = show_path(file)
    data = read_file(file, size_bytes_max=max(FOUNDING_SIZE_BYTES_MAX, STATEMENT_SIZE_BYTES_MAX))
    if meaning == "found":
        if _is_read(parse_statement, data):
            raise InvalidInputError("a statement founds nothing", place=place, hint="sign it as what it asks for")
        return _Request(file, data, meaning, describe_founding(parse_founding(data, place=place)), None)
    if _is_read(parse_founding, data):
        raise InvalidInputError("this is a founding document", place=place, hint="sign it with `--as found`")
    statement = parse_statement(data, place=place)
    check_namespace(statement, _NAMESPACES[meaning], place=place)
    return _Request(file, data, meaning, describe_statement(statement), statement.expires_ms)


def _is_read(parse: Callable[[bytes], object], data: bytes) -> bool:
    try:
        parse(data)
    except (InvalidInputError, ProofInvalidError):
        return False
    return True


def _show(request: _Request) -> None:
    for line in request.words:
        click.echo(line)
    click.echo(f"These are {len(request.data)} bytes with the SHA-256 {request.digest}.")
    click.echo(f"To sign as `{request.meaning}` means: {_MEANINGS[request.meaning]}.")


def _facts(request: _Request, key: bytes) -> dict[str, Any]:
    return {
        "as": request.meaning,
        "namespace": request.namespace,
        "statement": show_path(request.file),
        "sha256": request.digest,
        "words": list(request.words),
        "fingerprint": fingerprint(key),
    }
