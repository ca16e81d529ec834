"""Who was erased while requests waited: what was planned for such a subject before must not go on."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from ringfence.core.ledger import entry as e
from ringfence.services.keeper import RuleKeeper

ERASED_KEPT_MAX: Final = 100_000
"""Far more than are erased while any request waits."""


class ErasedLately:
    """The references of the subjects that were erased last, `ERASED_KEPT_MAX` at most.

    Args:
        keeper: tells of every rule, and so of every erasure.
    """

    def __init__(self, keeper: RuleKeeper) -> None:
        self._erased: OrderedDict[bytes, None] = OrderedDict()
        keeper.on_rule(self._note)

    def __contains__(self, subject_ref: bytes) -> bool:
        """Tell whether a subject was erased lately."""
        return subject_ref in self._erased

    def _note(self, rule: e.Rule, about: e.About | None) -> None:
        if isinstance(rule, e.SubjectErased) and about is not None:
            self._erased.update(dict.fromkeys(about.subjects))
            while len(self._erased) > ERASED_KEPT_MAX:
                self._erased.popitem(last=False)
