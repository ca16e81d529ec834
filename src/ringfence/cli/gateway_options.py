"""The options of every command that calls a gateway: which one, and as whom."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click


def gateway_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command `--url`, `--token` and `--ca`."""
    for option in (
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
        command = option(command)
    return command
