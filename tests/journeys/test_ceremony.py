"""The key ceremony as its founders and the operator go through it: nobody begins the ledger alone."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from ringfence.app.deployment import SHARES_VARIABLE
from ringfence.core.governance.founding import FOUND
from ringfence.core.people.signatures import add_armour
from tests.founders import hand_in_shares, write_plan
from tests.governed import CHARTER, FOUNDERS, key_of, sign
from tests.prover.powers import COUNTED

HOLDERS = ["fay", "gus", "dot"]
PRODUCTION = ["--charter", "charter.yaml", "--region", "home", "--production"]


def ringfence(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ringfence", *arguments], capture_output=True, text=True, cwd=cwd, check=False
    )


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What is on the table: the charter, the plan, and everybody's public key."""
    monkeypatch.delenv(SHARES_VARIABLE, raising=False)
    (tmp_path / "charter.yaml").write_text(CHARTER, "utf-8")
    write_plan(tmp_path, FOUNDERS, [], holders=HOLDERS)
    return tmp_path


def write_private_key(table: Path, name: str) -> None:
    """Put a founder's private key on the table, as its owner has it."""
    (table / name).write_bytes(
        key_of(name).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
        )
    )
    (table / name).chmod(0o600)


def signatures(table: Path, *, without: str = "", forged: str = "") -> list[str]:
    document = (table / "deployment" / "ceremony" / "founding.json").read_bytes()
    for name in FOUNDERS:
        signature = sign(name, document + (b" " if name == forged else b""), FOUND)
        (table / f"{name}.sig").write_bytes(add_armour(signature))
    return [f"{name}.sig" for name in FOUNDERS if name != without]


def test_ledger_begins_when_every_founder_has_signed(table: Path) -> None:
    begun = ringfence("init", "deployment", *PRODUCTION, "--ceremony", "plan.yaml", cwd=table)
    assert begun.returncode == 0, begun.stderr
    assert "Any 2 of the holders (dot, fay, gus) open their shares" in begun.stdout
    assert not (table / "deployment" / "trust.json").exists()
    hand_in_shares(table / "deployment", ["gus", "dot"], people=FOUNDERS)

    founded = ringfence("found", "-d", "deployment", *signatures(table), cwd=table)

    assert founded.returncode == 0, founded.stderr
    assert json.loads((table / "deployment" / "trust.json").read_text())["origin"]


def test_founder_signs_with_the_program_after_reading_the_document(table: Path) -> None:
    ringfence("init", "deployment", *PRODUCTION, "--ceremony", "plan.yaml", cwd=table)
    given = signatures(table)
    (table / "ada.sig").unlink()
    write_private_key(table, "ada")
    hand_in_shares(table / "deployment", ["gus", "dot"], people=FOUNDERS)
    document = "deployment/ceremony/founding.json"

    signed = ringfence("sign", document, "--as", "found", "--key", "ada", "--out", "ada.sig", "--yes", cwd=table)

    assert signed.returncode == 0, signed.stderr
    assert '  1: "ada" ("hr-ada"), employed by trust' in signed.stdout
    assert ringfence("found", "-d", "deployment", *given, cwd=table).returncode == 0


def test_plan_with_a_founder_who_cannot_be_is_refused_before_anything_is_made(table: Path) -> None:
    plan = table / "plan.yaml"
    plan.write_text(plan.read_text("utf-8").replace("party: board", "party: the board"), "utf-8")

    refused = ringfence("init", "deployment", *PRODUCTION, "--ceremony", "plan.yaml", cwd=table)

    assert refused.returncode == 1
    assert "founder 9 cannot be told so: the party is no name of a charter" in refused.stderr
    assert not (table / "deployment").exists()


