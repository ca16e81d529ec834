"""A change as a person writes it: a YAML file with `do:` and that change's fields, and the short forms below.

    do: grant                        do: admit                       do: enact-charter
    purpose: support_user            person: 12                      file: charter.yaml
    verbs: [read]                    party: usds
    datasets: [profile]              issuer: https://login.example.org
    classes: [protected, public]     subject: ada
    records_max: 20
    lasts_hours: 2
    users: [alice]                   # or `subjects_any: true`

`key: FILE.pub` stands for a public key, `attestor: FILE.pem` for one that attests builds, `digest: FILE` and
`keys: FILE` for the SHA-256 of a file, `lasts_hours` for `lasts_ms`, `issuer` and `subject` for the identity that a
commitment opens to. The person is the author where a grant names none.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from ringfence.app.yaml_text import parse_yaml
from ringfence.cli.files import digest_file, read_file, show_path
from ringfence.core.changes import ACCESS, BREAK_GLASS, LEGAL_DEMAND, AnyChange
from ringfence.core.charter import parse_charter
from ringfence.core.decisions.engines import NEWEST_ENGINE
from ringfence.core.errors import InvalidInputError
from ringfence.core.ledger.entry import SALT_SIZE_BYTES, Identity, commit, render_opening
from ringfence.core.people.attestors import parse_attestor
from ringfence.core.people.signatures import parse_public_key
from ringfence.core.times import HOUR_MS

SIZE_BYTES_MAX: Final = 64 * 1024
NAMED_SIZE_BYTES_MAX: Final = 16 * SIZE_BYTES_MAX
_SORTED: Final = ("verbs", "datasets", "classes", "withhold")
_NAMES_IDENTITY: Final = ("admit", "register-service")


@dataclass(frozen=True, slots=True)
class WrittenChange:
    """What a file asks for.

    Attributes:
        change: in the ledger's form.
        identity, salt: what its commitment opens to; None and b"" where it has none.
        users: the users that a grant is limited to, by the app's ids.
        file: the charter's file, when it asks to enact one.
    """

    change: AnyChange
    identity: Identity | None = None
    salt: bytes = b""
    users: tuple[str, ...] = ()
    file: bytes = b""


def read_change(path: Path, *, author: int) -> WrittenChange:
    """Read a change file.

    Raises:
        InvalidInputError: a file cannot be read, or is no change; says what was expected.
    """
    values = _load(path)
    operation = values.get("do")
    users = _users(values, path)
    file = b""
    if operation == "enact-charter" and "file" in values:
        named = path.parent / str(values.pop("file"))
        file = read_file(named, size_bytes_max=NAMED_SIZE_BYTES_MAX)
        charter = parse_charter(file, file=show_path(named))
        digest = hashlib.sha256(file).digest()
        values |= {"name": charter.name, "version": charter.version, "digest": digest, "engine": NEWEST_ENGINE}
    if operation in (BREAK_GLASS, LEGAL_DEMAND):  # the charter's words for grants of these kinds
        operation, values["kind"] = "grant", operation
        values["do"] = operation
    if operation == "grant":
        values.setdefault("kind", ACCESS)
        values.setdefault("person", author)
    if "lasts_hours" in values:
        values["lasts_ms"] = _whole(values.pop("lasts_hours"), path) * HOUR_MS
    for name in _SORTED:
        if isinstance(values.get(name), list):
            values[name] = sorted({str(item) for item in values[name]})
    if operation in _NAMES_IDENTITY and not {"issuer", "subject"} <= values.keys():
        raise InvalidInputError("name the login that it is about as `issuer` and `subject`", place=str(path))
    identity, salt = None, b""
    if operation in _NAMES_IDENTITY:
        identity, salt = Identity(str(values.pop("issuer")), str(values.pop("subject"))), os.urandom(SALT_SIZE_BYTES)
        values["identity"] = commit(render_opening(salt, identity))
    _read_files(values, path)
    try:
        change: AnyChange = msgspec.convert(values, AnyChange)
    except (msgspec.ValidationError, TypeError) as error:
        raise InvalidInputError(f"this is no change: {error}", place=str(path), hint="see docs/governance.md") from None
    return WrittenChange(change, identity, salt, users, file)


def _load(path: Path) -> dict[str, Any]:
    data = read_file(path, size_bytes_max=SIZE_BYTES_MAX)
    try:
        values = parse_yaml(data)
    except InvalidInputError as error:
        raise InvalidInputError(error.message, place=str(path)) from None
    if not isinstance(values, dict) or not isinstance(values.get("do"), str):
        raise InvalidInputError("a change is a mapping with `do: OPERATION`", place=str(path))
    return values


def _users(values: dict[str, Any], path: Path) -> tuple[str, ...]:
    users = values.pop("users", [])
    if not isinstance(users, list) or not all(isinstance(user, str) and user for user in users):
        raise InvalidInputError("`users` is a list of the app's user ids", place=str(path))
    return tuple(users)


def _read_files(values: dict[str, Any], path: Path) -> None:
    """Put what files hold in the place of their names."""
    if values["do"] == "enrol-key" and isinstance(values.get("key"), str):
        line = read_file(path.parent / values["key"], size_bytes_max=NAMED_SIZE_BYTES_MAX).decode("utf-8", "replace")
        values["key"] = parse_public_key(line, place=values["key"])
    if values["do"] == "approve-build" and isinstance(values.get("attestor"), str):
        values["attestor"] = parse_attestor(
            read_file(path.parent / values["attestor"], size_bytes_max=NAMED_SIZE_BYTES_MAX), place=values["attestor"]
        )
    for name in ("digest", "keys"):
        if isinstance(values.get(name), str):
            text = values[name]
            is_hex = len(text) == 64 and all(digit in "0123456789abcdef" for digit in text)
            values[name] = bytes.fromhex(text) if is_hex else digest_file(path.parent / text)


def _whole(value: object, path: Path) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidInputError("`lasts_hours` is a whole number", place=str(path))
    return value
