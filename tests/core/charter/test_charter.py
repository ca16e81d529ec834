"""Charters: what is accepted, and that each kind of problem is told with its place."""

from __future__ import annotations

import pickle
import re
from fractions import Fraction
from pathlib import Path

import pytest

from ringfence.core.charter import ANY, Charter, FieldReference, parse_charter, parse_draft
from ringfence.core.charter.document import DEPTH_MAX, NODES_MAX, TEXT_SIZE_BYTES_MAX
from ringfence.core.charter.words import explain_charter
from ringfence.core.errors import CharterInvalidError
from tests.core.small_charter import SMALL, changed, problems_of, small_charter

EXAMPLE = Path(__file__).parents[3] / "examples/us-user-data/charter.yaml"
HERE = "⟦"  # in a changed charter: the problem is told to be here


def place_of(marked: str) -> tuple[str, int, int]:
    """Give the text without the mark, and the mark's line and column."""
    before, after = marked.split(HERE)
    line_start = before.rfind("\n") + 1
    return before + after, before.count("\n") + 1, len(before) - line_start + 1


def test_small_charter_is_accepted_and_means_what_it_says() -> None:
    charter = small_charter()
    assert (charter.name, charter.version, charter.jurisdiction.country) == ("small", 3, "NO")
    assert charter.jurisdiction.login_share_min == Fraction(1, 10)
    assert charter.identity == FieldReference("person", "id")
    assert list(charter.parties) == ["keeper", "hoster", "app", "parent", "watch"]
    assert charter.datasets["person"].sources == (("Person",), ("Old", "Person"))
    assert charter.datasets["posts"].field_classes == {"title": "record", "seen_by": "record", "place": "protected"}
    assert charter.catch_all().name == "rest"
    serving, many, showing = charter.flows
    assert serving.bulk is None
    assert serving.withhold[0] == FieldReference("person", "country")
    assert many.datasets == ("person", "posts", "chats", "logins", "rest")
    assert many.classes == ("protected", "public", "shared")
    assert showing.countries == (ANY,)
    assert charter.invariants[0].parties == ("parent",)


def test_worked_example_is_accepted() -> None:
    charter = parse_charter(EXAMPLE.read_bytes(), file=str(EXAMPLE))
    assert {party.role for party in charter.parties.values()} == {
        "custodian",
        "host",
        "operator",
        "excluded",
        "overseer",
    }


def test_charter_survives_being_sent_to_another_process() -> None:
    charter = small_charter()
    assert pickle.loads(pickle.dumps(charter)) == charter


def test_digest_is_that_of_the_file() -> None:
    commented = parse_charter(SMALL.encode() + b"# one more line\n", file="small.yaml")
    assert commented.digest != small_charter().digest
    assert len(commented.digest) == 32