@pytest.mark.parametrize(
    ("told", "instead", "words"),
    [
        ("reference: hr-ben", "reference: HR-ADA", "names one reference twice"),
        ("reference: hr-ben", r'reference: "hr-ada\u200b"', "reference of `hr-ada\\u200b`: found the character U+200B"),
        ("reference: hr-ben", 'reference: " hr-ada"', "reference of ` hr-ada`: found ` hr-ada`"),
        ("name: ben", r'name: "ben\u202e"', "name of `hr-ben`: found the character U+202E"),
        ("residence: US", "residence: USA", "residence of `hr-ada`: found the unknown country `USA`"),
        ("subject: ben", "subject: ada", "names one issuer and subject twice"),
        ("subject: ben", "subject: ADA", ""),
        (
            "reference: hr-ben",
            "reference: hr-ben, manager: hr-ben",
            "the managers are a circle of 1: `hr-ben` managed by",
        ),
        ("reference: hr-ben", "reference: hr-ben, manager: hr-ada", ""),
    ],
)
def test_founder_whom_no_hr_file_could_tell_so_or_who_is_another_is_refused(
    table: Path, told: str, instead: str, words: str
) -> None:
    plan = table / "plan.yaml"
    plan.write_text(plan.read_text("utf-8").replace(told, instead, 1), "utf-8")

    begun = ringfence("init", "deployment", *PRODUCTION, "--ceremony", "plan.yaml", cwd=table)

    assert (begun.returncode == 0) is (words == ""), begun.stderr
    assert words in begun.stderr
    assert (table / "deployment").exists() is (words == "")


def test_holder_to_whom_no_share_can_be_encrypted_is_refused_before_anything_is_made(table: Path) -> None:
    own = (table / "fay.pub").read_bytes()
    name, key = b"sk-ssh-ed25519@openssh.com", key_of("fay").public_key().public_bytes_raw()
    parts = b"".join(len(part).to_bytes(4, "big") + part for part in (name, key, b"ssh:"))
    (table / "fay.pub").write_bytes(name + b" " + base64.b64encode(parts) + b"\n")

    refused = ringfence("init", "deployment", *PRODUCTION, "--ceremony", "plan.yaml", cwd=table)

    assert refused.returncode == 1
    assert "no share can be encrypted to the key of 6" in refused.stderr
    assert not (table / "deployment").exists()
    (table / "fay.pub").write_bytes(own)
    assert ringfence("init", "deployment", *PRODUCTION, "--ceremony", "plan.yaml", cwd=table).returncode == 0


def test_ledger_does_not_begin_while_a_signature_is_missing(table: Path) -> None:
    ringfence("init", "deployment", *PRODUCTION, "--ceremony", "plan.yaml", cwd=table)
    hand_in_shares(table / "deployment", ["fay", "gus"], people=FOUNDERS)

    refused = ringfence("found", "-d", "deployment", *signatures(table, without="eve"), cwd=table)

    assert refused.returncode == 1
    assert "1 of 9 founders have not signed: eve" in refused.stderr
    assert not (table / "deployment" / "trust.json").exists()
    assert ringfence("found", "-d", "deployment", *signatures(table), cwd=table).returncode == 0


def test_ledger_does_not_begin_with_a_signature_over_something_else(table: Path) -> None:
    ringfence("init", "deployment", *PRODUCTION, "--ceremony", "plan.yaml", cwd=table)
    hand_in_shares(table / "deployment", ["fay", "gus"], people=FOUNDERS)

    refused = ringfence("found", "-d", "deployment", *signatures(table, forged="eve"), cwd=table)

    assert refused.returncode == 1
    assert "founder 5 did not sign the founding document" in refused.stderr
    assert not (table / "deployment" / "trust.json").exists()


def test_founder_who_is_not_independent_is_refused_before_anything_is_made(table: Path) -> None:
    plan = (table / "plan.yaml").read_text("utf-8")
    (table / "plan.yaml").write_text(plan.replace("team: ada}", "team: ada, directed_by: [hr-hal]}"), "utf-8")

    refused = ringfence("init", "deployment", *PRODUCTION, "--ceremony", "plan.yaml", cwd=table)

    assert refused.returncode == 1
    assert "founder 1 is not independent" in refused.stderr
    assert not (table / "deployment").exists()


def test_production_is_not_begun_by_one_operator(table: Path) -> None:
    refused = ringfence("init", "deployment", *PRODUCTION, cwd=table)

    assert refused.returncode == 1
    assert "--ceremony" in refused.stderr
    assert not (table / "deployment").exists()


