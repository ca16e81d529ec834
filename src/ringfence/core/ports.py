"""What the services need of a store. One contract suite, run on every device; `key_custody` is the port of the keys.

What a store must guarantee:
1. `transact` is one database transaction: everything of it is durable before it returns, or nothing of it is.
   It returns rows only after the commit succeeded.
2. A transaction holds the rule lock shared (a rule: exclusive) while it checks, in a later statement, that
   `batch.epoch` is the store's epoch. So every batch of epoch e commits before rule e+1, and none after.
3. A lane's batches have no gaps: batch n is taken only when the lane stands at n-1 with the hash that it names.
4. A failure whose outcome is not known raises `CommitUnknownError`; `find_batch` then tells.
5. `commit_tree` is a compare-and-swap on (size, root, term).
6. Under the rule lock a rule is refused whose time is more than `TIME_OFF_MS_MAX` before what any lane committed. So is
   a batch of a time that far ahead of the store's own clock, unless some lane stands at that time or later already.
Row ids do not order commits; nothing here follows `id > last`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import NamedTuple, Protocol, TypeAlias

from ringfence.core.envelope import PartName, WrappedKey
from ringfence.core.errors import DeviceError
from ringfence.core.ledger.entry import Count
from ringfence.core.ledger.lane import BuiltBatch, LaneHead

IDENTITY_DATASET = "@identity"
JURISDICTION_DATASET = "@jurisdiction"
"""Why a user is protected: the verdict and its evidence, one sealed record named `self`."""
TAKEN_DATASET = "@taken"
"""One empty sealed record for each content of a `self` record that was ever taken in from an export, found by its
blinded name alone: so an export that was taken before changes nothing, whatever came after it."""


class EpochMovedError(DeviceError):
    """The rules changed since the batch was decided on: fold, decide again. Nothing was written."""

    def __init__(self, epoch: int) -> None:
        super().__init__(f"the rules are now at epoch {epoch}")
        self.epoch = epoch


class TimePassedError(DeviceError):
    """Another lane committed something of a later time than this rule's: decide again. Nothing was written."""

    def __init__(self, newest_ms: int) -> None:
        super().__init__(f"a lane has written at {newest_ms} ms, after the time of this rule")
        self.newest_ms = newest_ms


class LaneMovedError(DeviceError):
    """The lane does not stand where the batch says. Nothing was written."""


class CommitUnknownError(DeviceError):
    """The connection broke while committing: whether the batch is there must be asked by (lane, n)."""


class ItemConflictError(DeviceError):
    """Some items of the batch cannot be taken as they are. Nothing was written.

    Attributes:
        items: indexes of the items at fault, as given in their rows' `item`.
        reason: `version` (the stored version differs), `subject` (another first write won, or it is gone), `request`
            (the request key is already there), `count` (the counter moved), `data` (the database refuses the row),
            `charter` (a newer one says something else of the fields). With no items the device cannot tell which: split
            the batch.
    """

    def __init__(self, items: Sequence[int], *, reason: str) -> None:
        super().__init__(f"items {list(items)} of a batch conflict: {reason}")
        self.items = tuple(items)
        self.reason = reason


class RecordRead(NamedTuple):
    """The parts of one record that are of these classes."""

    dataset: str
    subject_ref: bytes
    record_key: bytes
    classes: Sequence[str]


StoredParts: TypeAlias = Mapping[str, tuple[int, bytes]]
"""The (version, sealed) of each part of one record that is there, by class."""


class ListRead(NamedTuple):
    """All records of one subject in one dataset and class, by record key, after `after`, at most `records_max`."""

    dataset: str
    subject_ref: bytes
    data_class: str
    after: bytes
    records_max: int


class Find(NamedTuple):
    """Subjects whose searchable `field` ("dataset.field") has this blind-index token, at most `subjects_max`."""

    field: str
    token: bytes
    subjects_max: int


class StoredPart(NamedTuple):
    """One row: a sealed part and its version."""

    name: PartName
    version: int
    sealed: bytes


class KeyRow(NamedTuple):
    """One subject's wrapped data key for one class."""

    subject_ref: bytes
    data_class: str
    key_epoch: int
    key: WrappedKey


