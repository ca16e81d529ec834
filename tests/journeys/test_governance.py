"""A custodian's people at work: an engineer asks, two officers sign, a grant is given, used and revoked.

It reads like the manual: each step is the command that a person types, on a served deployment that was founded by a
ceremony, with keys that never leave their owners' machines.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ringfence.core.times import show_time
from tests.faults.serving import command
from tests.founders import number_of
from tests.journeys.desks import GRANT, Desk, open_desks


@pytest.fixture(scope="module")
def desks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Desk]]:
    with open_desks(tmp_path_factory.mktemp("governance")) as desks:
        yield desks


def test_engineer_asks_two_officers_sign_and_the_grant_is_given_and_revoked(desks: dict[str, Desk]) -> None:
    eve, ada, ben = desks["eve"], desks["ada"], desks["ben"]

    proposal = eve.ask(GRANT, name="grant")
    opened = ada.do("proposals")["proposals"][-1]
    assert "2 of security-officer" in opened["waits_for"]
    assert f"{opened['waits_for']}; expires {show_time(opened['expires_ms'])}\n" in ada.run("proposals").stdout
    assert not ada.agree(proposal)["carried"]
    done = ben.agree(proposal)

    assert done["carried"]
    assert [given["number"] for given in eve.do("grants")["grants"] if not given["ended"]] == [done["number"]]
    ada.order(f"do: revoke-grant\ngrant: {done['number']}\n", name="revoke")
    assert [given["ended"] for given in eve.do("grants")["grants"]] == [True]


def test_statement_that_was_prepared_for_somebody_else_is_that_persons_to_sign(desks: dict[str, Desk]) -> None:
    eve, ada = desks["eve"], desks["ada"]
    number, other = number_of("eve"), number_of("ada")
    for desk in (eve, ada):
        (desk.folder / "prepared.yaml").write_text(GRANT, "utf-8")
    new = ("statement", "new", "prepared.yaml", "--by", str(number), "--reason", "a user asks", "--out", "prepared")

    own, prepared = eve.run(*new), ada.run(*new)

    words = f"; person {number} has to sign them, for you called as {other})"
    assert (words in own.stdout, words in prepared.stdout) == (False, True)
    assert "(the bytes to sign are in prepared)" in own.stdout
    refused = ada.run("propose", "prepared", ada.sign("prepared", "propose"))
    assert (refused.returncode, refused.stdout) == (1, "")
    (eve.folder / "prepared").write_bytes((ada.folder / "prepared").read_bytes())
    assert eve.do("propose", "prepared", eve.sign("prepared", "propose"))["proposal"]


def test_engineer_reads_under_her_grant_as_much_as_it_is_for_until_it_is_revoked(desks: dict[str, Desk]) -> None:
    eve, ada, ben = desks["eve"], desks["ada"], desks["ben"]
    app = Desk("app", eve.folder, eve.server)
    app.do("put", "profile", "ann", "--fields", '{"userName": "ann"}', "--purpose", "serve_user")
    grants = []
    for name in ("used", "revoked"):
        proposal = eve.ask(GRANT.replace("support_user", "find_fault").replace("max: 5", "max: 2"), name=name)
        ada.agree(proposal)
        grants.append(str(ben.agree(proposal)["number"]))
    used, revoked = grants
    get = ("get", "profile", "ann", "--purpose", "find_fault")

    refused = eve.run(*get)
    assert refused.returncode == 1
    assert (
        "under a grant of the kind access or break-glass, which a proposal asks for and the request names"
        in refused.stderr
    )
    for _ in range(2):
        assert eve.do(*get, "--grant", used)["fields"] == {"userName": "ann"}
    assert f"grant {used} is used up" in eve.run(*get, "--grant", used).stderr
    assert eve.do(*get, "--grant", revoked)["record"] == "self"
    ada.order(f"do: revoke-grant\ngrant: {revoked}\n", name="end")
    assert f"grant {revoked} was ended by rule" in eve.run(*get, "--grant", revoked).stderr
    assert eve.run(*get, "--grant", "none").returncode == 2


def test_engineer_does_not_approve_her_own_request(desks: dict[str, Desk]) -> None:
    eve = desks["eve"]
    proposal = eve.ask(GRANT, name="own")
    eve.do("statement", "get", str(proposal), "--out", "own-bytes")

    refused = eve.run("approve", str(proposal), eve.sign("own-bytes", "approve"))

    assert refused.returncode == 1
    assert "self: nobody approves what they ask for or gain from" in refused.stderr


def test_statement_is_shown_to_those_who_may_agree_and_to_nobody_else(desks: dict[str, Desk]) -> None:
    proposal = desks["eve"].ask(GRANT, name="shown")

    refused = desks["hal"].run("statement", "get", str(proposal), "--out", "shown")

    assert refused.returncode == 1
    assert "shown to its author and to those who may approve or decline it" in refused.stderr
    desks["ada"].do("statement", "get", str(proposal), "--out", "shown")
    desks["cid"].do("statement", "get", str(proposal), "--out", "shown")
    assert desks["cid"].do("decline", str(proposal), desks["cid"].sign("shown", "decline"))["epoch"]


def test_evidence_of_all_this_is_verified_with_its_signatures(desks: dict[str, Desk], tmp_path: Path) -> None:
    deployment = desks["eve"].server.deployment
    desks["ada"].agree(desks["eve"].ask(GRANT, name="evidence"))

    command("ledger", "export", str(tmp_path / "whole"), "--detail", "-d", str(deployment))
    command("ledger", "export", str(tmp_path / "public"), "-d", str(deployment))

    trust = str(deployment / "trust.json")
    whole = command("verify", str(tmp_path / "whole"), "--trust", trust)
    public = command("verify", str(tmp_path / "public"), "--trust", trust)
    assert (whole["outcome"], public["outcome"]) == ("verified", "verified")
    withheld = "signatures and facts that changes of the rules rest on: needs detail/"
    assert any(item["what"] == withheld for item in public["withheld"])
    assert not any(item["what"] == withheld for item in whole["withheld"])
