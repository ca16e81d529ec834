"""`ringfence prove coalition`: on a served ledger, before a change and after it, on its bundle, and over time.

A new engineer below a key holder would leave two people between the parent and the data. Whoever is about to ask can
see it, whoever asks all the same is refused, and whoever holds the evidence sees what moved the number.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ringfence.core.coalition.floor import COUNTED_MAX
from ringfence.core.coalition.rules import FLOORED
from tests.founders import number_of
from tests.governed_ledgers import governed
from tests.journeys.desks import Desk, open_desks
from tests.journeys.programs import Done, complained, run_inside
from tests.ledgers import whole
from tests.prover.powers import ASLEEP, COUNTED
from tests.services.world import EXAMPLE, make_deployment

HEAD = "reference,name,employer,paid_by,residence,works_in,manager,directed_by,team,devices_of,starts,ends"
GIL = "hr-gil,gil,usds,,US,US,hr-gus,,gil,usds,,"


@pytest.fixture(scope="module")
def desks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Desk]]:
    """Everybody's machine on a served ledger, which is put in order when it is exported."""
    with open_desks(tmp_path_factory.mktemp("coalition"), sequencer=False) as desks:
        yield desks


def prove(*arguments: object) -> Done:
    return run_inside("prove", "coalition", *map(str, arguments))


def told_by(*arguments: object) -> Any:
    """Run a command that works, in this process; give what it says."""
    ended = run_inside(*map(str, arguments), "--json")
    assert ended.returncode == 0, ended.stderr
    return ended.facts()


def record(deployment: Path, *rows: str) -> None:
    """Tell the register of people."""
    file = deployment.parent / "people.csv"
    file.write_text("\n".join((HEAD, *rows)) + "\n", "utf-8")
    told_by("people", "import", file, "--partial", "-d", deployment)


def export(deployment: Path, directory: Path) -> Path:
    """Put the ledger in order and export it with its openings; give the bundle's directory."""
    assert run_inside("ledger", "sequence", "--once", "-d", str(deployment)).returncode == 0
    told_by("ledger", "export", directory, "--detail", "-d", deployment)
    return directory


def person(deployment: Path, reference: str) -> dict[str, Any]:
    """Give what the register has of somebody."""
    people: list[dict[str, Any]] = told_by("people", "list", "-d", deployment)["people"]
    return next(one for one in people if one["reference"] == reference)


def let_in_below_a_key_holder(desks: dict[str, Desk]) -> int:
    """Let gil be hired and admitted; give the number."""
    deployment = desks["dot"].server.deployment
    record(deployment, GIL)
    gil: int = person(deployment, "hr-gil")["number"]
    login = f"do: admit\nperson: {gil}\nparty: usds\nissuer: https://login.example.org\nsubject: gil\n"
    assert agreed(desks, login, name="admit")["carried"]
    return gil


def agreed(desks: dict[str, Desk], change: str, *, name: str) -> Any:
    """Let the people administrator ask for a change and two officers agree; give what became of it."""
    proposal = desks["dot"].ask(change, name=name)
    desks["ada"].agree(proposal)
    return desks["ben"].agree(proposal)


