"""Reads the members of a ZIP archive as streams: nothing is extracted, no member's name is used as a path.

- The table of contents is read by the standard library, after its size was held against a limit.
- Refused before a byte is inflated: too many members, a sum or a growth over the limits (also where members share
  their bytes), encrypted members, methods other than stored and deflated, archives inside archives, names that are
  absolute or climb with `..`, names that occur twice.
- While a member is read it may not grow beyond its stated size, and its CRC must hold at the end.
- A member is opened by its offset, on a file handle of its own, so that members can be read in any order and by any
  process.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Final

from ringfence.core.errors import InvalidInputError
from ringfence.legacy.limits import ReadLimits

_END_RECORD: Final = struct.Struct("<4s4H2LH")  # magic, disks, entries here, entries, directory size, offset, comment
_END64_RECORD: Final = struct.Struct("<4sQ2H2L4Q")
_END64_LOCATOR: Final = struct.Struct("<4sLQL")
_LOCAL_HEADER: Final = struct.Struct("<4s5H3L2H")
_COMMENT_SIZE_BYTES_MAX: Final = 0xFFFF
_ENCRYPTED_FLAGS: Final = 0x1 | 0x40 | 0x2000
_INPUT_SIZE_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveMember:
    """Where a member is in its archive.

    Attributes:
        name: as the archive states it; for people only.
        refusal: why it is not read; "" when it is.
        header_offset: of the member's local header.
        stored_size_bytes: as it lies in the archive.
        size_bytes: once inflated, as the archive states it.
        crc32: of the inflated bytes.
        deflated: whether it has to be inflated.
    """

    name: str
    refusal: str
    header_offset: int
    stored_size_bytes: int
    size_bytes: int
    crc32: int
    deflated: bool


def list_members(file: IO[bytes], *, limits: ReadLimits) -> Iterator[ArchiveMember]:
    """Give the members of an archive, directories left out, sorted by name.

    Raises:
        InvalidInputError: it is not a ZIP archive, or one as a whole over a limit.
    """
    archive_size = file.seek(0, io.SEEK_END)
    _check_directory(file, archive_size, limits=limits)
    try:
        with zipfile.ZipFile(file) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
    # What `zipfile` raises for an archive that is broken; the third for a version of the format that it cannot read.
    except (zipfile.BadZipFile, ValueError, NotImplementedError, struct.error, EOFError, UnicodeError):
        raise InvalidInputError("found no whole ZIP archive; expected one with its table of contents") from None
    if len(entries) > limits.archive_members_max:
        raise InvalidInputError(f"found over {limits.archive_members_max} members in the archive; expected fewer")
    size_total = sum(entry.file_size for entry in entries)
    if size_total > limits.archive_size_bytes_max:
        raise InvalidInputError(
            f"found {size_total} bytes in the archive once inflated; expected at most {limits.archive_size_bytes_max}"
        )
    if _grows_too_much(size_total, archive_size, limits=limits):
        raise InvalidInputError(
            f"found an archive that grows over {limits.archive_ratio_max} times when inflated; expected less"
        )
    seen: set[str] = set()
    for entry in sorted(entries, key=lambda entry: (entry.filename, entry.header_offset)):
        refusal = _refusal(entry, limits=limits) or ("its name occurs twice" if entry.filename in seen else "")
        seen.add(entry.filename)
        yield ArchiveMember(
            name=entry.filename,
            refusal=refusal,
            header_offset=entry.header_offset,
            stored_size_bytes=entry.compress_size,
            size_bytes=entry.file_size,
            crc32=entry.CRC,
            deflated=entry.compress_type == zipfile.ZIP_DEFLATED,
        )


class MemberStream(io.RawIOBase):
    """The bytes of one member, inflated as they are read, at most as many as the archive states.

    Closes the file that it is given.
    """

    def __init__(self, file: IO[bytes], member: ArchiveMember) -> None:
        super().__init__()
        self._file = file
        self._stored_left = member.stored_size_bytes
        self._size_left = member.size_bytes
        self._crc32 = 0
        self._crc32_expected = member.crc32
        self._inflater = zlib.decompressobj(-zlib.MAX_WBITS) if member.deflated else None
        self._seek_data(member)

    def readable(self) -> bool:
        """Yes: it can be read, once, from its start to its end."""
        return True

    def read(self, size: int = -1, /) -> bytes:
        """Give at most `size` inflated bytes, all that is left when it is negative; none only at the end.

        Raises:
            InvalidInputError: the member is not what the archive states of it.
        """
        if size < 0:
            return b"".join(iter(lambda: self.read(_INPUT_SIZE_BYTES), b""))
        if size == 0:
            return b""
        block = self._read_stored(size) if self._inflater is None else self._read_inflated(size)
        if len(block) > self._size_left:
            raise InvalidInputError("found a member larger than the archive states; expected the stated size")
        self._size_left -= len(block)
        self._crc32 = zlib.crc32(block, self._crc32)
        if not block and (self._size_left or self._stored_left or self._crc32 != self._crc32_expected):
            raise InvalidInputError("found a member other than the archive states; expected its size and CRC to hold")
        return block

    def close(self) -> None:
        """Close the archive's file too."""
        self._file.close()
        super().close()

    def _seek_data(self, member: ArchiveMember) -> None:
        self._file.seek(member.header_offset)
        header = self._file.read(_LOCAL_HEADER.size)
        if len(header) != _LOCAL_HEADER.size or not header.startswith(b"PK\x03\x04"):
            raise InvalidInputError("found no member where the archive states one; expected its header")
        name_size, extra_size = _LOCAL_HEADER.unpack(header)[-2:]
        self._file.seek(name_size + extra_size, io.SEEK_CUR)

    def _read_stored(self, size: int) -> bytes:
        block = self._file.read(min(size, self._stored_left))
        self._stored_left -= len(block)
        return block

    def _read_inflated(self, size: int) -> bytes:
        inflater = self._inflater
        if inflater is None:
            return b""
        try:
            while not inflater.eof:
                pending: bytes = inflater.unconsumed_tail
                if len(pending) == 0:
                    pending = self._read_stored(_INPUT_SIZE_BYTES)
                block = inflater.decompress(pending, size)
                if block or not pending:
                    return block
            return b""
        except zlib.error:
            raise InvalidInputError("found a member that cannot be inflated; expected deflated bytes") from None


