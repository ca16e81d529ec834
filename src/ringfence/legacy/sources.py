"""Finds exports: in directories, archives and files of lines.

- The order is that of the names' bytes, so that two walks over the same files give the same.
- Everything found is said: an export to read, or what was `left` (not an export) or `refused` (an export that cannot
  be taken as it is), with the reason.
- A symbolic link is followed only to a file inside of the directory that was given; a path that was given itself is
  followed wherever it leads. Only regular files are opened.
- A name is for people: bytes that are no text and characters that would disturb a terminal are escaped in it.
"""

from __future__ import annotations

import errno
import io
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Literal, NamedTuple, Protocol, Self

from ringfence.core.errors import InvalidInputError
from ringfence.legacy.archive import ArchiveMember, MemberStream, list_members
from ringfence.legacy.checked_stream import ByteStream
from ringfence.legacy.limits import DEFAULT_LIMITS, ReadLimits

_SCAN_SIZE_BYTES: Final = 1 << 20


class OpenExport(ByteStream, Protocol):
    """The JSON text of one export, to be closed after reading."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...

    def close(self) -> None:
        """Give the file back."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportSource:
    """One user's export, to be opened by whoever reads it: any number of times, in any process.

    Attributes:
        name: `FILE`, `ARCHIVE!MEMBER` or `FILE:LINE`, safe to print.
        size_bytes: of its JSON text, as stated by where it lies.
    """

    name: str
    size_bytes: int
    path: str
    line_offset: int | None = None
    member: ArchiveMember | None = None

    def open(self) -> OpenExport:
        """Open the JSON text for reading once; close it after.

        Raises:
            InvalidInputError: the file can no longer be read; its place is the name.
        """
        try:
            file = _open_regular(self.path)
            if self.member is not None:
                return MemberStream(file, self.member)
            if self.line_offset is not None:
                return _LineStream(file, offset=self.line_offset, size_bytes=self.size_bytes)
            return file
        except OSError as error:
            raise InvalidInputError(_describe(error), place=self.name) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class SkippedSource:
    """Something that is not read as an export, and why.

    Attributes:
        verdict: `left`: it is no export; `refused`: it is, or should hold, one that is not taken.
    """

    name: str
    verdict: Literal["left", "refused"]
    reason: str


class _Found(NamedTuple):
    """A path and the name to call it; `root` is the resolved directory that links may not leave, "" above it."""

    path: str
    name: str
    root: str


def walk_sources(
    paths: Iterable[str | os.PathLike[str]], *, limits: ReadLimits = DEFAULT_LIMITS
) -> Iterator[ExportSource | SkippedSource]:
    """Give every export below the paths, in the order given and by name inside each, and whatever is not one.

    Args:
        paths: directories, `.json` files (one export each), `.ndjson` files (one a line) and `.zip` archives of
            `.json` members.
    """
    for given in paths:
        path = os.fspath(given)
        pending = [_Found(os.path.realpath(path), printable_name(path), "")]
        while pending:
            found = pending.pop()
            try:
                status = os.lstat(found.path)
                if stat.S_ISDIR(status.st_mode):
                    pending.extend(sorted(_list_directory(found), key=_by_name, reverse=True))
                else:
                    yield from _walk_file(found, status, limits=limits)
            except OSError as error:
                yield SkippedSource(name=found.name, verdict="refused", reason=_describe(error))
            except InvalidInputError as error:
                yield SkippedSource(name=found.name, verdict="refused", reason=error.message)


def printable_name(name: str) -> str:
    """Make a file's name safe to print and still its own: what is no text, or disturbs a terminal, is escaped."""
    name = name.replace("\\", "\\\\")
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in name
    )


def _by_name(found: _Found) -> bytes:
    return os.fsencode(found.path)


def _list_directory(found: _Found) -> Iterator[_Found]:
    root = found.root or found.path
    for name in os.listdir(found.path):
        yield _Found(os.path.join(found.path, name), f"{found.name.rstrip('/')}/{printable_name(name)}", root)


