"""Made-up users are nobody, are the same every time, and look like the app's exports."""

from __future__ import annotations

import builtins
import hashlib
import ipaddress
import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import phonenumbers
import pytest

from ringfence.core.charter.catalog import classify_record
from ringfence.core.errors import ConfigurationError
from ringfence.core.jurisdiction import CONTRADICTORY, INSIDE, MISSING, OUTSIDE, determine
from ringfence.legacy.evidence import AddressBook, EvidenceCollector
from ringfence.legacy.sources import ExportSource, walk_sources
from ringfence.synthetic.export import UNKNOWN_SECTION, make_export
from ringfence.synthetic.files import write_exports, write_large_export
from ringfence.synthetic.geography import DOCUMENTATION_NETWORKS, PLACES, write_geography
from ringfence.synthetic.people import draw_words, make_users
from tests.legacy.exports import load_charter, read_text, read_value

USERS = 300
SEED = 20220314

RESERVED_NAMES = re.compile(r"(?:^|[.@/])(?:example\.(?:com|org|net)|[a-z]+\.(?:example|test))(?:/|$)")
# What regulators keep for fiction, country code first. Sources: NANPA 555-0100 to 0199, Ofcom, ACMA, ComReg, ARCEP,
# Bundesnetzagentur, PTS.
RESERVED_NUMBERS = re.compile(
    r"1\d{3}55501\d\d|442079460\d{3}|441[63]14960\d{3}|6125550\d{4}|6137010\d{4}|35320910\d{4}|3319900\d{4}|3363998\d{4}"
    r"|493023125\d{3}|494066969\d{3}|467017406(?:0[5-9]|[1-9]\d)"
)


@pytest.fixture(scope="module")
def exports() -> list[dict[str, Any]]:
    """Exports of users in both layouts."""
    users = list(make_users(USERS, seed=SEED))
    return [make_export(user, layout="older" if user.index % 4 == 0 else "current") for user in users]


