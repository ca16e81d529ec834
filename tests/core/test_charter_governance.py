"""What a charter says of people: duties, quorums, orders, independence."""

from __future__ import annotations

from ringfence.core.charter_governance import GRANT_KINDS, OPERATIONS, ORDERS
from ringfence.core.governance import changes


def test_charter_speaks_of_exactly_the_changes_that_can_be_asked_for() -> None:
    assert set(OPERATIONS) == {*changes.CARRIED, "suspend"}
    assert set(ORDERS) == set(changes.ORDERED)
    assert set(GRANT_KINDS) == set(changes.GRANT_KINDS)
