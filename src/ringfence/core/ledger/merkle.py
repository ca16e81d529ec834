"""Merkle trees of RFC 6962: roots, proofs, and the right edge from which a log grows.

Rules:
  1. A hash is 32 bytes. A leaf is SHA-256(0x00 || entry), a node SHA-256(0x01 || left || right), so that no entry
     can pass for a node. The empty tree's root is SHA-256 of nothing.
  2. A tree of n > 1 leaves splits at the largest power of two below n. So every tree is a row of complete subtrees,
     one for each bit of its size, largest first; `Frontier` keeps exactly those.
  3. Node (level, index) is the complete subtree over the leaves [index * 2**level, (index + 1) * 2**level). Proofs
     are built from such nodes alone, which is why they can be read from tiles.
  4. `prove_*` trusts its reader and refuses only impossible questions; `verify_*` trusts nothing but the root.

Source: RFC 9162, section 2.1 (same trees as RFC 6962, section 2.1).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Self

from ringfence.core.errors import InvalidInputError, ProofInvalidError

HASH_SIZE_BYTES: Final = 32
TREE_SIZE_MAX: Final = 2**63 - 1  # a signed 64-bit count, as other implementations hold it
PATH_LENGTH_MAX: Final = 63  # an inclusion path in the largest tree
EMPTY_ROOT: Final = hashlib.sha256(b"").digest()

_SIZE_FIELD_BYTES: Final = 8

NodeReader = Callable[[int, int], bytes]
"""`reader(level, index)` gives the hash of a complete subtree: rule 3."""


def hash_leaf(data: bytes) -> bytes:
    """Give a leaf's hash, 32 bytes: SHA-256(0x00 || data). Source: RFC 9162, section 2.1.1."""
    return hashlib.sha256(b"\x00" + data).digest()


def hash_children(left: bytes, right: bytes) -> bytes:
    """Give the node hash over two subtrees: SHA-256(0x01 || left || right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def hash_pairs(hashes: Sequence[bytes]) -> list[bytes]:
    """Give the level above: one node hash for each two hashes. The length must be even (rule 3)."""
    sha256 = hashlib.sha256
    pairs = zip(hashes[::2], hashes[1::2], strict=True)
    return [sha256(b"\x01" + left + right).digest() for left, right in pairs]


def fold_peaks(peaks: Sequence[bytes]) -> bytes:
    """Join complete subtrees, largest first, into the root over all of them."""
    if not peaks:
        return EMPTY_ROOT
    root = peaks[-1]
    for peak in reversed(peaks[:-1]):
        root = hash_children(peak, root)
    return root


@dataclass(frozen=True, slots=True)
class Frontier:
    """The right edge of a tree: all that is needed to append to it and to know its root.

    `peaks` holds one complete subtree's hash for each bit set in `size`, largest first: at most 63 hashes.
    """

    size: int = 0
    peaks: tuple[bytes, ...] = ()

    def append_many(self, leaf_hashes: Iterable[bytes]) -> Frontier:
        """Give the frontier after these leaf hashes, about one SHA-256 a leaf; this one stays as it was.

        Raises:
            InvalidInputError: a hash is not 32 bytes, or the tree would pass `TREE_SIZE_MAX`.
        """
        hashes = list(leaf_hashes)
        _require_hashes(hashes)
        size = self.size + len(hashes)
        if size > TREE_SIZE_MAX:
            raise InvalidInputError(f"a tree holds at most {TREE_SIZE_MAX} leaves, not {size}", place="leaf_hashes")
        smallest_first = list(reversed(self.peaks))
        peaks: list[bytes] = []
        level = 0
        # `hashes` are the nodes of this level that the old tree did not have, its own peak here put before them.
        while size >> level:
            if self.size >> level & 1:
                hashes.insert(0, smallest_first.pop(0))
            if size >> level & 1:
                peaks.append(hashes.pop())
            hashes = hash_pairs(hashes)
            level += 1
        peaks.reverse()
        return Frontier(size, tuple(peaks))

    def root(self) -> bytes:
        """Give the root hash of the tree, 32 bytes."""
        return fold_peaks(self.peaks)

    def to_bytes(self) -> bytes:
        """Give size (8 bytes, big-endian), then the peaks, largest first."""
        return self.size.to_bytes(_SIZE_FIELD_BYTES, "big") + b"".join(self.peaks)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read what `to_bytes` wrote.

        Raises:
            ProofInvalidError: too short, or not one peak for each bit of the size.
        """
        size = int.from_bytes(data[:_SIZE_FIELD_BYTES], "big")
        length = _SIZE_FIELD_BYTES + HASH_SIZE_BYTES * size.bit_count()
        if len(data) < _SIZE_FIELD_BYTES or len(data) != length or size > TREE_SIZE_MAX:
            raise ProofInvalidError(
                f"a frontier of size {size} does not fit in {len(data)} bytes",
                place="frontier",
                expected=f"{length} bytes",
                found=f"{len(data)} bytes",
            )
        starts = range(_SIZE_FIELD_BYTES, length, HASH_SIZE_BYTES)
        return cls(size, tuple(data[at : at + HASH_SIZE_BYTES] for at in starts))


