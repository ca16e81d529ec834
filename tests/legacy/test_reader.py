"""One export's records come out whole, and a hostile export gives a clear refusal at its place."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence.core.errors import ConfigurationError, InvalidInputError
from ringfence.legacy.checked_stream import CheckedStream
from ringfence.legacy.limits import DEFAULT_LIMITS, ReadLimits
from ringfence.legacy.reader import Item, read_export
from tests.legacy.exports import CHARTER_FILE, load_charter, load_matcher, read_text, read_value

PROFILE = '{"Profile": {"Profile Info": {"ProfileMap": %s}}}'
AT_PROFILE = "/Profile/Profile Info/ProfileMap"
CHATS = '{"Direct Message": {"Direct Messages": {"ChatHistory": %s}}}'
AT_CHATS = "/Direct Message/Direct Messages/ChatHistory"
WATCHED = '{"Your Activity": {"Watch History": {"VideoList": %s}}}'
BEFORE_PROFILE, BEFORE_WATCHED = PROFILE.split("%s")[0], WATCHED.split("%s")[0]
AT_WATCHED = "/Your Activity/Watch History/VideoList"


# ---- records ---------------------------------------------------------------------------------------------------------


def test_one_record_is_its_object() -> None:
    items = read_text(PROFILE % '{"userName": "ann", "PlatformInfo": [{"Name": "a"}], "birthDate": null}')

    record = {"userName": "ann", "PlatformInfo": [{"Name": "a"}], "birthDate": None}
    assert items == [Item("profile", record, AT_PROFILE)]


def test_many_records_are_the_elements_of_a_list_in_order() -> None:
    items = read_text(WATCHED % '[{"Date": "1"}, {}, {"Date": "2"}]')

    assert items == [
        Item("watch_history", {"Date": "1"}, AT_WATCHED + "/0"),
        Item("watch_history", {}, AT_WATCHED + "/1"),
        Item("watch_history", {"Date": "2"}, AT_WATCHED + "/2"),
    ]


def test_an_element_that_is_no_object_becomes_a_record_of_its_value() -> None:
    assert [item.record for item in read_text(WATCHED % '["a", 1, null, [2]]')] == [
        {"value": "a"},
        {"value": 1},
        {"value": None},
        {"value": [2]},
    ]


def test_both_layouts_give_the_same_records() -> None:
    older = '{"Activity": {"Video Browsing History": {"VideoList": [{"Date": "1"}]}}}'

    assert [item[:2] for item in read_text(older)] == [item[:2] for item in read_text(WATCHED % '[{"Date": "1"}]')]


@pytest.mark.parametrize("nothing", ["null", "[]"])
def test_nothing_where_records_are_gives_no_record(nothing: str) -> None:
    assert read_text(WATCHED % nothing) == []


@pytest.mark.parametrize("nothing", ["null", "{}", "[]"])
def test_nothing_above_where_records_are_gives_no_record(nothing: str) -> None:
    assert read_text('{"Your Activity": {"Watch History": ' + nothing + "}}") == []


def test_a_dynamic_key_is_kept_in_each_record() -> None:
    items = read_text(CHATS % '{"Chat History with bob:": [{"Content": "hi"}, {"Content": "ho"}]}')

    expected = [{"Content": text, "Conversation": "Chat History with bob:"} for text in ("hi", "ho")]
    assert [item.record for item in items] == expected


def test_an_object_below_a_dynamic_key_is_one_record() -> None:
    text = '{"Tiktok Live": {"Watch Live History": {"WatchLiveMap": {"77": {"Comments": [{"RawTime": 1}]}}}}}'

    (item,) = read_text(text)

    assert item.dataset == "live_watching"
    assert item.record == {"RoomId": "77", "Comments": [{"RawTime": 1}]}


@pytest.mark.parametrize("nothing", ["null", "[]"])
def test_a_dynamic_key_with_nothing_below_it_is_not_lost(nothing: str) -> None:
    (item,) = read_text(CHATS % f'{{"with bob": {nothing}}}')

    assert item == Item("unclassified", {"path": AT_CHATS + "/with bob", "value": json.loads(nothing)}, item.pointer)


def test_a_field_named_like_the_key_field_is_not_lost() -> None:
    items = read_text(CHATS % '{"with bob": [{"Conversation": "mine"}]}')

    assert items == [
        Item("unclassified", {"path": AT_CHATS + "/with bob/0/Conversation", "value": "mine"}, items[0].pointer),
        Item("direct_messages", {"Conversation": "with bob"}, AT_CHATS + "/with bob/0"),
    ]


def test_what_no_source_matches_goes_leaf_by_leaf_to_the_catch_all() -> None:
    items = read_value({"New": {"a/b": [1, {"c~": "x"}], "e": {}, "n": None}, "Profile": "odd"})

    assert {item.dataset for item in items} == {"unclassified"}
    assert [(item.record["path"], item.record["value"]) for item in items] == [
        ("/New/a~1b/0", 1),
        ("/New/a~1b/1/c~0", "x"),
        ("/New/e", {}),
        ("/New/n", None),
        ("/Profile", "odd"),
    ]


# ---- numbers and texts -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("written", ["0", "-1", "9223372036854775807", "18446744073709551615", "-9223372036854775808"])
def test_an_integer_stays_an_integer(written: str) -> None:
    (item,) = read_text(f"[{written}]")

    assert repr(item.record["value"]) == written


@pytest.mark.parametrize("written", ["1.0", "-0.0", "0.1", "1e5", "5e-324", "1.7976931348623157e308", "37.774929"])
def test_a_float_stays_the_same_float(written: str) -> None:
    (item,) = read_text(f"[{written}]")

    assert repr(item.record["value"]) == repr(float(written))


@pytest.mark.parametrize("written", ["18446744073709551616", "0.12345678901234567890", "1" + "0" * 400])
def test_a_number_that_no_float_holds_exactly_is_kept_as_text(written: str) -> None:
    (item,) = read_text(f"[{written}]")

    assert item.record["value"] == written


@pytest.mark.parametrize("written", ["1e999", "-1e999", "1e-999", "1e99999999999999999999"])
def test_a_number_beyond_a_float_is_refused(written: str) -> None:
    refuse(f'{{"a": [1, {written}]}}', "number", place="/a/1")


def test_a_number_of_thousands_of_digits_is_refused_and_text_of_them_is_not() -> None:
    for digits in (501, 1000, 1023, 5000, 200_000):
        for padding in (0, 65_000, 65_535):
            refuse(f'{{"pad": "{"x" * padding}", "a": {"7" * digits}}}', "number", place="/a")
            refuse(f'{{"pad": "{"x" * padding}", "a": 0.{"7" * digits}}}', "number", place="/a")
            items = read_text(f'{{"pad": "\\"{"x" * padding}", "a": "{"7" * digits}"}}')
            assert items[-1].record["value"] == "7" * digits


def test_a_surrogate_pair_is_one_character_and_half_of_one_is_refused() -> None:
    assert read_text(r'["\ud83d\ude00 \\ud83d"]')[0].record["value"] == "\U0001f600 \\ud83d"
    for half in (r"\ud83d", r"\ude00", r"\ude00\ud83d", r"\ud83d\u0041", r"\ud83dx", r"\ud83d\\ude00", r"\\\ud83d"):
        refuse(f'{{"a": {{"b": ["", "{half}"]}}}}', "surrogate", place="/a/b/1")
        refuse(f'{{"a": {{"b": ["", "{"x" * 100_000}{half}"]}}}}', "surrogate", place="/a/b/1")


FRAGMENTS = [
    r"\ud83d",
    r"\ude00",
    r"\uD83D\uDE00",
    r"\\",
    r"\"",
    r"\u0041",
    r"\u00e9",
    r"\n",
    "u",
    "d",
    "8",
    "\u00e9",
    "7" * 60,
]


@given(st.lists(st.sampled_from(FRAGMENTS), max_size=12), st.integers(1, 30))
def test_half_surrogate_pairs_are_found_wherever_blocks_end(fragments: list[str], block_size: int) -> None:
    text = '"' + "".join(fragments) + '"'
    is_whole = not any("\ud800" <= character <= "\udfff" for character in json.loads(text))

    checked = CheckedStream(io.BytesIO(text.encode()), limits=DEFAULT_LIMITS)
    got = bytearray()
    try:
        while block := checked.read(block_size):
            got += block
    except InvalidInputError:
        assert not is_whole
    else:
        assert is_whole
    assert text.encode().startswith(got)
    assert len(got) == len(text.encode()) or not is_whole


# ---- refusals --------------------------------------------------------------------------------------------------------


def refuse(text: str | bytes, words: str, *, place: str, limits: ReadLimits = DEFAULT_LIMITS) -> None:
    """Check that a text is refused with these words at this place."""
    with pytest.raises(InvalidInputError, match=words) as caught:
        read_text(text, limits=limits)
    assert caught.value.place == f"x.json#{place}"
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_an_empty_text_is_refused() -> None:
    refuse("", "premature EOF", place="")
    refuse(" \n", "premature EOF", place="")


def test_a_text_cut_short_is_refused_wherever_it_is_cut() -> None:
    whole = PROFILE % r'{"a": [1, {"b": "\u00e9\ud83d\ude00"}], "c": true}'
    assert len(read_text(whole)) == 1
    for size in range(len(whole)):
        with pytest.raises(InvalidInputError):
            read_text(whole[:size])


def test_the_place_of_a_cut_is_the_value_that_was_being_read() -> None:
    refuse(BEFORE_WATCHED + '[{"Date": "1"}, {"Date": {"x": [1, ', "premature EOF", place=AT_WATCHED + "/1/Date/x/1")


def test_anything_after_the_end_is_refused_and_white_space_is_not() -> None:
    assert len(read_text(PROFILE % "{}" + "\n \t\r")) == 1
    refuse(PROFILE % "{}" + " x", "trailing garbage", place="")
    refuse(PROFILE % "{}" + "{}", "trailing garbage", place="")


def test_a_byte_order_mark_is_refused() -> None:
    refuse(b"\xef\xbb\xbf{}", "byte order mark", place="")
    refuse("{}".encode("utf-16"), "byte order mark", place="")


@pytest.mark.parametrize(
    "written", ["NaN", "Infinity", "-Infinity", "01", "+1", ".5", "1.", "0x1", "True", "'a'", "undefined"]
)
def test_what_json_has_no_word_for_is_refused(written: str) -> None:
    with pytest.raises(InvalidInputError):
        read_text(f'{{"a": {written}}}')


def test_nan_is_refused_at_its_place_in_a_record_and_outside_of_one() -> None:
    refuse(PROFILE % '{"a": {"b": NaN}}', "not JSON", place=AT_PROFILE + "/a/b")
    refuse('{"New": [0, NaN]}', "not JSON", place="/New/1")


def test_a_name_that_occurs_twice_is_refused_at_its_place() -> None:
    assert len(read_text('{"Profile": {}, "profile": {}, "a": {"a": 1}}')) == 2
    refuse('{"Profile": {}, "Profile": {}}', "twice", place="/Profile")
    refuse(PROFILE % '{"a": 1, "b": 2, "a": 1}', "twice", place=AT_PROFILE + "/a")
    refuse(PROFILE % '{"x": [{"a": 1, "\\u0061": 1}]}', "twice", place=AT_PROFILE + "/x/0/a")
    refuse('{"New": {"x": 1, "x": 1}}', "twice", place="/New/x")


@pytest.mark.parametrize("bad", [b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc3"])
def test_bytes_that_are_not_utf8_are_refused_in_values_and_in_names(bad: bytes) -> None:
    for text in (b'{"a": "' + bad + b'"}', b'{"a": 1, "' + bad + b'": 1}', b'{"a": 1' + bad + b"}"):
        with pytest.raises(InvalidInputError) as caught:
            read_text(text)
        assert caught.value.place == "x.json#/a"


def test_nesting_is_taken_to_its_limit_and_refused_beyond() -> None:
    limits = ReadLimits(depth_max=6)
    for before, after, place in (("", "", ""), (BEFORE_PROFILE, "}}}", AT_PROFILE)):
        levels = 6 - before.count("{")
        for opening, closing in (("[", "]"), ('{"k":', "}")):
            taken = before + opening * levels + "1" + closing * levels + after
            refused = before + opening * (levels + 1) + "1" + closing * (levels + 1) + after
            assert len(read_text(taken, limits=limits)) == 1
            with pytest.raises(InvalidInputError, match="over 6 levels") as caught:
                read_text(refused, limits=limits)
            assert caught.value.place.startswith(f"x.json#{place}")


def test_nesting_without_end_is_refused() -> None:
    for text in ("[" * 1_000_000, '{"a":' * 1_000_000, BEFORE_PROFILE + "[" * 1_000_000):
        with pytest.raises(InvalidInputError, match="over 64 levels"):
            read_text(text)


def test_a_string_is_taken_to_its_limit_and_refused_beyond() -> None:
    limits = ReadLimits(string_characters_max=100_000)
    for text, place in (('{"New": "%s"}', "/New"), (PROFILE.replace("%s", '{"b": "%s"}'), AT_PROFILE + "/b")):
        assert len(read_text(text % ("é" * 100_000), limits=limits)) == 1
        refuse(text % ("é" * 100_001), "over 100000 characters", place=place, limits=limits)


def test_a_record_is_taken_to_its_limits_and_refused_beyond() -> None:
    limits = ReadLimits(record_size_bytes_max=1_000_000, record_containers_max=1000)
    texts = ",".join(['"' + "x" * 1000 + '"'] * 900)
    assert len(read_text(PROFILE % f'{{"a": [{texts}]}}', limits=limits)) == 1
    assert len(read_text(PROFILE % ('{"a": [' + ",".join(["[]"] * 990) + "]}"), limits=limits)) == 1
    with pytest.raises(InvalidInputError, match="more than 1000000 bytes in one record"):
        read_text(PROFILE % f'{{"a": [{texts}, {texts}]}}', limits=limits)
    with pytest.raises(InvalidInputError, match="over 1000 objects and lists"):
        read_text(PROFILE % ('{"a": [' + ",".join(["[]"] * 1001) + "]}"), limits=limits)


def test_names_around_a_record_are_taken_to_their_limit_and_refused_beyond() -> None:
    limits = ReadLimits(open_keys_size_max=100 * (64 + 2))
    hundred = {f"{number:02d}": 1 for number in range(100)}
    assert len(read_text(json.dumps(hundred), limits=limits)) == 100
    refuse(json.dumps(hundred | {"xx": 1}), "characters of names", place="/xx", limits=limits)


def test_an_export_is_taken_to_its_limit_and_refused_beyond() -> None:
    text = json.dumps([1] * 1000)
    assert len(read_text(text, limits=ReadLimits(export_size_bytes_max=len(text)))) == 1000
    with pytest.raises(InvalidInputError, match="in one export"):
        read_text(text, limits=ReadLimits(export_size_bytes_max=len(text) - 1))


def test_a_limit_that_would_let_the_parser_fail_is_refused() -> None:
    with pytest.raises(ConfigurationError):
        ReadLimits(number_characters_max=5000)


def test_records_before_the_fault_are_given_first() -> None:
    stream = io.BytesIO((WATCHED % '[{"Date": "1"}, {"Date": NaN}]').encode())
    items = read_export(stream, name="x.json", matcher=load_matcher())

    assert next(items).record == {"Date": "1"}
    with pytest.raises(InvalidInputError):
        next(items)


def test_a_message_never_quotes_the_content() -> None:
    for broken in ("secret", '{"key": "secret" 1}', '"secret\n"', '["secret", tru]', '{"a": "secret\\x"}'):
        with pytest.raises(InvalidInputError) as caught:
            read_text(broken)
        assert "secret" not in caught.value.message + caught.value.place


def test_a_place_is_safe_to_print() -> None:
    with pytest.raises(InvalidInputError) as caught:
        read_text(json.dumps({"\x1b[31m\n\u202e" + "k" * 5000: [{}]}).replace("{}", "{,"))

    assert caught.value.place.isprintable()
    assert len(caught.value.place) < 600


def test_a_device_that_fails_in_the_middle_is_a_refusal() -> None:
    class Failing(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell():
                raise OSError(5, "Input/output error")
            return super().read(10)

    with pytest.raises(InvalidInputError, match="Input/output error"):
        list(read_export(Failing(b'{"a": [1, 2, 3]}'), name="x.json", matcher=load_matcher()))


# ---- whatever comes --------------------------------------------------------------------------------------------------

NAMES = [
    *"ab~/",
    "",
    "Conversation",
    "value",
    "path",
    "Profile",
    "Profile Info",
    "ProfileMap",
    "Autofill",
    "Direct Message",
]
NAMES += ["Direct Messages", "ChatHistory", "Your Activity", "Watch History", "VideoList", "*"]
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES) | st.text(), inner, max_size=6),
    max_leaves=25,
)
SHAPED = st.one_of(
    VALUES,
    st.builds(lambda value: json.loads(PROFILE % json.dumps(value)), VALUES),
    st.builds(lambda value: json.loads(CHATS % json.dumps(value)), VALUES),
    st.builds(lambda value: json.loads(WATCHED % json.dumps(value)), VALUES),
)


def escape(key: str) -> str:
    """Escape a key for a JSON pointer."""
    return key.replace("~", "~0").replace("/", "~1")


def list_leaves(value: Any, pointer: str = "", keys: tuple[str, ...] | None = ()) -> list[tuple[str, str, str]]:
    """List (dataset, pointer, value) of every leaf that says something; `keys` is None below a list."""
    if isinstance(value, dict):
        return [
            leaf
            for key, inner in value.items()
            for leaf in list_leaves(inner, f"{pointer}/{escape(key)}", None if keys is None else (*keys, key))
        ]
    if isinstance(value, list):
        matched = keys is not None and (found := load_matcher().match(keys)) and not found.dataset.catch_all
        inner_keys = keys if matched else None
        return [
            leaf for index, inner in enumerate(value) for leaf in list_leaves(inner, f"{pointer}/{index}", inner_keys)
        ]
    if value is None:
        return []
    found = load_matcher().match(keys) if keys is not None else None
    return [(found.dataset.name if found else "unclassified", pointer, repr(value))]


def list_leaves_of_items(items: list[Item], document: Any) -> list[tuple[str, str, str]]:
    """List the same of what was read."""
    leaves: list[tuple[str, str, str]] = []
    for item in items:
        if item.dataset == "unclassified":
            # A field that gave way to the dynamic key is still a leaf of its record's place.
            leaves += [("unclassified", *leaf[1:]) for leaf in list_leaves(item.record["value"], item.record["path"])]
            continue
        original = resolve(document, item.pointer)
        record = dict(item.record)
        key_field = load_charter().datasets[item.dataset].key_field
        if key_field:
            assert f"/{escape(record.pop(key_field))}" in item.pointer
        inner = record if isinstance(original, dict) else record.pop("value")
        assert isinstance(original, dict) or not record
        leaves += [(item.dataset, *leaf[1:]) for leaf in list_leaves(inner, item.pointer)]
    return leaves


def resolve(document: Any, pointer: str) -> Any:
    """Give what a JSON pointer points at."""
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        document = document[int(key)] if isinstance(document, list) else document[key]
    return document


@given(SHAPED, st.booleans())
def test_every_leaf_of_any_document_comes_out_once_in_its_dataset(document: Any, ascii_only: bool) -> None:
    items = read_text(json.dumps(document, ensure_ascii=ascii_only))

    given_leaves = Counter(list_leaves(document))
    read_leaves = Counter(list_leaves_of_items(items, document))
    # Fields of a record that are named like its key field are in the catch-all instead.
    moved = {leaf for leaf in given_leaves if leaf[0] == "direct_messages" and "/Conversation" in leaf[1]}
    for leaf in moved:
        if leaf not in read_leaves:
            given_leaves["unclassified", *leaf[1:]] += given_leaves.pop(leaf)
    assert read_leaves == given_leaves


@given(st.binary(max_size=200))
def test_any_bytes_give_records_or_a_refusal(text: bytes) -> None:
    assert is_read_or_refused(text)


def is_read_or_refused(text: bytes) -> bool:
    """Whether a text gives records alone, or a refusal with a place; anything else rises."""
    try:
        return all(isinstance(item, Item) for item in read_text(text))
    except InvalidInputError as error:
        return error.place.startswith("x.json#")


@given(SHAPED, st.data())
def test_any_damage_to_a_document_gives_records_or_a_refusal(document: Any, data: st.DataObject) -> None:
    text = bytearray(json.dumps(document).encode())
    for _ in range(data.draw(st.integers(1, 3))):
        position = data.draw(st.integers(0, len(text) - 1))
        text[position : position + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2) | st.just(b'"'))
        if not text:
            break
    assert is_read_or_refused(bytes(text))


# ---- memory ----------------------------------------------------------------------------------------------------------

MEASURE = """
import io, sys
from pathlib import Path
from ringfence.core.catalog import SourceMatcher
from ringfence.core.charter import parse_charter
from ringfence.core.errors import InvalidInputError
from ringfence.legacy.reader import read_export

