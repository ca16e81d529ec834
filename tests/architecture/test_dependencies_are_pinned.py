"""Every dependency, direct and indirect, is at one exact version, names no index, and has a fitting licence."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.architecture.source_tree import ROOT

PIN = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)==(?P<version>[0-9][0-9A-Za-z.]*)")

# Permissive, or copyleft by file or library only: used unchanged and installed apart, they ask nothing of this code.
FITTING_LICENCES = re.compile(
    r"MIT|MIT-0|BSD|[0-9]-Clause|Apache|ISC|PSF|MPL-2\.0|MPL 2\.0|LGPL-2\.1|Unlicense", flags=re.IGNORECASE
)
UNFITTING_LICENCES = re.compile(r"GPL|Affero|SSPL|BUSL|Commons Clause|Proprietary", flags=re.IGNORECASE)


def parse_constraints(text: str) -> tuple[dict[str, str], list[str]]:
    """Give the pinned versions by canonical name, and the lines that are neither a pin nor a comment."""
    pinned: dict[str, str] = {}
    strange: list[str] = []
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        match = PIN.fullmatch(line)
        if match is None:
            strange.append(line)
        else:
            pinned[canonicalize_name(match["name"])] = match["version"]
    return pinned, strange


def find_unpinned(project: dict[str, list[str]], pinned: dict[str, str]) -> list[str]:
    """Find requirements, by group, that have no pin or whose pin they do not admit."""
    found: list[str] = []
    for group, requirements in project.items():
        for text in requirements:
            requirement = Requirement(text)
            name = canonicalize_name(requirement.name)
            if name == "ringfence":
                continue
            if name not in pinned:
                found.append(f"{group}: {requirement.name} is not pinned")
            elif not requirement.specifier.contains(pinned[name], prereleases=True):
                found.append(f"{group}: {text} does not admit the pinned {pinned[name]}")
    return found


def find_unfitting(name: str, licences: list[str]) -> list[str]:
    """Find a package without a licence that fits, or with one that does not."""
    text = " / ".join(licences)
    fits = FITTING_LICENCES.search(text) and not UNFITTING_LICENCES.search(text.replace("LGPL", ""))
    return [] if fits else [f"{name}: {text or 'no licence stated'}"]


def read_licences(name: str) -> list[str]:
    metadata = distribution(name).metadata
    stated = [metadata.get("License-Expression") or "", (metadata.get("License") or "").partition("\n")[0]]
    classified = [line for line in metadata.get_all("Classifier") or [] if line.startswith("License ::")]
    found = [licence for licence in [*stated, *classified] if licence]
    return found or _read_titles(name)


def _read_titles(name: str) -> list[str]:
    """Read the title of each licence file that a package ships: where its metadata names no licence."""
    files = [path for path in distribution(name).files or [] if path.parts[-2:-1] == ("licenses",)]
    return [title_of(path.read_text()) for path in files]


def title_of(licence: str) -> str:
    """Give the first line of a licence's text that says something."""
    return licence.lstrip().partition("\n")[0].removeprefix("The ").removesuffix(" License (MIT)")


def read_project() -> dict[str, list[str]]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    project = settings["project"]
    return {
        "build": settings["build-system"]["requires"],
        "run": project["dependencies"],
        **project["optional-dependencies"],
    }


PINNED, STRANGE = parse_constraints((ROOT / "constraints.txt").read_text("utf-8"))


def test_every_line_is_one_exact_version() -> None:
    assert len(PINNED) > 50
    assert STRANGE == []


@pytest.mark.parametrize(
    "line",
    [
        "click>=8",
        "click",
        "click==8.*",
        "uvloop==0.22; sys_platform != 'win32'",
        "click @ file:///somewhere",
        "-e .",
        "--no-binary click",
    ],
)
def test_line_that_is_no_exact_version_is_found(line: str) -> None:
    assert parse_constraints(line) == ({}, [line])


def test_every_requirement_is_pinned_to_a_version_that_it_admits() -> None:
    assert find_unpinned(read_project(), PINNED) == []


def test_requirement_without_a_fitting_pin_is_found() -> None:
    assert find_unpinned({"run": ["click>=8"]}, {}) == ["run: click is not pinned"]
    assert find_unpinned({"run": ["click>=8"]}, {"click": "7.1"}) != []
    assert find_unpinned({"run": ["Click>=8"]}, {"click": "8.1"}) == []


def test_every_pinned_package_that_is_installed_has_a_fitting_licence() -> None:
    breaches: list[str] = []
    looked_at = 0
    for name in PINNED:
        try:
            licences = read_licences(name)
        except PackageNotFoundError:
            continue
        looked_at += 1
        breaches += find_unfitting(name, licences)
    assert looked_at > 50
    assert breaches == []


@pytest.mark.parametrize(
    "licence", ["GPL-3.0-only", "AGPL-3.0", "GNU General Public License v3 (GPLv3)", "BUSL-1.1", ""]
)
def test_unfitting_licence_is_found(licence: str) -> None:
    assert find_unfitting("sample", [licence]) != []


@pytest.mark.parametrize("licence", ["MIT", "Apache-2.0 OR BSD-3-Clause", "PSF-2.0", "MPL-2.0", "LGPL-2.1-only"])
def test_fitting_licence_is_left_alone(licence: str) -> None:
    assert find_unfitting("sample", [licence]) == []


def test_title_of_a_licence_stands_below_empty_lines() -> None:
    assert title_of("\n\n    Apache License\n  Version 2.0") == "Apache License"
    assert title_of("The MIT License (MIT)\n\nCopyright") == "MIT"


def test_licence_of_this_project_is_in_the_tree() -> None:
    text = Path(ROOT / "LICENSE").read_text("utf-8")
    assert "Apache License" in text
    assert "Version 2.0" in text
