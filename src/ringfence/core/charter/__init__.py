"""The charter: the agreement that decides every access. A file becomes frozen values here, or every problem with it.

`document` text to a tree that knows its places · `kinds`, `shape`, `shape_parsing` which keys there are and what each
takes · `terms` words with a meaning of their own · `references_check`, `checker`, `overlap` what must fit together ·
`model` the values, and parsing them · `catalog` what they say of a record · `words`, `phrases` the same in plain
sentences. The people's part has files of its own: `governance` with `governance_shape`, `governance_build`,
`governance_check`, `governance_words`; `approval_tree`, `independence_check`, `coalition_check`.
"""

from __future__ import annotations

from ringfence.core.charter.model import (
    Bulk,
    Charter,
    Dataset,
    Field,
    FieldReference,
    Flow,
    Invariant,
    JurisdictionRules,
    Party,
    RecordClass,
    Region,
    Searchable,
    parse_charter,
    parse_draft,
)
from ringfence.core.charter.terms import ANY, PROTECTED, RECORD

__all__ = [
    "ANY",
    "PROTECTED",
    "RECORD",
    "Bulk",
    "Charter",
    "Dataset",
    "Field",
    "FieldReference",
    "Flow",
    "Invariant",
    "JurisdictionRules",
    "Party",
    "RecordClass",
    "Region",
    "Searchable",
    "parse_charter",
    "parse_draft",
]