def test_operator_of_a_governed_ledger_makes_no_rule_alone(table: Path) -> None:
    ringfence("init", "deployment", *PRODUCTION, "--ceremony", "plan.yaml", cwd=table)
    hand_in_shares(table / "deployment", ["fay", "gus"], people=FOUNDERS)
    ringfence("found", "-d", "deployment", *signatures(table), cwd=table)

    for command, way in (
        (("principal", "register", "mallory", "--party", "trust"), "propose `admit` for a person, `register-service`"),
        (("principal", "withdraw", "ada"), "order `dismiss` for a person, `withdraw-service`"),
        (("charter", "enact", "charter.yaml"), "propose `enact-charter`"),
    ):
        refused = ringfence(*command, "-d", "deployment", cwd=table)
        assert refused.returncode == 1
        assert f"error: the ledger is governed: nobody makes this rule alone\nhint: {way}" in refused.stderr


def test_one_holder_alone_does_not_open_the_custodians_keys(table: Path) -> None:
    ringfence("init", "deployment", *PRODUCTION, "--ceremony", "plan.yaml", cwd=table)
    hand_in_shares(table / "deployment", ["fay"], people=FOUNDERS)

    refused = ringfence("found", "-d", "deployment", *signatures(table), cwd=table)

    assert refused.returncode == 3
    assert "1 shares do not open the custodian's keys" in refused.stderr
    hand_in_shares(table / "deployment", ["fay", "dot"], people=FOUNDERS)
    assert ringfence("found", "-d", "deployment", *signatures(table), cwd=table).returncode == 0


def test_production_is_not_founded_with_keys_that_lie_open(table: Path) -> None:
    plan = (table / "plan.yaml").read_text("utf-8")
    (table / "plan.yaml").write_text(plan[: plan.index("custody:")], "utf-8")

    refused = ringfence("init", "deployment", *PRODUCTION, "--ceremony", "plan.yaml", cwd=table)

    assert refused.returncode == 1
    assert "the custodian's keys are not shared out among founders" in refused.stderr
    assert not (table / "deployment").exists()


def test_no_key_of_the_custodian_is_readable_in_a_sealed_deployment(table: Path) -> None:
    ringfence("init", "deployment", *PRODUCTION, "--ceremony", "plan.yaml", cwd=table)

    names = {path.name for path in (table / "deployment" / "keys" / "custody").rglob("*") if path.is_file()}

    assert names == {"sealed", "4.age", "6.age", "7.age"}


def test_share_is_opened_by_its_holder_and_by_nobody_else(table: Path) -> None:
    ringfence("init", "deployment", *PRODUCTION, "--ceremony", "plan.yaml", cwd=table)
    for name in ("fay", "ada"):
        write_private_key(table, name)

    opened = ringfence("share", "deployment/keys/custody/shares/6.age", "--key", "fay", cwd=table)
    as_json = ringfence("share", "deployment/keys/custody/shares/6.age", "--key", "fay", "--json", cwd=table)
    refused = ringfence("share", "deployment/keys/custody/shares/6.age", "--key", "ada", cwd=table)

    assert opened.stdout.startswith("ringfence-share-1:")
    assert json.loads(as_json.stdout) == {"share": opened.stdout.strip()}
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "cannot be opened with this key" in refused.stderr


def test_ceremony_is_finished_once(table: Path) -> None:
    ringfence("init", "deployment", *PRODUCTION, "--ceremony", "plan.yaml", cwd=table)
    hand_in_shares(table / "deployment", ["fay", "gus"], people=FOUNDERS)
    ringfence("found", "-d", "deployment", *signatures(table), cwd=table)
    trust = (table / "deployment" / "trust.json").read_bytes()

    again = ringfence("found", "-d", "deployment", *signatures(table), cwd=table)

    assert again.returncode == 3
    assert "is begun already" in again.stderr
    assert (table / "deployment" / "trust.json").read_bytes() == trust


