"""What the verifier found: the verdict, as values.

Rules of this file:
1. `verified` needs a trust file, no refutation and nothing unreadable. Without a trust file the best outcome is
   `self-consistent`: a forger can make a ledger that agrees with itself.
2. What was only asserted, what was withheld and what was not checked is part of the verdict, in numbers. It is never
   counted as checked.
3. The verdict is a function of the bundle, the trust file and the options; the number of processes never shows in it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from ringfence.core.errors import ProofInvalidError
from ringfence.verify.bundle import place_of_leaf
from ringfence.verify.revocations import Revocation

VERIFIED: Final = "verified"
REFUTED: Final = "refuted"
SELF_CONSISTENT: Final = "self-consistent"
UNREADABLE: Final = "unreadable"

REFUTATIONS_MAX: Final = 20
LABELS_MAX: Final = 64
LABEL_LENGTH_MAX: Final = 100
TEXT_LENGTH_MAX: Final = 400
OTHER_LABELS: Final = "(others)"
BEFORE_LEAVES: Final = -1

_PLACES: Final = ("leaf ", "tile/", "detail/", "blobs/")


@dataclass(frozen=True, slots=True)
class Refutation:
    """One thing that contradicts what the bundle claims.

    Attributes:
        place: where: a file, or a leaf with its file.
        what: what is wrong, in one sentence.
        expected: what would have been right; "" when `what` says it.
        found: what is there instead.
        leaf: the leaf's index, for order; `BEFORE_LEAVES` when it is about the bundle as a whole.
    """

    place: str
    what: str
    expected: str = ""
    found: str = ""
    leaf: int = BEFORE_LEAVES


@dataclass(frozen=True, slots=True)
class Withheld:
    """Something that could not be checked, or was not asked to be: what, and how many of it."""

    what: str
    count: int


@dataclass(frozen=True, slots=True)
class Recovery:
    """A lane that the custodian went on without, by a signed rule at `leaf`: what it wrote after batch `n` is lost."""

    leaf: int
    lane: int
    n: int
    reason: str


@dataclass(slots=True)
class Tally:
    """Numbers of what was seen, and of what was asserted, by source. Every label set is bounded (`LABELS_MAX`)."""

    counts: Counter[str] = field(default_factory=Counter)
    asserted: dict[str, Counter[str]] = field(default_factory=dict)
    withheld: Counter[str] = field(default_factory=Counter)

    def assert_many(self, kind: str, labels: Counter[str]) -> None:
        """Count what was asserted of one kind, by source."""
        into = self.asserted.setdefault(kind, Counter())
        for label, number in sorted(labels.items()):
            short = label if len(label) <= LABEL_LENGTH_MAX else label[:LABEL_LENGTH_MAX] + "…"
            into[short if short in into or len(into) < LABELS_MAX else OTHER_LABELS] += number

    def add(self, other: Tally) -> None:
        """Add another tally to this one."""
        self.counts.update(other.counts)
        self.withheld.update(other.withheld)
        for kind, labels in other.asserted.items():
            self.assert_many(kind, labels)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer to "does this bundle prove what it claims?".

    Attributes:
        outcome: `verified`, `refuted`, `self-consistent` or `unreadable`.
        refutations: in the order of the ledger, those of the bundle as a whole first; at most `refutations_max`.
        refutations_more: whether there are others that were left out.
        problem: why it is unreadable; else "".
        origin, mode: as genesis says.
        size: leaves in the tree. `root`: its root, in hex.
        signed_at_seconds: when the log signed the newest checkpoint, POSIX; `age_seconds` counts from it to the
            caller's clock (None when no clock was given).
        witnesses: names of the pinned witnesses that cosigned it, of which `witness_quorum` were wanted.
        checkpoints_earlier: earlier checkpoints, all of them found consistent unless refuted.
        from_leaf: entries before it were not re-derived.
        epoch: rules in force at the end. `charter`: name@version in force, "" when none.
        counts: leaves, batches, seals, entries, rules, decisions and so on; see `docs/verify.md`.
        asserted: for each kind of input that no one can re-derive, how many entries rest on it, by source.
        withheld: what was not checked.
        recovered: lanes that the custodian went on without.
        revocations: every order that took authority away, with the time that it took.
    """

    outcome: str
    refutations: tuple[Refutation, ...] = ()
    refutations_more: bool = False
    problem: str = ""
    origin: str = ""
    mode: str = ""
    size: int = 0
    root: str = ""
    signed_at_seconds: int = 0
    age_seconds: int | None = None
    witnesses: tuple[str, ...] = ()
    witness_quorum: int = 0
    checkpoints_earlier: int = 0
    since_size: int | None = None
    from_leaf: int = 0
    detail: bool = False
    epoch: int = 0
    charter: str = ""
    counts: dict[str, int] = field(default_factory=dict)
    asserted: dict[str, dict[str, int]] = field(default_factory=dict)
    withheld: tuple[Withheld, ...] = ()
    recovered: tuple[Recovery, ...] = ()
    revocations: tuple[Revocation, ...] = ()


class Findings:
    """Collects refutations up to a limit; each distinct one once."""

    __slots__ = ("_found", "limit", "more")

    def __init__(self, limit: int = REFUTATIONS_MAX) -> None:
        self._found: dict[Refutation, None] = {}
        self.limit = limit
        self.more = False

    def __bool__(self) -> bool:
        return bool(self._found)

    def refute(self, place: str, what: str, *, expected: str = "", found: str = "", leaf: int = BEFORE_LEAVES) -> None:
        """Note one refutation."""
        self.add(Refutation(place, _shorten(what), _shorten(expected), _shorten(found), leaf))

    def refute_error(self, error: ProofInvalidError, *, leaf: int = BEFORE_LEAVES) -> None:
        """Note what an error says; its place is kept when it names a file or a leaf."""
        place = error.place
        if leaf >= 0 and not place.startswith(_PLACES):
            place = place_of_leaf(leaf)
        self.refute(place, error.message, expected=error.expected, found=error.found, leaf=leaf)

    def add(self, refutation: Refutation) -> None:
        """Note one refutation; the first in order are kept once there are more than the limit."""
        if refutation in self._found:
            return
        self._found[refutation] = None
        if len(self._found) > self.limit:
            self.more = True
            del self._found[max(self._found, key=lambda item: item.leaf)]

    def extend(self, refutations: Iterable[Refutation]) -> None:
        """Note several."""
        for refutation in refutations:
            self.add(refutation)

    def in_order(self) -> tuple[Refutation, ...]:
        """Give them in the order of the ledger, those of the whole bundle first."""
        return tuple(sorted(self._found, key=lambda item: item.leaf))


def _shorten(text: str) -> str:
    return text if len(text) <= TEXT_LENGTH_MAX else text[:TEXT_LENGTH_MAX] + "…"
