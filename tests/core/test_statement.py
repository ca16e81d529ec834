"""Statements: one spelling for one meaning, hostile bytes refused, and all of it in words before anyone signs."""

from __future__ import annotations

import json
import unicodedata
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ringfence.core import changes as c
from ringfence.core.errors import InvalidInputError
from ringfence.core.governance.change_shape import SHAPES
from ringfence.core.governance.statement import (
    APPROVE,
    DECLINE,
    LIFETIME_MS_MAX,
    LIFETIME_MS_MIN,
    ORDER,
    PROPOSE,
    STATEMENT_SIZE_BYTES_MAX,
    SUBJECTS_MAX,
    Statement,
    check_namespace,
    describe_statement,
    digest_statement,
    parse_statement,
    render_statement,
)
from ringfence.core.governance.wording import quote, show_duration
from ringfence.core.ledger.entry import Identity
from ringfence.core.times import show_time
from tests.core.mutation import mutated
from tests.core.people.attestor_keys import attestor_key
from tests.core.people.ssh_keys import file_key, wire
from tests.core.statements import (
    AT_MS,
    EACH_CHANGE,
    FIELDS,
    GRANT,
    SALT,
    SUBJECT,
    digests,
    make_statement,
    statements,
)

ALL_KINDS = (*c.GIVING_TYPES, *c.TAKING_TYPES)
BYTES = render_statement(make_statement())


def changed(data: bytes, **members: Any) -> bytes:
    """Give a statement's JSON with some members replaced, whatever they say."""
    return json.dumps(json.loads(data) | members, separators=(",", ":"), ensure_ascii=False).encode()


def words(statement: Statement) -> str:
    return "\n".join(describe_statement(statement))


# -- bytes -------------------------------------------------------------------------------------------------------------


def test_bytes_of_a_statement_never_change() -> None:
    assert render_statement(make_statement(c.Appoint(person=9, duty="engineer"))) == (
        b'{"statement":"ringfence/1","origin":"ledger.example.com/custody",'
        b'"genesis":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=","epoch":12,"at_ms":1767225600000,'
        b'"expires_ms":1767312000000,"nonce":"AAAAAAAAAAAAAAAAAAAAAA==","by":7,'
        b'"change":{"do":"appoint","person":9,"duty":"engineer"},'
        b'"reason":"a user wrote that messages are lost","ticket":"SUP-1"}'
    )


@given(statements())
def test_statement_survives_its_bytes(statement: Statement) -> None:
    data = render_statement(statement)

    assert parse_statement(data) == statement
    assert render_statement(parse_statement(data)) == data


@given(st.sampled_from(EACH_CHANGE).map(make_statement).map(render_statement).flatmap(mutated))
def test_changed_bytes_are_refused_or_mean_something_else(data: bytes) -> None:
    try:
        statement = parse_statement(data)
    except InvalidInputError:
        return

    assert render_statement(statement) == data
    describe_statement(statement)


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_by_name(data: bytes) -> None:
    with pytest.raises(InvalidInputError):
        parse_statement(data)


@pytest.mark.parametrize(
    "spelling",
    [
        BYTES + b"\n",
        b" " + BYTES,
        BYTES.replace(b'"epoch":12', b'"epoch": 12'),
        BYTES.replace(b'"epoch":12', b'"epoch":12.0'),
        BYTES.replace(b'"epoch":12', b'"epoch":"12"'),
        BYTES.replace(b'"epoch":12', b'"epoch":12,"epoch":12'),
        BYTES.replace(b'"epoch":12,"at_ms":1767225600000', b'"at_ms":1767225600000,"epoch":12'),
        BYTES.replace(b"SUP", b"\\u0053UP"),
        BYTES.replace(b'"nonce":"AAAAAAAAAAAAAAAAAAAAAA=="', b'"nonce":"AAAAAAAAAAAAAAAAAAAAAB=="'),
        BYTES[:-1] + b',"identity":null}',
        BYTES[:-1] + b',"note":""}',
        BYTES.replace(b"ringfence/1", b"ringfence/2"),
        BYTES.replace(b'"do":"grant"', b'"do":"grants"'),
        BYTES.replace(b"SUP-1", b"\xff"),
        BYTES.replace(b"SUP-1", b"\\ud800"),
        b"[" * 100_000,
        b"",
    ],
)
def test_other_spelling_is_refused(spelling: bytes) -> None:
    assert spelling != BYTES
    parse_statement(BYTES)

    with pytest.raises(InvalidInputError):
        parse_statement(spelling)


