"""One export's records come out whole, and a hostile export gives a clear refusal at its place."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence.core.errors import ConfigurationError, InvalidInputError
from ringfence.legacy.checked_stream import CheckedStream
from ringfence.legacy.limits import DEFAULT_LIMITS, ReadLimits
from ringfence.legacy.reader import Item, read_export
from tests.legacy.exports import load_matcher, read_text, read_value

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


def test_limits_of_a_record_are_counted_anew_for_each() -> None:
    limits = ReadLimits(record_size_bytes_max=200_000, record_containers_max=4, open_keys_size_max=1000)
    watched = [{"Date": "1", "Link": ["x" * 1000, [{}]]}] * 1000
    assert len(read_text(WATCHED % json.dumps(watched), limits=limits)) == 1000
    unknown = [{"a": "x" * 1000, "b": {"c": [[]], "d": 1}}] * 1000
    assert len(read_text(json.dumps(unknown), limits=limits)) == 3000


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
