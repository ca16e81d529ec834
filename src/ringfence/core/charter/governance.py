"""What a charter says of people: duties, who must agree to what, who may hold a duty. Frozen values.

Rules of this file:
1. What is here was checked: every duty, party and operation that is named exists, no list of those who must agree is
   empty, and `*` is spelt out.
2. Times are milliseconds. Order is that of the file.
3. The vocabularies are those of `ringfence.core.changes`, spelt out here so that types can name them; a test holds
   them together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, get_args

from ringfence.core.times import HOUR_MS

OperationName = Literal[
    "enact-charter",
    "admit",
    "appoint",
    "enrol-key",
    "grant",
    "approve-build",
    "register-service",
    "trust-issuer",
    "open-key-epoch",
    "recover-lane",
    "lift",
    "review",
    "legal-demand",
    "suspend",
]
OrderName = Literal[
    "suspend",
    "end-appointment",
    "dismiss",
    "revoke-key",
    "revoke-grant",
    "narrow-grant",
    "withdraw-build",
    "withdraw-service",
    "withdraw-issuer",
    "break-glass",
]
GrantKind = Literal["access", "legal-demand", "break-glass"]
Through = Literal["employer", "pay", "manager", "direction"]
Relation = Literal["same-team", "same-manager", "directed-by-requester", "appointed-by-requester"]
PowerName = Literal["gateway-root", "host-root", "deploy", "sign-builds", "issue-tokens", "feed-people", "sign-log"]

OPERATIONS: Final[tuple[str, ...]] = get_args(OperationName)
"""What a quorum carries; a charter with governance says of each who must agree."""

ORDERS: Final[tuple[str, ...]] = get_args(OrderName)
"""What one person may order; a charter with governance says of each who may."""

GRANT_KINDS: Final[tuple[str, ...]] = get_args(GrantKind)
"""The kinds of grant that a flow may need."""

THROUGH: Final[tuple[str, ...]] = get_args(Through)
"""The ways in which a party may have power over a person; each is followed through any chain of people."""

RELATIONS: Final[tuple[str, ...]] = get_args(Relation)
"""What may keep a person from approving; that nobody approves what they ask for themselves holds always."""

POWERS: Final[tuple[str, ...]] = get_args(PowerName)
"""What people can do with their hands, past anything that this program decides: reach into a running gateway; read and
write the store, its disks and its backups; choose what runs as a gateway; sign attestations of builds; sign tokens of a
trusted issuer; tell the register facts about people; sign checkpoints of the ledger."""

COALITION_MIN_MAX: Final = 5
"""The most people that a charter may ask a coalition to need; more are not counted one by one."""

EXCLUDED: Final = "excluded"
"""Role of parties that the data is kept from."""

PROPOSE_ONLY: Final = ("operator", EXCLUDED)
"""Roles of parties whose people may ask, and agree to nothing: the custodian is independent of these."""

BREAK_GLASS: Final = "break-glass"


@dataclass(frozen=True, slots=True)
class Duty:
    """What a person may be appointed to.

    Attributes:
        party: the party whose members may hold it.
        minimum: how many people must hold it before anything but staffing is carried; 0 when the charter does not say.
        veto_by: duties of which any one holder may stop an appointment to this one; empty when nobody may.
        veto_ms: how long they have from the request; 0 when nobody may.
    """

    name: str
    words: str
    party: str
    minimum: int = 0
    veto_by: tuple[str, ...] = ()
    veto_ms: int = 0


@dataclass(frozen=True, slots=True)
class Group:
    """`count` different people, each of whom holds one of the duties."""

    duties: tuple[str, ...]
    count: int


@dataclass(frozen=True, slots=True)
class Operation:
    """Who may ask for a change, and who must agree to it.

    Attributes:
        name: one of `OPERATIONS`.
        propose: duties; a holder of any of them may ask.
        alternatives: it is carried when every group of any one of these has agreed. At most `ALTERNATIVES_MAX`, none
            of them empty.
        never: of `RELATIONS`, those that keep a person from approving. Who asks never approves, whatever this says.
        expires_ms_max: the longest that a request may stay open.
    """

    name: str
    propose: tuple[str, ...]
    alternatives: tuple[tuple[Group, ...], ...]
    never: tuple[str, ...] = ()
    expires_ms_max: int = 72 * HOUR_MS


ALTERNATIVES_MAX: Final = 64
"""Most ways in which one operation may be agreed to, once AND and OR are written out."""


@dataclass(frozen=True, slots=True)
class GrantLimits:
    """The most that one grant may give, and how soon a break-glass grant must be reviewed."""

    lasts_ms_max: int
    records_max: int
    break_glass_lasts_ms_max: int
    break_glass_records_max: int
    break_glass_review_ms: int


@dataclass(frozen=True, slots=True)
class IndependenceRule:
    """What must be true of whoever holds one of some duties. An empty requirement asks nothing.

    Attributes:
        duties: the duties that it is about; `*` is spelt out.
        roles: no party of these roles may have power over the person...
        through: ...in any of these ways (of `THROUGH`), directly or through any chain of people.
        residence, works_in: countries, ISO 3166 alpha-2, where the person must live and work.
        devices_of: parties that must own the person's devices.
    """

    name: str
    words: str
    duties: tuple[str, ...]
    roles: tuple[str, ...] = ()
    through: tuple[str, ...] = ()
    residence: tuple[str, ...] = ()
    works_in: tuple[str, ...] = ()
    devices_of: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Power:
    """Who together has a power that the program cannot see: the charter is taken at its word.

    Attributes:
        name: one of `POWERS`.
        alternatives: as of an `Operation`; empty when no duty is needed.
        party: one person of this party is needed as well; "" when none is.
    """

    name: str
    words: str
    alternatives: tuple[tuple[Group, ...], ...] = ()
    party: str = ""


@dataclass(frozen=True, slots=True)
class Governance:
    """All that a charter says of people.

    Attributes:
        duties: by name.
        operations: one for each of `OPERATIONS`.
        orders: for each of `ORDERS`, the duties of which any one holder may order it; only break-glass may have none.
        cooling_ms: how long a relation that ended still counts as a conflict.
        separations: sets of duties of which nobody holds two.
        coalition_min: how many people must join the excluded parties before anything protected is within reach; no
            change that leaves fewer is carried. 0 when the charter does not say.
        powers: who has each power, by name, of those that the charter tells.
    """

    duties: Mapping[str, Duty]
    operations: Mapping[str, Operation]
    orders: Mapping[str, tuple[str, ...]]
    grants: GrantLimits
    cooling_ms: int
    independence: tuple[IndependenceRule, ...] = ()
    separations: tuple[tuple[str, ...], ...] = ()
    coalition_min: int = 0
    powers: Mapping[str, Power] = field(default_factory=dict)

    def separated_from(self, duty: str) -> frozenset[str]:
        """Give the duties that nobody may hold together with this one."""
        return frozenset(other for group in self.separations if duty in group for other in group if other != duty)
