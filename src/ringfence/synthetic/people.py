"""Makes up users: who they are, where they are, and what their data says of where they are.

Most users' evidence agrees. Some users' contradicts itself (a declared country that their logins do not bear out),
some have none (no country, no phone number, logins from addresses that nobody has placed), so that both are met.
"""

from __future__ import annotations

import functools
import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from ringfence.synthetic.geography import PLACES, UNPLACED_NETWORKS, Place, address_in, missing_extra

MAIL_DOMAINS: Final = ("example.com", "example.org", "example.net", "mail.example", "inbox.test")
LAST_DAY: Final = datetime(2022, 3, 14, tzinfo=UTC)
EVIDENCE: Final = ("clear", "contradictory", "missing")
_EVIDENCE_SHARES: Final = (90, 6, 4)

_NAMES_PER_LOCALE: Final = 60
_TEXTS: Final = 400


@dataclass(frozen=True, slots=True)
class LocalWords:
    """What Faker knows of one locale, drawn once."""

    first_names: tuple[str, ...]
    last_names: tuple[str, ...]
    streets: tuple[str, ...]
    cities: tuple[str, ...]
    zip_codes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Words:
    """Everything that is drawn at random from lists."""

    by_locale: dict[str, LocalWords]
    sentences: tuple[str, ...]
    terms: tuple[str, ...]
    companies: tuple[str, ...]
    handles: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SyntheticUser:
    """A user who does not exist.

    Attributes:
        seed, index: what everything of the user follows from.
        user_name: unique among all users of a seed.
        country: where the user really is, alpha-2.
        declared: the country that the user wrote down; "" when none.
        phone: in a reserved range; "" when none.
        phone_is_national: written without its country code.
        evidence: whether `declared`, `phone` and `networks` agree: one of `EVIDENCE`.
        networks: documentation networks that the user logs in from.
        joined: day of the first login.
    """

    seed: int
    index: int
    user_name: str
    first_name: str
    last_name: str
    street: str
    city: str
    zip_code: str
    email: str
    birth_date: str
    country: str
    declared: str
    phone: str
    phone_is_national: bool
    evidence: Literal["clear", "contradictory", "missing"]
    networks: tuple[str, ...]
    joined: datetime


def make_users(count: int, *, seed: int) -> Iterator[SyntheticUser]:
    """Give made-up users; those of a smaller count are the first of those of a larger one.

    Every ten users in a row come from at least three countries, every two hundred from all.

    Raises:
        ConfigurationError: the libraries of the `demo` extra are not installed.
    """
    words = draw_words(seed)
    places = _places_in_turn(seed)
    for index, place in zip(range(count), places, strict=False):
        yield _make_user(place, words, seed=seed, index=index)


def dice(*parts: object) -> random.Random:
    """Give a source of chance that depends on these parts alone."""
    return random.Random("/".join(map(str, parts)))  # noqa: S311 - for data that means nothing, and must be repeatable


@functools.lru_cache(maxsize=4)
def draw_words(seed: int) -> Words:
    """Draw every list once: Faker is slow, choosing from a list is not."""
    try:
        from faker import Faker
    except ImportError as error:
        raise missing_extra(error) from None
    by_locale: dict[str, LocalWords] = {}
    for locale in sorted({place.locale for place in PLACES}):
        fake = Faker(locale)
        fake.seed_instance(seed)
        by_locale[locale] = LocalWords(
            first_names=tuple(fake.first_name() for _ in range(_NAMES_PER_LOCALE)),
            last_names=tuple(fake.last_name() for _ in range(_NAMES_PER_LOCALE)),
            streets=tuple(fake.street_address() for _ in range(_NAMES_PER_LOCALE)),
            cities=tuple(fake.city() for _ in range(_NAMES_PER_LOCALE)),
            zip_codes=tuple(fake.postcode() for _ in range(_NAMES_PER_LOCALE)),
        )
    fake = Faker("en_US")
    fake.seed_instance(seed)
    faces = (
        "",
        "",
        "",
        " \N{GRINNING FACE}",
        " \N{SPARKLES}",
        ' "really"',
        " / again",
        " \N{LATIN SMALL LETTER E WITH ACUTE}t\u00e9",
    )
    sentences = tuple(fake.sentence() + faces[number % len(faces)] for number in range(_TEXTS))
    return Words(
        by_locale=by_locale,
        sentences=sentences,
        terms=tuple(fake.word() for _ in range(_TEXTS)),
        companies=tuple(fake.company() for _ in range(_NAMES_PER_LOCALE)),
        handles=tuple(fake.user_name() for _ in range(_TEXTS)),
    )


def _places_in_turn(seed: int) -> Iterator[Place]:
    """Give the places by their shares, shuffled anew every hundred users."""
    hundred = [place for place in PLACES for _ in range(place.share)]
    for turn in itertools.count():
        dice(seed, "places", turn).shuffle(hundred)
        yield from hundred


def _make_user(place: Place, words: Words, *, seed: int, index: int) -> SyntheticUser:
    chance = dice(seed, "user", index)
    local = words.by_locale[place.locale]
    evidence = chance.choices(EVIDENCE, weights=_EVIDENCE_SHARES)[0]
    user_name = f"{chance.choice(words.handles)}.{index}"
    declared, phone, national, networks = _evidence(place, evidence, chance, index)
    age_days = chance.randrange(18 * 365, 70 * 365)
    return SyntheticUser(
        seed=seed,
        index=index,
        user_name=user_name,
        first_name=chance.choice(local.first_names),
        last_name=chance.choice(local.last_names),
        street=chance.choice(local.streets),
        city=chance.choice(local.cities),
        zip_code=chance.choice(local.zip_codes),
        email=f"{user_name}@{chance.choice(MAIL_DOMAINS)}",
        birth_date=(LAST_DAY - timedelta(days=age_days)).strftime("%Y-%m-%d"),
        country=place.country,
        declared=declared,
        phone=phone,
        phone_is_national=national,
        evidence=evidence,  # type: ignore[arg-type]  # one of EVIDENCE
        networks=networks,
        joined=LAST_DAY - timedelta(days=chance.randrange(30, 3 * 365)),
    )


def _evidence(place: Place, evidence: str, chance: random.Random, index: int) -> tuple[str, str, bool, tuple[str, ...]]:
    """Give the declared country, the phone number, whether it is national, and the networks logged in from."""
    if evidence == "missing":
        return "", "", False, (chance.choice(UNPLACED_NETWORKS),)
    home = (place.ipv4, place.ipv4, place.ipv6)
    phone, national = "", False
    if place.phones and chance.random() < 0.85:
        numbers = place.phones[index % len(place.phones)]
        national = chance.random() < 0.2
        phone = numbers.national(index) if national else numbers.international(index)
    declared = chance.choice(place.spellings)
    if evidence == "contradictory":
        others = [item for item in PLACES if item.country != place.country]
        # Half of them say that they are in the country that most users are from.
        other = others[0] if chance.random() < 0.5 else chance.choice(others)
        return chance.choice(other.spellings), "" if national else phone, False, home
    if not national and chance.random() < 0.1:  # a phone number or the logins alone say enough
        declared = ""
    return declared, phone, national, home


def login_address(user: SyntheticUser, chance: random.Random) -> str:
    """Give an address that the user could have logged in from."""
    return address_in(chance.choice(user.networks), chance.randrange(1 << 16))
