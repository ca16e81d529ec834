"""Feeding the register: who may, and one request of an HR system as a source of facts.

Whoever feeds the register reads it too: an HR system compares before it tells. Nobody else does either.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from ringfence.core.decisions.refusal_words import why_not_shown
from ringfence.core.errors import DeniedError
from ringfence.core.governance.recording import why_not_feed
from ringfence.core.people.register import PersonFacts, Register
from ringfence.core.people.standing import Standing
from ringfence.core.state import State
from ringfence.services.people.diff import Difference, compare_facts
from ringfence.services.people.recording import require_register

Tell = Callable[[State, Register, int], PersonFacts]
"""Gives what is told of a person, on a state with its register at a time; raises what refuses the request."""


def require_feed(state: State, principal: int, *, at_ms: int, build: bytes = b"") -> tuple[Standing, Register]:
    """Give the standing and the register of people to a caller who may feed it.

    Args:
        state: the newest.
        principal: the caller's number.
        at_ms: now, milliseconds since 1970 UTC.
        build: digest of the build that the caller's credential names, or b"".

    Raises:
        DeniedError: the caller may not.
        ConflictError: there is no register here.
    """
    caller = state.principals.get(principal)
    reason = why_not_feed(caller, state.rules)
    if not reason and caller is not None and build:
        reason = why_not_shown(state.governed, caller.party, principal, build, at_ms=at_ms)
    if reason:
        raise DeniedError(
            f"caller {principal} may not read or feed the register of people: {reason}",
            could_ask=["a service may once it is registered for that: propose `register-service` with `feeds: true`"],
        )
    return require_register(state)


@dataclass(frozen=True, slots=True)
class FedPerson:
    """What an HR system tells of one person in one request: a `PeopleSource`."""

    by: int
    tell: Tell
    build: bytes = b""
    kind: str = "scim"
    name: str = "the request"

    def compare(self, state: State, *, at_ms: int) -> Difference:
        """Hold what is told against a state's register.

        Raises:
            DeniedError: who tells it may not, in this state.
            RingfenceError: what `tell` raises.
        """
        _, register = require_feed(state, self.by, at_ms=at_ms, build=self.build)
        return compare_facts([self.tell(state, register, at_ms)], register)


def end_of_list(facts: PersonFacts, *, at_ms: int) -> PersonFacts:
    """Give what is known of a person whom the HR system takes off its list: who is there until then has left."""
    has_ended = 0 < facts.ends_ms <= at_ms
    return msgspec.structs.replace(facts, ends_ms=facts.ends_ms if has_ended else at_ms, unlisted=True)
