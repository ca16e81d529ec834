"""What a charter says of coalitions: the number it asks for, who has which power, and each mistake with its place."""

from __future__ import annotations

import pytest

from ringfence.core.charter import parse_charter
from ringfence.core.charter.governance import POWERS, Group
from ringfence.core.errors import CharterInvalidError
from tests.core.governed_charter import GOVERNED, governance_of
from tests.governed import CHARTER
from tests.prover.powers import COUNTED
from tests.prover.powers import POWERS as SECTION


def problems_of(text: str) -> list[tuple[str, str]]:
    with pytest.raises(CharterInvalidError) as refused:
        parse_charter(text.encode(), file="charter.yaml")
    return [(problem.found, problem.expected) for problem in refused.value.problems]


def test_number_and_powers_are_read() -> None:
    governance = governance_of(parse_charter(COUNTED.encode(), file="charter.yaml"))
    assert governance.coalition_min == 3
    assert tuple(governance.powers) == POWERS
    assert governance.powers["gateway-root"].alternatives == ((Group(("engineer",), 1), Group(("officer",), 2)),)
    assert governance.powers["host-root"].party == "board"


def test_charter_that_says_nothing_of_coalitions_asks_for_none() -> None:
    governance = governance_of(parse_charter(CHARTER.encode(), file="charter.yaml"))
    assert (governance.coalition_min, dict(governance.powers)) == (0, {})


def test_powers_may_be_told_without_a_number_and_not_all_of_them() -> None:
    some = CHARTER + "\ncoalition: {powers: {host-root: {words: The board's machines., of: board}}}\n"
    assert list(governance_of(parse_charter(some.encode(), file="charter.yaml")).powers) == ["host-root"]


@pytest.mark.parametrize(
    ("old", "new", "found", "expected"),
    [
        ("    host-root: {words: The board's machines., of: board}\n", "", "no `host-root`", "an entry for each of"),
        (", of: board}", "}", "neither `by` nor `of`", "one of them or both"),
        (", of: board}", ", of: bord}", "the unknown party `bord`", "board"),
        ("by: {from: [manager], count: 1}", "by: {from: [manger], count: 1}", "the unknown duty `manger`", "manager"),
        (
            "by: {from: [manager], count: 1}",
            "by: {from: [releaser], count: 1}",
            "whose role is operator",
            "may only propose",
        ),
        ("by: {from: [manager], count: 1}", "by: {from: [manager]}", "`from`", "one of `from` with `count`"),
        ("  min: 3\n", "  min: 6\n", "6", "5"),
        ("sign-log:", "sign-logs:", "sign-logs", "sign-log"),
    ],
)
def test_each_mistake_is_told(old: str, new: str, found: str, expected: str) -> None:
    assert SECTION.count(old) == 1
    problems = problems_of(CHARTER + SECTION.replace(old, new))
    assert any(found in said and expected in wanted for said, wanted in problems), problems


def test_coalitions_are_of_a_governed_charter() -> None:
    start, end = GOVERNED.index("governance:\n"), GOVERNED.index("independence:\n")
    found = [said for said, _ in problems_of(GOVERNED[:start] + GOVERNED[end:] + "\ncoalition: {min: 0}\n")]
    assert "`coalition` without `governance`" in found
