"""Decides again, and holds the answer against what an entry says.

Rules of this file:
1. What decides is `core.decisions.ruling` on the state of the entry's epoch: the function that the gateway called.
2. The recorded answer must be equal, class by class, clause by clause. The one difference that is allowed: a clause
   whose limit for the day was used up is recorded as "!clause", and then the counter must show that it was.
3. What a counted clause gives in bulk must be counted, by that clause's counter, in the amount that was named.
4. What a grant gives must be counted by the grant's counter, never above what the grant is for (`grants`).
5. Answers are kept while what they depend on stays the same, since most requests repeat; never for a time before the
   one that they were made for: lanes are not in the order of their times.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ringfence.core.charter.catalog import classes_of
from ringfence.core.charter.terms import SHAPES, VERBS
from ringfence.core.decisions.refusal_words import why_refused
from ringfence.core.decisions.ruling import Ruling, asked_by, is_given, rule_access, rule_erasure
from ringfence.core.errors import ProofInvalidError
from ringfence.core.ledger.entry import Access, Count, Downgrade, SubjectErased
from ringfence.core.state import State
from ringfence.core.times import DAY_MS
from ringfence.verify.checkpoints import CLOCK_SKEW_MS_MAX
from ringfence.verify.grants import GrantUse, check_granted, rule_under_grant

KEPT_MAX: Final = 8_192


@dataclass(frozen=True, slots=True)
class Checked:
    """An entry that says what it must: whether anything was given, and the counters' steps, if any.

    `grant` is what to hold against whom the entry is about, if anything. `holds_until_ms` is until when the same entry
    says what it must as long as the rules stay; 0 = for ever.
    """

    given: bool
    steps: tuple[Count, ...] = ()
    grant: GrantUse | None = None
    holds_until_ms: int = 0


class Decider:
    """Checks entries against one state after another."""

    __slots__ = ("_agreed", "_classes", "_erasures", "_state")

    def __init__(self, state: State) -> None:
        self._state = state
        self._classes: dict[str, frozenset[str]] = {}
        self._agreed: dict[tuple[object, ...], tuple[int, Checked]] = {}  # with the time that each was made for
        self._erasures: dict[tuple[int, str, str, bytes], tuple[int, Ruling]] = {}

    def move(self, state: State) -> None:
        """Go on with another state; forget the kept answers if what they depend on changed (rule 5)."""
        old, self._state = self._state, state
        same_rules = (old.engine, old.charter_digest) == (state.engine, state.charter_digest)
        same_people = old.standing is state.standing and (
            old.principals is state.principals or old.principals == state.principals
        )
        if not same_rules:
            self._classes.clear()
        if not (same_rules and same_people):
            self._agreed.clear()
            self._erasures.clear()

    def classes_asked(self, entry: Access) -> frozenset[str] | None:
        """Give the classes that an access must be decided on; None where what was written tells, or nothing does.

        A read or an export asks for every class of its dataset; a look-up for that of its field, which is one of them.
        """
        if entry.verb not in ("read", "export"):
            return None
        known = self._classes.get(entry.dataset)
        if known is None:
            dataset = self._state.rules.datasets.get(entry.dataset)
            if dataset is None:
                return None
            known = self._classes[entry.dataset] = frozenset(classes_of(dataset))
        return known

    def check_field(self, entry: Access, label: bytes) -> None:
        """Check that a look-up was decided on the class of the field that it looked for, as `dataset.field`.

        Raises:
            ProofInvalidError: the dataset has no such field, or it is of another class.
        """
        dataset = self._state.rules.datasets.get(entry.dataset)
        prefix = f"{entry.dataset}.".encode()
        data_class = None
        if dataset is not None and label.startswith(prefix):
            data_class = dataset.field_classes.get(label.removeprefix(prefix).decode("utf-8", "replace"))
        if data_class is None or [data_class] != [*entry.decided]:
            raise ProofInvalidError(
                "a look-up is decided on another class than its field's",
                expected=data_class or "a field of the dataset",
                found=_show(entry.decided),
            )

    def check_access(self, entry: Access, *, at_ms: int) -> Checked:
        """Decide again on an access.

        Raises:
            ProofInvalidError: the entry says something else than the charter in force.
        """
        if entry.counted is not None or entry.granted is not None:
            return self._decide_again(entry, at_ms=at_ms)
        key = (
            entry.principal,
            entry.country,
            entry.purpose,
            entry.verb,
            entry.dataset,
            entry.shape,
            entry.records,
            entry.grant,
            entry.build,
            tuple(entry.decided.items()),
        )
        kept = self._agreed.get(key)
        if kept is not None and _holds(*kept, at_ms=at_ms):
            return kept[1]
        checked = self._decide_again(entry, at_ms=at_ms)
        if len(self._agreed) >= KEPT_MAX:
            self._agreed.clear()
        self._agreed[key] = (at_ms, checked)
        return checked

    def check_downgrade(self, entry: Downgrade, write: Access | None, *, at_ms: int) -> Checked:
        """Check a downgrade against the write that it follows and its clause's limit for the day.

        Raises:
            ProofInvalidError: there is no such write, the clause does not permit it, or the limit is passed.
        """
        if write is None or write.verb != "write":
            raise ProofInvalidError("a downgrade does not follow the write that it belongs to")
        told = (entry.principal, entry.country, entry.purpose, entry.dataset)
        if told != (write.principal, write.country, write.purpose, write.dataset):
            raise ProofInvalidError("a downgrade names another request than the write that it follows")
        if entry.clause not in write.decided.values():
            raise ProofInvalidError(
                "a downgrade names a clause that did not permit the write",
                expected=" or ".join(sorted(set(write.decided.values()))),
                found=entry.clause,
            )
        limit = _downgrade_limits(self._rule(write, at_ms=at_ms)).get(entry.clause, 0)
        _check_step(entry.counted, counter=f"downgrade/{entry.clause}", at_ms=at_ms)
        if entry.counted.amount < 1:
            raise ProofInvalidError("a downgrade counts no record", found=str(entry.counted.amount))
        if entry.counted.total > limit:
            raise _over(entry.counted, limit)
        return Checked(True, (entry.counted,))

    def check_erasure(self, entry: SubjectErased, *, at_ms: int) -> None:
        """Decide again on an erasure, on the state before it; every class must be permitted.

        Raises:
            ProofInvalidError: the charter in force does not permit it, or says so by other clauses.
        """
        ruling = self._rule_erasure(entry, at_ms=at_ms)
        _require_equal(ruling.decided, entry.decided, "the charter decides otherwise on this erasure")
        if set(ruling.permitted) != set(ruling.decided):
            raise ProofInvalidError("a subject was erased although the charter refuses it", found=_show(entry.decided))

    def _rule(self, entry: Access, *, at_ms: int) -> Ruling:
        if entry.verb not in VERBS or entry.shape not in SHAPES or entry.records < 0:
            raise ProofInvalidError("an access is not of a known verb, shape and number", found=f"{entry.verb[:40]}")
        if entry.dataset:
            return rule_access(self._state, asked_by(entry), entry.decided.keys(), at_ms=at_ms)
        if entry.verb != "erase":
            raise ProofInvalidError("an access names no dataset")
        return self._rule_erasure(entry, at_ms=at_ms)

    def _rule_erasure(self, entry: Access | SubjectErased, *, at_ms: int) -> Ruling:
        key = (entry.principal, entry.country, entry.purpose, entry.build)
        kept = self._erasures.get(key)
        if kept is not None and _holds(*kept, at_ms=at_ms):
            return kept[1]
        ruling = rule_erasure(
            self._state,
            principal=entry.principal,
            country=entry.country,
            purpose=entry.purpose,
            at_ms=at_ms,
            build=entry.build,
        )
        if len(self._erasures) >= KEPT_MAX:
            self._erasures.clear()
        self._erasures[key] = (at_ms, ruling)
        return ruling

    def _decide_again(self, entry: Access, *, at_ms: int) -> Checked:
        charter_ruling = self._rule(entry, at_ms=at_ms)
        if not entry.decided or (entry.verb == "find" and len(entry.decided) != 1):
            raise ProofInvalidError("an access is decided on no class, or a look-up on several")
        ruling = rule_under_grant(entry, charter_ruling)
        steps = tuple(step for step in (entry.counted, entry.granted) if step is not None)
        if entry.counted is not None:
            self._check_counted(entry, ruling, entry.counted, at_ms=at_ms)
        else:
            self._require_decided(entry, ruling, at_ms=at_ms)
            if is_given(entry) and (counted := _bulk_limits(entry, ruling)):
                raise ProofInvalidError("what a counted clause gave is not counted", expected=_counters(counted))
        if not entry.dataset and entry.records and set(ruling.permitted) == set(ruling.decided):
            raise ProofInvalidError("an erasure that the charter permits must be a rule of its own")
        grant = check_granted(entry, charter_ruling)
        return Checked(is_given(entry), steps, grant, charter_ruling.holds_until_ms)

    def _check_counted(self, entry: Access, ruling: Ruling, step: Count, *, at_ms: int) -> None:
        """Check an access that moved a clause's counter, or was refused because it stood too high (rules 2, 3)."""
        kind, _, clause = step.counter.partition("/")
        limits = _bulk_limits(entry, ruling) if kind == "bulk" else _downgrade_limits(ruling)
        refused = {name: "!" + said if said == clause else said for name, said in ruling.decided.items()}
        if clause not in limits or kind not in ("bulk", "downgrade") or len(_bulk_limits(entry, ruling)) > 1:
            raise ProofInvalidError(
                "an access is counted by a counter that is not its own",
                expected=_counters(_bulk_limits(entry, ruling)),
                found=step.counter[:80],
            )
        _check_step(step, counter=step.counter, at_ms=at_ms)
        if entry.decided == refused:
            if step.amount != 0 or step.total + entry.records <= limits[clause]:
                raise ProofInvalidError(
                    f"the limit of clause {clause} was not used up, so it refuses nothing",
                    expected=f"a total above {limits[clause] - entry.records} and an amount of 0",
                    found=f"a total of {step.total} and an amount of {step.amount}",
                )
            return
        self._require_decided(entry, ruling, at_ms=at_ms)
        if kind != "bulk" or step.amount != entry.records:
            raise ProofInvalidError(
                "an access is counted wrongly", expected=str(entry.records), found=f"{kind} {step.amount}"
            )
        if step.total > limits[clause]:
            raise _over(step, limits[clause])

    def _require_decided(self, entry: Access, ruling: Ruling, *, at_ms: int) -> None:
        """Check that an entry says what is decided; where it gives what is refused, the refutation says why that is."""
        if ruling.decided == entry.decided:
            return
        lie = {name: said for name, said in ruling.decided.items() if entry.decided.get(name) != said}
        what = "the charter decides otherwise"
        if any(said.startswith("!") for said in lie.values()):
            what = f"{what}: {why_refused(self._state, asked_by(entry), lie, at_ms=at_ms).words}"
        _require_equal(ruling.decided, entry.decided, what)


