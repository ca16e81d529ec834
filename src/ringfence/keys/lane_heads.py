"""What a lane sealed last, in a small file beside the lane's key, out of reach of whoever has the database.

Rules of this file:
1. The file always has the same size and is written in place with one call, so that it is never half a head and needs
   no room on a full disk.
2. Only its making is synced. A process that is killed loses nothing of it; a machine that loses power may keep a head
   of up to half a minute earlier (what the kernel had not written back). An older head is still a true one.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from ringfence.core.errors import IntegrityError, UnavailableError
from ringfence.core.ledger.lane import LaneHead
from ringfence.keys.files import write_key_file

SUFFIX: Final = ".head"
_HEAD: Final = re.compile(rb"ringfence lane head v1\n(\d{20})\n(\d{20})\n([0-9a-f]{64})\n")


class LaneHeadFile:
    """The memory of one lane: see `ports.LaneMemory`.

    Args:
        path: the file; made with the first head that is written.
        lane: the lane's number.
    """

    def __init__(self, path: Path, *, lane: int) -> None:
        self._path = path
        self._lane = lane

    def read(self) -> LaneHead | None:
        """Give the head that was written last, or None when there is no file.

        Raises:
            IntegrityError: the file holds something else, or another lane's head.
            UnavailableError: it cannot be read.
        """
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise UnavailableError(f"the lane's head {self._path} cannot be read: {error.strerror}") from error
        found = _HEAD.fullmatch(data)
        if found is None or int(found[1]) != self._lane:
            raise IntegrityError(
                f"the file {self._path.name} does not hold the head of lane {self._lane}",
                place=str(self._path),
                hint="find out who changed it; without it a database that was set back a little is not seen",
            )
        return LaneHead(lane=self._lane, n=int(found[2]), hash=bytes.fromhex(found[3].decode()))

    def write(self, head: LaneHead) -> None:
        """Keep a head: rules 1 and 2.

        Raises:
            UnavailableError: it cannot be written.
            ConfigurationError: the file cannot be made.
        """
        data = b"ringfence lane head v1\n%020d\n%020d\n%s\n" % (head.lane, head.n, head.hash.hex().encode())
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            write_key_file(self._path, data)
            return
        except OSError as error:
            raise UnavailableError(f"the lane's head {self._path} cannot be written: {error.strerror}") from error
        try:
            os.pwrite(descriptor, data, 0)
        except OSError as error:
            raise UnavailableError(f"the lane's head {self._path} cannot be written: {error.strerror}") from error
        finally:
            os.close(descriptor)
