"""A whole charter that is small enough to reason about, as text and parsed.

Its jurisdiction is Norway, whose code `NO` is false in YAML 1.1.
"""

from __future__ import annotations

from typing import Final

import pytest

from ringfence.core.charter import Charter, parse_charter
from ringfence.core.errors import CharterInvalidError, Problem

SMALL: Final = """\
charter: small
version: 3
jurisdiction:
  country: NO
  evidence:
    declared: [{dataset: person, field: country}]
    phone: [{dataset: person, field: phone}]
    login_ip: [{dataset: logins, field: address}]
  login_share_min: 0.1
identity: {dataset: person, field: id}
parties:
  keeper: {name: Keeper, role: custodian}
  hoster: {name: Hoster, role: host}
  app: {name: App, role: operator}
  parent: {name: Parent, role: excluded}
  watch: {name: Watch, role: overseer}
regions:
  oslo: {country: NO, holds: [protected, public]}
  old: {country: SE, holds: [public]}
classes:
  protected: whatever is not public
  public: what was published
  shared: what others need
datasets:
  person:
    records: one
    sources: [[Person], [Old, Person]]
    fields:
      id: {class: public, distinct: many}
      phone: {class: protected, distinct: many}
      country: protected
      about: public
  posts:
    records: many
    sources: [[Posts, List]]
    record_class: {field: seen_by, values: {all: public, some: shared}}
    fields: {title: record, seen_by: record, place: protected}
  chats:
    records: many
    sources: [[Chats, "*"]]
    key_field: with
    fields: {with: protected, text: protected}
  logins:
    records: many
    sources: [[Logins]]
    fields: {address: protected}
  rest:
    records: many
    catch_all: true
    fields: {}
purposes:
  serve: to serve a user
  show: to show what is public
flows:
  - name: serving
    words: The app serves a user.
    who: [app]
    from: [NO, SE]
    purposes: [serve]
    verbs: [read, write, find]
    datasets: [person, posts]
    classes: [protected, public]
    withhold: [person.country, posts.place, person.phone]
    downgrades_per_day_max: 7
  - name: serving-many
    words: The app serves users, many at once.
    who: [app, keeper]
    from: [NO]
    purposes: [serve, show]
    verbs: [read]
    datasets: ["*"]
    classes: ["*"]
    bulk: {records_max: 50, records_per_day_max: 5000}
  - name: showing
    words: Anyone may see what is public.
    who: [parent, watch]
    from: ["*"]
    purposes: [show]
    verbs: [read]
    datasets: [person, posts]
    classes: [public]
    bulk: {records_max: 10, records_per_day_max: 100}
searchable:
  - {dataset: person, field: id}
  - {dataset: person, field: phone, normalize: phone}
invariants:
  - name: parent-never-reads
    words: The parent reads nothing protected.
    never: {roles: [excluded], verbs: [read, find, export], classes: [protected]}
  - name: host-reads-nothing
    words: The host reads nothing.
    never: {roles: [host], verbs: [read, find, export], classes: ["*"]}
"""


def problems_of(text: str | bytes) -> tuple[Problem, ...]:
    """Parse a charter that must be refused, and give what is wrong with it."""
    data = text if isinstance(text, bytes) else text.encode()
    with pytest.raises(CharterInvalidError) as caught:
        parse_charter(data, file="small.yaml")
    assert caught.value.problems
    return caught.value.problems


def changed(old: str, new: str) -> str:
    """Give the small charter with its one `old` replaced."""
    assert SMALL.count(old) == 1, f"{SMALL.count(old)} times: {old}"
    return SMALL.replace(old, new)


def small_charter() -> Charter:
    """Give the small charter, parsed."""
    return parse_charter(SMALL.encode(), file="small.yaml")
