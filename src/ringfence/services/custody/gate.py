"""What every use case is given: the devices, the lanes, and what is remembered between requests."""

from __future__ import annotations

from collections.abc import Callable

from ringfence.core.key_custody import KeyCustody
from ringfence.core.ports import Store
from ringfence.services.custody.erased import ErasedLately
from ringfence.services.custody.rulings import Rulings
from ringfence.services.custody.salts import SaltPool
from ringfence.services.keeper import RuleKeeper
from ringfence.services.refusals import RefusalMeter
from ringfence.services.subjects import SubjectDirectory
from ringfence.services.writer import LaneWriter


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

    Attributes:
        refusals: counts the refusals that are not recorded singly.
        salts: of the openings of entries.
        rulings: what was decided, until the rules change.
        erased: the subjects that were erased lately.
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
        self.salts = SaltPool()
        self.rulings = Rulings(keeper)
        keeper.on_rule(subjects.forget_erased)
        self.erased = ErasedLately(keeper)
