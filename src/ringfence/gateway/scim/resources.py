"""What SCIM resources are here: a person of the register as a user, a duty of the charter as a group.

Rules of this file:
1. `User` is what is shown, and what `/Schemas` publishes: nothing that the register does not keep.
2. `ToldUser` is what is taken: all of RFC 7643's user besides, for HR systems send it. What the register has no use
   for, such as addresses and telephone numbers, is not kept. A name that neither has is refused, so that a typing
   mistake in `active` never leaves somebody with authority.
3. Authority is read-only, by whatever name it comes: `groups`, `roles` and `entitlements` of a user.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final

import scim2_models as scim
from pydantic import Field
from scim2_models import URN, CaseExact, ComplexAttribute, Extension, Mutability, Reference, Required, Uniqueness

BASE: Final = "/scim/v2"
PERSON_SCHEMA: Final = "urn:ringfence:scim:schemas:1.0:Person"
ENTERPRISE_SCHEMA: Final = str(scim.EnterpriseUser.__schema__)

_Ref = Reference["User"]


class PersonReference(ComplexAttribute):
    """Another user, by id."""

    value: Annotated[str | None, Required.true, CaseExact.true] = None
    """The id of the user."""

    ref: _Ref | None = Field(None, serialization_alias="$ref", validation_alias="$ref")
    """The URI of the user."""


class EnterpriseUser(Extension):
    """The part of RFC 7643's enterprise extension that the register keeps."""

    __schema__ = URN(ENTERPRISE_SCHEMA)

    organization: Annotated[str | None, Required.true, CaseExact.true] = None
    """The party that employs the person, as the charter names it."""

    department: Annotated[str | None, CaseExact.true] = None
    """The person's team."""

    manager: PersonReference | None = None
    """The person's line manager, who must be known before."""


class Person(Extension):
    """What the rules of independence ask about a person beyond RFC 7643; what is not known counts against them."""

    __schema__ = URN(PERSON_SCHEMA)

    paid_by: Annotated[str | None, CaseExact.true] = None
    """The party that pays the person, where that is not the employer."""

    residence: Annotated[str | None, CaseExact.true] = None
    """The country where the person lives (ISO 3166 alpha-2)."""

    works_in: Annotated[str | None, CaseExact.true] = None
    """The country where the person works (ISO 3166 alpha-2)."""

    devices_of: Annotated[str | None, CaseExact.true] = None
    """The party that owns the devices which the person works on."""

    directed_by: list[PersonReference] | None = None
    """Those who really direct the person's work, beyond the line manager."""

    starts: datetime | None = None
    """From when on the person is there."""

    ends: datetime | None = None
    """From when on the person has left."""


class HeldDuty(ComplexAttribute):
    """A group that a user is a member of."""

    value: Annotated[str | None, Mutability.read_only, CaseExact.true] = None
    """The id of the group."""

    ref: Annotated[Reference[Group] | None, Mutability.read_only] = Field(
        None, serialization_alias="$ref", validation_alias="$ref"
    )
    """The URI of the group."""

    display: Annotated[str | None, Mutability.read_only] = None
    """The displayName of the group."""


class User(scim.Resource[Any]):
    """A person of the register."""

    __schema__ = URN(str(scim.User.__schema__))

    user_name: Annotated[str | None, Required.true, Uniqueness.server] = None
    """The person's reference in the register: what the HR system calls the person, for ever."""

    display_name: Annotated[str | None, Required.true] = None
    """The person's name."""

    active: bool | None = None
    """Shown: whether the person has authority, which a quorum gives. Told: false says that the person has left."""

    groups: Annotated[list[HeldDuty] | None, Mutability.read_only] = None
    """The duties that the person holds."""


class ToldManager(PersonReference):
    """RFC 7643's manager as it is taken."""

    display_name: Annotated[str | None, Mutability.read_only] = None


class ToldEnterpriseUser(scim.EnterpriseUser):
    """RFC 7643's enterprise extension as it is taken: a manager need not come with a URI."""

    manager: ToldManager | None = None  # type: ignore[assignment]


class Unkept(scim.PhoneNumber):
    """A value that the register has no use for, in whatever form: it is no reason to refuse what else is told."""

    type: str | None = None  # type: ignore[assignment]


class ToldUser(scim.User[Any]):
    """RFC 7643's user as it is taken."""

    user_name: Annotated[str | None, Required.true, Uniqueness.server] = None
    profile_url: str | None = None  # type: ignore[assignment]
    emails: list[Unkept] | None = None  # type: ignore[assignment]
    phone_numbers: list[Unkept] | None = None  # type: ignore[assignment]
    ims: list[Unkept] | None = None  # type: ignore[assignment]
    photos: list[Unkept] | None = None  # type: ignore[assignment]
    x509_certificates: list[Unkept] | None = None  # type: ignore[assignment]
    groups: Annotated[list[HeldDuty] | None, Mutability.read_only] = None  # type: ignore[assignment]
    roles: Annotated[list[scim.Role] | None, Mutability.read_only] = None
    entitlements: Annotated[list[scim.Entitlement] | None, Mutability.read_only] = None


class Member(ComplexAttribute):
    """A user who holds a duty."""

    value: Annotated[str | None, Mutability.immutable, CaseExact.true] = None
    """The id of the user."""

    ref: Annotated[_Ref | None, Mutability.immutable] = Field(None, serialization_alias="$ref", validation_alias="$ref")
    """The URI of the user."""

    type: Annotated[str | None, Mutability.immutable] = Field(None, examples=["User"])
    """Always `User`."""

    display: Annotated[str | None, Mutability.read_only] = None
    """The displayName of the user."""


class Group(scim.Resource[Any]):
    """A duty of the charter, with those who hold it."""

    __schema__ = URN(str(scim.Group.__schema__))

    display_name: Annotated[str | None, Mutability.read_only] = None
    """The charter's name for the duty."""

    members: Annotated[list[Member] | None, Mutability.read_only] = None
    """Those who hold the duty. An appointment by quorum makes one; an order ends it."""


ShownUser: Any = User[Annotated[EnterpriseUser, Required.true] | Person]  # type: ignore[misc]
TakenUser: Any = ToldUser[ToldEnterpriseUser | Person]  # type: ignore[misc]
