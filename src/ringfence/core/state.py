"""State: everything that decisions depend on, as values. `folding` makes the next one from a rule.

What a decision reads is in the tree in the clear; openings only add who is behind a number and what is known of people,
so that a verifier without them still re-derives every decision.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec
from immutables import Map

from ringfence.core.charter import Charter
from ringfence.core.charter.catalog import Kept
from ringfence.core.charter.governance import Governance
from ringfence.core.errors import ProofInvalidError
from ringfence.core.people.standing import Standing, digest_standing


@dataclass(frozen=True, slots=True)
class Lane:
    """A lane that was certified: its public key (32 bytes), build and duty, and whether it may still write."""

    number: int
    key: bytes
    build: str
    duty: str
    closed_after: int | None = None


@dataclass(frozen=True, slots=True)
class Principal:
    """A registered caller: a number and the party it belongs to. An issuer never says which party that is.

    `feeds` is whether it may tell facts about people to the register.
    """

    number: int
    party: str
    feeds: bool = False


@dataclass(frozen=True, slots=True)
class State:
    """Everything that decisions depend on after `epoch` rules.

    `principal_last` is the largest number that any principal ever had: a number is never given to a second one.
    `identities` maps (issuer, subject) to a principal's number, for those whose opening is known.
    `erased` counts erased subjects; `erased_digest` chains their commitments.
    `datasets` is what all charters so far have said of each dataset: stored records keep the classes that they had.
    `genesis` is the leaf hash (32 bytes) of the first entry. `standing` is what governance has come to; None where the
    ledger was founded without founders, so that one operator makes the rules. `ruled_ms` is the latest time of a rule:
    nothing that follows is of an earlier one.
    """

    epoch: int = 0
    origin: str = ""
    genesis: bytes = b""
    mode: str = ""
    engine: str = ""
    log_key: str = ""
    charter: Charter | None = None
    charter_digest: bytes = b""
    datasets: Mapping[str, Kept] = field(default_factory=dict)
    lanes: Mapping[int, Lane] = field(default_factory=dict)
    principals: Map[int, Principal] = field(default_factory=Map)
    principal_last: int = 0
    identities: Map[tuple[str, str], int] = field(default_factory=Map)
    key_epochs: Mapping[str, int] = field(default_factory=dict)
    erased: int = 0
    erased_digest: bytes = bytes(32)
    standing: Standing | None = None
    ruled_ms: int = 0

    @property
    def rules(self) -> Charter:
        """The charter in force.

        Raises:
            ProofInvalidError: none has been enacted yet.
        """
        if self.charter is None:
            raise ProofInvalidError("no charter is in force yet", place=f"epoch {self.epoch}")
        return self.charter

    @property
    def withheld(self) -> int:
        """How many signatures and facts could not be looked at."""
        return self.standing.withheld if self.standing else 0

    @property
    def governed(self) -> Standing:
        """What governance has come to.

        Raises:
            ProofInvalidError: the ledger is not governed.
        """
        if self.standing is None:
            raise ProofInvalidError(
                "the ledger is not governed: it was founded without founders", place=f"epoch {self.epoch}"
            )
        return self.standing

    @property
    def governance(self) -> Governance:
        """What the charter in force says of people.

        Raises:
            ProofInvalidError: it says nothing of them, or none has been enacted yet.
        """
        if self.rules.governance is None:
            raise ProofInvalidError("the charter says nothing of governance", place=f"epoch {self.epoch}")
        return self.rules.governance


EMPTY: Final = State()


def without_identity(identities: Map[tuple[str, str], int], number: int) -> Map[tuple[str, str], int]:
    """Give the identities without those of one principal."""
    for identity, known in identities.items():
        if known == number:
            identities = identities.delete(identity)
    return identities


def digest_state(state: State) -> bytes:
    """Give a digest (32 bytes) of everything in the state that is in the tree in the clear.

    Two who folded one ledger compare states by it; the recorded ledger of `tests/vectors` has it after each rule.
    """
    facts = {
        "epoch": state.epoch,
        "origin": state.origin,
        "mode": state.mode,
        "engine": state.engine,
        "charter": state.charter_digest.hex(),
        "lanes": [
            [lane.number, lane.key.hex(), lane.build, lane.duty, lane.closed_after]
            for _, lane in sorted(state.lanes.items())
        ],
        "principals": [
            [who.number, who.party, *(["feeds"] if who.feeds else [])] for _, who in sorted(state.principals.items())
        ],
        "principal_last": state.principal_last,
        "key_epochs": dict(sorted(state.key_epochs.items())),
        "erased": [state.erased, state.erased_digest.hex()],
        "standing": digest_standing(state.standing).hex() if state.standing else None,
    }
    return hashlib.sha256(msgspec.json.encode(facts)).digest()
