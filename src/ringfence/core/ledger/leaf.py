"""What every leaf of the tree has in common: see `entry` for what each says and how it is spelled."""

from __future__ import annotations

import msgspec


class Leaf(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, tag_field="kind"):
    """Common base of every leaf."""
