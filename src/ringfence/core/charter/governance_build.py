"""What a charter says of people, from the file's shape to values. Only for a shape that every check has passed."""

from __future__ import annotations

from ringfence.core.charter.approval_tree import write_out
from ringfence.core.charter.governance import (
    OPERATIONS,
    ORDERS,
    POWERS,
    Duty,
    Governance,
    GrantLimits,
    IndependenceRule,
    Operation,
    Power,
)
from ringfence.core.charter.governance_shape import (
    CoalitionShape,
    DutyShape,
    GovernanceShape,
    GrantLimitsShape,
    IndependenceShape,
    OperationShape,
    PowerShape,
)
from ringfence.core.charter.shape import CharterShape
from ringfence.core.charter.terms import ANY
from ringfence.core.times import DAY_MS, HOUR_MS


def build_governance(shape: CharterShape) -> Governance | None:
    """Give what the charter says of people; None when it has no `governance`."""
    if shape.governance is None:
        return None
    governance: GovernanceShape = shape.governance
    operations = {str(name): item for name, item in governance.operations.items()}
    orders = {str(name): duties for name, duties in governance.orders.items()}
    coalition = shape.coalition or CoalitionShape.model_validate({})
    powers = {str(name): item for name, item in coalition.powers.items()}
    return Governance(
        duties={name: _build_duty(name, item) for name, item in shape.duties.items()},
        operations={name: _build_operation(name, operations[name]) for name in OPERATIONS},
        orders={name: tuple(orders[name]) for name in ORDERS},
        grants=_build_limits(governance.grants),
        cooling_ms=governance.cooling_days * DAY_MS,
        independence=tuple(_build_rule(item, shape) for item in shape.independence),
        separations=tuple(tuple(item) for item in shape.separations),
        coalition_min=coalition.min,
        powers={name: _build_power(name, powers[name]) for name in POWERS if name in powers},
    )


def duties_of_rule(rule: IndependenceShape, shape: CharterShape) -> tuple[str, ...]:
    """Give the duties that a rule of independence is about, `*` and parties spelt out, in the order of the file."""
    return tuple(
        name
        for name, duty in shape.duties.items()
        if rule.duties == [ANY] or name in rule.duties or duty.party in rule.parties
    )


def _build_duty(name: str, shape: DutyShape) -> Duty:
    return Duty(
        name=name,
        words=shape.words,
        party=shape.party,
        minimum=shape.minimum,
        veto_by=tuple(shape.veto.by) if shape.veto else (),
        veto_ms=shape.veto.hours * HOUR_MS if shape.veto else 0,
    )


def _build_operation(name: str, shape: OperationShape) -> Operation:
    return Operation(
        name=name,
        propose=tuple(shape.propose),
        alternatives=write_out(shape.approve),
        never=tuple(shape.never),
        expires_ms_max=shape.expires_hours_max * HOUR_MS,
    )


def _build_limits(shape: GrantLimitsShape) -> GrantLimits:
    return GrantLimits(
        lasts_ms_max=shape.hours_max * HOUR_MS,
        records_max=shape.records_max,
        break_glass_lasts_ms_max=shape.break_glass_hours_max * HOUR_MS,
        break_glass_records_max=shape.break_glass_records_max,
        break_glass_review_ms=shape.break_glass_review_hours * HOUR_MS,
    )


def _build_power(name: str, shape: PowerShape) -> Power:
    return Power(
        name=name,
        words=shape.words,
        alternatives=write_out(shape.by) if shape.by else (),
        party=shape.of or "",
    )


def _build_rule(shape: IndependenceShape, charter: CharterShape) -> IndependenceRule:
    return IndependenceRule(
        name=shape.name,
        words=shape.words,
        duties=duties_of_rule(shape, charter),
        roles=tuple(shape.roles),
        through=tuple(shape.through),
        residence=tuple(shape.residence),
        works_in=tuple(shape.works_in),
        devices_of=tuple(shape.devices_of),
    )
