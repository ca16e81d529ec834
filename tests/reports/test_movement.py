"""How the smallest coalition moved since a checkpoint: each rule that moved it by name, and none that did not."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection
from pathlib import Path

import pytest

from ringfence.core import changes as c
from ringfence.core.coalition.closure import Model
from ringfence.core.coalition.floor import Nearest
from ringfence.core.coalition.rules import FLOORED
from ringfence.core.errors import InvalidInputError, ProofInvalidError
from ringfence.reports import movement as movement_module
from ringfence.reports.history import open_evidence
from ringfence.reports.movement import TIME, Movement, Number, follow_coalitions, open_kept
from tests.governed import HOUR_MS, NUMBERS, facts
from tests.governed_ledgers import GovernedLedger, governed
from tests.journeys.programs import Done, complained, run_inside
from tests.ledgers import whole
from tests.prover.powers import COUNTED

DAY_MS = 24 * HOUR_MS


def movement(ledger: GovernedLedger, note: bytes, directory: Path, *parties: str) -> Movement:
    """Write the bundle and tell how the numbers moved."""
    ledger.follow()
    evidence = open_evidence(ledger.write(directory, detail=True))
    return follow_coalitions(evidence, open_kept(evidence, note), parties=parties or None)


def short(moved: Movement) -> list[tuple[str, int, int]]:
    """Give what moved, and from which number to which."""
    return [(goal, before.people, after.people) for move in moved.moves for goal, (before, after) in move.goals.items()]


def each(people: int) -> dict[str, Number]:
    """Give so many for every goal, found to be enough."""
    return dict.fromkeys(FLOORED, Number(people, is_found=True))


def each_from(before: int, after: int) -> dict[str, tuple[Number, Number]]:
    """Give a move of every goal, from so many to so many."""
    return {goal: (each(before)[goal], each(after)[goal]) for goal in FLOORED}


def test_a_reporting_line_that_moves_it_is_named_with_what_it_changed(tmp_path: Path) -> None:
    ledger = governed(charter=COUNTED)
    note = ledger.sign()
    ledger.ground.record(facts(NUMBERS["ben"], "ben", manager=NUMBERS["ada"]))

    moved = movement(ledger, note, tmp_path / "bundle")

    assert moved.first.minimum == 3
    assert moved.first.fewest == each(3)
    assert len(moved.moves) == 1
    first = moved.moves[0]
    assert first.goals == each_from(3, 2)
    assert first.words == 'Person 2 ("hr-ben", "ben") has other facts: manager from none to 1.'
    assert (first.epoch, first.leaf) == (moved.last.epoch, len(ledger.leaves) - 2)
    assert moved.last.fewest == each(2)


def test_a_change_that_is_carried_is_named_and_what_moves_nothing_is_not(tmp_path: Path) -> None:
    """An appointment that stands by itself moves nothing; a charter that trusts fewer people does."""
    ledger = governed(charter=COUNTED)
    note = ledger.sign()
    ledger.ground.hire("gil")
    ledger.ground.admit("gil")
    ledger.ground.appoint("gil", "officer")
    fewer = COUNTED.replace("min: 3", "min: 2").replace("version: 1", "version: 2")
    weak = fewer.replace("version: 2", "version: 3").replace(
        "deploy: {words: As a gateway opens., by: {all: [{from: [engineer], count: 1}, {from: [officer], count: 2}]}}",
        "deploy: {words: Two., by: {all: [{from: [engineer], count: 1}, {from: [officer], count: 1}]}}",
    )
    for version, text in ((2, fewer), (3, weak)):
        digest = hashlib.sha256(text.encode()).digest()
        change = c.EnactCharter(name="small", version=version, digest=digest, engine="v2")
        ledger.ground.agree("ada", change, "ben", "cid", "ivy", file=text.encode())

    moved = movement(ledger, note, tmp_path / "bundle")

    assert short(moved) == [("outside-flows", 3, 2), ("corrupt-build", 3, 2)]
    assert {move.words for move in moved.moves} == {"Put version 3 of the charter small in force."}
    assert (moved.first.minimum, moved.last.minimum) == (3, 2)


def test_what_took_authority_away_is_named_as_an_order(tmp_path: Path) -> None:
    ledger = governed(charter=COUNTED)
    ledger.ground.record(facts(NUMBERS["ben"], "ben", manager=NUMBERS["ada"]))
    ledger.follow()
    note = ledger.sign()
    ledger.ground.order("dot", c.Dismiss(person=NUMBERS["ben"]))

    moved = movement(ledger, note, tmp_path / "bundle")

    assert [move.goals for move in moved.moves] == [each_from(2, 3)]
    assert moved.moves[0].words.startswith(f"By order: Take everything from person {NUMBERS['ben']}")


def test_a_tie_that_stops_counting_is_told_as_time_and_not_as_the_rule_that_came_after(tmp_path: Path) -> None:
    ledger = governed(charter=COUNTED)
    ledger.ground.record(facts(NUMBERS["ben"], "ben", manager=NUMBERS["ada"]))
    ledger.ground.record(facts(NUMBERS["ben"], "ben"))
    ledger.follow()
    note = ledger.sign()
    ledger.ground.now_ms += 366 * DAY_MS
    ledger.ground.hire("gil")

    moved = movement(ledger, note, tmp_path / "bundle")

    assert moved.first.fewest == each(2), "the tie that ended still counts"
    assert [(move.goals, move.words, move.leaf) for move in moved.moves] == [(each_from(2, 3), TIME, None)]


def test_of_a_checkpoint_of_now_nothing_moved(tmp_path: Path) -> None:
    ledger = governed(charter=COUNTED)
    ledger.ground.record(facts(NUMBERS["ben"], "ben", manager=NUMBERS["ada"]))
    ledger.follow()

    moved = movement(ledger, ledger.sign(), tmp_path / "bundle")

    assert not moved.moves
    assert moved.first == moved.last
    assert moved.last.fewest == each(2)


def test_other_parties_that_collude_are_counted_when_they_are_named(tmp_path: Path) -> None:
    ledger = governed(charter=COUNTED)

    moved = movement(ledger, ledger.sign(), tmp_path / "bundle", "parent", "trust")

    assert moved.last.fewest["give-grant"] == Number(0, is_found=True)


def command(ledger: GovernedLedger, note: bytes, folder: Path, *arguments: str, detail: bool = True) -> Done:
    """Write the bundle and ask what moved."""
    ledger.follow()
    ledger.write(folder / "bundle", detail=detail)
    (folder / "kept").write_bytes(note)
    return run_inside("prove", "coalition", str(folder / "bundle"), "--since", str(folder / "kept"), *arguments)


def test_command_tells_then_the_moves_and_now_and_ends_with_1_below_the_minimum(tmp_path: Path) -> None:
    ledger = governed(charter=COUNTED)
    note = ledger.sign()
    ledger.ground.record(facts(NUMBERS["ben"], "ben", manager=NUMBERS["ada"]))

    done = command(ledger, note, tmp_path, "--goal", "give-grant")

    assert done.returncode == 1
    title, then, moved, now = done.stdout.splitlines()
    assert "not verified here" in title
    assert then.startswith("then, epoch ")
    assert then.endswith("give-grant 3; the charter asks for 3")
    assert 'give-grant 3 -> 2: Person 2 ("hr-ben", "ben") has other facts: manager from none to 1. (leaf ' in moved
    assert now.endswith("give-grant 2; the charter asks for 3")


def test_command_ends_with_0_when_nothing_moved_and_has_all_of_it_as_json(tmp_path: Path) -> None:
    ledger = governed(charter=COUNTED)

    done = command(ledger, ledger.sign(), tmp_path, "--json")

    told = json.loads(done.stdout)
    assert done.returncode == 0
    assert told["moves"] == []
    assert told["then"]["at_least"] == told["now"]["at_least"] == dict.fromkeys(FLOORED, 3)
    assert told["then"]["found"] == told["now"]["found"] == dict.fromkeys(FLOORED, True)
    assert told["now"]["min"] == 3


def too_many_choices(model: Model, goals: Collection[str], *, most: int) -> Nearest | None:
    """Find nobody who is enough, and end where it is counted up to 2 people."""
    return Nearest(2, "", {})


def beyond(model: Model, goals: Collection[str], *, most: int) -> Nearest | None:
    """Find that no so many are enough."""
    return None


@pytest.mark.parametrize(("look", "said", "people"), [(too_many_choices, "at least 2", 2), (beyond, "at least 5", 5)])
def test_number_that_was_not_found_is_told_as_a_bound_and_calls_nothing_short(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    look: Callable[..., Nearest | None],
    said: str,
    people: int,
) -> None:
    ledger = governed(charter=COUNTED)
    note = ledger.sign()
    ledger.ground.record(facts(NUMBERS["ben"], "ben", manager=NUMBERS["ada"]))
    (tmp_path / "found").mkdir()
    assert command(ledger, note, tmp_path / "found").returncode == 1, "found, it is short"

    monkeypatch.setattr(movement_module, "find_nearest", look)

    (tmp_path / "told").mkdir()
    (tmp_path / "json").mkdir()
    told, as_json = command(ledger, note, tmp_path / "told"), command(ledger, note, tmp_path / "json", "--json")
    assert (told.returncode, as_json.returncode) == (0, 0)
    assert told.stdout.splitlines()[-1].endswith(f"corrupt-build {said}; the charter asks for 3")
    now = json.loads(as_json.stdout)["now"]
    assert (now["at_least"]["give-grant"], now["found"]["give-grant"]) == (people, False)


def test_number_that_is_known_only_after_a_rule_is_a_move(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That 3 were needed was a bound before, and is found after it: the line tells the one from the other."""
    ledger = governed(charter=COUNTED)
    note = ledger.sign()
    ledger.ground.record(facts(NUMBERS["ben"], "ben", manager=NUMBERS["ada"]))
    numbers = iter([*[Nearest(2, "", {})] * len(FLOORED), *[Nearest(2, "give-grant", {})] * len(FLOORED)])
    monkeypatch.setattr(movement_module, "find_nearest", lambda model, goals, *, most: next(numbers))

    done = command(ledger, note, tmp_path)

    assert "give-grant at least 2 -> 2" in done.stdout.splitlines()[2]
    assert done.returncode == 1


