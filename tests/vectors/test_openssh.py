"""OpenSSH takes what we sign, and we take what OpenSSH signs, byte for byte."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_ssh_private_key

from ringfence.core.errors import InvalidInputError, ProofInvalidError
from ringfence.core.governance.statement import APPROVE, PROPOSE, STATEMENT_NAMESPACES, render_statement
from ringfence.core.people.signatures import (
    add_armour,
    fingerprint,
    parse_public_key,
    remove_armour,
    render_public_key,
    sign_message,
    verify_signature,
)
from tests.core.people.ssh_keys import USER_PRESENT, file_key, hardware_key, private_key, sign_in_hardware
from tests.core.statements import make_statement
from tests.vectors.openssh import says_good, ssh_keygen

MESSAGE = render_statement(make_statement())


def make_key(directory: Path, *options: str) -> Path:
    """Have OpenSSH make a key pair without a passphrase."""
    path = directory / "key"
    made = ssh_keygen("-q", "-N", "", "-C", "ada@example.com", "-f", path, *options)
    assert made.returncode == 0, made.stderr
    return path


@pytest.mark.parametrize("namespace", STATEMENT_NAMESPACES)
def test_signature_by_openssh_is_ours_byte_for_byte(tmp_path: Path, namespace: str) -> None:
    path = make_key(tmp_path, "-t", "ed25519")
    key = parse_public_key(path.with_suffix(".pub").read_text())
    private = load_ssh_private_key(path.read_bytes(), None)
    assert isinstance(private, Ed25519PrivateKey)

    theirs = ssh_keygen("-Y", "sign", "-f", path, "-n", namespace, given=MESSAGE).stdout

    verify_signature(remove_armour(theirs), MESSAGE, namespace=namespace, key=key)
    assert add_armour(sign_message(MESSAGE, namespace=namespace, key=private)) == theirs


def test_openssh_takes_our_signature_and_refuses_it_for_anything_else(tmp_path: Path) -> None:
    ours = add_armour(sign_message(MESSAGE, namespace=APPROVE, key=private_key(1)))
    line = render_public_key(file_key(1))
    assert says_good(MESSAGE, ours, namespace=APPROVE, key_line=line, directory=tmp_path)

    assert not says_good(MESSAGE + b" ", ours, namespace=APPROVE, key_line=line, directory=tmp_path)
    assert not says_good(MESSAGE, ours, namespace=PROPOSE, key_line=line, directory=tmp_path)
    other = render_public_key(file_key(2))
    assert not says_good(MESSAGE, ours, namespace=APPROVE, key_line=other, directory=tmp_path)


@pytest.mark.parametrize("application", [b"ssh:", b"ssh:ringfence"])
def test_openssh_and_we_agree_about_hardware_keys(tmp_path: Path, application: bytes) -> None:
    key = hardware_key(1, application)
    line = render_public_key(key)
    touched = sign_in_hardware(1, MESSAGE, namespace=APPROVE.encode(), application=application)
    assert says_good(MESSAGE, add_armour(touched), namespace=APPROVE, key_line=line, directory=tmp_path)
    verify_signature(touched, MESSAGE, namespace=APPROVE, key=key)

    claimed = touched[:-5] + bytes([USER_PRESENT | 0x04]) + touched[-4:]
    assert not says_good(MESSAGE, add_armour(claimed), namespace=APPROVE, key_line=line, directory=tmp_path)
    with pytest.raises(ProofInvalidError):
        verify_signature(claimed, MESSAGE, namespace=APPROVE, key=key)


@pytest.mark.parametrize("options", [("-t", "rsa", "-b", "2048"), ("-t", "ecdsa"), ("-t", "ed25519")])
def test_keys_of_openssh_are_taken_when_they_are_ed25519_and_else_refused(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    line = make_key(tmp_path, *options).with_suffix(".pub").read_text()

    if "ed25519" in options:
        assert render_public_key(parse_public_key(line), comment="ada@example.com") + "\n" == line
    else:
        with pytest.raises(InvalidInputError):
            parse_public_key(line)


@pytest.mark.parametrize("key", [file_key(3), hardware_key(3), hardware_key(3, b"ssh:ringfence")])
def test_fingerprint_is_what_openssh_shows(tmp_path: Path, key: bytes) -> None:
    path = tmp_path / "key.pub"
    path.write_text(render_public_key(key) + "\n")

    assert ssh_keygen("-l", "-f", path).stdout.split()[1].decode() == fingerprint(key)


def test_certificate_of_openssh_is_refused_as_a_key(tmp_path: Path) -> None:
    path = make_key(tmp_path, "-t", "ed25519")
    signed = ssh_keygen("-q", "-s", path, "-I", "ada", "-n", "ada", path.with_suffix(".pub"))
    assert signed.returncode == 0, signed.stderr

    with pytest.raises(InvalidInputError):
        parse_public_key((tmp_path / "key-cert.pub").read_text())
