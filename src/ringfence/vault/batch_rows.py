"""What every store device makes of a transaction before it writes: plain values, no database.

Rules of this file:
1. A part is written or dropped at most once in a transaction: the later item of two conflicts, on every device alike.
2. The steps of one counter follow one another; the device compares the first of them with what is stored and keeps
   the last.
3. A part or a token is stored only under a subject that is there, so that nothing outlives an erasure.
4. Entries are kept as one blob in the form of an entry bundle (C2SP tlog-tiles), so that a batch is one row.
5. No rule is of a time before what any lane committed, and no batch of a time that has not come, each give or take
   `TIME_OFF_MS_MAX`. Where the clocks went back, what is of the newest stored time is taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec

from ringfence.core.envelope import REFERENCE_SIZE_BYTES, WrappedKey
from ringfence.core.errors import IntegrityError, ProofInvalidError, UnavailableError
from ringfence.core.ledger.entry import Batch, Count
from ringfence.core.ledger.lane import TIME_OFF_MS_MAX
from ringfence.core.ledger.tiles import encode_bundle, parse_bundle
from ringfence.core.ports import (
    CountWrite,
    ItemConflictError,
    KeyRow,
    LaneMovedError,
    SearchWrite,
    StoredBatch,
    TimePassedError,
    Transaction,
)

_header_decoder: msgspec.json.Decoder[Batch] = msgspec.json.Decoder(Batch)
_sequenced_decoder: msgspec.json.Decoder[dict[int, int]] = msgspec.json.Decoder(dict[int, int])

NUMBER_MAX: Final = 1 << 63
REQUEST_KEY_SIZE_BYTES: Final = 32

pack_entries = encode_bundle


class CountSteps(NamedTuple):
    """The steps of one counter in one transaction: stored must be `first - 1`, then `last` is."""

    items: tuple[int, ...]
    first: int
    last: Count


def unpack_batch(
    lane: int,
    n: int,
    epoch: int,
    header: bytes,
    entry_count: int,
    entries: bytes,
    detail: bytes,
    code: bytes,
    rule: bool,
) -> StoredBatch:
    """Give a stored batch from its row.

    Raises:
        IntegrityError: the row's entries are not as many as it says.
    """
    place = f"batch {n} of lane {lane}"
    try:
        unpacked = tuple(parse_bundle(entries, width=entry_count, place=place))
    except ProofInvalidError as error:
        raise IntegrityError(f"a stored batch cannot be read: {error}", place=place) from None
    return StoredBatch(lane, n, epoch, header, unpacked, detail, code, bool(rule))


def previous_of(transaction: Transaction) -> bytes:
    """Give the hash (32 bytes) of the batch before, from the header that is to be stored.

    Raises:
        LaneMovedError: the header is not that of the batch's lane and number.
    """
    head = transaction.batch.head
    try:
        header = _header_decoder.decode(transaction.batch.header)
    except msgspec.DecodeError as error:
        raise LaneMovedError(f"the header of batch {head.n} of lane {head.lane} cannot be read: {error}") from None
    if (header.lane, header.n, header.epoch) != (head.lane, head.n, transaction.batch.epoch):
        raise LaneMovedError(f"the header of batch {head.n} of lane {head.lane} is of another batch")
    return header.previous


def is_time_in_doubt(transaction: Transaction, *, clock_ms: int) -> bool:
    """Tell whether what lanes have written matters to the time of a batch; to most it does not."""
    return transaction.rule or transaction.batch.head.at_ms > clock_ms + TIME_OFF_MS_MAX


def check_time(transaction: Transaction, *, newest_ms: int, clock_ms: int) -> None:
    """Check the time of a batch against the newest time of any lane and the store's own clock.

    Raises:
        TimePassedError: it is a rule of an earlier time.
        UnavailableError: it is of a time that has not come.
    """
    at_ms = transaction.batch.head.at_ms
    if transaction.rule and newest_ms > at_ms + TIME_OFF_MS_MAX:
        raise TimePassedError(newest_ms)
    if at_ms > max(newest_ms, clock_ms + TIME_OFF_MS_MAX):
        raise ahead_of_store(at_ms - clock_ms)


def ahead_of_store(ahead_ms: int) -> UnavailableError:
    """Give the error for a batch whose time is this far ahead of the store's clock."""
    return UnavailableError(
        f"this machine's clock is {ahead_ms / 1000:.1f} s ahead of the database's; nothing was written",
        hint="set both clocks right",
    )