def list_values(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Give (key, text) of every text."""
    if isinstance(value, dict):
        for inner_key, inner in value.items():
            yield from list_values(inner, inner_key)
    elif isinstance(value, list):
        for inner in value:
            yield from list_values(inner, key)
    elif isinstance(value, str):
        yield key, value


# ---- nobody's data ---------------------------------------------------------------------------------------------------


def test_every_mail_and_web_address_is_under_a_reserved_name(exports: list[dict[str, Any]]) -> None:
    texts = [text for _, text in list_values(exports) if "@" in text or "://" in text]

    assert len(texts) > USERS * 20
    for text in texts:
        host = text.split("@")[-1] if "@" in text else text.split("://")[1].split("/")[0]
        assert RESERVED_NAMES.search(host), text


def test_every_phone_number_is_kept_for_fiction() -> None:
    numbers = 0
    for user in make_users(3000, seed=SEED):
        if user.phone:
            numbers += 1
            country = user.country if user.phone_is_national else None
            parsed = phonenumbers.parse(user.phone, country)
            assert RESERVED_NUMBERS.fullmatch(
                phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)[1:]
            )
    assert numbers > 1500


def test_no_other_text_holds_a_phone_number(exports: list[dict[str, Any]]) -> None:
    keys = {"telephoneNumber", "PhoneNumber"}
    for key, text in list_values(exports):
        if key not in keys and not re.search(r"://|\d-\d\d-\d\d|^\d{1,19}$|^[0-9a-f]{16,32}$", text):
            assert not re.search(r"\+\d{6,}|\(\d{3}\) ?\d{3}-", text), text


def test_every_network_address_is_for_documentation(exports: list[dict[str, Any]]) -> None:
    networks = [ipaddress.ip_network(network) for network in DOCUMENTATION_NETWORKS]
    logins = [text for key, text in list_values(exports) if key == "IP"]

    assert len(logins) > USERS
    assert {ipaddress.ip_address(text).version for text in logins} == {4, 6}
    for text in logins:
        address = ipaddress.ip_address(text)
        assert any(address in network for network in networks), text


# ---- the same every time ---------------------------------------------------------------------------------------------


def digest(directory: Path) -> dict[str, str]:
    """Hash every file below a directory."""
    return {
        str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        draw_words.cache_clear()
        write_exports(tmp_path / name, users=40, seed=seed)

    assert digest(tmp_path / "a") == digest(tmp_path / "b")
    assert not set(digest(tmp_path / "a").values()) & set(digest(tmp_path / "c").values())


def test_user_names_are_unique_and_more_users_begin_with_the_same(exports: list[dict[str, Any]]) -> None:
    users = list(make_users(3000, seed=SEED))

    assert len({user.user_name for user in users}) == 3000
    assert list(make_users(10, seed=SEED)) == users[:10]


# ---- what they are like ----------------------------------------------------------------------------------------------


def test_users_come_from_at_least_ten_countries() -> None:
    countries = Counter(user.country for user in make_users(200, seed=SEED))

    assert len(countries) >= 10
    assert countries.most_common(1)[0][0] == "US"
    assert sum(place.share for place in PLACES) == 100


def test_the_example_charter_knows_every_section_but_the_unknown_one(exports: list[dict[str, Any]]) -> None:
    charter = load_charter()
    seen: Counter[str] = Counter()
    for export in exports:
        for item in read_value(export):
            seen[item.dataset] += 1
            dataset = charter.datasets[item.dataset]
            if dataset.catch_all:
                # An empty conversation is kept there by its name.
                assert item.pointer.split("/")[1] == UNKNOWN_SECTION or item.record["value"] in (None, [])
            else:
                assert set(item.record) <= set(dataset.field_classes), item
    assert len(seen) >= 35


def test_posts_are_public_friends_only_and_private(exports: list[dict[str, Any]]) -> None:
    posts = load_charter().datasets["posts"]
    classes: dict[str, set[str]] = {}
    for export in exports:
        for item in read_value(export):
            if item.dataset == "posts":
                parts = classify_record(posts, item.record)
                visible = item.record["WhoCanView"]
                classes.setdefault(visible, set()).add(next(name for name, part in parts.items() if "Link" in part))

    assert classes == {"Everyone": {"public"}, "Friends": {"protected"}, "Only me": {"protected"}}


def test_lists_are_full_empty_and_null(exports: list[dict[str, Any]]) -> None:
    searched = [export.get("Your Activity", {}).get("Searches", {}).get("SearchList", "absent") for export in exports]

    assert None in searched
    assert [] in searched
    assert any(isinstance(found, list) and found for found in searched)


def test_what_a_users_data_says_follows_from_where_the_user_is(tmp_path: Path) -> None:
    write_geography(tmp_path / "geography.mmdb")
    rules = load_charter().jurisdiction
    found: Counter[tuple[str, bool, str]] = Counter()
    with AddressBook(tmp_path / "geography.mmdb") as addresses:
        for user in make_users(USERS, seed=SEED):
            collector = EvidenceCollector(rules, addresses)
            for item in read_value(make_export(user)):
                collector.add(item.dataset, item.record)
            reason = determine(rules, collector.evidence()).reason
            found[user.evidence, user.country == "US", reason] += 1

    assert {key for key in found if key[0] == "clear"} == {("clear", True, INSIDE), ("clear", False, OUTSIDE)}
    assert {reason for evidence, _, reason in found if evidence == "missing"} == {MISSING}
    assert found["contradictory", True, CONTRADICTORY]
    assert found["contradictory", False, CONTRADICTORY]


# ---- files -----------------------------------------------------------------------------------------------------------


def test_exports_are_written_in_every_form_and_read_back_one_for_each_user(tmp_path: Path) -> None:
    users = write_exports(tmp_path, users=60, seed=SEED, layout_mix=0.5, heavy=1)

    sources = [source for source in walk_sources([tmp_path]) if isinstance(source, ExportSource)]
    sizes: dict[str, int] = {}
    layouts: Counter[bool] = Counter()
    for source in sources:
        with source.open() as stream:
            text = b"".join(iter(lambda: stream.read(65536), b""))
        (profile,) = [item for item in read_text(text) if item.dataset == "profile"]
        sizes[profile.record["userName"]] = len(text)
        layouts["Activity" in json.loads(text)] += 1

    assert set(sizes) == {user.user_name for user in users}
    assert {name.rpartition("/")[2].partition(":")[0] for name in (source.name for source in sources)} > {
        "exports.ndjson"
    }
    assert min(layouts.values()) > 10
    assert sizes[users[0].user_name] > 20 * sorted(sizes.values())[30]


def test_a_large_export_is_as_large_as_asked_for_and_readable(tmp_path: Path) -> None:
    user = write_large_export(tmp_path / "large.json", size_bytes=3_000_000, seed=SEED)

    assert 3_000_000 <= (tmp_path / "large.json").stat().st_size < 3_200_000
    items = read_text((tmp_path / "large.json").read_bytes())
    assert [item.record["userName"] for item in items if item.dataset == "profile"] == [user.user_name]
    assert sum(item.dataset == "watch_history" for item in items) > 25_000


def test_a_missing_library_is_said_with_the_extra_that_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import_module = builtins.__import__

    def refuse(name: str, *arguments: Any, **named: Any) -> Any:
        if name.partition(".")[0] in ("faker", "mmdb_writer"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return import_module(name, *arguments, **named)

    draw_words.cache_clear()
    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(ConfigurationError, match="faker") as caught:
        next(make_users(1, seed=SEED))
    assert "ringfence[demo]" in caught.value.hint
    with pytest.raises(ConfigurationError, match="mmdb_writer"):
        write_geography(tmp_path / "geography.mmdb")
    monkeypatch.undo()
    assert next(make_users(1, seed=SEED)).index == 0
