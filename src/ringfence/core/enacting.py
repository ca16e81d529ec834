"""Enacting: a charter comes into force, by one operator's rule or by a quorum's."""

from __future__ import annotations

from dataclasses import replace

from ringfence.core.charter import Charter
from ringfence.core.charter.catalog import keep_datasets
from ringfence.core.decisions.engines import ENGINES, HEEDING_ENGINES
from ringfence.core.errors import ProofInvalidError
from ringfence.core.ledger.entry import CharterEnacted
from ringfence.core.state import State


def enact(state: State, rule: CharterEnacted, charter: Charter, *, place: str) -> State:
    """Give the state with a charter in force.

    Raises:
        ProofInvalidError: the rule names another charter, an unknown engine or one that does not heed what the charter
            or a governed ledger asks, the version does not grow, or the charter is of another jurisdiction.
    """
    if rule.engine not in ENGINES:
        raise ProofInvalidError("a charter is enacted under an unknown engine", place=place, found=rule.engine)
    if (charter.requires_governance or state.standing is not None) and rule.engine not in HEEDING_ENGINES:
        raise ProofInvalidError(
            "a charter of a governed ledger, or whose flows ask for duties, grants or builds, is enacted under an "
            "engine that knows none of them and heeds no suspended flow",
            place=place,
            expected=" or ".join(sorted(HEEDING_ENGINES)),
            found=rule.engine,
        )
    if (charter.name, charter.version) != (rule.name, rule.version):
        raise ProofInvalidError("the enacted charter has another name or version", place=place)
    if state.charter is not None and charter.version <= state.charter.version:
        raise ProofInvalidError("a charter's version must grow", place=place, found=str(charter.version))
    if state.charter is not None and charter.jurisdiction.country != state.charter.jurisdiction.country:
        raise ProofInvalidError("a charter may not move to another jurisdiction", place=place)
    datasets = keep_datasets(state.datasets, charter)
    return replace(state, charter=charter, charter_digest=rule.digest, engine=rule.engine, datasets=datasets)
