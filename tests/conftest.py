"""What every test runs under.

- Property tests use the profile `default`: the same examples on every run, no time limit for an example, since the
  machine is shared. `--hypothesis-profile fuzz` (`make fuzz`) draws many more, at random.
- With `RINGFENCE_TEST_NOTHING_SKIPPED=1` a skipped test is a failed test, so that a continuous-integration machine
  that lacks something cannot pass by leaving tests out.
- The run's first process names the database server that its workers share, and deletes it at the end.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "default",
    deadline=None,
    derandomize=True,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("fuzz", settings.get_profile("default"), derandomize=False, max_examples=20_000)
settings.load_profile("default")

SERVER_VARIABLE = "RINGFENCE_TEST_SERVER"
NOTHING_SKIPPED = os.environ.get("RINGFENCE_TEST_NOTHING_SKIPPED", "") not in ("", "0")


def pytest_configure(config: pytest.Config) -> None:
    """Name the run's server and, where root starts it, make the user that it runs as: before any worker needs it."""
    if hasattr(config, "workerinput"):
        return
    os.environ[SERVER_VARIABLE] = str(Path(tempfile.gettempdir()) / f"ringfence-postgres-{os.getpid()}")
    if sys.platform == "win32" or os.geteuid() != 0:
        return
    import pwd

    try:
        pwd.getpwnam("pgserver")
    except KeyError:
        subprocess.run(["useradd", "-s", "/bin/sh", "pgserver"], check=False, capture_output=True)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Delete the database server of the run when a worker that was ended early left it."""
    if not hasattr(config, "workerinput") and Path(os.environ[SERVER_VARIABLE]).exists():
        from tests.stores import delete_shared_server

        delete_shared_server()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn the report of a skipped test into a failure where nothing may be skipped."""
    report = yield
    expected_to_fail = hasattr(report, "wasxfail")
    if NOTHING_SKIPPED and report.skipped and not expected_to_fail:
        report.outcome = "failed"
        report.longrepr = f"skipped where nothing may be: {report.longrepr}"
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Turn the report of a module that skips itself into a failure where nothing may be skipped."""
    report = yield
    if NOTHING_SKIPPED and report.outcome == "skipped":
        report.outcome = "failed"
        report.longrepr = f"skipped where nothing may be: {report.longrepr}"
    return report
