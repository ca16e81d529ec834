"""What a charter says of people: duties, quorums, orders, independence; and each mistake in it, told with its place."""

from __future__ import annotations

import pickle

import pytest

from ringfence.core import changes
from ringfence.core.charter import parse_charter
from ringfence.core.charter.governance import (
    ALTERNATIVES_MAX,
    GRANT_KINDS,
    OPERATIONS,
    ORDERS,
    Duty,
    GrantLimits,
    Group,
    IndependenceRule,
)
from ringfence.core.times import DAY_MS, HOUR_MS
from tests.core.governed_charter import GOVERNED, changed, governance_of, governed_charter
from tests.core.small_charter import SMALL, problems_of, small_charter

HERE = "⟦"  # in a changed charter: the problem is told to be here
ADMIT = "    admit: {propose: [registrar], approve: {from: [officer], count: 2}}\n"
DUTIES, NEEDS, BUILDS = "    duties: [engineer]\n", "    needs: [access, break-glass]\n", "    builds: approved\n"


def with_approval(tree: str) -> str:
    """Give the governed charter with another requirement for admitting people."""
    return changed(ADMIT, f"    admit: {{propose: [registrar], approve: {tree}}}\n")


def alternatives_of(tree: str) -> tuple[tuple[Group, ...], ...]:
    """Give what a requirement comes to when it is written out."""
    charter = parse_charter(with_approval(tree).encode(), file="governed.yaml")
    return governance_of(charter).operations["admit"].alternatives


def test_charter_speaks_of_exactly_the_changes_that_can_be_asked_for() -> None:
    assert set(OPERATIONS) == {*changes.CARRIED, "suspend"}
    assert set(ORDERS) == set(changes.ORDERED)
    assert set(GRANT_KINDS) == set(changes.GRANT_KINDS)


def test_charter_that_says_nothing_of_people_has_no_governance() -> None:
    charter = small_charter()
    assert charter.governance is None
    assert not charter.requires_governance
    assert [(flow.duties, flow.needs, flow.builds) for flow in charter.flows] == [((), (), "")] * 3


def test_governed_charter_means_what_it_says() -> None:
    governance = governance_of(governed_charter())
    assert governance.duties["officer"] == Duty(
        "officer", "agrees to what others ask for", "keeper", 3, ("monitor",), 48 * HOUR_MS
    )
    assert governance.duties["engineer"].veto_by == ()
    assert list(governance.operations) == list(OPERATIONS)
    assert list(governance.orders) == list(ORDERS)
    assert governance.orders["suspend"] == ("monitor", "officer")
    grant = governance.operations["grant"]
    assert (grant.name, grant.propose, grant.expires_ms_max) == ("grant", ("engineer",), 24 * HOUR_MS)
    assert grant.never == ("same-team", "same-manager", "directed-by-requester", "appointed-by-requester")
    assert governance.operations["admit"].expires_ms_max == 72 * HOUR_MS
    assert governance.grants == GrantLimits(8 * HOUR_MS, 1000, 2 * HOUR_MS, 50, 24 * HOUR_MS)
    assert governance.cooling_ms == 100 * DAY_MS
    assert governance.separations == (("engineer", "officer"), ("officer", "registrar"))
    assert governance.separated_from("officer") == {"engineer", "registrar"}
    assert governance.separated_from("monitor") == frozenset()


def test_rule_for_parties_is_about_every_duty_of_theirs() -> None:
    free, home = governance_of(governed_charter()).independence
    assert free.duties == ("engineer", "officer", "registrar", "monitor")
    assert (free.roles, free.through) == (("excluded", "operator"), ("employer", "pay", "manager", "direction"))
    assert home == IndependenceRule(
        name="at-home",
        words="Whoever touches data lives, works and computes at home.",
        duties=("engineer", "officer"),
        residence=("NO",),
        works_in=("NO", "SE"),
        devices_of=("keeper",),
    )


def test_star_in_a_rule_is_every_duty() -> None:
    text = changed("duties: [engineer, officer]\n", 'duties: ["*"]\n')
    home = governance_of(parse_charter(text.encode(), file="governed.yaml")).independence[1]
    assert home.duties == ("engineer", "officer", "registrar", "monitor", "shipper")


