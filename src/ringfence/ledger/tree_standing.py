"""What a signed tree holds of each lane, kept beside the tree under the log's own signature.

The database's tree head says up to which batch each lane is in the tree, and the sequencer goes on from there. Someone
who sets that back would have a batch sequenced twice, and a tree once signed cannot be mended. So the sequencer takes
it from here, and from the leaves that were committed since; the database has to agree.

Rules of this file:
1. A standing is signed by the log's key over a message that begins unlike a checkpoint and unlike a cosignature.
2. An older standing is as good as the newest: more leaves are read again. Without one, all of them are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from ringfence.core.errors import IntegrityError
from ringfence.core.ledger.entry import RULE_PREFIX
from ringfence.core.ledger.merkle import EMPTY_ROOT
from ringfence.core.ports import TreeHead
from ringfence.ledger.leaves import PlacedBatch

STANDING: Final = "standing"
_CONTEXT: Final = b"ringfence standing v1\n"


@dataclass(frozen=True, slots=True)
class TreeStanding:
    """A tree of `size` leaves with this root holds `epoch` rules, and each lane up to batch `sequenced[lane]`."""

    size: int
    root: bytes
    epoch: int
    sequenced: Mapping[int, int]

    def after(self, placed: PlacedBatch) -> TreeStanding:
        """Give the standing after one more batch; the root is left for whoever knows it."""
        batch = placed.batch
        rules = sum(entry.startswith(RULE_PREFIX) for entry in batch.entries)
        sequenced = {**self.sequenced, batch.lane: batch.n}
        return TreeStanding(placed.first_leaf + len(placed.leaves), b"", self.epoch + rules, sequenced)

    def check_head(self, head: TreeHead) -> None:
        """Check that the database's head says the same of rules and lanes.

        Raises:
            IntegrityError: it says something else: names the first lane that differs.
        """
        for lane in sorted({*self.sequenced, *head.sequenced}):
            ours, theirs = self.sequenced.get(lane, 0), head.sequenced.get(lane, 0)
            if ours != theirs:
                raise IntegrityError(
                    f"the database says that lane {lane} is in the tree up to batch {theirs}, and it is up to {ours}",
                    place="tree head",
                )
        if self.epoch != head.epoch:
            raise IntegrityError(
                f"the database says that the tree holds {head.epoch} rules, and it holds {self.epoch}",
                place="tree head",
            )


EMPTY: Final = TreeStanding(0, EMPTY_ROOT, 0, {})


class _Signed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    size: int
    root: bytes
    epoch: int
    sequenced: dict[int, int]
    signature: bytes = b""


_decoder: msgspec.json.Decoder[_Signed] = msgspec.json.Decoder(_Signed)


def render_standing(standing: TreeStanding, *, key: Ed25519PrivateKey) -> bytes:
    """Give a standing as bytes, signed."""
    unsigned = _Signed(size=standing.size, root=standing.root, epoch=standing.epoch, sequenced=dict(standing.sequenced))
    return msgspec.json.encode(msgspec.structs.replace(unsigned, signature=key.sign(_message(unsigned))))


def parse_standing(data: bytes, *, public_key: bytes) -> TreeStanding | None:
    """Read a standing, or give None when it is none that this key (32 bytes) signed: rule 2."""
    try:
        signed = _decoder.decode(data)
        Ed25519PublicKey.from_public_bytes(public_key).verify(signed.signature, _message(signed))
    except (msgspec.DecodeError, ValueError, InvalidSignature):
        return None
    return TreeStanding(signed.size, signed.root, signed.epoch, signed.sequenced)


def _message(signed: _Signed) -> bytes:
    ordered = dict(sorted(signed.sequenced.items()))
    return _CONTEXT + msgspec.json.encode(msgspec.structs.replace(signed, sequenced=ordered, signature=b""))
