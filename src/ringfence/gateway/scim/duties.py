"""A duty of the charter as a SCIM group, and what an HR system asks of one that it cannot have.

A group's members are those who hold the duty. An HR system gives nobody a duty and ends none: what would change the
members is refused with the proposal or the order that does it, and what would leave them as they are is taken.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import scim2_models as scim

from ringfence.core.errors import NotFoundError
from ringfence.core.state import State
from ringfence.gateway.scim.errors import ScimRefusedError, as_refusals
from ringfence.gateway.scim.people import GROUPS, USERS
from ringfence.gateway.scim.resources import Group, Member

MUTABILITY: Final = "mutability"
PEOPLE_NAMED_MAX: Final = 5


def list_duties(state: State) -> Iterator[Any]:
    """Give every duty of the charter as a group."""
    for name in state.governance.duties:
        yield show_duty(state, name)


def show_duty(state: State, name: str) -> Any:
    """Give a duty as a group.

    Raises:
        NotFoundError: the charter has none of this name.
    """
    if name not in state.governance.duties:
        raise NotFoundError(f"there is no group {name!r:.80}: the charter names no such duty")
    members = [
        Member(value=str(number), ref=f"{USERS}/{number}", type="User", display=_name_of(state, number))
        for number in _holders(state, name)
    ]
    meta = scim.Meta(resource_type="Group", location=f"{GROUPS}/{name}")
    return Group(id=name, meta=meta, display_name=name, members=members or None)


def _holders(state: State, name: str) -> list[int]:
    return [number for number, member in sorted(state.governed.members.items()) if name in member.duties]


def _name_of(state: State, number: int) -> str | None:
    register = state.governed.register
    facts = register.people.get(number) if register is not None else None
    return facts.name if facts is not None else None


def check_replacement(state: State, name: str, told: Any) -> None:
    """Refuse a group that would replace another one than it is.

    Raises:
        ScimRefusedError: it would have other members or another name.
    """
    _check_unchanged(state, name, told.display_name, told.members, members_told=told.members is not None)


def check_patch(state: State, name: str, patch: Any) -> None:
    """Refuse operations that would change a group.

    Raises:
        ScimRefusedError: it would have other members or another name, or they are none for a group.
    """
    before = [{"value": str(number)} for number in _holders(state, name)]
    group = scim.Group(display_name=name, members=before or None)
    with as_refusals():
        patch.patch(group)
    _check_unchanged(state, name, group.display_name, group.members, members_told=True)


def _check_unchanged(state: State, name: str, shown: str | None, members: Any, *, members_told: bool) -> None:
    if shown != name:
        raise ScimRefusedError(
            f"the charter names the duty {name}; another name takes another charter",
            scim_type=MUTABILITY,
            hint="propose `do: enact-charter`",
        )
    if not members_told:
        return
    holders = {str(number) for number in _holders(state, name)}
    told = {member.value or "" for member in members or ()}
    if gained := sorted(told - holders):
        raise ScimRefusedError(
            f"an HR system gives nobody the duty {name}: {_listed(gained)} would get it",
            scim_type=MUTABILITY,
            hint=f"it takes a quorum: propose `do: appoint`, `person: {gained[0]:.20}`, `duty: {name}`",
        )
    if lost := sorted(holders - told):
        raise ScimRefusedError(
            f"an HR system ends nobody's duty {name}: {_listed(lost)} would lose it",
            scim_type=MUTABILITY,
            hint=f"order `do: end-appointment`, `person: {lost[0]}`, `duty: {name}`; of a person who has left, tell "
            "`active: false`, which takes everything",
        )


def _listed(people: list[str]) -> str:
    shown = ", ".join(f"{one:.20}" for one in people[:PEOPLE_NAMED_MAX])
    more = len(people) - PEOPLE_NAMED_MAX
    return shown + (f" and {more} more" if more > 0 else "")
