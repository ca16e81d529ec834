"""What a gateway is given from outside: the issuers it trusts, where addresses are, and its certificate."""

from __future__ import annotations

import ipaddress
import ssl
from typing import Final

from ringfence.app.deployment import DEVELOPMENT_ISSUER, Deployment
from ringfence.app.tokens import PUBLIC_FILE
from ringfence.core.entry import DEVELOPMENT
from ringfence.core.errors import ConfigurationError
from ringfence.gateway.authentication import Issuer, read_issuer
from ringfence.gateway.connections import ConnectionGuard, ConnectionLimits
from ringfence.gateway.country import CountryFinder
from ringfence.legacy.evidence import AddressBook

OWN_ISSUERS: Final = "ringfence:"


def make_guard(deployment: Deployment) -> ConnectionGuard:
    """Give what holds each address to the number of connections that the settings allow."""
    configuration = deployment.configuration
    limits = ConnectionLimits(per_address_max=configuration.listen.connections_per_address_max)
    return ConnectionGuard(limits, trusted=map(ipaddress.ip_network, configuration.trusted_proxies.values()))


def read_issuers(deployment: Deployment, *, mode: str) -> dict[str, Issuer]:
    """Read the public keys of every issuer that is trusted: those of the settings, and in development mode our own.

    Raises:
        ConfigurationError: a key set cannot be read, or the settings name an issuer of our own: who could sign as the
            one that local tools are registered under would be one of them.
    """
    settings = deployment.configuration.issuers
    for name in settings:
        if name.strip().lower().startswith(OWN_ISSUERS):
            raise ConfigurationError(
                f"{name} cannot be configured as an issuer: `{OWN_ISSUERS}` stands for this program's own",
                hint="remove it from ringfence.yaml",
            )
    issuers = {
        name: read_issuer(name, deployment.path(item.keys), audience=item.audience) for name, item in settings.items()
    }
    if mode == DEVELOPMENT:
        issuers[DEVELOPMENT_ISSUER] = read_issuer(DEVELOPMENT_ISSUER, deployment.keys / PUBLIC_FILE)
    return issuers


def make_country_finder(deployment: Deployment, *, mode: str) -> CountryFinder:
    """Give the finder of countries that the settings describe.

    Raises:
        ConfigurationError: the geography file cannot be read, or loopback has a country in production.
    """
    configuration = deployment.configuration
    networks = {name: ipaddress.ip_network(text) for name, text in configuration.trusted_proxies.items()}
    loopback = configuration.development_country
    if loopback and mode != DEVELOPMENT:
        raise ConfigurationError(
            "`development_country` is set, but this deployment is in production", hint="remove it from ringfence.yaml"
        )
    if not configuration.geography:
        return CountryFinder(lambda address: "", networks, loopback=loopback)
    addresses = AddressBook(deployment.path(configuration.geography))
    return CountryFinder(lambda address: addresses.locate(address).country, networks, loopback=loopback)


def verify_certificate(deployment: Deployment) -> None:
    """Check that the settings name a certificate with its key, or neither.

    Raises:
        ConfigurationError: one is missing, cannot be read, or does not fit the other.
    """
    listen = deployment.configuration.listen
    if bool(listen.certificate) != bool(listen.key):
        raise ConfigurationError("TLS needs both certificate and key", hint="set both under `listen`, or neither")
    if not listen.certificate:
        return
    certificate, key = deployment.path(listen.certificate), deployment.path(listen.key)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password=_refuse_password)
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"the certificate {certificate} and its key {key} cannot be used: {error}",
            hint="name a PEM certificate chain, and its key without a password, under `listen`",
        ) from None


def _refuse_password() -> str:
    raise ValueError("the key has a password")
