"""A deployment that cannot place addresses takes in nobody whose protection may hang on one, and doctor says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from ringfence.synthetic.geography import write_geography
from tests.faults.serving import command
from tests.journeys.programs import Done, run, run_inside
from tests.services.exports_taken import make_export, write_export
from tests.services.world import EXAMPLE

BY_LOGIN = "    login_ip:\n      - {dataset: login_history, field: IP}\n"


@pytest.fixture
def exports(tmp_path: Path) -> Path:
    root = tmp_path / "exports"
    write_export(root / "ada.json", make_export("ada"))
    return root


def make(directory: Path, *options: str, charter: Path = EXAMPLE) -> list[str]:
    command("init", str(directory), "--charter", str(charter), "--region", "virginia", *options)
    return ["-d", str(directory)]


def geography(doctor: Done) -> list[str]:
    return [finding["state"] for finding in doctor.facts()["findings"] if finding["check"] == "geography"]


def test_ingest_without_geography_is_refused_until_it_is_set(tmp_path: Path, exports: Path) -> None:
    here = make(tmp_path / "deployment")
    refused = run("ingest", str(exports), *here)
    assert refused.returncode == 3
    assert "`geography` is not set" in refused.stderr
    assert "hint: name an MMDB file" in refused.stderr
    doctor = run_inside("doctor", "--json", *here)
    assert (doctor.returncode, geography(doctor)) == (3, ["wrong"])

    write_geography(tmp_path / "geography.mmdb")
    settings = tmp_path / "deployment" / "ringfence.yaml"
    settings.write_text(settings.read_text().replace("geography: ''", "geography: ../geography.mmdb"))
    assert run("ingest", str(exports), *here, "--json").facts()["taken"] == 1
    doctor = run_inside("doctor", "--json", *here)
    assert (doctor.returncode, geography(doctor)) == (0, ["good"])


def test_charter_that_asks_for_no_logins_needs_no_geography(tmp_path: Path, exports: Path) -> None:
    text = EXAMPLE.read_text("utf-8")
    assert BY_LOGIN in text
    charter = tmp_path / "charter.yaml"
    charter.write_text(text.replace(BY_LOGIN, ""), "utf-8")
    here = make(tmp_path / "deployment", charter=charter)
    assert run("ingest", str(exports), *here, "--json").facts()["taken"] == 1
    assert geography(run_inside("doctor", "--json", *here)) == ["note"]


def test_geography_that_cannot_be_read_is_wrong_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "geography.mmdb").write_text("none")
    here = make(tmp_path / "deployment", "--geography", str(tmp_path / "geography.mmdb"))
    doctor = run_inside("doctor", "--json", *here)
    assert (doctor.returncode, geography(doctor)) == (3, ["wrong"])


def test_deployment_that_was_just_made_is_in_order(tmp_path: Path) -> None:
    write_geography(tmp_path / "geography.mmdb")
    doctor = run_inside("doctor", *make(tmp_path / "deployment", "--geography", str(tmp_path / "geography.mmdb")))
    assert doctor.returncode == 0
    assert "note  ledger: nothing was published yet" in doctor.stdout