def test_error_about_hostile_bytes_shows_no_control_characters() -> None:
    with pytest.raises(InvalidInputError) as refused:
        parse_statement(BYTES[:-1] + b',"\\u001b[2J\\u202e":1}')

    assert refused.value.message.isprintable()


def test_longest_statement_is_read_and_a_longer_one_is_not() -> None:
    subjects = tuple(number.to_bytes(16, "big") for number in range(SUBJECTS_MAX))
    longest = make_statement(subjects=subjects, reason="\N{GRINNING FACE}" * 2000)

    assert parse_statement(render_statement(longest)) == longest
    with pytest.raises(InvalidInputError, match=str(STATEMENT_SIZE_BYTES_MAX)):
        parse_statement(b" " * (STATEMENT_SIZE_BYTES_MAX + 1))


def test_digest_is_the_plain_sha256_of_the_bytes() -> None:
    assert digest_statement(b"abc").hex() == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


# -- limits ------------------------------------------------------------------------------------------------------------

GOOD_AND_BAD = {
    "origin": (["x", "x" * 255], ["", "x" * 256]),
    "genesis": ([bytes(32)], [b"", bytes(31), bytes(33)]),
    "epoch": ([0, 2**53 - 1], [-1, 2**53, 2**70]),
    "expires_ms": (
        [AT_MS + LIFETIME_MS_MIN, AT_MS + LIFETIME_MS_MAX],
        [AT_MS + LIFETIME_MS_MIN - 1, AT_MS + LIFETIME_MS_MAX + 1, AT_MS - LIFETIME_MS_MIN, 0],
    ),
    "nonce": ([bytes(16)], [b"", bytes(15), bytes(17)]),
    "by": ([1, 2**53 - 1], [0, -1, 2**53]),
    "reason": (["x", "x" * 2000, " x"], ["", "x" * 2001, " \n\t", "\ud800"]),
    "ticket": (["", "x" * 200], ["x" * 201]),
    "subjects": (
        [(bytes(16),), (bytes(16), SUBJECT)],
        [(), (bytes(15),), (SUBJECT, bytes(16)), (SUBJECT, SUBJECT)],
    ),
    "identity": ([None], [Identity("https://idp.example.com", "ada")]),
    "identity_salt": ([b""], [SALT]),
}


@pytest.mark.parametrize(
    ("field", "value"), [(name, good) for name, (goods, _) in GOOD_AND_BAD.items() for good in goods]
)
def test_value_within_its_limit_is_taken(field: str, value: Any) -> None:
    render_statement(make_statement(**{field: value}))


@pytest.mark.parametrize(("field", "value"), [(name, bad) for name, (_, bads) in GOOD_AND_BAD.items() for bad in bads])
def test_value_beyond_its_limit_is_refused(field: str, value: Any) -> None:
    with pytest.raises(InvalidInputError):
        render_statement(make_statement(**{field: value}))


def test_time_beyond_the_calendar_is_refused() -> None:
    late_ms = 253_402_300_799_999

    assert "9999-12-31 23:59:59.999" in words(make_statement(at_ms=late_ms - LIFETIME_MS_MIN, expires_ms=late_ms))
    for at_ms, expires_ms in ((late_ms - 1, late_ms + LIFETIME_MS_MIN), (-1, LIFETIME_MS_MIN)):
        with pytest.raises(InvalidInputError):
            render_statement(make_statement(at_ms=at_ms, expires_ms=expires_ms))


