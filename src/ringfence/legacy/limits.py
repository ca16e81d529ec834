"""Every limit of reading an export, in one place.

With the defaults an export of 1 GB passes, and reading it takes the memory of one record, not of the file.
A value over a limit is refused with its name and JSON pointer; it is never cut short.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ringfence.core.errors import ConfigurationError

MEBIBYTE: Final = 1 << 20
GIBIBYTE: Final = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadLimits:
    """What one export, and one archive of exports, may be at most.

    Attributes:
        export_size_bytes_max: size of a `.json` file, of an archive member once inflated, of a line of `.ndjson`.
        record_size_bytes_max: text of one record, or of one value outside of any record; rounded up to a whole block.
        record_containers_max: objects and lists inside one record.
        string_characters_max: length of one string.
        number_characters_max: length of one number.
        depth_max: objects and lists inside each other.
        open_keys_size_max: characters of the keys of all objects around one record, each counted 64 more.
        block_size_bytes: how much is read and parsed at once.
        archive_members_max: members of one archive.
        archive_directory_size_bytes_max: an archive's table of contents.
        archive_size_bytes_max: sum of an archive's members once inflated.
        archive_ratio_max: times that a member, or a whole archive, may grow when inflated.
        archive_ratio_floor_bytes: members smaller than this may grow by any ratio.
    """

    export_size_bytes_max: int = 8 * GIBIBYTE
    record_size_bytes_max: int = 4 * MEBIBYTE
    record_containers_max: int = 100_000
    string_characters_max: int = MEBIBYTE
    number_characters_max: int = 500
    depth_max: int = 64
    open_keys_size_max: int = 32 * MEBIBYTE
    block_size_bytes: int = 64 * 1024
    archive_members_max: int = 100_000
    archive_directory_size_bytes_max: int = 12 * MEBIBYTE
    archive_size_bytes_max: int = 256 * GIBIBYTE
    archive_ratio_max: int = 200
    archive_ratio_floor_bytes: int = MEBIBYTE

    def __post_init__(self) -> None:
        # Half of a long number may hide at each side of the border between two blocks, and Python refuses to parse
        # over 4,300 digits.
        if self.number_characters_max > 1000 or self.block_size_bytes < 4096:
            raise ConfigurationError("a number may have at most 1000 characters, and a block at least 4096 bytes")


DEFAULT_LIMITS: Final = ReadLimits()
