"""A charter in Cedar, the policy language of cedarpolicy.com: a second reading of it, for an engine of somebody else.

Rules of this file:
1. A flow is one `permit` and an invariant one `forbid`, each annotated with its name. Of a charter that was checked no
   `forbid` ever applies to what a `permit` does.
2. A question is a request: principal is the party, action the verb, resource the dataset; all else is in the context,
   under the names that a `View` has. A suspended flow is named in `context.stopped`.
3. Cedar says which policies permit and knows no order among them: the first of these in the charter's order is the
   clause that a decision names.
4. Nothing here is shared with the engines or with the matrix, which are held against it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from ringfence.core.charter import ANY, Charter, Flow, Invariant
from ringfence.core.charter.terms import NONE, SHAPES, VERBS
from ringfence.core.decisions.view import APPROVED

CONTEXT: Final = ("purpose", "data_class", "country", "shape", "duty", "grant", "build")
"""What the context holds beside `stopped`, a text each."""


def render_cedar(charter: Charter) -> str:
    """Give the policies of a charter: its flows, then its invariants, in the order of the file."""
    return "\n".join([*_head(charter), *map(_permit, charter.flows), *map(_forbid, charter.invariants)])


def render_cedar_schema(charter: Charter) -> str:
    """Give the schema against which the policies and the requests are valid."""
    actions = ", ".join(map(quote, VERBS))
    texts = "\n".join(f"    {name}: String," for name in CONTEXT)
    return "\n".join(
        [
            *_head(charter),
            "entity Party;",
            "entity Dataset;",
            f"action {actions} appliesTo {{",
            "  principal: [Party],",
            "  resource: [Dataset],",
            "  context: {",
            texts,
            "    stopped: Set<String>,",
            "  },",
            "};",
            "",
        ]
    )


def quote(text: str) -> str:
    """Give a text as Cedar spells one: whatever is not plain ASCII is escaped."""
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(letter: str) -> str:
    if letter in '"\\':
        return "\\" + letter
    return letter if " " <= letter <= "~" else f"\\u{{{ord(letter):x}}}"


def _head(charter: Charter) -> Iterator[str]:
    yield f"// The Ringfence charter {quote(charter.name)}, version {charter.version}, as engine v2 decides by it."
    yield f"// SHA-256 of its file: {charter.digest.hex()}"
    yield "// principal: the party; action: the verb; resource: the dataset. context: the rest of the question, and in"
    yield "// `stopped` the names of the flows that are suspended. What the charter does not name is `other`."
    yield ""


def _permit(flow: Flow) -> str:
    shapes = SHAPES if flow.bulk is not None else ("single",)
    conditions = [
        _is_one(_entities("Party", flow.who), "principal"),
        _is_one(_entities("Dataset", flow.datasets), "resource"),
        _is_one(map(quote, flow.purposes), "context.purpose"),
        _is_one(map(quote, flow.classes), "context.data_class"),
        _is_one(map(quote, shapes), "context.shape"),
        _is_one(map(quote, flow.duties or (NONE,)), "context.duty"),
    ]
    if flow.countries != (ANY,):
        conditions.append(_is_one(map(quote, flow.countries), "context.country"))
    if flow.needs:
        conditions.append(_is_one(map(quote, flow.needs), "context.grant"))
    if flow.builds:
        conditions.append(f"context.build == {quote(APPROVED)}")
    conditions.append(f"!context.stopped.contains({quote(flow.name)})")
    return _policy("permit", flow.name, flow.words, flow.verbs, conditions)


def _forbid(invariant: Invariant) -> str:
    conditions = [
        _is_one(_entities("Party", invariant.parties), "principal"),
        _is_one(_entities("Dataset", invariant.datasets), "resource"),
        _is_one(map(quote, invariant.classes), "context.data_class"),
    ]
    if invariant.from_outside:
        conditions.append(f"!{_is_one(map(quote, invariant.from_outside), 'context.country')}")
    return _policy("forbid", invariant.name, invariant.words, invariant.verbs, conditions)


def _policy(effect: str, name: str, words: str, verbs: Iterable[str], conditions: Iterable[str]) -> str:
    actions = ", ".join(_entities("Action", verbs))
    when = " &&\n  ".join(conditions)
    return (
        f"@id({quote(name)})\n@words({quote(words)})\n"
        f"{effect} (principal, action in [{actions}], resource)\nwhen {{\n  {when}\n}};\n"
    )


def _entities(kind: str, names: Iterable[str]) -> Iterator[str]:
    return (f"{kind}::{quote(name)}" for name in names)


def _is_one(values: Iterable[str], what: str) -> str:
    return f"[{', '.join(values)}].contains({what})"
