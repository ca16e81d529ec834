"""What a record of an export is called: `self` where a user has one, by its content where a user has many."""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import Any, Final

import msgspec

from ringfence.core.charter import Charter

SELF: Final = "self"
NAME_DIGITS: Final = 32
_encode = msgspec.json.Encoder(order="sorted").encode


class RecordNamer:
    """Names the records of one user. The same content gets the same name in every export that holds it.

    A content that is there several times is told apart by its ordinal, so that no repetition is lost.
    """

    def __init__(self, charter: Charter) -> None:
        self._many = {dataset.name: dataset.records_many for dataset in charter.datasets.values()}
        self._seen: Counter[tuple[str, str]] = Counter()

    def name(self, dataset: str, record: dict[str, Any]) -> str:
        """Give a record's name within its user's dataset."""
        if not self._many[dataset]:
            return SELF
        digest = hashlib.sha256(_encode(record)).hexdigest()[:NAME_DIGITS]
        self._seen[dataset, digest] += 1
        ordinal = self._seen[dataset, digest]
        return digest if ordinal == 1 else f"{digest}-{ordinal}"
