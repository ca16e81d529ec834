"""Accesses by builds that nobody approved, that were withdrawn, or for which the ledger has no credential.

Each is refuted, and its honest twin is verified.

The ledgers are signed by every key there is.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ringfence.core import changes as c
from ringfence.core.decisions.ruling import STOPPED_BUILD
from ringfence.core.ledger import entry as e
from tests.attacks.bundles import judge, require_refuted, require_verified
from tests.builds import BUILT, OTHER_BUILT, approve, credential, for_builds, give_credential
from tests.governed import APP, CHARTER
from tests.governed_ledgers import GovernedLedger, governed
from tests.ledgers import ALICE, BOB, GATEWAY

BY_BUILD = {"protected": "serving-by-build", "public": "serving-by-build"}
STOPPED = dict.fromkeys(BY_BUILD, STOPPED_BUILD)


def make_ledger() -> GovernedLedger:
    """Give a ledger in which one build of the app is approved, and its service has a credential for it."""
    ledger = governed(charter=for_builds(CHARTER))
    ledger.ground.agree("hal", approve(), "gus")
    give_credential(ledger.ground)
    ledger.follow()
    return ledger


def read(ledger: GovernedLedger, build: bytes = BUILT, **told: object) -> tuple[e.Access, bytes]:
    ledger.now_ms = max(ledger.now_ms, ledger.ground.now_ms)
    return ledger.access(ALICE, principal=APP, build=build, **told)  # type: ignore[arg-type]


def test_access_by_a_build_that_nobody_approved_is_refuted(tmp_path: Path) -> None:
    ledger = make_ledger()
    ledger.batch(GATEWAY, read(ledger), read(ledger, OTHER_BUILT))
    require_verified(judge(ledger, tmp_path / "honest"))
    place = ledger.batch(GATEWAY, read(ledger, OTHER_BUILT, decided=BY_BUILD))
    words = f"the charter decides otherwise: the build {OTHER_BUILT.hex()} is not approved"
    require_refuted(judge(ledger, tmp_path / "forged"), words, leaf=place + 1)


def test_access_without_a_build_by_a_flow_for_builds_is_refuted(tmp_path: Path) -> None:
    ledger = make_ledger()
    ledger.batch(GATEWAY, read(ledger), read(ledger, b""))
    require_verified(judge(ledger, tmp_path / "honest"))
    place = ledger.batch(GATEWAY, read(ledger, b"", decided=BY_BUILD))
    require_refuted(judge(ledger, tmp_path / "forged"), "the charter decides otherwise", leaf=place + 1)


def test_refusal_of_an_approved_build_is_refuted(tmp_path: Path) -> None:
    ledger = make_ledger()
    place = ledger.batch(GATEWAY, read(ledger, decided=STOPPED))
    require_refuted(judge(ledger, tmp_path), "the charter decides otherwise", leaf=place + 1)


def test_access_by_a_service_that_the_ledger_gave_no_credential_is_refuted(tmp_path: Path) -> None:
    """As whoever has the key of credentials, and no more of the custodian's, could make a gateway believe."""
    ledger = make_ledger()
    ledger.ground.agree("hal", approve(OTHER_BUILT), "gus")
    ledger.follow()
    refused = read(ledger, OTHER_BUILT)
    assert refused[0].decided == STOPPED
    ledger.batch(GATEWAY, read(ledger), refused)
    require_verified(judge(ledger, tmp_path / "honest"))

    place = ledger.batch(GATEWAY, read(ledger, OTHER_BUILT, decided=BY_BUILD))
    words = f"caller {APP} has no credential for the build {OTHER_BUILT.hex()}: none was recorded"
    require_refuted(judge(ledger, tmp_path / "forged"), words, leaf=place + 1)


def test_access_after_its_credential_ended_is_refuted(tmp_path: Path) -> None:
    ledger = make_ledger()
    until_ms = max(one.until_ms for one in ledger.state.governed.credentials[APP, BUILT].values())
    ledger.now_ms = until_ms - 11
    ledger.batch(GATEWAY, read(ledger))
    refused = read(ledger, decided=STOPPED)
    ledger.batch(GATEWAY, refused)
    assert ledger.now_ms >= until_ms
    require_verified(judge(ledger, tmp_path / "honest"))
    place = ledger.batch(GATEWAY, read(ledger, decided=BY_BUILD))
    words = f"caller {APP} has no credential for the build {BUILT.hex()}: the last one ended at "
    require_refuted(judge(ledger, tmp_path / "forged"), words, leaf=place + 1)


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ({"build": OTHER_BUILT}, "is not approved"),
        ({"principal": APP - 1}, "no service has this number"),
        ({"until_ms": 2**62}, "it is for no time"),
    ],
)
def test_credential_that_the_rules_do_not_allow_is_refuted(tmp_path: Path, told: dict[str, object], why: str) -> None:
    ledger = make_ledger()
    require_verified(judge(ledger, tmp_path / "honest"))
    place = ledger.rule(credential(ledger.now_ms, **told))  # type: ignore[arg-type]
    require_refuted(judge(ledger, tmp_path / "forged"), why, leaf=place)


def _withdraw(ledger: GovernedLedger) -> None:
    ledger.ground.order("gus", c.WithdrawBuild(digest=BUILT))


def _approve_for_another_party(ledger: GovernedLedger) -> None:
    _withdraw(ledger)
    ledger.ground.agree("hal", approve(party="trust"), "gus")


@pytest.mark.parametrize(
    ("happens", "why"),
    [
        (_withdraw, "was withdrawn by rule"),
        (_approve_for_another_party, "is approved for trust, not for app"),
    ],
)
def test_access_after_its_build_was_withdrawn_is_refuted(
    tmp_path: Path, happens: Callable[[GovernedLedger], None], why: str
) -> None:
    ledger = make_ledger()
    ledger.batch(GATEWAY, read(ledger))
    happens(ledger)
    ledger.follow()
    refused = read(ledger)
    assert refused[0].decided == STOPPED
    ledger.batch(GATEWAY, refused)
    require_verified(judge(ledger, tmp_path / "honest"))

    place = ledger.batch(GATEWAY, read(ledger, decided=BY_BUILD))
    words = f"the charter decides otherwise: the build {BUILT.hex()} {why}"
    require_refuted(judge(ledger, tmp_path / "forged"), words, leaf=place + 1)


def test_write_that_needs_no_build_is_refuted_when_a_withdrawn_one_made_it(tmp_path: Path) -> None:
    """Whoever runs what was withdrawn is stopped altogether; a service without any build writes on."""
    ledger = make_ledger()
    _withdraw(ledger)
    ledger.follow()
    told = {"verb": "write", "classes": ("public",)}
    ledger.batch(GATEWAY, read(ledger, b"", **told), read(ledger, **told))
    require_verified(judge(ledger, tmp_path / "honest"))
    place = ledger.batch(GATEWAY, read(ledger, decided={"public": "serving"}, **told))
    require_refuted(judge(ledger, tmp_path / "forged"), "was withdrawn by rule", leaf=place + 1)


def test_erasure_by_another_build_than_an_approved_one_is_refuted(tmp_path: Path) -> None:
    for name, build in (("honest", BUILT), ("unapproved", OTHER_BUILT), ("none", b"")):
        ledger = make_ledger()
        place = ledger.erase(BOB, principal=APP, build=build, decided=BY_BUILD)
        verdict = judge(ledger, tmp_path / name)
        if name == "honest":
            require_verified(verdict)
        else:
            require_refuted(verdict, "the charter decides otherwise on this erasure", leaf=place)
