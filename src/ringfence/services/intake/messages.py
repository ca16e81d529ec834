"""What reading says to storing: the reader may run in another process, so these are values that pack into bytes.

An export that is taken comes as one `Piece` or several, the first with the evidence, the last marked so. Everything
else that was found is `Told` once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain, compress, groupby, repeat, starmap
from typing import Final, TypeAlias, TypeVar

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


Value = TypeVar("Value")


class ManyRows(msgspec.Struct, frozen=True, array_like=True):
    """Records of which a user has many, each named by its content, and with nothing to search: in columns.

    Attributes:
        runs: (dataset, how many of the records that follow one another are of it).
        records: their names.
        parts: for each data class one plaintext a record; b"" where the record has no such part.
    """

    runs: list[tuple[str, int]]
    records: list[str]
    parts: dict[str, list[bytes]]

    def datasets(self) -> list[str]:
        """Give the dataset of each record."""
        return spread(self.runs)

    def pick(self, chosen: Sequence[bool]) -> ManyRows:
        """Give the chosen ones, and no class that none of them has; `chosen` says of each record whether it is."""
        columns = {name: [*compress(texts, chosen)] for name, texts in self.parts.items()}
        return ManyRows(
            runs_of(compress(self.datasets(), chosen)),
            [*compress(self.records, chosen)],
            {name: texts for name, texts in columns.items() if any(texts)},
        )


def runs_of(datasets: Iterable[str]) -> list[tuple[str, int]]:
    """Give (dataset, how many follow one another) of each record's dataset."""
    return [(dataset, len([*same])) for dataset, same in groupby(datasets)]


def spread(runs: Iterable[tuple[Value, int]]) -> list[Value]:
    """Give each value as often as it is said: the inverse of `runs_of`."""
    return [*chain.from_iterable(starmap(repeat, runs))]


def fill_column(columns: dict[str, list[bytes]], data_class: str, length: int) -> list[bytes]:
    """Give the column of a class, with b"" for as many of the first `length` records as it says nothing of."""
    column = columns.setdefault(data_class, [])
    column += repeat(b"", length - len(column))
    return column


class SealedRun(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Some sealed records that follow one another.

    Attributes:
        dataset: where they are stored.
        length: how many they are.
        entry_dataset: the dataset whose entry names them: the same, but for what this program keeps for itself.
        counted: whether they are records of the export, or the evidence.
    """

    dataset: str
    length: int
    entry_dataset: str
    counted: bool


class SealedRows(msgspec.Struct, frozen=True, array_like=True):
    """First versions of records of one user, sealed: in columns.

    Attributes:
        runs: where the records belong, in order.
        keys: their blinded names.
        parts: for each data class the sealed parts and their SHA-256, one a record; b"" where a record has none.
        searched: (label, blinded name, token) of each searchable value.
    """

    runs: list[SealedRun]
    keys: list[bytes]
    parts: dict[str, tuple[list[bytes], list[bytes]]]
    searched: list[tuple[str, bytes, bytes]]

    def datasets(self) -> list[str]:
        """Give the dataset of each record."""
        return spread((run.dataset, run.length) for run in self.runs)


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


NO_ROWS: Final = ManyRows([], [], {})


class SealedUser(msgspec.Struct, frozen=True, array_like=True):
    """An export that is one piece, sealed as it is to be stored if the user is new to the vault.

    Attributes:
        subject_ref: the user's reference, 16 random bytes.
        keys: (class, key epoch, wrapped key, commitment) of every data key.
        rows: all records, what marks them as taken, and the user's id.
        weight: of the piece.
    """

    subject_ref: bytes
    keys: list[tuple[str, int, bytes, bytes]]
    rows: SealedRows
    weight: Weight


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
        many: rows of a simpler kind.
        sealed: everything, sealed already; then `many` is empty, and `rows` is still there. None when it is not.
        repeated: records that are in the export a second time and need no row of their own.
        last: whether the export ends here.
    """

    name: str
    user: str
    reason: str
    rows: list[Row]
    many: ManyRows
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
        records += len(self.many.records)
        datasets.update(dataset for dataset, _ in self.many.runs)
        for plaintexts in self.many.parts.values():
            parts += len(plaintexts) - plaintexts.count(b"")
            size_bytes += sum(map(len, plaintexts))
        return Weight(records, parts, size_bytes, sorted(datasets))

    def with_sealed(self, *, subject_ref: bytes, keys: list[tuple[str, int, bytes, bytes]], rows: SealedRows) -> Piece:
        """Give the piece with everything sealed."""
        sealed = SealedUser(subject_ref, keys, rows, self.weigh())
        return msgspec.structs.replace(self, many=NO_ROWS, sealed=sealed)


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

render_messages = msgspec.msgpack.Encoder().encode
parse_messages = msgspec.msgpack.Decoder(list[Message]).decode
