"""Governed deployments for the tests of HR files, on every store."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.services.governed_world import found_deployment
from tests.stores import POSTGRES, SQLITE


@pytest.fixture(params=[SQLITE, POSTGRES])
def governed(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The directory of a governed deployment of the test's own, on each store."""
    return found_deployment(tmp_path / "deployment", store=request.param).directory
