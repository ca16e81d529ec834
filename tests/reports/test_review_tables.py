"""Reviews as they are printed: tables that fit a terminal, CSV that is exact and no formula."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import msgspec
import pytest

from ringfence.cli.review_cells import tell_rows
from ringfence.cli.tables import draw_table, render_csv
from ringfence.core.charter import parse_charter
from ringfence.reports.access import STANDING, Authority
from tests.governed import NUMBERS, facts
from tests.governed_ledgers import governed
from tests.ledgers import ALICE, GATEWAY
from tests.reports.reviewing import rows, run
from tests.services.world import EXAMPLE

EVE = NUMBERS["eve"]
CHARTER = parse_charter(EXAMPLE.read_bytes(), file="example")
DATASETS = tuple(CHARTER.datasets)


def could(*datasets: str, **told: object) -> Authority:
    """Give what somebody could do under the worked example's charter."""
    usual: dict[str, object] = {
        "principal": 5,
        "kind": "person",
        "who": "hr-eve",
        "name": "Eve Example",
        "party": "usds",
        "duties": ("engineer",),
        "clause": "export-for-user",
        "basis": STANDING,
        "verbs": ("find", "export"),
        "datasets": datasets,
        "classes": tuple(CHARTER.classes),
        "purposes": ("user_request",),
        "countries": ("US",),
        "shapes": ("single", "bulk"),
        "users": "any",
        "until_ms": 1_800_000_000_000,
    }
    return Authority(**{**usual, **told})  # type: ignore[arg-type]


@pytest.mark.parametrize("columns", [100, 120])
def test_table_of_the_worked_example_fits_a_terminal_and_breaks_no_name(columns: int) -> None:
    found = [could(*DATASETS), could(*DATASETS[:-1], classes=("interoperability", "protected")), could("profile")]

    lines = list(draw_table(tell_rows(found, CHARTER), columns=columns))

    assert max(map(len, lines)) <= columns
    words = {word for line in lines for word in line.split()}
    assert lines[2].startswith("  export-for-user  standing")
    assert {"export-for-user", "user_request", "interoperability", "*", f"+{len(DATASETS) - 4}"} <= words
    assert lines[1] == '5 hr-eve "Eve Example" of usds: engineer'
    assert sum("hr-eve" in line for line in lines) == 1


def test_table_says_all_only_of_all_and_csv_names_each() -> None:
    whole, part, few = could(*DATASETS), could(*DATASETS[1:]), could(*DATASETS[:4])

    lines = list(draw_table(tell_rows([whole, part, few], CHARTER)))
    cells = list(csv.DictReader(io.StringIO(render_csv(Authority, [whole, part, few]))))

    assert [" * " in line.replace(" * ", " ", 1) for line in lines[2:]] == [True, False, False]
    assert f"{' '.join(DATASETS[1:4])} +{len(DATASETS) - 4}" in lines[3]
    assert " ".join(DATASETS[:4]) in lines[4]
    assert [line["datasets"].split(";") for line in cells] == [list(row.datasets) for row in (whole, part, few)]


def test_table_as_wide_as_it_takes_has_a_line_for_each_row_under_whose_it_is() -> None:
    found = [could("profile"), could("posts"), could("posts", principal=6, who="hr-fay")]

    lines = list(draw_table(tell_rows(found, CHARTER)))

    assert [line.startswith("  ") for line in lines] == [True, False, True, True, False, True]


@pytest.mark.parametrize("detail", [True, False])
def test_report_says_of_which_ledger_it_is_and_what_is_withheld(tmp_path: Path, *, detail: bool) -> None:
    ledger = governed()
    ledger.write(tmp_path / "bundle", detail=detail)

    table = run("access", tmp_path / "bundle").stdout.splitlines()
    told = json.loads(run("access", tmp_path / "bundle", "--json").stdout)

    assert table[0].startswith(f"{ledger.origin}: {len(ledger.leaves)} leaves, signed at 2023-11-14 ")
    assert table[0].endswith("; who is who is withheld") is not detail
    assert (told["origin"], told["size"], told["detail"]) == (ledger.origin, len(ledger.leaves), detail)


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("=1+2", "'=1+2"),
        (" =1+2", " '=1+2"),
        ("Miller;=1+2", "Miller;'=1+2"),
        ("Miller, @SUM(A1)", "Miller, '@SUM(A1)"),
        ("\uff1d1+2", "'\uff1d1+2"),
        ("Ann-Marie + Bo; the 2nd", "Ann-Marie + Bo; the 2nd"),
        ('an "only" one', 'an "only" one'),
        ("an un\u3164seen one", '"an un\\u3164seen one"'),
    ],
)
def test_no_cell_of_csv_is_a_formula_whatever_ends_a_cell(name: str, cell: str) -> None:
    (line,) = csv.DictReader(io.StringIO(render_csv(Authority, [could("profile", name=name)])))

    assert line["name"] == cell


@pytest.mark.parametrize("what", ["access", "activity", "stale"])
def test_table_csv_and_json_say_the_same(tmp_path: Path, what: str) -> None:
    ledger = governed()
    ledger.batch(GATEWAY, ledger.read(ALICE, grant=0))
    ledger.ground.record(facts(NUMBERS["ben"], "ben", directed_by=(NUMBERS["hal"],)))
    ledger.follow()
    found = rows(what, ledger, tmp_path / "bundle")

    table = run(what, tmp_path / "bundle").stdout.splitlines()
    cells = list(csv.DictReader(io.StringIO(run(what, tmp_path / "bundle", "--csv").stdout)))

    assert len(found) == len(cells) == sum(line.startswith("  ") for line in table) - 1 > 1
    assert table[1].endswith(f"{len(found)} rows")
    for row, line in zip(found, cells, strict=True):
        assert [name.removesuffix("_ms") for name in row] == list(line)
        assert line["who"] == row["who"]
        assert line["principal"] == str(row["principal"] or "")
    assert any("hr-" in line for line in table)


def test_name_that_a_spreadsheet_would_run_is_told_as_text(tmp_path: Path) -> None:
    ledger = governed()
    ledger.ground.record(msgspec.structs.replace(facts(EVE, "eve"), reference="=1+2"))
    ledger.follow()
    ledger.write(tmp_path / "bundle")

    cells = list(csv.DictReader(io.StringIO(run("access", tmp_path / "bundle", "--csv").stdout)))

    assert "'=1+2" in {line["who"] for line in cells}
    assert "=1+2" not in {line["who"] for line in cells}


def test_name_with_hidden_characters_is_shown_escaped(tmp_path: Path) -> None:
    ledger = governed()
    ledger.ground.record(msgspec.structs.replace(facts(EVE, "eve"), reference="ev\x1b[31me"))
    ledger.follow()
    ledger.write(tmp_path / "bundle")

    shown = run("access", tmp_path / "bundle").stdout

    assert "\x1b" not in shown
    assert '"ev\\u001b[31me"' in shown
