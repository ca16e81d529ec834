"""Which build runs here: a digest of the program's own files, so that a build is what it is and not what it says."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
from pathlib import Path
from typing import Final

import ringfence

_LEFT_OUT: Final = "__pycache__"


@functools.cache
def build_digest() -> bytes:
    """Give the digest (32 bytes) of the program's files: SHA-256 over each one's path and SHA-256, in order of path."""
    root = Path(ringfence.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(path for path in root.rglob("*") if path.is_file() and _LEFT_OUT not in path.parts):
        digest.update(path.relative_to(root).as_posix().encode() + b"\x00")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.digest()


def build_name() -> str:
    """Name the build in words, as where nobody approves builds."""
    return f"ringfence {importlib.metadata.version('ringfence')}"
