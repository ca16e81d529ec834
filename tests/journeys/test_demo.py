"""`ringfence demo` as a newcomer sees it: every step in its order, on 80 columns, to the end."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.journeys.documents import ROOT

COLUMNS = 80
STEPS = 16


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the demo prints with as few users as it takes. It checks each answer itself, and fails on a wrong one."""
    place = tmp_path_factory.mktemp("demo")
    done = subprocess.run(
        [sys.executable, "-m", "ringfence", "demo", "--users", "200"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(place)},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stderr == ""
    return done.stdout


def steps_of(text: str) -> dict[int, str]:
    """Give the steps by their numbers."""
    parts = re.split(r"^== (?=\d+\. )", text, flags=re.MULTILINE)[1:]
    return {int(part.partition(".")[0]): part for part in parts}


def test_every_step_is_shown_in_its_order(shown: str) -> None:
    assert list(steps_of(shown)) == list(range(1, STEPS + 1))


def test_nothing_is_wider_than_a_terminal(shown: str) -> None:
    assert [line for line in shown.splitlines() if len(line) > COLUMNS] == []


def test_permitted_reads_are_answered_and_the_others_refused(shown: str) -> None:
    statuses = {
        number: re.findall(r"^ *\| (\d{3}) [A-Z]", step, re.MULTILINE) for number, step in steps_of(shown).items()
    }

    assert {number: found for number, found in statuses.items() if found} == {
        4: ["200"],
        5: ["403"],
        6: ["403"],
        7: ["200"],
        8: ["200", "404"],
        9: ["403", "200", "403"],
        10: ["403"],
        12: ["200", "404"],
    }


def test_staff_reads_under_a_grant_of_two_officers_and_loses_it(shown: str) -> None:
    step = steps_of(shown)[9]

    assert "and 1 agreed" in step
    assert re.search(r"in effect from epoch \d+, number 1", step)
    assert "was ended by rule" in step


def test_chain_to_the_parent_is_spelled_out(shown: str) -> None:
    step = " ".join(steps_of(shown)[10].replace("|", " ").split())

    assert step.count("5 is directed by 11, who is employed by bytedance") == 2


def test_a_hire_that_leaves_too_few_is_refused_with_the_path(shown: str) -> None:
    step = " ".join(steps_of(shown)[11].replace("|", " ").split())

    assert step.count(" 3 people must join such as") == 4
    assert "Admit person" in step
    assert "approved proposal 2: in effect" in step
    assert "2 people who joined the excluded parties would be enough" in step
    assert "there join 1, bringing 1 more below" in step


def test_evidence_is_verified_and_each_attack_is_refused_with_its_place(shown: str) -> None:
    steps = steps_of(shown)

    assert "| VERIFIED" in steps[13]
    assert re.search(r"\| REFUTED(.|\n)*leaf \d+ ", steps[14])
    assert re.search(r"lane \d+ batch \d+: .*\n(.*\n)*.*did not start", steps[15])
    assert re.search(r"already shown(.|\n)*did not start", steps[16])


def test_file_that_is_no_charter_ends_the_demo_before_it_begins(tmp_path: Path) -> None:
    (tmp_path / "charter.yaml").write_text("charter: nothing\n", "utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "ringfence", "demo", "--charter", str(tmp_path / "charter.yaml")],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )

    assert done.returncode == 1
    assert "the charter has" in done.stderr
    assert "== 1." not in done.stdout
