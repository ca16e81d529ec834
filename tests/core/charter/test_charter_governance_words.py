"""What a charter says of people, as those who will sign it read it."""

from __future__ import annotations

from ringfence.core.charter import parse_charter
from ringfence.core.charter.governance import OPERATIONS, ORDERS, POWERS
from ringfence.core.charter.words import explain_charter
from tests.core.governed_charter import GOVERNED, governance_of, governed_charter
from tests.core.small_charter import small_charter
from tests.prover.powers import COUNTED, written


def lines_of(text: str = GOVERNED) -> list[str]:
    """Give the explanation of a charter, line by line."""
    return explain_charter(parse_charter(text.encode(), file="governed.yaml")).splitlines()


def line_of(start: str, text: str = GOVERNED) -> str:
    """Give the one line that starts so, after its dash."""
    (line,) = [line for line in lines_of(text) if line.startswith(f"- {start}")]
    return line.removeprefix("- ")


def test_every_duty_rule_operation_and_order_is_told() -> None:
    governance = governance_of(governed_charter())
    words = explain_charter(governed_charter())
    rules = [rule.name for rule in governance.independence]
    told = [f"- {name}" for name in (*governance.duties, *rules)] + [f"({name}):" for name in (*OPERATIONS, *ORDERS)]
    assert [item for item in told if item not in words] == []


def test_and_and_or_cannot_be_taken_for_each_other() -> None:
    assert (
        "Needed is one of these agreements: (1) 2 people with the duty officer and 1 person with the duty monitor; "
        "or (2) 2 people with the duty officer and 3 people with the duty registrar or engineer."
    ) in line_of("To put another version")
    assert "Needed is the agreement of 1 person with the duty monitor and 1 person with the duty officer." in line_of(
        "To end a suspension"
    )


def test_who_may_ask_and_who_may_not_agree_is_told() -> None:
    grant = line_of("To grant access for some time")
    assert grant.startswith("To grant access for some time (grant): engineer may ask.")
    for relation in ("same team", "same manager", "managed or directed by", "appointed by the one who asks"):
        assert relation in grant
    assert grant.endswith("A request stays open for at most 24 hours.")
    assert "Nobody may agree" not in line_of("To let a person in")
    assert any("Nobody agrees to what they ask for or gain from" in line for line in lines_of())


def test_veto_minimum_and_separations_are_told_where_there_are_any() -> None:
    officer = line_of("officer, of Keeper")
    assert "While fewer than 3 people hold it, nothing is carried but letting people in, duties and keys." in officer
    assert (
        "An appointment to it waits 48 hours from the request, "
        "in which any one person with the duty monitor may stop it."
    ) in officer
    assert line_of("engineer, of Keeper") == "engineer, of Keeper: works with the data."
    assert "- Nobody holds two of engineer and officer." in lines_of()


def test_rules_of_independence_are_told_with_what_they_ask() -> None:
    assert line_of("free-of-the-parent").endswith(
        "Nobody may hold the duty engineer, officer, registrar or monitor who is someone whom App or Parent employs, "
        "pays, manages or directs, directly or through any chain of people."
    )
    assert line_of("at-home").endswith(
        "who lives anywhere but in NO; or who works anywhere but in NO or SE; or who works on devices of anyone but "
        "Keeper."
    )
    assert any("ended counts for 100 more days" in line for line in lines_of())


def test_duties_that_no_rule_keeps_independent_are_told() -> None:
    def gaps(text: str) -> list[str]:
        return [line for line in lines_of(text) if line.startswith("- No rule here keeps")]

    assert gaps(GOVERNED) == [
        "- No rule here keeps the duty shipper from someone whom Parent employs, pays, manages or directs."
    ]
    assert gaps(GOVERNED.replace("[employer, pay, manager, direction]", "[employer, pay]"))[0] == (
        "- No rule here keeps the duty engineer, officer, registrar or monitor "
        "from someone whom App manages or directs."
    )


def test_grants_and_broken_glass_are_told_with_their_limits() -> None:
    assert "- A grant lasts at most 8 hours and covers at most 1,000 records in all." in lines_of()
    assert line_of("Broken glass gives").endswith("for at most 2 hours and to at most 50 records.")
    assert "within 24 hours. Until it was, the same person cannot break the glass again" in line_of(
        "It must be reviewed"
    )
    sealed = GOVERNED.replace("break-glass: [engineer]", "break-glass: []")
    assert not any(line.startswith(("- Broken glass gives", "- It must be reviewed")) for line in lines_of(sealed))
    assert line_of("To break the glass", sealed).endswith("(break-glass): nobody may.")


def test_flow_is_told_with_what_it_asks_of_people_and_builds() -> None:
    helping = line_of("helping:")
    assert "Only people with the duty engineer may use it." in helping
    assert "A person may use it only under a grant of access or broken glass" in helping
    assert "Only services with an approved build may use it." in line_of("serving-by-build:")
    assert "Only services may use it, and no person." in line_of("serving:")
    assert "use it" not in explain_charter(small_charter())


def test_charter_that_says_nothing_of_people_is_told_to_say_nothing() -> None:
    silence = "Whoever runs the system changes its rules, people and services alone."
    assert silence in explain_charter(small_charter())
    assert silence not in explain_charter(governed_charter())


def test_how_many_must_collude_and_who_has_which_power_is_told() -> None:
    number = line_of("No charter, admission, duty", COUNTED)
    assert "leaves fewer than 3 people who would have to join The parent to read protected data" in number
    assert number.endswith("unless there were as few before.")
    assert line_of("To reach into a running gateway (gateway-root)", COUNTED) == (
        "To reach into a running gateway (gateway-root) takes 1 person with the duty engineer and 2 people with the "
        "duty officer: An engineer and two officers."
    )
    assert "(host-root) takes 1 person of The overseer: The board's machines." in line_of("To read and write", COUNTED)
    assert not any("It does not say who can" in line for line in lines_of(COUNTED))


def test_ways_to_a_power_are_numbered_where_there_are_several() -> None:
    several = written(
        "sign-builds: {words: Inspectors., by: {from: [inspector], count: 1}}",
        "sign-builds: {words: Few., by: {any: [{from: [inspector], count: 1}, {from: [officer], count: 2}]}}",
    )
    assert line_of("To attest builds", several) == (
        "To attest builds (sign-builds) takes one of these: (1) 1 person with the duty inspector; or "
        "(2) 2 people with the duty officer: Few."
    )


def test_charter_without_a_number_says_so_and_which_powers_it_leaves_to_whoever_colludes() -> None:
    assert line_of("This charter asks for no number") == "This charter asks for no number of people."
    untold = line_of("It does not say who can")
    assert all(f"({name})" in untold for name in POWERS)
    assert untold.endswith("whoever colludes is taken to.")
    assert not any(line.startswith("- No charter, admission") for line in lines_of())
