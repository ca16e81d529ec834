"""How a client speaks TLS: whom it trusts, and what it shows of itself."""

from __future__ import annotations

import ssl

from ringfence.core.errors import ConfigurationError


def make_context(ca: str, certificate: str, key: str) -> ssl.SSLContext:
    """Give how a client speaks TLS.

    Args:
        ca: a PEM file with the certificate authority to trust; "" for the system's.
        certificate, key: PEM files of the client's own certificate and its key, without a password; "" for none.

    Raises:
        ConfigurationError: a file cannot be read, or the key is not that of the certificate.
    """
    try:
        context = ssl.create_default_context(cafile=ca or None)
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"the certificate authority's file {ca!r:.200} cannot be read: {error}", hint="name a PEM file"
        ) from None
    if bool(certificate) != bool(key):
        raise ConfigurationError("a certificate of one's own needs its key", hint="name both files, or neither")
    if certificate:
        try:
            context.load_cert_chain(certificate, key, password=refuse_password)
        except (OSError, ValueError) as error:
            raise ConfigurationError(
                f"the certificate {certificate!r:.200} and its key {key!r:.200} cannot be used: {error}",
                hint="name PEM files, the key without a password",
            ) from None
    return context


def refuse_password() -> str:
    """Refuse to give the password of a key, where a library would ask for it at a terminal.

    Raises:
        ValueError: always.
    """
    raise ValueError("the key has a password")
