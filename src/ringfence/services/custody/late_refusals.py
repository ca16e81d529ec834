"""What is refused only once it stands in its batch: a limit is used up, a field is withheld, a grant is for others.

Rules of this file:
1. Nothing was given. The entry says who was refused and why, and nothing of what was asked for; but where the request
   is of one record or user, and its grant refuses it, it is the access itself that is recorded.
2. Such a refusal is recorded singly up to the caller's rate and counted above it, as any other: a caller whose limit
   is used up and who goes on asking fills no ledger.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ringfence.core.errors import DeniedError
from ringfence.core.ledger import entry as e
from ringfence.services.jobs import Prepared
from ringfence.services.refusals import RefusalMeter

TOMORROW: Final = ("the same tomorrow: a limit of the day begins anew at midnight UTC",)

ANOTHER_GRANT: Final = ("the same under another grant, which a proposal asks for",)


@dataclass(slots=True)
class LateRefusal:
    """The refusal of one request, which may be prepared several times and is admitted to the ledger once.

    Attributes:
        meter: counts what is not recorded singly.
        principal: who is refused.
        error: what the caller is told, without the receipt; None while nothing refuses the request.
    """

    meter: RefusalMeter
    principal: int
    error: DeniedError | None = None
    _admitted: bool | None = None

    def prepare(self, error: DeniedError, *, reason: str, at_ms: int, entry: Prepared | None = None) -> Prepared:
        """Give the refusal's entry.

        Args:
            error: what the caller is to be told.
            reason: a code, such as `bulk-limit`.
            at_ms: the batch's time.
            entry: what records it; one of `Refusals` where it is None.

        Raises:
            DeniedError: `error`, when the caller's refusals are above their rate and this one is only counted.
        """
        self.error = error
        if self._admitted is None:
            self._admitted = self.meter.admit(self.principal)
            if not self._admitted:
                self.meter.count(self.principal, reason)
        if not self._admitted:
            raise error
        if entry is not None:
            return entry
        leaf = e.Refusals(principal=self.principal, reason=reason, requests=1, since_ms=at_ms)
        return Prepared(entries=[e.render_entry(leaf)], openings=[None])

    def forget(self) -> None:
        """Note that the request is let through after all, on the state that it is prepared on now."""
        self.error = None

    def raise_with(self, receipt: str) -> None:
        """Tell the caller, with the receipt of the entry that was written.

        Raises:
            DeniedError: the request is refused.
        """
        if self.error is not None:
            raise DeniedError(
                self.error.message, clause=self.error.clause, could_ask=self.error.could_ask, receipt=receipt
            )
