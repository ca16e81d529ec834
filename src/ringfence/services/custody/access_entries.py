"""The entry of an access, permitted or refused: what the ledger says of a request, and the opening of the rest."""

from __future__ import annotations

from ringfence.core.ledger import entry as e
from ringfence.services.custody.callers import check_caller
from ringfence.services.custody.gate import Gate
from ringfence.services.custody.request import Request


def access_entry(
    gate: Gate,
    request: Request,
    *,
    dataset: str,
    decided: dict[str, str],
    about: e.About,
    counted: e.Count | None = None,
    granted: e.Count | None = None,
) -> tuple[bytes, bytes]:
    """Give an access entry as a leaf, and its opening.

    Raises:
        UnauthenticatedError: as for `check_caller`.
    """
    caller = request.caller
    check_caller(gate, caller)
    opening = e.render_opening(gate.salts.take(), about)
    leaf = e.render_entry(
        e.Access(
            verb=request.verb,
            principal=caller.principal,
            country=caller.country,
            purpose=request.purpose,
            dataset=dataset,
            decided=decided,
            records=request.records,
            about=e.commit(opening),
            shape=request.shape,
            country_from=caller.country_from,
            counted=counted,
            grant=caller.grant,
            granted=granted,
            build=caller.build,
        )
    )
    return leaf, opening
