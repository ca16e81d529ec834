"""The shape of a charter file: which keys there are, what kind of value each takes, and the limits.

Rules of this file:
1. Names that refer to something elsewhere in the file, and countries, are plain text here; `references_check` looks
   them up. The vocabularies of the program (roles, verbs, normalizations) are checked here.
2. Every section has an empty default, so that the rest of a broken charter can still be checked. `REQUIRED` names the
   sections that must be there.
3. Descriptions are what a person is told was expected, here and in the editor.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, ConfigDict, Field

from ringfence.core.charter.document import Path
from ringfence.core.charter.governance import GRANT_KINDS, GrantKind
from ringfence.core.charter.governance_shape import (
    GOVERNANCE_SHAPES,
    CoalitionShape,
    DutyShape,
    GovernanceShape,
    IndependenceShape,
)
from ringfence.core.charter.kinds import (
    GIVEN,
    NAME_WORDS,
    Code,
    Key,
    Name,
    Reference,
    References,
    Role,
    Shape,
    Verbs,
    Words,
)
from ringfence.core.charter.terms import ROLES, VERBS

REQUIRED: Final = (
    "charter",
    "version",
    "jurisdiction",
    "identity",
    "parties",
    "regions",
    "classes",
    "datasets",
    "purposes",
    "flows",
)
RECORDS_MAX: Final = 100_000  # records that one bulk request may touch, whatever a charter says
RECORDS_PER_DAY_MAX: Final = 10**12


class FieldReferenceShape(Shape):
    """A field of a dataset, named."""

    dataset: Reference = Field(description="the name of a dataset")
    field: Reference = Field(description="the name of a field of that dataset")


class EvidenceShape(Shape):
    """Where a user's data shows the user's country."""

    declared: list[FieldReferenceShape] = Field([], max_length=16, description="fields with a country the user gave")
    phone: list[FieldReferenceShape] = Field([], max_length=16, description="fields with a phone number")
    login_ip: list[FieldReferenceShape] = Field([], max_length=16, description="fields with a login's IP address")


class JurisdictionShape(Shape):
    """The country whose users are protected, and how they are found."""

    country: Reference = Field(description="the country whose users are protected, by its ISO 3166 alpha-2 code")
    evidence: EvidenceShape = Field(description="where a user's data shows the country: declared, phone, login_ip")
    login_share_min: float = Field(
        0.1, gt=0, le=1, description="the share of located logins, above 0 and up to 1, that makes them vote inside"
    )


class PartyShape(Shape):
    """One side of the agreement."""

    name: Words = Field(description="the party's full name")
    role: Role = Field(description="the party's role: one of " + ", ".join(ROLES))
    words: Words | None = Field(None, description="what the party is, in words")


class RegionShape(Shape):
    """Where data may be stored."""

    country: Reference = Field(description="the country of the region, by its ISO 3166 alpha-2 code")
    holds: References = Field(description="the classes that may be stored there, a list")
    words: Words | None = Field(None, description="what the region is, in words")


class FieldShape(Shape):
    """The class of a field."""

    data_class: Reference = Field(alias="class", description="a class, or `record` for the class of the record")
    distinct: Literal["many", "few"] = Field("few", description="`many` when values differ between most users")


def _spell_out(value: Any) -> Any:
    """Let a field be given by its class alone."""
    return {"class": value} if isinstance(value, str) else value


AnyFieldShape = Annotated[
    FieldShape,
    BeforeValidator(_spell_out, json_schema_input_type=Reference | FieldShape),
    Field(description="a class, or a mapping with `class` and `distinct`"),
]


class RecordClassShape(Shape):
    """How the class of a record follows from a field of it."""

    field: Reference = Field(description="the field whose value decides the record's class")
    values: dict[Key, Reference] = Field(
        min_length=1, max_length=64, description="a class for each value; any other value is protected"
    )


class DatasetShape(Shape):
    """A kind of record, where it is found in an export, and its fields' classes."""

    words: Words | None = Field(None, description="what the dataset is, in words")
    records: Literal["one", "many"] = Field(description="`one` or `many` records for each user")
    sources: list[Annotated[list[Key], Field(min_length=1, max_length=12)]] = Field(
        [], max_length=16, description="paths of keys in an export file; `*` is any one key"
    )
    key_field: Key | None = Field(None, description="the field that keeps the key that `*` stood for")
    record_class: RecordClassShape | None = Field(None, description="how a record's class follows from a field")
    fields: dict[Key, AnyFieldShape] = Field(max_length=512, description="the class of each field, a mapping")
    catch_all: bool = Field(False, description="true for the one dataset that takes whatever no source matches")


class BulkShape(Shape):
    """Limits of requests for many users at once."""

    records_max: int = Field(ge=1, le=RECORDS_MAX, description="most records that one request may touch")
    records_per_day_max: int = Field(ge=1, le=RECORDS_PER_DAY_MAX, description="most records of a UTC day")