def _walk_file(found: _Found, status: os.stat_result, *, limits: ReadLimits) -> Iterator[ExportSource | SkippedSource]:
    """Give what one file holds, by its extension; whether it can be read is found by who reads it."""
    path = found.path
    if stat.S_ISLNK(status.st_mode):
        path = os.path.realpath(path)
        if os.path.commonpath([path, found.root]) != found.root:
            yield SkippedSource(name=found.name, verdict="left", reason="it is a link out of the directory")
            return
        status = os.stat(path)
        if stat.S_ISDIR(status.st_mode):
            yield SkippedSource(name=found.name, verdict="left", reason="it is a link to a directory")
            return
    extension = os.path.splitext(found.path)[1].lower()
    if not stat.S_ISREG(status.st_mode):
        yield SkippedSource(name=found.name, verdict="left", reason="it is no regular file")
    elif extension not in (".json", ".ndjson", ".zip"):
        yield SkippedSource(name=found.name, verdict="left", reason="its name does not end in .json, .ndjson or .zip")
    elif status.st_size == 0:
        yield SkippedSource(name=found.name, verdict="left", reason="it is empty")
    elif extension == ".zip":
        yield from _walk_archive(path, found.name, limits=limits)
    elif extension == ".ndjson":
        yield from _walk_lines(path, found.name, limits=limits)
    else:
        yield _sized(ExportSource(name=found.name, size_bytes=status.st_size, path=path), limits=limits)


def _walk_archive(path: str, name: str, *, limits: ReadLimits) -> Iterator[ExportSource | SkippedSource]:
    with _open_regular(path) as file:
        for member in list_members(file, limits=limits):
            member_name = f"{name}!{printable_name(member.name)}"
            if member.refusal:
                yield SkippedSource(name=member_name, verdict="refused", reason=member.refusal)
            elif not member.name.lower().endswith(".json") or member.name.startswith("__MACOSX/"):
                yield SkippedSource(name=member_name, verdict="left", reason="its name does not end in .json")
            elif member.size_bytes == 0:
                yield SkippedSource(name=member_name, verdict="left", reason="it is empty")
            else:
                yield ExportSource(name=member_name, size_bytes=member.size_bytes, path=path, member=member)


def _walk_lines(path: str, name: str, *, limits: ReadLimits) -> Iterator[ExportSource | SkippedSource]:
    """Give each line that is not blank."""
    with _open_regular(path) as file:
        number, offset, size, blank = 1, 0, 0, True
        while block := file.read(_SCAN_SIZE_BYTES):
            start = 0
            while (end := block.find(b"\n", start)) >= 0:
                size += end - start
                if not (blank and (start == end or block[start:end].isspace())):
                    yield _line(path, name, number=number, offset=offset, size_bytes=size, limits=limits)
                number, offset, size, blank, start = number + 1, offset + size + 1, 0, True, end + 1
            size += len(block) - start
            blank = blank and (start == len(block) or block[start:].isspace())
        if not blank:
            yield _line(path, name, number=number, offset=offset, size_bytes=size, limits=limits)


def _line(
    path: str, name: str, *, number: int, offset: int, size_bytes: int, limits: ReadLimits
) -> ExportSource | SkippedSource:
    source = ExportSource(name=f"{name}:{number}", size_bytes=size_bytes, path=path, line_offset=offset)
    return _sized(source, limits=limits)


def _sized(source: ExportSource, *, limits: ReadLimits) -> ExportSource | SkippedSource:
    if source.size_bytes <= limits.export_size_bytes_max:
        return source
    reason = f"it is over {limits.export_size_bytes_max} bytes"
    return SkippedSource(name=source.name, verdict="refused", reason=reason)


def _open_regular(path: str) -> io.BufferedReader:
    """Open a regular file for reading; never follow a link, wait for a pipe or wake a device.

    Raises:
        OSError: it cannot be opened, or is no regular file.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # links were resolved by the walk
    file = os.fdopen(os.open(path, flags), "rb")
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "it is no regular file")
    return file


def _describe(error: OSError) -> str:
    return f"it cannot be read: {error.strerror or type(error).__name__}"


class _LineStream(io.RawIOBase):
    """A piece of a file. Closes the file that it is given."""

    def __init__(self, file: io.BufferedReader, *, offset: int, size_bytes: int) -> None:
        super().__init__()
        self._file = file
        self._left = size_bytes
        file.seek(offset)

    def readable(self) -> bool:
        """Yes: it can be read, once, from its start to its end."""
        return True

    def read(self, size: int = -1, /) -> bytes:
        """Give at most `size` bytes, all that is left when it is negative; none only at the end."""
        block = self._file.read(self._left if size < 0 else min(size, self._left))
        self._left -= len(block)
        return block

    def close(self) -> None:
        """Close the file too."""
        self._file.close()
        super().close()
