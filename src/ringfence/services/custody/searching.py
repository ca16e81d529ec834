"""Looking users up by a searchable field, through a blind index; a look-up is an access, and so is a miss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ringfence.core.charter import Charter, Searchable
from ringfence.core.decisions.ruling import Ruling, rule_access
from ringfence.core.envelope import open_part
from ringfence.core.errors import DeniedError, InvalidInputError, RingfenceError
from ringfence.core.ledger import entry as e
from ringfence.core.ports import Find, Found
from ringfence.core.searchable import normalize
from ringfence.core.state import State
from ringfence.services.custody.answering import check_time, record_failure
from ringfence.services.custody.gate import Gate
from ringfence.services.custody.granting import hold_to_grant, prepare_held, submit_held
from ringfence.services.custody.late_refusals import LateRefusal
from ringfence.services.custody.opening import decode_name
from ringfence.services.custody.refusing import denied_late, refuse_ruling
from ringfence.services.custody.request import Caller, Request
from ringfence.services.custody.request_checks import check_name, check_purpose, find_dataset
from ringfence.services.jobs import Prepared

FOUND_MAX: Final = 10
VALUE_SIZE_BYTES_MAX: Final = 1024


@dataclass(frozen=True, slots=True)
class FindAnswer:
    """The app's user ids that were found, at most `FOUND_MAX`, and the receipt."""

    users: list[str]
    receipt: str


async def find_users(gate: Gate, caller: Caller, *, purpose: str, dataset: str, field: str, value: str) -> FindAnswer:
    """Find the users whose searchable field has this value.

    A grant for named users permits no look-up, which may find anyone; under another `FOUND_MAX` records are counted.

    Raises:
        InvalidInputError: the charter does not let this field be searched.
        DeniedError: the charter does not permit this caller to find by it, or withholds it.
        ConflictError: too many requests count under the same grant at once.
        IntegrityError, UnavailableError: as for reading.
    """
    check_purpose(gate, purpose)
    kind = find_dataset(gate, dataset)
    check_name(value, "value", size_bytes_max=VALUE_SIZE_BYTES_MAX)
    searchable = _searchable(gate.keeper.state.rules, dataset, field)
    label = f"{dataset}.{field}"
    token = gate.keys.index(label, normalize(value, searchable.normalize).encode("utf-8", "surrogatepass"))
    request = Request(caller, purpose, "find", "single", FOUND_MAX)
    about = e.About(searched=[label.encode(), token])
    ruling: list[Ruling] = []
    refusal = LateRefusal(gate.refusals, caller.principal)

    def rule(state: State, at_ms: int) -> Ruling:
        _searchable(state.rules, dataset, field)  # that it may be searched, and as which class, the rules of now say
        data_class = state.rules.datasets[dataset].field_classes[field]
        return rule_access(state, request.asked(dataset), (data_class,), at_ms=at_ms)

    def prepare(state: State, at_ms: int) -> Prepared:
        ruling[:] = [rule(state, at_ms)]
        refusal.forget()
        if withheld := _withheld(ruling[0], field, label):
            return refusal.prepare(withheld, reason="withheld-field", at_ms=at_ms)
        held = hold_to_grant(ruling[0], request, about, last=gate.singles.counters.last_steps())
        ruling[:] = [held.ruling]
        prepared = prepare_held(gate, gate.singles, refusal, request, kind, held, about)
        prepared.finds = [Find(label, token, FOUND_MAX)] if held.ruling.permitted else []
        return prepared

    if not rule(gate.keeper.state, gate.clock_ms()).permitted:
        raise await refuse_ruling(gate, request, kind, about, rule=rule)
    committed = await submit_held(gate, gate.singles, caller, prepare)
    receipt = committed.receipt_text
    refusal.raise_with(receipt)
    if not ruling[0].permitted:
        raise denied_late(gate, request, kind, ruling[0], receipt=receipt)
    try:
        check_time(gate, committed)
        return FindAnswer([_user(gate, found) for found in committed.found[0]], receipt)
    except RingfenceError as error:
        await record_failure(committed, error, gate.singles)
        raise


def _withheld(ruling: Ruling, field: str, label: str) -> DeniedError | None:
    """Give the refusal of a look-up by a field that its clause withholds: what may not be read may not be guessed."""
    for decision in ruling.permitted.values():
        if field in decision.withheld:
            words = f"clause `{decision.clause}` withholds {label}: it cannot be searched"
            return DeniedError(words, clause=decision.clause)
    return None


def _searchable(charter: Charter, dataset: str, field: str) -> Searchable:
    known = charter.searchable
    for searchable in known:
        if (searchable.dataset, searchable.field) == (dataset, field):
            return searchable
    names = ", ".join(f"{item.dataset}.{item.field}" for item in known) or "none"
    raise InvalidInputError(
        f"{dataset}.{field!r:.80} cannot be searched", place="field", hint=f"the charter lets be searched: {names}"
    )


def _user(gate: Gate, found: Found) -> str:
    cipher = AESGCM(gate.keys.unwrap(found.key))
    part = found.identity
    return decode_name(open_part(cipher, part.name, version=part.version, sealed=part.sealed))
