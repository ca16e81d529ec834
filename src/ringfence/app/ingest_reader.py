"""The reading half of `ingest`: walks sources, reads each export, sends what is to become of it through a pipe.

It runs in a process of its own that is started afresh. What it reads it also seals, as it is to be stored if its user
is new to the vault, until it is told that users are not.
"""

from __future__ import annotations

import functools
import os
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

from ringfence.app.deployment import open_deployment
from ringfence.app.garbage import settle_garbage
from ringfence.core.charter import Charter
from ringfence.core.charter.catalog import SourceMatcher
from ringfence.core.errors import ConfigurationError, InvalidInputError, RingfenceError
from ringfence.legacy.evidence import AddressBook, EvidenceCollector
from ringfence.legacy.limits import ReadLimits
from ringfence.legacy.quick import QUICK_SIZE_BYTES_MAX, read_quickly
from ringfence.legacy.reader import Items, gather_items, read_export
from ringfence.legacy.sources import ExportSource, OpenExport, SkippedSource, walk_sources
from ringfence.services.intake.messages import (
    LEFT,
    REFUSED,
    SKIPPED,
    Advanced,
    Failed,
    Message,
    Piece,
    Sized,
    Told,
    render_messages,
)
from ringfence.services.intake.person import PersonReader
from ringfence.services.intake.sealing import PieceSealer

SEAL: Final = b"seal"
LEAVE_OPEN: Final = b"leave open"
GARBAGE_THRESHOLD: Final = 200_000
"""More values than the chunks on their way are made of."""
SENT_SIZE_BYTES: Final = 256 * 1024
MESSAGE_SIZE_BYTES: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingJob:
    """What is to be read, and by which rules.

    Attributes:
        geography: the path of an MMDB file, or "".
        deployment: the directory of the deployment whose keys seal what is read; "" leaves it open.
    """

    paths: tuple[str, ...]
    charter: Charter
    geography: str
    limits: ReadLimits
    deployment: str = ""


def read_all(connection: Connection) -> None:
    """Receive a `ReadingJob`, do it and send what is read, lists of messages packed; b"" is the end.

    The target of the process.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt reaches both processes: the other one ends this one
    settle_garbage(GARBAGE_THRESHOLD)
    switch = _Switch(connection)
    try:
        job: ReadingJob = connection.recv()
        try:
            _send_all(read_sources(job, is_sealing=switch.read), connection.send_bytes)
        except (BrokenPipeError, ConnectionResetError):
            raise
        except RingfenceError as error:
            failed = Failed(error.message, error.hint, isinstance(error, ConfigurationError))
            connection.send_bytes(render_messages([failed]))
        except Exception as error:
            failed = Failed(f"the exports could not be read: {type(error).__name__}", "run it again", False)
            connection.send_bytes(render_messages([failed]))
        connection.send_bytes(b"")
    except (EOFError, BrokenPipeError, ConnectionResetError):
        os._exit(0)  # nobody is there any more to tell


class _Switch:
    """Whether rows are to be sealed: yes, until the other process says otherwise."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._sealing = True

    def read(self) -> bool:
        """Give what was said last."""
        while self._connection.poll():
            try:
                self._sealing = self._connection.recv_bytes() == SEAL
            except (EOFError, OSError):
                raise BrokenPipeError from None
        return self._sealing


def read_sources(job: ReadingJob, *, is_sealing: Callable[[], bool] = lambda: True) -> Iterator[Message]:
    """Give what becomes of every source below the job's paths.

    Raises:
        ConfigurationError: the geography or the keys cannot be read.
    """
    sealer = None
    if job.deployment:
        custody = open_deployment(Path(job.deployment)).open_custody()
        sealer = PieceSealer(custody, identity_dataset=job.charter.identity.dataset)
    with AddressBook(job.geography) if job.geography else nullcontext() as addresses:
        reader = PersonReader(job.charter, collector=lambda: EvidenceCollector(job.charter.jurisdiction, addresses))
        matcher = SourceMatcher(job.charter)
        yield Sized(sum(found.size_bytes for found in _walk(job) if isinstance(found, ExportSource)))
        for found in _walk(job):
            if isinstance(found, SkippedSource):
                outcome, place = (SKIPPED, "") if found.verdict == LEFT else (REFUSED, found.name)
                yield Told(found.name, outcome, found.reason, place)
                continue
            messages = reader.read(OneExport(found, matcher=matcher, limits=job.limits))
            yield from _sealed(messages, sealer) if sealer and is_sealing() else messages


