"""`ringfence people` on a governed deployment: what it prints, what it writes, and that a stranger can check it."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ringfence.app.deployment import open_deployment
from ringfence.app.runtime import clock_ms, open_runtime
from ringfence.ledger.export import export_bundle
from ringfence.verify import REFUTED, Verdict, parse_trust, verify_bundle
from tests.governed import FOUNDERS, NUMBERS
from tests.services.governed_world import found_deployment
from tests.services.people.files import HEADER, file_of, row_of
from tests.services.world import sequence, verified


def people(*arguments: str | Path, directory: Path, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run the program."""
    command = [sys.executable, "-m", "ringfence", "people", *map(str, arguments), "-d", str(directory)]
    return subprocess.run(command, input=given, capture_output=True, check=False, timeout=120)


def done(*arguments: str | Path, directory: Path, given: bytes = b"") -> Any:
    """Run the program with `--json`; give what it says."""
    ran = people(*arguments, "--json", directory=directory, given=given)
    assert (ran.returncode, ran.stderr, ran.stdout.count(b"\n")) == (0, b"", 1)
    return json.loads(ran.stdout)


def founder(name: str, **values: str) -> dict[str, str]:
    """Give a founder's row, as the founding told it but for what is told here."""
    party = FOUNDERS[name][0]
    usual = {"employer": party, "residence": "US", "works_in": "US", "devices_of": party, "team": name, "starts": ""}
    return row_of(f"hr-{name}", **{"name": name, **usual, **values})


BOSS = row_of(
    "hr-boss", name="Zoë", employer="parent", residence="CN", works_in="CN", team="", devices_of="", starts=""
)
BOSS_NUMBER = len(FOUNDERS) + 3  # after the founders and two services
EVE = NUMBERS["eve"]
CHAIN = f"not-directed-from-the-parent: {EVE} is directed by {BOSS_NUMBER}, who is employed by parent"


def test_import_suspends_with_the_chain_and_verifies(governed: Path, tmp_path: Path) -> None:
    file = tmp_path / "hr.csv"
    rows = [founder(name) for name in FOUNDERS if name not in ("eve", "cid")]
    file.write_bytes(file_of(*rows, BOSS, founder("eve", directed_by="hr-boss", team="red")))

    tried = people("import", file, "--dry-run", directory=governed)
    ran = people("import", file, directory=governed)
    again = people("import", file, directory=governed)

    assert (ran.returncode, ran.stderr) == (0, b"")
    lines = ran.stdout.decode().splitlines()
    assert lines[:7] == [
        "1 added, 1 changed, 1 gone, 7 as they were",
        f'  + hr-boss "Zoë", number {BOSS_NUMBER}',
        '  ~ hr-eve "eve": directed_by nothing -> "hr-boss"; team "eve" -> "red"',
        '  - hr-cid "cid" has left',
        f"suspended: hr-eve (number {EVE})",
        f"  {CHAIN}",
        lines[6],
    ]
    assert lines[6].startswith("no authority from 20")
    assert lines[6].endswith(f"on: hr-cid (number {NUMBERS['cid']})")
    assert lines[7].startswith("recorded, in force from epoch ")
    assert tried.stdout.decode().splitlines()[:6] == lines[:6]
    assert tried.stdout.decode().splitlines()[-1] == "nothing was recorded: this was a dry run"
    assert again.stdout.decode().splitlines() == ["0 added, 0 changed, 0 gone, 9 as they were", "nothing to record"]
    verdict = verified(open_deployment(governed), tmp_path / "bundle")
    assert not [line for line in verdict.withheld if "facts" in str(line)]


def test_list_and_show_say_who_may_act_and_why_not(governed: Path) -> None:
    done("import", "-", "--partial", directory=governed, given=file_of(BOSS, founder("eve", directed_by="hr-boss")))

    listed = {one["reference"]: one for one in done("list", directory=governed)["people"]}
    shown = done("show", "hr-eve", directory=governed)
    words = people("show", str(EVE), directory=governed).stdout.decode().splitlines()

    assert len(listed) == len(FOUNDERS) + 1
    assert listed["hr-eve"]["state"] == "suspended"
    assert listed["hr-ada"]["member"]["duties"] == ["officer"]
    assert listed["hr-boss"]["member"] is None
    assert shown["directed_by"] == ["hr-boss"]
    assert shown["conflicts"]["officer"][0]["chain"] == [EVE, BOSS_NUMBER]
    assert words[0] == f'hr-eve (number {EVE}) "eve": suspended'
    assert f"  {CHAIN}" in words
    assert "no rule of independence stands against engineer" not in words
    free = people("show", "hr-ada", directory=governed).stdout.decode().splitlines()
    assert "no rule of independence stands against engineer" in free
    assert "member of trust; duties: officer" in free


def test_leavers_are_listed_when_they_are_asked_for(governed: Path) -> None:
    rows = [founder(name) for name in FOUNDERS if name != "cid"]
    done("import", "-", directory=governed, given=file_of(*rows))

    assert b"hr-cid" not in people("list", directory=governed).stdout
    assert b"hr-cid" in people("list", "--all", directory=governed).stdout


def test_file_with_problems_records_nothing_and_tells_every_one(governed: Path) -> None:
    data = file_of(BOSS, founder("eve", manager="hr-nobody", residence="XX"))

    ran = people("import", "-", "--partial", directory=governed, given=data)
    as_json = people("import", "-", "--partial", "--json", directory=governed, given=data)

    assert (ran.returncode, ran.stdout) == (1, b"")
    assert ran.stderr.decode().splitlines()[1:] == [
        "<stdin>:3:5: found residence: the unknown country `XX`; expected an ISO 3166 alpha-2 country code, or nothing",
        "<stdin>:3:7: found manager: the unknown person `hr-nobody`; "
        "expected the reference of somebody in this file or in the register",
    ]
    told = json.loads(as_json.stdout)
    assert as_json.returncode == 1
    assert told["recorded"] is False
    assert [(one["line"], one["column"]) for one in told["problems"]] == [(3, 5), (3, 7)]
    assert len(done("list", "--all", directory=governed)["people"]) == len(FOUNDERS)


