"""`ringfence why`: each kind of entry in sentences, what is withheld, and what cannot be explained."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ringfence.cli.main import cli
from ringfence.core import changes as c
from ringfence.core import entry as e
from ringfence.core.errors import RingfenceError
from ringfence.core.lane import leaf_hash
from ringfence.core.receipt import Receipt, render_receipt
from tests.governed import HOUR_MS, NUMBERS, a_grant, facts
from tests.governed_ledgers import GovernedLedger, governed
from tests.ledgers import ALICE, BOB, GATEWAY
from tests.ledgers import whole as plain_ledger


def run(ledger: GovernedLedger, directory: Path, entry: int | str, *, detail: bool = True) -> Result:
    """Write the bundle and ask why."""
    if not directory.exists():
        ledger.write(directory, detail=detail)
    return CliRunner().invoke(cli, ["why", str(directory), str(entry)])


def why(ledger: GovernedLedger, directory: Path, entry: int | str, *, detail: bool = True) -> str:
    """Give what is explained."""
    result = run(ledger, directory, entry, detail=detail)
    assert result.exit_code == 0, result.output
    return result.stdout


def refusal(result: Result) -> str:
    """Give the words of the error that the command ended with."""
    assert isinstance(result.exception, RingfenceError), result.output
    assert not result.stdout
    return result.exception.message


def leaf_of(ledger: GovernedLedger, kind: type, number: int = 0) -> int:
    """Give the leaf of the n-th entry of a kind."""
    return [leaf for leaf, data in enumerate(ledger.leaves) if isinstance(e.parse_entry(data), kind)][number]


def test_read_under_a_grant_names_who_asked_who_agreed_and_how_far_it_goes(tmp_path: Path) -> None:
    ledger = governed()
    leaf = ledger.batch(GATEWAY, ledger.read(ALICE)) + 1

    said = why(ledger, tmp_path / "bundle", leaf)

    assert f"Person {NUMBERS['eve']} of trust, holding engineer, from US" in said
    assert "asked to read 1 record(s) of person of one user" in said
    assert "for the purpose support: " in said
    assert "Class protected: permitted by clause `helping`" in said
    assert f"grant 1 (access) of person {NUMBERS['eve']}, for support: up to 100 records" in said
    assert f"Person {NUMBERS['eve']} asked for it (proposal 1" in said
    for name in ("ada", "ben"):
        assert f"Person {NUMBERS[name]} agreed, holding officer" in said
    assert "step 1 of the counter grant/1: 1 more, 1 in all" in said
    assert f"It is about the users {ALICE.hex()}." in said


def test_without_detail_it_says_what_is_withheld(tmp_path: Path) -> None:
    ledger = governed()
    leaf = ledger.batch(GATEWAY, ledger.read(ALICE)) + 1

    said = why(ledger, tmp_path / "bundle", leaf, detail=False)

    assert "Whom it is about is withheld" in said
    assert "The reason is withheld" in said
    assert ALICE.hex() not in said
    assert f"Person {NUMBERS['ada']} agreed, holding officer" in said


def test_of_many_users_the_first_are_named_and_the_rest_counted(tmp_path: Path) -> None:
    ledger = governed()
    users = [bytes([1]) + number.to_bytes(15, "big") for number in range(25)]
    leaf = ledger.batch(GATEWAY, ledger.read(*users, shape="bulk", records=25)) + 1

    said = why(ledger, tmp_path / "bundle", leaf)

    assert users[19].hex() in said
    assert users[20].hex() not in said
    assert "and 5 more" in said


def test_refused_read_says_the_reason_as_the_gateway_did(tmp_path: Path) -> None:
    ledger = governed()
    refused = ledger.read(ALICE, country="SG")[0].decided
    assert set(refused.values()) == {""}
    leaf = ledger.batch(GATEWAY, ledger.access(ALICE, principal=NUMBERS["eve"], country="SG", purpose="support")) + 1

    said = why(ledger, tmp_path / "bundle", leaf)

    assert "Class protected: refused: " in said
    assert "permitted" not in said


def test_read_under_a_revoked_grant_is_refused_for_that(tmp_path: Path) -> None:
    ledger = governed()
    ledger.ground.order("ada", c.RevokeGrant(grant=1))
    ledger.follow()
    access = ledger.access(ALICE, principal=NUMBERS["eve"], purpose="support", grant=1)
    leaf = ledger.batch(GATEWAY, access) + 1

    assert "refused: grant 1 was ended by rule 8" in why(ledger, tmp_path / "bundle", leaf)


def test_suspension_by_a_fact_is_told_with_its_chain_and_withheld_without_detail(tmp_path: Path) -> None:
    ledger = governed()
    ledger.ground.record(facts(NUMBERS["eve"], "eve", directed_by=(NUMBERS["hal"],)))
    ledger.follow()
    refused = ledger.batch(GATEWAY, ledger.access(ALICE, principal=NUMBERS["eve"], purpose="support", grant=1)) + 1
    recorded = leaf_of(ledger, type(ledger.ground.entries[-1][0]), -1)

    for leaf in (recorded, refused):
        said = why(ledger, tmp_path / "bundle", leaf)
        assert "not-directed-from-the-parent" in said, said
        assert "withheld" not in said
        assert "withheld" in why(ledger, tmp_path / "public", leaf, detail=False)
    assert f"It suspends person {NUMBERS['eve']}" in why(ledger, tmp_path / "bundle", recorded)


def test_facts_that_a_service_told_are_told_with_the_service(tmp_path: Path) -> None:
    ledger = governed()
    feed = ledger.ground.register_service("hr", feeds=True)
    ledger.ground.record(facts(NUMBERS["eve"], "eve", team="red"))
    ledger.ground.record(facts(NUMBERS["eve"], "eve", team="blue"), by=feed)
    ledger.follow()
    by_file, by_feed = (why(ledger, tmp_path / "bundle", leaf_of(ledger, e.PeopleRecorded, n)) for n in (0, 1))

    assert f"The service {feed} told them, which a quorum let feed the register." in by_feed
    assert "The service" not in by_file


def test_what_was_decided_earlier_is_told_as_it_was_then(tmp_path: Path) -> None:
    ledger = governed()
    leaf = ledger.batch(GATEWAY, ledger.read(ALICE)) + 1
    ledger.ground.order("ada", c.Dismiss(person=NUMBERS["eve"]))
    ledger.follow()

    said = why(ledger, tmp_path / "bundle", leaf)

    assert f"Person {NUMBERS['eve']} of trust, holding engineer" in said
    assert "permitted by clause `helping`" in said


def test_break_glass_says_that_one_person_gave_it_and_when_it_is_to_be_reviewed(tmp_path: Path) -> None:
    ledger = governed()
    grant = a_grant(kind=c.BREAK_GLASS, purpose="investigate", records_max=5)
    ledger.ground.order("eve", grant, number=2)
    ledger.follow()
    leaf = ledger.batch(GATEWAY, ledger.read(ALICE, grant=2, purpose="investigate", classes=["protected"])) + 1

    said = why(ledger, tmp_path / "bundle", leaf)

    assert "That person gave it alone" in said
    assert "to be reviewed by" in said


def test_each_rule_of_a_governed_ledger_is_told(tmp_path: Path) -> None:
    ledger = governed()
    narrower = c.NarrowGrant(grant=1, datasets=("person",), classes=("public",), records_max=10, lasts_ms=HOUR_MS // 2)
    ledger.ground.order("ada", narrower)
    ledger.ground.decline(ledger.ground.propose("dot", c.Appoint(person=NUMBERS["fay"], duty="officer")), "ada")
    ledger.follow()
    bundle = tmp_path / "bundle"
    rules = [leaf for leaf, data in enumerate(ledger.leaves) if isinstance(e.parse_entry(data), e.RULE_TYPES)]

    said = [why(ledger, bundle, leaf) for leaf in rules]

    assert "founded by" in said[0]
    assert any("asked for it (proposal 1" in text for text in said)
    assert any(f"Person {NUMBERS['ada']} agreed to proposal 1, with key" in text for text in said)
    assert any(f"Person {NUMBERS['ada']} refused proposal 2" in text for text in said)
    assert any("It was carried here." in text for text in said)
    assert any(f"Person {NUMBERS['ada']} ordered it alone" in text for text in said)
    assert all(f"It is rule {number}: " in text for number, text in enumerate(said, start=1))


def test_every_entry_of_every_kind_is_told_in_sentences(tmp_path: Path) -> None:
    plain = plain_ledger()
    plain.write(tmp_path / "plain")
    for leaf, data in enumerate(plain.leaves):
        result = CliRunner().invoke(cli, ["why", str(tmp_path / "plain"), str(leaf)])
        assert result.exit_code == 0, (e.parse_entry(data), result.output)
        assert result.stdout.strip().endswith("."), result.stdout


def test_receipt_finds_its_entry(tmp_path: Path) -> None:
    ledger = governed()
    leaf = ledger.batch(GATEWAY, ledger.read(ALICE), ledger.read(BOB)) + 2
    receipt = Receipt(lane=GATEWAY, n=1, position=1, entry_hash=leaf_hash(ledger.leaves[leaf]))

    by_receipt = why(ledger, tmp_path / "bundle", render_receipt(receipt))

    assert by_receipt == why(ledger, tmp_path / "bundle", leaf)
    assert BOB.hex() in by_receipt
    other = run(ledger, tmp_path / "bundle", render_receipt(receipt._replace(entry_hash=bytes(32))))
    assert "no entry of this bundle has the receipt's hash" in refusal(other)


def test_json_has_the_same_sentences(tmp_path: Path) -> None:
    ledger = governed()
    leaf = ledger.batch(GATEWAY, ledger.read(ALICE)) + 1
    lines = why(ledger, tmp_path / "bundle", leaf).splitlines()

    told = json.loads(CliRunner().invoke(cli, ["why", str(tmp_path / "bundle"), str(leaf), "--json"]).stdout)

    assert told == {"leaf": leaf, "kind": "Access", "sentences": lines}


@pytest.mark.parametrize(
    ("entry", "what"),
    [("999999", "there is no leaf 999999"), ("x", "not a receipt"), ("9" * 20, "not a receipt"), ("", "not a receipt")],
)
def test_unknown_entries_are_refused_by_name(tmp_path: Path, entry: str, what: str) -> None:
    assert what in refusal(run(governed(), tmp_path / "bundle", entry))


def test_directory_that_is_no_bundle_is_refused(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["why", str(tmp_path), "1"])
    assert "has no checkpoint" in refusal(result)


def test_entry_after_a_rule_that_cannot_be_folded_is_not_explained(tmp_path: Path) -> None:
    ledger = governed()
    honest = ledger.batch(GATEWAY, ledger.read(ALICE)) + 1
    ledger.rule(e.LaneCertified(lane=0, key=bytes(32), build="x", duty="gateway"))
    after = ledger.batch(GATEWAY, ledger.read(ALICE)) + 1

    assert "permitted" in why(ledger, tmp_path / "bundle", honest)
    assert "LaneCertified takes a quorum" in refusal(run(ledger, tmp_path / "bundle", after))


def test_header_of_a_long_batch_is_found_in_the_tile_before(tmp_path: Path) -> None:
    ledger = governed(a_grant(records_max=1_000))
    first = ledger.batch(GATEWAY, *(ledger.read(ALICE) for _ in range(250)))
    assert first // 256 != (first + 250) // 256

    assert "batch 1, under epoch" in why(ledger, tmp_path / "bundle", first + 250)


def test_entry_of_another_epoch_is_not_explained(tmp_path: Path) -> None:
    ledger = governed()
    leaf = ledger.batch(GATEWAY, ledger.read(ALICE), epoch=ledger.epoch - 1) + 1

    refused = refusal(run(ledger, tmp_path / "bundle", leaf))

    assert f"decided in epoch {ledger.epoch - 1}, and stands in epoch {ledger.epoch}" in refused


def test_opening_that_does_not_fit_is_not_told(tmp_path: Path) -> None:
    ledger = governed()
    access, _ = ledger.read(ALICE)
    other = e.render_opening(bytes(16), e.About(subjects=[BOB]))
    leaf = ledger.batch(GATEWAY, (access, other)) + 1

    assert "opening" in refusal(run(ledger, tmp_path / "bundle", leaf))