class Subject(NamedTuple):
    """A subject of the vault with its keys, and its sealed user id where it has one; scans leave that out."""

    subject_ref: bytes
    user_index: bytes
    keys: tuple[KeyRow, ...]
    identity: StoredPart | None = None


class StoredSearch(NamedTuple):
    """The blind-index token (16 bytes) of one record under one searchable field ("dataset.field")."""

    subject_ref: bytes
    field: str
    record_key: bytes
    token: bytes


class NewSubject(NamedTuple):
    """A subject to add; conflicts (`subject`) when its `user_index` is there already."""

    item: int
    subject_ref: bytes
    user_index: bytes


class NewKey(NamedTuple):
    """A key to add; conflicts (`subject`) when the subject has one for the class, or the subject is not there."""

    item: int
    row: KeyRow


class SubjectErasure(NamedTuple):
    """A subject whose every row goes; conflicts (`subject`) when it is not there. Its user index is kept as erased."""

    item: int
    subject_ref: bytes


class PartsWrite(NamedTuple):
    """Parts of one subject and class to store as `version`: those of many records, in columns.

    Conflicts (`version`) unless `version - 1` of each is stored (1: nothing is), and (`subject`) when its subject is
    not there.

    Attributes:
        datasets, record_keys, sealed: where the parts belong, what they are called and what they hold; as many of each.
    """

    item: int
    subject_ref: bytes
    data_class: str
    version: int
    datasets: Sequence[str]
    record_keys: Sequence[bytes]
    sealed: Sequence[bytes]

    def check(self) -> None:
        """Check that the columns are of one length.

        Raises:
            ValueError: they are not.
        """
        _, _, _, _, datasets, keys, sealed = self
        if not len(datasets) == len(keys) == len(sealed):
            raise ValueError(f"{len(datasets)} datasets and {len(keys)} names for {len(sealed)} parts")

    def rows(self) -> Iterator[tuple[str, bytes, bytes, str, int, bytes]]:
        """Give each part as (dataset, subject_ref, record_key, data_class, version, sealed)."""
        _, subject_ref, data_class, version, datasets, keys, sealed = self
        return zip(datasets, repeat(subject_ref), keys, repeat(data_class), repeat(version), sealed, strict=False)


def write_part(name: PartName, *, version: int, sealed: bytes) -> PartsWrite:
    """Give the write of a single part, for item 0."""
    dataset, subject_ref, record_key, data_class = name
    return PartsWrite(0, subject_ref, data_class, version, (dataset,), (record_key,), (sealed,))


class PartDrop(NamedTuple):
    """A part to delete; conflicts (`version`) unless `version` is stored."""

    item: int
    name: PartName
    version: int


class SearchWrite(NamedTuple):
    """The tokens of one record under one searchable field: replaces what was there; None removes it.

    A token conflicts (`subject`) when its subject is not there.
    """

    item: int
    field: str
    subject_ref: bytes
    record_key: bytes
    token: bytes | None


class CountWrite(NamedTuple):
    """A counter's step; conflicts (`count`) unless the stored ordinal is `step.ordinal - 1`."""

    item: int
    step: Count


class RequestMark(NamedTuple):
    """A request key (32 bytes) with the digest of its content; conflicts (`request`) when the key is there."""

    item: int
    key: bytes
    digest: bytes
    lane: int
    n: int
    position: int
    answer: bytes
    at_ms: int


