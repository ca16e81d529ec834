"""Decision engines, one frozen module each.

An engine turns state and a request into a decision. Once an engine has decided anything in a ledger, its module is
never edited: a correction is a new engine, activated by an entry in the ledger, so that history stays checkable by
the engine that made it. Every engine has test vectors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from ringfence.core.charter import Charter
from ringfence.core.decisions.engines import v1, v2
from ringfence.core.decisions.engines.hints import what_could_be_asked
from ringfence.core.decisions.view import Decision, View
from ringfence.core.errors import ProofInvalidError

__all__ = ["ENGINES", "HEEDING_ENGINES", "NEWEST_ENGINE", "decide", "what_could_be_asked"]

ENGINES: Final[Mapping[str, Callable[[Charter, View], Decision]]] = MappingProxyType(
    {v1.NAME: v1.decide, v2.NAME: v2.decide}
)
"""Every engine that has ever decided, by name."""

HEEDING_ENGINES: Final = frozenset({v2.NAME})
"""Engines that heed what a flow asks of duties, grants and builds, and what is suspended; others permit without."""

NEWEST_ENGINE: Final = v2.NAME
"""The engine that a new ledger starts with."""


def decide(engine: str, charter: Charter, view: View) -> Decision:
    """Decide by a named engine. Pure.

    Raises:
        ProofInvalidError: there is no such engine; a ledger that names one cannot be checked by this program.
    """
    chosen = ENGINES.get(engine)
    if chosen is None:
        known = ", ".join(ENGINES)
        raise ProofInvalidError("there is no such decision engine", place="engine", expected=known, found=engine[:60])
    return chosen(charter, view)
