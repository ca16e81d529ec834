"""The tables of the SQLite store.

Tables with a natural key are WITHOUT ROWID: one search a row. Batches are large and only ever appended, so they are
rowid tables whose rowid is (lane << 40 | n). Text compares by bytes.

    subjects      one row a user: the random reference and the blind index that finds it
    subject_keys  one wrapped data key a subject and class
    parts         one sealed part a record and class; a subject's records lie together
    searches      the blind-index token of one record under one searchable field
    counters      the last step of each counter
    requests      keys of requests that were taken, with what was answered
    rule_head     one row: the epoch, the number of rules committed
    lanes         where each lane stands
    batches       header, entries (packed), sealed detail and authentication code; rules name their blob
    seals         lanes' signatures, as leaves
    blobs         bytes that rules name by SHA-256
    tree_head     one row: the tree as committed, and the sequencer's term
    placements    where each batch stands in the tree
    checkpoints   signed notes by size, with the time they were kept
"""

from __future__ import annotations

from typing import Final

from ringfence.core.ledger.merkle import EMPTY_ROOT, Frontier

APPLICATION_ID: Final = 0x52464E43
SCHEMA_VERSION: Final = 2
LANE_SHIFT: Final = 40

TABLES: Final = """
CREATE TABLE subjects (
    subject_ref BLOB PRIMARY KEY CHECK (length(subject_ref) = 16),
    user_index BLOB NOT NULL UNIQUE CHECK (length(user_index) = 16)
) STRICT, WITHOUT ROWID;

CREATE TABLE erased_users (
    user_index BLOB PRIMARY KEY CHECK (length(user_index) = 16)
) STRICT, WITHOUT ROWID;

CREATE TABLE subject_keys (
    subject_ref BLOB NOT NULL CHECK (length(subject_ref) = 16),
    data_class TEXT NOT NULL,
    key_epoch INTEGER NOT NULL,
    wrapped BLOB NOT NULL,
    commitment BLOB NOT NULL CHECK (length(commitment) = 32),
    PRIMARY KEY (subject_ref, data_class)
) STRICT, WITHOUT ROWID;

CREATE TABLE parts (
    subject_ref BLOB NOT NULL CHECK (length(subject_ref) = 16),
    dataset TEXT NOT NULL,
    record_key BLOB NOT NULL CHECK (length(record_key) = 16),
    data_class TEXT NOT NULL,
    version INTEGER NOT NULL CHECK (version > 0),
    sealed BLOB NOT NULL,
    PRIMARY KEY (subject_ref, dataset, record_key, data_class)
) STRICT, WITHOUT ROWID;

CREATE TABLE searches (
    subject_ref BLOB NOT NULL CHECK (length(subject_ref) = 16),
    field TEXT NOT NULL,
    record_key BLOB NOT NULL CHECK (length(record_key) = 16),
    token BLOB NOT NULL CHECK (length(token) = 16),
    PRIMARY KEY (subject_ref, field, record_key)
) STRICT, WITHOUT ROWID;
CREATE INDEX searches_by_token ON searches (field, token, subject_ref);

CREATE TABLE counters (
    counter TEXT PRIMARY KEY,
    ordinal INTEGER NOT NULL,
    amount INTEGER NOT NULL,
    total INTEGER NOT NULL,
    day INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE requests (
    key BLOB PRIMARY KEY CHECK (length(key) = 32),
    digest BLOB NOT NULL,
    lane INTEGER NOT NULL,
    n INTEGER NOT NULL,
    position INTEGER NOT NULL,
    answer BLOB NOT NULL,
    at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX requests_by_time ON requests (at_ms);

CREATE TABLE rule_head (only_row INTEGER PRIMARY KEY CHECK (only_row = 1), epoch INTEGER NOT NULL) STRICT;

CREATE TABLE lanes (
    lane INTEGER PRIMARY KEY CHECK (lane BETWEEN 0 AND 4194303),
    n INTEGER NOT NULL CHECK (n BETWEEN 1 AND 1099511627775),
    hash BLOB NOT NULL CHECK (length(hash) = 32),
    at_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE batches (
    place INTEGER PRIMARY KEY,
    epoch INTEGER NOT NULL,
    header BLOB NOT NULL,
    entry_count INTEGER NOT NULL,
    entries BLOB NOT NULL,
    detail BLOB NOT NULL,
    code BLOB NOT NULL,
    rule INTEGER NOT NULL,
    blob_digest BLOB
) STRICT;
CREATE UNIQUE INDEX rules_by_epoch ON batches (epoch) WHERE rule;

CREATE TABLE seals (
    place INTEGER PRIMARY KEY,
    epoch INTEGER NOT NULL,
    leaf BLOB NOT NULL
) STRICT;

CREATE TABLE blobs (digest BLOB PRIMARY KEY CHECK (length(digest) = 32), content BLOB NOT NULL) STRICT;

CREATE TABLE tree_head (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    size INTEGER NOT NULL,
    root BLOB NOT NULL CHECK (length(root) = 32),
    frontier BLOB NOT NULL,
    term INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    sequenced TEXT NOT NULL
) STRICT;

CREATE TABLE placements (first_leaf INTEGER PRIMARY KEY, place INTEGER NOT NULL UNIQUE) STRICT;

CREATE TABLE checkpoints (size INTEGER PRIMARY KEY, note BLOB NOT NULL, kept_at_ms INTEGER NOT NULL) STRICT;
"""

FIRST_ROWS: Final = (
    ("INSERT INTO rule_head VALUES (1, 0)", ()),
    ("INSERT INTO tree_head VALUES (1, 0, ?, ?, 0, 0, '{}')", (EMPTY_ROOT, Frontier().to_bytes())),
)
