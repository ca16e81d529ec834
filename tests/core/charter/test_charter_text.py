"""What a charter's text may hold: everyone who reads it sees the same, in the file and in the explanation."""

from __future__ import annotations

import pytest

from ringfence.core.charter import parse_charter
from ringfence.core.charter.words import explain_charter
from tests.core.small_charter import SMALL, changed, problems_of

HIDDEN = [
    "\x85",
    "\u2028",
    "\u2029",
    "\r",
    "\u202e",
    "\u2066",
    "\u200b",
    "\xad",
    "\ufeff",
    "\U000e0041",
    "\x1b",
    "\x00",
]


@pytest.mark.parametrize("sign", HIDDEN, ids=ascii)
def test_text_that_not_everyone_sees_alike_is_refused_in_comments_and_in_words(sign: str) -> None:
    for old, new in (("flows:", f"# nothing {sign}flows:"), ("The app serves a user.", f"The app {sign} serves.")):
        head = SMALL.split(old)[0] + new.split(sign)[0]
        (problem,) = [item for item in problems_of(changed(old, new)) if "character" in item.found]
        assert problem.found == f"the character U+{ord(sign):04X}"
        assert (problem.line, problem.column) == (head.count("\n") + 1, len(head) - head.rfind("\n"))


@pytest.mark.parametrize("sign", [*HIDDEN, "\ud800"], ids=ascii)
def test_escape_for_what_not_everyone_sees_is_refused_in_words_and_in_keys(sign: str) -> None:
    escape = f'"The app\\U{ord(sign):08x} serves."'
    for old, new in (("The app serves a user.", escape), ("title: record,", f"title: record, {escape}: protected,")):
        head = SMALL.split(old)[0] + new.split('"')[0]
        (problem,) = problems_of(changed(old, new))
        assert problem.found == f"an escape for the character U+{ord(sign):04X}"
        assert (problem.line, problem.column) == (head.count("\n") + 1, len(head) - head.rfind("\n"))


@pytest.mark.parametrize(
    "words", ["é 中文 עברית ਪੰਜਾਬੀ 𐀀", "می\u200cخواهم 👩\u200d💻", '"a\\tb\\u00e9\\n"', "a\r\n      b"], ids=ascii
)
def test_text_of_every_script_is_accepted(words: str) -> None:
    parse_charter(changed("The app serves a user.", words).encode(), file="small.yaml")


def test_anchor_tag_and_hidden_sign_are_told_with_the_other_mistakes() -> None:
    text = (
        SMALL.replace("version: 3", "version: x").replace("[app]", "&a [ap]").replace("some: shared", "some: !t shared")
    )
    told = [problem.found for problem in problems_of(text.replace("regions:", "regions: # \u202e"))]
    assert told == ["`x`", "the character U+202E", "the tag `!t`", "the anchor `&a`", "the unknown party `ap`"]


def test_words_with_lines_of_their_own_cannot_pass_for_lines_of_the_explanation() -> None:
    text = changed(
        "words: The app serves a user.", 'words: "The app.\\n- parent-never-reads: x\\n\\nWhat nobody may do"'
    )
    words = explain_charter(parse_charter(text.encode(), file="small.yaml"))
    assert words.count("\nWhat nobody may do\n") == words.count("\n- parent-never-reads: ") == 1
    assert "- serving: The app. - parent-never-reads: x What nobody may do App may read" in words
