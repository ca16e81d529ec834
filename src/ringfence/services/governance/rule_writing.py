"""Writing one rule: folded here first, so that what the state refuses is never written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ringfence.core.errors import ConflictError, ProofInvalidError
from ringfence.core.folding import RuleSource, complete
from ringfence.core.ledger import entry as e
from ringfence.core.ledger.governed_entry import PeopleRecorded
from ringfence.core.state import State
from ringfence.services.jobs import Prepared
from ringfence.services.keeper import RuleKeeper
from ringfence.services.writer import LaneWriter


@dataclass(frozen=True, slots=True)
class WrittenRule:
    """A rule to write, its opening, and the file that it names: a charter's, or the salted facts about people."""

    rule: e.Rule
    opening: bytes | None = None
    file: bytes = b""


class RuleWriter:
    """Writes rules into the authority's lane.

    Args:
        keeper: the state that the rules change.
        authority: the writer of lane 0.
    """

    def __init__(self, keeper: RuleKeeper, authority: LaneWriter) -> None:
        self.keeper = keeper
        self._authority = authority

    def now_ms(self) -> int:
        """Give the time by the writer's clock, in milliseconds since 1970 UTC."""
        return self._authority.clock_ms()

    async def write(self, make: Callable[[State, int], WrittenRule]) -> State:
        """Write one rule, made on the newest state, and give the state that has it.

        Raises:
            ConflictError: the state does not allow it; says why.
        """

        def prepare(state: State, at_ms: int) -> Prepared:
            made = make(state, at_ms)
            source = RuleSource(lane=self._authority.lane, at_ms=at_ms, opening=made.opening, blob=made.file or None)
            try:
                rule = complete(state, made.rule, source)
            except ProofInvalidError as error:
                raise ConflictError(f"the rules do not allow this: {error.message}") from error
            private = isinstance(rule, PeopleRecorded)
            return Prepared(
                entries=[e.render_entry(rule)],
                openings=[made.opening],
                rule=True,
                blob=b"" if private else made.file,
                facts=made.file if private else b"",
            )

        await self.keeper.refresh()
        await self._authority.submit(prepare, rule=True)
        return await self.keeper.refresh()
