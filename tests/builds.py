"""A charter with a flow that is for approved builds alone, builds of the app and credentials for them, for tests."""

from __future__ import annotations

import hashlib

from ringfence.core import changes as c
from ringfence.core.ledger import governed_entry as g
from tests.attestations import BUILDER
from tests.core.people.attestor_keys import attestor_key
from tests.governed import APP, HOUR_MS, Ground

FLOW = """\
  - name: serving
    words: The app serves its users.
"""


def for_builds(charter: str) -> str:
    """Give the small charter of `tests.governed`, or a wider one, with a second way for the app in: approved builds.

    Without a build the app may write; with one it may do all that a service can.
    """
    assert charter.count(FLOW) == 1
    before, _, after = charter.partition(FLOW)
    flow, marker, rest = after.partition("  - name: helping\n")
    writing = FLOW + flow.replace("verbs: [read, write]", "verbs: [write]")
    built = FLOW.replace("serving", "serving-by-build") + flow.replace(
        "verbs: [read, write]", "verbs: [read, write, find, erase, export]"
    )
    return before + writing + built + "    builds: approved\n" + marker + rest


BUILT, OTHER_BUILT = (hashlib.sha256(name).digest() for name in (b"the app, built", b"the app, built otherwise"))


def approve(build: bytes = BUILT, **told: object) -> c.ApproveBuild:
    """Give the change that approves a build of the app, attested by its builder, unless told otherwise."""
    usual: dict[str, object] = {"name": "app 7.3", "party": "app", "digest": build, "attestor": attestor_key(BUILDER)}
    return c.ApproveBuild(**{**usual, **told})  # type: ignore[arg-type]


CERTIFICATE, OTHER_CERTIFICATE = (hashlib.sha256(name).digest() for name in (b"a certificate", b"another one"))


def credential(at_ms: int, build: bytes = BUILT, **told: object) -> g.CredentialIssued:
    """Give the entry of a credential of the app's service, for an hour from a time on, unless told otherwise."""
    usual: dict[str, object] = {
        "principal": APP,
        "build": build,
        "certificate": CERTIFICATE,
        "attestation": hashlib.sha256(b"an attestation").digest(),
        "until_ms": at_ms + HOUR_MS,
    }
    return g.CredentialIssued(**{**usual, **told})  # type: ignore[arg-type]


def give_credential(ground: Ground, build: bytes = BUILT, **told: object) -> g.CredentialIssued:
    """Record a credential of the app's service on a ground; give its entry."""
    given = credential(ground.now_ms, build, **told)
    ground.fold(given)
    return given
