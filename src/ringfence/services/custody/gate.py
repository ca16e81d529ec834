"""What every use case shares: who asks for what, what the charter says, how a refusal is recorded, the lanes."""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from ringfence.core.charter import Dataset
from ringfence.core.charter.catalog import Kept, classes_of
from ringfence.core.charter.terms import OTHER
from ringfence.core.decisions.refusal_words import could_be_asked, why_refused
from ringfence.core.decisions.ruling import Asked, Ruling, rule_access
from ringfence.core.errors import (
    ConflictError,
    DeniedError,
    InvalidInputError,
    LimitExceededError,
    RingfenceError,
    UnauthenticatedError,
    UnavailableError,
)
from ringfence.core.issuers import is_trusted
from ringfence.core.key_custody import KeyCustody
from ringfence.core.ledger import entry as e
from ringfence.core.ports import Store
from ringfence.core.state import State
from ringfence.services.custody.late_refusals import LateRefusal
from ringfence.services.custody.record_keys import blind_record, blind_records
from ringfence.services.custody.request import Caller, Request
from ringfence.services.custody.salts import SaltPool
from ringfence.services.jobs import Committed, Prepared
from ringfence.services.keeper import RuleKeeper
from ringfence.services.refusals import RefusalMeter
from ringfence.services.subjects import SubjectDirectory
from ringfence.services.writer import LaneWriter

NAME_SIZE_BYTES_MAX: Final = 256  # of a user id, and of a record's name
ANSWER_MS_MAX: Final = 10_000
ANSWER_SIZE_BYTES_MAX: Final = 32 * 1024 * 1024
RULINGS_CACHED_MAX: Final = 10_000
ERASED_KEPT_MAX: Final = 100_000  # far more than are erased while any request waits


