"""What reading says to storing: nothing is lost when it is split, sealed, packed or weighed."""

from __future__ import annotations

import pytest

from ringfence.core.ports import JURISDICTION_DATASET
from ringfence.services.intake.messages import ManyRows, Piece, Row, SealedRows, parse_messages, render_messages

ROWS = [
    Row(JURISDICTION_DATASET, "self", b"m" * 16, "", [("protected", b"{}")], []),
    Row("profile", "self", b"n" * 16, "", [("protected", b"abc"), ("public", b"de")], [("profile.userName", "ada")]),
]
MANY = [ManyRows("posts", ["1", "2", "3"], {"protected": [b"a", b"", b"c"], "public": [b"", b"bb", b""]})]
PIECE = Piece("x.json", "ada", "inside", ROWS, MANY, 2, last=True)


def sealed_rows(count: int, counted: int) -> SealedRows:
    keys = [bytes([number]) * 16 for number in range(count)]
    parts = {"protected": (keys, keys[::-1]), "public": ([b""] * count, [b""] * count)}
    return SealedRows("posts", "posts", counted, keys, parts, [("posts.Title", b"k", b"t")])


@pytest.mark.parametrize(("count", "counted", "at"), [(5, 5, 2), (5, 1, 2), (5, 0, 4), (2, 2, 1)])
def test_split_rows_are_the_same_rows_one_after_the_other(count: int, counted: int, at: int) -> None:
    whole = sealed_rows(count, counted)

    first, rest = whole.split(at)

    assert len(first.keys) == at
    assert first.keys + rest.keys == whole.keys
    assert first.count + rest.count == counted
    assert first.searched + rest.searched == whole.searched
    for name, (sealed, digests) in whole.parts.items():
        assert first.parts[name][0] + rest.parts[name][0] == sealed
        assert first.parts[name][1] + rest.parts[name][1] == digests


def test_sealed_piece_is_opened_to_what_it_was_and_weighs_the_same() -> None:
    keys = [("protected", 1, b"wrapped", b"commitment")]
    sealed = PIECE.with_sealed(subject_ref=b"s" * 16, keys=keys, rows=[sealed_rows(3, 3)])

    (sent,) = parse_messages(render_messages([sealed]))

    assert isinstance(sent, Piece)
    assert (sent.rows, sent.many) == ([], [])
    assert sent.opened() == PIECE
    assert sent.weigh() == PIECE.weigh()
    assert sent.sealed is not None
    assert sent.sealed.rows == [sealed_rows(3, 3)]


def test_weight_counts_records_of_the_export_and_every_part_that_may_be_stored() -> None:
    weight = PIECE.weigh()

    assert weight.records == 4  # the evidence is none of the export's
    assert weight.parts == 9
    assert weight.size_bytes == 2 + 3 + 2 + 2 + 2
    assert weight.datasets == sorted([JURISDICTION_DATASET, "profile", "posts"])
