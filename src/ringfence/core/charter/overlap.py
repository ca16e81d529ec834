"""Sources of datasets that would claim the same value of an export.

Two sources overlap when they are equal or one is the beginning of the other, `*` being any one key. A value that two
datasets claim would be stored twice, or under the wrong class.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from ringfence.core.charter.terms import ANY


class Source(NamedTuple):
    """A path of keys, with at most one `*`, and the dataset that it is the `position`-th source of."""

    dataset: str
    position: int
    keys: tuple[str, ...]


@dataclass(slots=True)
class _Branch:
    """The sources that begin with the same keys; `source` is the one that ends here."""

    below: dict[str, _Branch] = field(default_factory=dict)
    source: Source | None = None


def find_overlaps(sources: Iterable[Source]) -> Iterator[tuple[Source, Source]]:
    """Give each source that overlaps an earlier one, with that one; it is then left out of the search."""
    root = _Branch()
    for source in sources:
        earlier = _overlapped(root, source, 0)
        if earlier is not None:
            yield source, earlier
            continue
        branch = root
        for key in source.keys:
            branch = branch.below.setdefault(key, _Branch())
        branch.source = source


def _overlapped(branch: _Branch, source: Source, depth: int) -> Source | None:
    """Look for a source that ends at or below the branch, or on the way that the rest of the keys lead."""
    if branch.source is not None:
        return branch.source
    key = source.keys[depth] if depth < len(source.keys) else ANY
    if key == ANY:
        nearer = list(branch.below.values())
    else:
        nearer = [branch.below[name] for name in (key, ANY) if name in branch.below]
    return next((found for item in nearer if (found := _overlapped(item, source, depth + 1))), None)
