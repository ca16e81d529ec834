"""The options of every command that calls a gateway: which one, as whom, and what the connection shows."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import click

from ringfence.client.client import Client

AnyClient = TypeVar("AnyClient", bound=Client)

OPTIONS: Final = ("--url", "--token", "--ca", "--cert", "--key")


@dataclass(frozen=True, slots=True)
class Gateway:
    """How to reach a gateway: its address, the bearer token, whom to trust, and one's own certificate with its key.

    The last three are PEM files, "" for none.
    """

    url: str
    token: str
    ca: str = ""
    cert: str = ""
    key: str = ""

    def connect(self, kind: Callable[..., AnyClient], **told: Any) -> AnyClient:
        """Give a client of this kind, with other arguments of its own where they are told.

        Raises:
            InvalidInputError, ConfigurationError: as `Client` does.
        """
        return kind(self.url, token=self.token, ca=self.ca, certificate=self.cert, key=self.key, **told)

    def arguments(self) -> list[str]:
        """Give the options that say the same to another command."""
        values = (self.url, self.token, self.ca, self.cert, self.key)
        return [part for name, value in zip(OPTIONS, values, strict=True) if value for part in (name, value)]


def gateway_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command `--url`, `--token`, `--ca`, `--cert` and `--key`; it takes them as `gateway`, a `Gateway`."""

    @functools.wraps(command)
    def taking(*arguments: Any, url: str, token: str, ca: str, cert: str, key: str, **told: Any) -> Any:
        return command(*arguments, gateway=Gateway(url, token, ca, cert, key), **told)

    for option in (
        click.option(
            "--key",
            envvar="RINGFENCE_CERT_KEY",
            show_envvar=True,
            default="",
            help="File of that certificate's key, as PEM without a password.",
        ),
        click.option(
            "--cert",
            envvar="RINGFENCE_CERT",
            show_envvar=True,
            default="",
            help="File of your own certificate, as PEM, for a token that is bound to it.",
        ),
        click.option(
            "--ca",
            envvar="RINGFENCE_CA",
            show_envvar=True,
            default="",
            help="File of the certificate authority to trust.",
        ),
        click.option(
            "--token",
            envvar="RINGFENCE_TOKEN",
            show_envvar=True,
            required=True,
            help="Bearer token, such as `ringfence token` prints.",
        ),
        click.option(
            "--url",
            envvar="RINGFENCE_URL",
            show_envvar=True,
            default="http://127.0.0.1:8340",
            show_default=True,
            help="The gateway's address.",
        ),
    ):
        taking = option(taking)
    return taking
