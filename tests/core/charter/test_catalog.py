"""Records: the dataset they belong to and the class of each field."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence.core.charter import Charter, Dataset, parse_charter
from ringfence.core.charter.catalog import Kept, SourceMatcher, classes_of, classify_record
from tests.core.small_charter import small_charter

EXAMPLE = Path(__file__).parents[3] / "examples/us-user-data/charter.yaml"
CHARTER = small_charter()
POSTS = CHARTER.datasets["posts"]
PERSON = CHARTER.datasets["person"]


@pytest.fixture(scope="module")
def example() -> Charter:
    return parse_charter(EXAMPLE.read_bytes(), file=str(EXAMPLE))


def test_fields_come_apart_by_class() -> None:
    parts = classify_record(PERSON, {"id": "a", "phone": "555-0100", "about": None, "country": "NO"})
    assert parts == {"public": {"id": "a", "about": None}, "protected": {"phone": "555-0100", "country": "NO"}}


def test_unknown_field_is_protected() -> None:
    assert classify_record(PERSON, {"Id": "a"}) == {"protected": {"Id": "a"}}


def test_record_visible_to_all_is_public_but_for_its_protected_fields() -> None:
    parts = classify_record(POSTS, {"place": "x", "title": "t", "seen_by": "all"})
    assert parts == {"protected": {"place": "x"}, "public": {"title": "t", "seen_by": "all"}}


def test_record_visible_to_some_has_the_class_that_the_charter_gives() -> None:
    assert classify_record(POSTS, {"title": "t", "seen_by": "some"}) == {"shared": {"title": "t", "seen_by": "some"}}


@pytest.mark.parametrize("value", ["me", "All", " all", "", None, True, 1, ["all"], {"all": 1}])
def test_record_with_any_other_visibility_is_protected(value: Any) -> None:
    record = {"title": "t", "seen_by": value}
    assert classify_record(POSTS, record) == {"protected": record}


def test_record_that_does_not_say_is_protected() -> None:
    assert classify_record(POSTS, {"title": "t"}) == {"protected": {"title": "t"}}


def test_record_rule_that_is_missing_means_protected() -> None:
    assert classify_record(replace(POSTS, record_class=None), {"title": "t", "seen_by": "all"}).keys() == {"protected"}


def test_empty_record_is_one_empty_protected_part() -> None:
    assert classify_record(PERSON, {}) == {"protected": {}}


def test_order_of_fields_is_kept_and_the_record_is_left_as_it_was() -> None:
    record = {"phone": 1, "id": 2, "country": 3, "about": 4}
    parts = classify_record(PERSON, record)
    assert [list(part) for part in parts.values()] == [["phone", "country"], ["id", "about"]]
    assert list(record) == ["phone", "id", "country", "about"]


@given(
    st.dictionaries(st.sampled_from(["title", "seen_by", "place", "x"]), st.sampled_from(["all", "some", "me", None]))
)
def test_nothing_is_lost_and_every_class_is_foreseen(record: dict[str, Any]) -> None:
    parts = classify_record(POSTS, record)
    assert {name: value for part in parts.values() for name, value in part.items()} == record
    assert sum(len(part) for part in parts.values()) == len(record)
    assert set(parts) <= set(classes_of(POSTS))


def test_classes_of_a_dataset_are_all_that_its_records_can_have() -> None:
    assert classes_of(PERSON) == ("protected", "public")
    assert classes_of(POSTS) == ("protected", "public", "shared")
    assert classes_of(CHARTER.catch_all()) == ("protected",)


def found(path: list[str]) -> tuple[str, str, int] | None:
    """Match a path in the small charter, the dataset by its name."""
    match = SourceMatcher(CHARTER).match(path)
    return match and (match.dataset.name, match.key, match.depth)


def test_source_is_found_and_what_lies_inside_of_it_too() -> None:
    assert found(["Posts", "List"]) == ("posts", "", 2)
    assert found(["Posts", "List", "title"]) == ("posts", "", 2)
    assert found(["Old", "Person"]) == ("person", "", 2)


def test_key_that_the_star_stood_for_is_given() -> None:
    assert found(["Chats", "with *"]) == ("chats", "with *", 2)


def test_path_that_sources_lead_through_must_be_entered() -> None:
    assert found([]) is None
    assert found(["Posts"]) is None
    assert found(["Chats"]) is None


def test_whatever_no_source_matches_belongs_to_the_catch_all() -> None:
    assert found(["Elsewhere"]) == ("rest", "", 1)
    assert found(["posts", "List"]) == ("rest", "", 1)
    assert found(["Posts", "Other", "deep"]) == ("rest", "", 2)


def test_walking_node_by_node_finds_the_same() -> None:
    node = SourceMatcher(CHARTER).root.child("Chats")
    assert node is not None
    assert node.dataset is None
    below = node.child("anyone")
    assert below is not None
    assert below.dataset is CHARTER.datasets["chats"]
    assert SourceMatcher(CHARTER).root.child("Nowhere") is None


# The leaves of an export, as far as its structure is known. A leaf is (path to the records, names of the fields).
LEAVES: list[tuple[str, str]] = [
    ("Ads and data/Ad Interests", "AdInterestCategories"),
    ("Ads and data/Off TikTok Activity/OffTikTokActivityDataList", "TimeStamp Source Event"),
    ("App Settings/Block List/BlockList", "Date UserName"),
    ("Comment/Comments/CommentsList", "date comment photo url"),
    ("Direct Message/Direct Messages/ChatHistory/Chat History with someone:", "Date From Content"),
    (
        "Post/Posts/VideoList",
        "Date Link Likes Title Sound Location WhoCanView AllowComments AllowStitches AllowDuets AllowStickers "
        "AllowSharingToStory ContentDisclosure AIGeneratedContent AddYoursText",
    ),
    ("Profile/Autofill", "PhoneNumber Email FirstName LastName Address ZipCode Unit City State Country"),
    (
        "Profile/Profile Info/ProfileMap",
        "userName emailAddress telephoneNumber birthDate bioDescription likesReceived profilePhoto profileVideo "
        "PlatformInfo",
    ),
    ("Tiktok Live/Watch Live History/WatchLiveMap/7000000000000000001", "Comments"),
    (
        "Your Activity/Login History/LoginHistoryList",
        "Date IP DeviceModel DeviceSystem NetworkType Carrier",
    ),
    ("Your Activity/Watch History/VideoList", "Date Link"),
    ("Your Activity/Like List/ItemFavoriteList", "date link"),
    ("Your Activity/Searches/SearchList", "Date SearchTerm"),
    ("Your Activity/Share History/ShareHistoryList", "Date SharedContent Link Method"),
    ("Your Activity/Follower/FansList", "Date UserName"),
    ("Your Activity/Following/Following", "Date UserName"),
    ("Your Activity/Hashtag/HashtagList", "HashtagName HashtagLink"),
    ("Your Activity/Favorite Videos/FavoriteVideoList", "Date Link"),
    ("Your Activity/Favorite Sounds/FavoriteSoundList", "Date Link"),
    ("Your Activity/Favorite Effects/FavoriteEffectsList", "Date EffectLink"),
    ("Your Activity/Favorite Hashtags/FavoriteHashtagList", "Date Link"),
    ("Your Activity/Status/Status List", "Resolution IDFA GAID IDFV DID UID"),
    # older layout
    ("Activity/Video Browsing History/VideoList", "Date Link"),
    ("Activity/Login History/LoginHistoryList", "Date IP DeviceModel DeviceSystem NetworkType Carrier"),
    ("Activity/Like List/ItemFavoriteList", "date link"),
    ("Activity/Search History/SearchList", "Date SearchTerm"),
    ("Activity/Share History/ShareHistoryList", "Date SharedContent Link Method"),
    ("Activity/Follower List/FansList", "Date UserName"),
    ("Activity/Following List/Following", "Date UserName"),
    ("Activity/Status/Status List", "Resolution IDFA GAID IDFV"),
    ("Video/Videos/VideoList", "Date Link Likes Title Sound Location WhoCanView"),
    ("Profile/Profile Information/ProfileMap", "userName emailAddress telephoneNumber birthDate bioDescription"),
]
SPACED_LEAVES = [("Your Activity/Status/Status List", field) for field in ("App Version", "Android ID", "Web ID")]
LISTS = [
    "Ads and data/Instant Form Ads Responses/ResponsesList",
    "App Settings/Settings/SettingsMap",
    "Income Plus Wallet Transactions/Transaction History/TransactionsList",
    "Location Review/Location Reviews/ReviewsList",
    "Post/Recently Deleted Posts/PostList",
    "Profile/AI-Moji",
    "Tiktok Live/Go Live History/GoLiveList",
    "Tiktok Live/Go Live Settings/SettingsMap",
    "Tiktok Live/Watch Live Settings",
    "TikTok Shop/Communication With Shops/CommunicationHistories",
    "TikTok Shop/Current Payment Information/PayCard",
    "TikTok Shop/Customer Support History/CustomerSupportHistories",
    "TikTok Shop/Order Dispute History/OrderDisputeHistories",
    "TikTok Shop/Order History/OrderHistories",
    "TikTok Shop/Product Browsing History/ProductBrowsingHistories",
    "TikTok Shop/Product Reviews/ProductReviewHistories",
    "TikTok Shop/Returns and Refunds History/ReturnAndRefundHistories",
    "TikTok Shop/Saved Address Information/SavedAddress",
    "TikTok Shop/Shopping Cart List/ShoppingCart",
    "TikTok Shop/Vouchers/Vouchers",
    "Your Activity/Purchases/SendGifts/SendGifts",
    "Your Activity/Purchases/BuyGifts/BuyGifts",
]


@pytest.mark.parametrize(
    ("path", "fields"), [*((p, f.split()) for p, f in LEAVES), *((p, [f]) for p, f in SPACED_LEAVES)]
)
def test_every_leaf_of_an_export_is_classified_by_name(example: Charter, path: str, fields: list[str]) -> None:
    match = SourceMatcher(example).match(path.split("/"))
    assert match is not None
    assert not match.dataset.catch_all
    assert [field for field in fields if field not in match.dataset.field_classes] == []


@pytest.mark.parametrize("path", LISTS)
def test_every_list_of_an_export_has_a_dataset(example: Charter, path: str) -> None:
    match = SourceMatcher(example).match(path.split("/"))
    assert match is not None
    assert not match.dataset.catch_all
    assert match.dataset.fields


def with_title(data_class: str) -> Dataset:
    """Give the posts with their title of another class."""
    return replace(
        POSTS,
        fields=tuple(replace(item, data_class=data_class) if item.name == "title" else item for item in POSTS.fields),
    )


@pytest.mark.parametrize(
    ("title", "stored", "now"),
    [
        (["public"], "public", {"public"}),
        (["public", "protected"], "public", {"public", "protected"}),
        (["public", "protected"], "protected", {"protected"}),
        (["public", "protected"], "shown", {"shown"}),
        (["public", "protected", "shown"], "public", {"public", "shown"}),
        (["public", "protected", "shown"], "protected", {"protected", "shown"}),
        (["public", "protected", "public"], "public", {"public"}),
        (["public", "record"], "public", {"public", "shared", "protected"}),
        (["record", "shown"], "public", {"public", "shown"}),
        (["record", "shown"], "protected", {"protected", "shown"}),
    ],
)
def test_stored_part_is_of_every_class_that_its_fields_can_have_now(
    title: list[str], stored: str, now: set[str]
) -> None:
    first, *following = map(with_title, title)
    kept = Kept(first, {})
    for dataset in following:
        kept = kept.then(dataset)
    assert kept.classes_now([stored]) == now


def test_settings_of_an_export_are_all_eighteen_classified(example: Charter) -> None:
    assert len(example.datasets["app_settings"].fields) == 18


def test_section_that_no_charter_knows_is_protected(example: Charter) -> None:
    match = SourceMatcher(example).match(["Brain Scans"])
    assert match is not None
    assert match.dataset.catch_all
    assert classify_record(match.dataset, {"a": 1}) == {"protected": {"a": 1}}
