"""YAML that people write: settings, plans and changes. A charter is read by a reader of its own (`core`)."""

from __future__ import annotations

import json
from typing import Any

from ruamel.yaml import YAML

from ringfence.core.errors import InvalidInputError


def parse_yaml(text: bytes) -> Any:
    """Give the plain value that a YAML text says; None for an empty text.

    Raises:
        InvalidInputError: it is no YAML, has a value that there is not (such as the date 2026-02-30), holds itself, or
            has half a character.
    """
    try:
        value = YAML(typ="safe", pure=True).load(text)
        json.dumps(value, default=str, ensure_ascii=False).encode("utf-8")
    except Exception as error:  # a library reading what anybody may have written: whatever it trips over is in the text
        words = (str(error) or type(error).__name__).splitlines()[0][:200]
        raise InvalidInputError(f"this is not YAML: {ascii(words)[1:-1]}") from None
    return value