def other_key(ledger: GovernedLedger) -> bytes:
    return whole().sign()


def other_root(ledger: GovernedLedger) -> bytes:
    return ledger.sign(root=bytes(32))


def newer(ledger: GovernedLedger) -> bytes:
    ahead = governed(charter=COUNTED)
    ahead.ground.hire("gil")
    ahead.follow()
    return ahead.sign(seconds_later=-1)


def of_another_ledger(ledger: GovernedLedger) -> bytes:
    return ledger.sign(origin="ledger.example.org/other")


def before_the_charter(ledger: GovernedLedger) -> bytes:
    return ledger.sign(size=3)


@pytest.mark.parametrize(
    ("kept", "said"),
    [
        (other_key, "signature|origin"),
        (other_root, "no growth"),
        (newer, "cut or rolled back"),
        (of_another_ledger, "of another log"),
        (before_the_charter, "no charter was in force yet"),
        (lambda ledger: b"nothing", "no checkpoint"),
    ],
)
def test_a_checkpoint_that_says_nothing_of_this_ledger_is_refused(
    tmp_path: Path, kept: Callable[[GovernedLedger], bytes], said: str
) -> None:
    ledger = governed(charter=COUNTED)
    evidence = open_evidence(ledger.write(tmp_path / "bundle", detail=True))

    with pytest.raises((InvalidInputError, ProofInvalidError), match=said):
        follow_coalitions(evidence, open_kept(evidence, kept(ledger)))


