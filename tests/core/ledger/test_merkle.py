"""Merkle trees against the definition of RFC 9162, section 2.1, word for word, on every small size."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence.core.errors import InvalidInputError, ProofInvalidError
from ringfence.core.ledger.merkle import (
    EMPTY_ROOT,
    Frontier,
    hash_leaf,
    node_reader_of,
    prove_consistency,
    prove_inclusion,
    root_of,
    subtree_root,
    verify_consistency,
    verify_inclusion,
)

SIZE_MAX = 33

# The eight leaves, and the root over the first n of them, that the Certificate Transparency projects publish.
PUBLISHED_LEAVES = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
PUBLISHED_ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def entries(count: int) -> list[bytes]:
    return [f"entry {number}".encode() for number in range(count)]


def hashes(count: int) -> list[bytes]:
    return [hash_leaf(entry) for entry in entries(count)]


def split(count: int) -> int:
    power = 1
    while power * 2 < count:
        power *= 2
    return power


def defined_root(data: Sequence[bytes]) -> bytes:
    """MTH of the RFC."""
    if not data:
        return hashlib.sha256().digest()
    if len(data) == 1:
        return hashlib.sha256(b"\0" + data[0]).digest()
    k = split(len(data))
    return hashlib.sha256(b"\1" + defined_root(data[:k]) + defined_root(data[k:])).digest()


def defined_path(m: int, data: Sequence[bytes]) -> list[bytes]:
    """PATH of the RFC."""
    if len(data) == 1:
        return []
    k = split(len(data))
    if m < k:
        return [*defined_path(m, data[:k]), defined_root(data[k:])]
    return [*defined_path(m - k, data[k:]), defined_root(data[:k])]


def defined_subproof(m: int, data: Sequence[bytes], whole: bool) -> list[bytes]:
    """SUBPROOF of the RFC."""
    if m == len(data):
        return [] if whole else [defined_root(data)]
    k = split(len(data))
    if m <= k:
        return [*defined_subproof(m, data[:k], whole), defined_root(data[k:])]
    return [*defined_subproof(m - k, data[k:], False), defined_root(data[:k])]


def spoiled(proof: Sequence[bytes]) -> list[list[bytes]]:
    """Every proof that differs from this one by a flipped bit, a missing, doubled or strange hash."""
    proof = list(proof)
    wrong = [[*proof, bytes(32)], [bytes(32), *proof], [*proof, b"short"]]
    for at, item in enumerate(proof):
        flipped = bytes([item[0] ^ 1]) + item[1:]
        wrong += [
            [*proof[:at], flipped, *proof[at + 1 :]],
            proof[:at] + proof[at + 1 :],
            [*proof[:at], item, *proof[at:]],
        ]
    return wrong


def test_published_roots_come_out() -> None:
    leaves = [hash_leaf(bytes.fromhex(leaf)) for leaf in PUBLISHED_LEAVES]

    assert [root_of(leaves[:count]).hex() for count in range(1, 9)] == PUBLISHED_ROOTS
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_root_of_every_small_size_is_the_defined_one() -> None:
    for size in range(SIZE_MAX + 1):
        assert root_of(hashes(size)) == defined_root(entries(size)), size


def test_every_inclusion_path_is_the_defined_one_and_verifies() -> None:
    for size in range(1, SIZE_MAX + 1):
        data, read_node, root = entries(size), node_reader_of(hashes(size)), defined_root(entries(size))
        for index in range(size):
            path = prove_inclusion(read_node, index=index, size=size)

            assert list(path) == defined_path(index, data), (size, index)
            verify_inclusion(hash_leaf(data[index]), path, index=index, size=size, root=root)


def test_spoiled_inclusion_path_is_refused() -> None:
    for size in range(1, 18):
        data, read_node = entries(size), node_reader_of(hashes(size))
        root = defined_root(data)
        for index in range(size):
            path = prove_inclusion(read_node, index=index, size=size)
            for wrong in spoiled(path):
                with pytest.raises(ProofInvalidError):
                    verify_inclusion(hash_leaf(data[index]), wrong, index=index, size=size, root=root)
            with pytest.raises(ProofInvalidError):
                verify_inclusion(hash_leaf(b"another"), path, index=index, size=size, root=root)
            with pytest.raises(ProofInvalidError):
                verify_inclusion(hash_leaf(data[index]), path, index=index, size=size, root=bytes(32))


def test_path_of_the_wrong_length_is_named_as_such() -> None:
    read_node, root, leaf = node_reader_of(hashes(9)), root_of(hashes(9)), hashes(9)[2]
    path = prove_inclusion(read_node, index=2, size=9)
    for wrong, said in [((*path, root), "too long"), (path[:-1], "too short")]:
        with pytest.raises(ProofInvalidError, match=said):
            verify_inclusion(leaf, wrong, index=2, size=9, root=root)
    proof = prove_consistency(read_node, old_size=6, new_size=9)
    for wrong, said in [((*proof, root), "too long"), (proof[:-1], "too short"), ((), "too short")]:
        with pytest.raises(ProofInvalidError, match=said):
            verify_consistency(wrong, old_size=6, old_root=root_of(hashes(6)), new_size=9, new_root=root)


def test_inclusion_path_of_one_place_is_refused_for_every_other() -> None:
    size = 13
    read_node, root = node_reader_of(hashes(size)), root_of(hashes(size))
    for index in range(size):
        path = prove_inclusion(read_node, index=index, size=size)
        for claimed in [-1, *range(size + 2)]:
            if claimed != index:
                with pytest.raises(ProofInvalidError):
                    verify_inclusion(hashes(size)[index], path, index=claimed, size=size, root=root)


def test_every_consistency_proof_is_the_defined_one_and_verifies() -> None:
    for new_size in range(SIZE_MAX + 1):
        data, read_node = entries(new_size), node_reader_of(hashes(new_size))
        new_root = defined_root(data)
        for old_size in range(new_size + 1):
            proof = prove_consistency(read_node, old_size=old_size, new_size=new_size)
            old_root = defined_root(data[:old_size])

            assert list(proof) == (defined_subproof(old_size, data, True) if old_size else [])
            verify_consistency(proof, old_size=old_size, old_root=old_root, new_size=new_size, new_root=new_root)


def test_spoiled_consistency_proof_is_refused() -> None:
    for new_size in range(18):
        data, read_node = entries(new_size), node_reader_of(hashes(new_size))
        new_root = defined_root(data)
        for old_size in range(new_size + 1):
            proof = prove_consistency(read_node, old_size=old_size, new_size=new_size)
            old_root = defined_root(data[:old_size])
            for wrong in spoiled(proof):
                with pytest.raises(ProofInvalidError):
                    verify_consistency(
                        wrong, old_size=old_size, old_root=old_root, new_size=new_size, new_root=new_root
                    )
            with pytest.raises(ProofInvalidError):
                verify_consistency(proof, old_size=old_size, old_root=bytes(32), new_size=new_size, new_root=new_root)
            if old_size:  # nothing is said about what follows an empty tree
                with pytest.raises(ProofInvalidError):
                    verify_consistency(
                        proof, old_size=old_size, old_root=old_root, new_size=new_size, new_root=bytes(32)
                    )


def test_tree_that_shrank_is_refused() -> None:
    with pytest.raises(ProofInvalidError, match="shrank"):
        verify_consistency([], old_size=3, old_root=root_of(hashes(3)), new_size=2, new_root=root_of(hashes(2)))


def test_impossible_questions_are_refused() -> None:
    read_node = node_reader_of(hashes(5))
    for index, size in [(5, 5), (-1, 5), (0, 0)]:
        with pytest.raises(InvalidInputError):
            prove_inclusion(read_node, index=index, size=size)
    for old_size, new_size in [(4, 3), (-1, 3)]:
        with pytest.raises(InvalidInputError):
            prove_consistency(read_node, old_size=old_size, new_size=new_size)
    for start, end in [(1, 3), (2, 2), (3, 2), (-2, 0)]:
        with pytest.raises(InvalidInputError):
            subtree_root(read_node, start=start, end=end)
    with pytest.raises(InvalidInputError):
        read_node(3, 0)
    with pytest.raises(InvalidInputError):
        root_of([b"short"])


def test_frontier_grown_in_any_two_steps_is_the_same() -> None:
    for size in range(SIZE_MAX + 1):
        leaves = hashes(size)
        whole = Frontier().append_many(leaves)
        for first in range(size + 1):
            start = Frontier().append_many(leaves[:first])
            assert start.append_many(leaves[first:]) == whole
            assert start.root() == defined_root(entries(first))
        assert whole.root() == defined_root(entries(size))
        assert Frontier.from_bytes(whole.to_bytes()) == whole


@given(st.lists(st.integers(0, 700), max_size=5))
def test_frontier_grown_in_batches_has_the_root_of_all(batches: list[int]) -> None:
    leaves = hashes(sum(batches))
    frontier, at = Frontier(), 0
    for count in batches:
        frontier = frontier.append_many(leaves[at : at + count])
        at += count

    assert frontier.size == len(leaves)
    assert frontier.root() == root_of(leaves)


@given(
    st.binary(max_size=200)
    | st.integers(0, 2**64 - 1).map(lambda size: size.to_bytes(8, "big") + bytes(32 * size.bit_count()))
)
def test_any_bytes_are_a_frontier_or_refused(data: bytes) -> None:
    try:
        frontier = Frontier.from_bytes(data)
    except ProofInvalidError:
        return
    assert frontier.to_bytes() == data
