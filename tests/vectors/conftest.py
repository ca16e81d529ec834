"""Fixtures of the tests that hold our formats against other people's programs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.vectors.go import build_go_verifier


@pytest.fixture(scope="session")
def go_verifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled Go verifier; one compilation a session."""
    return build_go_verifier(tmp_path_factory.mktemp("go_verifier"))
