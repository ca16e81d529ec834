"""Rules that the custodian makes: what the state does not allow is never written."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from ringfence.app.deployment import Deployment
from ringfence.app.runtime import open_runtime
from ringfence.core.errors import ConflictError
from ringfence.core.issuers import DEVELOPMENT_ISSUER
from tests.services.world import verified


def test_number_of_a_withdrawn_principal_is_never_given_again(deployment: Deployment, tmp_path: Path) -> None:
    async def work() -> tuple[int, int]:
        async with open_runtime(deployment) as runtime, runtime.governance() as governance:
            first = await governance.register(issuer=DEVELOPMENT_ISSUER, subject="first", party="bytedance")
            await governance.withdraw(issuer=DEVELOPMENT_ISSUER, subject="first")
            second = await governance.register(issuer=DEVELOPMENT_ISSUER, subject="second", party="usds")
            return first, second

    first, second = asyncio.run(work())

    assert second == first + 1
    verified(deployment, tmp_path / "bundle")


def test_identity_is_registered_once_at_a_time(deployment: Deployment) -> None:
    async def work() -> None:
        async with open_runtime(deployment) as runtime, runtime.governance() as governance:
            await governance.register(issuer=DEVELOPMENT_ISSUER, subject="first", party="bytedance")
            with pytest.raises(ConflictError, match="is registered already"):
                await governance.register(issuer=DEVELOPMENT_ISSUER, subject="first", party="usds")
            await governance.withdraw(issuer=DEVELOPMENT_ISSUER, subject="first")
            await governance.register(issuer=DEVELOPMENT_ISSUER, subject="first", party="usds")

    asyncio.run(work())
