"""The entries that one request left in a batch, held against one another.

Rules of this file:
1. A request for one dataset leaves one entry, or one for each clause that permits some of its classes. They follow one
   another directly, share no class, and together leave out none that was asked for: for a read or an export every class
   that a record of the dataset can have, for a write the classes of the parts that it wrote.
2. A downgrade follows the entries of the write that it belongs to, and is about records of that write alone.
3. Where a record's own field decides its class, a write that gives a stored record a class outside of `protected` that
   it did not have is followed by a downgrade that is about this record. A write names every part that was stored of a
   record, with its next version, or its last one negated when it is gone: so it says itself what was stored before.
4. What needs an opening that is not there is passed over; the opening itself is counted as withheld.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Final

import msgspec

from ringfence.core.charter import PROTECTED, RECORD, Charter, Dataset
from ringfence.core.decisions.ruling import asked_by, is_given
from ringfence.core.errors import ProofInvalidError
from ringfence.core.ledger.entry import About, Access
from ringfence.verify.bundle import place_of_leaf
from ringfence.verify.verdict import Findings

_NO_CLASSES: Final[frozenset[str]] = frozenset()


@dataclass(slots=True)
class _Request:
    """A request whose entries are being read. `missing` are the classes that no entry of it has decided on yet."""

    first_leaf: int
    entry: Access
    missing: AbstractSet[str]
    about: About | None
    is_given: bool
    lowered: dict[bytes, str]
    lowered_unknown: bool = False
    decided: dict[str, str] = field(default_factory=dict)


class Requests:
    """Follows the requests of one batch after another."""

    __slots__ = ("_charter", "_findings", "_request")

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._charter: Charter | None = None
        self._request: _Request | None = None

    def begin(self, charter: Charter | None) -> None:
        """Begin a batch, decided under this charter."""
        self._charter = charter
        self._request = None

    def take_access(self, entry: Access, about: About | None, *, leaf: int, needed: AbstractSet[str] | None) -> None:
        """Take the next access (rule 1).

        Args:
            entry: the access.
            about: what it is about; None when that is withheld.
            leaf: its leaf.
            needed: the classes that the charter wants to be decided on; None where the parts written tell.
        """
        request = self._request
        if request is not None and _goes_on(request, entry, about):
            request.missing = request.missing - entry.decided.keys()
            request.decided |= entry.decided
            return
        self.close()
        if needed is None:
            tells = about is not None and entry.verb == "write" and is_given(entry)
            needed = {part.data_class for part in about.written} if about and tells else entry.decided.keys()
        lowered = _lowered(self._charter, entry, about) if about and about.written else {}
        decided = dict(entry.decided)
        missing = needed - decided.keys()
        self._request = _Request(leaf, entry, missing, about, is_given(entry), lowered, decided=decided)
        if not decided.keys() <= needed:
            self._findings.refute(
                place_of_leaf(leaf),
                "an access is decided on a class that it did not ask for",
                expected=", ".join(sorted(needed)),
                found=", ".join(sorted(decided)),
                leaf=leaf,
            )

    def write_before(self) -> Access | None:
        """Give the access that a downgrade follows, with what all of its entries decided; None when there is none."""
        request = self._request
        if request is None:
            return None
        if len(request.decided) == len(request.entry.decided):
            return request.entry
        return msgspec.structs.replace(request.entry, decided=dict(sorted(request.decided.items())))

    def take_downgrade(self, about: About | None) -> None:
        """Take a downgrade (rule 2).

        Raises:
            ProofInvalidError: it is about a record that the write before it does not name.
        """
        request = self._request
        if request is None:
            return
        if about is None:
            request.lowered_unknown = True
            return
        if request.about is not None and not set(about.records) <= set(request.about.records):
            raise ProofInvalidError("a downgrade is about a record that its write does not name")
        for key in about.records:
            request.lowered.pop(key, None)

    def close(self) -> None:
        """End the request that is open: nothing may be missing of it (rules 1 and 3)."""
        request, self._request = self._request, None
        if request is None:
            return
        place, leaf = place_of_leaf(request.first_leaf), request.first_leaf
        if request.missing:
            self._findings.refute(
                place,
                "an access leaves out a class that it asked for or touched",
                expected=f"a decision on {', '.join(sorted(request.missing))} too",
                found=", ".join(sorted(request.decided)) or "no class",
                leaf=leaf,
            )
        if request.lowered and not request.lowered_unknown:
            key, data_class = next(iter(request.lowered.items()))
            self._findings.refute(
                place,
                "a stored record became less protected without a downgrade of its own",
                expected=f"a downgrade about record {key.hex()}",
                found=f"a new part of class {data_class}",
                leaf=leaf,
            )


def _goes_on(request: _Request, entry: Access, about: About | None) -> bool:
    """Tell whether an entry is the next one of a request that is open (rule 1)."""
    classes = entry.decided.keys()
    one, other = request.entry, entry
    if asked_by(one) != asked_by(other):
        return False
    if about is None and entry.verb == "write":  # without its opening nothing tells what is missing
        return classes.isdisjoint(request.decided)
    return bool(request.missing) and request.missing >= classes


def _lowered(charter: Charter | None, entry: Access, about: About) -> dict[bytes, str]:
    """Give the records that a write gave a less protected class of their own, with that class (rule 3)."""
    dataset = charter.datasets.get(entry.dataset) if charter else None
    own_classes = _own_classes(dataset) if dataset else _NO_CLASSES
    if not own_classes or not is_given(entry):
        return {}
    stored = {part.record_key for part in about.written if not part.dataset and part.version != 1}
    return {
        part.record_key: part.data_class
        for part in about.written
        if not part.dataset and part.version == 1 and part.data_class in own_classes and part.record_key in stored
    }


def _own_classes(dataset: Dataset) -> frozenset[str]:
    """Give the classes outside of `protected` that only a record's own field can give to a part of it."""
    if dataset.record_class is None:
        return _NO_CLASSES
    fixed = {item.data_class for item in dataset.fields if item.data_class != RECORD}
    return frozenset(dataset.record_class.values.values()) - fixed - {PROTECTED}