def test_file_that_may_be_cut_off_is_refused(governed: Path) -> None:
    rows = [row_of(f"E{number}", employer="trust", devices_of="") for number in range(20)]
    done("import", "-", "--partial", directory=governed, given=file_of(*rows))
    data = file_of(*map(founder, FOUNDERS), *rows[:5])

    refused = people("import", "-", directory=governed, given=data)

    assert refused.returncode == 1
    assert b"15 of 29 people have left, and 10 are allowed for" in refused.stderr
    assert b"hint: if it is whole and that is true, say --leavers-max 15" in refused.stderr
    assert len(done("import", "-", "--leavers-max", "15", directory=governed, given=data)["gone"]) == 15


def test_facts_that_were_changed_in_the_evidence_are_refuted(governed: Path, tmp_path: Path) -> None:
    done("import", "-", "--partial", directory=governed, given=file_of(BOSS))
    bundle = tmp_path / "bundle"
    assert exported(governed, bundle).outcome != REFUTED
    (facts,) = (bundle / "facts").iterdir()

    facts.write_bytes(facts.read_bytes().replace(b"parent", b"trust"))

    assert verdict_of(governed, bundle).outcome == REFUTED


def exported(directory: Path, bundle: Path) -> Verdict:
    async def export() -> None:
        deployment = open_deployment(directory)
        await sequence(deployment)
        async with open_runtime(deployment) as runtime:
            await export_bundle(runtime.store, runtime.custody, deployment.ledger, bundle, detail=True)

    asyncio.run(export())
    return verdict_of(directory, bundle)


def verdict_of(directory: Path, bundle: Path) -> Verdict:
    trust = parse_trust((directory / "trust.json").read_bytes(), file="trust.json")
    return verify_bundle(bundle, trust=trust, now_seconds=clock_ms() // 1000)


# ---- mistakes ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A governed deployment that nothing is written to."""
    return found_deployment(tmp_path_factory.mktemp("founded") / "deployment").directory


@pytest.mark.parametrize(
    ("arguments", "given", "code", "said"),
    [
        (["import", "absent.csv"], b"", 3, "absent.csv cannot be read: No such file or directory"),
        (["import"], b"", 2, "Missing argument 'FILE'"),
        (["import", "-", "--leavers-max", "-1"], b"", 2, "Invalid value for '--leavers-max'"),
        (["import", "-"], b"", 1, "<stdin>:1:0: found an empty file"),
        (["import", "-"], HEADER.encode("utf-16"), 1, "<stdin>:0:0: found UTF-16 or UTF-32; expected UTF-8"),
        (["show", "hr-nobody"], b"", 1, "'hr-nobody'\nhint: `ringfence people list --all` has"),
        (["show"], b"", 2, "Missing argument 'WHO'"),
    ],
)
def test_mistake_is_told_with_its_exit_code(
    founded: Path, arguments: list[str], given: bytes, code: int, said: str
) -> None:
    ran = people(*arguments, directory=founded, given=given)

    assert ran.returncode == code
    assert said in ran.stderr.decode()
    assert "Traceback" not in ran.stderr.decode()


def test_deployment_that_is_not_governed_has_no_register(pristine: Path) -> None:
    for arguments in (["import", "-"], ["import", "-", "--dry-run"], ["list"], ["show", "E1"]):
        ran = people(*arguments, directory=pristine, given=file_of())

        assert ran.returncode == 1
        assert b"the ledger is not governed" in ran.stderr
        assert b"ringfence init --ceremony" in ran.stderr


# ---- a large file that nobody looked through ---------------------------------------------------------------------


def test_large_file_of_every_fault_is_told_row_by_row_and_nothing_of_it_is_taken(founded: Path) -> None:
    rows = [
        row_of(f"E{number}", employer="trust", devices_of="trust", manager=f"E{number // 8}" if number >= 8 else "")
        for number in range(50_000)
    ]
    for low, high in ((10, 680), (1_000, 8_000)):  # two circles: the lower of each is above the higher
        rows[low]["manager"] = f"E{high}"
    rows[20_000]["reference"] = "E19999"  # there twice
    rows[30_000]["manager"] = "E99999"
    rows[40_000]["employer"] = "Trust"
    rows[40_001]["residence"] = "UK"
    rows[40_002]["starts"] = "1/2/2020"
    rows[45_000]["name"] = "Jos\udce9"  # a row of Latin-1
    rows[49_999]["team"] = "x" * 201
    expected = [
        (12, 7),
        (1_002, 7),
        (20_002, 1),
        (30_002, 7),
        (40_002, 3),
        (40_003, 5),
        (40_004, 11),
        (45_002, 2),
        (50_001, 9),
    ]

    ran = people("import", "-", "--json", directory=founded, given=file_of(*rows))

    assert ran.returncode == 1
    problems = json.loads(ran.stdout)["problems"]
    assert [(one["line"], one["column"]) for one in problems] == expected
    assert "a circle of 3: `E10` managed by `E680`, managed by `E85`, managed by `E10`" in problems[0]["found"]
    assert "a circle of 2: `E1000` managed by `E8000`, managed by `E1000`" in problems[1]["found"]
    assert len(done("list", "--all", directory=founded)["people"]) == len(FOUNDERS)
