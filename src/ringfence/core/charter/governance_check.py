"""Checks of what a charter says of people: that somebody must agree, and nobody who may not.

Rules of this file:
1. Every change that can be asked for has proposers and a quorum of at least one other person; a charter in which
   something needs nobody's agreement is refused.
2. Duties of a party that operates or is excluded may only propose: they agree to nothing, order nothing, stop nothing.
3. A flow may ask only for what somebody can have.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ringfence.core.charter.approval_tree import count_alternatives, count_people_max
from ringfence.core.charter.checker import Checker
from ringfence.core.charter.document import Path, show
from ringfence.core.charter.governance import ALTERNATIVES_MAX, BREAK_GLASS, OPERATIONS, ORDERS, PROPOSE_ONLY
from ringfence.core.charter.governance_shape import PEOPLE_MAX, GovernanceShape, TreeShape
from ringfence.core.charter.shape import FlowShape
from ringfence.core.charter.terms import ANY, PROTECTED

_SECTIONS: Final = ("duties", "independence", "separations", "coalition")
_FORMS: Final = "one of `from` with `count`, `all` and `any`"


def check_governance(checker: Checker) -> None:
    """Check duties, operations, orders, limits of grants, and what flows ask of people and builds."""
    governance = checker.shape.governance
    if governance is None:
        if checker.document.is_whole(("governance",)):
            _check_nothing_needs_it(checker)
    elif not checker.known("duties"):
        if checker.document.is_whole(("duties",)):
            expected = "`duties`: a mapping of duties that people hold"
            checker.add(("governance",), "`governance` without `duties`", expected, at_key=True)
    else:
        _check_duties(checker, governance)
        _check_operations(checker, governance)
        _check_orders(checker, governance)
        for position, flow in enumerate(checker.shape.flows):
            _check_flow(checker, ("flows", position), flow)
    if governance is not None:
        _check_grants(checker, governance)


def _check_nothing_needs_it(checker: Checker) -> None:
    expected = "`governance`, which says who must agree to what"
    for section in _SECTIONS:
        if getattr(checker.shape, section):
            checker.add((section,), f"`{section}` without `governance`", expected, at_key=True)
    for position, flow in enumerate(checker.shape.flows):
        for key in ("duties", "needs", "builds"):
            if getattr(flow, key):
                checker.add(("flows", position, key), f"`{key}` without `governance`", expected, at_key=True)


def _check_duties(checker: Checker, governance: GovernanceShape) -> None:
    appoint = governance.operations.get("appoint")
    for name, duty in checker.shape.duties.items():
        path: Path = ("duties", name)
        checker.name((*path, "party"), duty.party, "parties", "party")
        if duty.veto is None:
            continue
        _check_powerful(checker, (*path, "veto", "by"), duty.veto.by)
        if appoint is not None and duty.veto.hours >= appoint.expires_hours_max:
            most = appoint.expires_hours_max
            expected = f"fewer than the {most} that a request to `appoint` stays open, or no appointment takes effect"
            checker.add((*path, "veto", "hours"), str(duty.veto.hours), expected)


def _check_operations(checker: Checker, governance: GovernanceShape) -> None:
    _check_complete(checker, "operations", OPERATIONS)
    for name, operation in governance.operations.items():
        path: Path = ("governance", "operations", name)
        checker.name_list((*path, "propose"), operation.propose, "duties", "duty", any_allowed=False)
        checker.once((*path, "never"), operation.never)
        check_tree(checker, (*path, "approve"), operation.approve)


def _check_complete(checker: Checker, section: str, names: Sequence[str]) -> None:
    known = checker.names.sections.get(f"governance.{section}")
    missing = [name for name in names if name not in (known or ())]
    if known is not None and missing:
        found = "no " + ", ".join(f"`{name}`" for name in missing)
        checker.add(("governance", section), found, "an entry for each of " + ", ".join(names), at_key=True)


def check_tree(checker: Checker, path: Path, tree: TreeShape) -> None:
    """Check who must agree: the form, the duties, and that it stays small once written out."""
    if not _check_tree(checker, path, tree):
        return
    if count_alternatives(tree) > ALTERNATIVES_MAX:
        found = f"more than {ALTERNATIVES_MAX} ways to agree, once written out"
        checker.add(path, found, f"at most {ALTERNATIVES_MAX}")
    elif count_people_max(tree) > PEOPLE_MAX:
        found = f"a way to agree that needs more than {PEOPLE_MAX} people"
        checker.add(path, found, f"at most {PEOPLE_MAX} in any one way")


def _check_tree(checker: Checker, path: Path, tree: TreeShape) -> bool:
    """Check one requirement and those in it; tell whether its form is right all through, so that it can be counted."""
    given = {"from": tree.duties, "count": tree.count, "all": tree.every, "any": tree.either}
    keys = tuple(key for key, value in given.items() if value is not None)
    right = keys in (("from", "count"), ("all",), ("any",))
    if not right and checker.document.is_whole(path):
        checker.add(path, " with ".join(f"`{key}`" for key in keys) or "nobody who must agree", _FORMS)
    if tree.duties is not None:
        _check_powerful(checker, (*path, "from"), tree.duties)
    for key, items in (("all", tree.every), ("any", tree.either)):
        for position, item in enumerate(items or ()):
            right &= _check_tree(checker, (*path, key, position), item)
    return right


def _check_orders(checker: Checker, governance: GovernanceShape) -> None:
    _check_complete(checker, "orders", ORDERS)
    for name, duties in governance.orders.items():
        path: Path = ("governance", "orders", name)
        if not duties and name != BREAK_GLASS and checker.document.is_whole(path):
            checker.add(path, "nobody", f"at least one duty: only `{BREAK_GLASS}` may be for nobody")
        _check_powerful(checker, path, duties)


def _check_powerful(checker: Checker, path: Path, duties: Sequence[str]) -> None:
    """Check the names of duties whose holders agree, order or stop (rule 2)."""
    checker.name_list(path, duties, "duties", "duty", any_allowed=False)
    for position, name in enumerate(duties):
        party, role = _party_of(checker, name)
        if role in PROPOSE_ONLY:
            found = f"the duty {show(name)} of `{party}`, whose role is {role}"
            checker.add((*path, position), found, "a duty of another party: theirs may only propose")


def _party_of(checker: Checker, duty: str) -> tuple[str, str]:
    """Give the party of a duty and its role; "" for what the charter lacks, which is told elsewhere."""
    shape = checker.shape.duties.get(duty)
    if shape is None or shape.party not in checker.known("parties"):
        return "", ""
    party = checker.shape.parties.get(shape.party)
    return shape.party, party.role if party else ""


def _check_grants(checker: Checker, governance: GovernanceShape) -> None:
    grants = governance.grants
    for key, most in (("hours_max", grants.hours_max), ("records_max", grants.records_max)):
        alone: int = getattr(grants, f"break_glass_{key}")
        if alone > most:
            expected = f"at most `{key}`, {most}: what one person takes alone is not more than what others agree to"
            checker.add(("governance", "grants", f"break_glass_{key}"), str(alone), expected)


def _check_flow(checker: Checker, path: Path, flow: FlowShape) -> None:
    checker.name_list((*path, "duties"), flow.duties, "duties", "duty", any_allowed=False)
    checker.once((*path, "needs"), flow.needs)
    holders = [_party_of(checker, name) for name in flow.duties]
    for position, (party, role) in enumerate(holders):
        name = flow.duties[position]
        if party and party not in flow.who:
            found = f"the duty {show(name)} of `{party}`, which is not in `who`"
            checker.add((*path, "duties", position), found, "duties of the parties that may")
        elif role == "excluded" and {PROTECTED, ANY} & set(flow.classes):
            found = f"the duty {show(name)} of `{party}`, which is excluded, in a flow for `{PROTECTED}`"
            checker.add((*path, "duties", position), found, "no such flow: no duty opens it to an excluded party")
    if holders and all(party for party, _ in holders):
        for position, party in enumerate(flow.who):
            if party not in {holder for holder, _ in holders}:
                found = f"the party {show(party)}, which has none of the flow's duties"
                checker.add((*path, "who", position), found, "parties that have one, or a duty of theirs")
    for position, party in enumerate(flow.who):
        known = checker.shape.parties.get(party)
        if known is not None and known.role == "excluded" and BREAK_GLASS in flow.needs:
            found = f"the excluded party {show(party)} in a flow that `{BREAK_GLASS}` opens"
            checker.add((*path, "who", position), found, "other parties: an excluded one never breaks the glass")
    if flow.needs and not flow.duties and checker.document.is_whole((*path, "duties")):
        checker.add((*path, "needs"), "`needs` without `duties`", "`duties`: grants are for people", at_key=True)
    elif flow.builds and flow.duties:
        expected = "`builds` alone, for services; or `duties` and `needs`, for people"
        checker.add((*path, "builds"), "`builds` in a flow for people", expected, at_key=True)
