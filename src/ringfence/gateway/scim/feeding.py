"""What an HR system tells of users, each request as a source of facts: created, replaced, patched, taken off the list.

Each is looked at on the newest state, when its entry is written: what a patch or a precondition is about is what the
register says then.
"""

from __future__ import annotations

from typing import Any

from ringfence.core.errors import NotFoundError
from ringfence.core.people.register import PersonFacts, Register
from ringfence.core.state import State
from ringfence.gateway.scim.errors import ScimRefusedError, as_refusals
from ringfence.gateway.scim.people import NAMES, person_of, show_user, taken_user, told_of, version_of
from ringfence.gateway.scim.requests import holds_for
from ringfence.services.people.feeding import Tell, end_of_list
from ringfence.services.people.telling import facts_of, find_holder


def tell_of_new(user: Any) -> Tell:
    """Tell of somebody new. Who was taken off the list comes back as the same person, with all former ties."""

    def tell(state: State, register: Register, at_ms: int) -> PersonFacts:
        holder = find_holder(register, user.user_name or "")
        if holder is not None and not holder.unlisted:
            raise _taken(holder)
        number = holder.number if holder is not None else state.principal_last + 1
        return _facts(state, register, user, number, at_ms)

    return tell


def tell_of_replaced(text: str, user: Any, condition: bytes) -> Tell:
    """Tell all of a person anew: what is left out is not known any more."""

    def tell(state: State, register: Register, at_ms: int) -> PersonFacts:
        known = require_person(state, register, text, condition, at_ms=at_ms)
        _check_name(register, user.user_name, known)
        return _facts(state, register, user, known.number, at_ms)

    return tell


def tell_of_patched(text: str, patch: Any, condition: bytes) -> Tell:
    """Tell what operations change of a person."""

    def tell(state: State, register: Register, at_ms: int) -> PersonFacts:
        known = require_person(state, register, text, condition, at_ms=at_ms)
        user, there = taken_user(known), taken_user(known, active=True)
        with as_refusals():
            patch.patch(user)
            patch.patch(there)
        if there.active is None:
            raise ScimRefusedError(
                "active: found nothing; expected true or false",
                scim_type="invalidValue",
                hint="send `active: false` for somebody who has left",
            )
        _check_name(register, user.user_name, known)
        return _facts(state, register, user, known.number, at_ms)

    return tell


def tell_of_deleted(text: str, condition: bytes) -> Tell:
    """Tell that a person is on the list no more. The register forgets nobody: it says that the person has left."""

    def tell(state: State, register: Register, at_ms: int) -> PersonFacts:
        return end_of_list(require_person(state, register, text, condition, at_ms=at_ms), at_ms=at_ms)

    return tell


def require_person(state: State, register: Register, text: str, condition: bytes = b"", *, at_ms: int) -> PersonFacts:
    """Give who has an id.

    Args:
        condition: the `If-Match` of the request; b"" where it has none.

    Raises:
        NotFoundError: nobody has, or the HR system took the person off its list.
        ScimRefusedError: the person is another than the condition names.
    """
    facts = person_of(register, text)
    if facts is None:
        raise NotFoundError(f"there is no user {text!r:.80}")
    if condition and not holds_for(condition, version_of(show_user(state, facts, at_ms=at_ms))):
        raise ScimRefusedError("the user has changed since", status=412, hint="get it again, and tell what is so now")
    return facts


def _facts(state: State, register: Register, user: Any, number: int, at_ms: int) -> PersonFacts:
    told = told_of(user, register.people.get(number))
    parties = state.rules.parties
    return facts_of(told, number=number, register=register, parties=parties, names=NAMES, at_ms=at_ms)


def _check_name(register: Register, name: str | None, known: PersonFacts) -> None:
    """Refuse a name, newly told, that another one has: what did not change is not looked at again."""
    holder = find_holder(register, name, besides=known.number) if name and name != known.reference else None
    if holder is not None:
        raise _taken(holder)


def _taken(holder: PersonFacts) -> ScimRefusedError:
    where = "a person who is on the list no more" if holder.unlisted else f"the user {holder.number}"
    return ScimRefusedError(f"the userName is that of {where}", status=409, scim_type="uniqueness")
