"""SIGKILL at random moments of an ingest: run again, it ends with exactly what an undisturbed run stores."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from ringfence.app.deployment import Deployment, open_deployment
from ringfence.services.intake.person import KEPT_SIZE_BYTES_MAX
from ringfence.synthetic.files import write_exports
from tests.services.exports_taken import dump, make_export, stored, write_export
from tests.services.world import make_deployment, verified

KILLS = 10
KILLS_PER_RUN_MAX = 2
USERS = 300


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Users in every form of file, and one whose export is read twice and stored in several chunks."""
    root = tmp_path_factory.mktemp("sources") / "exports"
    root.with_name("nothing").mkdir(parents=True)
    write_exports(root, users=USERS, seed=11)
    comments = [{"date": f"{number}", "comment": f"{number} " + "word " * 800} for number in range(2_200)]
    large = make_export("a-user-with-much-to-say", watched=9_000, Comment={"Comments": {"CommentsList": comments}})
    assert write_export(root / "large.json", large).stat().st_size > KEPT_SIZE_BYTES_MAX
    return root


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A deployment in which the tool's lanes are certified already."""
    directory = tmp_path_factory.mktemp("fresh") / "deployment"
    make_deployment(directory)
    empty = directory.parent / "empty"
    empty.mkdir()
    assert ingest(directory, empty).returncode == 0
    return directory


def ingest(deployment: Path, exports: Path) -> subprocess.CompletedProcess[str]:
    """Run the program to its end."""
    command = [sys.executable, "-m", "ringfence", "ingest", str(exports), "-d", str(deployment), "--json"]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)


def ingest_and_kill(deployment: Deployment, exports: Path, *, parts: int, delay_seconds: float) -> bool:
    """Run the program and kill it some time after so many parts are stored; tells whether it was still running."""
    command = [sys.executable, "-m", "ringfence", "ingest", str(exports), "-d", str(deployment.directory)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    while process.poll() is None and count_parts(deployment) < parts:
        time.sleep(0.005)
    try:
        process.wait(delay_seconds)
        return False
    except subprocess.TimeoutExpired:
        os.kill(process.pid, signal.SIGKILL)  # the process alone: its reader has to end by itself
        process.wait()
        return True


def count_parts(deployment: Deployment) -> int:
    """Give how many parts are stored."""
    with closing(sqlite3.connect(deployment.directory / "vault.db")) as database:
        return int(database.execute("SELECT count(*) FROM parts").fetchone()[0])


def children_left(exports: Path) -> list[str]:
    """Processes that still read the exports."""
    left = []
    for entry in Path("/proc").glob("[0-9]*/fd"):
        try:
            left += [str(entry) for link in entry.iterdir() if str(exports) in os.readlink(link)]
        except OSError:
            continue
    return left


def copied(deployment: Path, target: Path) -> Deployment:
    """Copy a deployment."""
    shutil.copytree(deployment, target)
    return open_deployment(target)


@pytest.mark.timeout(900)
def test_killed_ingest_ends_with_what_an_undisturbed_one_stores(fresh: Path, exports: Path, tmp_path: Path) -> None:
    undisturbed = copied(fresh, tmp_path / "undisturbed")
    assert ingest(undisturbed.directory, exports).returncode == 0
    expected, all_parts = stored(undisturbed), count_parts(undisturbed)
    chance, kills, halfway, rounds = random.Random(), 0, 0, 0
    while kills < KILLS:
        disturbed = copied(fresh, tmp_path / f"disturbed-{rounds}")
        rounds += 1
        parts = count_parts(disturbed)
        for _ in range(KILLS_PER_RUN_MAX):
            # Some of them before it stores anything more, at any moment of its start; most in the middle of the work.
            share = chance.uniform(-0.2, 0.9)
            before, kill_at = parts, parts + max(0, int(share * (all_parts - parts)))
            delay_seconds = chance.uniform(0, 0.1 if share > 0 else 1.0)
            if not ingest_and_kill(disturbed, exports, parts=kill_at, delay_seconds=delay_seconds):
                break
            kills += 1
            parts = count_parts(disturbed)
            halfway += before < parts < all_parts
            assert parts >= before
        assert ingest(disturbed.directory, exports).returncode == 0
        assert stored(disturbed) == expected
    assert halfway > 0, "no kill came in the middle of the work"
    before_rows = dump(disturbed)
    assert ingest(disturbed.directory, exports).returncode == 0
    assert dump(disturbed) == before_rows
    verified(disturbed, tmp_path / "bundle")
    deadline = time.monotonic() + 10
    while children_left(exports) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert children_left(exports) == []