class StoredMark(NamedTuple):
    """What is known of an earlier request with the same key."""

    digest: bytes
    lane: int
    n: int
    position: int
    answer: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """One batch of one lane with everything that commits together.

    Attributes:
        batch: header, entries, the head it leads to, the epoch it was decided on.
        code: the header's authentication code, 32 bytes.
        detail: the sealed openings of the entries.
        rule: whether the batch holds one rule (then its `seal` comes with it, and the epoch grows by one).
        seal: the lane's seal as a leaf, or b"".
        blob: bytes that a rule names by digest, or b"".
        reads, lists, finds: answered in the result, in the same order, as they stand at the commit: after the
            transaction's own writes.
        erasures: subjects whose every row goes; their users stay known as erased.
        the rest: rows to write; see each type for its conflict. A part is written or dropped at most once: the later
            item of two conflicts (`version`).
    """

    batch: BuiltBatch
    code: bytes
    detail: bytes
    rule: bool = False
    seal: bytes = b""
    blob: bytes = b""
    reads: Sequence[RecordRead] = ()
    lists: Sequence[ListRead] = ()
    finds: Sequence[Find] = ()
    subjects: Sequence[NewSubject] = ()
    keys: Sequence[NewKey] = ()
    writes: Sequence[PartsWrite] = ()
    drops: Sequence[PartDrop] = ()
    searches: Sequence[SearchWrite] = ()
    counts: Sequence[CountWrite] = ()
    requests: Sequence[RequestMark] = ()
    erasures: Sequence[SubjectErasure] = ()


class Found(NamedTuple):
    """One subject that a `Find` gave: its key of class `protected` and its sealed identity part."""

    subject_ref: bytes
    key: KeyRow
    identity: StoredPart


class Rows(NamedTuple):
    """What a transaction read: of each of `reads` the parts that are there, and a list for each list and find."""

    records: Sequence[StoredParts]
    lists: list[list[StoredPart]]
    found: list[list[Found]]


class StoredBatch(NamedTuple):
    """A batch as stored. `entries` in order; `detail` still sealed."""

    lane: int
    n: int
    epoch: int
    header: bytes
    entries: tuple[bytes, ...]
    detail: bytes
    code: bytes
    rule: bool


class StoredRule(NamedTuple):
    """A batch that holds a rule, the seal that was committed with it, and the bytes that the rule names (or b"")."""

    batch: StoredBatch
    seal: bytes
    blob: bytes


class StoredSeal(NamedTuple):
    """A seal as stored: of the lane's batch `n`, which is of `epoch`."""

    lane: int
    n: int
    epoch: int
    leaf: bytes


class TreeHead(NamedTuple):
    """The tree as committed: size in leaves, root, right edge (`merkle.Frontier` bytes), and who may extend it.

    `epoch` is the epoch that is being sequenced; `sequenced` maps a lane to its last batch in the tree.
    """

    size: int
    root: bytes
    frontier: bytes
    term: int
    epoch: int
    sequenced: dict[int, int]


class Placement(NamedTuple):
    """Where a batch stands in the tree: its header at leaf `first_leaf`, its entries after it."""

    lane: int
    n: int
    first_leaf: int


