"""What is stored in one transaction: pieces of exports, whole users where they fit.

Every dataset of a chunk takes an entry at least, and a batch of the lane holds only so many: so a chunk names few
datasets, whatever the charter has.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from ringfence.services.intake.messages import Piece, Weight

PARTS_PER_CHUNK_MAX: Final = 5_000
CHUNK_SIZE_BYTES_MAX: Final = 6 * 1024 * 1024
DATASETS_PER_CHUNK_MAX: Final = 100


@dataclass(slots=True)
class Progress:
    """How far one export is stored.

    Attributes:
        records_new, records_changed, records_known: records stored for the first time, stored as a new version, and
            there already; counted when their transaction is committed.
        subject_ref: the user's reference once the user is known to be in the vault; b"" before.
        user_is_new: whether this export brought the user into the vault.
        waiting: pieces that are not committed yet.
        ended: whether the last piece has come.
        erased: whether the user was erased; then nothing more of the export is stored.
        records_left: records that were not stored because of that.
        failure: why the export is refused after all; then what was stored of it stays.
        place: where the failure is.
    """

    name: str
    user: str
    reason: str
    records_new: int = 0
    records_changed: int = 0
    records_known: int = 0
    subject_ref: bytes = b""
    user_is_new: bool = False
    waiting: int = 0
    ended: bool = False
    erased: bool = False
    records_left: int = 0
    failure: str = ""
    place: str = ""


@dataclass(slots=True)
class Chunk:
    """Pieces that are stored together, by user. A user is there with one export only."""

    users: dict[str, Progress] = field(default_factory=dict)
    pieces: dict[str, list[Piece]] = field(default_factory=dict)
    _datasets: set[str] = field(default_factory=set)
    _parts: int = 0
    _size: int = 0

    def has_room(self, weight: Weight) -> bool:
        """Whether it names at most `DATASETS_PER_CHUNK_MAX` datasets with such a piece, or would hold nothing else."""
        return not self.users or len(self._datasets.union(weight.datasets)) <= DATASETS_PER_CHUNK_MAX

    def add(self, piece: Piece, weight: Weight, progress: Progress) -> None:
        """Take one piece, of so much; `progress.waiting` counts it."""
        self.users[piece.user] = progress
        self.pieces.setdefault(piece.user, []).append(piece)
        progress.records_known += piece.repeated
        progress.waiting += 1
        self._parts += weight.parts
        self._size += weight.size_bytes
        self._datasets.update(weight.datasets)

    def drop(self, user: str) -> None:
        """Leave a user out after all."""
        self.users.pop(user, None)
        self.pieces.pop(user, None)

    def is_full(self) -> bool:
        """Whether it is time to store it."""
        return (
            self._parts >= PARTS_PER_CHUNK_MAX
            or self._size >= CHUNK_SIZE_BYTES_MAX
            or len(self._datasets) >= DATASETS_PER_CHUNK_MAX
        )
