"""Ledgers of someone who holds every key and writes anything at all: the verifier answers, whatever they hold."""

from __future__ import annotations

import hashlib
import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence.core.ledger import entry as e
from ringfence.verify import REFUTED, VERIFIED, Verdict, verify_bundle
from ringfence.verify.render import render_json, render_text
from tests.core.ledger.any_entry import ACCESSES, LEAVES, OPENINGS, RULES
from tests.core.mutation import mutated
from tests.ledgers import GATEWAY, Ledger, opening_of, started, write_files

COMMITMENTS = ("about", "identity", "statement", "signature", "founding")
NAMES = sorted(started().files())


def answered(files: dict[str, bytes], ledger: Ledger) -> Verdict:
    """Verify; the verdict is one of the two, and can be told in both ways."""
    with tempfile.TemporaryDirectory() as scratch:
        write_files(Path(scratch) / "bundle", files)
        verdict = verify_bundle(Path(scratch) / "bundle", trust=ledger.trust())
    assert verdict.outcome in (VERIFIED, REFUTED)
    assert json.loads(render_json(verdict))["outcome"] == verdict.outcome
    assert all(line.isprintable() for line in render_text(verdict).splitlines())
    return verdict


def committed(entry: e.AnyLeaf, value: e.About | e.Identity | None) -> tuple[e.AnyLeaf, bytes]:
    """Let an entry commit to an opening, where it commits to anything."""
    if value is None or e.commitment_of(entry) is None:
        return entry, b""
    opening = opening_of(value)
    (name,) = [name for name in COMMITMENTS if name in entry.__struct_fields__]
    fields = {field: getattr(entry, field) for field in entry.__struct_fields__} | {name: e.commit(opening)}
    return type(entry)(**fields), opening


@given(st.lists(st.tuples(ACCESSES, OPENINGS | st.none()), min_size=1, max_size=3), st.booleans())
def test_any_accesses_are_answered(entries: list[tuple[e.AnyLeaf, e.About | e.Identity | None]], detail: bool) -> None:
    ledger = started()
    ledger.batch(GATEWAY, *(committed(entry, value) for entry, value in entries))
    ledger.batch(GATEWAY, ledger.access())

    answered(ledger.files(detail=detail), ledger)


@given(RULES, OPENINGS | st.none(), st.sampled_from([0, GATEWAY]))
def test_any_rule_is_answered(rule: e.Rule, value: e.About | e.Identity | None, lane: int) -> None:
    ledger = started()
    entry, opening = committed(rule, value)
    place = ledger.batch(lane, (entry, opening))
    ledger.epoch += 1
    ledger.batch(GATEWAY, ledger.access())

    verdict = answered(ledger.files(), ledger)
    assert verdict.size > place


@given(LEAVES, st.integers(0, 40), st.booleans())
def test_any_leaf_in_the_place_of_another_is_refuted(leaf: e.AnyLeaf, at: int, instead: bool) -> None:
    ledger = started()
    ledger.batch(GATEWAY, ledger.access(), ledger.access())
    place = 2 + at % (len(ledger.leaves) - 2)
    ledger.leaves[place : place + instead] = [e.render_entry(leaf)]
    ledger.openings[place : place + instead] = [b""]

    assert answered(ledger.files(), ledger).outcome == REFUTED


@given(st.sampled_from(NAMES), st.data())
def test_any_file_that_was_changed_is_refuted(name: str, data: st.DataObject) -> None:
    ledger = started()
    files = ledger.files()
    changed = data.draw(mutated(files[name]))
    is_same = changed == files[name]
    files[name] = changed

    assert answered(files, ledger).outcome == (VERIFIED if is_same else REFUTED)


@pytest.mark.parametrize("size", [0, 31, 33])
def test_lane_whose_key_is_none_is_refuted_where_it_seals(size: int) -> None:
    ledger = started()
    ledger.rule(
        e.LaneCertified(
            lane=9, key=hashlib.sha256().digest()[:size] + bytes(max(size - 32, 0)), build="", duty="gateway"
        )
    )
    assert answered(ledger.files(), ledger).outcome == VERIFIED  # nobody can ever write there

    ledger.batch(9, ledger.access())
    assert answered(ledger.files(), ledger).outcome == REFUTED
