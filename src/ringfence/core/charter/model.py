"""The charter: the agreement that decides every access, as frozen values.

A charter is parsed whole or refused with every problem at once. What `parse_charter` gives is consistent: every name
refers to something, `*` is spelt out, and no flow breaks an invariant. The order of flows is that of the file, and
the first flow that permits decides.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Final, NamedTuple

from ringfence.core.charter.checker import names_in_file
from ringfence.core.charter.document import parse_document, sorted_problems
from ringfence.core.charter.governance import Governance
from ringfence.core.charter.governance_build import build_governance
from ringfence.core.charter.references_check import check_invariants, check_references
from ringfence.core.charter.shape import CharterShape, DatasetShape, FlowShape, JurisdictionShape
from ringfence.core.charter.shape_parsing import parse_shape
from ringfence.core.charter.terms import ANY
from ringfence.core.errors import CharterInvalidError, Problem


class FieldReference(NamedTuple):
    """A field of a dataset."""

    dataset: str
    field: str


@dataclass(frozen=True, slots=True)
class Party:
    """One side of the agreement. `role` is one of `terms.ROLES`."""

    name: str
    title: str
    role: str
    words: str


@dataclass(frozen=True, slots=True)
class Region:
    """Where data may be stored: an ISO 3166 alpha-2 country and the classes that may be there."""

    name: str
    country: str
    holds: tuple[str, ...]
    words: str


@dataclass(frozen=True, slots=True)
class Field:
    """A field that the charter classifies. `data_class` is a class, or `RECORD`: the class of the record."""

    name: str
    data_class: str


@dataclass(frozen=True, slots=True)
class RecordClass:
    """How a record's class follows from a field: its value's class, or `PROTECTED` for any other value or none."""

    field: str
    values: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Dataset:
    """A kind of record, where it is found in an export, and the class of each of its fields.

    Attributes:
        records_many: whether a user has many records of it; else at most one.
        sources: paths of keys in an export; at most one `*` in each, which matches any one key.
        key_field: the field that keeps the key which `*` matched; "" when no source has one.
        catch_all: whether it takes whatever no source matches.
        field_classes: class of each field by name, made from `fields`.
    """

    name: str
    words: str
    records_many: bool
    sources: tuple[tuple[str, ...], ...]
    fields: tuple[Field, ...]
    key_field: str
    record_class: RecordClass | None
    catch_all: bool
    field_classes: Mapping[str, str] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "field_classes", {item.name: item.data_class for item in self.fields})


@dataclass(frozen=True, slots=True)
class Bulk:
    """Limits of requests for many users at once: records a request, and records a UTC day under the flow."""

    records_max: int
    records_per_day_max: int


@dataclass(frozen=True, slots=True)
class Flow:
    """One clause that permits: these parties, from these countries, for these purposes, may do this to that.

    Attributes:
        countries: ISO 3166 alpha-2 codes, or `("*",)` for any country, known or not.
        datasets: names of datasets; `*` is spelt out.
        classes: names of classes; `*` is spelt out.
        withhold: fields that are left out of what is given.
        bulk: limits of bulk requests; None when only one user at a time may be asked for.
        downgrades_per_day_max: records a UTC day that a write may move to a less protected class.
        duties: only people who hold one of these may use it; empty = it is for services, and in a governed ledger no
            person may use it.
        needs: only under a grant of one of these kinds, of `governance.GRANT_KINDS`; empty = without a grant.
        builds: `approved` when only services with an approved build may use it, else "".
    """

    name: str
    words: str
    who: tuple[str, ...]
    countries: tuple[str, ...]
    purposes: tuple[str, ...]
    verbs: tuple[str, ...]
    datasets: tuple[str, ...]
    classes: tuple[str, ...]
    withhold: tuple[FieldReference, ...]
    bulk: Bulk | None
    downgrades_per_day_max: int
    duties: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    builds: str = ""

    @property
    def is_governed(self) -> bool:
        """Tell whether it asks for more than a party: a duty, a grant or an approved build."""
        return bool(self.duties or self.needs or self.builds)


@dataclass(frozen=True, slots=True)
class Searchable:
    """A field that records may be found by. `normalize` is `none`, `email` or `phone`."""

    dataset: str
    field: str
    normalize: str


@dataclass(frozen=True, slots=True)
class Invariant:
    """A promise that no flow breaks, checked when the charter is parsed.

    Attributes:
        parties: every party that it speaks of; roles are spelt out.
        from_outside: when not empty, it speaks only of requests from other countries than these.
    """

    name: str
    words: str
    roles: tuple[str, ...]
    parties: tuple[str, ...]
    verbs: tuple[str, ...]
    classes: tuple[str, ...]
    datasets: tuple[str, ...]
    from_outside: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class JurisdictionRules:
    """How a user is found to belong to the jurisdiction.

    Attributes:
        country: ISO 3166 alpha-2 code.
        declared, phone, login_ip: the fields that each kind of evidence is read from.
        login_share_min: located logins vote "inside" when at least this share of them is from the country.
    """

    country: str
    declared: tuple[FieldReference, ...]
    phone: tuple[FieldReference, ...]
    login_ip: tuple[FieldReference, ...]
    login_share_min: Fraction


@dataclass(frozen=True, slots=True)
class Charter:
    """The whole agreement.

    Attributes:
        digest: SHA-256 of the file, 32 bytes.
        classes: words of each class by name.
        purposes: words of each purpose by name.
        flows: in the order of the file, which is the order of decision.
        identity: the field that holds the app's user id.
        governance: what is said of people; None when the charter says nothing of them.
        memo: answers that an engine has worked out, by engine; they follow from the rest and change nothing.
    """

    name: str
    version: int
    words: str
    digest: bytes
    jurisdiction: JurisdictionRules
    identity: FieldReference
    parties: Mapping[str, Party]
    regions: Mapping[str, Region]
    classes: Mapping[str, str]
    datasets: Mapping[str, Dataset]
    purposes: Mapping[str, str]
    flows: tuple[Flow, ...]
    searchable: tuple[Searchable, ...]
    invariants: tuple[Invariant, ...]
    governance: Governance | None = None
    memo: dict[str, dict[Any, Any]] = field(default_factory=dict, compare=False, repr=False)

    @property
    def requires_governance(self) -> bool:
        """Tell whether a flow asks for a duty, a grant or an approved build.

        An engine that knows nothing of these would permit too much: such a charter may not be enacted under it.
        """
        return any(flow.is_governed for flow in self.flows)

    @property
    def custodian(self) -> str:
        """The name of the first party that holds the keys; every charter has one."""
        return next(party.name for party in self.parties.values() if party.role == "custodian")

    def catch_all(self) -> Dataset:
        """Give the dataset that takes whatever no source matches."""
        return next(dataset for dataset in self.datasets.values() if dataset.catch_all)

    def held_in(self, region: str) -> tuple[str, ...]:
        """Give the classes that may be stored in a region; none where the charter names no such region."""
        return self.regions[region].holds if region in self.regions else ()


def parse_charter(text: bytes, *, file: str) -> Charter:
    """Parse a charter and check it whole.

    Args:
        text: the file's bytes, at most 1 MiB of YAML 1.2 in UTF-8.
        file: what to call the file in problems.

    Raises:
        CharterInvalidError: carries every problem, in the order of the file.
    """
    charter, breaches = parse_draft(text, file=file)
    if breaches:
        raise CharterInvalidError(breaches)
    return charter


def parse_draft(text: bytes, *, file: str) -> tuple[Charter, tuple[Problem, ...]]:
    """Parse a charter whose flows may break its invariants, for whoever asks what breaks; nobody may enact it.

    Arguments as of `parse_charter`.

    Returns:
        The charter, and each flow that permits what an invariant forbids; what has none is a charter.

    Raises:
        CharterInvalidError: anything else is wrong; carries every problem, those flows too.
    """
    document, problems = parse_document(text, file=file)
    if document is None:
        raise CharterInvalidError(sorted_problems(problems))
    names = names_in_file(document.values)
    shape, shape_problems = parse_shape(document)
    problems += shape_problems
    problems += check_references(document, shape, names=names)
    breaches = check_invariants(document, shape, names=names)
    if problems:
        raise CharterInvalidError(sorted_problems(problems + breaches))
    return _build(shape, digest=hashlib.sha256(text).digest()), tuple(sorted_problems(breaches))


_ALL: Final = [ANY]


def _build(shape: CharterShape, *, digest: bytes) -> Charter:
    if shape.jurisdiction is None or shape.identity is None:  # for the type checker: both are required sections
        raise CharterInvalidError(())
    datasets = {name: _build_dataset(name, item) for name, item in shape.datasets.items()}
    return Charter(
        name=shape.charter,
        version=shape.version,
        words=shape.words or "",
        digest=digest,
        jurisdiction=_build_jurisdiction(shape.jurisdiction),
        identity=FieldReference(shape.identity.dataset, shape.identity.field),
        parties={name: Party(name, item.name, item.role, item.words or "") for name, item in shape.parties.items()},
        regions={
            name: Region(name, item.country, tuple(item.holds), item.words or "")
            for name, item in shape.regions.items()
        },
        classes=dict(shape.classes),
        datasets=datasets,
        purposes=dict(shape.purposes),
        flows=tuple(_build_flow(item, shape) for item in shape.flows),
        searchable=tuple(Searchable(item.dataset, item.field, item.normalize) for item in shape.searchable),
        invariants=_build_invariants(shape),
        governance=build_governance(shape),
    )


def _build_jurisdiction(shape: JurisdictionShape) -> JurisdictionRules:
    def references(items: Any) -> tuple[FieldReference, ...]:
        return tuple(FieldReference(item.dataset, item.field) for item in items)

    return JurisdictionRules(
        country=shape.country,
        declared=references(shape.evidence.declared),
        phone=references(shape.evidence.phone),
        login_ip=references(shape.evidence.login_ip),
        login_share_min=Fraction(str(shape.login_share_min)),  # 0.1 as written, not as floating point has it
    )


def _build_dataset(name: str, shape: DatasetShape) -> Dataset:
    rule = shape.record_class
    return Dataset(
        name=name,
        words=shape.words or "",
        records_many=shape.records == "many",
        sources=tuple(tuple(source) for source in shape.sources),
        fields=tuple(Field(field_name, item.data_class) for field_name, item in shape.fields.items()),
        key_field=shape.key_field or "",
        record_class=RecordClass(rule.field, dict(rule.values)) if rule else None,
        catch_all=shape.catch_all,
    )


def _build_flow(shape: FlowShape, charter: CharterShape) -> Flow:
    return Flow(
        name=shape.name,
        words=shape.words,
        who=tuple(shape.who),
        countries=tuple(shape.countries),
        purposes=tuple(shape.purposes),
        verbs=tuple(shape.verbs),
        datasets=tuple(charter.datasets if shape.datasets == _ALL else shape.datasets),
        classes=tuple(charter.classes if shape.classes == _ALL else shape.classes),
        withhold=tuple(FieldReference(*item.split(".", 1)) for item in shape.withhold),
        bulk=Bulk(shape.bulk.records_max, shape.bulk.records_per_day_max) if shape.bulk else None,
        downgrades_per_day_max=shape.downgrades_per_day_max,
        duties=tuple(shape.duties),
        needs=tuple(shape.needs),
        builds=shape.builds or "",
    )


def _build_invariants(shape: CharterShape) -> tuple[Invariant, ...]:
    return tuple(
        Invariant(
            name=item.name,
            words=item.words,
            roles=tuple(item.never.roles),
            parties=tuple(
                name
                for name, party in shape.parties.items()
                if party.role in item.never.roles or name in item.never.parties
            ),
            verbs=tuple(item.never.verbs),
            classes=tuple(shape.classes if item.never.classes == _ALL else item.never.classes),
            datasets=tuple(shape.datasets if item.never.datasets == _ALL else item.never.datasets),
            from_outside=tuple(item.never.from_outside),
        )
        for item in shape.invariants
    )
