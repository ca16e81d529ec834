"""The shape of what a charter file says of people: duties, governance, independence. See `shape`."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import ConfigDict, Field

from ringfence.core.charter.document import Path
from ringfence.core.charter.governance import (
    COALITION_MIN_MAX,
    OPERATIONS,
    ORDERS,
    POWERS,
    RELATIONS,
    THROUGH,
    OperationName,
    OrderName,
    PowerName,
    Relation,
    Through,
)
from ringfence.core.charter.kinds import GIVEN, NAME_WORDS, Name, Reference, References, Role, Shape, Words

PEOPLE_MAX: Final = 64  # people that one group, and all groups of one way to agree, may ask for
HOURS_MAX: Final = 30 * 24  # longest life of a request or a grant, whatever a charter says
TREE_LEVELS_MAX: Final = 7  # levels of AND and OR; the document's own depth ends before
_TREE_WORDS: Final = "who must agree: `{from: [DUTY, ...], count: N}`, `{all: [...]}` or `{any: [...]}`"

Hours = Annotated[int, Field(ge=1, le=HOURS_MAX)]
Count = Annotated[int, Field(ge=1, le=PEOPLE_MAX)]
Trees = Annotated[list["TreeShape"], Field(min_length=1, max_length=16)]


class VetoShape(Shape):
    """Who may stop an appointment to a duty."""

    by: References = Field(description="the duties whose holders may stop an appointment, a list")
    hours: Hours = Field(description="how many hours they have, from the request")


class DutyShape(Shape):
    """What a person may be appointed to."""

    words: Words = Field(description="what the duty is, in words")
    party: Reference = Field(description="the party whose people may hold it")
    minimum: int = Field(0, ge=0, le=10_000, description="how many must hold it before more than staffing is carried")
    veto: Annotated[VetoShape | None, GIVEN] = Field(
        None, description="who may stop an appointment to it, and for how long"
    )


class TreeShape(Shape):
    """Who must agree: some people of a group, or several such requirements joined by AND or OR."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": ["from", "count"]}, {"required": ["all"]}, {"required": ["any"]}]}
    )

    duties: Annotated[References | None, GIVEN] = Field(
        None, alias="from", description="the duties that these people hold, a list"
    )
    count: Annotated[Count | None, GIVEN] = Field(
        None, description="how many different people of them must agree, at least 1"
    )
    every: Annotated[Trees | None, GIVEN] = Field(
        None, alias="all", description="requirements that must all be met, a list"
    )
    either: Annotated[Trees | None, GIVEN] = Field(
        None, alias="any", description="requirements of which one must be met, a list"
    )


class OperationShape(Shape):
    """Who may ask for a change, and who must agree to it."""

    propose: References = Field(description="the duties whose holders may ask for it, a list")
    approve: TreeShape = Field(description=_TREE_WORDS)
    never: list[Relation] = Field(
        [],
        max_length=len(RELATIONS),
        description="what keeps a person from agreeing, a list of: " + ", ".join(RELATIONS),
    )
    expires_hours_max: Hours = Field(72, description="the longest that a request may stay open, in hours")


class GrantLimitsShape(Shape):
    """The most that one grant may give."""

    hours_max: Hours = Field(description="the longest that a grant may last, in hours")
    records_max: int = Field(ge=1, le=10**9, description="the most records that a grant may cover")
    break_glass_hours_max: Hours = Field(description="the longest that a break-glass grant may last, in hours")
    break_glass_records_max: int = Field(ge=1, le=10**9, description="the most records of a break-glass grant")
    break_glass_review_hours: Hours = Field(description="how soon a break-glass grant must be reviewed, in hours")


class GovernanceShape(Shape):
    """How the rules may change: by whom, with whose agreement."""

    operations: dict[OperationName, OperationShape] = Field(
        description="who may ask for each change and who must agree: a mapping of all of " + ", ".join(OPERATIONS),
        json_schema_extra={"required": list(OPERATIONS)},
    )
    orders: dict[OrderName, Annotated[list[Reference], Field(max_length=256)]] = Field(
        description="the duties of which one holder may order each of " + ", ".join(ORDERS),
        json_schema_extra={"required": list(ORDERS)},
    )
    grants: GrantLimitsShape = Field(description="the most that a grant may give, a mapping")
    cooling_days: int = Field(
        365, ge=0, le=3650, description="for how many days a relation that ended still counts as a conflict"
    )


class IndependenceShape(Shape):
    """What must be true of whoever holds some duties."""

    name: Name = Field(description=NAME_WORDS)
    words: Words = Field(description="the rule, in words")
    duties: list[Reference] = Field([], max_length=256, description='duties that it is about, or ["*"] for all')
    parties: list[Reference] = Field([], max_length=64, description="parties: it is about every duty of theirs")
    roles: list[Role] = Field([], max_length=5, description="roles of parties that must have no power over the person")
    through: list[Through] = Field(
        [],
        max_length=len(THROUGH),
        description="the ways in which they must have none, a list of: " + ", ".join(THROUGH),
    )
    residence: list[Reference] = Field([], max_length=256, description="countries that the person must live in")
    works_in: list[Reference] = Field([], max_length=256, description="countries that the person must work in")
    devices_of: list[Reference] = Field([], max_length=64, description="parties that must own the person's devices")


class PowerShape(Shape):
    """Who together can do something past this program."""

    model_config = ConfigDict(json_schema_extra={"anyOf": [{"required": ["by"]}, {"required": ["of"]}]})

    words: Words = Field(description="how the power is kept, in words")
    by: Annotated[TreeShape | None, GIVEN] = Field(
        None, description="the people of duties who are needed for it, as for `approve`"
    )
    of: Annotated[Reference | None, GIVEN] = Field(None, description="a party of which one person is needed for it")


class CoalitionShape(Shape):
    """How many people must join the excluded parties before these have anything within reach."""

    min: int = Field(
        0, ge=0, le=COALITION_MIN_MAX, description="how many people must join the excluded parties, at least"
    )
    powers: dict[PowerName, PowerShape] = Field(
        {}, description="who together can do what past this program: a mapping of " + ", ".join(POWERS)
    )


GOVERNANCE_SHAPES: Final[dict[Path, type[Shape]]] = {
    ("duties", "*"): DutyShape,
    ("duties", "*", "veto"): VetoShape,
    ("governance",): GovernanceShape,
    ("governance", "operations", "*"): OperationShape,
    **{
        ("governance", "operations", "*", "approve", *("*", "*") * level): TreeShape for level in range(TREE_LEVELS_MAX)
    },
    ("governance", "grants"): GrantLimitsShape,
    ("independence", "*"): IndependenceShape,
    ("coalition",): CoalitionShape,
    ("coalition", "powers", "*"): PowerShape,
    **{("coalition", "powers", "*", "by", *("*", "*") * level): TreeShape for level in range(TREE_LEVELS_MAX)},
}
"""The shape at each place, names and positions that the charter chooses being `*`."""
