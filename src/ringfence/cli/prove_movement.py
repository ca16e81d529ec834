"""`ringfence prove coalition BUNDLE --since CHECKPOINT`: how few had to join then and now, and what moved it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ringfence.cli.files import read_file, show_path
from ringfence.cli.output import EXIT_REFUSED, say
from ringfence.cli.progress import show_progress
from ringfence.cli.prove_subject import NOT_VERIFIED
from ringfence.core.coalition.floor import COUNTED_MAX
from ringfence.core.coalition.rules import FLOORED
from ringfence.core.errors import InvalidInputError
from ringfence.core.ledger.signed_note import NOTE_SIZE_BYTES_MAX
from ringfence.core.times import show_time
from ringfence.reports.history import open_evidence
from ringfence.reports.movement import Move, Movement, Number, Point, follow_coalitions, open_kept


def tell_movement(
    source: Path | None, since: Path, *, wanted: Sequence[str], parties: Sequence[str], as_json: bool
) -> int:
    """Print how the numbers moved; give the exit code.

    Raises:
        InvalidInputError: there is no bundle, or a goal is not counted over time.
        ProofInvalidError: as of `open_kept` and `follow_coalitions`.
    """
    if source is None or not source.is_dir():
        raise InvalidInputError(
            "only a bundle has a history", place="BUNDLE", hint="`ringfence ledger export --detail` writes a bundle"
        )
    for name in wanted:
        if name not in FLOORED:
            hint = f"the goals that are counted over time are: {', '.join(FLOORED)}"
            raise InvalidInputError(f"there is no goal {name} that is counted over time", place="--goal", hint=hint)
    evidence = open_evidence(source)
    kept = open_kept(evidence, read_file(since, size_bytes_max=NOTE_SIZE_BYTES_MAX))
    with show_progress("counting coalitions", quiet=as_json) as tell:
        movement = follow_coalitions(evidence, kept, parties=parties or None, tell=tell)
    goals = tuple(wanted) or FLOORED
    title = f"the bundle {show_path(source)}, since the checkpoint {show_path(since)} ({NOT_VERIFIED})"
    say("\n".join(_lines(title, movement, goals)), _facts(title, movement, goals), as_json=as_json)
    minimum = movement.last.minimum
    return EXIT_REFUSED if any(movement.last.fewest[goal].is_short(minimum) for goal in goals) else 0


def _lines(title: str, movement: Movement, goals: Sequence[str]) -> list[str]:
    moved = [_move(move, goals) for move in _moves(movement, goals)]
    return [
        title,
        f"then, {_point(movement.first, goals)}",
        *(moved or ["no number moved"]),
        f"now, {_point(movement.last, goals)}",
    ]


def _moves(movement: Movement, goals: Sequence[str]) -> list[Move]:
    return [move for move in movement.moves if not move.goals.keys().isdisjoint(goals)]


def _move(move: Move, goals: Sequence[str]) -> str:
    moved = [
        f"{goal} {_number(before)} -> {_number(after)}" for goal, (before, after) in move.goals.items() if goal in goals
    ]
    where = f" (leaf {move.leaf})" if move.leaf is not None else ""
    return f"epoch {move.epoch}, {show_time(move.at_ms)}: {', '.join(moved)}: {move.words}{where}"


def _point(point: Point, goals: Sequence[str]) -> str:
    numbers = ", ".join(f"{goal} {_number(point.fewest[goal])}" for goal in goals)
    asks = f"the charter asks for {point.minimum}" if point.minimum else "the charter asks for no number"
    return f"epoch {point.epoch}, {show_time(point.at_ms)}: {numbers}; {asks}"


def _number(number: Number) -> str:
    return str(number.people) if number.is_found else f"at least {number.people}"


def _facts(title: str, movement: Movement, goals: Sequence[str]) -> dict[str, Any]:
    def told(point: Point) -> dict[str, Any]:
        fewest = {goal: point.fewest[goal] for goal in goals}
        return {
            "epoch": point.epoch,
            "at_ms": point.at_ms,
            "min": point.minimum,
            "at_least": {goal: number.people for goal, number in fewest.items()},
            "found": {goal: number.is_found for goal, number in fewest.items()},
        }

    def moved(move: Move) -> dict[str, Any]:
        return {
            **move._asdict(),
            "goals": {goal: [number.people for number in numbers] for goal, numbers in move.goals.items()},
            "found": {goal: [number.is_found for number in numbers] for goal, numbers in move.goals.items()},
        }

    return {
        "source": title,
        "counted_max": COUNTED_MAX,
        "then": told(movement.first),
        "moves": [moved(move) for move in _moves(movement, goals)],
        "now": told(movement.last),
    }
