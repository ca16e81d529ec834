"""The rows' side of an audit: every stored row must be one that the ledger's entries leave, and lead to its own user.

Rules of this file:
1. A subject has one sealed user id, and is found by the index of that id alone.
2. Every part, key and token belongs to a subject that is there; every part has a key of its class.
3. Of a subject that was erased nothing is stored: no row, whatever else it says.
4. A record is found by the tokens of what it holds and by no others. The charter under which it was written says which
   it must have; one that made a field searchable later, or no longer does, asks for none.
5. What depends on a row that is wrong already is not reported a second time.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Iterator
from typing import Final

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ringfence.core.charter import PROTECTED, RECORD, Charter
from ringfence.core.envelope import PartName, WrappedKey, open_part, render_part_name
from ringfence.core.errors import DeviceError
from ringfence.core.key_custody import KeyCustody
from ringfence.core.ports import IDENTITY_DATASET, KeyRow, Store, StoredPart, StoredSearch
from ringfence.core.record import parse_stored_record
from ringfence.core.searchable import normalize
from ringfence.vault.audit_ledger import Charters, Expected, expectations
from ringfence.vault.audit_report import AuditReport

ROWS_PER_FETCH_MAX: Final = 2_000

ERASED: Final = "the ledger says that this subject was erased, but this is stored"
NO_SUBJECT: Final = "this is stored, but its subject is not there"


async def check_rows(
    store: Store,
    custody: KeyCustody,
    workspace: sqlite3.Connection,
    charters: Charters,
    found: AuditReport,
    *,
    report: Callable[[int, int], None],
) -> None:
    """Hold every row against what was read of the ledger, and report each difference."""
    checker = _RowChecker(custody, workspace, charters, found)
    async for subjects in store.scan_subjects(rows_max=ROWS_PER_FETCH_MAX):
        for subject in subjects:
            checker.check_subject(subject.subject_ref, subject.user_index)
    async for keys in store.scan_keys(rows_max=ROWS_PER_FETCH_MAX):
        for key in keys:
            checker.check_key(key)
    total = await store.count_parts()
    async for parts in store.scan_parts(rows_max=ROWS_PER_FETCH_MAX):
        for part in parts:
            checker.check_part(part)
        report(found.parts, total)
    checker.end_parts()
    async for searches in store.scan_searches(rows_max=ROWS_PER_FETCH_MAX):
        for search in searches:
            checker.check_search(search)
    checker.end_searches()


class _RowChecker:
    """Holds rows against the workspace, table by table, each in the order of its key."""

    def __init__(
        self, custody: KeyCustody, workspace: sqlite3.Connection, charters: Charters, found: AuditReport
    ) -> None:
        self._custody = custody
        self._workspace = workspace
        self._charters = charters
        self._found = found
        self._expected = expectations(workspace)
        self._next: Expected | None = None
        self._owner = _Owner(b"", is_stored=False, is_erased=False)
        self._searchable = _Searchable(charters)

    # -- subjects and keys -----------------------------------------------------------------------------------------

    def check_subject(self, subject_ref: bytes, user_index: bytes) -> None:
        """Note a subject; rule 3."""
        self._workspace.execute(
            "INSERT OR IGNORE INTO subjects (subject_ref, user_index) VALUES (?, ?)", (subject_ref, user_index)
        )
        if self._has("erased", subject_ref):
            self._report(f"subject {subject_ref.hex()}", ERASED, subject_ref)

    def check_key(self, key: KeyRow) -> None:
        """Check that a key opens and belongs to somebody: rules 2 and 3."""
        self._found.keys += 1
        place = f"subject {key.subject_ref.hex()} key {key.data_class}"
        self._workspace.execute(
            "INSERT OR IGNORE INTO keys VALUES (?, ?, ?, ?, ?)", (*key[:3], key.key.wrapped, key.key.commitment)
        )
        if self._has("erased", key.subject_ref):
            self._report(place, ERASED, key.subject_ref)
        elif not self._has("subjects", key.subject_ref):
            self._report(place, NO_SUBJECT, key.subject_ref)
        try:
            self._custody.unwrap(key)
        except DeviceError as error:
            self._report(place, error.message, key.subject_ref)

    # -- parts -------------------------------------------------------------------------------------------------------

    def check_part(self, part: StoredPart) -> None:
        """Check one stored part against the ledger, and what it says of other rows."""
        self._found.parts += 1
        expected = self._take_expected(part.name)
        place, subject_ref = render_part_name(part.name), part.name.subject_ref
        if subject_ref != self._owner.subject_ref:
            self._owner = self._meet(subject_ref)
        if self._owner.is_erased:
            self._report(place, ERASED, subject_ref)
        elif wrong := _compare(part, expected):
            self._report(place, wrong, subject_ref)
        elif not self._owner.is_stored:
            self._report(place, NO_SUBJECT, subject_ref)
        elif part.name.data_class not in self._owner.keys:
            self._report(place, "there is no key that opens this", subject_ref)
        elif expected is not None:
            self._look_into(part, epoch=max(expected.digests.values()))

    def end_parts(self) -> None:
        """Report the parts that are not stored, and the subjects without a user id of their own."""
        while (expected := self._peek()) is not None:
            self._next = None
            self._miss(expected)
        nobody = self._workspace.execute(
            "SELECT subject_ref FROM subjects WHERE NOT identified"
            " AND subject_ref NOT IN (SELECT subject_ref FROM doubtful)"
        )
        for (subject_ref,) in nobody.fetchall():
            self._report(f"subject {subject_ref.hex()}", "this subject has no user id of its own", subject_ref)

    def _peek(self) -> Expected | None:
        if self._next is None:
            self._next = next(self._expected, None)
        return self._next

    def _take_expected(self, name: PartName) -> Expected | None:
        """Give what must be stored at a name; what must be at names before it is missing, as both come in order."""
        while (expected := self._peek()) is not None and _order(expected.name) < _order(name):
            self._next = None
            self._miss(expected)
        if expected is None or expected.name != name:
            return None
        self._next = None
        return expected

    def _miss(self, expected: Expected) -> None:
        place, subject_ref = render_part_name(expected.name), expected.name.subject_ref
        if expected.broken:
            self._report(place, "the entries about this row are no chain of versions", subject_ref)
        elif expected.version and not self._has("erased", subject_ref):
            self._report(place, "the ledger says that this row was written, but it is not stored", subject_ref)

    def _meet(self, subject_ref: bytes) -> _Owner:
        rows = self._workspace.execute(
            "SELECT data_class, key_epoch, wrapped, commitment FROM keys WHERE subject_ref = ?", (subject_ref,)
        )
        keys = {
            data_class: KeyRow(subject_ref, data_class, key_epoch, WrappedKey(wrapped, commitment))
            for data_class, key_epoch, wrapped, commitment in rows
        }
        is_stored, is_erased = self._has("subjects", subject_ref), self._has("erased", subject_ref)
        return _Owner(subject_ref, is_stored=is_stored, is_erased=is_erased, keys=keys)

    def _look_into(self, part: StoredPart, *, epoch: int) -> None:
        """Open a part that other rows depend on, and note what they must be: rules 1 and 4."""
        name = part.name
        labels = self._searchable.labels_of(name)
        if name.dataset in self._searchable.datasets:
            self._workspace.execute(
                "INSERT INTO records VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET epoch = max(epoch, excluded.epoch)",
                (name.subject_ref, name.dataset, name.record_key, epoch),
            )
        if name.dataset != IDENTITY_DATASET and not labels:
            return
        try:
            cipher = self._owner.cipher(name.data_class, self._custody)
            stored = parse_stored_record(open_part(cipher, name, version=part.version, sealed=part.sealed))
            fields = msgspec.json.decode(stored.fields, type=dict[str, object]) if labels else {}
        except (DeviceError, msgspec.DecodeError):
            if not self._has("doubtful", name.subject_ref):
                self._report(render_part_name(name), "this does not open under its own key", name.subject_ref)
            return
        if name.dataset == IDENTITY_DATASET:
            self._identify(name, stored.record)
        for label, field in labels:
            for token, required in self._searchable.tokens(
                label, fields.get(field), epoch=epoch, custody=self._custody
            ):
                self._workspace.execute(
                    "INSERT INTO tokens VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET required ="
                    " max(required, excluded.required)",
                    (name.subject_ref, label, name.record_key, token, required),
                )

    def _identify(self, name: PartName, user: str) -> None:
        index = self._custody.index("user", user.encode("utf-8", "surrogatepass"))
        sql = "UPDATE subjects SET identified = 1 WHERE subject_ref = ? AND user_index = ? AND ? = subject_ref"
        if (
            name.data_class != PROTECTED
            or not self._workspace.execute(sql, (name.subject_ref, index, name.record_key)).rowcount
        ):
            place = f"subject {name.subject_ref.hex()}"
            self._report(place, "this subject is found as another user than the one whose it is", name.subject_ref)

    # -- tokens of the look-up ---------------------------------------------------------------------------------------

    def check_search(self, search: StoredSearch) -> None:
        """Check one token: rules 2 to 4."""
        subject_ref, label, record_key, _ = search
        place = f"look-up {label} of {subject_ref.hex()}/{record_key.hex()}"
        self._workspace.execute("INSERT OR IGNORE INTO searched VALUES (?, ?, ?)", search[:3])
        if self._has("erased", subject_ref):
            self._report(place, ERASED, subject_ref)
        elif not self._has("subjects", subject_ref):
            self._report(place, NO_SUBJECT, subject_ref)
        elif not self._has("doubtful", subject_ref) and (wrong := self._find_wrong(*search)):
            self._found.add(place, wrong)

    def _find_wrong(self, subject_ref: bytes, label: str, record_key: bytes, token: bytes) -> str:
        name = (subject_ref, label, record_key)
        sql = "SELECT 1 FROM tokens WHERE subject_ref = ? AND field = ? AND record_key = ? AND token = ?"
        if self._workspace.execute(sql, (*name, token)).fetchone():
            return ""
        sql = "SELECT epoch FROM records WHERE subject_ref = ? AND dataset = ? AND record_key = ?"
        record = self._workspace.execute(sql, (subject_ref, label.partition(".")[0], record_key)).fetchone()
        if record is None:
            return "the record that this leads to is not stored"
        if self._searchable.is_used(label, epoch=record[0]):
            return "the record that this leads to does not hold what it is found by"
        return ""

    def end_searches(self) -> None:
        """Report the records that cannot be found by what they hold."""
        missing = self._workspace.execute(
            "SELECT subject_ref, field, record_key FROM tokens t WHERE required"
            " AND NOT EXISTS (SELECT 1 FROM searched s WHERE s.subject_ref = t.subject_ref AND s.field = t.field"
            " AND s.record_key = t.record_key) AND subject_ref NOT IN (SELECT subject_ref FROM doubtful)"
        )
        for subject_ref, label, record_key in missing:
            place = f"look-up {label} of {subject_ref.hex()}/{record_key.hex()}"
            self._found.add(place, "this record cannot be found by what it holds")

    # -- both --------------------------------------------------------------------------------------------------------

    def _has(self, table: str, subject_ref: bytes) -> bool:
        sql = f"SELECT 1 FROM {table} WHERE subject_ref = ?"  # noqa: S608 - the names stand in this file
        return self._workspace.execute(sql, (subject_ref,)).fetchone() is not None

    def _report(self, place: str, what: str, subject_ref: bytes) -> None:
        self._found.add(place, what)
        self._workspace.execute("INSERT OR IGNORE INTO doubtful VALUES (?)", (subject_ref,))


class _Owner:
    """The subject whose parts are being checked, with its wrapped keys."""

    def __init__(
        self, subject_ref: bytes, *, is_stored: bool, is_erased: bool, keys: dict[str, KeyRow] | None = None
    ) -> None:
        self.subject_ref = subject_ref
        self.is_stored = is_stored
        self.is_erased = is_erased
        self.keys = keys or {}
        self._ciphers: dict[str, AESGCM] = {}

    def cipher(self, data_class: str, custody: KeyCustody) -> AESGCM:
        """Give the cipher of one class."""
        cipher = self._ciphers.get(data_class)
        if cipher is None:
            cipher = self._ciphers[data_class] = AESGCM(custody.unwrap(self.keys[data_class]))
        return cipher


class _Searchable:
    """What could ever be searched, under any charter: labels are "dataset.field"."""

    def __init__(self, charters: Charters) -> None:
        self._charters = charters
        self._hows: dict[str, set[str]] = {}
        self._labels: dict[tuple[str, str], set[tuple[str, str]]] = {}
        self.datasets: set[str] = set()
        for charter in charters.all():
            for item in charter.searchable:
                label = f"{item.dataset}.{item.field}"
                self.datasets.add(item.dataset)
                self._hows.setdefault(label, set()).add(item.normalize)
                data_class = charter.datasets[item.dataset].field_classes.get(item.field, PROTECTED)
                of_classes = charter.classes if data_class == RECORD else (data_class,)
                for own in of_classes:
                    self._labels.setdefault((item.dataset, own), set()).add((label, item.field))

    def labels_of(self, name: PartName) -> list[tuple[str, str]]:
        """Give (label, field) of what may be searched in a part."""
        return sorted(self._labels.get((name.dataset, name.data_class), ()))

    def tokens(self, label: str, value: object, *, epoch: int, custody: KeyCustody) -> Iterator[tuple[bytes, bool]]:
        """Give the tokens that a value may be found by, and whether the charter of its write asks for each."""
        if not isinstance(value, str):
            return
        asked = _how(self._charters.at(epoch), label)
        for how in self._hows[label]:
            if text := normalize(value, how):
                yield custody.index(label, text.encode("utf-8", "surrogatepass")), how == asked

    def is_used(self, label: str, *, epoch: int) -> bool:
        """Tell whether a token counts: by the charter of the record's newest write, or by the one in force."""
        return any(_how(charter, label) for charter in (self._charters.at(epoch), self._charters.newest()))


def _how(charter: Charter | None, label: str) -> str:
    """Give how a charter has a field indexed, or "" when it has not."""
    found = (item for item in (charter.searchable if charter else ()) if f"{item.dataset}.{item.field}" == label)
    return next((item.normalize for item in found), "")


def _compare(part: StoredPart, expected: Expected | None) -> str:
    """Say what is wrong with a stored part, or ""."""
    if expected is not None and expected.broken:
        return "the entries about this row are no chain of versions"
    if expected is None or expected.version == 0:
        return "no entry of the ledger wrote this row, or it was deleted"
    if expected.version != part.version:
        return f"version {part.version} is stored, but version {expected.version} was written last"
    if hashlib.sha256(part.sealed).digest() not in expected.digests:
        return "the stored bytes are not those that were written"
    return ""


def _order(name: PartName) -> tuple[bytes, bytes, bytes, bytes]:
    """Give the order of rows: text compares by bytes."""
    return name.subject_ref, name.dataset.encode(), name.record_key, name.data_class.encode()
