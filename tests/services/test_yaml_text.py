"""YAML that people write is read, or refused in one way whatever is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ringfence.app.ceremony_plan import read_plan
from ringfence.app.configuration import FILE, read_configuration
from ringfence.app.yaml_text import parse_yaml
from ringfence.cli.change_file import read_change
from ringfence.core.errors import ConfigurationError, InvalidInputError

WRONG = {
    "a date that there is not": "a: 2026-02-30",
    "a time that there is not": "a: 2026-03-31T99:00:00Z",
    "no number": "a: !!int four",
    "no truth": "a: !!bool maybe",
    "a number of too many digits": "a: " + "9" * 5000,
    "half a character": r'a: "\ud800"',
    "a list in itself": "a: &a [*a]",
    "a list as a name": "a: {[b]: c}",
    "no YAML": "a: [",
    "no UTF-8": b"a: \xff",
}


@pytest.mark.parametrize("text", WRONG.values(), ids=WRONG)
def test_text_with_something_that_is_no_value_is_refused_wherever_it_is_read(tmp_path: Path, text: str | bytes) -> None:
    data = text if isinstance(text, bytes) else text.encode()
    (tmp_path / FILE).write_bytes(data)
    with pytest.raises(InvalidInputError, match=r"this is not YAML: \S"):
        parse_yaml(data)
    with pytest.raises(ConfigurationError, match=r"this is not YAML: \S"):
        read_plan(tmp_path / FILE)
    with pytest.raises(ConfigurationError, match=r"this is not YAML: \S"):
        read_configuration(tmp_path)
    with pytest.raises(InvalidInputError, match=r"this is not YAML: \S"):
        read_change(tmp_path / FILE, author=1)


def test_text_with_a_date_and_a_character_beyond_ascii_is_read() -> None:
    assert str(parse_yaml(b"a: 2026-02-28")["a"]) == "2026-02-28"
    assert parse_yaml(rb'{a: "\u00e9", b: [1, true, null]}') == {"a": "é", "b": [1, True, None]}
    assert parse_yaml(b"") is None


@pytest.mark.parametrize("name", [r'"\0"', r'"a\0b"'])
def test_name_that_no_file_can_have_is_refused(tmp_path: Path, name: str) -> None:
    file = tmp_path / "change.yaml"
    file.write_text(f"do: enrol-key\nperson: 1\nkey: {name}\n")

    with pytest.raises(InvalidInputError, match="cannot be read: embedded null byte"):
        read_change(file, author=1)
