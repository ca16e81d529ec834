"""Entries that their openings contradict, and requests whose entries leave something out: each is refuted.

The ledgers are signed by every key there is, and agree with the charter and with the counters.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from ringfence.core.ledger import entry as e
from tests.attacks.bundles import judge, require_refuted, require_verified
from tests.ledgers import ALICE, APP, BOB, CHARTER, GATEWAY, INGEST, PARENT, Ledger, record_of, started

KEYS = [bytes([number]) * 16 for number in range(1, 200)]
RECORD = record_of(ALICE)
DIGEST = bytes(32)
EVERYTHING = {"protected": "serving", "public": "serving"}
SPLIT = CHARTER.replace("version: 1", "version: 2").replace(
    "classes: [protected, public], downgrades_per_day_max: 3,",
    """classes: [public], downgrades_per_day_max: 3,
     bulk: {records_max: 50, records_per_day_max: 100}}
  - {name: guarding, words: Three., who: [app], from: [US], purposes: [serve], verbs: [read, write],
     datasets: [person, posts], classes: [protected],""",
)

Drawn = tuple[e.AnyLeaf, bytes]


def part(key: bytes, data_class: str, version: int, *, dataset: str = "") -> e.Written:
    """Give a part that a write left; version 0 when it is gone."""
    return e.Written(key, data_class, version, DIGEST if version else b"", dataset)


def told(*keys: bytes, subject: bytes = ALICE, written: list[e.Written] | None = None) -> e.About:
    """Tell of records of one subject, and of parts that were written."""
    return e.About(subjects=[subject] * len(keys), records=list(keys), written=written or [])


# -- how many ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("listed", "holds"), [(40, True), (41, False), (199, False)])
def test_bulk_about_more_records_than_were_counted_is_refuted(tmp_path: Path, listed: int, holds: bool) -> None:
    ledger = started()
    access, _ = ledger.bulk(40)
    opening = e.render_opening(bytes(16), e.About(subjects=KEYS[:listed], records=KEYS[:listed]))
    place = ledger.batch(GATEWAY, (msgspec.structs.replace(access, about=e.commit(opening)), opening))
    verdict = judge(ledger, tmp_path)
    if holds:
        require_verified(verdict)
    else:
        require_refuted(verdict, "about more records than its entry says", leaf=place + 1)


@pytest.mark.parametrize(("verb", "listed", "holds"), [("read", 1, True), ("read", 199, False), ("export", 2, False)])
def test_single_access_about_more_records_than_it_says_is_refuted(
    tmp_path: Path, verb: str, listed: int, holds: bool
) -> None:
    ledger = started()
    serving = {"purpose": "serve", "told": told(*KEYS[:listed])}
    decided = None if verb == "read" else {"protected": "", "public": ""}
    place = ledger.batch(GATEWAY, ledger.access(verb="read", **serving))  # type: ignore[arg-type]
    ledger.batch(GATEWAY, ledger.access(verb="export", decided=decided, **serving))  # type: ignore[arg-type]
    verdict = judge(ledger, tmp_path)
    if holds:
        require_verified(verdict)
    elif verb == "read":
        require_refuted(verdict, "about more records than its entry says", leaf=place + 1)
    else:  # one that was refused may name what it likes: nothing of it was given
        assert all(item.leaf == place + 1 for item in verdict.refutations)


def test_write_says_of_each_record_but_not_of_what_the_program_keeps_for_itself(tmp_path: Path) -> None:
    own = [part(KEYS[1], "protected", 1, dataset="@jurisdiction"), part(ALICE, "protected", 1)]
    honest = told(KEYS[0], KEYS[1], written=[part(KEYS[0], "protected", 1), part(KEYS[0], "public", 1), *own])
    hidden = told(KEYS[0], KEYS[1], written=[part(KEYS[0], "protected", 1), part(KEYS[1], "public", 1)])
    for name, about in (("honest", honest), ("forged", hidden)):
        ledger = started()
        place = ledger.batch(GATEWAY, ledger.access(verb="write", told=about))
        if name == "honest":
            require_verified(judge(ledger, tmp_path / name))
        else:
            require_refuted(judge(ledger, tmp_path / name), "about more records", leaf=place + 1)


@pytest.mark.parametrize(
    "about",
    [
        told(RECORD, written=[part(RECORD, "protected", 1), part(RECORD, "public", 1), part(KEYS[0], "public", 1)]),
        told(RECORD, written=[part(RECORD, "protected", 1), part(RECORD, "public", 1), part(RECORD, "public", 2)]),
        told(RECORD, written=[part(RECORD, "protected", 1), part(RECORD, "public", -1)]),
        told(RECORD, written=[part(RECORD, "protected", 1), part(RECORD, "public", 1, dataset="posts")]),
    ],
)
def test_parts_of_records_that_the_write_does_not_name_are_refuted(tmp_path: Path, about: e.About) -> None:
    ledger = started()
    ledger.batch(GATEWAY, ledger.access(verb="write"))
    require_verified(judge(ledger, tmp_path / "honest"))
    place = ledger.batch(GATEWAY, ledger.access(verb="write", told=about))
    require_refuted(judge(ledger, tmp_path / "forged"), "written", leaf=place + 1)


@pytest.mark.parametrize("amount", [1, 2, 3])
def test_downgrade_counts_each_record_that_it_is_about(tmp_path: Path, amount: int) -> None:
    ledger = started()
    keys = KEYS[:2]
    stored = [part(key, "protected", 0) for key in keys] + [part(key, "public", 1) for key in keys]
    write = ledger.access(verb="write", dataset="posts", records=2, told=told(*keys, written=stored))
    lowered, opening = ledger.downgrade(told=told(*keys), amount=amount, total=amount)
    place = ledger.batch(GATEWAY, write, (msgspec.structs.replace(lowered, dataset="posts"), opening))
    verdict = judge(ledger, tmp_path)
    if amount == len(keys):
        require_verified(verdict)
    else:
        require_refuted(verdict, "counts other records than it is about", leaf=place + 2)


# -- about whom --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("about", "what"),
    [
        (e.About(), "about nobody"),
        (e.About(unknown=KEYS[:150]), "about several subjects"),
        (e.About(subjects=[ALICE], unknown=[BOB]), "about several subjects"),
    ],
)
def test_single_access_is_about_one_user(tmp_path: Path, about: e.About, what: str) -> None:
    ledger = started()
    ledger.batch(GATEWAY, ledger.access(told=e.About(unknown=[BOB])), ledger.access(told=told(RECORD)))
    require_verified(judge(ledger, tmp_path / "honest"))
    place = ledger.batch(GATEWAY, ledger.access(told=about))
    require_refuted(judge(ledger, tmp_path / "forged"), what, leaf=place + 1)


@pytest.mark.parametrize(
    ("about", "what"),
    [
        (e.About(subjects=KEYS), "something else than one field"),
        (e.About(searched=[b"person.id", bytes(16)], subjects=[ALICE]), "something else than one field"),
        (e.About(searched=[b"person.id"]), "something else than one field"),
        (e.About(searched=[b"person.country", bytes(16)]), "another class than its field's"),
        (e.About(searched=[b"posts.who", bytes(16)]), "another class than its field's"),
        (e.About(searched=[b"person.unheard of", bytes(16)]), "another class than its field's"),
    ],
)
def test_look_up_is_about_one_field_and_decided_on_its_class(tmp_path: Path, about: e.About, what: str) -> None:
    ledger = started()
    ledger.batch(GATEWAY, ledger.access(verb="find"), ledger.access(verb="find", classes=("protected",)))
    require_verified(judge(ledger, tmp_path / "honest"))
    place = ledger.batch(GATEWAY, ledger.access(verb="find", told=about))
    require_refuted(judge(ledger, tmp_path / "forged"), what, leaf=place + 1)


def test_user_id_that_is_written_again_under_an_erased_reference_is_refuted(tmp_path: Path) -> None:
    for name, whose in (("honest", BOB), ("forged", ALICE)):
        ledger = started()
        ledger.erase(ALICE)
        identity = part(whose, "protected", 1)
        about = e.About(subjects=[BOB, whose], records=[RECORD], written=[part(RECORD, "public", 1), identity])
        place = ledger.batch(
            GATEWAY, ledger.access(verb="write", records=2, shape="bulk", told=about, counted=count(ledger))
        )
        if name == "honest":
            require_verified(judge(ledger, tmp_path / name))
        else:
            require_refuted(judge(ledger, tmp_path / name), "an erased subject", leaf=place + 1)


def count(ledger: Ledger) -> e.Count:
    return ledger.step("bulk/serving", 2)


def test_subject_that_is_erased_twice_is_refuted(tmp_path: Path) -> None:
    ledger = started()
    ledger.erase(ALICE)
    ledger.erase(BOB)
    require_verified(judge(ledger, tmp_path / "honest"))
    place = ledger.erase(ALICE)
    require_refuted(judge(ledger, tmp_path / "forged"), "was erased before", leaf=place)


# -- every class -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["read", "export"])
@pytest.mark.parametrize(
    ("classes", "what"),
    [((), "on no class"), (("public",), "leaves out a class"), (("protected", "public", "other"), "did not ask for")],
)
def test_access_that_is_not_decided_on_every_class_is_refuted(
    tmp_path: Path, verb: str, classes: tuple[str, ...], what: str
) -> None:
    ledger = started()
    ledger.batch(GATEWAY, ledger.access(verb=verb), ledger.access(verb=verb, principal=PARENT))
    require_verified(judge(ledger, tmp_path / "honest"))
    place = ledger.batch(GATEWAY, ledger.access(verb=verb), ledger.access(verb=verb, classes=classes))
    require_refuted(judge(ledger, tmp_path / "forged"), what, leaf=place + 2)
    require_refuted(judge(ledger, tmp_path / "without", detail=False), what, leaf=place + 2)


@pytest.mark.parametrize(("verb", "classes"), [("find", ()), ("find", ("protected", "public")), ("write", ())])
def test_look_up_on_several_classes_and_write_on_none_are_refuted(
    tmp_path: Path, verb: str, classes: tuple[str, ...]
) -> None:
    ledger = started()
    place = ledger.batch(GATEWAY, ledger.access(verb=verb, classes=classes))
    require_refuted(judge(ledger, tmp_path), "on no class, or a look-up on several", leaf=place + 1)


@pytest.mark.parametrize(
    ("written", "what"),
    [
        ([part(RECORD, "public", 1)], ""),
        ([part(RECORD, "protected", 1)], "leaves out a class"),
        ([part(RECORD, "public", 1), part(RECORD, "protected", 0)], "leaves out a class"),
        ([part(RECORD, "public", 1), part(ALICE, "protected", 1)], "leaves out a class"),
        ([], "did not ask for"),
    ],
)
def test_write_is_decided_on_the_classes_of_the_parts_that_it_left(
    tmp_path: Path, written: list[e.Written], what: str
) -> None:
    ledger = started()
    place = ledger.batch(GATEWAY, ledger.access(verb="write", classes=("public",), told=told(RECORD, written=written)))
    verdict = judge(ledger, tmp_path)
    if what:
        require_refuted(verdict, what, leaf=place + 1)
    else:
        require_verified(verdict)


@pytest.mark.parametrize("lie", [{"principal": PARENT}, {"verb": "read"}, {"country": "CN"}])
def test_parts_written_by_what_was_refused_or_is_no_write_are_refuted(tmp_path: Path, lie: dict[str, object]) -> None:
    ledger = started()
    ledger.batch(GATEWAY, ledger.access(verb="write"), ledger.access(verb="write", principal=PARENT))
    require_verified(judge(ledger, tmp_path / "honest"))
    about = told(RECORD, written=[part(RECORD, "protected", 7), part(RECORD, "public", 7)])
    place = ledger.batch(GATEWAY, ledger.access(**{"verb": "write", "told": about, **lie}))  # type: ignore[arg-type]
    require_refuted(judge(ledger, tmp_path / "forged"), "nothing was permitted to be", leaf=place + 1)


def split(verb: str, *, classes: tuple[str, ...] = ("protected", "public")) -> tuple[Ledger, list[Drawn]]:
    """Give a ledger, and the entries that a request leaves of which two clauses permit one class each."""
    ledger = started()
    ledger.enact(SPLIT, version=2)
    written = [part(RECORD, "protected", 0), part(RECORD, "public", 1)] if verb == "write" else []
    about = told(RECORD, written=written)
    entries: list[Drawn] = [
        ledger.access(verb=verb, dataset="posts", classes=(data_class,), told=about) for data_class in classes
    ]
    return ledger, entries


@pytest.mark.parametrize("detail", [True, False])
@pytest.mark.parametrize("verb", ["read", "write"])
def test_request_that_two_clauses_permit_leaves_an_entry_for_each(tmp_path: Path, verb: str, detail: bool) -> None:
    ledger, entries = split(verb)
    lowered, opening = ledger.downgrade(told=told(RECORD))
    lowered = msgspec.structs.replace(lowered, dataset="posts")
    ledger.batch(GATEWAY, *entries, *([(lowered, opening)] if verb == "write" else []), ledger.access())
    require_verified(judge(ledger, tmp_path, detail=detail))


@pytest.mark.parametrize("order", [(0,), (1,), (0, 0, 1), (0, 2, 1)])
def test_request_whose_entries_leave_one_out_or_are_torn_apart_is_refuted(
    tmp_path: Path, order: tuple[int, ...]
) -> None:
    ledger, entries = split("read")
    entries.append(ledger.access())
    place = ledger.batch(GATEWAY, *(entries[number] for number in order))
    require_refuted(judge(ledger, tmp_path), "leaves out a class", leaf=place + 1)


# -- less protected ----------------------------------------------------------------------------------------------------

MOVED = [part(RECORD, "public", 1), part(RECORD, "protected", 0)]


@pytest.mark.parametrize(
    ("dataset", "written", "needed"),
    [
        ("posts", MOVED, True),
        ("posts", [part(RECORD, "public", 1), part(RECORD, "protected", 2)], True),
        ("posts", [part(RECORD, "public", 1)], False),
        ("posts", [part(RECORD, "public", 2)], False),
        ("posts", [part(RECORD, "public", 0), part(RECORD, "protected", 1)], False),
        ("person", MOVED, False),
    ],
)
def test_record_that_becomes_less_protected_needs_a_downgrade(
    tmp_path: Path, dataset: str, written: list[e.Written], needed: bool
) -> None:
    for name in ("with", "without", "withheld"):
        ledger = started()
        classes = sorted({item.data_class for item in written})
        write = ledger.access(verb="write", dataset=dataset, classes=classes, told=told(RECORD, written=written))
        lowered, opening = ledger.downgrade(told=told(RECORD))
        lowered = msgspec.structs.replace(lowered, dataset=dataset)
        entries: list[Drawn] = [write] if name == "without" else [write, (lowered, opening)]
        place = ledger.batch(GATEWAY, *entries)
        if name == "withheld":
            ledger.openings[place + 2] = b""
        verdict = judge(ledger, tmp_path / name)
        if name == "without" and needed:
            require_refuted(verdict, "less protected without a downgrade", leaf=place + 1)
        else:
            require_verified(verdict)


def test_downgrade_about_another_record_than_the_write_is_refuted(tmp_path: Path) -> None:
    for name, key in (("honest", RECORD), ("forged", KEYS[0])):
        ledger = started()
        write = ledger.access(verb="write", dataset="posts", told=told(RECORD, written=MOVED))
        lowered, opening = ledger.downgrade(told=told(key))
        place = ledger.batch(GATEWAY, write, (msgspec.structs.replace(lowered, dataset="posts"), opening))
        if key == RECORD:
            require_verified(judge(ledger, tmp_path / name))
        else:
            require_refuted(judge(ledger, tmp_path / name), "that its write does not name", leaf=place + 2)


# -- outcomes and lanes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n", "position", "what"),
    [
        (1, 0, ""),
        (1, 1, "was refused anyway"),
        (1, 2, "no earlier access"),
        (1, 250, "no earlier access"),
        (2, 0, "no earlier access"),
        (3, 0, "no earlier access"),
        (4, 0, "no earlier access"),
    ],
)
def test_outcome_is_about_an_earlier_access_that_was_given(tmp_path: Path, n: int, position: int, what: str) -> None:
    ledger = started()
    refusals = e.Refusals(principal=0, reason="unauthenticated", requests=1, since_ms=0)
    ledger.batch(GATEWAY, ledger.access(), ledger.access(principal=PARENT))
    ledger.batch(GATEWAY, (refusals, b""))
    ledger.batch(INGEST, ledger.access(verb="write"))
    place = ledger.batch(GATEWAY, (e.Outcome(n=n, position=position, result="unavailable"), b""))
    verdict = judge(ledger, tmp_path)
    if what:
        require_refuted(verdict, what, leaf=place + 1)
    else:
        require_verified(verdict)


def test_second_outcome_of_one_access_is_refuted(tmp_path: Path) -> None:
    ledger = started()
    ledger.batch(GATEWAY, ledger.access(), ledger.access())
    outcomes = [(e.Outcome(n=1, position=position, result="unavailable"), b"") for position in (0, 1, 0)]
    ledger.batch(GATEWAY, *outcomes[:2])
    require_verified(judge(ledger, tmp_path / "honest"))
    place = ledger.batch(GATEWAY, outcomes[2])
    require_refuted(judge(ledger, tmp_path / "forged"), "has two outcomes", leaf=place + 1)


def test_authority_that_lets_itself_read_is_refuted(tmp_path: Path) -> None:
    ledger = started()
    ledger.batch(GATEWAY, ledger.access(principal=APP))
    require_verified(judge(ledger, tmp_path / "honest"))
    place = ledger.batch(0, ledger.access(principal=APP))
    require_refuted(judge(ledger, tmp_path / "forged"), "holds rules alone", leaf=place)
