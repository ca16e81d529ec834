"""The small charter with what a charter says of people, as text and parsed. Everyone's duties fit on one page."""

from __future__ import annotations

from typing import Final

from ringfence.core.charter import Charter, parse_charter
from ringfence.core.charter.governance import Governance
from tests.core.small_charter import SMALL

_FLOWS: Final = """\
  - name: helping
    words: The keeper's people help one user.
    who: [keeper]
    from: [NO]
    purposes: [serve]
    verbs: [find]
    datasets: [person]
    classes: [protected]
    duties: [engineer]
    needs: [access, break-glass]
  - name: serving-by-build
    words: A build of the app that was approved serves a user.
    who: [app]
    from: [NO]
    purposes: [serve]
    verbs: [write]
    datasets: [chats]
    classes: [protected]
    builds: approved
searchable:
"""

GOVERNANCE: Final = """\
duties:
  engineer: {words: works with the data, party: keeper}
  officer: {words: agrees to what others ask for, party: keeper, minimum: 3, veto: {by: [monitor], hours: 48}}
  registrar: {words: asks for people to be admitted, party: keeper}
  monitor: {words: watches the keeper, party: watch}
  shipper: {words: proposes builds of the app, party: app}
governance:
  operations:
    enact-charter:
      propose: [officer]
      approve:
        all:
          - {from: [officer], count: 2}
          - any: [{from: [monitor], count: 1}, {from: [registrar, engineer], count: 3}]
      never: [appointed-by-requester]
      expires_hours_max: 240
    admit: {propose: [registrar], approve: {from: [officer], count: 2}}
    appoint: {propose: [registrar], approve: {from: [officer], count: 2}, never: [same-team]}
    enrol-key: {propose: [registrar], approve: {from: [officer], count: 1}}
    grant:
      propose: [engineer]
      approve: {any: [{from: [officer], count: 2}, {from: [monitor], count: 1}]}
      never: [same-team, same-manager, directed-by-requester, appointed-by-requester]
      expires_hours_max: 24
    approve-build: {propose: [shipper, engineer], approve: {from: [officer], count: 1}}
    register-service: {propose: [registrar], approve: {from: [officer], count: 1}}
    trust-issuer: {propose: [registrar], approve: {from: [officer], count: 2}}
    open-key-epoch: {propose: [officer], approve: {from: [officer], count: 1}}
    recover-lane: {propose: [officer], approve: {from: [officer, monitor], count: 1}}
    lift: {propose: [officer], approve: {all: [{from: [monitor], count: 1}, {from: [officer], count: 1}]}}
    review: {propose: [officer], approve: {from: [monitor], count: 1}}
    legal-demand: {propose: [officer], approve: {from: [monitor], count: 2}}
    suspend: {propose: [engineer], approve: {from: [engineer], count: 2}}
  orders:
    suspend: [monitor, officer]
    end-appointment: [officer]
    dismiss: [officer]
    revoke-key: [officer]
    revoke-grant: [officer, monitor]
    narrow-grant: [officer]
    withdraw-build: [officer]
    withdraw-service: [officer]
    withdraw-issuer: [officer]
    break-glass: [engineer]
  grants:
    hours_max: 8
    records_max: 1000
    break_glass_hours_max: 2
    break_glass_records_max: 50
    break_glass_review_hours: 24
  cooling_days: 100
independence:
  - name: free-of-the-parent
    words: The keeper's people serve nobody else.
    parties: [keeper, watch]
    roles: [excluded, operator]
    through: [employer, pay, manager, direction]
  - name: at-home
    words: Whoever touches data lives, works and computes at home.
    duties: [engineer, officer]
    residence: [NO]
    works_in: [NO, SE]
    devices_of: [keeper]
separations: [[engineer, officer], [officer, registrar]]
"""

GOVERNED: Final = SMALL.replace("searchable:\n", _FLOWS) + GOVERNANCE


def governed_charter() -> Charter:
    """Give the governed charter, parsed."""
    return parse_charter(GOVERNED.encode(), file="governed.yaml")


def changed(old: str, new: str) -> str:
    """Give the governed charter's text with its one `old` replaced."""
    assert GOVERNED.count(old) == 1, f"{GOVERNED.count(old)} times: {old}"
    return GOVERNED.replace(old, new)


def governance_of(charter: Charter) -> Governance:
    """Give what a charter says of people; it must say something."""
    assert charter.governance is not None
    return charter.governance
