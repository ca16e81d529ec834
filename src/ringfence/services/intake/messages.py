"""What reading says to storing: the reader may run in another process, so these are values that pack into bytes.

An export that is taken comes as one `Piece` or several, the first with the evidence, the last marked so. Everything
else that was found is `Told` once.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import msgspec

from ringfence.core.ports import JURISDICTION_DATASET

TAKEN: Final = "taken"
PRESENT: Final = "present"
LEFT: Final = "left"
ERASED: Final = "erased"
"""Why an export is left although its user is protected: the user was erased."""
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


class SealedRows(msgspec.Struct, frozen=True, array_like=True):
    """First versions of records of one user, sealed.

    Attributes:
        dataset: where they are stored.
        entry_dataset: the dataset whose entry names them: the same, but for what this program keeps for itself.
        count: how many of them are records of the export, or the evidence.
        keys: their blinded names.
        parts: for each data class the sealed parts and their SHA-256, one a record; b"" where a record has none.
        searched: (label, blinded name, token) of each searchable value.
    """

    dataset: str
    entry_dataset: str
    count: int
    keys: list[bytes]
    parts: dict[str, tuple[list[bytes], list[bytes]]]
    searched: list[tuple[str, bytes, bytes]] = []

    def split(self, at: int) -> tuple[SealedRows, SealedRows]:
        """Give the first `at` records, with all that is searched, and the others."""
        first, rest = slice(at), slice(at, None)
        return (
            SealedRows(
                self.dataset,
                self.entry_dataset,
                min(self.count, at),
                self.keys[first],
                {name: (sealed[first], digests[first]) for name, (sealed, digests) in self.parts.items()},
                self.searched,
            ),
            SealedRows(
                self.dataset,
                self.entry_dataset,
                max(self.count - at, 0),
                self.keys[rest],
                {name: (sealed[rest], digests[rest]) for name, (sealed, digests) in self.parts.items()},
            ),
        )


class Weight(msgspec.Struct, frozen=True, array_like=True):
    """How much a piece holds.

    Attributes:
        records: records of the export; the evidence is none.
        parts: parts that may have to be stored.
        size_bytes: of their plaintexts.
        datasets: that they go to.
    """

    records: int
    parts: int
    size_bytes: int
    datasets: list[str]


class SealedUser(msgspec.Struct, frozen=True, array_like=True):
    """An export that is one piece, sealed as it is to be stored if the user is new to the vault.

    Attributes:
        subject_ref: the user's reference, 16 random bytes.
        keys: (class, key epoch, wrapped key, commitment) of every data key.
        rows: all records, what marks them as taken, and the user's id.
        weight: of the piece.
        open: the piece before it was sealed, packed: it is looked into only when the user turns out to be known.
    """

    subject_ref: bytes
    keys: list[tuple[str, int, bytes, bytes]]
    rows: list[SealedRows]
    weight: Weight
    open: bytes


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
        sealed: the rows sealed already; then `rows` and `many` are empty. None when they are not.
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
    sealed: SealedUser | None = None

    def weigh(self) -> Weight:
        """Give how much it holds; what is repeated weighs nothing."""
        if self.sealed is not None:
            return self.sealed.weight
        records = sum(1 for row in self.rows if row.dataset != JURISDICTION_DATASET)
        parts = sum(len(row.parts) for row in self.rows)
        size_bytes = sum(len(plaintext) for row in self.rows for _, plaintext in row.parts)
        datasets = {row.dataset for row in self.rows}
        for rows in self.many:
            records += len(rows.records)
            datasets.add(rows.dataset)
            for plaintexts in rows.parts.values():
                parts += len(plaintexts)
                size_bytes += sum(map(len, plaintexts))
        return Weight(records, parts, size_bytes, sorted(datasets))

    def opened(self) -> Piece:
        """Give the piece as it was before it was sealed."""
        return self if self.sealed is None else _parse_piece(self.sealed.open)

    def with_sealed(
        self, *, subject_ref: bytes, keys: list[tuple[str, int, bytes, bytes]], rows: list[SealedRows]
    ) -> Piece:
        """Give the piece with its rows sealed."""
        sealed = SealedUser(subject_ref, keys, rows, self.weigh(), _render_piece(self))
        return msgspec.structs.replace(self, rows=[], many=[], sealed=sealed)


class Interrupted(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """An export became unreadable after some pieces of it were sent: it was changed while it was read."""

    name: str
    reason: str
    place: str


class Failed(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Reading cannot go on at all; `is_setting` when a file that the deployment names is at fault."""

    message: str
    hint: str
    is_setting: bool


Message: TypeAlias = Sized | Advanced | Told | Piece | Interrupted | Failed

_render_piece = msgspec.msgpack.Encoder().encode
_parse_piece = msgspec.msgpack.Decoder(Piece).decode
render_messages = msgspec.msgpack.Encoder().encode
parse_messages = msgspec.msgpack.Decoder(list[Message]).decode