TOO_MUCH: dict[str, list[Any]] = {
    "number": [0, -1, 2**53],
    "name": ["", "Engineer", "x" * 64, "engin\u0435er", "a b", "x\n"],
    "title": ["", "x" * 256],
    "digest": [b"", bytes(31), bytes(33)],
    "names": [(), ("b", "a"), ("a", "a"), ("A",), tuple(f"x{number:03}" for number in range(257))],
}
BAD_FIELDS: dict[type[c.Change], dict[str, list[Any]]] = {
    c.EnactCharter: {
        "name": TOO_MUCH["name"],
        "version": [0, 10**9 + 1],
        "digest": TOO_MUCH["digest"],
        "engine": TOO_MUCH["name"],
    },
    c.Admit: {
        "person": TOO_MUCH["number"],
        "party": TOO_MUCH["name"],
        "identity": [*TOO_MUCH["digest"], bytes(32)],
        "until_ms": [-1, 2**60],
    },
    c.Appoint: {"person": TOO_MUCH["number"], "duty": TOO_MUCH["name"]},
    c.EnrolKey: {"person": TOO_MUCH["number"], "key": [b"", bytes(51), file_key(1)[:-1], wire(b"ssh-rsa", b"x")]},
    c.Grant: {
        "kind": ["", "loan"],
        "person": TOO_MUCH["number"],
        "purpose": TOO_MUCH["name"],
        "verbs": [(), ("read", "find"), ("read", "read"), ("take",)],
        "datasets": TOO_MUCH["names"],
        "classes": TOO_MUCH["names"],
        "records_max": [0, -1, 10**12 + 1],
        "lasts_ms": [0, -1, 367 * 24 * 3_600_000],
        "subjects_any": [1, "yes", True],  # True: users are named, so it is not for any
        "bulk": [1, "yes"],
        "withhold": [("phone",), (".phone",), ("profile.",), ("b.x", "a.x"), ("a.x",) * 2],
    },
    c.ApproveBuild: {
        "name": TOO_MUCH["title"],
        "party": TOO_MUCH["name"],
        "digest": TOO_MUCH["digest"],
        "attestor": [bytes(32), attestor_key(1)[:-1], attestor_key(-1) + b"x"],
    },
    c.RegisterService: {"party": TOO_MUCH["name"], "identity": [*TOO_MUCH["digest"], bytes(32)], "feeds": [1, "yes"]},
    c.TrustIssuer: {"name": TOO_MUCH["title"], "keys": TOO_MUCH["digest"]},
    c.OpenKeyEpoch: {"data_class": TOO_MUCH["name"], "key_epoch": TOO_MUCH["number"]},
    c.RecoverLane: {"lane": TOO_MUCH["number"], "n": [-1, 2**53], "reason": ["", "x" * 2001]},
    c.Lift: {"suspension": TOO_MUCH["number"]},
    c.Review: {"grant": TOO_MUCH["number"], "justified": [1, "yes"]},
    c.Suspend: {"scope": ["", "lane", c.EVERYTHING], "name": TOO_MUCH["name"]},
    c.EndAppointment: {"person": TOO_MUCH["number"], "duty": TOO_MUCH["name"]},
    c.Dismiss: {"person": TOO_MUCH["number"]},
    c.RevokeKey: {"key": TOO_MUCH["number"]},
    c.RevokeGrant: {"grant": TOO_MUCH["number"]},
    c.NarrowGrant: {
        "grant": TOO_MUCH["number"],
        "datasets": TOO_MUCH["names"],
        "classes": TOO_MUCH["names"],
        "records_max": [0, 10**12 + 1],
        "lasts_ms": [0, 367 * 24 * 3_600_000],
    },
    c.WithdrawBuild: {"digest": TOO_MUCH["digest"]},
    c.WithdrawService: {"principal": TOO_MUCH["number"]},
    c.WithdrawIssuer: {"name": TOO_MUCH["title"]},
}


def test_every_field_of_every_change_has_a_limit_and_is_tried_beyond_it() -> None:
    fields = {kind: set(kind.__struct_fields__) for kind in ALL_KINDS}

    assert {kind: set(shape) for kind, shape in SHAPES.items()} == fields
    assert {kind: set(bad) for kind, bad in BAD_FIELDS.items()} == fields
    assert {type(change) for change in EACH_CHANGE} == set(ALL_KINDS)


