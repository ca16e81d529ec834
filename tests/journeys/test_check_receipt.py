"""`ringfence ledger check-receipt`: whoever was given a receipt checks offline that the ledger has it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from ringfence.core.ledger.signed_note import render_vkey, verifier_key_of
from tests.faults.serving import Server
from tests.journeys.programs import Done, complained, run_inside
from tests.journeys.test_client import PURPOSE, connect
from tests.ledgers import cosigned_by, key_of
from tests.services.world import make_deployment


@dataclass(frozen=True)
class Held:
    """What somebody holds who wrote two records: the receipts, the first one's proof, and the trust file."""

    receipt: str
    other: str
    proof: bytes
    trust: bytes


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Held:
    directory = tmp_path_factory.mktemp("receipts") / "deployment"
    make_deployment(directory)
    server = Server(directory)
    server.start()
    try:
        with connect(server, "app") as client:
            one, other = (
                client.write("profile", user, {"userName": user}, purpose=PURPOSE).receipt for user in ("ann", "ben")
            )
            proof = client.prove(one).encode()
    finally:
        assert server.stop() == 0
    return Held(one, other, proof, (directory / "trust.json").read_bytes())


def check(directory: Path, receipt: str, proof: bytes, trust: bytes, *options: str) -> Done:
    (directory / "proof").write_bytes(proof)
    (directory / "trust.json").write_bytes(trust)
    return run_inside("ledger", "check-receipt", receipt, "proof", "--trust", "trust.json", *options, cwd=directory)


def pins(trust: bytes, **changed: object) -> bytes:
    return json.dumps({**json.loads(trust), **changed}).encode()


def test_receipt_that_the_ledger_holds_is_verified(tmp_path: Path, held: Held) -> None:
    said = check(tmp_path, held.receipt, held.proof, held.trust)
    told = check(tmp_path, held.receipt, held.proof, held.trust, "--json").facts()

    assert (said.returncode, said.stderr) == (0, "")
    assert said.stdout.startswith("VERIFIED against the pinned keys: the ledger holds the entry of this receipt.\n")
    assert (told["format"], told["outcome"], told["refutation"]) == ("ringfence-receipt/1", "verified", None)
    assert f"Ledger    {told['origin']}\nLeaf      {told['leaf']:,} of {told['size']:,}\n" in said.stdout
    assert f"index {told['leaf']}\n".encode() in held.proof
    assert told["root"] in said.stdout


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda held: (held.other, held.proof, held.trust), "root"),
        (lambda held: (held.receipt[:-1] + f"{int(held.receipt[-1], 16) ^ 1:x}", held.proof, held.trust), "root"),
        (lambda held: (held.receipt, held.proof.replace(b"index ", b"index 1"), held.trust), ""),
        (lambda held: (held.receipt, held.proof, pins(held.trust, origin="ledger.example.org/other")), "another log"),
        (lambda held: (held.receipt, held.proof, pins(held.trust, log_key=stranger(held))), "lacks a signature"),
        (lambda held: (held.receipt, held.proof, witnessed(held)), "too few of the pinned witnesses"),
    ],
)
def test_receipt_that_the_pinned_ledger_does_not_prove_is_refuted(
    tmp_path: Path, held: Held, change: Callable[[Held], tuple[str, bytes, bytes]], what: str
) -> None:
    said = check(tmp_path, *change(held))
    told = check(tmp_path, *change(held), "--json")

    assert (said.returncode, said.stderr, told.returncode) == (1, "", 1)
    assert said.stdout.startswith("REFUTED: ")
    assert what in told.facts()["refutation"]["what"]
    assert told.facts()["outcome"] == "refuted"
    assert told.facts()["refutation"]["what"] in said.stdout
    assert check(tmp_path, held.receipt, held.proof, held.trust).returncode == 0


def test_witnesses_that_the_pins_ask_for_must_have_cosigned(tmp_path: Path, held: Held) -> None:
    head, _, note = held.proof.partition(b"\n\n")
    cosigned = head + b"\n\n" + cosigned_by(note, "w1.example")

    one, unpinned = (
        check(tmp_path, held.receipt, proof, trust, "--json")
        for proof, trust in ((cosigned, witnessed(held)), (cosigned, held.trust))
    )

    assert (one.returncode, one.facts()["witnesses"]) == (0, ["w1.example"])
    assert (unpinned.returncode, unpinned.facts()["witnesses"]) == (0, [])


@pytest.mark.parametrize(
    ("receipt", "proof", "trust", "said"),
    [
        ("1-1-0-x", None, None, "this is not a receipt"),
        (None, b"", None, "this is no proof file"),
        (None, b"\xff" * 9, None, "this is no proof file"),
        (None, b"x" * (256 * 1024 + 1), None, "proof"),
        (None, None, b"{}", "the trust file"),
    ],
)
def test_what_cannot_be_read_is_neither_verified_nor_refuted(
    tmp_path: Path, held: Held, receipt: str | None, proof: bytes | None, trust: bytes | None, said: str
) -> None:
    given = (
        held.receipt if receipt is None else receipt,
        held.proof if proof is None else proof,
        held.trust if trust is None else trust,
    )
    done, told = check(tmp_path, *given), check(tmp_path, *given, "--json")

    complained(done, 2, hint=False)
    assert said in done.stderr
    assert (told.returncode, told.facts()["outcome"]) == (2, "unreadable")
    absent = run_inside("ledger", "check-receipt", held.receipt, "absent", "--trust", "trust.json", cwd=tmp_path)
    complained(absent, 2, hint=False)


def stranger(held: Held) -> str:
    name = json.loads(held.trust)["log_key"].partition("+")[0]
    return render_vkey(verifier_key_of(key_of("stranger"), name=name))


def witnessed(held: Held) -> bytes:
    """Give the pins with one witness, who must have cosigned."""
    witness = render_vkey(verifier_key_of(key_of("witness w1.example"), name="w1.example").as_cosigner())
    return pins(held.trust, witnesses=[witness], witness_quorum=1)
