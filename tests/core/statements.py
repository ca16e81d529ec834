"""Statements and changes for tests: one of each kind, and any of each kind."""

from __future__ import annotations

from typing import Any, Final

from hypothesis import strategies as st

from ringfence.core import changes as c
from ringfence.core.charter.terms import VERBS
from ringfence.core.governance.change_shape import LASTS_MS_MAX, NUMBER_MAX, RECORDS_MAX, VERSION_MAX
from ringfence.core.governance.statement import LIFETIME_MS_MAX, LIFETIME_MS_MIN, TIME_MS_MAX, Statement
from ringfence.core.ledger.entry import Identity, commit, render_opening
from tests.core.people.attestor_keys import attestor_key
from tests.core.people.ssh_keys import file_key, hardware_key

AT_MS: Final = 1_767_225_600_000  # 2026-01-01
HOUR_MS: Final = 3_600_000
GENESIS: Final = bytes(range(32))
IDENTITY: Final = Identity(issuer="https://idp.example.com", subject="ada")
SALT: Final = bytes(range(16))
SUBJECT: Final = bytes(range(100, 116))

GRANT: Final = c.Grant(
    kind=c.ACCESS,
    person=9,
    purpose="support",
    verbs=("find", "read"),
    datasets=("messages", "profile"),
    classes=("protected",),
    records_max=100,
    lasts_ms=8 * HOUR_MS,
    withhold=("profile.phone",),
)

EACH_CHANGE: Final[tuple[c.AnyChange, ...]] = (
    c.EnactCharter(name="us-users", version=2, digest=bytes(32), engine="v1"),
    c.Admit(person=9, party="usds", identity=commit(render_opening(SALT, IDENTITY))),
    c.Appoint(person=9, duty="engineer"),
    c.EnrolKey(person=9, key=file_key(1)),
    GRANT,
    c.ApproveBuild(name="app 7.3", party="tiktok", digest=bytes(32), attestor=attestor_key(1)),
    c.RegisterService(party="tiktok", identity=commit(render_opening(SALT, IDENTITY))),
    c.TrustIssuer(name="https://idp.example.com", keys=bytes(32)),
    c.OpenKeyEpoch(data_class="protected", key_epoch=2),
    c.RecoverLane(lane=3, n=12, reason="the host burnt down"),
    c.Lift(suspension=4),
    c.Review(grant=5, justified=True),
    c.Suspend(scope=c.PARTY, name="tiktok"),
    c.EndAppointment(person=9, duty="engineer"),
    c.Dismiss(person=9),
    c.RevokeKey(key=6),
    c.RevokeGrant(grant=5),
    c.NarrowGrant(grant=5, datasets=("profile",), classes=("protected",), records_max=10, lasts_ms=HOUR_MS),
    c.WithdrawBuild(digest=bytes(32)),
    c.WithdrawService(principal=8),
    c.WithdrawIssuer(name="https://idp.example.com"),
)
"""One change of each kind, in the order of `changes`."""


def make_statement(change: c.AnyChange = GRANT, **fields: Any) -> Statement:
    """Give a statement about a change, with whatever else such a change needs, and the fields given instead."""
    needed: dict[str, Any] = {}
    if isinstance(change, c.Grant) and not change.subjects_any:
        needed["subjects"] = (SUBJECT,)
    if isinstance(change, c.Admit | c.RegisterService):
        needed |= {"identity": IDENTITY, "identity_salt": SALT}
    whole: dict[str, Any] = {
        "origin": "ledger.example.com/custody",
        "genesis": GENESIS,
        "epoch": 12,
        "at_ms": AT_MS,
        "expires_ms": AT_MS + 24 * HOUR_MS,
        "nonce": bytes(16),
        "by": 7,
        "change": change,
        "reason": "a user wrote that messages are lost",
        "ticket": "SUP-1",
    }
    return Statement(**(whole | needed | fields))


# -- any of each kind --------------------------------------------------------------------------------------------------


def text(characters_max: int) -> st.SearchStrategy[str]:
    return st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=characters_max)


numbers = st.integers(1, NUMBER_MAX)
names = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,9}", fullmatch=True)
digests = st.binary(min_size=32, max_size=32)
titles = text(20)
lasting = st.integers(1, LASTS_MS_MAX)
keys = st.one_of(
    st.builds(file_key, st.integers(1, 99)),
    st.builds(hardware_key, st.integers(1, 99), st.sampled_from([b"ssh:", b'ssh:"x'])),
)


