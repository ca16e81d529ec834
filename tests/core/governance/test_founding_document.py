"""The founding document: one spelling, hostile bytes refused, and all of it in words before anyone signs."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence.core.errors import ProofInvalidError
from ringfence.core.governance.founding import (
    FOUNDERS_MAX,
    FOUNDERS_MIN,
    FOUNDING_SIZE_BYTES_MAX,
    SERVICES_MAX,
    Founding,
    FoundingPerson,
    FoundingService,
    parse_founding,
    render_founding,
)
from ringfence.core.governance.founding_words import describe_founding
from ringfence.core.issuers import is_trustable
from ringfence.core.ledger.entry import DEVELOPMENT, PRODUCTION, Identity
from ringfence.core.ledger.governed_entry import TrustedIssuer
from ringfence.core.people.register import PersonFacts
from tests.core.foundings import BYTES, FOUNDING, make_person
from tests.core.mutation import mutated
from tests.core.people.ssh_keys import hardware_key, wire
from tests.core.statements import digests, keys, names, sets, text


def with_founder(person: FoundingPerson, **fields: Any) -> Founding:
    """Give the document with other facts or fields of its second founder."""
    return msgspec.structs.replace(
        FOUNDING, people=(FOUNDING.people[0], msgspec.structs.replace(person, **fields), FOUNDING.people[2])
    )


def words(founding: Founding) -> str:
    return "\n".join(describe_founding(founding))


# -- words -------------------------------------------------------------------------------------------------------------

titles = text(20)
told = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
numbers = st.integers(0, 2**53 - 1)
times = st.integers(0, 253_402_300_799_999)
identities = st.builds(Identity, titles, titles)
OF_THE_DOCUMENT: dict[str, st.SearchStrategy[Any]] = {
    "origin": titles,
    "mode": st.sampled_from([DEVELOPMENT, PRODUCTION]),
    "engine": names,
    "authority": digests,
    "log_key": titles,
    "charter": digests,
    "build": digests,
    "at_ms": times,
    "nonce": st.binary(min_size=16, max_size=16),
    "holders": st.sets(st.integers(1, 3), min_size=2).map(sorted).map(tuple),
    "issuers": st.dictionaries(titles.filter(is_trustable), digests, max_size=3).map(
        lambda told: tuple(TrustedIssuer(name=name, keys=keys) for name, keys in sorted(told.items()))
    ),
    "services": st.lists(st.builds(FoundingService, party=names, identity=identities), max_size=3).map(tuple),
}
OF_A_PERSON: dict[str, st.SearchStrategy[Any]] = {"duties": sets(names), "key": keys, "identity": identities}
OF_THE_FACTS: dict[str, st.SearchStrategy[Any]] = {
    "reference": titles,
    "name": titles,
    "party": names,
    "paid_by": told,
    "residence": told,
    "works_in": told,
    "manager": numbers,
    "directed_by": st.lists(numbers.filter(bool), max_size=3, unique=True).map(sorted).map(tuple),
    "team": told,
    "devices_of": told,
    "starts_ms": times,
    "ends_ms": times,
    "external_id": told,
    "unlisted": st.booleans(),
}


def test_every_field_is_tried() -> None:
    assert set(OF_THE_DOCUMENT) == set(Founding.__struct_fields__) - {"people", "threshold"}
    assert set(OF_A_PERSON) == set(FoundingPerson.__struct_fields__) - {"facts"}
    assert set(OF_THE_FACTS) == set(PersonFacts.__struct_fields__) - {"number"}  # the place in the document


@given(st.data())
def test_every_field_of_a_founding_document_is_in_words(data: st.DataObject) -> None:
    person = FOUNDING.people[1]
    changed = [
        *(msgspec.structs.replace(FOUNDING, **{name: data.draw(values)}) for name, values in OF_THE_DOCUMENT.items()),
        *(with_founder(person, **{name: data.draw(values)}) for name, values in OF_A_PERSON.items()),
        *(
            with_founder(person, facts=msgspec.structs.replace(person.facts, **{name: data.draw(values)}))
            for name, values in OF_THE_FACTS.items()
        ),
    ]

    for founding in changed:
        assert parse_founding(render_founding(founding)) == founding
        assert (words(founding) == words(FOUNDING)) == (founding == FOUNDING)
        assert all(line.isprintable() for line in describe_founding(founding))


def test_founder_more_or_in_another_place_is_in_words() -> None:
    more = msgspec.structs.replace(FOUNDING, people=(*FOUNDING.people, make_person(4)))

    assert words(more) != words(FOUNDING)
    assert words(with_founder(make_person(2, name="Founder 3"))) != words(FOUNDING)


def test_how_the_keys_are_shared_out_is_in_words() -> None:
    two, three, open_keys = (
        msgspec.structs.replace(FOUNDING, holders=holders, threshold=threshold)
        for holders, threshold in (((1, 2, 3), 2), ((1, 2, 3), 3), ((), 0))
    )

    assert len({words(two), words(three), words(open_keys)}) == 3
    assert "LIE OPEN" in words(open_keys)


def test_fact_that_imitates_a_sentence_stays_within_its_quotation_marks() -> None:
    hostile = 'US", working in "US", on devices of "usds'

    line = next(line for line in describe_founding(with_founder(make_person(2, residence=hostile))) if "  2: " in line)

    assert 'living in "US\\", working in \\"US\\", on devices of \\"usds"' in line
    assert "working in an unknown country" in line


# -- bytes -------------------------------------------------------------------------------------------------------------


@given(mutated(BYTES))
def test_changed_bytes_are_refused_or_mean_something_else(data: bytes) -> None:
    try:
        founding = parse_founding(data)
    except ProofInvalidError:
        return

    assert render_founding(founding) == data
    assert (words(founding) == words(FOUNDING)) == (data == BYTES)


@pytest.mark.parametrize(
    "spelling",
    [
        b"",
        BYTES + b"\n",
        BYTES.replace(b'"nonce"', b' "nonce"'),
        BYTES[:-1] + b',"\\u001b[2J":1}',
    ],
)
def test_other_spelling_is_refused(spelling: bytes) -> None:
    with pytest.raises(ProofInvalidError) as refused:
        parse_founding(spelling)

    assert refused.value.message.isprintable()


def test_long_document_is_refused_unread() -> None:
    with pytest.raises(ProofInvalidError, match="too long"):
        parse_founding(BYTES + b" " * FOUNDING_SIZE_BYTES_MAX)


# -- limits ------------------------------------------------------------------------------------------------------------

SECOND = FOUNDING.people[1]
SERVICE = FOUNDING.services[0]


@pytest.mark.parametrize(
    "fits",
    [
        {"people": tuple(make_person(number) for number in range(1, FOUNDERS_MAX + 1))},
        {"people": FOUNDING.people[:FOUNDERS_MIN]},
        {"services": (SERVICE,) * SERVICES_MAX},
        {"services": ()},
        {"holders": (), "threshold": 0},
        {"mode": DEVELOPMENT},
        {"at_ms": 0},
    ],
)
def test_document_within_its_limits_is_read(fits: dict[str, Any]) -> None:
    founding = msgspec.structs.replace(FOUNDING, **fits)

    assert parse_founding(render_founding(founding)) == founding


@pytest.mark.parametrize(
    "wrong",
    [
        {"origin": ""},
        {"origin": "x" * 256},
        {"mode": "test"},
        {"engine": "v 2"},
        {"authority": bytes(31)},
        {"charter": bytes(33)},
        {"build": b""},
        {"log_key": "x" * 1025},
        {"at_ms": -1},
        {"at_ms": 253_402_300_800_000},
        {"nonce": bytes(15)},
        {"people": FOUNDING.people[:2]},
        *(
            {"holders": holders, "threshold": threshold}
            for holders, threshold in (
                ((), 2),
                ((1, 2), 1),
                ((1, 2), 3),
                ((1, 2), 0),
                ((2, 1), 2),
                ((1, 1), 2),
                ((1, 4), 2),
                ((0, 1), 2),
            )
        ),
        {"people": tuple(make_person(number) for number in range(1, FOUNDERS_MAX + 2))},
        {"people": (FOUNDING.people[0], FOUNDING.people[2], FOUNDING.people[1])},
        {"services": (SERVICE,) * (SERVICES_MAX + 1)},
        {"services": (msgspec.structs.replace(SERVICE, party="U S"),)},
        {"services": (msgspec.structs.replace(SERVICE, identity=Identity("", "x")),)},
    ],
)
def test_document_beyond_a_limit_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ProofInvalidError):
        parse_founding(render_founding(msgspec.structs.replace(FOUNDING, **wrong)))


@pytest.mark.parametrize(
    "person",
    [
        *(
            make_person(2, **wrong)
            for wrong in (
                {"reference": ""},
                {"name": "x" * 201},
                {"party": "by\u0442edance"},
                {"party": ""},
                {"manager": 2**53},
                {"directed_by": (2**53,)},
                {"directed_by": (3, 1)},
                {"starts_ms": -1},
                {"ends_ms": 253_402_300_800_000},
            )
        ),
        *(
            msgspec.structs.replace(SECOND, **wrong)
            for wrong in (
                {"duties": ()},
                {"duties": ("b", "a")},
                {"duties": ("a", "a")},
                {"duties": ("A",)},
                {"key": wire(b"ssh-rsa", b"x")},
                {"key": wire(b"ssh-ed25519", (1).to_bytes(32, "little"))},
                {"identity": Identity("https://idp.example.com", "")},
                {"identity": Identity("x" * 256, "ada")},
            )
        ),
    ],
)
def test_founder_who_cannot_be_told_so_is_refused(person: FoundingPerson) -> None:
    parse_founding(render_founding(with_founder(msgspec.structs.replace(SECOND, key=hardware_key(2)))))

    with pytest.raises(ProofInvalidError, match="founder 2 cannot be told so"):
        parse_founding(render_founding(with_founder(person)))
