"""From what entries say of one part to what must be stored of it, whichever lanes said it and whenever."""

from __future__ import annotations

import itertools

import pytest

from ringfence.core.envelope import PartName
from ringfence.vault.audit_ledger import CLOCKS_APART_MS_MAX, resolve_chain

NAME = PartName("posts", b"s" * 16, b"r" * 16, "public")
NOW_MS = 1_760_000_000_000

Step = tuple[int, bytes, int, int, int, int]


def step(version: int, digest: str = "", *, lane: int = 1, n: int = 1, ms: int = 0, epoch: int = 5) -> Step:
    """Give a write, or a deletion when the version is negative."""
    return (version, digest.encode(), epoch, NOW_MS + ms, lane, n)


@pytest.mark.parametrize(
    ("steps", "version", "digests"),
    [
        ([step(1, "a")], 1, "a"),
        ([step(1, "a"), step(2, "b", n=2)], 2, "b"),
        ([step(1, "a"), step(-1, n=2)], 0, ""),
        ([step(1, "a"), step(2, "b", lane=2), step(-2, lane=3)], 0, ""),
        ([step(1, "a"), step(-1, n=2), step(1, "b", n=3)], 1, "b"),
        ([step(1, "a", lane=2, n=9), step(-1, n=2), step(1, "b", n=3, ms=CLOCKS_APART_MS_MAX + 1)], 1, "b"),
        ([step(1, "a", lane=2, n=9), step(-1, n=2), step(1, "b", n=3, ms=CLOCKS_APART_MS_MAX)], 1, "ab"),
        ([step(1, "a", lane=2, ms=500, epoch=4), step(-1, n=2), step(1, "b", n=3)], 1, "b"),
        (
            [step(1, "a"), step(2, "b", n=2), step(-2, n=3), step(1, "c", n=4), step(2, "d", n=5), step(3, "e", n=6)],
            3,
            "e",
        ),
    ],
)
def test_what_must_be_stored_follows_from_the_entries_in_any_order(
    steps: list[Step], version: int, digests: str
) -> None:
    for order in itertools.islice(itertools.permutations(steps), 120):
        expected = resolve_chain(NAME, order)
        assert (expected.version, set(expected.digests), expected.broken) == (
            *(version, {digest.encode() for digest in digests}),
            False,
        )


@pytest.mark.parametrize(
    "steps",
    [
        [step(2, "b")],
        [step(-1)],
        [step(1, "a"), step(1, "b", n=2)],
        [step(1, "a"), step(3, "c", n=2)],
        [step(1, "a"), step(-2, n=2)],
        [step(1, "a"), step(-1, n=2), step(-1, n=3)],
        [step(1, "a"), step(2, "b", n=2), step(-1, n=3)],
    ],
)
def test_entries_that_are_no_chain_are_told(steps: list[Step]) -> None:
    for order in itertools.permutations(steps):
        assert resolve_chain(NAME, order).broken
