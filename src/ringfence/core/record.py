"""What a part holds once it is opened: the record's name and its fields of one class.

The store knows a record only by a blinded key, so its name is kept inside: `{"record": name, "fields": {...}}`.
"""

from __future__ import annotations

import msgspec

from ringfence.core.errors import IntegrityError


class StoredRecord(msgspec.Struct, frozen=True):
    """A part's plaintext: the record's name, and its fields as JSON that is not decoded yet."""

    record: str
    fields: msgspec.Raw


_decode = msgspec.json.Decoder(StoredRecord).decode


def parse_stored_record(plaintext: bytes) -> StoredRecord:
    """Read a part's plaintext.

    Raises:
        IntegrityError: it is not a record.
    """
    try:
        return _decode(plaintext)
    except msgspec.DecodeError:
        raise IntegrityError("a part holds something that this program does not write") from None
