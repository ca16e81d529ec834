"""The built wheel holds the whole program and its types, and runs where the source tree is not."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.journeys.documents import ROOT
from tests.services.world import EXAMPLE

SOURCE = ROOT / "src"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("wheel")
    built = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(directory)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    (path,) = directory.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path) -> Path:
    """The wheel's content, as an installer lays it out."""
    directory = wheel.parent / "installed"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(directory)
    return directory


def run(installed: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=installed.parent,
        env={**os.environ, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_wheel_holds_every_file_of_the_package_and_no_other(wheel: Path) -> None:
    expected = {
        str(path.relative_to(SOURCE))
        for path in (SOURCE / "ringfence").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}

    assert held == expected
    assert "ringfence/py.typed" in held


def test_wheel_has_the_command_the_licence_and_the_version(installed: Path) -> None:
    (facts,) = installed.glob("ringfence-*.dist-info")

    assert "ringfence = ringfence.cli.main:main" in (facts / "entry_points.txt").read_text("utf-8")
    assert (facts / "licenses" / "LICENSE").is_file()
    assert "License-Expression: Apache-2.0" in (facts / "METADATA").read_text("utf-8")


def test_program_of_the_wheel_makes_a_deployment_and_finds_it_well(installed: Path) -> None:
    place = run(installed, "-c", "import ringfence; print(ringfence.__file__)")
    assert Path(place.stdout.strip()).is_relative_to(installed)

    charter = ("--charter", str(EXAMPLE), "--region", "virginia")
    users = run(installed, "-m", "ringfence", "synthetic", "made-up", "--users", "10")
    assert users.returncode == 0, users.stderr
    made = run(installed, "-m", "ringfence", "init", "deployment", *charter, "--geography", "made-up/geography.mmdb")
    assert made.returncode == 0, made.stderr
    well = run(installed, "-m", "ringfence", "doctor", "-d", "deployment")
    assert well.returncode == 0, well.stdout + well.stderr


def test_program_of_the_wheel_says_where_the_example_of_the_demo_is_missing(installed: Path) -> None:
    done = run(installed, "-m", "ringfence", "demo")

    assert done.returncode == 3
    assert "there is no charter at examples/us-user-data/charter.yaml" in done.stderr
    assert "--charter" in done.stderr
