"""`ringfence ingest` as a person or a script meets it: what it prints, where, and with which exit code."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ringfence.app.deployment import Deployment
from tests.services.exports_taken import make_export, stored, write_export


def ingest(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the program."""
    command = [sys.executable, "-m", "ringfence", "ingest", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


@pytest.fixture
def exports(tmp_path: Path) -> Path:
    """One user inside, one outside, and a file that is none."""
    root = tmp_path / "exports"
    write_export(root / "ada.json", make_export("ada"))
    write_export(root / "bob.json", make_export("bob", country="DE"))
    (root / "notes.txt").write_text("not an export")
    return root


def test_summary_is_said_in_words_with_exit_code_0(deployment: Deployment, exports: Path) -> None:
    done = ingest(exports, "-d", deployment.directory)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "2 exports: 1 taken (1 new user), 0 there already, 1 left, 0 refused",
        "5 records stored, 0 changed, 0 there already; 5 left",
        "jurisdiction: 1 inside, 1 outside, 0 contradictory, 0 missing",
        "1 file skipped: no export",
    ]


def test_broken_export_gives_exit_code_1_json_and_a_report_of_every_source(
    deployment: Deployment, exports: Path, tmp_path: Path
) -> None:
    (exports / "eve.json").write_text('{"Profile": {"Profile Info": [NaN]}}')
    report = tmp_path / "report.ndjson"
    done = ingest(exports, "-d", deployment.directory, "--json", "--report", report)
    facts = json.loads(done.stdout)
    assert done.returncode == 1
    assert (facts["sources"], facts["taken"], facts["left"], facts["skipped"], facts["refused"]) == (4, 1, 1, 1, 1)
    (problem,) = facts["problems"]
    assert problem["place"] == f"{exports}/eve.json#/Profile/Profile Info/0"
    told = [json.loads(line) for line in report.read_text().splitlines()]
    assert sorted((Path(line["source"]).name, line["outcome"]) for line in told) == [
        ("ada.json", "taken"),
        ("bob.json", "left"),
        ("eve.json", "refused"),
        ("notes.txt", "skipped"),
    ]
    assert {place.user for place in stored(deployment)} == {"ada"}


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ((), 2, "Missing argument"),
        (("no-such-file",), 2, "does not exist"),
        ((".", "-d", "no-such-deployment"), 3, "there is no deployment at no-such-deployment"),
    ],
)
def test_wrong_use_says_so_without_a_traceback(arguments: tuple[str, ...], code: int, words: str) -> None:
    done = ingest(*arguments)
    assert done.returncode == code
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_report_that_cannot_be_written_is_said_before_anything_is_taken(deployment: Deployment, exports: Path) -> None:
    done = ingest(exports, "-d", deployment.directory, "--report", exports / "nowhere" / "report")
    assert done.returncode == 3
    assert "cannot be written" in done.stderr
    assert stored(deployment) == {}


def test_charter_that_forbids_gives_exit_code_1_and_the_reason(deployment: Deployment, exports: Path) -> None:
    write_export(exports / "ida.json", make_export("ida"))
    done = ingest(exports, "-d", deployment.directory, "--purpose", "oversight")
    assert done.returncode == 1
    assert "error: usds may not write" in done.stderr
    assert "receipt: " in done.stderr
    assert stored(deployment) == {}


def test_lost_reader_is_an_error_and_running_again_ends_it(deployment: Deployment, tmp_path: Path) -> None:
    exports = tmp_path / "exports"
    comments = [{"comment": f"{number} " + "word " * 500} for number in range(12_000)]
    write_export(exports / "ada.json", make_export("ada", Comment={"Comments": {"CommentsList": comments}}))
    command = [sys.executable, "-m", "ringfence", "ingest", str(exports), "-d", str(deployment.directory)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    _kill_reader(process.pid)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 3
    assert "the process that reads the exports was killed" in said
    assert "Traceback" not in said
    done = ingest(exports, "-d", deployment.directory, "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["records"]["new"] <= 12_005


def _kill_reader(parent: int) -> None:
    """Kill the process that reads, as soon as it is there."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        for child in children:
            if b"multiprocessing.spawn" in Path(f"/proc/{child}/cmdline").read_bytes():
                time.sleep(0.4)
                os.kill(int(child), signal.SIGKILL)
                return
        time.sleep(0.01)
    raise AssertionError("there is no reading process")
