"""Fixtures of the services' tests."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ringfence.app.deployment import Deployment, open_deployment
from tests.services.world import make_deployment


@pytest.fixture(scope="session")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A deployment with nothing in it but its first rules; copied by each test."""
    directory = tmp_path_factory.mktemp("pristine") / "deployment"
    make_deployment(directory)
    return directory


@pytest.fixture
def deployment(pristine: Path, tmp_path: Path) -> Deployment:
    """A deployment of the test's own."""
    directory = tmp_path / "deployment"
    shutil.copytree(pristine, directory)
    return open_deployment(directory)
