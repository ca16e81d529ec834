"""Batches for a store's tests: a lane that builds one after the other, and names of rows."""

from __future__ import annotations

import hashlib
from typing import Any

from ringfence.core.envelope import REFERENCE_SIZE_BYTES, PartName, WrappedKey
from ringfence.core.ledger.entry import Access, KeyEpochOpened, render_entry
from ringfence.core.ledger.lane import LaneHead, build_batch
from ringfence.core.ports import (
    KeyRow,
    NewKey,
    NewSubject,
    PartsWrite,
    RecordRead,
    Rows,
    Store,
    Transaction,
    write_part,
)

LANE = 1
START_MS = 1_760_000_000_000
RECORD = b"record-aaaaaaaaa"
OTHER_RECORD = b"record-bbbbbbbbb"
ALICE, BOB, CAROL = b"alice-----------", b"bob-------------", b"carol-----------"


def access_entry(number: int = 0) -> bytes:
    """Give an access entry; another for each number."""
    about = hashlib.sha256(b"%d" % number).digest()
    return render_entry(
        Access(
            verb="read",
            principal=number,
            country="US",
            purpose="serve",
            dataset="profile",
            decided={"protected": "serving"},
            records=1,
            about=about,
        )
    )


def rule_entry(number: int = 0) -> bytes:
    """Give a rule entry."""
    return render_entry(KeyEpochOpened(data_class="protected", key_epoch=number))


class Writer:
    """A lane's head and the batches that follow it.

    Rows of a subject that no batch added before come with the subject, unless `alone`.
    """

    def __init__(self, lane: int = LANE) -> None:
        self.head = LaneHead(lane)
        self.epoch = 0
        self.subjects: set[bytes] = set()

    def build(
        self, *, entries: int = 1, rule: bool = False, alone: bool = False, at_ms: int = 0, **rows: Any
    ) -> Transaction:
        """Give the next batch, each a millisecond after the one before unless `at_ms` is given. Parts may be read too.

        The head stays until `commit` took it.
        """
        if not alone:
            rows["subjects"] = self._with_subjects(**rows)
        rows["reads"] = [read if isinstance(read, RecordRead) else read_of(read) for read in rows.get("reads", ())]
        leaves = [rule_entry()] if rule else [access_entry(number) for number in range(entries)]
        batch = build_batch(self.head, epoch=self.epoch, at_ms=at_ms or START_MS + self.head.n, entries=leaves)
        if rule:
            rows.setdefault("seal", b"seal of lane %d batch %d" % (self.head.lane, batch.head.n))
        code = hashlib.sha256(batch.header).digest()
        return Transaction(batch=batch, code=code, detail=b"sealed openings", rule=rule, **rows)

    async def commit(self, store: Store, *, entries: int = 1, rule: bool = False, **rows: Any) -> Rows:
        """Build the next batch, commit it, and move on."""
        transaction = self.build(entries=entries, rule=rule, **rows)
        result = await store.transact(transaction)
        self.head = transaction.batch.head
        self.epoch += rule
        self.subjects |= {subject.subject_ref for subject in transaction.subjects}
        self.subjects -= {erasure.subject_ref for erasure in transaction.erasures}
        return result

    def _with_subjects(self, **rows: Any) -> list[NewSubject]:
        subjects = [*rows.get("subjects", ())]
        known = self.subjects | {subject.subject_ref for subject in subjects}
        needed = [write.subject_ref for write in rows.get("writes", ())]
        needed += [search.subject_ref for search in rows.get("searches", ()) if search.token]
        for subject_ref in dict.fromkeys(needed):
            if subject_ref not in known and len(subject_ref) == REFERENCE_SIZE_BYTES:
                subjects.append(NewSubject(0, subject_ref, index_of(subject_ref)))
        return subjects


def read_of(name: PartName) -> RecordRead:
    """Ask for one part."""
    return RecordRead(name.dataset, name.subject_ref, name.record_key, [name.data_class])


def parts_of(rows: Rows) -> list[tuple[int, bytes] | None]:
    """Give what was read where each read was of one part."""
    assert all(len(record) <= 1 for record in rows.records)
    return [next(iter(record.values()), None) for record in rows.records]


def index_of(subject_ref: bytes) -> bytes:
    """Give the blind index (16 bytes) that a test's subject is found by."""
    return hashlib.sha256(subject_ref).digest()[:16]


def part_name(
    subject_ref: bytes = ALICE, record_key: bytes = RECORD, dataset: str = "profile", data_class: str = "protected"
) -> PartName:
    """Name a part."""
    return PartName(dataset, subject_ref, record_key, data_class)


def write(name: PartName | None = None, *, version: int = 1, item: int = 0, sealed: bytes | None = None) -> PartsWrite:
    """Give a write of a part, whose sealed bytes say what they are."""
    name = name or part_name()
    made = write_part(name, version=version, sealed=sealed_bytes(name, version) if sealed is None else sealed)
    return made._replace(item=item)


def sealed_bytes(name: PartName, version: int) -> bytes:
    """Give what `write` stores."""
    return b"sealed %r %d" % (name, version)


def key_row(subject_ref: bytes, data_class: str = "protected") -> KeyRow:
    """Give a wrapped key, as the store sees one."""
    digest = hashlib.sha256(subject_ref + data_class.encode()).digest()
    return KeyRow(subject_ref, data_class, 1, WrappedKey(b"wrapped " + digest, digest))


def new_subject(subject_ref: bytes, *, item: int = 0, classes: tuple[str, ...] = ("protected",)) -> dict[str, Any]:
    """Give the rows of a new subject with its keys."""
    return {
        "subjects": [NewSubject(item, subject_ref, index_of(subject_ref))],
        "keys": [NewKey(item, key_row(subject_ref, data_class)) for data_class in classes],
    }
