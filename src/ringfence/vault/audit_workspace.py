"""The temporary database of an audit: what was read of the ledger and of the rows, as digests and pseudonyms.

It never holds a key or anything that was opened, and is gone when the audit ends.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Final

_TABLES: Final = """
CREATE TABLE written (
    subject_ref BLOB, dataset TEXT, record_key BLOB, data_class TEXT,
    version INTEGER, digest BLOB, epoch INTEGER, at_ms INTEGER, lane INTEGER, n INTEGER
);
CREATE TABLE erased (subject_ref BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE subjects (subject_ref BLOB PRIMARY KEY, user_index BLOB, identified INTEGER DEFAULT 0) WITHOUT ROWID;
CREATE TABLE keys (
    subject_ref BLOB, data_class TEXT, key_epoch INTEGER, wrapped BLOB, commitment BLOB,
    PRIMARY KEY (subject_ref, data_class)
) WITHOUT ROWID;
CREATE TABLE records (
    subject_ref BLOB, dataset TEXT, record_key BLOB, epoch INTEGER, PRIMARY KEY (subject_ref, dataset, record_key)
) WITHOUT ROWID;
CREATE TABLE tokens (
    subject_ref BLOB, field TEXT, record_key BLOB, token BLOB, required INTEGER,
    PRIMARY KEY (subject_ref, field, record_key, token)
) WITHOUT ROWID;
CREATE TABLE searched (
    subject_ref BLOB, field TEXT, record_key BLOB, PRIMARY KEY (subject_ref, field, record_key)
) WITHOUT ROWID;
CREATE TABLE doubtful (subject_ref BLOB PRIMARY KEY) WITHOUT ROWID;
"""


@contextmanager
def open_workspace() -> Iterator[sqlite3.Connection]:
    """Give an empty workspace.

    `written` is what entries say of parts, a deletion with its version negated. `subjects` and `keys` are those stored.
    `records` are the stored records that can be looked up, each with the epoch of its newest write. `tokens` are those
    that each may be found by, `searched` those rows of the look-up that were seen. `doubtful` are subjects of whom a
    row is wrong already, so that what depends on it is not reported again.
    """
    with (
        tempfile.NamedTemporaryFile(prefix="ringfence-audit-") as file,
        closing(sqlite3.connect(file.name, isolation_level=None)) as workspace,
    ):
        workspace.execute("PRAGMA journal_mode = OFF")
        workspace.execute("PRAGMA synchronous = OFF")
        workspace.executescript(_TABLES)
        workspace.execute("BEGIN")
        yield workspace