def test_flow_says_what_it_asks_of_people_and_builds() -> None:
    charter = governed_charter()
    helping, by_build = charter.flows[-2:]
    assert (helping.duties, helping.needs, helping.builds) == (("engineer",), ("access", "break-glass"), "")
    assert (by_build.duties, by_build.needs, by_build.builds) == ((), (), "approved")
    assert [flow.is_governed for flow in charter.flows] == [False, False, False, True, True]


@pytest.mark.parametrize("left", [DUTIES, DUTIES + NEEDS, BUILDS])
def test_charter_requires_governance_as_long_as_one_flow_asks_for_any_of_it(left: str) -> None:
    text = GOVERNED.replace(DUTIES + NEEDS, left if DUTIES in left else "").replace(
        BUILDS, left if left == BUILDS else ""
    )
    assert parse_charter(text.encode(), file="governed.yaml").requires_governance
    assert not parse_charter(text.replace(left, "").encode(), file="governed.yaml").requires_governance


def test_and_within_or_and_or_within_and_are_written_out() -> None:
    two, one, three = Group(("officer",), 2), Group(("monitor",), 1), Group(("registrar", "engineer"), 3)
    enact = governance_of(governed_charter()).operations["enact-charter"]
    assert enact.alternatives == ((two, one), (two, three))
    assert alternatives_of("{any: [{from: [officer], count: 2}, {all: [{from: [monitor], count: 1}]}]}") == (
        (two,),
        (one,),
    )
    assert alternatives_of("{any: [{from: [officer], count: 2}, {from: [officer], count: 2}]}") == ((two,),)


def test_two_groups_of_one_duty_stay_two() -> None:
    one = Group(("officer",), 1)
    assert alternatives_of("{all: [{from: [officer], count: 1}, {from: [officer], count: 1}]}") == ((one, one),)


def test_as_many_ways_to_agree_as_there_may_be_are_accepted_and_one_more_is_refused() -> None:
    either = "{any: [{from: [officer], count: 1}, {from: [monitor], count: 1}, {from: [engineer], count: 1}, "
    either += "{from: [registrar], count: 1}]}"
    assert len(alternatives_of(f"{{all: [{either}, {either}, {either}]}}")) == ALTERNATIVES_MAX
    more = f"{{any: [{{from: [officer], count: 9}}, {{all: [{either}, {either}, {either}]}}]}}"
    (problem,) = problems_of(with_approval(more))
    assert "more than 64 ways to agree" in problem.found


def test_small_text_cannot_ask_for_a_large_result() -> None:
    either = "{any: [" + ", ".join(["{from: [officer], count: 1}"] * 16) + "]}"
    every = "{all: [" + ", ".join([either] * 16) + "]}"
    twice = "{all: [" + ", ".join([every] * 16) + "]}"
    (problem,) = problems_of(with_approval(twice))
    assert "more than 64 ways to agree" in problem.found


def test_way_to_agree_that_needs_too_many_people_is_refused() -> None:
    assert alternatives_of("{from: [officer], count: 64}") == ((Group(("officer",), 64),),)
    tree = "{all: [{from: [officer], count: 64}, {any: [{from: [monitor], count: 1}]}]}"
    (problem,) = problems_of(with_approval(tree))
    assert "more than 64 people" in problem.found


def test_break_glass_may_be_for_nobody() -> None:
    text = changed("break-glass: [engineer]", "break-glass: []")
    assert governance_of(parse_charter(text.encode(), file="governed.yaml")).orders["break-glass"] == ()


def test_governed_charter_survives_being_sent_to_another_process() -> None:
    assert pickle.loads(pickle.dumps(governed_charter())) == governed_charter()


