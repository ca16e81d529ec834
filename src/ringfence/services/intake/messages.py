"""What reading says to storing: the reader may run in another process, so these are values that pack into bytes.

An export that is taken comes as one `Piece` or several, the first with the evidence, the last marked so. Everything
else that was found is `Told` once.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import msgspec

TAKEN: Final = "taken"
PRESENT: Final = "present"
LEFT: Final = "left"
SKIPPED: Final = "skipped"
REFUSED: Final = "refused"
OUTCOMES: Final = (TAKEN, PRESENT, LEFT, SKIPPED, REFUSED)
"""What becomes of a source: something of it was stored; all of it was there already; its user is outside of the
jurisdiction; it is no export; it cannot be taken."""


class Row(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One record, ready to be sealed.

    Attributes:
        dataset, record: where it goes, and its name there.
        mark: digest (16 bytes) of the content of a record that a user has one of; b"" where the name tells it.
        own_class: the class of the fields declared `record`; "" where the charter has no such rule.
        parts: (data class, plaintext) of each part.
        searched: (label, normalized text) for each searchable field; "" when the record has no such value.
    """

    dataset: str
    record: str
    mark: bytes
    own_class: str
    parts: list[tuple[str, bytes]]
    searched: list[tuple[str, str]]


class ManyRows(msgspec.Struct, frozen=True, array_like=True):
    """Records of a dataset of which a user has many, each named by its content, and with nothing to search.

    Attributes:
        dataset: where they go.
        records: their names.
        parts: for each data class one plaintext a record; b"" where the record has no such part.
    """

    dataset: str
    records: list[str]
    parts: dict[str, list[bytes]]


class Sized(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """How much there is to read, for the progress bar."""

    size_bytes: int


class Advanced(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """So many more bytes are read."""

    size_bytes: int


class Told(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """What became of a source of which nothing is stored: `LEFT`, `SKIPPED` or `REFUSED`, and why.

    `user` and `records` are given for a user who is outside of the jurisdiction.
    """

    name: str
    outcome: str
    reason: str
    place: str = ""
    user: str = ""
    records: int = 0


class Piece(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Some records of an export that is to be taken.

    Attributes:
        name: the export's.
        user: the app's user id.
        reason: why it is taken: a verdict's reason.
        rows: of the first piece, the first is the evidence.
        many: rows of a simpler kind, by dataset; with the others at most `person.ROWS_PER_PIECE_MAX`.
        repeated: records that are in the export a second time and need no row of their own.
        last: whether the export ends here.
    """

    name: str
    user: str
    reason: str
    rows: list[Row]
    many: list[ManyRows]
    repeated: int
    last: bool


class Interrupted(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """An export became unreadable after some pieces of it were sent: it was changed while it was read."""

    name: str
    reason: str
    place: str


Message: TypeAlias = Sized | Advanced | Told | Piece | Interrupted

render_messages = msgspec.msgpack.Encoder().encode
parse_messages = msgspec.msgpack.Decoder(list[Message]).decode