def root_of(leaf_hashes: Iterable[bytes]) -> bytes:
    """Give the root of the tree over these leaf hashes."""
    return Frontier().append_many(leaf_hashes).root()


def node_reader_of(leaf_hashes: Iterable[bytes]) -> NodeReader:
    """Give a reader over a tree that is held whole in memory, two hashes a leaf."""
    levels = [list(leaf_hashes)]
    _require_hashes(levels[0])
    while len(levels[-1]) > 1:
        below = levels[-1]
        levels.append(hash_pairs(below[: len(below) & ~1]))

    def read_node(level: int, index: int) -> bytes:
        if not (0 <= level < len(levels) and 0 <= index < len(levels[level])):
            raise InvalidInputError(f"node {index} of level {level} is not complete in this tree", place="node")
        return levels[level][index]

    return read_node


def subtree_root(read_node: NodeReader, *, start: int, end: int) -> bytes:
    """Give the root over the leaves [start, end), read from complete subtrees.

    Args:
        read_node: reader of complete subtrees.
        start: first leaf; a multiple of the smallest power of two that holds the range.
        end: one past the last leaf; above `start`.
    """
    width = 1 << (end - start - 1).bit_length() if end > start else 0
    if start < 0 or not width or start % width:
        raise InvalidInputError(f"leaves {start} to {end} are not a subtree", place="start")
    peaks: list[bytes] = []
    while start < end:
        level = (end - start).bit_length() - 1
        peaks.append(read_node(level, start >> level))
        start += 1 << level
    return fold_peaks(peaks)


def prove_inclusion(read_node: NodeReader, *, index: int, size: int) -> tuple[bytes, ...]:
    """Give the sibling hashes from the leaf up to the root.

    Args:
        read_node: reader of complete subtrees of a tree of at least `size` leaves.
        index: place of the leaf, 0-based; below `size`.
        size: leaves in the tree that the path is for.

    Raises:
        InvalidInputError: no such leaf in a tree of that size.

    Source: RFC 9162, section 2.1.3.1.
    """
    if not 0 <= index < size <= TREE_SIZE_MAX:
        raise InvalidInputError(f"no leaf {index} in a tree of {size}", place="index")
    path: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(subtree_root(read_node, start=middle, end=end))
            end = middle
        else:
            path.append(subtree_root(read_node, start=start, end=middle))
            start = middle
    path.reverse()
    return tuple(path)


def verify_inclusion(leaf_hash: bytes, path: Sequence[bytes], *, index: int, size: int, root: bytes) -> None:
    """Check that a leaf is in the tree with this root.

    Args:
        leaf_hash: 32 bytes, SHA-256(0x00 || entry).
        path: sibling hashes, 32 bytes each, from the leaf up.
        index: place of the leaf, 0-based; below `size`.
        size: leaves in the tree, from the same signed checkpoint as `root`.
        root: 32 bytes, from a checkpoint whose signature was checked.

    Raises:
        ProofInvalidError: the path has the wrong length or gives another root.

    Source: RFC 9162, section 2.1.3.2.
    """
    place = f"inclusion of leaf {index}"
    if not 0 <= index < size <= TREE_SIZE_MAX:
        raise ProofInvalidError(
            f"no leaf {index} in a tree of {size}", place=place, expected=f"below {size}", found=str(index)
        )
    _check_hashes([leaf_hash, root, *path], place=place)
    node, last, computed = index, size - 1, leaf_hash
    for sibling in path:
        if last == 0:
            raise _path_length_error(place, "too long", len(path))
        if node & 1 or node == last:
            computed = hash_children(sibling, computed)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            computed = hash_children(computed, sibling)
        node, last = node >> 1, last >> 1
    if last:
        raise _path_length_error(place, "too short", len(path))
    _check_root(computed, root, place=place)