class Gate:
    """The shared parts of the custody service.

    Args:
        store: the database.
        keys: the custodian's keys.
        keeper: the state to decide on.
        subjects: finds users.
        singles: the lane of requests for one record.
        bulk: the lane of requests for many, so that one huge export never stalls singles.
        clock_ms: gives milliseconds since 1970 UTC.
        region: the charter's region where what is written is stored.
    """

    def __init__(
        self,
        *,
        store: Store,
        keys: KeyCustody,
        keeper: RuleKeeper,
        subjects: SubjectDirectory,
        singles: LaneWriter,
        bulk: LaneWriter,
        clock_ms: Callable[[], int],
        region: str,
    ) -> None:
        self.store = store
        self.keys = keys
        self.keeper = keeper
        self.subjects = subjects
        self.singles = singles
        self.bulk = bulk
        self.clock_ms = clock_ms
        self.region = region
        self.refusals = RefusalMeter(clock_ms)
        self._salts = SaltPool()
        self._erased: OrderedDict[bytes, None] = OrderedDict()
        self._rulings: dict[Asked, tuple[int, Ruling]] = {}  # with the time that each was asked for
        keeper.on_rule(lambda rule, about: self._rulings.clear())
        keeper.on_rule(subjects.forget_erased)
        keeper.on_rule(self._note_erasure)

    # -- what is asked for ---------------------------------------------------------------------------------------

    def dataset(self, name: str) -> Dataset:
        """Give a dataset of the charter in force.

        Raises:
            InvalidInputError: the charter names none such.
        """
        datasets = self.keeper.state.rules.datasets
        found = datasets.get(name)
        if found is None:
            raise InvalidInputError(
                f"there is no dataset {name!r:.80}", place="dataset", hint=f"the charter names {', '.join(datasets)}"
            )
        return found

    def kept(self, dataset: str) -> Kept:
        """Give what all charters so far have said of a dataset that one of them names."""
        return self.keeper.state.datasets[dataset]

    def check_purpose(self, purpose: str) -> None:
        """Refuse a request that names no purpose of the charter's vocabulary.

        Raises:
            InvalidInputError: it is missing or unknown.
        """
        purposes = self.keeper.state.rules.purposes
        if purpose not in purposes:
            found = f"there is no purpose {purpose!r:.80}" if purpose else "the purpose is missing"
            raise InvalidInputError(found, place="purpose", hint=f"the charter names {', '.join(purposes)}")

    def check_name(self, value: str, place: str, *, size_bytes_max: int = NAME_SIZE_BYTES_MAX) -> None:
        """Refuse a user id or record name that is empty, too long or not text.

        Raises:
            InvalidInputError: says which.
        """
        if value.isascii():
            size = len(value)
        else:
            try:
                size = len(value.encode("utf-8"))
            except UnicodeEncodeError:
                raise InvalidInputError(f"the {place} holds a lone surrogate", place=place) from None
        if not 0 < size <= size_bytes_max:
            raise InvalidInputError(f"the {place} is {size} bytes long, not 1 to {size_bytes_max}", place=place)

    def record_key(self, dataset: str, subject_ref: bytes, record: str) -> bytes:
        """Give the blinded name of a record in the store, 16 bytes."""
        return blind_record(self.keys, dataset, subject_ref, record)

    def record_keys(self, datasets: Sequence[str], subject_ref: bytes, records: Sequence[str]) -> list[bytes]:
        """Give what `record_key` gives for each record of one subject."""
        return blind_records(self.keys, datasets, subject_ref, records)

    def is_erased(self, subject_ref: bytes) -> bool:
        """Tell whether a subject was erased lately: what was planned for it before must not go on."""
        return subject_ref in self._erased

    def _note_erasure(self, rule: e.Rule, about: e.About | None) -> None:
        if isinstance(rule, e.SubjectErased) and about is not None:
            self._erased.update(dict.fromkeys(about.subjects))
            while len(self._erased) > ERASED_KEPT_MAX:
                self._erased.popitem(last=False)

    def check_caller(self, caller: Caller) -> None:
        """Refuse a caller whose token is not taken any more by the newest rules. No entry is written for one.

        Raises:
            UnauthenticatedError: the ledger does not trust the issuer by these keys, or has no such credential.
        """
        standing = self.keeper.state.standing
        if (
            caller.build
            and standing is not None
            and not standing.has_credential(caller.principal, caller.build, caller.certificate, at_ms=self.clock_ms())
        ):
            raise UnauthenticatedError(
                "the ledger has no such credential for this service, build and certificate",
                hint="one that was given just now is known here within a second; get another where it ended",
            )
        if caller.issuer_keys and not is_trusted(self.keeper.state, caller.issuer, caller.issuer_keys):
            raise UnauthenticatedError(
                f"tokens of the issuer {caller.issuer} are not taken any more", hint="get one from a trusted issuer"
            )

    # -- step 2: decide ------------------------------------------------------------------------------------------

    def rule(self, state: State, request: Request, dataset: Dataset, *, at_ms: int) -> Ruling:
        """Decide on every class that the dataset can have. Remembered until the rules change, or time changes it.

        No answer is given for a time before the one that it was made for: after a step of the clock back, or in a lane
        that is behind another one, what had ended then has not ended yet.
        """
        asked = request.asked(dataset.name)
        known = self._rulings.get(asked) if state is self.keeper.state else None
        if known is not None:
            since_ms, ruling = known
            if since_ms <= at_ms and (ruling.holds_until_ms == 0 or at_ms < ruling.holds_until_ms):
                return ruling
        classes = classes_of(state.rules.datasets.get(dataset.name, dataset))  # it may have changed meanwhile
        ruling = rule_access(state, asked, classes, at_ms=at_ms)
        if state is self.keeper.state:
            if len(self._rulings) >= RULINGS_CACHED_MAX:
                self._rulings.clear()
            self._rulings[asked] = at_ms, ruling
        return ruling

    def access_entry(
        self,
        request: Request,
        *,
        dataset: str,
        decided: dict[str, str],
        about: e.About,
        counted: e.Count | None = None,
        granted: e.Count | None = None,
    ) -> tuple[bytes, bytes]:
        """Give an access entry as a leaf, and its opening.

        Raises:
            UnauthenticatedError: as for `check_caller`.
        """
        self.check_caller(request.caller)
        opening = e.render_opening(self._salts.take(), about)
        caller = request.caller
        leaf = e.render_entry(
            e.Access(
                verb=request.verb,
                principal=caller.principal,
                country=caller.country,
                purpose=request.purpose,
                dataset=dataset,
                decided=decided,
                records=request.records,
                about=e.commit(opening),
                shape=request.shape,
                country_from=caller.country_from,
                counted=counted,
                grant=caller.grant,
                granted=granted,
                build=caller.build,
            )
        )
        return leaf, opening

    def salt(self) -> bytes:
        """Give a fresh salt for an opening, 16 bytes."""
        return self._salts.take()

    # -- refusing ------------------------------------------------------------------------------------------------

    async def refuse(self, request: Request, dataset: Dataset, about: e.About) -> DeniedError:
        """Record a refusal and give the error to raise: the clause, or that none permits it, and what could be asked.

        Above its rate a caller's refusals are counted instead of recorded singly.

        Raises:
            ConflictError: as for `record_refusal`.
        """
        return await self.refuse_ruling(
            request, dataset, about, rule=lambda state, at_ms: self.rule(state, request, dataset, at_ms=at_ms)
        )

    async def refuse_ruling(
        self, request: Request, dataset: Dataset, about: e.About, *, rule: Callable[[State, int], Ruling]
    ) -> DeniedError:
        """Do as `refuse` does, for a ruling on other classes than all of the dataset's."""
        receipt = await self.record_refusal(request, dataset.name, about, rule=rule)
        return self.denied(request, dataset, rule(self.keeper.state, self.clock_ms()), receipt=receipt)

    async def record_refusal(
        self,
        request: Request,
        dataset: str,
        about: e.About,
        *,
        rule: Callable[[State, int], Ruling],
        is_refused: Callable[[Ruling], bool] = lambda ruling: not ruling.permitted,
    ) -> str:
        """Write a refusal's entry and give its receipt; "" when it was only counted.

        Args:
            is_refused: whether a ruling refuses the request.

        Raises:
            ConflictError: the batch has newer rules, by which the request is not refused. Nothing is recorded then: an
                entry would say that something was given, uncounted, to somebody who got nothing.
        """
        principal = request.caller.principal
        if not self.refusals.admit(principal):
            self.refusals.count(principal, "denied")
            return ""

        def prepare(state: State, at_ms: int) -> Prepared:
            ruling = rule(state, at_ms)
            if not is_refused(ruling):
                raise ConflictError(
                    "the rules changed while the request waited, and may permit it now", hint="send the request again"
                )
            leaf, opening = self.access_entry(request, dataset=dataset, decided=dict(ruling.decided), about=about)
            return Prepared(entries=[leaf], openings=[opening])

        committed = await self.singles.submit(prepare)
        return committed.receipt_text

    def denied(self, request: Request, dataset: Dataset, ruling: Ruling, *, receipt: str = "") -> DeniedError:
        """Give the error that says why a ruling refuses a request, and what could be asked instead."""
        state, caller, at_ms = self.keeper.state, request.caller, self.clock_ms()
        asked = request.asked(dataset.name)
        reason = why_refused(state, asked, ruling.decided, at_ms=at_ms)
        could_ask = could_be_asked(state, asked, classes_of(dataset), ruling.decided, at_ms=at_ms)
        party = self.party(caller)
        words = f"{party} may not {request.verb} {dataset.name} from {caller.country} for the purpose {request.purpose}"
        return DeniedError(f"{words}: {reason.words}", clause=reason.clause, could_ask=could_ask, receipt=receipt)

    def denied_late(self, request: Request, dataset: Dataset, ruling: Ruling, *, receipt: str = "") -> DeniedError:
        """Do as `denied` does for a request that was permitted when it came, and is not any more in its batch."""
        reason = why_refused(self.keeper.state, request.asked(dataset.name), ruling.decided, at_ms=self.clock_ms())
        if reason.governed:
            return self.denied(request, dataset, ruling, receipt=receipt)
        return DeniedError(RULES_CHANGED, receipt=receipt)

    def late_refusal(self, caller: Caller) -> LateRefusal:
        """Give what refuses a request once it stands in its batch."""
        return LateRefusal(self.refusals, caller.principal)

    def check_size(self, parts: Iterable[tuple[int, bytes]]) -> None:
        """Refuse to open more than fits into one answer.

        Raises:
            LimitExceededError: the parts are larger than `ANSWER_SIZE_BYTES_MAX` together.
        """
        if sum(len(sealed) for _, sealed in parts) > ANSWER_SIZE_BYTES_MAX:
            raise LimitExceededError(
                "the records are too large for one answer",
                limit="answer_size_bytes_max",
                value_max=ANSWER_SIZE_BYTES_MAX,
                hint="ask for fewer at a time",
            )

    def party(self, caller: Caller) -> str:
        """Give the party that a caller belongs to, or `OTHER`."""
        who = self.keeper.state.principals.get(caller.principal)
        return who.party if who else OTHER

    # -- after the commit ----------------------------------------------------------------------------------------

    async def record_failure(self, committed: Committed, error: RingfenceError, lane: LaneWriter) -> None:
        """Record that an access was committed but could not be answered as decided. The error stays the answer."""
        receipt = committed.receipt
        leaf = e.render_entry(e.Outcome(n=receipt.n, position=receipt.position, result=type(error).__name__))
        with contextlib.suppress(RingfenceError):
            await lane.submit(lambda state, at_ms: Prepared(entries=[leaf], openings=[None]))

    def check_time(self, committed: Committed) -> None:
        """Answer within the stated time or not at all.

        Raises:
            UnavailableError: the commit took longer than `ANSWER_MS_MAX`.
        """
        if self.clock_ms() - committed.at_ms > ANSWER_MS_MAX:
            raise UnavailableError("the answer took too long and was not given", hint="try again")


RULES_CHANGED: Final = "the rules changed while the request waited: no clause of the charter permits it now"
