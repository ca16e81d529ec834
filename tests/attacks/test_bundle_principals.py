"""A principal's number means one caller for ever: what an old entry says of it must not come to mean another."""

from __future__ import annotations

from pathlib import Path

import pytest

from ringfence.core.ledger import entry as e
from tests.attacks.bundles import judge, require_refuted, require_verified
from tests.ledgers import started


def test_number_above_every_earlier_one_is_taken(tmp_path: Path) -> None:
    ledger = started()
    ledger.register(7, "app")
    ledger.rule(e.PrincipalWithdrawn(number=7))
    ledger.register(8, "app")

    require_verified(judge(ledger, tmp_path))


@pytest.mark.parametrize("number", [7, 6])
def test_number_of_a_withdrawn_principal_is_refuted(tmp_path: Path, number: int) -> None:
    ledger = started()
    ledger.register(7, "app")
    ledger.rule(e.PrincipalWithdrawn(number=7))
    place = ledger.register(number, "parent")

    require_refuted(judge(ledger, tmp_path), f"principal {number} is registered twice", leaf=place)