def test_a_change_is_counted_before_it_is_asked_for_refused_when_it_weakens_and_seen_in_the_evidence(
    desks: dict[str, Desk], tmp_path: Path
) -> None:
    dot, deployment = desks["dot"], desks["dot"].server.deployment
    outside = ("--goal", "outside-flows")

    # As founded: an engineer and two key holders.
    founded = prove(*outside, "-d", deployment)
    assert founded.returncode == 0, founded.stderr
    assert "the charter asks that 3 people are needed" in founded.stdout
    shutil.copy(export(deployment, tmp_path / "before") / "checkpoint", tmp_path / "kept")

    # Somebody new, below a key holder, is admitted: that alone moves nothing.
    gil = let_in_below_a_key_holder(desks)

    # What if?
    changes = {}
    for duty in ("engineer", "auditor"):
        changes[duty] = tmp_path / f"{duty}.yaml"
        changes[duty].write_text(f"do: appoint\nperson: {gil}\nduty: {duty}\n", "utf-8")
    weaker = prove(*outside, "-d", deployment, "--with", changes["engineer"])
    as_strong = prove(*outside, "-d", deployment, "--with", changes["auditor"])
    assert (weaker.returncode, as_strong.returncode) == (1, 0)
    assert "  2 people must join: FEWER THAN THE CHARTER ASKS\n" in weaker.stdout
    assert f"who bring {gil} (hr-gil)" in weaker.stdout
    assert ["nobody could carry it: appoint is" in told.stdout for told in (weaker, as_strong)] == [True, False]
    assert f", supposing: Give the duty engineer to person {gil}\n" in weaker.stdout
    assert "  3 people must join\n" in as_strong.stdout

    # Asked for all the same, it is refused with the path, and the ledger has no such entry.
    refused = agreed(desks, changes["engineer"].read_text("utf-8"), name="engineer")
    assert not refused["carried"]
    assert "2 people who joined the excluded parties would be enough" in refused["waits_for"]
    assert "the charter asks that 3 are needed. The path: there join" in refused["waits_for"]
    assert dot.do("proposals")["proposals"][-1]["waits_for"] in refused["waits_for"]
    carried = dot.run("carry", str(refused["proposal"]))
    assert carried.returncode == 1
    assert "2 people who joined the excluded parties" in carried.stderr
    assert person(deployment, "hr-gil")["member"]["duties"] == []
    assert agreed(desks, changes["auditor"].read_text("utf-8"), name="auditor")["carried"]
    assert person(deployment, "hr-gil")["member"]["duties"] == ["auditor"]

    # The evidence: verified, counted alike, and nothing moved.
    bundle = export(deployment, tmp_path / "after")
    assert told_by("verify", bundle, "--jobs", 1, "--trust", deployment / "trust.json")["outcome"] == "verified"
    told = prove(bundle, *outside, "--json").facts()
    assert (told["min"], told["goals"][0]["at_least"], told["goals"][0]["exact"]) == (3, 3, True)
    assert "no number moved" in prove(bundle, "--since", tmp_path / "kept").stdout

    # A fact moves it, which no gate keeps out: an engineer is managed by a key holder from now on.
    record(deployment, "hr-eve,eve,usds,,US,US,hr-gus,,eve,usds,,")
    moved = prove(export(deployment, tmp_path / "moved"), "--since", tmp_path / "kept", "--json")
    assert moved.returncode == 1
    history = moved.facts()
    assert history["then"]["at_least"]["outside-flows"] == 3
    assert history["now"]["at_least"]["outside-flows"] == 2
    (move,) = history["moves"]
    assert move["goals"]["outside-flows"] == [3, 2]
    words = f'Person {number_of("eve")} ("hr-eve", "eve") has other facts: manager from none to {number_of("gus")}.'
    assert move["words"] == words


def test_a_picture_is_written_beside_the_words(tmp_path: Path) -> None:
    bundle = governed(charter=COUNTED).write(tmp_path / "bundle", detail=True)

    done = prove(bundle, "--goal", "give-grant", "--picture", tmp_path / "picture.html")

    assert (done.returncode, done.stderr) == (0, "")
    assert "3 people must join" in done.stdout
    assert "<svg" in (tmp_path / "picture.html").read_text("utf-8")
    complained(prove(bundle, "--goal", "give-grant", "--picture", tmp_path / "no" / "picture.html"), 1, hint=False)


def test_goals_parties_and_numbers_are_told_as_words_and_as_json(tmp_path: Path) -> None:
    bundle = governed(charter=COUNTED).write(tmp_path / "bundle", detail=True)

    words, told = prove(bundle), prove(bundle, "--json").facts()
    others = prove(bundle, "--exclude", "parent", "--exclude", "trust", "--goal", "give-grant")

    assert words.returncode == 0
    assert "not verified here" in words.stdout.splitlines()[0]
    named = [line.split(":")[0] for line in words.stdout.splitlines() if ": to " in line]
    assert [goal["name"] for goal in told["goals"] if goal["floored"]] == list(FLOORED)
    assert len(named) == len(told["goals"])
    assert (told["open"], {goal["at_least_open"] for goal in told["goals"]}) == ([], {None})
    assert others.returncode == 1, "with the custodian among them nobody need join"
    assert "FEWER THAN THE CHARTER ASKS" in others.stdout


