"""What every part of the ledger is checked against; the same for all of them, sent once to each process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ringfence.verify.bundle import Bundle
from ringfence.verify.checkpoints import TimeLimits
from ringfence.verify.verdict import REFUTATIONS_MAX


@dataclass(frozen=True, slots=True)
class Scope:
    """What every part is checked against.

    Attributes:
        size: leaves in the tree.
        times: until when the leaves may have been written; its sizes are those of the checkpoints.
        erased: subjects that may not be listed from an epoch on.
        granted_users: the users of each grant that is for named ones, where they are known.
        from_leaf: entries before it are not decided again.
        refutations_max: how many refutations to name.
    """

    bundle: Bundle
    origin: str
    size: int
    times: TimeLimits
    detail: bool
    erased: Mapping[bytes, int] = field(default_factory=dict)
    granted_users: Mapping[int, frozenset[bytes]] = field(default_factory=dict)
    from_leaf: int = 0
    refutations_max: int = REFUTATIONS_MAX