@pytest.mark.parametrize("change", EACH_CHANGE, ids=c.operation_of)
def test_change_is_taken_as_it_should_be_and_refused_beyond_each_limit(change: c.AnyChange) -> None:
    render_statement(make_statement(change))

    for field, values in BAD_FIELDS[type(change)].items():
        for value in values:
            wrong = msgspec.structs.replace(
                make_statement(change), change=msgspec.structs.replace(change, **{field: value})
            )
            with pytest.raises(InvalidInputError):
                render_statement(wrong)


def test_everything_is_suspended_without_a_name_and_a_flow_with_one() -> None:
    render_statement(make_statement(c.Suspend(scope=c.EVERYTHING)))
    render_statement(make_statement(c.Suspend(scope=c.FLOW, name="support")))

    for wrong in (c.Suspend(scope=c.EVERYTHING, name="support"), c.Suspend(scope=c.FLOW)):
        with pytest.raises(InvalidInputError):
            render_statement(make_statement(wrong))


def test_users_are_named_exactly_when_a_grant_is_limited_to_them() -> None:
    for_any = msgspec.structs.replace(GRANT, subjects_any=True)
    render_statement(make_statement(for_any))
    render_statement(make_statement(GRANT))

    for change, subjects in ((for_any, (SUBJECT,)), (GRANT, ()), (c.Dismiss(person=9), (SUBJECT,))):
        with pytest.raises(InvalidInputError, match="users are named"):
            render_statement(make_statement(change, subjects=subjects))


@pytest.mark.parametrize(
    "change", [change for change in EACH_CHANGE if isinstance(change, c.Admit | c.RegisterService)]
)
@pytest.mark.parametrize(
    "wrong",
    [
        {"identity": Identity("https://idp.example.com", "eve")},
        {"identity": Identity("https://idp.example.net", "ada")},
        {"identity": Identity("", "ada")},
        {"identity": Identity("https://idp.example.com", "x" * 256)},
        {"identity": None},
        {"identity_salt": bytes(16)},
        {"identity_salt": b""},
        {"identity_salt": SALT[:-1]},
    ],
)
def test_identity_that_the_commitment_does_not_hold_is_refused(change: c.AnyChange, wrong: dict[str, Any]) -> None:
    render_statement(make_statement(change))

    with pytest.raises(InvalidInputError):
        render_statement(make_statement(change, **wrong))


# -- what a signature can say ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", EACH_CHANGE, ids=c.operation_of)
def test_giving_is_carried_and_taking_is_ordered(change: c.AnyChange) -> None:
    statement = make_statement(change)
    ordered = isinstance(change, c.TAKING_TYPES)
    carried = not ordered or isinstance(change, c.Suspend)

    for namespace, fits in ((PROPOSE, carried), (APPROVE, carried), (DECLINE, carried), (ORDER, ordered)):
        if fits:
            check_namespace(statement, namespace)
        else:
            with pytest.raises(InvalidInputError):
                check_namespace(statement, namespace)


def test_break_glass_is_ordered_and_a_legal_demand_is_carried() -> None:
    glass = make_statement(msgspec.structs.replace(GRANT, kind=c.BREAK_GLASS))
    demand = make_statement(msgspec.structs.replace(GRANT, kind=c.LEGAL_DEMAND))
    check_namespace(glass, ORDER)
    check_namespace(demand, PROPOSE)

    for statement, namespace in ((glass, PROPOSE), (glass, APPROVE), (demand, ORDER)):
        with pytest.raises(InvalidInputError):
            check_namespace(statement, namespace)


@pytest.mark.parametrize("namespace", ["", "found@ringfence", "git", "file", "PROPOSE@ringfence"])
def test_no_other_namespace_says_anything_of_a_statement(namespace: str) -> None:
    with pytest.raises(InvalidInputError):
        check_namespace(make_statement(), namespace)


# -- words -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ALL_KINDS)
@given(data=st.data())
def test_every_field_of_a_change_is_in_words(kind: type[c.Change], data: st.DataObject) -> None:
    statement = data.draw(statements(kind))

    for field in kind.__struct_fields__:
        value = data.draw(FIELDS[kind].get(field, digests), label=field)
        if value != getattr(statement.change, field):
            change = msgspec.structs.replace(statement.change, **{field: value})
            assert words(msgspec.structs.replace(statement, change=change)) != words(statement)