MISTAKES = {
    "duty called as a service's is": (
        "duties:\n  engineer:",
        "duties:\n  ⟦none: {words: x, party: keeper}\n  engineer:",
        "`none`",
        "reserved",
    ),
    "duty called as nobody's is": (
        "duties:\n  engineer:",
        "duties:\n  ⟦other: {words: x, party: keeper}\n  engineer:",
        "`other`",
        "reserved",
    ),
    "no approvals": ("count: 2}}\n    appoint", "count: ⟦0}}\n    appoint", "0", "at least 1"),
    "fewer than no approvals": ("count: 2}}\n    appoint", "count: ⟦-1}}\n    appoint", "-1", "at least 1"),
    "approvals that are no number": ("count: 2}}\n    appoint", "count: ⟦true}}\n    appoint", "true", "how many"),
    "approvals left empty": ("count: 2}}\n    appoint", "⟦count: }}\n    appoint", "nothing", "how many"),
    "no count": (", count: 2}}\n    appoint", "}}\n    appoint", "`from`", "`from` with `count`"),
    "nobody approves": (
        "approve: {from: [officer], count: 2}}\n    appoint",
        "approve: ⟦{}}\n    appoint",
        "nobody",
        "all",
    ),
    "no approve": (
        ", approve: {from: [officer], count: 2}}\n    appoint",
        "}\n    appoint",
        "no `approve`",
        "must agree",
    ),
    "empty group": (
        "{from: [officer], count: 2}}\n    appoint",
        "{from: ⟦[], count: 2}}\n    appoint",
        "list",
        "at least 1",
    ),
    "empty all": ("{from: [officer], count: 2}}\n    appoint", "{all: ⟦[]}}\n    appoint", "list", "at least 1"),
    "empty any": ("{from: [officer], count: 2}}\n    appoint", "{any: ⟦[]}}\n    appoint", "list", "at least 1"),
    "two forms": (
        "{from: [officer], count: 2}}\n    appoint",
        "⟦{from: [officer], count: 2, all: [{from: [officer], count: 1}]}}\n    appoint",
        "`from` with `count` with `all`",
        "one of",
    ),
    "unknown key in a requirement": (
        "{from: [officer], count: 2}}\n    appoint",
        "{from: [officer], ⟦coun: 2}}\n    appoint",
        "unknown key `coun`",
        "did you mean `count`",
    ),
    "unknown duty within a requirement": (
        "- any: [{from: [monitor],",
        "- any: [{from: [⟦moniter],",
        "unknown duty `moniter`",
        "did you mean `monitor`",
    ),
    "unknown duty proposes": ("{propose: [shipper,", "{propose: [⟦shiper,", "unknown duty `shiper`", "`shipper`"),
    "nobody proposes": ("{propose: [shipper, engineer],", "{propose: ⟦[],", "list", "at least 1"),
    "duty twice in a group": ("[officer, monitor], count", "[officer, ⟦officer], count", "a second time", "once"),
    "operator approves": (
        "[officer, monitor], count: 1",
        "[officer, ⟦shipper], count: 1",
        "`shipper` of `app`, whose role is operator",
        "may only propose",
    ),
    "operator orders": ("revoke-grant: [officer, monitor]", "revoke-grant: [⟦shipper]", "`shipper`", "only propose"),
    "operator breaks the glass": ("break-glass: [engineer]", "break-glass: [⟦shipper]", "`shipper`", "only propose"),
    "operator stops an appointment": ("veto: {by: [monitor],", "veto: {by: [⟦shipper],", "`shipper`", "only propose"),
    "unknown duty stops": ("veto: {by: [monitor],", "veto: {by: [⟦moniter],", "`moniter`", "`monitor`"),
    "no time to stop": ("veto: {by: [monitor], hours: 48}", "veto: {by: [monitor], hours: ⟦0}", "0", "at least 1"),
    "longer to stop than a request stays open": ("hours: 48}", "hours: ⟦72}", "72", "fewer than the 72"),
    "unknown relation": ("never: [same-team]", "never: [⟦same-teem]", "`same-teem`", "did you mean `same-team`"),
    "relation twice": ("never: [same-team]", "never: [same-team, ⟦same-team]", "a second time", "once"),
    "request open too long": ("expires_hours_max: 240", "expires_hours_max: ⟦721", "721", "at most 720"),
    "operation missing": (ADMIT, "", "no `admit`", "an entry for each"),
    "unknown operation": (
        "    review: {",
        "    ⟦renew: {propose: [officer], approve: {from: [officer], count: 1}}\n    review: {",
        "`renew`",
        "did you mean `review`",
    ),
    "order missing": ("    dismiss: [officer]\n", "", "no `dismiss`", "an entry for each"),
    "unknown order": (
        "    dismiss: [officer]\n",
        "    dismiss: [officer]\n    ⟦dismis: [officer]\n",
        "`dismis`",
        "`dismiss`",
    ),
    "nobody orders": ("    dismiss: [officer]\n", "    dismiss: ⟦[]\n", "nobody", "at least one duty"),
    "grant without an end": ("    hours_max: 8", "    hours_max: ⟦0", "0", "at least 1"),
    "no limits of grants": ("    break_glass_review_hours: 24\n", "", "no `break_glass_review_hours`", "reviewed"),
    "longer alone than together": (
        "break_glass_hours_max: 2",
        "break_glass_hours_max: ⟦9",
        "9",
        "at most `hours_max`, 8",
    ),
    "more alone than together": (
        "break_glass_records_max: 50",
        "break_glass_records_max: ⟦1001",
        "1001",
        "`records_max`, 1000",
    ),
    "cooling below nothing": ("cooling_days: 100", "cooling_days: ⟦-1", "-1", "at least 0"),
    "duty of nobody": ("data, party: keeper}", "data, party: ⟦keeperr}", "unknown party `keeperr`", "`keeper`"),
    "duty without a party": (
        "  engineer: {words: works with the data, party: keeper}",
        "  ⟦engineer: {words: x}",
        "no `party`",
        "whose people",
    ),
    "bad name of a duty": (
        "  shipper: {",
        "  ⟦Shipper!: {words: x, party: app}\n  shipper: {",
        "`Shipper!`",
        "lower-case",
    ),
    "separation of one": ("[officer, registrar]]", "⟦[officer]]", "list", "at least 2"),
    "separation of unknown duties": ("[officer, registrar]]", "[officer, ⟦registrer]]", "`registrer`", "`registrar`"),
    "separation of a duty from itself": ("[officer, registrar]]", "[officer, ⟦officer]]", "a second time", "once"),
    "rule about nobody": ("    parties: [keeper, watch]\n", "", "neither `duties` nor `parties`", "about"),
    "rule about unknown duties": (
        "duties: [engineer, officer]",
        "duties: [⟦enginer, officer]",
        "`enginer`",
        "`engineer`",
    ),
    "rule about unknown parties": ("parties: [keeper, watch]", "parties: [keeper, ⟦wach]", "`wach`", "`watch`"),
    "rule of roles without ways": (
        "    through: [employer, pay, manager, direction]\n",
        "",
        "`roles` without `through`",
        "both",
    ),
    "rule of ways without roles": ("    roles: [excluded, operator]\n", "", "`through` without `roles`", "both"),
    "rule with an unknown way": ("[employer, pay,", "[employer, ⟦pey,", "`pey`", "did you mean `pay`"),
    "rule with an unknown role": (
        "roles: [excluded, operator]",
        "roles: [⟦exclude, operator]",
        "`exclude`",
        "`excluded`",
    ),
    "rule that asks nothing": (
        "    residence: [NO]\n    works_in: [NO, SE]\n    devices_of: [keeper]\n",
        "",
        "asks nothing",
        "what it asks",
    ),
    "rule that nobody can meet": (
        "parties: [keeper, watch]\n    roles",
        "parties: [keeper, watch, app]\n    roles",
        "`shipper` of `app`, whose role is operator",
        "keeps away",
    ),
    "residence in no country": ("residence: [NO]", "residence: [⟦UK]", "`UK`", "did you mean `GB`"),
    "work in no country": ("works_in: [NO, SE]", "works_in: [NO, ⟦XX]", "`XX`", "ISO 3166"),
    "devices of nobody": ("devices_of: [keeper]", "devices_of: [⟦keper]", "`keper`", "did you mean `keeper`"),
    "rule named as a flow": ("name: at-home", "name: ⟦helping", "`helping`", "a flow has this one"),
    "flow for an unknown duty": (
        "    duties: [engineer]\n",
        "    duties: [⟦enginer]\n",
        "unknown duty `enginer`",
        "`engineer`",
    ),
    "flow for another's duty": (
        "    duties: [engineer]\n",
        "    duties: [engineer, ⟦monitor]\n",
        "`monitor` of `watch`",
        "parties that may",
    ),
    "flow for a party without the duty": (
        "people help one user.\n    who: [keeper]",
        "people help one user.\n    who: [keeper, ⟦watch]",
        "`watch`, which has none of the flow's duties",
        "a duty of theirs",
    ),
    "flow under an unknown grant": (
        "[access, break-glass]",
        "[⟦acces, break-glass]",
        "`acces`",
        "did you mean `access`",
    ),
    "flow for builds and people": (BUILDS, "    duties: [shipper]\n    ⟦builds: approved\n", "for people", "alone"),
    "flow under a grant for nobody": (DUTIES + NEEDS, NEEDS.replace("needs", "⟦needs"), "without `duties`", "people"),
    "flow for builds left empty": ("    builds: approved\n", "    ⟦builds:\n", "nothing", "approved build"),
    "flow for other builds": ("    builds: approved\n", "    builds: ⟦any\n", "`any`", "approved"),
    "excluded party breaks the glass": (
        "    who: [parent, watch]\n",
        "    needs: [break-glass]\n    who: [⟦parent, watch]\n",
        "excluded party `parent`",
        "never breaks the glass",
    ),
}