class Repeated(io.RawIOBase):
    def __init__(self, start, middle, end, size):
        self.parts = iter([start] + [middle] * (size // len(middle)) + [end])
        self.rest = b""
    def read(self, size=-1):
        while len(self.rest) < size and (part := next(self.parts, b"")):
            self.rest += part
        block, self.rest = self.rest[:size], self.rest[size:]
        return block

def peak():
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])

matcher = SourceMatcher(parse_charter(Path(sys.argv[1]).read_bytes(), file="charter.yaml"))
start, middle, end = (part.encode() for part in sys.argv[2:5])
list(read_export(io.BytesIO(b"{}"), name="x", matcher=matcher))
middle *= max(1, 60_000 // len(middle))
before, count, refused = peak(), 0, ""
try:
    for item in read_export(Repeated(start, middle, end, 50_000_000), name="x", matcher=matcher):
        count += 1
except InvalidInputError as error:
    refused = error.message
print(peak() - before, count, refused)
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="needs Linux's /proc to measure memory")
@pytest.mark.parametrize(
    ("start", "middle", "end", "taken"),
    [
        (BEFORE_WATCHED + "[{}", ',{"Date": "2021-01-01 00:00:00", "Link": "https://example.com/v/1"}', "]}}}", True),
        ('{"New": [1', ',"some text here"', "]}", True),
        ('{"New": "', "x", '"}', False),
        (BEFORE_PROFILE + '{"a": [1', ",[]", "]}}}}", False),
        (BEFORE_PROFILE + '{"a": [1', ',{"ab":0.5}', "]}}}}", False),
        ('{"New":' + " " * 10, " ", "1}", False),
    ],
    ids=["many records", "many leaves", "one string", "one record of lists", "one record of objects", "white space"],
)
def test_fifty_megabytes_take_little_memory(start: str, middle: str, end: str, taken: bool) -> None:
    command = [sys.executable, "-c", MEASURE, str(CHARTER_FILE), start, middle, end]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    peak_kib, count, refused = output.rstrip("\n").split(" ", 2)

    assert int(peak_kib) < 80 * 1024
    assert (refused == "") == taken, refused
    assert not taken or int(count) > 500_000
