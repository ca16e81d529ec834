"""Checks of who may hold a duty: every rule of independence asks something that somebody can meet."""

from __future__ import annotations

from ringfence.core.charter.checker import Checker
from ringfence.core.charter.document import Path, show
from ringfence.core.charter.governance_build import duties_of_rule
from ringfence.core.charter.governance_shape import IndependenceShape


def check_independence(checker: Checker) -> None:
    """Check the rules of independence and the separations of duties."""
    if not checker.known("duties"):
        return  # told once, by the check of the section
    for position, rule in enumerate(checker.shape.independence):
        _check_rule(checker, ("independence", position), rule)
    for position, duties in enumerate(checker.shape.separations):
        checker.name_list(("separations", position), duties, "duties", "duty", any_allowed=False)


def _check_rule(checker: Checker, path: Path, rule: IndependenceShape) -> None:
    checker.name_list((*path, "duties"), rule.duties, "duties", "duty", any_allowed=True)
    checker.name_list((*path, "parties"), rule.parties, "parties", "party", any_allowed=False)
    checker.name_list((*path, "devices_of"), rule.devices_of, "parties", "party", any_allowed=False)
    checker.country_list((*path, "residence"), rule.residence, any_allowed=False)
    checker.country_list((*path, "works_in"), rule.works_in, any_allowed=False)
    checker.once((*path, "roles"), rule.roles)
    checker.once((*path, "through"), rule.through)
    if not checker.document.is_whole(path):
        return  # what follows would tell again what is broken
    if not rule.duties and not rule.parties:
        checker.add(path, "neither `duties` nor `parties`", "at least one of them: whom the rule is about", at_key=True)
    if bool(rule.roles) != bool(rule.through):
        there, absent = ("roles", "through") if rule.roles else ("through", "roles")
        checker.add((*path, there), f"`{there}` without `{absent}`", "both or neither", at_key=True)
    elif not (rule.roles or rule.residence or rule.works_in or rule.devices_of):
        expected = "`roles` and `through`, `residence`, `works_in` or `devices_of`: what it asks"
        checker.add(path, "a rule that asks nothing", expected, at_key=True)
    _check_possible(checker, path, rule)


def _check_possible(checker: Checker, path: Path, rule: IndependenceShape) -> None:
    """Report a duty that nobody could hold: those who may hold it work for a party that the rule keeps away."""
    if "employer" not in rule.through:
        return
    for name in duties_of_rule(rule, checker.shape):
        party = checker.shape.parties.get(checker.shape.duties[name].party)
        if party is not None and party.role in rule.roles:
            found = f"the duty {show(name)} of `{checker.shape.duties[name].party}`, whose role is {party.role}"
            expected = "duties of other parties: who holds this one is employed by a party that the rule keeps away"
            checker.add((*path, "roles"), found, expected)
