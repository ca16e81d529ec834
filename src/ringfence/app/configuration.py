"""A deployment's settings: `ringfence.yaml` in its directory, every wrong setting named at once."""

from __future__ import annotations

import io
import ipaddress
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from ruamel.yaml import YAML

from ringfence.app.yaml_text import parse_yaml
from ringfence.core.countries import COUNTRIES
from ringfence.core.errors import ConfigurationError, InvalidInputError

FILE: Final = "ringfence.yaml"
SIZE_BYTES_MAX: Final = 64 * 1024
SQLITE_STORE: Final = "sqlite"


class Settings(BaseModel):
    """Common base: unknown settings are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class IssuerSettings(Settings):
    """Where an issuer's public keys are (a JWK set file, relative to the deployment), and the audience it names."""

    keys: str
    audience: str = "ringfence"


class ListenSettings(Settings):
    """Where the gateway listens. Without certificate and key it speaks plain HTTP, for loopback or behind a proxy.

    `client_ca` is a PEM file with the authorities whose certificates callers may show, for tokens bound to a key.
    `connections_per_address_max` holds for each process and for any address but those of `trusted_proxies`.
    """

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8340
    certificate: str = ""
    key: str = ""
    client_ca: str = ""
    connections_per_address_max: Annotated[int, Field(ge=1, le=4096)] = 256


class Configuration(Settings):
    """The whole file. `development_country` is where loopback counts as being, in development mode alone."""

    store: str = SQLITE_STORE
    region: str
    geography: str = ""
    listen: ListenSettings = ListenSettings()
    trusted_proxies: dict[str, str] = {}
    development_country: str = ""
    issuers: dict[str, IssuerSettings] = {}
    keys: Literal["software"] = "software"

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, value: dict[str, str]) -> dict[str, str]:
        for name, network in value.items():
            try:
                ipaddress.ip_network(network)
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from None
        return value

    @field_validator("development_country")
    @classmethod
    def _known_country(cls, value: str) -> str:
        if value and value not in COUNTRIES:
            raise ValueError("not an ISO 3166 alpha-2 country, such as US")
        return value

    @field_validator("store")
    @classmethod
    def _known_store(cls, value: str) -> str:
        if value != SQLITE_STORE and not value.startswith(("postgresql://", "postgres://")):
            raise ValueError("the store is `sqlite` or a postgresql:// address")
        return value


def read_configuration(directory: Path) -> Configuration:
    """Read a deployment's settings.

    Raises:
        ConfigurationError: the file is missing, cannot be read, or a setting is wrong; names every one.
    """
    path = directory / FILE
    try:
        with path.open("rb") as file:
            text = file.read(SIZE_BYTES_MAX + 1)
    except OSError as error:
        raise ConfigurationError(
            f"there is no deployment at {directory}: {FILE} cannot be read ({error.strerror})",
            hint="make one with `ringfence init`, or name its directory with --deployment",
        ) from None
    if len(text) > SIZE_BYTES_MAX:
        raise ConfigurationError(f"{path} is larger than {SIZE_BYTES_MAX} bytes")
    try:
        return Configuration.model_validate(parse_yaml(text) or {})
    except InvalidInputError as error:
        raise ConfigurationError(f"{path}: {error.message}") from None
    except ValidationError as error:
        raise _wrong_settings(str(path), error) from None


def make_configuration(**settings: Any) -> Configuration:
    """Give settings that were named one by one.

    Raises:
        ConfigurationError: a setting is wrong; names every one.
    """
    try:
        return Configuration(**settings)
    except ValidationError as error:
        raise _wrong_settings("the command", error) from None


def _wrong_settings(where: str, error: ValidationError) -> ConfigurationError:
    problems = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
    return ConfigurationError(f"{where} has wrong settings: {problems}", hint="see docs/deployment.md")


def render_configuration(configuration: Configuration) -> str:
    """Give the settings as a file that a person can edit."""
    stream = io.StringIO()
    yaml = YAML()
    yaml.dump(configuration.model_dump(), stream)
    return "# Settings of this Ringfence deployment. `ringfence doctor` checks them.\n" + stream.getvalue()