class FlowShape(Shape):
    """One clause that permits something."""

    name: Name = Field(description=NAME_WORDS)
    words: Words = Field(description="what the flow is for, in words")
    who: References = Field(description="the parties that may, a list")
    countries: References = Field(alias="from", description='countries that a request may come from, or ["*"] for any')
    purposes: References = Field(description="the purposes that a request may have, a list")
    verbs: Verbs = Field(description="what may be done, a list of: " + ", ".join(VERBS))
    datasets: References = Field(description='datasets, or ["*"] for all')
    classes: References = Field(description='classes, or ["*"] for all')
    withhold: list[Reference] = Field([], max_length=256, description="fields left out, each as `dataset.field`")
    bulk: BulkShape | None = Field(None, description="limits for many users in one request; absent = one user only")
    downgrades_per_day_max: int = Field(
        0, ge=0, le=RECORDS_PER_DAY_MAX, description="most records a UTC day that a write may move to another class"
    )
    duties: list[Reference] = Field(
        [], max_length=256, description="only people who hold one of these duties may; absent = for services"
    )
    needs: list[GrantKind] = Field(
        [], max_length=len(GRANT_KINDS), description="only under a grant of one of: " + ", ".join(GRANT_KINDS)
    )
    builds: Annotated[Literal["approved"] | None, GIVEN] = Field(
        None, description="`approved`: only services with an approved build may"
    )


class SearchableShape(Shape):
    """A field that users can be looked up by."""

    dataset: Reference = Field(description="the name of a dataset")
    field: Reference = Field(description="a field of it that is declared `distinct: many`")
    normalize: Literal["none", "email", "phone"] = Field("none", description="`none`, `email` or `phone`")


class NeverShape(Shape):
    """What an invariant forbids every flow to permit."""

    roles: list[Role] = Field([], max_length=5, description="roles, a list")
    parties: list[Reference] = Field([], max_length=64, description="parties, a list")
    verbs: Verbs = Field(description="what may never be done, a list of: " + ", ".join(VERBS))
    classes: References = Field(description='classes, or ["*"] for all')
    datasets: References = Field(["*"], description='datasets, or ["*"] for all')
    from_outside: list[Reference] = Field(
        [], max_length=256, description="countries: only requests from elsewhere are meant; absent = from anywhere"
    )


class InvariantShape(Shape):
    """A promise that no flow breaks."""

    name: Name = Field(description=NAME_WORDS)
    words: Words = Field(description="the promise, in words")
    never: NeverShape = Field(description="what no flow may permit: roles or parties, verbs, classes")


class CharterShape(Shape):
    """A Ringfence charter: who may do what with one jurisdiction's user data."""

    model_config = ConfigDict(json_schema_extra={"required": list(REQUIRED)}, title="Ringfence charter")

    charter: Name = Field("", description=NAME_WORDS)
    version: int = Field(1, ge=1, le=10**9, description="the version, a whole number from 1")
    words: Words | None = Field(None, description="what the charter is, in words")
    jurisdiction: JurisdictionShape | None = Field(None, description="`country` and `evidence`")
    identity: FieldReferenceShape | None = Field(None, description="the dataset and field of the app's user id")
    parties: dict[Name, PartyShape] = Field({}, min_length=1, max_length=64, description="a mapping of parties")
    regions: dict[Name, RegionShape] = Field({}, min_length=1, max_length=64, description="a mapping of regions")
    classes: dict[Code, Words] = Field({}, min_length=1, max_length=16, description="a mapping of classes to words")
    datasets: dict[Code, DatasetShape] = Field({}, min_length=1, max_length=256, description="a mapping of datasets")
    purposes: dict[Code, Words] = Field({}, min_length=1, max_length=64, description="a mapping of purposes to words")
    flows: list[FlowShape] = Field([], max_length=256, description="a list of flows")
    searchable: list[SearchableShape] = Field([], max_length=64, description="a list of searchable fields")
    invariants: list[InvariantShape] = Field([], max_length=64, description="a list of invariants")
    duties: dict[Name, DutyShape] = Field({}, max_length=64, description="a mapping of duties that people hold")
    governance: Annotated[GovernanceShape | None, GIVEN] = Field(
        None, description="`operations`, `orders`, `grants` and `cooling_days`"
    )
    independence: list[IndependenceShape] = Field(
        [], max_length=64, description="a list of rules on who may hold a duty"
    )
    separations: list[Annotated[list[Reference], Field(min_length=2, max_length=64)]] = Field(
        [], max_length=256, description="a list of lists of duties of which nobody holds two"
    )
    coalition: Annotated[CoalitionShape | None, GIVEN] = Field(
        None, description="`min`, how many people must join the excluded parties, and `powers`"
    )


SHAPES: Final[dict[Path, type[Shape]]] = {
    (): CharterShape,
    ("jurisdiction",): JurisdictionShape,
    ("jurisdiction", "evidence"): EvidenceShape,
    ("jurisdiction", "evidence", "*", "*"): FieldReferenceShape,
    ("identity",): FieldReferenceShape,
    ("parties", "*"): PartyShape,
    ("regions", "*"): RegionShape,
    ("datasets", "*"): DatasetShape,
    ("datasets", "*", "record_class"): RecordClassShape,
    ("datasets", "*", "fields", "*"): FieldShape,
    ("flows", "*"): FlowShape,
    ("flows", "*", "bulk"): BulkShape,
    ("searchable", "*"): SearchableShape,
    ("invariants", "*"): InvariantShape,
    ("invariants", "*", "never"): NeverShape,
    **GOVERNANCE_SHAPES,
}
"""The shape at each place of the file, names and positions that the charter chooses being `*`."""


def charter_schema() -> dict[str, Any]:
    """Give the JSON Schema (2020-12) of a charter file, for editors; references between names are not in it."""
    schema = CharterShape.model_json_schema(by_alias=True, mode="validation")
    for name in ("charter", "jurisdiction", "identity"):
        schema["properties"][name].pop("default", None)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
