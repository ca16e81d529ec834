"""The newest checkpoint that was seen, in a file away from the tree: beside the keys.

The tree directory is what is shown, and is often served by, or mounted from, somewhere else. Whoever puts an older
database back may take its checkpoint away with it; the copy here still says how far the ledger had come.

Rules of this file:
1. The copy is the signed note itself, and only one of this log's, of a larger tree, ever replaces it.
2. It is replaced by a rename and not synced: a process that is killed loses nothing, a machine that loses power may
   keep one of up to half a minute earlier.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from ringfence.core.errors import IntegrityError, ProofInvalidError, UnavailableError
from ringfence.core.ledger.checkpoint import Checkpoint, open_checkpoint
from ringfence.core.ledger.signed_note import VerifierKey

SHOWN: Final = "shown-checkpoint"


class ShownCheckpoint:
    """The copy in one file.

    Args:
        path: the file; made with the first checkpoint that is kept.
        log_key: the log's pinned key.
    """

    def __init__(self, path: Path, *, log_key: VerifierKey) -> None:
        self._path = path
        self._log_key = log_key
        self._last = b""

    def read(self) -> Checkpoint | None:
        """Give the checkpoint that is kept, or None when none ever was.

        Raises:
            IntegrityError: the file holds something else.
            UnavailableError: it cannot be read.
        """
        try:
            note = self._path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise UnavailableError(f"{self._path} cannot be read: {error.strerror}") from error
        try:
            return open_checkpoint(note, log_key=self._log_key, strict=False, place=SHOWN).checkpoint
        except ProofInvalidError as error:
            raise IntegrityError(
                f"the copy of the newest checkpoint is not this log's: {error}",
                place=str(self._path),
                hint="find out who changed it; put the checkpoint that you trust in its place",
            ) from None

    def keep(self, note: bytes) -> None:
        """Keep a signed checkpoint if it is of a larger tree than the one that is kept.

        Raises:
            ProofInvalidError: it is not one of this log's.
            IntegrityError, UnavailableError: the file cannot be read, or not written.
        """
        if note == self._last:
            return
        size = open_checkpoint(note, log_key=self._log_key, strict=False).checkpoint.size
        kept = self.read()
        if kept is None or kept.size < size:
            self._replace(note)
        self._last = note

    def _replace(self, note: bytes) -> None:
        beside = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        try:
            descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(note)
            beside.replace(self._path)
        except OSError as error:
            raise UnavailableError(f"{self._path} cannot be written: {error.strerror}") from error
