"""The words that have a meaning of their own in a charter, whatever it calls the rest."""

from __future__ import annotations

from typing import Final

VERBS: Final = ("read", "write", "find", "export", "erase")
"""What can be done to records; `find` is a look-up by a value."""

SHAPES: Final = ("single", "bulk")
"""How many users one request is about: one, or several."""

ROLES: Final = ("custodian", "host", "operator", "excluded", "overseer")
"""What a party is in the agreement."""

OTHER: Final = "other"
"""In a decision: whatever the charter does not name, and a person who holds no duty. No flow can permit it by name."""

NONE: Final = "none"
"""In a decision: no grant, no approved build, and in the place of a duty a service."""

PROTECTED: Final = "protected"
"""The class that every charter has: what is not classified is this."""

RECORD: Final = "record"
"""In the place of a field's class: the class of the record, by the dataset's `record_class`."""

ANY: Final = "*"
"""In a flow or invariant: all datasets, all classes, any country. In a source: any one key."""

RESERVED: Final = frozenset({OTHER, RECORD})
"""Names that nothing in a charter may have, for they mean something else in decisions and fields."""

RESERVED_FOR_DUTIES: Final = RESERVED | {NONE}
"""Names that no duty may have: decisions take `other` for people who hold none, and `none` for services."""
