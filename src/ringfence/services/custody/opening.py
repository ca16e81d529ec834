"""Step 5 of the main path: open what the decision permits, drop what it withholds.

A part's plaintext is `{"record": name, "fields": {...}}`: the store knows a record only by a blinded key, so its name
is kept inside.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from ringfence.core.charter import PROTECTED, RECORD
from ringfence.core.charter.catalog import Kept, class_of_record
from ringfence.core.decisions.view import Decision
from ringfence.core.envelope import PartName, open_part
from ringfence.core.key_custody import KeyCustody
from ringfence.core.ports import RecordRead, StoredParts
from ringfence.core.record import parse_stored_record
from ringfence.services.subjects import KnownSubject


class RecordName(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which record: the app's user id, the dataset, and the record's name within the user's dataset."""

    user: str
    dataset: str
    record: str


class ReadRecord(msgspec.Struct, frozen=True):
    """What was given of a record: the classes that were opened, and their fields as JSON."""

    record: str
    classes: list[str]
    fields: msgspec.Raw | dict[str, msgspec.Raw]

    def values(self) -> dict[str, Any]:
        """Give the fields as Python values."""
        found: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(self.fields))
        return found


_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode


def render_plaintext(record: str, fields: Mapping[str, Any]) -> bytes:
    """Give the plaintext of a part."""
    return _encode({"record": record, "fields": fields})


def decode_name(plaintext: bytes) -> str:
    """Give the record's name from the plaintext of a part.

    Raises:
        IntegrityError: it is not a record.
    """
    return parse_stored_record(plaintext).record


def open_record(
    subject: KnownSubject,
    read: RecordRead,
    parts: StoredParts,
    permitted: Mapping[str, Decision],
    kept: Kept,
    *,
    keys: KeyCustody,
) -> ReadRecord | None:
    """Open the parts of one record; None when none is there.

    Args:
        subject: whose record it is; has a key for every class that is there.
        read: what was asked for.
        parts: those that are there.
        permitted: the decision for each class that was asked for.
        kept: of the dataset: a field that has another class by now is given where that one is permitted.
        keys: unwraps the subject's keys.

    Raises:
        IntegrityError: a part does not open, or does not hold a record.
    """
    record = ""
    classes: list[str] = []
    opened: list[msgspec.Raw] = []
    for data_class in read.classes:
        part = parts.get(data_class)
        if part is None:
            continue
        name = PartName(read.dataset, read.subject_ref, read.record_key, data_class)
        plaintext = open_part(subject.cipher(data_class, keys), name, version=part[0], sealed=part[1])
        stored = parse_stored_record(plaintext)
        record = stored.record
        classes.append(data_class)
        opened.append(stored.fields)
    if not opened:
        return None
    if len(opened) == 1 and not permitted[classes[0]].withheld and not kept.moved:
        return ReadRecord(record, classes, opened[0])
    parts_fields = [_decode_fields(raw) for raw in opened]
    own_class = _class_now(kept, parts_fields) if kept.moved else ""
    fields: dict[str, msgspec.Raw] = {}
    for data_class, found in zip(classes, parts_fields, strict=True):
        for field, value in found.items():
            known = kept.dataset.field_classes.get(field, PROTECTED) if field in kept.moved else data_class
            decision = permitted.get(own_class if known == RECORD else known)
            if decision is not None and field not in decision.withheld:
                fields[field] = value
    if not fields and kept.moved and any(parts_fields):
        return None  # all that is there has another class by now
    return ReadRecord(record, classes, fields)


def _class_now(kept: Kept, parts: Sequence[Mapping[str, msgspec.Raw]]) -> str:
    """Give the class that the fields of a record have which are of its own: protected where nothing opened says it."""
    rule = kept.dataset.record_class
    told = [fields[rule.field] for fields in parts if rule.field in fields] if rule else []
    return class_of_record(kept.dataset, {rule.field: msgspec.json.decode(told[0])} if rule and told else {})
