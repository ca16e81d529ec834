"""The openings of a bundle with `detail/`: who and what the commitments are about.

Rules of this file:
1. An opening that is there must hash to the entry's commitment; a leaf that commits to nothing has none.
2. An opening that is not there was destroyed or kept back: the checks that needed it are counted as withheld.
3. What is recorded as single is about one subject; a look-up names its subjects only in what it finds.
4. After a subject was erased, nothing that was given lists it. `erased` maps a subject to the number of rules after
   which it was gone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ringfence.core.entry import (
    Access,
    AnyLeaf,
    Downgrade,
    PrincipalRegistered,
    commit,
    commitment_of,
    parse_about,
    parse_identity,
)
from ringfence.core.errors import ProofInvalidError
from ringfence.core.tiles import TILE_WIDTH
from ringfence.verify.bundle import Bundle, entries_tile

SUBJECTS_WITHHELD: Final = "openings of accesses: which subjects and records they were about"
IDENTITIES_WITHHELD: Final = "openings of principals: who stands behind a number"
ERASURES_WITHHELD: Final = "openings of erasures: which subject may not be listed any more"


class Openings:
    """Reads openings by leaf, one file at a time; leaves must be asked for in ascending order to be quick."""

    __slots__ = ("_bundle", "_index", "_openings", "_size")

    def __init__(self, bundle: Bundle, *, size: int) -> None:
        self._bundle = bundle
        self._size = size
        self._index = -1
        self._openings: list[bytes] = []

    def of(self, leaf: int) -> bytes:
        """Give a leaf's opening; empty when there is none.

        Raises:
            ProofInvalidError: the file is missing or malformed.
        """
        index, number = divmod(leaf, TILE_WIDTH)
        if index != self._index:
            self._openings = self._bundle.read_openings(entries_tile(index, size=self._size))
            self._index = index
        return self._openings[number]


def verify_opening(entry: AnyLeaf, opening: bytes) -> None:
    """Check that an opening is the one that the entry commits to.

    Raises:
        ProofInvalidError: it is another one, or there is nothing to open.
    """
    commitment = commitment_of(entry)
    if commitment is None:
        raise ProofInvalidError("an opening is there for a leaf that commits to nothing")
    found = commit(opening)
    if found != commitment:
        raise ProofInvalidError(
            "an opening is not the one that the entry commits to", expected=commitment.hex(), found=found.hex()
        )


def check_opening(entry: AnyLeaf, opening: bytes, *, given: bool, epoch: int, erased: Mapping[bytes, int]) -> str:
    """Check an entry's opening, and that it lists no erased subject (rules 1 to 4).

    Args:
        entry: the entry.
        opening: its opening; empty when there is none.
        given: whether the entry says that something was given.
        epoch: the entry's epoch.
        erased: see the rules of this file.

    Returns:
        What is withheld, or "".

    Raises:
        ProofInvalidError: another opening, or an erased subject.
    """
    if not opening:
        return _withheld(entry)
    verify_opening(entry, opening)
    if isinstance(entry, PrincipalRegistered):
        parse_identity(opening)
        return ""
    about = parse_about(opening)
    if isinstance(entry, Access) and entry.shape == "single" and entry.verb != "find" and len(set(about.subjects)) > 1:
        raise ProofInvalidError(
            "an access recorded as single is about several subjects", expected="1", found=f"{len(set(about.subjects))}"
        )
    if given and erased:
        for subject in about.subjects:
            if erased.get(subject, epoch + 1) <= epoch:
                raise ProofInvalidError(
                    "an erased subject was read again",
                    expected=f"nothing about subject {subject.hex()} after rule {erased[subject]}",
                    found=f"an access in epoch {epoch}",
                )
    return ""


def _withheld(entry: AnyLeaf) -> str:
    if commitment_of(entry) is None:
        return ""
    if isinstance(entry, Access | Downgrade):
        return SUBJECTS_WITHHELD
    return IDENTITIES_WITHHELD if isinstance(entry, PrincipalRegistered) else ERASURES_WITHHELD
