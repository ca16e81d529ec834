"""Two sequencers of one ledger: one of them stops, and whatever either ever signed is one history."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ringfence.core.errors import ConfigurationError
from ringfence.core.ports import Placement, TreeHead
from tests.ledger.tree import check_order, make_sequencer, read_leaves
from tests.ledger.writer import LedgerWriter


class Interrupted:
    """A store whose next commit of the tree waits until somebody else has done something."""

    def __init__(self, store: Any, interrupt: Any) -> None:
        self._store = store
        self._interrupt = interrupt

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def commit_tree(self, *, expected: TreeHead, following: TreeHead, placements: list[Placement]) -> bool:
        if self._interrupt is not None:
            interrupt, self._interrupt = self._interrupt, None
            await interrupt()
        result: bool = await self._store.commit_tree(expected=expected, following=following, placements=placements)
        return result


def test_older_sequencer_stops_when_another_took_over(run: Any, ledger: LedgerWriter, tmp_path: Path) -> None:
    first = make_sequencer(ledger.store, tmp_path / "first")
    second = make_sequencer(ledger.store, tmp_path / "second")
    run(first.open())
    run(first.run_round())
    run(second.open())
    run(ledger.access(1))
    run(ledger.seal(1))

    with pytest.raises(ConfigurationError, match="taken over"):
        run(first.run_round())
    run(second.run_round())

    shown, newer = read_leaves(tmp_path / "first"), read_leaves(tmp_path / "second")
    assert newer[: len(shown)] == shown
    assert (1, 1) in check_order(newer)
    run(first.close())
    run(second.close())


@pytest.mark.parametrize("second_works", [True, False])
def test_race_for_the_head_signs_no_fork(run: Any, ledger: LedgerWriter, tmp_path: Path, second_works: bool) -> None:
    second = make_sequencer(ledger.store, tmp_path / "second")

    async def take_over() -> None:
        await second.open()
        await ledger.access(2)
        await ledger.seal(2)
        if second_works:
            await second.run_round()

    interrupted: Any = Interrupted(ledger.store, take_over)
    first = make_sequencer(interrupted, tmp_path / "first")
    run(first.open())
    run(ledger.access(1))
    run(ledger.seal(1))

    with pytest.raises(ConfigurationError, match="taken over"):
        run(first.run_round())
    run(second.run_round())

    assert read_leaves(tmp_path / "first") == []
    assert {(1, 1), (2, 1)} <= set(check_order(read_leaves(tmp_path / "second")))
    run(first.close())
    run(second.close())


def test_one_tree_directory_has_one_sequencer(run: Any, ledger: LedgerWriter, tmp_path: Path) -> None:
    first = make_sequencer(ledger.store, tmp_path / "tree")
    second = make_sequencer(ledger.store, tmp_path / "tree")
    run(first.open())

    with pytest.raises(ConfigurationError, match="another sequencer"):
        run(second.open())

    run(first.run_round())  # the one that has it is not disturbed
    run(first.close())
    run(second.open())
    run(second.run_round())
    run(second.close())


def test_tree_directory_of_another_log_is_refused(run: Any, ledger: LedgerWriter, tmp_path: Path) -> None:
    sequencer = make_sequencer(ledger.store, tmp_path / "tree")
    run(sequencer.open())
    run(sequencer.close())
    (tmp_path / "tree/vkey").write_text("other.example.com+00000000+AAAA\n")

    with pytest.raises(ConfigurationError, match="another key"):
        run(make_sequencer(ledger.store, tmp_path / "tree").open())


def test_unchanged_head_is_signed_again_later(run: Any, ledger: LedgerWriter, tmp_path: Path) -> None:
    now = [1_800_000_000_000]
    sequencer = make_sequencer(
        ledger.store, tmp_path / "tree", clock_ms=lambda: now[0], limits={"sign_again_seconds": 30}
    )
    run(sequencer.open())
    run(sequencer.run_round())
    first = (tmp_path / "tree/checkpoint").read_bytes()
    run(sequencer.run_round())
    assert (tmp_path / "tree/checkpoint").read_bytes() == first

    now[0] += 30_000
    run(sequencer.run_round())

    again = (tmp_path / "tree/checkpoint").read_bytes()
    assert again != first
    assert again.split(b"\n\n")[0] == first.split(b"\n\n")[0]
    run(sequencer.close())