def test_doctor_says_that_the_founders_have_to_sign_until_they_have(table: Path) -> None:
    ringfence("init", "deployment", *PRODUCTION, "--ceremony", "plan.yaml", cwd=table)

    before = ringfence("doctor", "-d", "deployment", "--json", cwd=table)

    assert before.returncode == 3
    early = ringfence("ingest", "deployment", "-d", "deployment", cwd=table)
    assert (early.returncode, "there is no trust file" in early.stderr) == (3, True)
    assert "`ringfence found` begins the ledger" in early.stderr
    wrong = [one for one in json.loads(before.stdout)["findings"] if one["state"] == "wrong"]
    assert [(one["check"], one["detail"]) for one in wrong] == [
        ("ledger", "no ledger is begun yet: its founders have to sign first")
    ]
    assert "ringfence found" in wrong[0]["hint"]

    hand_in_shares(table / "deployment", ["gus", "dot"], people=FOUNDERS)
    assert ringfence("found", "-d", "deployment", *signatures(table), cwd=table).returncode == 0
    assert "begun" not in ringfence("doctor", "-d", "deployment", "--json", cwd=table).stdout
    (table / "deployment" / "trust.json").unlink()
    lost = ringfence("doctor", "-d", "deployment", "--json", cwd=table)
    assert "begun yet" not in lost.stdout
    assert "there is no trust file" in lost.stdout


@pytest.mark.parametrize(("minimum", "is_short"), [(3, False), (4, True)])
def test_founding_below_a_minimum_says_which_duties_and_what_does_not_work(
    table: Path, minimum: int, is_short: bool
) -> None:
    charter = CHARTER.replace("party: trust, minimum: 2}", f"party: trust, minimum: {minimum}}}")
    assert charter != CHARTER
    (table / "charter.yaml").write_text(charter, "utf-8")
    words = "hold officer (3 of 4): until enough do, nothing but admissions, appointments and keys can be carried"

    begun = ringfence("init", "deployment", *PRODUCTION, "--ceremony", "plan.yaml", "--json", cwd=table)
    hand_in_shares(table / "deployment", ["gus", "dot"], people=FOUNDERS)
    founded = ringfence("found", "-d", "deployment", *signatures(table), "--json", cwd=table)
    doctor = ringfence("doctor", "-d", "deployment", "--json", cwd=table)

    short = [{"duty": "officer", "held": 3, "minimum": 4}] if is_short else []
    for done in (begun, founded):
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["understaffed"] == short
        assert (words in done.stderr) is is_short
    assert ("hint: name more people in the plan" in begun.stderr) is is_short
    assert "hint: name more people" not in founded.stderr
    notes = [one["detail"] for one in json.loads(doctor.stdout)["findings"] if one["check"] == "people"]
    assert [words in note for note in notes] == [True] * is_short


@pytest.mark.parametrize(("minimum", "is_weak"), [(1, False), (4, True)])
def test_founding_with_fewer_between_the_parties_and_the_data_than_asked_says_who(
    table: Path, minimum: int, is_weak: bool
) -> None:
    (table / "charter.yaml").write_text(COUNTED.replace("  min: 3\n", f"  min: {minimum}\n"), "utf-8")

    begun = ringfence("init", "deployment", *PRODUCTION, "--ceremony", "plan.yaml", "--json", cwd=table)
    hand_in_shares(table / "deployment", ["gus", "dot"], people=FOUNDERS)
    founded = ringfence("found", "-d", "deployment", *signatures(table), "--json", cwd=table)
    doctor = ringfence("doctor", "-d", "deployment", "--json", cwd=table)

    for done in (begun, founded):
        assert done.returncode == 0, done.stderr
        said = json.loads(done.stdout)["coalition"]
        assert ("who joined the excluded parties would be enough to" in said) is is_weak
        assert ("and the charter asks that 4 are needed. The path: there join" in said) is is_weak
        assert (f"warning: {said}\n" in done.stderr) is is_weak
    assert ("hint: name more people in the plan" in begun.stderr) is is_weak
    notes = [one["detail"] for one in json.loads(doctor.stdout)["findings"] if one["check"] == "coalition"]
    assert notes == ([json.loads(founded.stdout)["coalition"]] if is_weak else [])