def _holds(from_ms: int, answer: Checked | Ruling, *, at_ms: int) -> bool:
    """Tell whether an answer that was made for `from_ms` is also the one for `at_ms`."""
    return from_ms <= at_ms and not 0 < answer.holds_until_ms <= at_ms


def _bulk_limits(entry: Access, ruling: Ruling) -> dict[str, int]:
    """Give the records a day of each counted clause that permits some of a bulk access."""
    if entry.shape != "bulk":
        return {}
    permitted = ruling.permitted.values()
    return {decision.clause: decision.records_per_day_max for decision in permitted if decision.records_per_day_max > 0}


def _downgrade_limits(ruling: Ruling) -> dict[str, int]:
    return {decision.clause: decision.downgrades_per_day_max for decision in ruling.permitted.values()}


def _check_step(step: Count, *, counter: str, at_ms: int) -> None:
    """Check a step's counter and day; another gateway's clock may have begun the next day a moment earlier."""
    if step.counter != counter:
        raise ProofInvalidError("a step is of another counter", expected=counter, found=step.counter[:80])
    first, last = at_ms // DAY_MS, (at_ms + CLOCK_SKEW_MS_MAX) // DAY_MS
    if not first <= step.day <= last or step.amount < 0 or step.total < 0 or step.ordinal < 1:
        raise ProofInvalidError(
            f"a step of counter {counter} is not of its batch's day",
            expected=f"day {first}",
            found=f"day {step.day}, ordinal {step.ordinal}, amount {step.amount}, total {step.total}",
        )


def _over(step: Count, limit: int) -> ProofInvalidError:
    return ProofInvalidError(
        f"counter {step.counter} is over the limit of its clause", expected=f"<= {limit}", found=f"{step.total}"
    )


def _require_equal(expected: object, found: object, what: str) -> None:
    if expected != found:
        raise ProofInvalidError(what, expected=_show(expected), found=_show(found))


def _counters(limits: dict[str, int]) -> str:
    return " or ".join(f"bulk/{clause}" for clause in limits) or "no counter"


def _show(decided: object) -> str:
    if not isinstance(decided, dict):
        return str(decided)
    return ", ".join(f"{name}: {clause or 'no clause permits'}" for name, clause in decided.items()) or "no class"
