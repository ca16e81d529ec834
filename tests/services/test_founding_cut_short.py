"""A founding that ends in its midst goes on where it stopped, and nothing of it is written that cannot be whole."""

from __future__ import annotations

import asyncio
import fcntl
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from ringfence.app.ceremony import CEREMONY, CHARTER, DOCUMENT, Founded, begin_ceremony, finish_ceremony
from ringfence.app.configuration import Configuration
from ringfence.app.deployment import TRUST_FILE, Deployment, open_deployment
from ringfence.app.doctor import check_deployment
from ringfence.app.initialise import Ground
from ringfence.core.errors import ConfigurationError, ProofInvalidError, RingfenceError
from ringfence.core.governance.founding import FOUND
from ringfence.core.ledger.entry import DEVELOPMENT
from ringfence.core.state import State
from ringfence.services.governance.authority import Governance
from ringfence.services.governance.rule_writing import WrittenRule
from tests import governed
from tests.founders import write_plan
from tests.services.world import sequence, verified

Make = Callable[[State, int], WrittenRule]
FIRST_ENTRIES = 4


class Killed(BaseException):
    """The process ended here."""


@pytest.fixture
def begun(tmp_path: Path) -> Deployment:
    """A deployment whose founders have to sign yet."""
    table, directory = tmp_path / "table", tmp_path / "deployment"
    table.mkdir()
    ground = Ground(
        charter_text=governed.CHARTER.encode(),
        charter_file="charter.yaml",
        origin="ledger.example.org/founding",
        configuration=Configuration(region="home", development_country="US"),
        mode=DEVELOPMENT,
    )
    asyncio.run(begin_ceremony(directory, ground, plan=write_plan(table, governed.FOUNDERS, [])))
    return open_deployment(directory)


def signatures(deployment: Deployment) -> Sequence[bytes]:
    document = (deployment.directory / CEREMONY / DOCUMENT).read_bytes()
    return [governed.sign(name, document, FOUND) for name in governed.FOUNDERS]


def finish(deployment: Deployment) -> Founded:
    return asyncio.run(finish_ceremony(deployment, signatures(deployment)))


def wrong(deployment: Deployment) -> list[str]:
    found = asyncio.run(check_deployment(deployment.directory))
    return [finding.detail for finding in found if finding.state == "wrong"]


@pytest.mark.parametrize("written", range(FIRST_ENTRIES))
def test_founding_goes_on_from_each_entry_that_it_was_killed_after(
    begun: Deployment, tmp_path: Path, written: int
) -> None:
    write, left = Governance.write, [written]

    async def write_or_die(self: Governance, make: Make) -> State:
        if not left[0]:
            raise Killed
        left[0] -= 1
        return await write(self, make)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Governance, "write", write_or_die)
        with pytest.raises(Killed):
            finish(begun)
    told = "not all of its first entries are there" if written else "no ledger is begun yet"
    assert [told in detail for detail in wrong(begun)] == [True]

    assert finish(begun).charter.name == "small"

    assert wrong(begun) == []
    asyncio.run(sequence(begun))
    assert verified(begun, tmp_path / "bundle").epoch == FIRST_ENTRIES
    with pytest.raises(ConfigurationError, match="begun already"):
        finish(begun)


def test_ledger_does_not_begin_with_another_charter_than_was_signed(begun: Deployment) -> None:
    file = begun.directory / CEREMONY / CHARTER
    signed = file.read_bytes()
    file.write_bytes(signed + b"# edited\n")

    with pytest.raises(ProofInvalidError, match="file is missing or is not the one enacted"):
        finish(begun)

    assert not (begun.directory / TRUST_FILE).exists()
    assert ["no ledger is begun yet" in detail for detail in wrong(begun)] == [True]
    file.write_bytes(signed)
    finish(begun)
    assert wrong(begun) == []


def test_two_do_not_begin_one_ledger_at_once(begun: Deployment) -> None:
    """Each would pin a beginning of its own, and only one of them would be the ledger's."""
    with (begun.directory / CEREMONY / DOCUMENT).open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(RingfenceError, match="another process begins the ledger"):
            finish(begun)
        assert not (begun.directory / TRUST_FILE).exists()

    finish(begun)
    assert wrong(begun) == []
