"""Proofs for receipts: from the store's place of a batch and the tree's files to one small text file.

The store only says where to look. The proof is held against the signed checkpoint before it is given out, so what a
caller gets always verifies.
"""

from __future__ import annotations

from ringfence.core.errors import IntegrityError, NotFoundError, ProofInvalidError, UnavailableError
from ringfence.core.ledger.checkpoint import open_checkpoint
from ringfence.core.ledger.merkle import HASH_SIZE_BYTES, verify_inclusion
from ringfence.core.ledger.proof import InclusionProof, render_proof
from ringfence.core.ledger.receipt import Receipt
from ringfence.core.ledger.signed_note import VerifierKey
from ringfence.core.ledger.tiles import TILE_WIDTH, prove_inclusion_from_tiles
from ringfence.core.ports import Store
from ringfence.ledger.tree_reader import TreeReader


async def prove_receipt(store: Store, tree: TreeReader, receipt: Receipt, *, log_key: VerifierKey) -> bytes:
    """Give the proof file (tlog-proof) of a receipt's entry under the newest checkpoint.

    Raises:
        NotFoundError: the store has no such batch, or the signed tree has another entry at that place: nobody was given
            such a receipt. Whoever holds a true one shows a changed ledger by any proof of that place.
        UnavailableError: the entry is not under a signed checkpoint yet; it is within a second of being sealed.
        IntegrityError: the tree's files are not what was signed.
    """
    place = f"lane {receipt.lane} batch {receipt.n} entry {receipt.position}"
    first_leaf = await store.placement(receipt.lane, receipt.n)
    if first_leaf is None:
        if await store.find_batch(receipt.lane, receipt.n) is None:
            raise NotFoundError(f"the ledger has no batch {receipt.n} of lane {receipt.lane}")
        raise _not_yet(place)
    found, proof = _prove(tree, index=first_leaf + 1 + receipt.position, log_key=log_key, place=place)
    if found != receipt.entry_hash:
        raise NotFoundError(f"the ledger has another entry than this receipt's at {place}")
    return proof


def prove_leaf(tree: TreeReader, *, index: int, leaf_hash: bytes, log_key: VerifierKey, place: str) -> bytes:
    """Give the proof file of one leaf under the newest checkpoint, checked.

    Args:
        tree: the static tree.
        index: place of the leaf, 0-based.
        leaf_hash: 32 bytes; what the leaf must be.
        log_key: the log's key; its name is the origin.
        place: what to call the leaf in an error.

    Raises:
        UnavailableError: the newest checkpoint is of a smaller tree.
        IntegrityError: the tree has another leaf there, or its files are not what was signed.
    """
    found, proof = _prove(tree, index=index, log_key=log_key, place=place)
    if found != leaf_hash:
        raise IntegrityError(f"the ledger has another entry at leaf {index}", place=place)
    return proof


def _prove(tree: TreeReader, *, index: int, log_key: VerifierKey, place: str) -> tuple[bytes, bytes]:
    """Give the hash of the leaf at this place, and the proof that it is there."""
    try:
        note = tree.read_checkpoint()
        if note is None:
            raise _not_yet(place)
        signed = open_checkpoint(note, log_key=log_key, strict=False)
        size, root = signed.checkpoint.size, signed.checkpoint.root
        if index >= size:
            raise _not_yet(place)
        found = _read_leaf_hash(tree, index=index, size=size)
        path = prove_inclusion_from_tiles(tree.read_tile, index=index, size=size)
        verify_inclusion(found, path, index=index, size=size, root=root)
    except ProofInvalidError as error:
        raise IntegrityError(f"the tree's files are not what was signed: {error}", place=error.place) from None
    return found, render_proof(InclusionProof(index=index, hashes=path, checkpoint=note))


def _read_leaf_hash(tree: TreeReader, *, index: int, size: int) -> bytes:
    tile, offset = divmod(index, TILE_WIDTH)
    data = tree.read_tile(0, tile, min(TILE_WIDTH, size - tile * TILE_WIDTH))
    return data[offset * HASH_SIZE_BYTES : (offset + 1) * HASH_SIZE_BYTES]


def _not_yet(place: str) -> UnavailableError:
    return UnavailableError(
        f"{place} is not under a signed checkpoint yet", hint="Ask again in a second; if it stays so, run `doctor`."
    )