TOLD_MORE_THAN_ONCE = {
    "excluded party breaks the glass",  # and that it has no duty that the flow could be for
    "unknown key in a requirement",  # and that `count` is then missing
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_each_mistake_is_told_with_its_place(mistake: str) -> None:
    old, new, found, expected = MISTAKES[mistake]
    marked = changed(old, new)
    before, _, after = marked.partition(HERE)
    problems = problems_of(before + after)
    assert len(problems) == 1 or mistake in TOLD_MORE_THAN_ONCE, [problem.render() for problem in problems]
    told = next(problem for problem in problems if found in problem.found)
    assert expected in told.expected
    if HERE in marked:
        line_start = before.rfind("\n") + 1
        assert (told.line, told.column) == (before.count("\n") + 1, len(before) - line_start + 1)


def test_duty_of_an_excluded_party_opens_nothing_protected() -> None:
    text = changed("  shipper: {", "  envoy: {words: speaks for the parent, party: parent}\n  shipper: {")
    invariants = text[text.index("invariants:\n") : text.index("duties:\n  engineer")]
    open_to_parent = text.replace(invariants, "").replace(
        "    who: [keeper]\n    from: [NO]\n    purposes: [serve]\n    verbs: [find]\n    datasets: [person]",
        "    who: [keeper, parent]\n    from: [NO]\n    purposes: [serve]\n    verbs: [find]\n    datasets: [person]",
    )
    refused = open_to_parent.replace(DUTIES + NEEDS, "    duties: [engineer, envoy]\n    needs: [access]\n")
    (problem,) = problems_of(refused)
    assert "`envoy` of `parent`, which is excluded, in a flow for `protected`" in problem.found
    public = "datasets: [person]\n    classes: [protected]\n    duties"
    assert refused.count(public) == 1
    parse_charter(refused.replace(public, public.replace("protected", "public")).encode(), file="governed.yaml")


def test_excluded_party_may_propose() -> None:
    text = changed("  shipper: {words: proposes builds of the app, party: app}", "  shipper: {words: x, party: parent}")
    assert governance_of(parse_charter(text.encode(), file="g")).operations["approve-build"].propose[0] == "shipper"


def test_nothing_may_be_said_of_people_without_saying_who_must_agree() -> None:
    start = GOVERNED.index("governance:\n")
    text = GOVERNED[:start] + GOVERNED[GOVERNED.index("independence:\n") :]
    problems = problems_of(text)
    assert [problem.found for problem in problems] == [
        "`duties` without `governance`",
        "`needs` without `governance`",
        "`builds` without `governance`",
        "`duties` without `governance`",
        "`independence` without `governance`",
        "`separations` without `governance`",
    ]


def test_governance_without_duties_is_told_once() -> None:
    start = GOVERNED.index("duties:\n  engineer")
    text = GOVERNED[:start] + GOVERNED[GOVERNED.index("governance:\n") :]
    (problem,) = problems_of(text)
    assert (problem.found, problem.line) == (
        "`governance` without `duties`",
        text[: text.index("governance:\n")].count("\n") + 1,
    )


@pytest.mark.parametrize("nothing", ["governance:\n", "governance: {}\n", "governance: []\n"])
def test_governance_with_nothing_in_it_is_not_taken_for_none(nothing: str) -> None:
    assert problems_of(SMALL + nothing)
    assert parse_charter(SMALL.encode(), file="small.yaml").governance is None


def test_broken_governance_is_not_told_again_where_duties_are_named() -> None:
    problems = problems_of(changed("    hours_max: 8", "    hours_max: x"))
    assert len(problems) == 1
