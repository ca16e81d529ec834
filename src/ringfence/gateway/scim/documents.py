"""What the service says of itself: `/ServiceProviderConfig`, `/ResourceTypes` and `/Schemas` (RFC 7644, section 4)."""

from __future__ import annotations

from typing import Any, Final

from scim2_models import (
    AuthenticationScheme,
    Bulk,
    ChangePassword,
    ETag,
    Filter,
    Meta,
    Patch,
    ResourceType,
    Schema,
    ServiceProviderConfig,
    Sort,
)

from ringfence.core.charter import Charter
from ringfence.core.countries import COUNTRIES
from ringfence.gateway.scim.requests import RESULTS_MAX
from ringfence.gateway.scim.resources import BASE, EnterpriseUser, Group, Person, ShownUser, User

SERVICE: Final = "ServiceProviderConfig"
TYPES: Final = "ResourceTypes"
SCHEMAS: Final = "Schemas"
_PARTIES: Final = ("organization", "paidBy", "devicesOf")
_COUNTRIES: Final = ("residence", "worksIn")


def service_document() -> ServiceProviderConfig:
    """Give what the service can do."""
    return ServiceProviderConfig(
        meta=Meta(resource_type=SERVICE, location=f"{BASE}/{SERVICE}"),
        patch=Patch(supported=True),
        bulk=Bulk(supported=False, max_operations=0, max_payload_size=0),
        filter=Filter(supported=True, max_results=RESULTS_MAX),
        change_password=ChangePassword(supported=False),
        sort=Sort(supported=False),
        etag=ETag(supported=True),
        authentication_schemes=[
            AuthenticationScheme(
                type=AuthenticationScheme.Type.oauthbearertoken,
                name="OAuth Bearer Token",
                description="A token of a trusted issuer whose bearer a quorum let feed the register of people.",
                primary=True,
            )
        ],
    )


def resource_types() -> list[ResourceType]:
    """Give the resource types."""
    words = {"User": "A person of the register.", "Group": "A duty of the charter, with those who hold it."}
    found = []
    for model in (ShownUser, Group):
        kind = ResourceType.from_resource(model)
        name = str(kind.name)
        kind.description = words[name]
        kind.meta = Meta(resource_type="ResourceType", location=f"{BASE}/{TYPES}/{name}")
        found.append(kind)
    return found


def schemas(charter: Charter) -> list[Schema]:
    """Give the schemas; what the charter and ISO 3166 name is told as canonical values."""
    values = {**dict.fromkeys(_PARTIES, sorted(charter.parties)), **dict.fromkeys(_COUNTRIES, sorted(COUNTRIES))}
    models: tuple[Any, ...] = (User, EnterpriseUser, Person, Group)
    found: list[Schema] = []
    for model in models:
        schema = model.to_schema()
        for attribute in schema.attributes:
            if attribute.name in values:
                attribute.canonical_values = values[attribute.name]
        schema.meta = Meta(resource_type="Schema", location=f"{BASE}/{SCHEMAS}/{schema.id}")
        found.append(schema)
    return found