def prove_consistency(read_node: NodeReader, *, old_size: int, new_size: int) -> tuple[bytes, ...]:
    """Give the hashes that show that a tree only grew.

    Args:
        read_node: reader of complete subtrees of a tree of at least `new_size` leaves.
        old_size: leaves in the earlier tree; 0 or `new_size` give an empty proof.
        new_size: leaves in the later tree.

    Raises:
        InvalidInputError: the sizes are out of order.

    Source: RFC 9162, section 2.1.4.1.
    """
    if not 0 <= old_size <= new_size <= TREE_SIZE_MAX:
        raise InvalidInputError(f"a tree of {new_size} is not a growth of one of {old_size}", place="old_size")
    if old_size in (0, new_size):
        return ()
    proof: list[bytes] = []
    start, end = 0, new_size
    while end != old_size:
        middle = start + _split(end - start)
        if old_size <= middle:
            proof.append(subtree_root(read_node, start=middle, end=end))
            end = middle
        else:
            proof.append(subtree_root(read_node, start=start, end=middle))
            start = middle
    if start:  # else the old tree is itself this subtree, and its root is already known
        proof.append(subtree_root(read_node, start=start, end=end))
    proof.reverse()
    return tuple(proof)


def verify_consistency(
    proof: Sequence[bytes], *, old_size: int, old_root: bytes, new_size: int, new_root: bytes
) -> None:
    """Check that the later tree has the earlier one as its beginning.

    Args:
        proof: hashes, 32 bytes each, as `prove_consistency` orders them; empty when `old_size` is 0 or `new_size`.
        old_size: leaves in the earlier tree.
        old_root: 32 bytes, from a checkpoint whose signature was checked.
        new_size: leaves in the later tree.
        new_root: 32 bytes, from a checkpoint whose signature was checked.

    Raises:
        ProofInvalidError: the sizes are out of order, or the proof has the wrong length or gives other roots.

    Source: RFC 9162, section 2.1.4.2.
    """
    place = f"consistency of {old_size} with {new_size}"
    if not 0 <= old_size <= new_size <= TREE_SIZE_MAX:
        raise ProofInvalidError(
            "the tree shrank", place=place, expected=f"at least {old_size} leaves", found=f"{new_size} leaves"
        )
    _check_hashes([old_root, new_root, *proof], place=place)
    if old_size in (0, new_size):
        if proof:
            raise _path_length_error(place, "too long", len(proof))
        if old_size == 0:
            _check_root(EMPTY_ROOT, old_root, place=place)
        if old_size == new_size:
            _check_root(old_root, new_root, place=place)
        return
    whole = old_size & (old_size - 1) == 0  # the old tree is one complete subtree, and its root starts the fold
    steps = [old_root, *proof] if whole else proof
    if not steps:
        raise _path_length_error(place, "too short", len(proof))
    old_computed, new_computed = _fold_consistency(steps, old_size=old_size, new_size=new_size, place=place)
    _check_root(old_computed, old_root, place=place)
    _check_root(new_computed, new_root, place=place)


def _fold_consistency(steps: Sequence[bytes], *, old_size: int, new_size: int, place: str) -> tuple[bytes, bytes]:
    """Give the old and the new root that these hashes imply: steps 4 to 7 of the source."""
    node, last = old_size - 1, new_size - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    old_root = new_root = steps[0]
    for step in steps[1:]:
        if last == 0:
            raise _path_length_error(place, "too long", len(steps))
        if node & 1 or node == last:
            old_root = hash_children(step, old_root)
            new_root = hash_children(step, new_root)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            new_root = hash_children(new_root, step)
        node, last = node >> 1, last >> 1
    if last:
        raise _path_length_error(place, "too short", len(steps))
    return old_root, new_root


def _split(size: int) -> int:
    """Give the largest power of two below `size`, which is at least 2."""
    return 1 << ((size - 1).bit_length() - 1)


def _require_hashes(hashes: Sequence[bytes]) -> None:
    if not set(map(len, hashes)) <= {HASH_SIZE_BYTES}:
        raise InvalidInputError("a leaf hash is not 32 bytes", place="leaf_hashes")


def _check_hashes(hashes: Sequence[bytes], *, place: str) -> None:
    for item in hashes:
        if len(item) != HASH_SIZE_BYTES:
            raise ProofInvalidError(
                "a hash has the wrong length", place=place, expected="32 bytes", found=f"{len(item)} bytes"
            )


def _check_root(computed: bytes, root: bytes, *, place: str) -> None:
    if computed != root:
        raise ProofInvalidError("the proof gives another root", place=place, expected=root.hex(), found=computed.hex())


def _path_length_error(place: str, what: str, length: int) -> ProofInvalidError:
    return ProofInvalidError(f"the proof is {what}", place=place, found=f"{length} hashes")