@pytest.mark.parametrize("excluded", [["app", "board", "parent", "trust"], ["board", "parent"]])
def test_everybody_may_collude_and_is_told_what_they_reach(tmp_path: Path, excluded: list[str]) -> None:
    """Nobody is left then who could join, and still there may be what nobody reaches."""
    bundle = governed(charter=ASLEEP).write(tmp_path / "bundle", detail=True)
    named = [part for party in excluded for part in ("--exclude", party)]
    goals = [part for goal in FLOORED for part in ("--goal", goal)]

    now = prove(bundle, *named, *goals, "--json").facts()
    since = prove(bundle, *named, "--since", bundle / "checkpoint", "--json").facts()

    fewest = 0 if "trust" in excluded else 2
    assert {goal["name"]: goal["at_least"] for goal in now["goals"]} == {**dict.fromkeys(FLOORED), "give-grant": fewest}
    least = {**dict.fromkeys(FLOORED, COUNTED_MAX + 1), "give-grant": fewest}
    assert (since["then"]["at_least"], since["moves"]) == (least, [])


@pytest.mark.parametrize(
    ("arguments", "said", "hint"),
    [
        (["--goal", "nothing"], "there is no goal nothing", "the goals are: outside-flows"),
        (["--exclude", "nobody"], "the charter names no party nobody", ""),
        (["--with", "absent.yaml"], "absent.yaml cannot be read", ""),
        (["--with", "impossible.yaml"], "appoint is not possible: ", ""),
        (["--with", "other.yaml"], "a change is a mapping", ""),
        (["--with", "enact.yaml"], "impossible.yaml:1:1: ", ""),
    ],
)
def test_what_is_asked_wrongly_of_a_bundle_is_said(tmp_path: Path, arguments: list[str], said: str, hint: str) -> None:
    bundle = governed(charter=COUNTED).write(tmp_path / "bundle", detail=True)
    (tmp_path / "impossible.yaml").write_text("do: appoint\nperson: 99\nduty: officer\n", "utf-8")
    (tmp_path / "other.yaml").write_text("- 1\n", "utf-8")
    (tmp_path / "enact.yaml").write_text("do: enact-charter\nfile: impossible.yaml\n", "utf-8")

    done = run_inside("prove", "coalition", str(bundle), *arguments, cwd=tmp_path)

    complained(done, 1, hint=bool(hint))
    assert said in done.stderr
    assert hint in done.stderr


@pytest.mark.parametrize("seconds", ["0", "601", "long", "nan"])
def test_seconds_are_a_number_within_limits(tmp_path: Path, seconds: str) -> None:
    done = prove("--seconds", seconds, "-d", tmp_path)

    assert (done.returncode, done.stdout) == (2, "")
    assert "--seconds" in done.stderr


def test_what_has_no_people_is_refused_with_what_to_name_instead(tmp_path: Path) -> None:
    charter = prove(EXAMPLE)
    withheld = prove(governed(charter=COUNTED).write(tmp_path / "public", detail=False))
    plain = prove(whole().write(tmp_path / "plain", detail=True))
    absent = prove("-d", tmp_path / "absent")

    complained(charter, 1)
    assert "a charter alone has no people" in charter.stderr
    complained(withheld, 1)
    assert "the bundle has no openings" in withheld.stderr
    assert "ledger export --detail" in withheld.stderr
    complained(plain, 1, hint=False)
    assert "the ledger is not governed" in plain.stderr
    complained(absent, 3)


def test_a_deployment_that_is_not_governed_is_refused(tmp_path: Path) -> None:
    make_deployment(tmp_path / "deployment")

    done = prove("-d", tmp_path / "deployment")

    complained(done, 1, hint=False)
    assert "the ledger is not governed" in done.stderr