def _sealed(messages: Iterable[Message], sealer: PieceSealer) -> Iterator[Message]:
    """Seal an export that is one piece."""
    is_begun = False
    for message in messages:
        if isinstance(message, Piece):
            yield sealer.seal(message) if message.last and not is_begun else message
            is_begun = True
        else:
            yield message


class OneExport:
    """One export as `person.Export`: knows how far it is read, and that it stayed the same file."""

    def __init__(self, source: ExportSource, *, matcher: SourceMatcher, limits: ReadLimits) -> None:
        self._source = source
        self._matcher = matcher
        self._limits = limits
        self._stamp: tuple[int, ...] = ()
        self._stream: _CountedStream | None = None

    @property
    def name(self) -> str:
        """What to call it."""
        return self._source.name

    @property
    def size_bytes(self) -> int:
        """Its size as stated by where it lies."""
        return self._source.size_bytes

    def position(self) -> int:
        """How many bytes were read since `read` was called last."""
        return self._stream.position if self._stream else 0

    def read(self) -> Iterator[list[Items]]:
        """Give its records, many at a time.

        Raises:
            InvalidInputError: a fault; or another file lies there than when it was read before.
        """
        stamp = _stamp(self._source)
        if self._stamp and stamp != self._stamp:
            raise InvalidInputError("found another file than a moment ago; expected it to stay", place=self.name)
        self._stamp = stamp
        items = self._read_quickly()
        if items is not None:
            yield items
            return
        with self._source.open() as stream:
            self._stream = _CountedStream(stream)
            one_by_one = read_export(self._stream, name=self.name, matcher=self._matcher, limits=self._limits)
            yield from gather_items(one_by_one, position=self.position)

    def _read_quickly(self) -> list[Items] | None:
        """Give the records of a small export that is plainly in order; None leaves it to the reader."""
        if self._source.size_bytes > QUICK_SIZE_BYTES_MAX:
            return None
        try:
            with self._source.open() as stream:
                self._stream = _CountedStream(stream)
                text = b"".join(iter(functools.partial(self._stream.read, QUICK_SIZE_BYTES_MAX + 1), b""))
        except (InvalidInputError, OSError):  # the reader says what is wrong, and where
            return None
        return read_quickly(text, matcher=self._matcher, limits=self._limits)


class _CountedStream:
    """Counts the bytes that are read."""

    __slots__ = ("_stream", "position")

    def __init__(self, stream: OpenExport) -> None:
        self._stream = stream
        self.position = 0

    def read(self, size: int, /) -> bytes:
        """Give at most `size` bytes, none only at the end."""
        block = self._stream.read(size)
        self.position += len(block)
        return block


def _walk(job: ReadingJob) -> Iterator[ExportSource | SkippedSource]:
    return walk_sources(job.paths, limits=job.limits)


def _stamp(source: ExportSource) -> tuple[int, ...]:
    try:
        status = os.stat(source.path)
    except OSError:
        return ()  # opening it says what is wrong
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _send_all(messages: Iterator[Message], send: Callable[[bytes], None]) -> None:
    """Send messages many at a time: a transfer costs more than a message."""
    waiting: list[Message] = []
    size = advanced = 0
    for message in messages:
        if isinstance(message, Advanced):
            advanced += message.size_bytes
            size += 1
        else:
            waiting.append(message)
            size += MESSAGE_SIZE_BYTES
        if isinstance(message, Piece):
            size += message.weigh().size_bytes
        if size >= SENT_SIZE_BYTES or len(waiting) >= 1000 or advanced >= 4 * SENT_SIZE_BYTES:
            send(render_messages([*waiting, Advanced(advanced)]))
            waiting, size, advanced = [], 0, 0
    send(render_messages([*waiting, Advanced(advanced)]))
