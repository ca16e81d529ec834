"""The openings of a bundle with `detail/`: who and what the commitments are about.

Rules of this file:
1. An opening that is there must hash to the entry's commitment; a leaf that commits to nothing has none.
2. An opening that is not there was destroyed or kept back: the checks that needed it are counted as withheld.
3. What was given is about somebody, and what is recorded as single about one subject alone; a look-up names the field
   and the token that were looked for, and nobody.
4. An entry says of no fewer records than its opening names. Parts that this program keeps for itself (their dataset
   begins with `@`, or their key is the subject's: the sealed user id) are not counted.
5. Only a write that was permitted whole wrote anything; a part that it wrote is of a record that it names.
6. After a subject was erased, nothing that was given lists it, and no user id is written under its reference. `erased`
   maps a subject to the number of rules after which it was gone.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import zip_longest
from typing import Final

from ringfence.core.errors import ProofInvalidError
from ringfence.core.ledger.entry import (
    About,
    Access,
    AnyLeaf,
    Downgrade,
    PrincipalRegistered,
    SubjectErased,
    SubjectsNamed,
    commit,
    commitment_of,
    parse_about,
    parse_identity,
)
from ringfence.core.ledger.tiles import TILE_WIDTH
from ringfence.verify.bundle import Bundle, entries_tile

SUBJECTS_WITHHELD: Final = "openings of accesses: which subjects and records they were about"
IDENTITIES_WITHHELD: Final = "openings of principals: who stands behind a number"
SIGNATURES_WITHHELD: Final = "signatures of people, and what they signed"
ERASURES_WITHHELD: Final = "openings of erasures: which subject may not be listed any more"

SEARCHED: Final = 2


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


def open_about(entry: AnyLeaf, opening: bytes) -> About | None:
    """Give what an entry is about, from its opening; None when the opening is of another kind.

    Raises:
        ProofInvalidError: it is another opening than the one that the entry commits to (rule 1).
    """
    verify_opening(entry, opening)
    if isinstance(entry, PrincipalRegistered):
        parse_identity(opening)
        return None
    is_about = isinstance(entry, Access | Downgrade | SubjectsNamed | SubjectErased)
    return parse_about(opening) if is_about else None


def check_access_about(entry: Access, about: About, *, given: bool, epoch: int, erased: Mapping[bytes, int]) -> None:
    """Hold what an access is about against what its entry says (rules 3 to 6).

    Args:
        entry: the entry.
        about: its opening's value.
        given: whether the entry says that something was given.
        epoch: the entry's epoch.
        erased: see the rules of this file.

    Raises:
        ProofInvalidError: they contradict each other.
    """
    if entry.verb == "find":
        if len(about.searched) != SEARCHED or about.subjects or about.records or about.unknown:
            raise ProofInvalidError("a look-up is about something else than one field and one token")
    elif given:
        _check_named(entry, about)
    if about.written:
        _check_written(entry, about)
    if given and erased:
        check_erased(about, epoch=epoch, erased=erased)


def check_downgrade_about(entry: Downgrade, about: About, *, epoch: int, erased: Mapping[bytes, int]) -> None:
    """Hold what a downgrade is about against what it counts: each record that it names, once.

    Raises:
        ProofInvalidError: they contradict each other.
    """
    if len(set(about.records)) != entry.counted.amount or len(about.records) != entry.counted.amount:
        raise ProofInvalidError(
            "a downgrade counts other records than it is about",
            expected=f"an amount of {len(set(about.records))}",
            found=str(entry.counted.amount),
        )
    if erased:
        check_erased(about, epoch=epoch, erased=erased)


def check_erased(about: About, *, epoch: int, erased: Mapping[bytes, int]) -> None:
    """Check that nothing is about an erased subject (rule 6).

    Raises:
        ProofInvalidError: it is.
    """
    for subject in (*about.subjects, *(part.record_key for part in about.written)):
        if erased.get(subject, epoch + 1) <= epoch:
            raise ProofInvalidError(
                "an erased subject was read again",
                expected=f"nothing about subject {subject.hex()} after rule {erased[subject]}",
                found=f"an access in epoch {epoch}",
            )


def _check_named(entry: Access, about: About) -> None:
    """Check whom and how many records a given access is about (rules 3 and 4)."""
    subjects = len(set(about.subjects)) + len(set(about.unknown))
    if not subjects:
        raise ProofInvalidError("what was given is about nobody")
    if entry.shape == "single" and subjects > 1:
        raise ProofInvalidError(
            "an access recorded as single is about several subjects", expected="1", found=f"{subjects}"
        )
    named = max(subjects, len(about.records) + len(about.unknown))
    if named > entry.records and about.written:
        own = {part.record_key for part in about.written if part.dataset}
        own -= {part.record_key for part in about.written if not part.dataset}
        subjects_counted = {
            subject for subject, key in zip_longest(about.subjects, about.records, fillvalue=b"") if key not in own
        }
        named = max(len(subjects_counted), sum(key not in own for key in about.records))
    if named > entry.records and entry.dataset:
        raise ProofInvalidError(
            "an access is about more records than its entry says", expected=f"{named} or more", found=f"{entry.records}"
        )


def _check_written(entry: Access, about: About) -> None:
    """Check the parts that an access left (rule 5)."""
    if entry.verb != "write" or not all(said and said[0] != "!" for said in entry.decided.values()):
        raise ProofInvalidError("parts were written although nothing was permitted to be")
    records = {*about.records, *about.subjects}
    seen: set[tuple[bytes, str, str]] = set()
    for part in about.written:
        name = (part.record_key, part.data_class, part.dataset)
        if name in seen or part.record_key not in records or (part.version > 0) != bool(part.digest):
            raise ProofInvalidError("a part was written twice, or of a record that the write does not name")
        if part.dataset and not part.dataset.startswith("@"):
            raise ProofInvalidError("a part was written into another dataset than the write's", found=part.dataset[:80])
        seen.add(name)


def withheld_of(entry: AnyLeaf) -> str:
    """Say what cannot be checked without an entry's opening; "" when it commits to nothing."""
    if commitment_of(entry) is None:
        return ""
    if isinstance(entry, Access | Downgrade | SubjectsNamed):
        return SUBJECTS_WITHHELD
    if isinstance(entry, PrincipalRegistered):
        return IDENTITIES_WITHHELD
    return ERASURES_WITHHELD if isinstance(entry, SubjectErased) else SIGNATURES_WITHHELD
