"""A founding document for tests."""

from __future__ import annotations

from typing import Any

from ringfence.core.governance.founding import Founding, FoundingPerson, FoundingService, render_founding
from ringfence.core.ledger.entry import PRODUCTION, Identity
from ringfence.core.people.register import PersonFacts
from tests.core.people.ssh_keys import file_key
from tests.core.statements import AT_MS


def make_person(number: int, **facts: Any) -> FoundingPerson:
    """Give a founder, with other facts where they are given."""
    told = {"number": number, "reference": f"hr-{number}", "name": f"Founder {number}", "party": "usds"}
    return FoundingPerson(
        facts=PersonFacts(**(told | facts)),
        duties=("engineer",),
        key=file_key(number),
        identity=Identity("https://idp.example.com", f"founder-{number}"),
    )


FOUNDING = Founding(
    origin="ledger.example.com/custody",
    mode=PRODUCTION,
    engine="v2",
    authority=bytes(32),
    log_key="ledger.example.com/custody+00000000+AAAA",
    charter=bytes(32),
    build=bytes(32),
    at_ms=AT_MS,
    nonce=bytes(16),
    people=tuple(make_person(number) for number in (1, 2, 3)),
    holders=(1, 3),
    threshold=2,
    services=(FoundingService(party="usds", identity=Identity("ringfence:local", "ingest")),),
)
BYTES = render_founding(FOUNDING)
