"""Answers to queries: resources that match, a page of them, and only the attributes that were asked for.

Looking through tens of thousands of people takes seconds: every so many the loop gets its turn, so that reads of users'
data go on meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from typing import Any, Final

from scim2_models import Context, ListResponse, SearchRequest
from scim2_models.path import CompareOperator, Comparison

from ringfence.core.people.register import PersonFacts, Register
from ringfence.core.state import State
from ringfence.gateway.scim.people import parse_number, show_user, version_of
from ringfence.gateway.scim.requests import RESULTS_MAX, RESULTS_USUAL

LOOKED_AT_PER_TURN: Final = 20
LIST_SCHEMA: Final = str(ListResponse.__schema__)


async def list_users(state: State, register: Register, asked: SearchRequest[Any], *, at_ms: int) -> dict[str, Any]:
    """Give a page of the people of the register, by number, as a ListResponse."""
    candidates = list(_candidates(register, asked))
    if asked.filter is None:
        first, count = _page_of(asked)
        shown = [show_user(state, facts, at_ms=at_ms) for facts in candidates[first : first + count]]
        return _response(asked, len(candidates), shown)
    matching = _Page(asked)
    for place, facts in enumerate(candidates, start=1):
        matching.take(show_user(state, facts, at_ms=at_ms))
        if place % LOOKED_AT_PER_TURN == 0:
            await asyncio.sleep(0)
    return _response(asked, matching.total, matching.resources)


def list_resources(resources: Iterable[Any], asked: SearchRequest[Any]) -> dict[str, Any]:
    """Give a page of resources as a ListResponse."""
    page = _Page(asked)
    for resource in resources:
        page.take(resource)
    return _response(asked, page.total, page.resources)


class _Page:
    """The page that is asked for of resources that are looked at one after the other.

    Attributes:
        total: how many matched so far, on any page.
    """

    def __init__(self, asked: SearchRequest[Any]) -> None:
        self._filter = asked.filter
        self._first, self._count = _page_of(asked)
        self.total = 0
        self.resources: list[Any] = []

    def take(self, resource: Any) -> None:
        """Look at the next one."""
        if self._filter is not None and not self._filter.match(resource):
            return
        if self.total >= self._first and len(self.resources) < self._count:
            self.resources.append(resource)
        self.total += 1


def _page_of(asked: SearchRequest[Any]) -> tuple[int, int]:
    """Give the place of the first resource, from 0, and how many there may be."""
    count = RESULTS_USUAL if asked.count is None else min(asked.count, RESULTS_MAX)
    return (asked.start_index or 1) - 1, count


def _candidates(register: Register, asked: SearchRequest[Any]) -> Iterator[PersonFacts]:
    """Give those who are on the list and may match, by number: all but where one person is asked for by a name."""
    asks = asked.filter.ast if asked.filter is not None else None
    name = ""
    if isinstance(asks, Comparison) and asks.op == CompareOperator.eq and isinstance(asks.value, str):
        path = asks.attr_path
        name = path.attr.casefold() if path.sub_attr is None and path.uri is None else ""
    value = asks.value if isinstance(asks, Comparison) else ""
    if name == "id":
        found = register.people.get(parse_number(value))
        people: Iterable[PersonFacts] = [found] if found is not None else []
    else:
        people = (register.people[number] for number in sorted(register.people))
    folded = value.casefold() if isinstance(value, str) else ""
    for facts in people:
        if facts.unlisted or (name == "username" and facts.reference.casefold() != folded):
            continue
        if name == "externalid" and facts.external_id != value:
            continue
        yield facts


def _response(asked: SearchRequest[Any], total: int, resources: list[Any]) -> dict[str, Any]:
    return {
        "schemas": [LIST_SCHEMA],
        "totalResults": total,
        "startIndex": asked.start_index or 1,
        "itemsPerPage": len(resources),
        "Resources": [render_resource(resource, asked) for resource in resources],
    }


def render_resource(resource: Any, asked: Any | None = None) -> dict[str, Any]:
    """Give a resource as JSON, with its version, and only the attributes that were asked for."""
    if resource.meta is not None and resource.meta.version is None and resource.meta.resource_type in ("User", "Group"):
        resource.meta.version = version_of(resource)
    facts: dict[str, Any] = resource.model_dump(scim_ctx=Context.RESOURCE_QUERY_RESPONSE, response_parameters=asked)
    return facts