def _refusal(entry: zipfile.ZipInfo, *, limits: ReadLimits) -> str:
    """Say why a member is not read; "" when it is."""
    parts = entry.filename.replace("\\", "/").split("/")
    if not parts[0] or ".." in parts or parts[0].endswith(":"):
        return "its name leads out of the archive"
    if entry.filename.lower().endswith(".zip"):
        return "it is an archive inside an archive"
    if entry.flag_bits & _ENCRYPTED_FLAGS:
        return "it is encrypted"
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "its compression method is neither stored nor deflated"
    if entry.file_size > limits.export_size_bytes_max:
        return f"it is over {limits.export_size_bytes_max} bytes"
    if _grows_too_much(entry.file_size, entry.compress_size, limits=limits):
        return f"it grows over {limits.archive_ratio_max} times when inflated"
    return ""


def _grows_too_much(size_bytes: int, stored_size_bytes: int, *, limits: ReadLimits) -> bool:
    return size_bytes > limits.archive_ratio_floor_bytes and size_bytes > stored_size_bytes * limits.archive_ratio_max


def _check_directory(file: IO[bytes], archive_size: int, *, limits: ReadLimits) -> None:
    """Hold the stated size of the table of contents against its limits, before anything reads it."""
    tail_size = min(archive_size, _END_RECORD.size + _COMMENT_SIZE_BYTES_MAX)
    file.seek(archive_size - tail_size)
    tail = file.read(tail_size)
    start = tail.rfind(b"PK\x05\x06")
    if start < 0 or len(tail) - start < _END_RECORD.size:
        raise InvalidInputError("found no ZIP archive; expected one with its table of contents")
    _, _, _, _, members, directory_size, _, _ = _END_RECORD.unpack_from(tail, start)
    sizes = [(members, directory_size)]
    locator_start = archive_size - tail_size + start - _END64_LOCATOR.size
    if locator_start >= 0:
        file.seek(locator_start)
        magic, _, end64_offset, _ = _END64_LOCATOR.unpack(file.read(_END64_LOCATOR.size))
        if magic == b"PK\x06\x07":
            # Some versions of the standard library read the record before its locator, others where that points.
            for record_start in (max(locator_start - _END64_RECORD.size, 0), min(end64_offset, archive_size)):
                file.seek(record_start)
                record = file.read(_END64_RECORD.size)
                if len(record) == _END64_RECORD.size and record.startswith(b"PK\x06\x06"):
                    sizes.append(_END64_RECORD.unpack(record)[7:9])
    members, directory_size = map(max, zip(*sizes, strict=True))
    if members > limits.archive_members_max or directory_size > limits.archive_directory_size_bytes_max:
        raise InvalidInputError(
            f"found an archive of over {limits.archive_members_max} members or a table of contents of over "
            f"{limits.archive_directory_size_bytes_max} bytes; expected fewer"
        )
