"""What a decision sees, and what it says.

A `View` is a product of finite vocabularies made from the charter's atoms. It holds nothing about the user whose
data is asked for, and nothing that is not written into the ledger entry, so that anyone can decide again.
A value that the charter does not name is `OTHER`, which no flow can permit by name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from ringfence.core.charter.terms import NONE

APPROVED: Final = "approved"
"""The build of a service that runs what inspectors approved."""


class View(NamedTuple):
    """One question put to the charter: may this party do this, to this class of this dataset?

    Attributes:
        party: a party of the charter, or `OTHER`.
        country: ISO 3166 alpha-2 country of the connection, or `OTHER` when it is not known.
        purpose: a purpose of the charter's vocabulary, or `OTHER`.
        verb: one of `VERBS`.
        dataset: a dataset of the charter, or `OTHER`.
        data_class: a class of the charter; a field that is not classified is `protected`.
        shape: `single` (one user) or `bulk` (several users in one request).
        duty: a duty of the charter that the caller holds; `OTHER` for a person who holds none, `NONE` for a service.
        grant: the kind of the grant that the request rests on, or `NONE`.
        build: `APPROVED` when the caller is a service whose build inspectors approved, else `NONE`.
        stopped: names of the flows that are suspended.
    """

    party: str
    country: str
    purpose: str
    verb: str
    dataset: str
    data_class: str
    shape: str
    duty: str = NONE
    grant: str = NONE
    build: str = NONE
    stopped: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Decision:
    """What the charter says to one `View`.

    Attributes:
        permitted: whether the request may go on.
        clause: the name of the flow that permits, or of the one that would and is stopped; "" when no clause permits.
        withheld: fields of the dataset that are dropped after opening, in the order of the charter.
        records_max: most records that one request may touch; 1 page for `single`, the flow's limit for `bulk`.
        records_per_day_max: most records a UTC day under this clause in bulk; 0 means that nothing is counted.
        downgrades_per_day_max: most records a UTC day that a write may move to a less protected class.
        needs_grant: whether it is permitted only because of a grant.
    """

    permitted: bool
    clause: str
    withheld: tuple[str, ...] = ()
    records_max: int = 0
    records_per_day_max: int = 0
    downgrades_per_day_max: int = 0
    needs_grant: bool = False


DENIED: Final = Decision(permitted=False, clause="")
