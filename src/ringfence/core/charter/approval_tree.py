"""Who must agree, as a charter writes it (a tree of AND and OR), written out as alternatives of groups.

An alternative needs all of its groups; one alternative is enough. Nothing here checks: `governance_check` does,
and counts before anything is written out, so that a small file cannot ask for a large result.
"""

from __future__ import annotations

from math import prod

from ringfence.core.charter.governance import Group
from ringfence.core.charter.governance_shape import TreeShape


def count_alternatives(tree: TreeShape) -> int:
    """Give how many alternatives the tree has when written out, equal ones counted each."""
    if tree.every is not None:
        return prod(count_alternatives(item) for item in tree.every)
    if tree.either is not None:
        return sum(count_alternatives(item) for item in tree.either)
    return 1


def count_people_max(tree: TreeShape) -> int:
    """Give how many people the largest alternative of the tree asks for."""
    if tree.every is not None:
        return sum(count_people_max(item) for item in tree.every)
    if tree.either is not None:
        return max(count_people_max(item) for item in tree.either)
    return tree.count or 0


def write_out(tree: TreeShape) -> tuple[tuple[Group, ...], ...]:
    """Give the tree's alternatives in the order of the file, each once."""
    alternatives: list[tuple[Group, ...]]
    if tree.every is not None:
        alternatives = [()]
        for item in tree.every:
            alternatives = [(*before, *after) for before in alternatives for after in write_out(item)]
    elif tree.either is not None:
        alternatives = [groups for item in tree.either for groups in write_out(item)]
    else:
        alternatives = [(Group(tuple(tree.duties or ()), tree.count or 0),)]
    return tuple(dict.fromkeys(alternatives))