def test_a_bundle_without_openings_is_refused_with_what_to_do(tmp_path: Path) -> None:
    ledger = governed(charter=COUNTED)

    done = command(ledger, ledger.sign(), tmp_path, detail=False)

    complained(done, 1)
    assert "no openings" in done.stderr
    assert "--detail" in done.stderr


def test_a_ledger_without_governance_is_refused(tmp_path: Path) -> None:
    ledger = whole()
    evidence = open_evidence(ledger.write(tmp_path / "bundle", detail=True))

    with pytest.raises(ProofInvalidError, match="not governed"):
        follow_coalitions(evidence, open_kept(evidence, ledger.sign()))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--goal", "flow:helping"], "counted over time"),
        (["--exclude", "nobody"], "no party nobody"),
    ],
)
def test_what_is_not_counted_over_time_is_said(tmp_path: Path, arguments: list[str], said: str) -> None:
    ledger = governed(charter=COUNTED)

    done = command(ledger, ledger.sign(), tmp_path, *arguments)

    assert done.returncode == 1
    assert said in done.stderr


def test_only_a_bundle_has_a_history(tmp_path: Path) -> None:
    (tmp_path / "kept").write_bytes(governed(charter=COUNTED).sign())

    done = run_inside("prove", "coalition", "--since", str(tmp_path / "kept"))

    complained(done, 1)
    assert "only a bundle has a history" in done.stderr


def test_what_was_and_what_if_are_not_asked_together(tmp_path: Path) -> None:
    ledger = governed(charter=COUNTED)

    done = command(ledger, ledger.sign(), tmp_path, "--with", str(tmp_path / "kept"))

    assert done.returncode == 2
    assert "--since" in done.stderr