def check_parts_once(transaction: Transaction) -> None:
    """Check rule 1.

    Raises:
        ItemConflictError: of reason `version`, with the later items.
        ValueError: there are not as many names as parts.
    """
    t = transaction
    for write in t.writes:
        write.check()
    named: dict[tuple[bytes, str], set[tuple[str, bytes]]] = {}
    repeated: list[int] = []
    steps: list[tuple[int, bytes, str, Sequence[str], Sequence[bytes]]] = []
    steps += [(d.item, d.name.subject_ref, d.name.data_class, (d.name.dataset,), (d.name.record_key,)) for d in t.drops]
    steps += [(w.item, w.subject_ref, w.data_class, w.datasets, w.record_keys) for w in t.writes]
    for item, subject_ref, data_class, datasets, record_keys in steps:
        there = named.setdefault((subject_ref, data_class), set())
        size = len(there)
        there.update(zip(datasets, record_keys, strict=False))
        if len(there) != size + len(record_keys):
            repeated.append(item)
    if repeated:
        raise ItemConflictError(repeated, reason="version")


def chain_counts(counts: Sequence[CountWrite]) -> list[CountSteps]:
    """Give the steps of each counter, by name: rule 2.

    Raises:
        ItemConflictError: of reason `count`, when the steps of one counter do not follow one another.
    """
    chains: dict[str, CountSteps] = {}
    refused: list[int] = []
    for item, count in counts:
        chain = chains.get(count.counter)
        if chain is None:
            chains[count.counter] = CountSteps((item,), count.ordinal, count)
        elif count.ordinal == chain.last.ordinal + 1:
            chains[count.counter] = CountSteps((*chain.items, item), chain.first, count)
        else:
            refused.append(item)
    if refused:
        raise ItemConflictError(refused, reason="count")
    return [chains[name] for name in sorted(chains)]


def last_searches(searches: Sequence[SearchWrite]) -> list[SearchWrite]:
    """Give the last write of each record and field, by key."""
    last = {(write.subject_ref, write.field, write.record_key): write for write in searches}
    return [last[key] for key in sorted(last)]


def subjects_needed(transaction: Transaction) -> list[tuple[bytes, tuple[int, ...]]]:
    """Give the subjects that must be there for the rows that are stored, with the items that store them: rule 3.

    Those that the transaction adds itself are left out: it adds them, or is refused for it.
    """
    t = transaction
    added = {subject.subject_ref for subject in t.subjects}
    needed: dict[bytes, set[int]] = {}
    for item, subject_ref, *_ in t.writes:
        if subject_ref not in added:
            needed.setdefault(subject_ref, set()).add(item)
    for item, _, subject_ref, _, token in t.searches:
        if token is not None and subject_ref not in added:
            needed.setdefault(subject_ref, set()).add(item)
    return [(subject_ref, tuple(sorted(needed[subject_ref]))) for subject_ref in sorted(needed)]


def unstorable_items(transaction: Transaction) -> list[int]:
    """Give the items with a row that no device can store: for a device that refused a batch without saying why.

    Empty when every row looks right: then the caller has to find out by splitting the batch.
    """
    t = transaction
    rows: list[tuple[int, list[bytes], list[str], list[int]]] = []
    rows += [(s.item, [s.subject_ref, s.user_index], [], []) for s in t.subjects]
    rows += [(k.item, [k.row.subject_ref], [k.row.data_class], [k.row.key_epoch]) for k in t.keys]
    rows += [(c.item, [], [c.step.counter], [c.step.ordinal, c.step.amount, c.step.total]) for c in t.counts]
    rows += [(d.item, [d.name[1], d.name[2]], [d.name[0], d.name[3]], [d.version]) for d in t.drops]
    rows += [(w.item, [w.subject_ref, *w.record_keys], [w.data_class, *w.datasets], [w.version]) for w in t.writes]
    rows += [(s.item, [s.subject_ref, s.record_key, s.token or bytes(16)], [s.field], []) for s in t.searches]
    bad = {
        item
        for item, references, texts, numbers in rows
        if any(len(reference) != REFERENCE_SIZE_BYTES for reference in references)
        or not all(_is_storable(text) for text in texts)
        or not all(0 <= number < NUMBER_MAX for number in numbers)
    }
    bad |= {write.item for write in t.writes if write.version < 1}
    bad |= {mark.item for mark in t.requests if len(mark.key) != REQUEST_KEY_SIZE_BYTES}
    return sorted(bad)


def _is_storable(text: str) -> bool:
    return "\x00" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def render_sequenced(sequenced: dict[int, int]) -> str:
    """Give the lanes of a tree head and how far each is in the tree, as JSON."""
    return msgspec.json.encode(dict(sorted(sequenced.items()))).decode()


def parse_sequenced(text: str) -> dict[int, int]:
    """Read what `render_sequenced` gave.

    Raises:
        IntegrityError: it is not that.
    """
    try:
        return _sequenced_decoder.decode(text)
    except msgspec.DecodeError as error:
        raise IntegrityError(f"the tree's head cannot be read: {error}", place="tree_head") from None


def key_row(subject_ref: bytes, data_class: str, key_epoch: int, wrapped: bytes, commitment: bytes) -> KeyRow:
    """Give a subject's stored key from its columns."""
    return KeyRow(subject_ref, data_class, key_epoch, WrappedKey(wrapped, commitment))
