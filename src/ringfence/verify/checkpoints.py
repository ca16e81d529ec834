"""The bundle's signed notes: the newest checkpoint, the earlier ones, and one that the reader kept.

Rules of this file:
1. With a trust file, every note must bear both signatures of the pinned log key and no line by an unknown key, and
   the newest one the cosignatures of the pinned quorum. Without one, the bundle's own key is used.
2. The tree never shrinks and signed times never go back as it grows.
3. A leaf's time may not be later than the first checkpoint that encloses it, give or take `CLOCK_SKEW_MS_MAX`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ringfence.core.errors import InvalidInputError, ProofInvalidError
from ringfence.core.ledger.checkpoint import Checkpoint, SignedCheckpoint, open_checkpoint, parse_checkpoint
from ringfence.core.ledger.signed_note import KEY_TYPE_ED25519, VerifierKey, parse_note, parse_vkey, render_vkey
from ringfence.verify.bundle import Bundle
from ringfence.verify.trust import Trust
from ringfence.verify.verdict import Findings

CLOCK_SKEW_MS_MAX: Final = 2_000


@dataclass(frozen=True, slots=True)
class Earlier:
    """A checkpoint that the newest one must be a growth of, and the file it is in."""

    place: str
    signed: SignedCheckpoint
    is_kept: bool = False  # it is the reader's own, not the bundle's


@dataclass(frozen=True, slots=True)
class Notes:
    """Every checked checkpoint, and whose they are."""

    origin: str
    log_key: VerifierKey
    newest: SignedCheckpoint
    earlier: tuple[Earlier, ...] = ()


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """Until when the leaves of each part of the tree may have been written.

    `sizes` ascend, the last is the tree's; a leaf below `sizes[i]` is not later than `limits_ms[i]`.
    """

    sizes: tuple[int, ...]
    limits_ms: tuple[int, ...]

    def limit_of(self, leaf: int) -> int:
        """Give the latest time, in milliseconds since 1970, that a leaf may bear."""
        return self.limits_ms[bisect_right(self.sizes, leaf)]


def open_newest(bundle: Bundle, trust: Trust | None) -> Notes:
    """Read `vkey` and `checkpoint`, and check them against the pins.

    Raises:
        ProofInvalidError: the key is not the pinned one, or the checkpoint does not verify.
        InvalidInputError: a file cannot be read.
    """
    vkey = bundle.read_vkey()
    log_key = parse_vkey(_decode(vkey, place="vkey"), place="vkey")
    if vkey != render_vkey(log_key).encode() + b"\n":
        raise ProofInvalidError("this is not one verifier key on one line", place="vkey")
    if trust and log_key != trust.log_key:
        expected = render_vkey(trust.log_key)
        raise ProofInvalidError(
            "the bundle's log key is not the one that the trust file pins",
            place="vkey",
            expected=expected,
            found=render_vkey(log_key),
        )
    if log_key.key_type != KEY_TYPE_ED25519:
        raise ProofInvalidError("a log's key is of type 0x01", place="vkey", found=f"0x{log_key.key_type:02x}")
    note = bundle.read_note("checkpoint")
    origin = trust.origin if trust else parse_checkpoint(parse_note(note, place="checkpoint").text).origin
    newest = _open(note, Notes(origin, log_key, _NONE), trust, place="checkpoint")
    if trust:
        require_witnesses(newest, trust, place="checkpoint")
    return Notes(origin, log_key, newest)


def require_witnesses(signed: SignedCheckpoint, trust: Trust, *, place: str) -> None:
    """Refuse a checkpoint that fewer of the pinned witnesses cosigned than the pins ask for.

    Raises:
        ProofInvalidError: says how many did.
    """
    if len(signed.cosignatures) < trust.witness_quorum:
        raise ProofInvalidError(
            "too few of the pinned witnesses cosigned the checkpoint",
            place=place,
            expected=f"{trust.witness_quorum} of {len(trust.witnesses)}",
            found=str(len(signed.cosignatures)),
        )


def open_earlier(
    bundle: Bundle, notes: Notes, trust: Trust | None, *, sizes: Sequence[int], since: bytes | None, findings: Findings
) -> Notes:
    """Check the signatures of the earlier checkpoints, and of the one that the reader kept; roots come later.

    Raises:
        InvalidInputError: what the reader kept is no checkpoint at all.
    """
    earlier: list[Earlier] = []
    floor_seconds = 0
    for size in sizes:
        place = f"checkpoints/{size}"
        try:
            signed = _open(bundle.read_note(place), notes, trust, place=place)
            if signed.checkpoint.size != size:
                found = str(signed.checkpoint.size)
                raise ProofInvalidError("a checkpoint is filed under another size", place=place, found=found)
        except ProofInvalidError as error:
            findings.refute(error.place or place, error.message, expected=error.expected, found=error.found)
            continue
        item = Earlier(place, signed)
        if _check_growth(item, notes, floor_seconds=floor_seconds, findings=findings):
            earlier.append(item)
            floor_seconds = signed.time_seconds
    if since is not None:
        _require_checkpoint(since)
        try:
            kept = Earlier("the checkpoint given by --since", _open(since, notes, None, place="--since"), is_kept=True)
        except ProofInvalidError as error:
            findings.refute("--since", error.message, expected=error.expected, found=error.found)
        else:
            if _check_growth(kept, notes, floor_seconds=0, findings=findings):
                earlier.append(kept)
    return Notes(notes.origin, notes.log_key, notes.newest, tuple(earlier))


def time_limits(notes: Notes) -> TimeLimits:
    """Give the time limits of every part of the tree, from the checkpoints whose order was checked."""
    newest = notes.newest
    first: dict[int, int] = {}
    for signed in (*(item.signed for item in notes.earlier), newest):
        size = min(signed.checkpoint.size, newest.checkpoint.size)
        first[size] = min(signed.time_seconds, first.get(size, signed.time_seconds))
    sizes = tuple(sorted(first))
    return TimeLimits(sizes, tuple(first[size] * 1000 + CLOCK_SKEW_MS_MAX for size in sizes))


def _check_growth(item: Earlier, notes: Notes, *, floor_seconds: int, findings: Findings) -> bool:
    """Check an earlier checkpoint's size and time against its neighbours; tell whether its root can be checked."""
    size, time_seconds = item.signed.checkpoint.size, item.signed.time_seconds
    newest = notes.newest
    if not floor_seconds <= time_seconds <= newest.time_seconds:
        findings.refute(
            item.place,
            "a checkpoint's signed time does not fit its size",
            expected=f"from {floor_seconds} to {newest.time_seconds}",
            found=str(time_seconds),
        )
    if size > newest.checkpoint.size:
        findings.refute(
            item.place,
            "the tree is smaller than one that the log signed before: it was cut or rolled back",
            expected=f">= {size} leaves",
            found=f"{newest.checkpoint.size} leaves",
        )
    return size <= newest.checkpoint.size


def _open(note: bytes, notes: Notes, trust: Trust | None, *, place: str) -> SignedCheckpoint:
    return open_checkpoint(
        note,
        log_key=notes.log_key,
        witness_keys=trust.witnesses if trust else (),
        origin=notes.origin,
        strict=trust is not None,
        place=place,
    )


def _require_checkpoint(note: bytes) -> None:
    """Refuse a file of the reader's own that is no checkpoint: that says nothing against the bundle."""
    try:
        parse_checkpoint(parse_note(note, place="--since").text, place="--since")
    except ProofInvalidError as error:
        raise InvalidInputError(
            f"the file given by --since is no checkpoint: {error.message}",
            place="--since",
            hint="give a checkpoint that you kept, whole as it was",
        ) from None


def _decode(data: bytes, *, place: str) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise ProofInvalidError("this is not UTF-8", place=place) from None


_NONE: Final = SignedCheckpoint(Checkpoint("", 0, bytes(32)), 0)