MISTAKES = {
    "unknown key": ("version: 3\n", "version: 3\n⟦verison: 3\n", "unknown key `verison`", "did you mean `version`"),
    "unknown key in a flow": (
        "    bulk: {records_max: 50,",
        "    ⟦limit: 3\n    bulk: {records_max: 50,",
        "`limit`",
        "bulk",
    ),
    "wrong type": ("version: 3", "version: ⟦three", "`three`", "whole number"),
    "quoted number": ("version: 3", 'version: ⟦"3"', "`3`", "whole number"),
    "version too small": ("version: 3", "version: ⟦0", "0", "at least 1"),
    "missing section": ("identity: {dataset: person, field: id}\n", "", "no `identity`", "user id"),
    "missing key": ("  app: {name: App, role: operator}", "  ⟦app: {name: App}", "no `role`", "custodian"),
    "empty value": ("    words: The app serves a user.", "    ⟦words: ", "nothing", "in words"),
    "bad name": ("  serve: to serve a user", "  ⟦Serve!: to serve a user\n  serve: x", "`Serve!`", "lower-case"),
    "name too long": ("charter: small", "charter: ⟦" + "a" * 64, "`aaaa", "1 to 63"),
    "reserved name": ("  serve: to serve a user", "  ⟦other: x\n  serve: to serve a user", "`other`", "reserved"),
    "unknown role": ("role: operator", "role: ⟦operater", "`operater`", "did you mean `operator`"),
    "unknown verb": ("[read, write, find]", "[read, ⟦wrte, find]", "`wrte`", "did you mean `write`"),
    "unknown normalization": ("normalize: phone", "normalize: ⟦phon", "`phon`", "did you mean `phone`"),
    "unknown country": ("country: NO\n  evidence", "country: ⟦XX\n  evidence", "country `XX`", "ISO 3166"),
    "usual mistake for a country": ("from: [NO, SE]", "from: [NO, ⟦UK]", "`UK`", "did you mean `GB`"),
    "lower-case country": ("country: SE,", "country: ⟦se,", "`se`", "did you mean `SE`"),
    "unknown party": ("who: [app]", "who: [⟦ap]", "unknown party `ap`", "did you mean `app`"),
    "unknown purpose": ("purposes: [serve]", "purposes: [⟦serv]", "unknown purpose `serv`", "did you mean `serve`"),
    "unknown dataset": (
        "datasets: [person, posts]\n    classes: [protected",
        "datasets: [person, ⟦post]\n    classes: [protected",
        "unknown dataset `post`",
        "did you mean `posts`",
    ),
    "unknown class in a flow": (
        "[protected, public]\n    withhold",
        "[protected, ⟦pubic]\n    withhold",
        "`pubic`",
        "`public`",
    ),
    "unknown class of a field": ("about: public", "about: ⟦publik", "unknown class `publik`", "did you mean `public`"),
    "unknown class of a region": ("holds: [public]", "holds: [⟦secret]", "unknown class `secret`", "protected"),
    "unknown class of a record": ("{all: public,", "{all: ⟦open,", "unknown class `open`", "one of"),
    "unknown field of identity": ("field: id}\nparties", "field: ⟦ident}\nparties", "unknown field `ident`", "person"),
    "identity where a user has many": (
        "identity: {dataset: person, field: id}",
        "identity: {dataset: ⟦posts, field: title}",
        "`posts`",
        "records: one",
    ),
    "unknown field of evidence": ("field: address}]", "field: ⟦adress}]", "unknown field `adress`", "`address`"),
    "unknown dataset of evidence": ("[{dataset: logins,", "[{dataset: ⟦login,", "unknown dataset `login`", "`logins`"),
    "unknown field of a record's class": ("{field: seen_by,", "{field: ⟦seen,", "unknown field `seen`", "declares"),
    "withheld field unknown": ("posts.place", "⟦posts.plaze", "unknown field `plaze`", "did you mean `place`"),
    "withheld dataset unknown": ("posts.place", "⟦poets.place", "unknown dataset `poets`", "did you mean `posts`"),
    "withheld without a dataset": ("posts.place", "⟦place", "`place`", "dataset.field"),
    "withheld from elsewhere": ("posts.place", "⟦chats.text", "field of `chats`", "that this flow is for"),
    "entry twice in a list": ("who: [app, keeper]", "who: [app, ⟦app]", "`app` a second time", "once"),
    "star among names": ("from: [NO, SE]", 'from: [NO, ⟦"*"]', "among other entries", "alone"),
    "star as a party": ("who: [app]", 'who: [⟦"*"]', "unknown party `*`", "one of"),
    "empty list": ("who: [app]", "who: ⟦[]", "a list", "at least 1"),
    "key twice": ("version: 3\n", "version: 3\n⟦version: 4\n", "`version` a second time", "first on line 2"),
    "dataset twice": ("  chats:\n", "  ⟦posts:\n", "`posts` a second time", "first on line"),
    "flow twice": ("name: showing", "name: ⟦serving", "name `serving` a second time", "a flow has this one"),
    "invariant named as a flow": ("name: host-reads-nothing", "name: ⟦showing", "`showing`", "a flow has this one"),
    "no custodian": (
        "parties:\n  keeper: {name: Keeper, role: custodian}",
        "⟦parties:\n  keeper: {name: Keeper, role: overseer}",
        "no custodian",
        "role: custodian",
    ),
    "no protected class": (
        "classes:\n  protected: whatever",
        "⟦classes:\n  guarded: whatever",
        "no class `protected`",
        "is of it",
    ),
    "nowhere for protected": ("holds: [protected, public]", "holds: [public]", "no region that holds", "somewhere"),
    "no catch-all": ("    catch_all: true\n", "    sources: [[Rest]]\n", "no catch-all dataset", "catch_all: true"),
    "two catch-alls": (
        "    sources: [[Logins]]\n    fields: {address: protected}\n  rest:\n    records: many\n    catch_all: true",
        "    catch_all: true\n    fields: {address: protected}\n  rest:\n    records: many\n    catch_all: ⟦true",
        "another catch-all",
        "`logins` is it",
    ),
    "catch-all with sources": (
        "    catch_all: true\n",
        "    catch_all: true\n    ⟦sources: [[Rest]]\n",
        "sources",
        "none",
    ),
    "catch-all not protected": ("    fields: {}", "    fields: {x: ⟦public}", "`public`", "`protected`"),
    "no sources": ("    sources: [[Logins]]\n", "", "no `sources`", "path of keys"),
    "sources overlap": (
        "[[Posts, List]]",
        "[⟦[Person, List]]",
        "`Person/List`, which overlaps `Person`",
        "one dataset",
    ),
    "source twice": ("[[Logins]]", "[⟦[Posts, List]]", "overlaps `Posts/List` of `posts`", "one dataset"),
    "source around another": (
        "[[Logins]]",
        "[⟦[Posts]]",
        "`Posts`, which overlaps `Posts/List` of `posts`",
        "one dataset",
    ),
    "star overlaps": ("[[Logins]]", "[⟦[Chats, mine]]", "overlaps `Chats/*` of `chats`", "one dataset"),
    "two stars": ('[[Chats, "*"]]', '[⟦["*", Chats, "*"]]', "more than one `*`", "key_field"),
    "star without a key field": ("    key_field: with\n", "", "`*` without a `key_field`", "lost"),
    "key field without a star": (
        "    sources: [[Logins]]",
        "    key_field: ⟦x\n    sources: [[Logins]]",
        "without `*`",
        "`*`",
    ),
    "record class without a rule": (
        "    record_class: {field: seen_by, values: {all: public, some: shared}}\n",
        "",
        "class `record`",
        "record_class",
    ),
    "searchable of few values": (
        "{dataset: person, field: id}\n  -",
        "{dataset: person, field: ⟦about}\n  -",
        "`about`, which is not declared `distinct: many`",
        "gives them away",
    ),
    "searchable twice": (
        "- {dataset: person, field: phone,",
        "- ⟦{dataset: person, field: id,",
        "a second time",
        "once",
    ),
    "a day's limit below a request's": (
        "records_per_day_max: 5000",
        "records_per_day_max: ⟦49",
        "49",
        "at least `records_max`, 50",
    ),
    "downgrades without writing": (
        "    bulk: {records_max: 10,",
        "    downgrades_per_day_max: ⟦1\n    bulk: {records_max: 10,",
        "does not write",
        "0",
    ),
    "bulk limit beyond any": ("records_max: 50,", "records_max: ⟦100001,", "100001", "at most 100000"),
    "all classes for the excluded": (
        "verbs: [read]\n    datasets: [person, posts]\n    classes: [public]",
        'verbs: [write]\n    datasets: [person, posts]\n    classes: ⟦["*"]',
        "all classes",
        "`parent` is excluded",
    ),
    "invariant of nobody": (
        "    never: {roles: [host],",
        "    ⟦never: {",
        "neither `roles` nor `parties`",
        "who may never",
    ),
    "login share above 1": ("login_share_min: 0.1", "login_share_min: ⟦1.5", "1.5", "at most 1"),
    "an anchor": ("who: [app]", "who: ⟦&who [app]", "anchor `&who`", "without anchors"),
    "a tag": ("version: 3", "version: ⟦!!int 3", "tag", "without a tag"),
    "not YAML": (
        "identity: {dataset: person, field: id}",
        "identity: {dataset: person⟦: id}",
        "not YAML",
        "well-formed",
    ),
}

