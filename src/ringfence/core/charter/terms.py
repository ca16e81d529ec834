"""The words that have a meaning of their own in a charter, whatever it calls the rest."""

from __future__ import annotations

from typing import Final

from ringfence.core.view import NONE, OTHER

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
