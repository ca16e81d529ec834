"""Go's transparency log packages as a second reader of our ledgers: builds and runs `go_verifier`.

Nothing is downloaded: the packages are those of Debian's golang-golang-x-mod-dev.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent / "go_verifier"
GO_PATH = Path("/usr/share/gocode")
PACKAGES = GO_PATH / "src/golang.org/x/mod/sumdb"
BUILD_TIMEOUT_SECONDS = 240
RUN_TIMEOUT_SECONDS = 120


def build_go_verifier(directory: Path) -> Path:
    """Compile the verifier into `directory` and give the program; skip the test where Go is missing."""
    go = shutil.which("go")
    if go is None or not PACKAGES.is_dir():
        pytest.skip("install golang-go and golang-golang-x-mod-dev")
    program = directory / "go_verifier"
    offline = {"GO111MODULE": "off", "GOFLAGS": "", "GOPATH": str(GO_PATH), "GOPROXY": "off", "GOTOOLCHAIN": "local"}
    cache = {} if "HOME" in os.environ or "GOCACHE" in os.environ else {"GOCACHE": str(directory / "cache")}
    subprocess.run(
        [go, "build", "-o", str(program), "."],
        cwd=SOURCE,
        env={**os.environ, **offline, **cache},
        check=True,
        timeout=BUILD_TIMEOUT_SECONDS,
    )
    return program


def run_go_verifier(program: Path, ledger: Path) -> subprocess.CompletedProcess[str]:
    """Check an exported ledger: code 0 and one line of output when all of it holds, else code 1 and the reason."""
    return subprocess.run([program, ledger], capture_output=True, text=True, check=False, timeout=RUN_TIMEOUT_SECONDS)
