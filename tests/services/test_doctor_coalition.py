"""`ringfence doctor` notes when facts have come to fewer people than the charter asks a coalition to need."""

from __future__ import annotations

import asyncio
from pathlib import Path

from ringfence.app.doctor import Finding, check_deployment
from tests.journeys.desks import found_example
from tests.journeys.programs import run_inside

HEAD = "reference,name,employer,paid_by,residence,works_in,manager,directed_by,team,devices_of,starts,ends"


def noted(deployment: Path) -> list[Finding]:
    return [found for found in asyncio.run(check_deployment(deployment)) if found.check == "coalition"]


def test_fewer_than_the_charter_asks_is_noted_with_the_path_and_as_many_is_not(tmp_path: Path) -> None:
    deployment = found_example(tmp_path / "deployment")
    before = noted(deployment)
    row = "hr-eve,eve,usds,,US,US,hr-gus,,eve,usds,,"  # an engineer is managed by a key holder from now on

    file = f"{HEAD}\n{row}\n".encode()
    done = run_inside("people", "import", "-", "--partial", "-d", str(deployment), given=file)

    assert done.returncode == 0, done.stderr
    assert before == []
    (found,) = noted(deployment)
    assert found.state == "note"
    assert found.detail.startswith("2 people who joined the excluded parties would be enough to read protected data")
    assert "the charter asks that 3 are needed. The path: there join" in found.detail
    assert "ringfence prove coalition" in found.hint
