"""The gateway's application on a governed deployment that is open in this process."""

from __future__ import annotations

from ringfence.app.surroundings import make_country_finder
from ringfence.core.errors import NotFoundError
from ringfence.core.ledger import entry as e
from ringfence.gateway.application import Gateway
from ringfence.gateway.governance import GovernanceCalls
from ringfence.gateway.scim.calls import ScimCalls
from tests.gateway.issuers import make_checker
from tests.services.governed_world import GovernedWorld


def make_gateway(world: GovernedWorld) -> Gateway:
    """Give the application on a governed deployment; nobody asks for proofs here."""

    async def prove(text: str) -> bytes:
        raise NotFoundError(text)

    return Gateway(
        world.gate,
        tokens=make_checker(),
        countries=make_country_finder(world.runtime.deployment, mode=e.DEVELOPMENT),
        readiness=list,
        notes=list,
        documents={},
        tree_file=lambda path: None,
        prove=prove,
        governance=GovernanceCalls(world.gate, world.runtime.signed_governance),
        people=ScimCalls(world.gate, world.runtime.governance),
    )
