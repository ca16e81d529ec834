"""Governed ledgers as bundles: what the people of `tests.governed` signed, and accesses under their grants.

As `tests.ledgers`, it checks nothing and signs whatever it is told.
"""

from __future__ import annotations

from collections.abc import Mapping

from ringfence.core import changes as c
from ringfence.core.ledger import entry as e
from tests.governed import BUILD, CHARTER, NUMBERS, ORIGIN, Ground, a_grant
from tests.ledgers import GATEWAY, Ledger, key_of


class GovernedLedger(Ledger):
    """A ledger that goes along with a `Ground`: `follow` adds the rules that were folded there since."""

    ground: Ground

    def follow(self) -> None:
        """Add the rules that the ground has and this does not have yet, each at its own time."""
        for rule, source in self.ground.entries[self.epoch :]:
            self.now_ms = source.at_ms - 10
            self.rule(rule, opening=source.opening or b"", blob=source.blob or b"")

    def read(
        self,
        *subjects: bytes,
        grant: int = 1,
        who: str = "eve",
        records: int = 1,
        step: Mapping[str, int] | None = None,
        counted_by: str = "",
        **told: object,
    ) -> tuple[e.Access, bytes]:
        """Give a read under a grant, counted; `step` are other values of its step, `counted_by` another counter."""
        self.now_ms = max(self.now_ms, self.ground.now_ms)
        values = {"day": 0, **(step or {})}
        granted = self.step(counted_by or f"grant/{grant}", values.pop("by", records), **values)
        usual: dict[str, object] = {"purpose": "support", "granted": granted, "principal": NUMBERS[who]}
        return self.access(*subjects, records=records, grant=grant, **{**usual, **told})  # type: ignore[arg-type]


def governed(*grants: c.Grant, subjects: tuple[bytes, ...] = (), charter: str = CHARTER) -> GovernedLedger:
    """Give a ledger that was founded, with a gateway's lane and these grants to eve (one for any user if none)."""
    ground = Ground.founded(charter)
    ledger = GovernedLedger(origin=ORIGIN, mode=e.DEVELOPMENT, now_ms=ground.entries[0][1].at_ms)
    ledger.ground = ground
    lane_key = key_of(f"lane {GATEWAY}").public_key().public_bytes_raw()
    ground.fold(e.LaneCertified(lane=GATEWAY, key=lane_key, build=f"sha256:{BUILD.hex()}", duty="gateway"))
    for number, grant in enumerate(grants or (a_grant(),), start=1):
        ground.agree("eve", grant, "ada", "ben", number=number, subjects=() if grant.subjects_any else subjects)
    ledger.follow()
    return ledger
