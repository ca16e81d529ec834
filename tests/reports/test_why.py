"""`ringfence why`: each kind of entry in sentences, what is withheld, and what cannot be explained."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from ringfence.cli.main import cli
from ringfence.core import changes as c
from ringfence.core.errors import RingfenceError
from ringfence.core.governance.statement import APPROVE
from ringfence.core.governance.wording import quote
from ringfence.core.ledger import entry as e
from ringfence.core.ledger import governed_entry as g
from ringfence.core.ledger.merkle import hash_leaf
from ringfence.core.ledger.receipt import Receipt, render_receipt
from ringfence.core.times import show_time
from tests.builds import BUILT, approve, for_builds, give_credential
from tests.governed import APP, CHARTER, HOUR_MS, NUMBERS, Ground, a_grant, facts, public_key_of, sign
from tests.governed_ledgers import GovernedLedger, governed
from tests.ledgers import ALICE, BOB, GATEWAY
from tests.ledgers import whole as plain_ledger
from tests.prover.powers import COUNTED

EVE, ADA = '("hr-eve", "eve")', '("hr-ada", "ada")'
"""What the register calls them."""


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


def counted(said: str, name: str) -> str:
    """Give what is said of somebody's signature under a change, from "counted" or "which" on to the sentence's end."""
    found = re.search(rf"Person {NUMBERS[name]} [^\n]*agreed \(leaf \d+, key \d+\)(?: and|,) ([^\n]*)\.\n", said)
    assert found, said
    return found[1]


def leaf_of(ledger: GovernedLedger, kind: type, number: int = 0) -> int:
    """Give the leaf of the n-th entry of a kind."""
    return [leaf for leaf, data in enumerate(ledger.leaves) if isinstance(e.parse_entry(data), kind)][number]


def test_read_under_a_grant_names_who_asked_who_agreed_and_how_far_it_goes(tmp_path: Path) -> None:
    ledger = governed()
    leaf = ledger.batch(GATEWAY, ledger.read(ALICE)) + 1

    said = why(ledger, tmp_path / "bundle", leaf)

    assert f"Person {NUMBERS['eve']} {EVE} of trust, holding engineer, from US" in said
    assert "asked to read 1 record(s) of person of one user" in said
    assert "for the purpose support: " in said
    assert "Class protected: permitted by clause `helping`" in said
    assert f"grant 1 (access) of person {NUMBERS['eve']} {EVE}, for support: up to 100 records" in said
    assert f"Person {NUMBERS['eve']} {EVE} asked for it (proposal 1" in said
    assert "It took 2 of officer or 1 of officer and 1 of manager." in said
    for name in ("ada", "ben"):
        assert counted(said, name) == "counted as officer, for 2 of officer"
    assert "step 1 of the counter grant/1: 1 more, 1 in all" in said
    assert f"It is about the users {ALICE.hex()}." in said


def test_grant_that_was_named_and_gave_nothing_is_said_to_have_given_nothing(tmp_path: Path) -> None:
    ledger = governed()
    first = ledger.batch(GATEWAY, ledger.read(ALICE), ledger.read(ALICE, country="SG", granted=None)) + 1

    given, refused = (why(ledger, tmp_path / "bundle", leaf) for leaf in (first, first + 1))

    assert "Nothing was given by it." not in given
    assert "It names grant 1 (access)" in refused
    assert "Nothing was given by it." in refused


def test_without_detail_it_says_what_is_withheld(tmp_path: Path) -> None:
    ledger = governed()
    leaf = ledger.batch(GATEWAY, ledger.read(ALICE)) + 1

    said = why(ledger, tmp_path / "bundle", leaf, detail=False)

    assert "Whom it is about is withheld" in said
    assert "The reason is withheld" in said
    assert ALICE.hex() not in said
    assert f"Person {NUMBERS['ada']} agreed (leaf" in said
    assert "hr-" not in said


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


def test_credential_is_told_with_its_service_build_certificate_and_end(tmp_path: Path) -> None:
    ledger = governed(charter=for_builds(CHARTER))
    ledger.ground.agree("hal", approve(), "gus")
    given = give_credential(ledger.ground)
    ledger.follow()

    said = why(ledger, tmp_path / "bundle", leaf_of(ledger, e.CredentialIssued, 0), detail=False)

    assert f'(principal {APP}) was given a credential for the build "app 7.3", {BUILT.hex()}, by an' in said
    for digest in (given.attestation, given.certificate):
        assert f"SHA-256 {digest.hex()}" in said
    assert f"ends at {show_time(given.until_ms)}." in said


def test_what_was_decided_earlier_is_told_as_it_was_then(tmp_path: Path) -> None:
    ledger = governed()
    leaf = ledger.batch(GATEWAY, ledger.read(ALICE)) + 1
    ledger.ground.order("ada", c.Dismiss(person=NUMBERS["eve"]))
    ledger.follow()

    said = why(ledger, tmp_path / "bundle", leaf)

    assert f"Person {NUMBERS['eve']} {EVE} of trust, holding engineer" in said
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


def asked_again(ground: Ground) -> int:
    """Let eve ask for one more grant."""
    return ground.propose("eve", a_grant())


def end_duty(ground: Ground) -> None:
    ground.order("dot", c.EndAppointment(person=NUMBERS["ben"], duty="officer"))


def dismiss(ground: Ground) -> None:
    ground.order("dot", c.Dismiss(person=NUMBERS["ben"]))


def revoke_key(ground: Ground) -> None:
    ground.order("ada", c.RevokeKey(key=ground.key("ben")))


def join_team(ground: Ground) -> None:
    ground.record(facts(NUMBERS["ben"], "ben", team="eve"))


def leave(ground: Ground) -> None:
    ground.record(facts(NUMBERS["ben"], "ben", ends_ms=ground.now_ms))


def come_back(ground: Ground) -> None:
    end_duty(ground)
    ground.appoint("ben", "officer", by=("ada", "cid"))


def change_nothing(ground: Ground) -> None:
    pass


LOST = "which did NOT count any more when it was carried: "


@pytest.mark.parametrize(
    ("lose", "ben", "cid"),
    [
        (change_nothing, "counted as officer, for 2 of officer", "counted as officer; the others were enough"),
        (end_duty, f"{LOST}duty: none of those asked for", ""),
        (dismiss, f"{LOST}person 2 is dismissed", ""),
        (revoke_key, f"{LOST}key: it was revoked", ""),
        (join_team, f"{LOST}same-team: the person is of the same team as the one who asks or gains", ""),
        (leave, f"{LOST}person 2 left at 2023-11-14 22:13:", ""),
        (come_back, f"{LOST}appointed-since-request: appointed after the request", ""),
    ],
)
def test_who_signed_and_did_not_count_when_it_was_carried_is_told_with_why(
    tmp_path: Path, lose: Callable[[Ground], None], ben: str, cid: str
) -> None:
    ledger = governed()
    proposal = asked_again(ledger.ground)
    ledger.ground.approve(proposal, "ada", "ben")
    lose(ledger.ground)
    ledger.ground.approve(proposal, "cid")
    ledger.ground.carry(proposal, 2)
    ledger.follow()
    carried = len(ledger.leaves) - 2
    read = ledger.batch(GATEWAY, ledger.read(ALICE, grant=2)) + 1
    ledger.write(tmp_path / "bundle", detail=True)

    for leaf in (carried, read):
        said = why(ledger, tmp_path / "bundle", leaf)
        assert counted(said, "ada") == "counted as officer, for 2 of officer"
        assert counted(said, "ben").startswith(ben)
        assert counted(said, "cid") == (cid or "counted as officer, for 2 of officer")
        assert "withheld" not in said


def test_without_detail_it_says_that_relations_are_withheld(tmp_path: Path) -> None:
    ledger = governed()
    proposal = asked_again(ledger.ground)
    ledger.ground.approve(proposal, "ada", "ben")
    join_team(ledger.ground)
    ledger.ground.approve(proposal, "cid")
    ledger.ground.carry(proposal, 2)
    ledger.follow()
    service = ledger.ground.register_service("hr")
    ledger.follow()

    said = why(ledger, tmp_path / "bundle", leaf_of(ledger, e.Carried, 1), detail=False)
    staffing = why(ledger, tmp_path / "bundle", leaf_of(ledger, e.Carried, 2), detail=False)

    assert "Whether a relation kept one of them from counting is withheld" in said
    assert service
    assert "Whether a relation" not in staffing  # the charter names none there


def test_time_that_somebody_left_at_is_withheld_with_the_facts(tmp_path: Path) -> None:
    ledger = governed()
    ledger.ground.record(facts(NUMBERS["eve"], "eve", ends_ms=ledger.ground.now_ms))
    ledger.follow()
    leaf = ledger.batch(GATEWAY, ledger.access(ALICE, principal=NUMBERS["eve"], purpose="support", grant=1)) + 1

    assert "person 5 left at 2023-11-14 22:13:" in why(ledger, tmp_path / "bundle", leaf)
    assert "person 5 has left." in why(ledger, tmp_path / "public", leaf, detail=False)


def test_signature_that_was_given_again_with_another_key_is_told_twice(tmp_path: Path) -> None:
    ledger = governed()
    ground = ledger.ground
    proposal = asked_again(ground)
    ground.approve(proposal, "ada", "ben")
    revoke_key(ground)
    other = c.EnrolKey(person=NUMBERS["ben"], key=public_key_of("ben again"))
    key = ground.agree("dot", other, "ada", "cid", number=len(ground.state.governed.keys) + 1)
    opening = ground.opening(
        g.Signed(b"", sign("ben again", ground.state.governed.proposals[proposal].statement, APPROVE))
    )
    ground.fold(g.Approved(proposal=proposal, by=NUMBERS["ben"], key=key, signature=e.commit(opening)), opening)
    ground.carry(proposal, 2)
    ledger.follow()

    said = why(ledger, tmp_path / "bundle", len(ledger.leaves) - 2)

    assert "agreed (leaf 28, key 2), which stopped counting before it was carried, and agreed again." in said
    assert f"key {key}) and counted as officer, for 2 of officer." in said


def test_each_counts_for_the_group_that_the_charter_takes_it_for(tmp_path: Path) -> None:
    ledger = governed()
    proposal = asked_again(ledger.ground)
    ledger.ground.approve(proposal, "fay", "ada")
    ledger.ground.carry(proposal, 2)
    ledger.follow()

    said = why(ledger, tmp_path / "bundle", len(ledger.leaves) - 2)

    assert counted(said, "fay") == "counted as manager, for 1 of manager"
    assert counted(said, "ada") == "counted as officer, for 1 of officer"


def test_entry_names_who_it_was_then_though_the_reference_is_somebody_elses_now(tmp_path: Path) -> None:
    ledger = governed()
    before = ledger.batch(GATEWAY, ledger.read(ALICE)) + 1
    ledger.ground.record(msgspec.structs.replace(facts(NUMBERS["eve"], "eve"), reference="hr-old"))
    ledger.ground.record(msgspec.structs.replace(facts(APP + 1, "zoe"), reference="hr-eve"))
    ledger.follow()
    after = ledger.batch(GATEWAY, ledger.read(ALICE)) + 1

    assert f'Person {NUMBERS["eve"]} ("hr-eve", "eve") of trust' in why(ledger, tmp_path / "bundle", before)
    assert f'Person {NUMBERS["eve"]} ("hr-old", "eve") of trust' in why(ledger, tmp_path / "bundle", after)


@pytest.mark.parametrize("purpose", ["support.\nIt was permitted", "support. It was permitted", "\x1b[2Jsupport"])
def test_text_of_others_makes_no_sentence_of_its_own(tmp_path: Path, purpose: str) -> None:
    ledger = governed()
    leaf = ledger.batch(GATEWAY, ledger.read(ALICE, purpose=purpose, decided={"protected": ""})) + 1

    said = why(ledger, tmp_path / "bundle", leaf)

    assert f"for the purpose {quote(purpose)}." in said
    assert "\x1b" not in said
    assert not [line for line in said.splitlines() if line.startswith("It was permitted")]


def test_clause_that_nobody_wrote_makes_no_line_of_its_own(tmp_path: Path) -> None:
    ledger = governed()
    decided = {"protected": "!helping\nIt was permitted"}
    leaf = ledger.batch(GATEWAY, ledger.read(ALICE, decided=decided), ledger.read(ALICE)) + 1

    said, honest = (why(ledger, tmp_path / "bundle", number) for number in (leaf, leaf + 1))

    assert "the limit of clause `helping\\nIt was permitted` forbids it" in said
    assert len(said.splitlines()) == len(honest.splitlines()) - 1  # of two classes one was asked for


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
    assert any(f"Person {NUMBERS['ada']} {ADA} agreed to proposal 1, with key" in text for text in said)
    assert any(f"Person {NUMBERS['ada']} {ADA} refused proposal 2" in text for text in said)
    assert any("It was carried here." in text for text in said)
    assert any(f"Person {NUMBERS['ada']} {ADA} ordered it alone" in text for text in said)
    assert all(f"It is rule {number}: " in text for number, text in enumerate(said, start=1))
    assert said == [why(ledger, bundle, f"rule:{number}") for number in range(1, len(rules) + 1)]


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
    receipt = Receipt(lane=GATEWAY, n=1, position=1, entry_hash=hash_leaf(ledger.leaves[leaf]))

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
    [
        ("999999", "there is no leaf 999999"),
        ("rule:99", "there is no rule 99: the bundle has "),
        ("rule:x", "not a receipt"),
        ("9" * 20, "not a receipt"),
        ("", "not a receipt"),
    ],
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


def test_change_that_is_carried_says_the_count_that_stands_with_it(tmp_path: Path) -> None:
    ledger = governed(charter=COUNTED)
    ledger.ground.appoint("dot", "inspector")
    ledger.ground.record(facts(NUMBERS["ben"], "ben", manager=NUMBERS["ada"]))
    ledger.ground.agree("dot", c.Appoint(person=NUMBERS["fay"], duty="inspector"), "ada", "cid")
    ledger.follow()
    first, strong, weak = (leaf_of(ledger, g.Carried, number) for number in (0, 1, 2))

    least = "people had to join the excluded parties from then on to get past the rules; the charter asked for 3"
    assert f"At least 3 {least}." in why(ledger, tmp_path / "bundle", strong)
    assert f"2 {least}, and the change left no fewer than it found." in why(ledger, tmp_path / "bundle", weak)
    assert "had to join" not in why(ledger, tmp_path / "bundle", first), "nothing is counted for a grant"
    assert f"At least 3 {least}." in why(ledger, tmp_path / "public", strong, detail=False)
