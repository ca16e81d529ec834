"""`ringfence verify` as a regulator runs it: exit codes, what is said, and that the network is never touched."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ringfence.cli.verify import verify
from ringfence.core.ledger import entry as e
from ringfence.verify.render import FORMAT
from tests.ledgers import BOB, GATEWAY, INGEST, Ledger, render_trust, started, whole


def run(*arguments: str | Path) -> Result:
    """Run the command in this process; an error that it does not answer itself fails the test."""
    return CliRunner().invoke(verify, [str(item) for item in arguments], catch_exceptions=False)


def prepared(directory: Path, ledger: Ledger, **options: bool) -> tuple[Path, Path]:
    """Write a ledger and its trust file; give the bundle and the trust file."""
    bundle, trust = ledger.write(directory / "bundle", **options), directory / "trust.json"
    trust.write_bytes(render_trust(ledger.trust()))
    return bundle, trust


def test_verified_bundle_exits_with_0_and_says_what_holds(tmp_path: Path) -> None:
    bundle, trust = prepared(tmp_path, whole())
    result = run(bundle, "--trust", trust)
    assert result.exit_code == 0
    assert result.stdout.startswith("VERIFIED")
    for words in ("log.example/ringfence", "small@2", "Signed    2025-", "days ago", "subjects erased", "small@2"):
        assert words in result.stdout
    for asserted in ("country", "data class", "token's issuer", "clock"):
        assert asserted in result.stdout.partition("Asserted")[2]
    assert "Withheld or not checked: nothing" in result.stdout
    assert "DEVELOPMENT" not in result.stdout
    assert [line for line in result.stdout.splitlines() if len(line) > 80] == []


def test_refuted_bundle_exits_with_1_and_names_place_expected_and_found(tmp_path: Path) -> None:
    ledger = started()
    place = ledger.batch(GATEWAY, ledger.access(decided={"public": "erasing"})) + 1
    bundle, trust = prepared(tmp_path, ledger)
    result = run(bundle, "--trust", trust)
    assert result.exit_code == 1
    first, second, expected, found, *_ = result.stdout.splitlines()
    assert first.startswith("REFUTED")
    assert f"leaf {place} " in second
    assert "the charter decides otherwise" in second
    assert expected.split() == ["expected", "public:", "serving"]
    assert found.split() == ["found", "public:", "erasing"]


def test_bundle_without_pins_is_self_consistent_at_best_and_exits_with_2(tmp_path: Path) -> None:
    ledger = whole()
    bundle, _ = prepared(tmp_path, ledger)
    result = run(bundle)
    assert result.exit_code == 2
    assert result.stdout.startswith("SELF-CONSISTENT ONLY")
    (bundle / "vkey").write_bytes(b"x" + (bundle / "vkey").read_bytes())
    assert run(bundle).exit_code == 1


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["gone"], "no directory"),
        (["bundle", "--trust", "gone"], "cannot be read"),
        (["bundle", "--trust", "bundle"], "cannot be read"),
        (["bundle", "--trust", "bundle/checkpoint"], "not JSON"),
        (["bundle", "--since", "gone"], "cannot be read"),
        (["bundle", "--jobs", "0"], "--jobs"),
        (["bundle", "--from", "-1"], "--from"),
        (["bundle", "--from", "99999999"], "--from names leaf 99999999, and the tree has"),
    ],
)
@pytest.mark.parametrize("as_json", [False, True])
def test_wrong_use_and_unreadable_files_exit_with_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], what: str, as_json: bool
) -> None:
    prepared(tmp_path, whole())
    monkeypatch.chdir(tmp_path)
    result = run(*arguments, *(["--json"] if as_json else []))
    assert result.exit_code == 2
    assert what in result.output
    assert "Traceback" not in result.output


def test_json_is_one_object_with_the_members_that_are_documented(tmp_path: Path) -> None:
    bundle, trust = prepared(tmp_path, whole())
    verdict = json.loads(run(bundle, "--trust", trust, "--json").stdout)
    assert verdict["format"] == FORMAT
    assert verdict["outcome"] == "verified"
    assert verdict["counts"]["decisions"] == 12
    assert verdict["asserted"]["country"] == {"connection": 11}
    page = (Path(__file__).parents[2] / "docs/verify.md").read_text("utf-8")
    documented = set(re.findall(r"`([a-z_]+)`", page))
    assert set(verdict) <= documented
    assert set(verdict["counts"]) <= documented
    assert set(verdict["asserted"]) <= documented

    (bundle / "vkey").write_bytes(b"")
    refuted = json.loads(run(bundle, "--trust", trust, "--json").stdout)
    assert refuted["outcome"] == "refuted"
    assert set(refuted["refutations"][0]) <= documented


def test_development_mode_is_said_loudly(tmp_path: Path) -> None:
    bundle, trust = prepared(tmp_path, whole(mode=e.DEVELOPMENT))
    result = run(bundle, "--trust", trust)
    assert result.exit_code == 0
    assert "!! MODE: DEVELOPMENT." in result.stdout


def test_recovered_lane_is_said_loudly(tmp_path: Path) -> None:
    ledger = started()
    ledger.batch(GATEWAY, ledger.access())
    ledger.rule(e.LaneRecovered(lane=GATEWAY, n=1, reason="the disk\x1b[2J was lost"))
    bundle, trust = prepared(tmp_path, ledger)
    result = run(bundle, "--trust", trust)
    assert result.exit_code == 0
    assert f"without what lane {GATEWAY} wrote after batch 1: the disk\\x1b[2J was lost" in result.stdout
    assert "\x1b" not in result.stdout


def test_what_a_bundle_without_openings_cannot_show_is_said(tmp_path: Path) -> None:
    bundle, trust = prepared(tmp_path, whole(), detail=False)
    result = run(bundle, "--trust", trust)
    assert result.exit_code == 0
    withheld = result.stdout.partition("Withheld or not checked:")[2]
    assert re.search(r"\b11 +openings of accesses", withheld)
    assert re.search(r"\b1 +erased subjects never listed again", withheld)


def test_since_and_from(tmp_path: Path) -> None:
    ledger = started()
    ledger.batch(GATEWAY, ledger.access())
    kept = tmp_path / "kept"
    kept.write_bytes(ledger.sign())
    ledger.batch(INGEST, ledger.access(BOB))
    bundle, trust = prepared(tmp_path, ledger)
    size = len(ledger.leaves)
    result = run(bundle, "--trust", trust, "--since", kept, "--from", str(size - 3))
    assert result.exit_code == 0
    assert f"the reader's own checkpoint of {size - 3} leaves" in result.stdout
    assert "1  entries before the leaf given by --from: not decided again" in result.stdout

    other = started()
    other.batch(GATEWAY, other.access(BOB))
    kept.write_bytes(other.sign())
    assert run(bundle, "--trust", trust, "--since", kept).exit_code == 1


@pytest.mark.parametrize(("beyond", "code"), [(0, 0), (1, 2)])
def test_from_beyond_the_tree_decides_nothing_and_verifies_nothing(tmp_path: Path, beyond: int, code: int) -> None:
    ledger = whole()
    bundle, trust = prepared(tmp_path, ledger)

    assert run(bundle, "--trust", trust, "--from", str(len(ledger.leaves) + beyond)).exit_code == code


def test_from_beyond_a_tree_that_was_cut_is_refuted_by_the_checkpoint_that_was_kept(tmp_path: Path) -> None:
    ledger = started()
    ledger.batch(GATEWAY, ledger.access())
    ledger.batch(GATEWAY, ledger.access(BOB))
    kept, size = tmp_path / "kept", len(ledger.leaves)
    kept.write_bytes(ledger.sign())
    del ledger.leaves[-3:], ledger.openings[-3:]
    bundle, trust = prepared(tmp_path, ledger)

    assert run(bundle, "--trust", trust, "--since", kept, "--from", str(size)).exit_code == 1


def test_clock_that_is_behind_the_checkpoint_is_said(tmp_path: Path) -> None:
    ledger = whole()
    ledger.now_ms += 10**12
    bundle, trust = prepared(tmp_path, ledger)
    result = run(bundle, "--trust", trust)
    assert "AHEAD of this machine's clock" in result.stdout


def test_verifier_opens_no_socket_and_writes_no_file(tmp_path: Path) -> None:
    bundle, trust = prepared(tmp_path, whole())
    script = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from ringfence.verify import parse_trust, verify_bundle\n"
        "def watch(event, arguments):\n"
        "    if event.startswith('socket.') or event in ('subprocess.Popen', 'os.remove', 'os.rename', 'os.mkdir'):\n"
        "        raise SystemExit(event)\n"
        "    if event == 'open' and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):\n"
        "        raise SystemExit(f'writes {arguments[0]}')\n"
        "trust = parse_trust(Path(sys.argv[2]).read_bytes(), file='trust')\n"
        "sys.addaudithook(watch)\n"
        "print(verify_bundle(Path(sys.argv[1]), trust=trust).outcome)\n"
        "if len(sys.argv) > 3: import socket; socket.socket()\n"
    )

    def watched(*more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", script, str(bundle), str(trust), *more]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    done = watched()
    assert (done.returncode, done.stdout.split()) == (0, ["verified"]), done.stderr
    assert "socket.__new__" in watched("and then opens one").stderr