attestors = st.sampled_from([b"", *(attestor_key(number) for number in (1, 2, -1))])


def sets(items: st.SearchStrategy[str], least: int = 1) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(items, min_size=least, max_size=4, unique=True).map(sorted).map(tuple)


FIELDS: Final[dict[type[c.Change], dict[str, st.SearchStrategy[Any]]]] = {
    c.EnactCharter: {"name": names, "version": st.integers(1, VERSION_MAX), "digest": digests, "engine": names},
    c.Admit: {"person": numbers, "party": names, "until_ms": st.integers(0, 2**40)},
    c.Appoint: {"person": numbers, "duty": names},
    c.EnrolKey: {"person": numbers, "key": keys},
    c.Grant: {
        "kind": st.sampled_from(c.GRANT_KINDS),
        "person": numbers,
        "purpose": names,
        "verbs": sets(st.sampled_from(VERBS)),
        "datasets": sets(names),
        "classes": sets(names),
        "records_max": st.integers(1, RECORDS_MAX),
        "lasts_ms": lasting,
        "subjects_any": st.booleans(),
        "bulk": st.booleans(),
        "withhold": sets(st.builds("{}.{}".format, names, titles), least=0),
    },
    c.ApproveBuild: {"name": titles, "party": names, "digest": digests, "attestor": attestors},
    c.RegisterService: {"party": names, "feeds": st.booleans()},
    c.TrustIssuer: {"name": titles, "keys": digests},
    c.OpenKeyEpoch: {"data_class": names, "key_epoch": numbers},
    c.RecoverLane: {"lane": numbers, "n": st.integers(0, NUMBER_MAX), "reason": titles},
    c.Lift: {"suspension": numbers},
    c.Review: {"grant": numbers, "justified": st.booleans()},
    c.Suspend: {"scope": st.sampled_from([c.PARTY, c.FLOW]), "name": names},
    c.EndAppointment: {"person": numbers, "duty": names},
    c.Dismiss: {"person": numbers},
    c.RevokeKey: {"key": numbers},
    c.RevokeGrant: {"grant": numbers},
    c.NarrowGrant: {
        "grant": numbers,
        "datasets": sets(names),
        "classes": sets(names),
        "records_max": st.integers(1, RECORDS_MAX),
        "lasts_ms": lasting,
    },
    c.WithdrawBuild: {"digest": digests},
    c.WithdrawService: {"principal": numbers},
    c.WithdrawIssuer: {"name": titles},
}
"""What each field of each change may be; a commitment to an identity follows from the identity."""


@st.composite
def statements(draw: st.DrawFn, kind: type[c.Change] | None = None) -> Statement:
    """Any statement that can be signed, about a change of one kind or of any."""
    kind = kind or draw(st.sampled_from(list(FIELDS)))
    values = {name: draw(strategy) for name, strategy in FIELDS[kind].items()}
    given: dict[str, Any] = {}
    if kind in (c.Admit, c.RegisterService):
        identity = Identity(issuer=draw(titles), subject=draw(titles))
        salt = draw(st.binary(min_size=16, max_size=16))
        values["identity"] = commit(render_opening(salt, identity))
        given |= {"identity": identity, "identity_salt": salt}
    if kind is c.Grant and not values["subjects_any"]:
        references = st.binary(min_size=16, max_size=16)
        given["subjects"] = tuple(sorted(draw(st.lists(references, min_size=1, max_size=4, unique=True))))
    at_ms = draw(st.integers(0, TIME_MS_MAX - LIFETIME_MS_MAX))
    return Statement(
        origin=draw(titles),
        genesis=draw(digests),
        epoch=draw(st.integers(0, NUMBER_MAX)),
        at_ms=at_ms,
        expires_ms=at_ms + draw(st.integers(LIFETIME_MS_MIN, LIFETIME_MS_MAX)),
        nonce=draw(st.binary(min_size=16, max_size=16)),
        by=draw(numbers),
        change=kind(**values),
        reason=draw(titles.filter(lambda reason: reason.strip() != "")),
        ticket=draw(st.text(st.characters(exclude_categories=["Cs"]), max_size=20)),
        **given,
    )