TOLD_MORE_THAN_ONCE = {"dataset twice", "record class without a rule"}  # each place of it, or what follows from it


@pytest.mark.parametrize("mistake", MISTAKES)
def test_each_mistake_is_told_with_its_place(mistake: str) -> None:
    old, new, found, expected = MISTAKES[mistake]
    marked = changed(old, new)
    text, line, column = place_of(marked) if HERE in marked else (marked, 0, 0)
    problems = problems_of(text)
    assert len(problems) == 1 or mistake in TOLD_MORE_THAN_ONCE, [problem.render() for problem in problems]
    told = next(problem for problem in problems if found in problem.found)
    assert expected in told.expected
    assert told.file == "small.yaml"
    if line:
        assert (told.line, told.column) == (line, column)


def test_flow_that_breaks_an_invariant_is_told_with_all_four_names() -> None:
    old = "    datasets: [person, posts]\n    classes: [public]"
    problems = problems_of(changed(old, old.replace("[public]", "[public, protected]")))
    assert len(problems) == 1
    assert SMALL.splitlines()[problems[0].line - 1] == "  - name: showing"
    for name in ("showing", "parent", "protected", "read"):
        assert name in problems[0].found
    assert "parent-never-reads" in problems[0].expected


def test_draft_whose_flow_breaks_an_invariant_is_given_with_the_flow_and_any_other_mistake_refuses_it() -> None:
    old = "    datasets: [person, posts]\n    classes: [public]"
    text = changed(old, old.replace("[public]", "[public, protected]"))

    draft, breaches = parse_draft(text.encode(), file="small.yaml")

    assert [flow.classes for flow in draft.flows if flow.name == "showing"] == [("public", "protected")]
    assert breaches == problems_of(text)
    assert parse_draft(SMALL.encode(), file="small.yaml") == (small_charter(), ())
    with pytest.raises(CharterInvalidError) as refused:
        parse_draft(text.replace("who: [app]", "who: [nobody]").encode(), file="small.yaml")
    assert len(refused.value.problems) == 2


