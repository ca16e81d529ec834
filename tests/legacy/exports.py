"""What the tests of reading share: the worked example's charter, and reading an export's text whole."""

from __future__ import annotations

import functools
import io
import json
from pathlib import Path
from typing import Any

from ringfence.core.charter import Charter, parse_charter
from ringfence.core.charter.catalog import SourceMatcher
from ringfence.legacy.limits import DEFAULT_LIMITS, ReadLimits
from ringfence.legacy.reader import Item, read_export

CHARTER_FILE = Path(__file__).parents[2] / "examples" / "us-user-data" / "charter.yaml"


@functools.cache
def load_charter() -> Charter:
    """Parse the worked example's charter, once."""
    return parse_charter(CHARTER_FILE.read_bytes(), file="charter.yaml")


@functools.cache
def load_matcher() -> SourceMatcher:
    """Make the matcher of the worked example's charter, once."""
    return SourceMatcher(load_charter())


def read_text(text: str | bytes, *, limits: ReadLimits = DEFAULT_LIMITS) -> list[Item]:
    """Read an export's text to its end."""
    stream = io.BytesIO(text.encode() if isinstance(text, str) else text)
    return list(read_export(stream, name="x.json", matcher=load_matcher(), limits=limits))


def read_value(value: Any) -> list[Item]:
    """Read a value as an export."""
    return read_text(json.dumps(value))
