"""Whoever is behind gets less to do: who of the two processes seals."""

from __future__ import annotations

from ringfence.app.ingesting import AHEAD_SIZE_BYTES_MIN, WorkShare


def test_reader_seals_while_enough_waits_for_the_other_process() -> None:
    share = WorkShare()

    waiting = [0, AHEAD_SIZE_BYTES_MIN - 1, AHEAD_SIZE_BYTES_MIN, AHEAD_SIZE_BYTES_MIN // 2]
    told = [share.change(size) for size in [*waiting, AHEAD_SIZE_BYTES_MIN // 2 - 1, AHEAD_SIZE_BYTES_MIN // 2]]

    assert told == [False, None, True, None, False, None]


def test_reader_seals_nothing_where_users_are_known() -> None:
    share = WorkShare()
    share.users_are_new = False

    assert share.change(AHEAD_SIZE_BYTES_MIN) is False
    assert share.change(2 * AHEAD_SIZE_BYTES_MIN) is None
    share.users_are_new = True
    assert share.change(AHEAD_SIZE_BYTES_MIN) is True
