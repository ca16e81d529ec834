"""What the rules say to the open proposals, tried out apart from the loop that serves requests.

Rules of this file:
1. A proposal that has all its approvals is tried out as if it were carried. Where the charter asks for a coalition's
   size that may take seconds, so that it is done in a thread, one proposal at a time whoever asks.
2. What was found is told again while the rules stay, up to `TOLD_AGAIN_MS`: whoever asks often costs no more.
3. It is help in words. Whoever carries a proposal has it counted anew, on the state that it takes effect in.
"""

from __future__ import annotations

import asyncio
from typing import Final

from ringfence.core.governance.proposals import why_not_carried
from ringfence.core.people.standing import Proposal
from ringfence.core.state import State
from ringfence.services.governance.signed import why_refused

TOLD_AGAIN_MS: Final = 60_000


class Trials:
    """Tries out open proposals, and remembers what was found."""

    def __init__(self) -> None:
        self._trying = asyncio.Lock()
        self._epoch = 0
        self._found: dict[int, tuple[int, str]] = {}

    async def describe_wait(self, state: State, proposal: Proposal, *, at_ms: int) -> str:
        """Say what a proposal still lacks, or why the rules refuse what has all of it; "" when it can be carried."""
        if reason := why_not_carried(state, proposal, at_ms=at_ms):
            return reason
        async with self._trying:
            if state.epoch != self._epoch:
                self._epoch, self._found = state.epoch, {}
            found_ms, words = self._found.get(proposal.number, (-TOLD_AGAIN_MS, ""))
            if at_ms - found_ms >= TOLD_AGAIN_MS:
                words = await asyncio.to_thread(why_refused, state, proposal, at_ms=at_ms)
                self._found[proposal.number] = (at_ms, words)
            return words
