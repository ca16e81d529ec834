"""HR files: what is read, and that every fault is told with its line and column."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ringfence.core.errors import PeopleInvalidError
from ringfence.core.people.register import DIRECTED_BY_MAX, EMPTY_REGISTER, PersonFacts, record
from ringfence.services.people import table
from ringfence.services.people.values import COLUMNS
from tests.services.people.files import (
    HEADER,
    NOW_MS,
    file_of,
    lines_of,
    places_of,
    problems_of,
    read,
    row_of,
)

PLACES = {name: place for place, name in enumerate(COLUMNS, start=1)}


def facts_of(data: bytes) -> list[PersonFacts]:
    return list(read(data).facts)


# ---- what is read ------------------------------------------------------------------------------------------------


def test_whole_row_is_read() -> None:
    data = lines_of(
        'E1,"Åse ""Aa"" Ærlig, dr.",keeper,parent,NO,SE,E2,E3;E2,blue,app,2020-02-29,2026-03-31',
        "E2,B,app,,,,,,,,,",
        "E3,C,keeper,keeper,,,,,,,,",
    )

    assert facts_of(data) == [
        PersonFacts(
            number=1,
            reference="E1",
            name='Åse "Aa" Ærlig, dr.',
            party="keeper",
            paid_by="parent",
            residence="NO",
            works_in="SE",
            manager=2,
            directed_by=(2, 3),
            team="blue",
            devices_of="app",
            starts_ms=1_582_934_400_000,  # 2020-02-29T00:00Z
            ends_ms=1_775_001_600_000,  # 2026-04-01T00:00Z: the last day counts to its end
        ),
        PersonFacts(number=2, reference="E2", name="B", party="app"),
        PersonFacts(number=3, reference="E3", name="C", party="keeper"),
    ]


@pytest.mark.parametrize(
    "data",
    [
        file_of(row_of("E1")),
        b"\xef\xbb\xbf" + file_of(row_of("E1")),
        file_of(row_of("E1")).replace(b"\r\n", b"\n"),
        file_of(row_of("E1")).replace(b"\r\n", b"\r"),
        file_of(row_of("E1")).replace(b"\r\n", b"\r\n\r\n"),
        file_of(row_of("E1")).rstrip(),
        file_of(row_of("E1")).replace(b"keeper", b'" keeper\t"').replace(b"E1,", b" E1 ,"),
        file_of(row_of("E1"), columns=COLUMNS[::-1]),
        file_of(row_of("E1")).replace(b"reference,name", b' Reference ,"NAME"'),
    ],
)
def test_forms_of_one_file_say_the_same(data: bytes) -> None:
    data = data.replace(b"Person  E1 ", b"Person E1")

    assert problems_of(data) == []
    assert facts_of(data) == facts_of(file_of(row_of("E1")))


@pytest.mark.parametrize(
    ("text", "starts_ms"),
    [
        ("", 0),
        ("1970-01-02", 86_400_000),
        ("1969-12-31", -86_400_000),
        ("2026-03-31T17:00:00-04:00", 1_774_990_800_000),
        ("2026-03-31T21:00Z", 1_774_990_800_000),
        ("2026-03-31T21:00:00.5Z", 1_774_990_800_500),
    ],
)
def test_start_is_a_date_or_a_moment(text: str, starts_ms: int) -> None:
    assert facts_of(file_of(row_of("E1", starts=text)))[0].starts_ms == starts_ms


@pytest.mark.parametrize(
    ("text", "ends_ms"),
    [
        ("", 0),
        ("2026-03-31", 1_775_001_600_000),
        ("2026-03-31T17:00:00-04:00", 1_774_990_800_000),
        ("9999-12-30", 253_402_214_400_000),
        ("9999-12-31", 253_402_300_799_999),
    ],
)
def test_end_is_the_end_of_a_day_or_a_moment(text: str, ends_ms: int) -> None:
    assert facts_of(file_of(row_of("E1", ends=text)))[0].ends_ms == ends_ms


def test_file_without_rows_is_a_file_of_nobody() -> None:
    assert facts_of(lines_of()) == []


# ---- faults of a value -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "value", "found"),
    [
        ("reference", "", "nothing"),
        ("reference", "E 1", "`E 1`"),
        ("reference", "E;1", "`E;1`"),
        ("reference", "Ё1", "`Ё1`"),
        ("reference", "x" * 65, "`xxx"),
        ("name", "", "nothing"),
        ("name", "x" * 201, "201 characters"),
        ("employer", "", "nothing"),
        (
            "employer",
            "keper",
            "the unknown party `keper`; expected one of app, hoster, keeper, parent, watch; did you mean",
        ),
        ("employer", "Keeper", "the unknown party `Keeper`"),
        ("paid_by", "acme", "the unknown party `acme`"),
        ("residence", "UK", "the unknown country `UK`; expected an ISO 3166 alpha-2 country code, or nothing; did you"),
        ("residence", "XX", "the unknown country `XX`"),
        ("works_in", "no", "the unknown country `no`"),
        ("works_in", "Norway", "the unknown country `Norway`"),
        ("manager", "E99", "the unknown person `E99`"),
        (
            "manager",
            "e2",
            "the unknown person `e2`; expected the reference of somebody in this file or in the register; did",
        ),
        ("manager", "E2;E3", "`E2;E3`"),
        ("directed_by", "E99", "the unknown person `E99`"),
        ("directed_by", "E2;;E3", "nothing"),
        ("directed_by", ";".join(f"E{one}" for one in range(2, DIRECTED_BY_MAX + 3)), "17 references"),
        ("directed_by", "E2;E1", "`E1` itself"),
        ("team", "x" * 201, "201 characters"),
        ("devices_of", "acme", "the unknown party `acme`"),
        ("starts", "2026-02-29", "`2026-02-29`"),
        ("starts", "31.03.2026", "`31.03.2026`"),
        ("starts", "03/31/2026", "`03/31/2026`"),
        ("starts", "20260331", "`20260331`"),
        ("starts", "2026-03-31T17:00:00", "`2026-03-31T17:00:00`"),
        ("starts", "2026-03-31T25:00Z", "`2026-03-31T25:00Z`"),
        ("starts", "٢٠٢٦-٠٣-٣١", "`٢٠٢٦-٠٣-٣١`"),
        ("starts", "0001-01-01T00:00+01:00", "`0001-01-01T00:00+01:00`"),
        ("ends", "1969-12-31", "`1969-12-31`"),
        ("ends", "2019-12-31", "an end that is not after the start"),
        ("name", "a\x07b", "the character U+0007"),
        ("name", "a\u202eb", "the character U+202E"),
        ("name", "a\ufeffb", "the character U+FEFF"),
        ("team", "a\nb", "a line break inside of the value"),
        ("team", "a\x00b", "the character U+0000"),
        ("name", "Jos\udce9", "the byte E9, which is not UTF-8 here"),
        ("reference", "E\udce91", "the byte E9, which is not UTF-8 here"),
    ],
)
def test_fault_of_a_value_is_told_with_its_line_and_column(column: str, value: str, found: str) -> None:
    others = [row_of(f"E{number}") for number in range(2, DIRECTED_BY_MAX + 3)]

    problems = problems_of(file_of(*others, row_of("E1", **{column: value})))

    assert len(problems) == 1
    assert problems[0].startswith(f"hr.csv:19:{PLACES[column]}: found {column}: {found}")


def test_name_is_never_shown() -> None:
    problems = problems_of(file_of(row_of("E1", name="Secret" * 50), row_of("E2", name="Secret\x07")))

    assert places_of(problems) == ["2:2", "3:2"]
    assert "Secret" not in "".join(problems)


def test_every_fault_of_every_row_is_told_in_the_order_of_the_file() -> None:
    data = file_of(
        row_of("E1", employer="acme", residence="XX", starts="soon"),
        row_of("E2"),
        row_of("E2", manager="E9", ends="never"),
        row_of("", team="x" * 201),
    )

    assert places_of(problems_of(data)) == ["2:3", "2:5", "2:11", "4:1", "4:7", "4:12", "5:1", "5:9"]


def test_row_with_a_fault_is_known_to_the_others() -> None:
    assert places_of(problems_of(file_of(row_of("E1", manager="E2"), row_of("E2", starts="soon")))) == ["3:11"]
    assert places_of(problems_of(lines_of("E1,A,keeper,,,,E2,,,,,", "E2,B"))) == ["3:0"]


# ---- faults of a file --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "1:0: found an empty file"),
        (b"\xef\xbb\xbf", "1:0: found an empty file"),
        (b"\r\n\r\n", "1:0: found an empty file"),
        (HEADER.encode("utf-16"), "0:0: found UTF-16 or UTF-32; expected UTF-8"),
        (HEADER.encode("utf-16-le"), "0:0: found UTF-16 or UTF-32"),
        (HEADER.encode("utf-16-be"), "0:0: found UTF-16 or UTF-32"),
        (HEADER.encode("utf-32"), "0:0: found UTF-16 or UTF-32"),
        (HEADER.replace(",", ";").encode(), "1:1: found values with semicolons between them; expected commas"),
        (HEADER.replace(",", "\t").encode(), "1:1: found values with tabs between them"),
        (b"E1,Ada,keeper,,,,,,,,,\r\n", "1:1: found a first line that names no column; expected a header: reference,"),
        (b"PK\x03\x04\x00\x00\xff\xfe", "1:1: found a first line that names no column"),
        (HEADER.replace("team,", "").encode(), "1:0: found no column team; expected a header"),
        (HEADER.replace("team", "name").encode(), "1:9: found the column name a second time"),
        ((HEADER + ",salary").encode(), "1:13: found the unknown column `salary`"),
        (HEADER.replace("manager", "manger").encode(), "1:0: found no column manager"),
        (HEADER.replace("manager", "manger").encode(), "1:7: found the unknown column `manger`; expected reference, "),
    ],
)
def test_file_of_another_form_is_refused(data: bytes, problem: str) -> None:
    problems = problems_of(data)

    assert any(one.startswith(f"hr.csv:{problem}") for one in problems), problems


def test_near_column_is_suggested() -> None:
    problems = problems_of(HEADER.replace("manager", "manger").encode())

    assert problems[1].endswith("; did you mean `manager`?")


def test_missing_column_is_told_once_and_the_others_are_read() -> None:
    columns = [name for name in COLUMNS if name not in ("name", "ends")]
    data = file_of(
        *({name: value for name, value in row_of(f"E{n}", residence="XX").items() if name in columns} for n in (1, 2)),
        columns=columns,
    )

    problems = problems_of(data)

    assert "no column name, ends" in problems[0]
    assert places_of(problems) == ["1:0", "2:4", "3:4"]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("E1,A,keeper,,,,,,,,", "found 11 values; expected 12, one for each column"),
        ("E1,A,keeper,,,,,,,,,,", "found 13 values"),
        ("E1", "found 1 values"),
        ('E1,"A"B,keeper,,,,,,,,,', "found no CSV: ',' expected after '\"'"),
    ],
)
def test_row_of_another_form_is_told_and_the_rest_is_read(line: str, problem: str) -> None:
    problems = problems_of(lines_of("E2,B,keeper,,,,,,,,,", line, "E3,C,acme,,,,,,,,,"))

    assert problems[0].startswith(f"hr.csv:3:0: {problem}")
    assert places_of(problems) == ["3:0", "4:3"]


def test_quote_that_is_never_closed_is_told_where_it_opens() -> None:
    problems = problems_of(lines_of("E1,A,acme,,,,,,,,,", 'E2,"B,keeper,,,,,,,,,', "E3,C,keeper,,,,,,,,,"))

    assert places_of(problems) == ["2:3", "3:0"]
    assert "found a quote that is never closed" in problems[1]


def test_lines_are_counted_where_values_hold_line_breaks() -> None:
    problems = problems_of(lines_of('E1,"A\r\nB\nC",keeper,,,,,,,,,', "", "E2,B,acme,,,,,,,,,"))

    assert places_of(problems) == ["2:2", "6:3"]


def test_value_that_is_longer_than_csv_may_be_is_told() -> None:
    problems = problems_of(lines_of(f"E1,{'x' * 200_000},keeper,,,,,,,,,", "E2,B,acme,,,,,,,,,"))

    assert "found a value of more than 131072 characters" in problems[0]
    assert places_of(problems) == ["2:0", "3:3"]


def test_rows_of_several_encodings_are_told_apart() -> None:
    rows = [row_of("E1", name="José"), row_of("E2", name="José"), row_of("E3", name="José")]
    lines = file_of(*rows).split(b"\r\n")
    lines[2] = lines[2].decode().encode("latin-1")
    lines[3] = lines[3].decode().encode("cp037")

    problems = problems_of(b"\r\n".join(lines))

    assert places_of(problems) == ["3:2", "4:0"]
    assert "byte E9" in problems[0]


def test_files_that_were_put_together_are_told() -> None:
    one = b"\xef\xbb\xbf" + file_of(row_of("E1"))

    problems = problems_of(one + one)

    assert problems[0].startswith("hr.csv:3:1: found reference: the character U+FEFF")


# ---- limits ------------------------------------------------------------------------------------------------------


def test_file_that_is_too_long_is_refused_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    data = file_of(row_of("E1"))
    monkeypatch.setattr(table, "FILE_SIZE_BYTES_MAX", len(data))
    assert problems_of(data) == []

    monkeypatch.setattr(table, "FILE_SIZE_BYTES_MAX", len(data) - 1)
    assert problems_of(data) == [
        f"hr.csv:0:0: found more than {len(data) - 1} bytes; expected several files, each taken with --partial"
    ]


def test_too_many_rows_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "ROWS_MAX", 2)

    assert problems_of(file_of(row_of("E1"), row_of("E2"))) == []
    assert problems_of(file_of(row_of("E1"), row_of("E2"), row_of("E3"), row_of("E4"))) == [
        "hr.csv:4:0: found more than 2 rows; expected several files, each taken with --partial"
    ]


def test_problems_beyond_the_limit_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "PROBLEMS_MAX", 3)

    with pytest.raises(PeopleInvalidError, match="has 5 problems") as caught:
        read(file_of(*(row_of(f"E{number}", employer="acme") for number in range(5))))

    assert len(caught.value.problems) == 4
    assert caught.value.problems[-1].found == "2 more problems, which are not listed"


# ---- any bytes ---------------------------------------------------------------------------------------------------


@given(
    data=st.binary(max_size=300)
    | st.lists(st.binary(max_size=30)).map(lambda rows: b"\n".join([HEADER.encode(), *rows]))
)
@example(data=b'"' * 1000)
@example(data=HEADER.encode() + b"\r" * 1000)
@example(data=b"\xef\xbb\xbf\xef\xbb\xbf" + HEADER.encode())
def test_any_bytes_are_read_or_refused_with_problems(data: bytes) -> None:
    for problem in problems_of(data):
        assert ": found " in problem
        assert "; expected " in problem
        problem.encode()  # nothing in it that no terminal takes


TEXT = st.text(st.characters(exclude_categories=["Cc", "Cs", "Co", "Cn", "Zl", "Zp", "Cf"]), max_size=20)


@given(
    people=st.lists(
        st.tuples(TEXT.filter(lambda text: text.strip(" \t") != ""), TEXT, st.sets(st.integers(0, 5), max_size=3)),
        max_size=6,
    )
)
def test_every_text_that_a_file_may_hold_survives(people: list[tuple[str, str, set[int]]]) -> None:
    count = len(people)
    data = file_of(
        *(
            row_of(
                f"E{at}",
                name=name,
                team=team,
                directed_by=" ; ".join(f"E{one % count}" for one in sorted(directors) if one % count != at),
            )
            for at, (name, team, directors) in enumerate(people)
        )
    )

    facts = facts_of(data)

    assert [(one.name, one.team) for one in facts] == [
        (name.strip(" \t"), team.strip(" \t")) for name, team, _ in people
    ]
    for at, (_, _, directors) in enumerate(people):
        assert set(facts[at].directed_by) == {one % count + 1 for one in directors if one % count != at}
    assert len(record(EMPTY_REGISTER, facts, at_ms=NOW_MS).people) == count
