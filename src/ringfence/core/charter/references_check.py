"""Checks between the parts of a charter: every name refers to something, and nothing contradicts.

Rules of this file:
1. Checks see only values whose shape is right. A name counts as known when the file has it, even if what it names is
   broken, so that one mistake is reported once.
2. Every check adds its problems and goes on: the reader gets all of them at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from ringfence.core.charter.checker import Checker, FileNames
from ringfence.core.charter.coalition_check import check_coalition
from ringfence.core.charter.document import Document, Path, show
from ringfence.core.charter.governance_check import check_governance
from ringfence.core.charter.independence_check import check_independence
from ringfence.core.charter.overlap import Source, find_overlaps
from ringfence.core.charter.shape import CharterShape, DatasetShape, FlowShape
from ringfence.core.charter.terms import ANY, PROTECTED, RECORD, RESERVED, RESERVED_FOR_DUTIES
from ringfence.core.errors import Problem


def check_references(document: Document, shape: CharterShape, *, names: FileNames) -> list[Problem]:
    """Give every problem between the parts of the charter.

    Args:
        document: where things are, for what `shape` was made from.
        shape: the parts whose shape is right.
        names: the names that the file has, those of broken parts too.
    """
    checker = Checker(document, shape, names)
    for check in _CHECKS:
        check(checker)
    return checker.problems


def check_invariants(document: Document, shape: CharterShape, *, names: FileNames) -> list[Problem]:
    """Give every flow that permits what an invariant forbids; arguments as of `check_references`."""
    checker = Checker(document, shape, names)
    for position, invariant in enumerate(shape.invariants):
        never = invariant.never
        bound = {*never.parties, *(party for role in never.roles for party in _all_with_role(checker, role))}
        for flow_position, flow in enumerate(shape.flows):
            _check_flow_keeps(checker, flow_position, flow, invariant.name, bound, position)
    return checker.problems


def _check_names(checker: Checker) -> None:
    for section in ("parties", "regions", "classes", "datasets", "purposes", "duties"):
        reserved = RESERVED_FOR_DUTIES if section == "duties" else RESERVED
        for name in getattr(checker.shape, section):
            if name in reserved:
                checker.add(
                    (section, name), f"the name {show(name)}", "another name: this one is reserved", at_key=True
                )
    if checker.known("classes") and PROTECTED not in checker.known("classes"):
        expected = f"a class `{PROTECTED}`: whatever is not classified is of it"
        checker.add(("classes",), f"no class `{PROTECTED}`", expected, at_key=True)
    seen: dict[str, str] = {}
    clauses: list[tuple[Path, str, str]] = [
        (("flows", position, "name"), item.name, "flow") for position, item in enumerate(checker.shape.flows)
    ]
    clauses += [
        (("invariants", position, "name"), item.name, "invariant")
        for position, item in enumerate(checker.shape.invariants)
    ]
    clauses += [
        (("independence", position, "name"), item.name, "rule of independence")
        for position, item in enumerate(checker.shape.independence)
    ]
    for path, name, kind in clauses:
        if name in seen:
            checker.add(path, f"the name {show(name)} a second time", f"another name: a {seen[name]} has this one")
        seen.setdefault(name, kind)


def _check_jurisdiction(checker: Checker) -> None:
    rules = checker.shape.jurisdiction
    if rules is not None:
        checker.country(("jurisdiction", "country"), rules.country)
        for kind in ("declared", "phone", "login_ip"):
            for position, item in enumerate(getattr(rules.evidence, kind)):
                checker.reference(("jurisdiction", "evidence", kind, position), item)
    identity = checker.shape.identity
    if identity is not None:
        checker.reference(("identity",), identity)
        dataset = checker.shape.datasets.get(identity.dataset)
        if dataset is not None and dataset.records == "many":
            expected = "a dataset with `records: one`: a user has one identity"
            checker.add(("identity", "dataset"), f"the dataset {show(identity.dataset)}", expected)


def _check_parties_and_regions(checker: Checker) -> None:
    parties, regions = checker.shape.parties, checker.shape.regions
    if (
        parties
        and not any(party.role == "custodian" for party in parties.values())
        and checker.document.is_whole(("parties",))
    ):
        checker.add(("parties",), "no custodian", "a party with `role: custodian`, to hold the keys", at_key=True)
    for name, region in regions.items():
        checker.country(("regions", name, "country"), region.country)
        checker.name_list(("regions", name, "holds"), region.holds, "classes", "class", any_allowed=False)
    if (
        regions
        and not any(PROTECTED in region.holds for region in regions.values())
        and checker.document.is_whole(("regions",))
    ):
        expected = f"a region that holds `{PROTECTED}`: the data must be somewhere"
        checker.add(("regions",), f"no region that holds `{PROTECTED}`", expected, at_key=True)


def _check_datasets(checker: Checker) -> None:
    datasets = checker.shape.datasets
    for name, dataset in datasets.items():
        _check_fields(checker, name, dataset)
        _check_sources(checker, name, dataset)
    catch_all = [name for name, dataset in datasets.items() if dataset.catch_all]
    if datasets and not catch_all and checker.document.is_whole(("datasets",)):
        expected = "one dataset with `catch_all: true`, for whatever no source matches"
        checker.add(("datasets",), "no catch-all dataset", expected, at_key=True)
    for name in catch_all[1:]:
        expected = f"one catch-all dataset; `{catch_all[0]}` is it"
        checker.add(("datasets", name, "catch_all"), "another catch-all dataset", expected)


def _check_fields(checker: Checker, name: str, dataset: DatasetShape) -> None:
    path: Path = ("datasets", name, "fields")
    for field_name, item in dataset.fields.items():
        if item.data_class == RECORD:
            if dataset.record_class is None:
                expected = "a class, or a `record_class` in this dataset"
                checker.add((*path, field_name), "the class `record`", expected)
        elif not checker.name((*path, field_name), item.data_class, "classes", "class"):
            continue
        elif dataset.catch_all and item.data_class != PROTECTED:
            found, expected = show(item.data_class), f"`{PROTECTED}`: a catch-all dataset has no other class"
            checker.add((*path, field_name), found, expected)
    rule = dataset.record_class
    if rule is None:
        return
    if dataset.catch_all:
        expected = f"none in a catch-all dataset: all of it is {PROTECTED}"
        checker.add(("datasets", name, "record_class"), "a `record_class`", expected, at_key=True)
    if checker.document.is_whole(path) and not any(item.data_class == RECORD for item in dataset.fields.values()):
        expected = "a field of the class `record` that it is for"
        checker.add(("datasets", name, "record_class"), "a `record_class` that no field uses", expected, at_key=True)
    checker.field_of(("datasets", name), name, rule.field, at=("record_class", "field"))
    for value, data_class in rule.values.items():
        checker.name(("datasets", name, "record_class", "values", value), data_class, "classes", "class")


def _check_sources(checker: Checker, name: str, dataset: DatasetShape) -> None:
    path: Path = ("datasets", name)
    if dataset.catch_all:
        if dataset.sources:
            expected = "none: a catch-all dataset takes what no source matches"
            checker.add((*path, "sources"), "sources", expected, at_key=True)
        return
    if not dataset.sources:
        expected = "`sources`: at least one path of keys, or `catch_all: true`"
        checker.add(path, "no `sources`", expected, at_key=True)
    starred = False
    for position, source in enumerate(dataset.sources):
        starred |= ANY in source
        if source.count(ANY) > 1:
            expected = "at most one, for the key that `key_field` keeps"
            checker.add((*path, "sources", position), "more than one `*`", expected)
        elif ANY in source and dataset.key_field is None:
            expected = "`key_field`: the field that keeps the key, or it would be lost"
            checker.add((*path, "sources", position), "`*` without a `key_field`", expected)
    if dataset.key_field is not None and not starred:
        checker.add((*path, "key_field"), "a `key_field` without `*`", "a source with `*`, or no `key_field`")


def _check_overlaps(checker: Checker) -> None:
    sources = [
        Source(name, position, tuple(source))
        for name, dataset in checker.shape.datasets.items()
        for position, source in enumerate(dataset.sources)
        if source.count(ANY) <= 1  # more are reported already
    ]
    for source, earlier in find_overlaps(sources):
        path: Path = ("datasets", source.dataset, "sources", source.position)
        found = f"the source {show('/'.join(source.keys))}, which overlaps {show('/'.join(earlier.keys))}"
        expected = "sources such that each value belongs to one dataset"
        checker.add(path, f"{found} of `{earlier.dataset}`", expected)


def _check_flows(checker: Checker) -> None:
    for position, flow in enumerate(checker.shape.flows):
        path: Path = ("flows", position)
        checker.name_list((*path, "who"), flow.who, "parties", "party", any_allowed=False)
        checker.country_list((*path, "from"), flow.countries, any_allowed=True)
        checker.name_list((*path, "purposes"), flow.purposes, "purposes", "purpose", any_allowed=False)
        checker.once((*path, "verbs"), flow.verbs)
        checker.name_list((*path, "datasets"), flow.datasets, "datasets", "dataset", any_allowed=True)
        checker.name_list((*path, "classes"), flow.classes, "classes", "class", any_allowed=True)
        _check_withheld(checker, path, flow)
        if flow.bulk is not None and flow.bulk.records_per_day_max < flow.bulk.records_max:
            expected = f"at least `records_max`, {flow.bulk.records_max}"
            checker.add((*path, "bulk", "records_per_day_max"), str(flow.bulk.records_per_day_max), expected)
        writes = "write" in flow.verbs or not checker.document.is_whole((*path, "verbs"))
        if flow.downgrades_per_day_max and not writes:
            checker.add((*path, "downgrades_per_day_max"), "downgrades in a flow that does not write", "0, or `write`")
        for party in _parties_with_role(checker, flow.who, "excluded"):
            if ANY in flow.classes:
                expected = f"classes by name: `{party}` is excluded, and classes may be added later"
                checker.add((*path, "classes"), "all classes", expected)


def _check_withheld(checker: Checker, path: Path, flow: FlowShape) -> None:
    checker.once((*path, "withhold"), flow.withhold)
    known_datasets = ANY not in flow.datasets and checker.known("datasets").issuperset(flow.datasets)
    for position, item in enumerate(flow.withhold):
        place: Path = (*path, "withhold", position)
        dataset, dot, field_name = item.partition(".")
        if not dot or not field_name:
            checker.add(place, show(item), "a field, as `dataset.field`")
        elif checker.name(place, dataset, "datasets", "dataset"):
            if known_datasets and dataset not in flow.datasets:
                checker.add(place, f"a field of {show(dataset)}", "a field of a dataset that this flow is for")
            checker.field_of(place, dataset, field_name, at=())


def _check_searchable(checker: Checker) -> None:
    seen: set[tuple[str, str]] = set()
    for position, item in enumerate(checker.shape.searchable):
        path: Path = ("searchable", position)
        if (item.dataset, item.field) in seen:
            checker.add(path, f"`{item.dataset}.{item.field}` a second time", "each searchable field once")
        seen.add((item.dataset, item.field))
        if not checker.name((*path, "dataset"), item.dataset, "datasets", "dataset"):
            continue
        checker.field_of(path, item.dataset, item.field, at=("field",))
        dataset = checker.shape.datasets.get(item.dataset)
        declared = dataset.fields.get(item.field) if dataset else None
        if declared is not None and declared.distinct != "many":
            found = f"the field {show(item.field)}, which is not declared `distinct: many`"
            checker.add((*path, "field"), found, "a field with many values: an index of few values gives them away")


def _check_what_invariants_name(checker: Checker) -> None:
    for position, invariant in enumerate(checker.shape.invariants):
        path: Path = ("invariants", position, "never")
        never = invariant.never
        if not never.roles and not never.parties:
            checker.add(path, "neither `roles` nor `parties`", "at least one of them: who may never", at_key=True)
        checker.once((*path, "roles"), never.roles)
        checker.once((*path, "verbs"), never.verbs)
        checker.name_list((*path, "parties"), never.parties, "parties", "party", any_allowed=False)
        checker.name_list((*path, "classes"), never.classes, "classes", "class", any_allowed=True)
        checker.name_list((*path, "datasets"), never.datasets, "datasets", "dataset", any_allowed=True)
        checker.country_list((*path, "from_outside"), never.from_outside, any_allowed=False)


def _check_flow_keeps(
    checker: Checker, flow_position: int, flow: FlowShape, invariant: str, bound: set[str], position: int
) -> None:
    """Report each party of a flow for which the flow permits what an invariant forbids."""
    never = checker.shape.invariants[position].never
    verbs = [verb for verb in flow.verbs if verb in never.verbs]
    classes = _shared(flow.classes, never.classes, checker.known("classes"))
    datasets = _shared(flow.datasets, never.datasets, checker.known("datasets"))
    elsewhere = not never.from_outside or set(flow.countries) - set(never.from_outside)
    if not (verbs and classes and datasets and elsewhere):
        return
    for party in flow.who:
        if party in bound:
            outside = f" from outside {', '.join(never.from_outside)}" if never.from_outside else ""
            found = f"the flow `{flow.name}`, by which `{party}` may {', '.join(verbs)} {', '.join(classes)}{outside}"
            line = checker.document.place(("invariants", position, "name")).line
            expected = f"no such flow: the invariant `{invariant}` on line {line} forbids it"
            checker.add(("flows", flow_position, "name"), found, expected)


def _shared(first: Sequence[str], second: Sequence[str], known: Iterable[str]) -> list[str]:
    """Give the names that two lists share, `*` being all that are known."""
    if ANY in first:
        return sorted(known) if ANY in second else list(second)
    return list(first) if ANY in second else [name for name in first if name in second]


def _all_with_role(checker: Checker, role: str) -> list[str]:
    return _parties_with_role(checker, list(checker.shape.parties), role)


def _parties_with_role(checker: Checker, names: Iterable[str], role: str) -> list[str]:
    parties = checker.shape.parties
    return [name for name in names if name in parties and parties[name].role == role]


_CHECKS: Final[tuple[Callable[[Checker], None], ...]] = (
    _check_names,
    _check_jurisdiction,
    _check_parties_and_regions,
    _check_datasets,
    _check_overlaps,
    _check_flows,
    _check_searchable,
    _check_what_invariants_name,
    check_governance,
    check_independence,
    check_coalition,
)