def test_invariant_may_speak_only_of_requests_from_elsewhere() -> None:
    never = "    never: {roles: [operator], verbs: [read], classes: [protected], from_outside: [%s]}\n"
    invariant = "  - name: at-home\n    words: Read at home.\n" + never
    parse_charter((SMALL + invariant % "NO, SE").encode(), file="small.yaml")
    from_anywhere = changed("from: [NO, SE]", 'from: ["*"]') + invariant % "NO, SE"
    assert len(problems_of(from_anywhere)) == 1
    problems = problems_of(SMALL + invariant % "NO")
    assert len(problems) == 1
    assert "from outside NO" in problems[0].found


def test_every_mistake_is_told_at_once_in_the_order_of_the_file() -> None:
    text = (
        SMALL.replace("version: 3", "version: x")
        .replace("country: SE", "country: XX")
        .replace("role: operator", "role: boss")
        .replace("about: public", "about: publik")
        .replace("who: [app]", "who: [ap]")
        .replace("[read, write, find]", "[read, wrte, find]")
        .replace("posts.place", "posts.plaze")
        .replace("field: phone, normalize", "field: about, normalize")
    )
    problems = problems_of(text)
    assert [problem.line for problem in problems] == sorted(problem.line for problem in problems)
    told = " ".join(problem.found for problem in problems)
    for word in ("`x`", "`XX`", "`boss`", "`publik`", "`ap`", "`wrte`", "`plaze`", "`about`"):
        assert word in told
    assert len(problems) == 8, [problem.render() for problem in problems]


def test_what_is_broken_is_not_reported_again_where_it_is_named() -> None:
    problems = problems_of(changed("  app: {name: App, role: operator}", "  app: {name: App, role: boss}"))
    assert len(problems) == 1


@pytest.mark.parametrize("broken", ["5", "", "{}"])
@pytest.mark.parametrize("section", ["parties", "classes", "datasets", "purposes", "regions"])
def test_section_that_is_broken_is_not_reported_again_by_its_names(section: str, broken: str) -> None:
    head, rest = SMALL.split(f"\n{section}:\n")
    after = rest[re.search(r"^\w", rest, re.MULTILINE).start() :]  # type: ignore[union-attr]  # a section follows
    problems = problems_of(f"{head}\n{section}: {broken}\n{after}")
    assert [problem.line for problem in problems] == [head.count("\n") + 2]
    assert f"a mapping of {section}" in problems[0].expected or "at least 1" in problems[0].expected