class Store(Protocol):
    """The vault's rows and the ledger's batches, in one database. See the module's guarantees."""

    async def open(self) -> None:
        """Connect, and refuse a database that is not durable (fsync off) or is of another schema."""

    async def close(self) -> None:
        """Let go of every connection and lock."""

    async def create(self) -> None:
        """Make the schema in an empty database; refuses one that already has it."""

    async def transact(self, transaction: Transaction) -> Rows:
        """Commit one batch and what goes with it; the only way to write anything but seals and the tree.

        Raises:
            EpochMovedError, TimePassedError, LaneMovedError, ItemConflictError: nothing was written.
            CommitUnknownError: ask `find_batch`.
            UnavailableError: the database does not answer, or its clock is behind; nothing was written.
        """

    async def epoch(self) -> int:
        """The number of rules committed."""

    async def resolve(self, user_indexes: Sequence[bytes]) -> list[Subject | None]:
        """Subjects by blind index, in the same order, each with its sealed user id."""

    async def subject(self, subject_ref: bytes) -> Subject | None:
        """One subject by reference, with its sealed user id."""

    async def erased(self, user_indexes: Sequence[bytes]) -> set[bytes]:
        """Those of these blind indexes whose user was ever erased, even if the user came back since."""

    async def versions(self, records: Sequence[tuple[str, bytes, bytes]]) -> list[list[tuple[str, int]]]:
        """For each (dataset, subject_ref, record_key): the stored (class, version) pairs."""

    async def counter(self, counter: str) -> Count | None:
        """The counter's last step."""

    async def request(self, key: bytes) -> StoredMark | None:
        """What is known of an earlier request."""

    async def forget_requests(self, before_ms: int) -> int:
        """Delete request marks older than this time; gives how many."""

    async def claim_lane(self, lane: int) -> bool:
        """Take a lane for this store alone; False when another one has it. Held until `release_lane` or `close`."""

    async def release_lane(self, lane: int) -> None:
        """Let go of a lane, so that another process may take it; nothing happens when it is not held."""

    async def lane_head(self, lane: int) -> LaneHead:
        """Where the lane stands in the store."""

    async def find_batch(self, lane: int, n: int) -> StoredBatch | None:
        """One batch. Of a lane that this store holds, None means that it is not there and never will be."""

    async def batches(self, lane: int, *, after_n: int, batches_max: int) -> list[StoredBatch]:
        """A lane's batches in order of n."""

    async def rules(self, *, after_epoch: int, rules_max: int) -> list[StoredRule]:
        """Batches that hold rules, in order, each with its seal and the blob that the rule names (or b"").

        Rule number r (from 1) is in the batch of epoch r-1; `after_epoch=e` gives rules e+1 and later.
        """

    async def put_seal(self, seal: StoredSeal) -> None:
        """Store a seal; the same seal again changes nothing."""

    async def seals(self, lane: int, *, after_n: int) -> list[StoredSeal]:
        """A lane's seals in order of n."""

    async def lanes(self) -> list[LaneHead]:
        """Every lane that has written, with its head."""

    async def tree_head(self) -> TreeHead:
        """The tree as committed; size 0 at first."""

    async def begin_term(self) -> int:
        """Become the sequencer: gives a term that is larger than every earlier one."""

    async def commit_tree(self, *, expected: TreeHead, following: TreeHead, placements: Sequence[Placement]) -> bool:
        """Replace the head if it is still `expected` (size, root and term); False when it is not.

        The term stays as it is: only `begin_term` moves it.
        """

    async def placement(self, lane: int, n: int) -> int | None:
        """The leaf index of a batch's header, or None while it is not sequenced."""

    async def placements(self, *, first_leaf: int, placements_max: int) -> list[Placement]:
        """Batches by place in the tree, from the one that holds leaf `first_leaf` (or is the last before it) on."""

    async def put_checkpoint(self, size: int, note: bytes) -> None:
        """Keep a signed checkpoint; one of the same size is replaced.

        The newest is always kept. An older one goes when it came less than a minute (by the database's clock) after
        the one kept before it.
        """

    async def checkpoints(self, *, after_size: int, checkpoints_max: int) -> list[tuple[int, bytes]]:
        """Signed checkpoints by size."""

    async def newest_checkpoint(self) -> tuple[int, bytes] | None:
        """The signed checkpoint of the largest size."""

    def scan_parts(self, *, rows_max: int) -> AsyncIterator[Sequence[StoredPart]]:
        """Every part, in the order of the primary key, `rows_max` at a time."""

    def scan_subjects(self, *, rows_max: int) -> AsyncIterator[Sequence[Subject]]:
        """Every subject with its keys, in order of reference, `rows_max` at a time."""

    def scan_keys(self, *, rows_max: int) -> AsyncIterator[Sequence[KeyRow]]:
        """Every wrapped key, of subjects that are there and of others, in the order of the primary key."""

    def scan_searches(self, *, rows_max: int) -> AsyncIterator[Sequence[StoredSearch]]:
        """Every token of the look-up, in the order of the primary key, `rows_max` at a time."""

    async def count_parts(self) -> int:
        """How many parts are stored; for progress."""


class LaneMemory(Protocol):
    """What a lane sealed last, kept outside the store: so that a store that was set back is seen."""

    def read(self) -> LaneHead | None:
        """Give the lane's number, `n` and hash of the last head that was written here, or None when none was.

        Raises:
            IntegrityError: what is kept is not a head of this lane.
        """

    def write(self, head: LaneHead) -> None:
        """Keep a head that is sealed in the store.

        Raises:
            UnavailableError: it cannot be kept.
        """
