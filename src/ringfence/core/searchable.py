"""The form in which a searchable value is indexed, so that spellings of one address or number meet."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_NOT_DIGITS: Final = re.compile(r"[^0-9+]")


def normalize(value: str, how: str) -> str:
    """Bring a value to the form that is indexed.

    Args:
        how: `none`, `email` (case and surrounding space do not count) or `phone` (digits and `+` alone count).
    """
    text = unicodedata.normalize("NFKC", value).strip()
    if how == "email":
        return text.casefold()
    if how == "phone":
        return _NOT_DIGITS.sub("", text)
    return text
