"""The JSON bodies that the calls take. Unknown members are refused, so that a typing mistake is never ignored."""

from __future__ import annotations

from typing import Any

import msgspec

from ringfence.services.custody.opening import RecordName
from ringfence.services.custody.writing import WriteItem


class Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Common base."""


class ReadMany(Body, frozen=True, forbid_unknown_fields=True):
    """Read several records: at most 200 names."""

    purpose: str
    items: list[RecordName]


class WriteMany(Body, frozen=True, forbid_unknown_fields=True):
    """Store several records, all or none: at most 200. `request_id` makes a retry safe."""

    purpose: str
    items: list[WriteItem]
    request_id: str = ""


class Find(Body, frozen=True, forbid_unknown_fields=True):
    """Look users up by a searchable field."""

    purpose: str
    dataset: str
    field: str
    value: str


Fields = dict[str, Any]
