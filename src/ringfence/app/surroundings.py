"""What a gateway is given from outside: limits of connections, where addresses are, and its certificate."""

from __future__ import annotations

import ipaddress
import ssl
from pathlib import Path

from ringfence.app.deployment import Deployment
from ringfence.client.tls import refuse_password
from ringfence.core.errors import ConfigurationError
from ringfence.core.ledger.entry import DEVELOPMENT
from ringfence.gateway.connections import ConnectionGuard, ConnectionLimits
from ringfence.gateway.country import CountryFinder
from ringfence.legacy.evidence import AddressBook


def make_guard(deployment: Deployment) -> ConnectionGuard:
    """Give what holds each address to the number of connections that the settings allow."""
    configuration = deployment.configuration
    limits = ConnectionLimits(per_address_max=configuration.listen.connections_per_address_max)
    return ConnectionGuard(limits, trusted=map(ipaddress.ip_network, configuration.trusted_proxies.values()))


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
    """Check that the settings name a certificate with its key, or neither; and authorities of callers only with it.

    Raises:
        ConfigurationError: one is missing, cannot be read, or does not fit the other.
    """
    listen = deployment.configuration.listen
    if bool(listen.certificate) != bool(listen.key):
        raise ConfigurationError("TLS needs both certificate and key", hint="set both under `listen`, or neither")
    if listen.client_ca and not listen.certificate:
        raise ConfigurationError(
            "callers can show certificates over TLS alone", hint="set `certificate` and `key` beside `listen.client_ca`"
        )
    if not listen.certificate:
        return
    certificate, key = deployment.path(listen.certificate), deployment.path(listen.key)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password=refuse_password)
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"the certificate {certificate} and its key {key} cannot be used: {error}",
            hint="name a PEM certificate chain, and its key without a password, under `listen`",
        ) from None

    if listen.client_ca:
        _verify_authorities(deployment.path(listen.client_ca))


def _verify_authorities(path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_verify_locations(path)
        if not context.get_ca_certs():
            raise ValueError("it holds no certificate authority")
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"the authorities of callers' certificates cannot be read from {path}: {error}",
            hint="name a PEM file with them as `listen.client_ca`",
        ) from None
