"""Commands that give services credentials for approved builds."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from ringfence.app.attestations import SIZE_BYTES_MAX
from ringfence.app.credential_keys import credentials_digest, replace_credentials_key, require_governed
from ringfence.app.credentials import LIFETIME_SECONDS_MAX, Credential, issue_credential
from ringfence.app.deployment import open_deployment
from ringfence.app.runtime import open_runtime
from ringfence.cli.files import FILE, read_file
from ringfence.cli.output import complain, deployment_option, json_option, run, say
from ringfence.core.issuers import CREDENTIALS_ISSUER, is_trusted
from ringfence.core.people.attestors import name_attestor
from ringfence.core.times import show_time

MINUTES_MAX: Final = LIFETIME_SECONDS_MAX // 60


@click.group(short_help="Give services credentials for approved builds.")
def credential() -> None:
    """Give services credentials: short tokens, bound to a service's TLS key, for builds that people approved."""


@credential.command(short_help="Print a credential for a service.")
@click.argument("subject")
@click.option("--attestation", type=FILE, required=True, help="DSSE envelope of the builder's in-toto statement.")
@click.option("--certificate", type=FILE, required=True, help="The service's TLS certificate, as PEM.")
@click.option(
    "--minutes", type=click.IntRange(1, MINUTES_MAX), default=60, show_default=True, help="How long it is valid."
)
@deployment_option
@json_option
def issue(*, subject: str, attestation: Path, certificate: Path, minutes: int, directory: Path, as_json: bool) -> None:
    """Print a credential for the service SUBJECT, for the build that the attestation names.

    It counts only on connections that show the very certificate, and only while the build is approved. That
    it was given, and by which attestation, is recorded in the ledger first; gateways know it within a second.
    """
    statement, own = (read_file(path, size_bytes_max=SIZE_BYTES_MAX) for path in (attestation, certificate))

    async def work() -> Credential:
        deployment = open_deployment(directory)
        async with open_runtime(deployment) as runtime:
            require_governed(runtime.keeper.state)
            async with runtime.governance() as rules:
                return await issue_credential(
                    deployment,
                    rules,
                    attestation=statement,
                    certificate=own,
                    subject=subject,
                    lifetime_seconds=minutes * 60,
                )

    given = run(work())
    build, attestor = given.build.hex(), name_attestor(given.attestor)
    complain(f"for build {build}, attested by {attestor}, until {show_time(given.ends_seconds * 1000)}")
    facts = {"credential": given.token, "build": build, "attestor": attestor, "ends": given.ends_seconds}
    say(given.token, facts, as_json=as_json)


@credential.command(short_help="Say which key signs credentials, or make another.")
@click.option("--new", "is_new", is_flag=True, help="Make another key in the place of this one.")
@deployment_option
@json_option
def key(*, is_new: bool, directory: Path, as_json: bool) -> None:
    """Print the digest of the key that signs credentials, and whether the ledger trusts it.

    With --new another key takes its place. No credential is given with it before people agreed to trust its digest.
    """

    async def work() -> tuple[bytes, bool]:
        deployment = open_deployment(directory)
        async with open_runtime(deployment) as runtime:
            state = runtime.keeper.state
            require_governed(state)
            digest = replace_credentials_key(deployment, state) if is_new else credentials_digest(deployment)
            return digest, is_trusted(state, CREDENTIALS_ISSUER, digest)

    digest, trusted = run(work())
    how = "trusted by the ledger" if trusted else "not trusted by the ledger; a proposal does: trust-issuer"
    say(f"{digest.hex()}  {how}", {"keys": digest.hex(), "trusted": trusted}, as_json=as_json)
