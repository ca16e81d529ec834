"""What a write says that it deleted: the version that is gone, and no bytes."""

from __future__ import annotations

from pathlib import Path

import pytest

from ringfence.core.ledger import entry as e
from tests.attacks.bundles import judge, require_refuted, require_verified
from tests.ledgers import GATEWAY, started

RECORD, ALICE = b"r" * 16, b"a" * 16


def told(*written: e.Written) -> e.About:
    return e.About(subjects=[ALICE], records=[RECORD], written=list(written))


def test_deletion_of_a_version_is_taken(tmp_path: Path) -> None:
    ledger = started()
    about = told(e.Written(RECORD, "protected", 3, bytes(32)), e.Written(RECORD, "public", -2, b""))
    ledger.batch(GATEWAY, ledger.access(verb="write", told=about))

    require_verified(judge(ledger, tmp_path))


@pytest.mark.parametrize(("version", "digest"), [(-2, bytes(32)), (2, b""), (0, bytes(32))])
def test_deletion_with_bytes_and_write_without_are_refuted(tmp_path: Path, version: int, digest: bytes) -> None:
    ledger = started()
    about = told(e.Written(RECORD, "protected", 3, bytes(32)), e.Written(RECORD, "public", version, digest))
    place = ledger.batch(GATEWAY, ledger.access(verb="write", told=about))

    require_refuted(judge(ledger, tmp_path), "a part was written twice", leaf=place + 1)
