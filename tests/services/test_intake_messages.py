"""What reading says to storing: nothing is lost when it is picked, sealed, packed, opened again or weighed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence.core.errors import IntegrityError
from ringfence.core.key_custody import KeyCustody
from ringfence.core.ports import IDENTITY_DATASET, JURISDICTION_DATASET, TAKEN_DATASET
from ringfence.keys.software import create_custody, open_custody
from ringfence.services.custody.opening import render_plaintext
from ringfence.services.intake.messages import (
    NO_ROWS,
    ManyRows,
    Piece,
    Row,
    fill_column,
    parse_messages,
    render_messages,
    runs_of,
    spread,
)
from ringfence.services.intake.sealing import PieceSealer, open_piece


def text(name: str, value: Any = 1) -> bytes:
    return render_plaintext(name, {"a": value})


ROWS = [
    Row(JURISDICTION_DATASET, "self", b"m" * 16, "", [("protected", text("self"))], []),
    Row(
        "profile",
        "self",
        b"n" * 16,
        "",
        [("protected", text("self", 2)), ("public", text("self", 3))],
        [("profile.userName", "ada"), ("profile.phone", "")],
    ),
]
MANY = ManyRows(
    [("posts", 2), ("likes", 1)],
    ["1", "2", "3"],
    {"protected": [text("1"), b"", text("3")], "public": [b"", text("2"), text("3")]},
)
PIECE = Piece("x.json", "ada", "inside", ROWS, MANY, 2, last=True)


@pytest.fixture
def keys(tmp_path: Path) -> KeyCustody:
    return make_keys(tmp_path)


def make_keys(directory: Path) -> KeyCustody:
    create_custody(directory, jurisdiction="US", classes=["protected", "public"])
    return open_custody(directory)


def seal(keys: KeyCustody, piece: Piece = PIECE) -> Piece:
    """Seal a piece and send it through a pipe."""
    sealed = PieceSealer(keys, identity_dataset="profile").seal(piece)
    (sent,) = parse_messages(render_messages([sealed]))
    assert isinstance(sent, Piece)
    assert sent.sealed is not None
    return sent


def test_sealed_piece_is_opened_to_what_it_was_and_weighs_the_same(keys: KeyCustody) -> None:
    sent = seal(keys)

    assert (sent.rows, sent.many) == (ROWS, NO_ROWS)
    assert open_piece(sent, keys) == PIECE
    assert sent.weigh() == PIECE.weigh()
    assert open_piece(PIECE, keys) is PIECE


def test_piece_without_simple_rows_is_opened_to_what_it_was(keys: KeyCustody) -> None:
    piece = msgspec.structs.replace(PIECE, many=NO_ROWS)

    assert open_piece(seal(keys, piece), keys) == piece


def test_sealed_piece_opens_with_the_keys_that_sealed_it_alone(keys: KeyCustody, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    with pytest.raises(IntegrityError):
        open_piece(seal(keys), make_keys(other))


def test_every_record_is_sealed_once_with_what_marks_it_and_the_id(keys: KeyCustody) -> None:
    sent = seal(keys)
    assert sent.sealed is not None
    rows = sent.sealed.rows

    assert [(run.dataset, run.length, run.entry_dataset, run.counted) for run in rows.runs] == [
        (JURISDICTION_DATASET, 1, "profile", True),
        (TAKEN_DATASET, 1, "profile", False),
        ("profile", 1, "profile", True),
        (TAKEN_DATASET, 1, "profile", False),
        ("posts", 2, "posts", True),
        ("likes", 1, "likes", True),
        (IDENTITY_DATASET, 1, "profile", False),
    ]
    there = {name: [bool(part) for part in sealed] for name, (sealed, _) in rows.parts.items()}
    assert there == {
        "protected": [True] * 5 + [False, True, True],
        "public": [False, False, True, False, False, True, True, False],
    }
    assert [[bool(digest) for digest in digests] for _, digests in rows.parts.values()] == [*there.values()]
    assert len(rows.keys) == len({*rows.keys}) == 8
    assert rows.keys[-1] == sent.sealed.subject_ref
    (searched,) = rows.searched  # an empty text is not searched for
    assert searched[:2] == ("profile.userName", rows.keys[2])


def test_weight_counts_records_of_the_export_and_every_part_that_may_be_stored() -> None:
    weight = PIECE.weigh()

    assert weight.records == 4  # the evidence is none of the export's
    assert weight.parts == 7
    assert weight.size_bytes == sum(len(part) for row in ROWS for _, part in row.parts) + sum(
        len(part) for texts in MANY.parts.values() for part in texts
    )
    assert weight.datasets == sorted([JURISDICTION_DATASET, "profile", "posts", "likes"])


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=12))
def test_picked_rows_are_the_chosen_ones_in_order(chosen: list[tuple[str, bool]]) -> None:
    datasets = [dataset for dataset, _ in chosen]
    names = [str(place) for place in range(len(chosen))]
    rows = ManyRows(runs_of(datasets), names, {"public": [name.encode() for name in names]})

    picked = rows.pick([is_chosen for _, is_chosen in chosen])

    assert spread(rows.runs) == datasets
    assert picked.records == [name for name, (_, is_chosen) in zip(names, chosen, strict=True) if is_chosen]
    assert picked.datasets() == [dataset for dataset, is_chosen in chosen if is_chosen]
    assert picked.parts == ({"public": [name.encode() for name in picked.records]} if picked.records else {})


@pytest.mark.parametrize(("chosen", "classes"), [([True, False], ["public"]), ([True, True], ["public", "friends"])])
def test_picked_rows_have_the_classes_of_the_chosen_ones_alone(chosen: list[bool], classes: list[str]) -> None:
    rows = ManyRows([("posts", 2)], ["one", "two"], {"public": [b"1", b"2"], "friends": [b"", b"2"]})

    assert [*rows.pick(chosen).parts] == classes


def test_column_is_filled_up_where_it_says_nothing() -> None:
    columns: dict[str, list[bytes]] = {"public": [b"a"]}

    assert fill_column(columns, "public", 3) == [b"a", b"", b""]
    assert fill_column(columns, "public", 2) == [b"a", b"", b""]
    assert fill_column(columns, "protected", 1) == [b""]
    assert columns == {"public": [b"a", b"", b""], "protected": [b""]}