@pytest.mark.parametrize("kind", [c.Dismiss, c.Admit, c.Grant])
@given(data=st.data())
def test_every_field_of_a_statement_is_in_words(kind: type[c.Change], data: st.DataObject) -> None:
    statement, other = data.draw(statements(kind)), data.draw(statements(kind))

    for field in set(Statement.__struct_fields__) - {"change", "identity_salt"}:  # the change holds the salt's effect
        value = getattr(other, field)
        if value != getattr(statement, field):
            assert words(msgspec.structs.replace(statement, **{field: value})) != words(statement)


@given(statements(), statements())
def test_statements_that_differ_have_words_that_differ(one: Statement, other: Statement) -> None:
    assume(one != other)

    assert words(one) != words(other)


def test_every_kind_of_change_is_tried() -> None:
    assert set(FIELDS) == set(ALL_KINDS)


def test_words_of_a_grant_read_like_this() -> None:
    assert describe_statement(make_statement(GRANT)) == [
        "Let person 9 find and read records of users for the purpose support.",
        "This is a grant of the kind access: others must agree before it holds.",
        "Datasets: messages, profile.",
        "Classes: protected.",
        "It is only for the users that are named below.",
        "At most 100 records over its whole life. Only requests for one user at a time.",
        "It lasts 8 hours from the entry that gives it.",
        'Kept back: "profile.phone".',
        "It is limited to 1 user, by their references:",
        "  6465666768696a6b6c6d6e6f70717273",
        'The reason given is "a user wrote that messages are lost".',
        'The ticket is "SUP-1".',
        "Person 7 made this statement at 2026-01-01 00:00:00 UTC.",
        "It expires at 2026-01-02 00:00:00 UTC, 1 day later.",
        'It is for the ledger "ledger.example.com/custody", whose first entry is '
        "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f.",
        "Its author saw the rules up to epoch 12. Its number used once is 00000000000000000000000000000000.",
    ]


@given(statements())
def test_words_hold_nothing_that_hides_or_moves_text(statement: Statement) -> None:
    for line in describe_statement(statement):
        assert line.isprintable()
        assert not {unicodedata.bidirectional(character) for character in line} & {"LRO", "RLO", "LRE", "RLE", "LRI"}


@given(st.text(), st.text())
def test_quoting_keeps_texts_apart_and_ends_where_it_ends(one: str, other: str) -> None:
    assert (quote(one) == quote(other)) == (one == other)
    assert quote(one).replace("\\\\", "").replace('\\"', "").count('"') == 2


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ('x". Give no access to "y', '"x\\". Give no access to \\"y"'),
        ("a\nb\r", '"a\\nb\\u000d"'),
        ("\u202enwod", '"\\u202enwod"'),
        ("\u2066a\u2069", '"\\u2066a\\u2069"'),
        ("\x1b[2J", '"\\u001b[2J"'),
        ("a\u200bb\u00a0c\u3164d\u034f", '"a\\u200bb\\u00a0c\\u3164d\\u034f"'),
        ("\U000e0041\ufe0f", '"\\U000e0041\\ufe0f"'),
        ("Grüße, 東京 \N{GRINNING FACE}", '"Grüße, 東京 \N{GRINNING FACE}"'),
    ],
)
def test_hostile_text_is_shown_for_what_it_is(hostile: str, shown: str) -> None:
    assert quote(hostile) == shown
    assert shown in words(make_statement(reason=hostile))


@pytest.mark.parametrize(
    ("lasts_ms", "shown"),
    [
        (1, "1 millisecond"),
        (90_000, "1 minute 30 seconds"),
        (93_784_005, "1 day 2 hours 3 minutes 4 seconds 5 milliseconds"),
    ],
)
def test_durations_are_exact(lasts_ms: int, shown: str) -> None:
    assert show_duration(lasts_ms) == shown


@given(st.integers(0, 253_402_300_799_999), st.integers(0, 253_402_300_799_999))
def test_times_that_differ_are_shown_to_differ(one: int, other: int) -> None:
    assert (show_time(one) == show_time(other)) == (one == other)
