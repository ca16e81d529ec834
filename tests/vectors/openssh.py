"""`ssh-keygen` as a second maker and reader of keys and signatures."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

TIMEOUT_SECONDS = 60


def ssh_keygen(*arguments: str | Path, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run `ssh-keygen` to its end; skip the test where it is missing."""
    program = shutil.which("ssh-keygen")
    if program is None:
        pytest.skip("install openssh-client")
    return subprocess.run([program, *arguments], input=given, capture_output=True, check=False, timeout=TIMEOUT_SECONDS)


def says_good(message: bytes, armoured: bytes, *, namespace: str, key_line: str, directory: Path) -> bool:
    """Say whether `ssh-keygen -Y verify` takes a signature over a message as one by the key in this namespace."""
    signers, signature = directory / "signers", directory / "signature"
    signers.write_text(f'ada@example.com namespaces="{namespace}" {key_line}')
    signature.write_bytes(armoured)
    options = ("-f", signers, "-I", "ada@example.com", "-n", namespace, "-s", signature)
    return ssh_keygen("-Y", "verify", *options, given=message).returncode == 0
