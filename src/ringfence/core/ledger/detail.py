"""A batch's detail: the openings of its entries, in order, packed and sealed as one.

An opening that was destroyed, and an entry that commits to nothing, have None in their place.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ringfence.core.errors import IntegrityError

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[list[bytes | None]] = msgspec.msgpack.Decoder(list[bytes | None])


def render_detail(openings: Sequence[bytes | None]) -> bytes:
    """Pack the openings of a batch, one for each entry."""
    return _encoder.encode(list(openings))


def parse_detail(packed: bytes, *, entries: int, place: str = "") -> list[bytes | None]:
    """Unpack the openings of a batch of so many entries; the inverse of `render_detail`.

    Raises:
        IntegrityError: it is not a list of that length.
    """
    try:
        openings = _decoder.decode(packed)
    except (msgspec.DecodeError, ValueError) as error:
        raise IntegrityError(f"a batch's detail cannot be read: {error}", place=place) from None
    if len(openings) != entries:
        raise IntegrityError("a batch's detail has another number of openings than entries", place=place)
    return openings
