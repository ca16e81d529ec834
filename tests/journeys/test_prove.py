"""`ringfence prove matrix`: of a charter's file, a bundle and a deployment; as words, CSV, JSON and a picture."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest

from ringfence.core import changes as c
from tests.core.small_charter import SMALL
from tests.governed_ledgers import governed
from tests.journeys.programs import Done, complained, run, run_inside
from tests.ledgers import whole
from tests.prover.test_matrix import BREAKING
from tests.services.world import EXAMPLE, make_deployment


def prove(*arguments: object, cwd: Path | None = None) -> Done:
    return run_inside("prove", "matrix", *map(str, arguments), cwd=cwd)


@pytest.fixture
def breaking(tmp_path: Path) -> Path:
    """A charter's file whose flow `showing` breaks an invariant."""
    file = tmp_path / "breaking.yaml"
    file.write_text(BREAKING, "utf-8")
    return file


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A charter's file that breaks nothing."""
    file = tmp_path / "small.yaml"
    file.write_text(SMALL, "utf-8")
    return file


def test_worked_example_holds_and_is_told_in_words() -> None:
    done = run("prove", "matrix", str(EXAMPLE))

    assert done.returncode == 0
    assert "29,779,200 questions, each under every set of 11 flows that may be suspended" in done.stdout
    assert [line.split()[:2] for line in done.stdout.splitlines() if line.startswith("holds")] == [
        ["holds", f"{name}:"]
        for name in (
            "parent-never-sees-protected",
            "parent-never-changes-anything",
            "host-sees-nothing",
            "protected-is-read-at-home",
        )
    ]
    oracle = next(line for line in done.stdout.splitlines() if line.startswith("oracle"))
    assert oracle.split() == ["oracle", "anyone", "nothing"]


def test_charter_that_breaks_an_invariant_ends_with_1_and_its_cells_are_named(breaking: Path) -> None:
    done = prove(breaking)

    assert (done.returncode, done.stderr) == (1, "")
    assert "BROKEN  parent-never-reads: by " in done.stdout
    cells = [line for line in done.stdout.splitlines() if "`showing` permits: " in line]
    assert all("party parent" in cell and "class protected" in cell and "purpose show" in cell for cell in cells)
    assert cells
    assert "holds   host-reads-nothing: over " in done.stdout
    facts = prove(breaking, "--json")
    assert (facts.returncode, facts.facts()["holds"]) == (1, False)
    assert {cell["clauses"][0] for cell in facts.facts()["invariants"][0]["broken"]} == {"showing"}


def test_csv_has_every_question_once(small: Path) -> None:
    facts = prove(small, "--json").facts()

    done = prove(small, "--csv")

    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert len(rows) == facts["cells"]
    assert sum(int(row["questions"]) for row in rows) == facts["questions"]
    serving = [row for row in rows if row["clauses"] == "serving;serving-many"]
    assert {row["withheld"] for row in serving} == {"country;phone", "place"}
    assert {row["breaks"] for row in rows} == {""}


def test_suspension_that_would_widen_is_told(small: Path) -> None:
    done = prove(small)

    assert done.returncode == 0
    widens = [line for line in done.stdout.splitlines() if line.startswith("WIDENS")]
    assert widens[1] == (
        "WIDENS  suspending `serving` lets `serving-many` decide, which gives place too: "
        "app to read posts, class protected, public"
    )


def test_picture_is_written_beside_the_words(tmp_path: Path, small: Path) -> None:
    done = prove(small, "--picture", tmp_path / "matrix.html")

    assert done.returncode == 0
    text = (tmp_path / "matrix.html").read_text("utf-8")
    assert "parent-never-reads holds over" in text
    assert "<svg" in text
    complained(prove(small, "--picture", tmp_path / "absent" / "matrix.html"), 1, hint=False)


def test_questions_of_one_party_can_be_asked_alone(small: Path) -> None:
    facts = prove(small, "--party", "app", "--party", "watch", "--json").facts()

    assert facts["domain"]["party"] == ["app", "watch"]
    assert "questions, of app and watch alone, each" in prove(small, "--party", "app", "--party", "watch").stdout
    assert " alone" not in prove(small).stdout
    unknown = prove(small, "--party", "nobody")
    complained(unknown, 1, hint=False)
    assert "it has keeper, hoster, app, parent, watch" in unknown.stderr


def test_bundle_is_told_with_what_is_suspended_in_it_and_that_nothing_verified_it(tmp_path: Path) -> None:
    ledger = governed()
    ledger.write(tmp_path / "open", detail=True)
    ledger.ground.order("ivy", c.Suspend(scope=c.FLOW, name="helping"), number=1)
    ledger.follow()
    ledger.write(tmp_path / "stopped", detail=True)

    before, after = prove(tmp_path / "open"), prove(tmp_path / "stopped")

    for done in (before, after):
        assert done.returncode == 0
        assert "not verified here: `ringfence verify` it first" in done.stdout.splitlines()[0]
    assert any(line.startswith("trust") and "helping" in line for line in before.stdout.splitlines())
    assert "suspended now: flow helping" in after.stdout
    assert not any(line.startswith("trust") and "helping" in line for line in after.stdout.splitlines())
    told: Any = prove(tmp_path / "stopped", "--json", "--picture", tmp_path / "matrix.html").facts()
    assert "suspended now: flow helping" in (tmp_path / "matrix.html").read_text("utf-8")
    assert told["suspended"] == [{"scope": "flow", "name": "helping"}]


def test_bundle_of_an_older_engine_and_without_invariants_says_so(tmp_path: Path) -> None:
    whole().write(tmp_path / "plain")

    done = prove(tmp_path / "plain", "--picture", tmp_path / "matrix.html")

    assert done.returncode == 0
    first, second, third = done.stdout.splitlines()[:3]
    assert first.endswith("small, version 2, decided by engine v1")
    assert second == "1,280 questions: merged into 11 cells, each asked of the engine"
    assert third == "the charter has no invariants"
    assert "The charter has none." in (tmp_path / "matrix.html").read_text("utf-8")


def test_deployment_is_looked_at_when_nothing_else_is_named(tmp_path: Path) -> None:
    make_deployment(tmp_path / "deployment")

    done = prove(cwd=tmp_path)

    assert done.returncode == 0
    assert done.stdout.startswith("the deployment deployment, at epoch ")
    assert "us-user-data, version 1, decided by engine v2" in done.stdout
    complained(prove("-d", tmp_path / "absent", cwd=tmp_path), 3)


def test_what_is_no_charter_and_no_bundle_is_refused_by_name(tmp_path: Path, small: Path) -> None:
    absent = prove(tmp_path / "absent.yaml")
    complained(absent, 1)
    assert "absent.yaml cannot be read" in absent.stderr
    complained(prove(tmp_path), 1)
    small.write_text(SMALL.replace("who: [app]", "who: [nobody]"), "utf-8")
    broken = prove(small)
    complained(broken, 1, hint=False)
    assert "unknown party `nobody`" in broken.stderr


def test_csv_and_json_together_are_used_wrongly(small: Path) -> None:
    done = prove(small, "--csv", "--json")

    assert (done.returncode, done.stdout) == (2, "")
    assert "choose one of --csv and --json" in done.stderr
