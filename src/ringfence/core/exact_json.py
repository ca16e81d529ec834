"""JSON that means one thing and survives being kept: what a decoder would silently lose is refused instead.

Refused, though some decoders take it:
1. A name twice in one object: decoders keep one of the two values, and not all the same one.
2. A number that neither an integer nor a 64-bit float says exactly, and NaN and the infinities.
3. A half of a surrogate pair, which is no character and has no UTF-8.
4. More than `LEVELS_MAX` levels inside each other, so that whatever handles the value later can.

A refusal never quotes the text: it may be a user's.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final, NoReturn

from ringfence.core.errors import InvalidInputError

LEVELS_MAX: Final = 64


def parse_exact_json(text: bytes) -> Any:
    """Give the value that a JSON text says.

    Args:
        text: UTF-8, without a byte order mark.

    Raises:
        InvalidInputError: it is not JSON, or says something that would not survive (see the rules of this file).

    Source: RFC 8259; RFC 7493 (I-JSON), sections 2.1 to 2.3.
    """
    try:
        value = json.loads(
            text.decode("utf-8"),
            object_pairs_hook=_distinct,
            parse_float=_exact_float,
            parse_constant=_refuse_constant,
        )
    except RecursionError:
        raise _too_deep() from None
    except UnicodeDecodeError:
        raise InvalidInputError("found bytes that are not UTF-8") from None
    except json.JSONDecodeError as error:
        raise InvalidInputError(f"found no JSON at character {error.pos}: {error.msg}") from None
    except ValueError:  # an integer of more digits than Python reads
        raise InvalidInputError("found a number of too many digits", hint="send it as text") from None
    _check_levels(value)
    if b"\\u" in text:
        _check_characters(value)
    return value


def _distinct(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise InvalidInputError("found a name twice in one object; expected each once")
    return members


def _exact_float(text: str) -> float:
    number = float(text)
    try:
        exact = not math.isinf(number) and Decimal(repr(number)) == Decimal(text)
    except ArithmeticError:  # an exponent that even a decimal number does not hold
        exact = False
    if not exact:
        raise InvalidInputError("found a number that a 64-bit float does not hold exactly", hint="send it as text")
    return number


def _refuse_constant(name: str) -> NoReturn:
    raise InvalidInputError(f"found {name}, which is not JSON")


def _too_deep() -> InvalidInputError:
    return InvalidInputError(f"found over {LEVELS_MAX} levels inside each other; expected fewer")


def _check_levels(value: Any) -> None:
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(LEVELS_MAX):
        if not level:
            return
        level = [
            child
            for container in level
            for child in (container.values() if isinstance(container, dict) else container)
            if isinstance(child, dict | list)
        ]
    if level:
        raise _too_deep()


def _check_characters(value: Any) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise InvalidInputError("found half of a surrogate pair; expected whole characters") from None
