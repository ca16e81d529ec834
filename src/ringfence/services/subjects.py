"""From the app's user ids to subjects and their opened keys: a bounded, time-limited cache over the store.

Rules of this file:
1. What the database says of whose a subject is counts only if the subject's own sealed user id says so too: it is
   opened once for each subject that is looked up, so that a swapped row never serves one user another's data.
2. What a stale entry could do: nothing that the store does not check. An erased subject's rows are gone when the
   transaction looks for them, and its entry here goes with the rule that erased it.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ringfence.core.charter import PROTECTED
from ringfence.core.envelope import open_part
from ringfence.core.errors import IntegrityError, RingfenceError
from ringfence.core.key_custody import KeyCustody
from ringfence.core.ledger import entry as e
from ringfence.core.ports import KeyRow, Store, Subject
from ringfence.core.record import parse_stored_record

SUBJECTS_CACHED_MAX: Final = 100_000
CACHED_SECONDS_MAX: Final = 300.0
LOOKUPS_PER_QUERY_MAX: Final = 256
AUDIT_HINT: Final = "the database was changed behind the program: run `ringfence vault audit`"


class KnownSubject:
    """A subject with its wrapped keys, and the ciphers of the keys that were opened."""

    __slots__ = ("_ciphers", "expires_at", "keys", "subject_ref", "user_index")

    def __init__(self, subject: Subject, *, expires_at: float) -> None:
        self.subject_ref = subject.subject_ref
        self.user_index = subject.user_index
        self.keys: dict[str, KeyRow] = {row.data_class: row for row in subject.keys}
        self.expires_at = expires_at
        self._ciphers: dict[str, AESGCM] = {}

    def cipher(self, data_class: str, custody: KeyCustody) -> AESGCM:
        """Give the cipher of one class; unwraps the key and checks its commitment the first time.

        Raises:
            IntegrityError: the subject has no key for the class, or it is not what was wrapped.
        """
        cipher = self._ciphers.get(data_class)
        if cipher is None:
            row = self.keys.get(data_class)
            if row is None:
                place = f"key {data_class} of subject {self.subject_ref.hex()}"
                raise IntegrityError("a stored part has no key", place=place)
            cipher = self._ciphers[data_class] = AESGCM(custody.unwrap(row))
        return cipher


def open_subject(user: str, subject: Subject, custody: KeyCustody, *, expires_at: float) -> KnownSubject:
    """Give a subject that was found for a user: rule 1.

    Raises:
        IntegrityError: it is not this user's, or nothing shows that it is.
    """
    known = KnownSubject(subject, expires_at=expires_at)
    part = subject.identity
    place = f"subject {subject.subject_ref.hex()}"
    if part is None:
        raise IntegrityError("a stored subject has no user id of its own", place=place, hint=AUDIT_HINT)
    plaintext = open_part(known.cipher(PROTECTED, custody), part.name, version=part.version, sealed=part.sealed)
    if parse_stored_record(plaintext).record != user:
        raise IntegrityError(
            "a stored subject is found as a user whom it does not belong to", place=place, hint=AUDIT_HINT
        )
    return known


class SubjectDirectory:
    """Finds subjects by user id; look-ups that wait at the same moment share one query.

    Args:
        store: where subjects are.
        custody: makes blind indexes and opens keys.
        clock: gives monotonic seconds.
    """

    def __init__(self, store: Store, custody: KeyCustody, *, clock: Callable[[], float]) -> None:
        self._store = store
        self._custody = custody
        self._clock = clock
        self._known: OrderedDict[str, KnownSubject] = OrderedDict()
        self._users: dict[bytes, str] = {}
        self._asked: dict[str, asyncio.Future[KnownSubject | None]] = {}
        self._asking: asyncio.Task[None] | None = None

    def index(self, user: str) -> bytes:
        """Give a user id's blind index, 16 bytes."""
        return self._custody.index("user", user.encode("utf-8", "surrogatepass"))

    def cached(self, user: str) -> KnownSubject | None:
        """Give a subject from the cache, or None."""
        known = self._known.get(user)
        if known is not None and known.expires_at < self._clock():
            self.drop(user)
            return None
        return known

    async def find(self, user: str, *, fresh: bool = False) -> KnownSubject | None:
        """Give a subject, or None when the user is not in the vault.

        Args:
            user: the app's user id.
            fresh: ask the store even if the cache knows the user.

        Raises:
            IntegrityError: the subject that the store gives is not this user's.
            UnavailableError: the store does not answer.
        """
        if fresh:
            self.drop(user)
        elif known := self.cached(user):
            return known
        future = self._asked.get(user)
        if future is None:
            future = self._asked[user] = asyncio.get_running_loop().create_future()
            if self._asking is None:
                self._asking = asyncio.create_task(self._ask(), name="look up subjects")
        return await asyncio.shield(future)

    async def _ask(self) -> None:
        await asyncio.sleep(0)  # let the requests of this turn of the loop join
        while self._asked:
            asked = list(self._asked.items())[:LOOKUPS_PER_QUERY_MAX]
            for user, _ in asked:
                del self._asked[user]
            try:
                subjects = await self._store.resolve([self.index(user) for user, _ in asked])
            except RingfenceError as error:
                for _, future in asked:
                    future.set_exception(error)
                    future.exception()
                continue
            for (user, future), subject in zip(asked, subjects, strict=True):
                try:
                    future.set_result(self._remember(user, subject) if subject else None)
                except RingfenceError as error:
                    future.set_exception(error)
                    future.exception()
        self._asking = None

    def _remember(self, user: str, subject: Subject) -> KnownSubject:
        known = open_subject(user, subject, self._custody, expires_at=self._clock() + CACHED_SECONDS_MAX)
        self.drop(user)
        self._known[user] = known
        self._users[known.subject_ref] = user
        if len(self._known) > SUBJECTS_CACHED_MAX:
            _, oldest = self._known.popitem(last=False)
            self._users.pop(oldest.subject_ref, None)
        return known

    def drop(self, user: str) -> None:
        """Forget what is known of a user, so that the next look-up asks the store."""
        known = self._known.pop(user, None)
        if known is not None:
            self._users.pop(known.subject_ref, None)

    def forget_erased(self, rule: e.Rule, about: e.About | None) -> None:
        """Listen to rules: an erased subject leaves the cache at once."""
        if isinstance(rule, e.SubjectErased):
            for subject_ref in about.subjects if about else ():
                user = self._users.get(subject_ref)
                if user is not None:
                    self.drop(user)