@pytest.mark.parametrize(
    ("text", "found", "place"),
    [
        (b"", "an empty file", (1, 1)),
        (b"# nothing\n", "an empty file", (1, 1)),
        (b"a: 1\nb: \xff\n", "0xff, which is not UTF-8", (2, 4)),
        (b"a: 1\nb: \x00\n", "U+0000", (2, 4)),
        (b"a: 1\nb: [\r]\n", "U+000D", (2, 5)),
        (b" " * (TEXT_SIZE_BYTES_MAX + 1), "1048577 bytes", (0, 0)),
        (b"[" * (DEPTH_MAX + 1), "levels", (1, DEPTH_MAX + 1)),
        (b"[" * 100_000, "levels", (1, DEPTH_MAX + 1)),
        (b"- " * 100_000, "levels", (1, 2 * DEPTH_MAX + 1)),
        (b"a: &x [1]\nb: *x\n", "anchor", (1, 4)),
        (b"a: 1\n--- \nb: 2\n", "second YAML document", (2, 1)),
        (b"%YAML 1.1\n---\na: NO\n", "directive", (2, 1)),
        (b"? [a]\n: b\n", "as a key", (1, 3)),
        (b"a: !!python/object/apply:os.system [x]\n", "tag", (1, 4)),
        (b"[a, b]\n", "a list", (1, 1)),
        (b"just words\n", "`just words`", (1, 1)),
        (b"a:\n\tb: 1\n", "not YAML", (2, 1)),
    ],
    ids=lambda value: repr(value[:20]) if isinstance(value, bytes) else None,
)
def test_text_that_cannot_be_a_charter_is_told_clearly(text: bytes, found: str, place: tuple[int, int]) -> None:
    assert place in [(problem.line, problem.column) for problem in problems_of(text) if found in problem.found]


def test_list_that_is_too_long_is_told_with_its_length() -> None:
    problems = problems_of(changed("from: [NO, SE]", f"from: [{', '.join(['NO'] * 300)}]"))
    assert [problem.found for problem in problems] == ["a list of 300"]


def test_charter_with_too_many_values_is_refused() -> None:
    text = b"a: [" + b"1," * NODES_MAX + b"1]"
    assert any(f"more than {NODES_MAX} values" in problem.found for problem in problems_of(text))


def test_near_names_are_looked_for_only_while_problems_are_few() -> None:
    wrong = [f"parson{number}" for number in range(150)]
    problems = problems_of(
        SMALL.replace(
            "datasets: [person, posts]\n    classes: [public]", f"datasets: {wrong}\n    classes: [public]"
        ).replace("'", "")
    )
    assert len(problems) == 150
    assert sum("did you mean `person`" in problem.expected for problem in problems) == 100


def test_what_the_file_says_is_escaped_and_cut_in_problems() -> None:
    problems = problems_of(changed("version: 3", 'version: "\\u001b[31m' + "x" * 500 + '"'))
    assert "\x1b" not in problems[0].render()
    assert len(problems[0].found) < 100


def test_byte_order_mark_is_no_part_of_the_text() -> None:
    assert isinstance(parse_charter(b"\xef\xbb\xbf" + SMALL.encode(), file="small.yaml"), Charter)


def test_explanation_names_everyone_and_everything() -> None:
    charter = parse_charter(EXAMPLE.read_bytes(), file=str(EXAMPLE))
    words = explain_charter(charter)
    names = [*charter.parties, *charter.regions, *charter.classes, *charter.datasets]
    names += [flow.name for flow in charter.flows] + [item.name for item in charter.invariants]
    assert [name for name in names if name not in words] == []
    assert "Withheld: profile.emailAddress, profile.telephoneNumber and profile.birthDate." in words


def test_explanation_says_what_is_withheld_only_where_something_is() -> None:
    words = explain_charter(small_charter())
    serving, many = (line for line in words.splitlines() if line.startswith("- serving"))
    assert "Withheld: person.country, posts.place and person.phone." in serving
    assert "only from NO or SE" in serving
    assert "Withheld" not in many
