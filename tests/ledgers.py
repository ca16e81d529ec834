"""Small ledgers made through core alone, valid unless a test asks for something else, and written as bundles.

The builder checks nothing: it signs whatever it is told, as someone would who holds every key. A test that forges
passes what is wrong (`epoch=`, `key=`, `decided=`) or changes `leaves` before the ledger is written.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ringfence.core.charter.catalog import classes_of
from ringfence.core.decisions.ruling import Asked, rule_access, rule_erasure
from ringfence.core.errors import ProofInvalidError
from ringfence.core.folding import RuleSource, fold
from ringfence.core.ledger import entry as e
from ringfence.core.ledger.checkpoint import Checkpoint, add_cosignatures, sign_checkpoint
from ringfence.core.ledger.governed_entry import PeopleRecorded
from ringfence.core.ledger.lane import AUTHORITY_LANE, LaneHead, build_batch, seal_head
from ringfence.core.ledger.merkle import hash_leaf, root_of
from ringfence.core.ledger.signed_note import (
    KEY_TYPE_COSIGNATURE,
    VerifierKey,
    cosign,
    parse_note,
    render_vkey,
    verifier_key_of,
)
from ringfence.core.ledger.tiles import ENTRIES_LEVEL, TILE_WIDTH, Tile, encode_bundle, grow_tiles
from ringfence.core.state import EMPTY, State
from ringfence.verify import Trust

ORIGIN = "log.example/ringfence"
START_MS = 1_760_000_000_000
DAY_MS = 86_400_000
GATEWAY, INGEST = 1, 2
APP, PARENT = 1, 2
ALICE, BOB = b"alice-----------", b"bob-------------"

CHARTER = """\
charter: small
version: 1
jurisdiction: {country: US, evidence: {declared: [{dataset: person, field: country}]}}
identity: {dataset: person, field: id}
parties:
  app: {name: App, role: operator}
  parent: {name: Parent, role: excluded}
  keeper: {name: Keeper, role: custodian}
regions: {home: {country: US, holds: [protected, public]}}
classes: {protected: secret, public: published}
datasets:
  person: {records: one, sources: [[Person]], fields: {id: public, country: protected}}
  posts: {records: many, sources: [[Post]], fields: {who: record, text: record},
          record_class: {field: who, values: {Everyone: public}}}
  rest: {records: many, catch_all: true, fields: {}}
purposes: {serve: to serve}
flows:
  - {name: serving, words: One., who: [app], from: [US], purposes: [serve], verbs: [read, write, find],
     datasets: [person, posts], classes: [protected, public], downgrades_per_day_max: 3,
     bulk: {records_max: 50, records_per_day_max: 100}}
  - {name: erasing, words: Two., who: [app], from: [US], purposes: [serve], verbs: [erase], datasets: ["*"],
     classes: ["*"]}
"""
NARROWER = CHARTER.replace("version: 1", "version: 2").replace("verbs: [read, write, find]", "verbs: [write]")


def key_of(name: str) -> Ed25519PrivateKey:
    """Give the key that always belongs to this name."""
    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(name.encode()).digest())


def opening_of(value: e.About | e.Identity) -> bytes:
    """Give an opening whose salt follows from its value."""
    return e.render_opening(hashlib.sha256(repr(value).encode()).digest()[: e.SALT_SIZE_BYTES], value)


def about(*subjects: bytes) -> bytes:
    """Give the opening of an access to these subjects."""
    return opening_of(e.About(subjects=list(subjects)))


def record_of(subject: bytes) -> bytes:
    """Give the key of a subject's one record."""
    return hashlib.sha256(subject).digest()[:16]


def told_by(verb: str, subjects: Sequence[bytes], decided: Mapping[str, str]) -> e.About:
    """Give what an access of this kind tells: whom it is about, what was looked for, what was written first."""
    if verb == "find":
        return e.About(searched=[b"person.country" if "protected" in decided else b"person.id", bytes(16)])
    if verb != "write" or not all(clause and clause[0] != "!" for clause in decided.values()):
        return e.About(subjects=list(subjects))
    subjects = list(dict.fromkeys(subjects))
    keys = [record_of(subject) for subject in subjects]
    written = [e.Written(key, data_class, 1, bytes(32)) for key in keys for data_class in decided]
    return e.About(subjects=list(subjects), records=keys, written=written)


@dataclass
class Ledger:
    """A ledger under construction: leaves with their openings, earlier checkpoints and blobs."""

    origin: str = ORIGIN
    mode: str = e.PRODUCTION
    engine: str = "v1"
    log_key: Ed25519PrivateKey = field(default_factory=lambda: key_of("log"))
    now_ms: int = START_MS
    leaves: list[bytes] = field(default_factory=list)
    openings: list[bytes] = field(default_factory=list)
    heads: dict[int, LaneHead] = field(default_factory=dict)
    state: State = EMPTY
    epoch: int = 0
    checkpoints: dict[int, bytes] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    facts: dict[str, bytes] = field(default_factory=dict)
    ordinals: dict[str, int] = field(default_factory=dict)

    # -- writing what lanes write ------------------------------------------------------------------------------------

    def batch(
        self,
        lane: int,
        *entries: tuple[e.AnyLeaf, bytes],
        seal: bool = True,
        epoch: int | None = None,
        at_ms: int | None = None,
        head: LaneHead | None = None,
        key: Ed25519PrivateKey | None = None,
    ) -> int:
        """Add a batch of (entry, opening) and its seal; give the leaf of its header."""
        self.now_ms += 10
        follows = head or self.heads.get(lane, LaneHead(lane=lane))
        at = self.now_ms if at_ms is None else at_ms
        rendered = [e.render_entry(entry) for entry, _ in entries]
        built = build_batch(
            LaneHead(lane=follows.lane, n=follows.n, hash=follows.hash, at_ms=0),
            epoch=self.epoch if epoch is None else epoch,
            at_ms=at,
            entries=rendered,
        )
        place = len(self.leaves)
        self.leaves += [built.header, *built.entries]
        self.openings += [b"", *(opening for _, opening in entries)]
        self.heads[lane] = built.head
        if seal:
            self.seal(lane, key=key)
        return place

    def seal(self, lane: int, *, key: Ed25519PrivateKey | None = None, origin: str | None = None) -> int:
        """Add a seal of the lane's head; give its leaf."""
        leaf = seal_head(key or key_of(f"lane {lane}"), origin=origin or self.origin, head=self.heads[lane])
        self.leaves.append(leaf)
        self.openings.append(b"")
        return len(self.leaves) - 1

    def rule(
        self, rule: e.Rule, *, lane: int = AUTHORITY_LANE, opening: bytes = b"", blob: bytes = b"", seal: bool = True
    ) -> int:
        """Add a rule in its own batch, with its seal, and fold it if it can be; give the leaf of the rule."""
        place = self.batch(lane, (rule, opening), seal=seal) + 1
        if blob:
            named = self.facts if isinstance(rule, PeopleRecorded) else self.blobs
            named[hashlib.sha256(blob).hexdigest()] = blob
        self.epoch += 1
        with contextlib.suppress(ProofInvalidError):  # of a forged ledger: what follows is decided on the state before
            source = RuleSource(lane=lane, at_ms=self.now_ms, opening=opening or None, blob=blob or None)
            self.state = fold(self.state, rule, source)
        return place

    def checkpoint(self, *, seconds_later: int = 1, root: bytes | None = None) -> bytes:
        """Sign a checkpoint of the tree as it is, and keep it among the earlier ones."""
        note = self.sign(seconds_later=seconds_later, root=root)
        self.checkpoints[len(self.leaves)] = note
        return note

    def sign(
        self, *, seconds_later: int = 1, root: bytes | None = None, origin: str | None = None, size: int | None = None
    ) -> bytes:
        """Give a signed checkpoint of the tree as it is."""
        leaves = self.leaves if size is None else self.leaves[:size]
        tree = Checkpoint(origin or self.origin, len(leaves), root or root_of(map(hash_leaf, leaves)))
        seconds = self.now_ms // 1000 + seconds_later
        return sign_checkpoint(tree, name=self.origin, key=self.log_key, time_seconds=seconds)

    # -- what entries say --------------------------------------------------------------------------------------------

    def genesis(self) -> int:
        """Add the genesis rule."""
        authority = key_of("lane 0").public_key().public_bytes_raw()
        return self.rule(
            e.Genesis(
                origin=self.origin,
                mode=self.mode,
                engine=self.engine,
                authority=authority,
                log_key=render_vkey(self.log_vkey()),
                at_ms=self.now_ms,
            )
        )

    def enact(self, charter: str = CHARTER, *, name: str = "small", version: int = 1) -> int:
        """Add the rule that enacts a charter."""
        blob = charter.encode()
        digest = hashlib.sha256(blob).digest()
        return self.rule(e.CharterEnacted(name=name, version=version, digest=digest, engine=self.engine), blob=blob)

    def certify(self, lane: int, *, duty: str = "gateway") -> int:
        """Add the rule that lets a lane write."""
        key = key_of(f"lane {lane}").public_key().public_bytes_raw()
        return self.rule(e.LaneCertified(lane=lane, key=key, build=f"build-{lane}", duty=duty))

    def register(self, number: int, party: str) -> int:
        """Add the rule that registers a principal."""
        opening = opening_of(e.Identity(issuer="https://issuer.example", subject=f"caller-{number}"))
        return self.rule(e.PrincipalRegistered(number=number, party=party, identity=e.commit(opening)), opening=opening)

    def access(
        self,
        *subjects: bytes,
        principal: int = APP,
        verb: str = "read",
        classes: Sequence[str] | None = None,
        dataset: str = "person",
        country: str = "US",
        purpose: str = "serve",
        shape: str = "single",
        records: int = 1,
        decided: Mapping[str, str] | None = None,
        counted: e.Count | None = None,
        grant: int = 0,
        granted: e.Count | None = None,
        build: bytes = b"",
        told: e.About | None = None,
    ) -> tuple[e.Access, bytes]:
        """Give an access entry with its opening, decided as the state has it unless told otherwise.

        `told` is what it is about, where that does not follow from the rest.
        """
        if classes is None:
            named = self.state.rules.datasets.get(dataset)
            classes = ("public",) if verb == "find" else classes_of(named) if named else ("protected",)
        if decided is None:
            asked = Asked(principal, country, purpose, verb, dataset, shape, records, grant, build)
            decided = rule_access(self.state, asked, classes, at_ms=self.now_ms).decided
        opening = opening_of(told or told_by(verb, subjects or (ALICE,), decided))
        access = e.Access(
            verb=verb,
            principal=principal,
            country=country,
            purpose=purpose,
            dataset=dataset,
            decided=dict(decided),
            records=records,
            about=e.commit(opening),
            shape=shape,
            counted=counted,
            grant=grant,
            granted=granted,
            build=build,
        )
        return access, opening

    def bulk(self, records: int, *, refused: bool = False, **count: int) -> tuple[e.Access, bytes]:
        """Give a bulk read under `serving`, counted, or refused for its limit; `count` as in `step`."""
        decided = {"protected": "!serving", "public": "!serving"} if refused else None
        return self.bulk_of(records, decided=decided, **{"by": 0} if refused else {}, **count)

    def bulk_of(
        self, records: int, *, decided: Mapping[str, str] | None = None, **count: int
    ) -> tuple[e.Access, bytes]:
        """Give a bulk read that says what it is told."""
        counted = self.step("bulk/serving", count.pop("by", records), **count)
        subjects = (ALICE, BOB) if records > 1 else (ALICE,)
        return self.access(*subjects, shape="bulk", records=records, counted=counted, decided=decided)

    def step(self, counter: str, by: int, /, *, before: int | None = None, **given: int) -> e.Count:
        """Give the next step of a counter within one day; `before` is the total that it adds to."""
        ordinal = self.ordinals.get(f"{counter} ordinal", 0) + 1
        total = (self.ordinals.get(f"{counter} total", 0) if before is None else before) + by
        values: dict[str, int] = {
            "ordinal": ordinal,
            "amount": by,
            "total": total,
            "day": self.now_ms // DAY_MS,
            **given,
        }
        self.ordinals[f"{counter} ordinal"] = values["ordinal"]
        self.ordinals[f"{counter} total"] = values["total"]
        return e.Count(counter=counter, **values)

    def downgrade(self, *, told: e.About | None = None, **count: int) -> tuple[e.Downgrade, bytes]:
        """Give a downgrade of one record under `serving`; it must follow a write."""
        opening = opening_of(told or e.About(subjects=[ALICE], records=[record_of(ALICE)]))
        downgrade = e.Downgrade(
            principal=APP,
            country="US",
            purpose="serve",
            dataset="person",
            clause="serving",
            about=e.commit(opening),
            counted=self.step("downgrade/serving", 1, **count),
        )
        return downgrade, opening

    def erase(
        self,
        subject: bytes,
        *,
        lane: int = GATEWAY,
        principal: int = APP,
        opening: bool = True,
        build: bytes = b"",
        decided: Mapping[str, str] | None = None,
    ) -> int:
        """Add the rule that erases a subject, decided as the state has it unless told otherwise."""
        if decided is None:
            asked = {"principal": principal, "country": "US", "purpose": "serve", "build": build}
            decided = rule_erasure(self.state, at_ms=self.now_ms, **asked).decided  # type: ignore[arg-type]
        opened = about(subject)
        erased = e.SubjectErased(
            principal=principal,
            country="US",
            purpose="serve",
            decided=dict(decided),
            about=e.commit(opened),
            build=build,
        )
        return self.rule(erased, lane=lane, opening=opened if opening else b"")

    # -- writing the bundle ------------------------------------------------------------------------------------------

    def log_vkey(self) -> VerifierKey:
        """Give the log's verifier key."""
        return verifier_key_of(self.log_key, name=self.origin)

    def trust(self, *witnesses: str, quorum: int = 0) -> Trust:
        """Give the pins that belong to this ledger."""
        keys = tuple(witness_key(name) for name in witnesses)
        return Trust(self.origin, hash_leaf(self.leaves[1]), self.log_vkey(), keys, quorum)

    def files(
        self, *, detail: bool = True, note: bytes | None = None, cosigned: Sequence[str] = ()
    ) -> dict[str, bytes]:
        """Give every file of the bundle by path."""
        newest = note or self.sign()
        files = {
            "checkpoint": cosigned_by(newest, *cosigned),
            "vkey": render_vkey(self.log_vkey()).encode() + b"\n",
            **{f"checkpoints/{size}": earlier for size, earlier in self.checkpoints.items()},
            **{f"blobs/{digest}": blob for digest, blob in self.blobs.items()},
        }
        if detail:
            files.update({f"facts/{commitment}": facts for commitment, facts in self.facts.items()})
        tiles, _ = grow_tiles(_no_tile, old_size=0, leaf_hashes=[hash_leaf(leaf) for leaf in self.leaves])
        files.update({tile.path: data for tile, data in tiles})
        for first in range(0, len(self.leaves), TILE_WIDTH):
            chunk = self.leaves[first : first + TILE_WIDTH]
            path = Tile(ENTRIES_LEVEL, first // TILE_WIDTH, len(chunk)).path
            files[path] = encode_bundle(chunk)
            if detail:
                openings = self.openings[first : first + TILE_WIDTH]
                files["detail/" + path.removeprefix("tile/entries/")] = encode_bundle(openings)
        return files

    def write(self, directory: Path, **options: Any) -> Path:
        """Write the bundle into an empty or missing directory; give the directory."""
        write_files(directory, self.files(**options))
        return directory


def write_files(directory: Path, files: Mapping[str, bytes]) -> None:
    """Write files by path."""
    for path, data in files.items():
        place = directory / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)


def witness_key(name: str) -> VerifierKey:
    """Give the key of a witness."""
    return verifier_key_of(key_of(f"witness {name}"), name=name, key_type=KEY_TYPE_COSIGNATURE)


def cosigned_by(note: bytes, *witnesses: str, time_seconds: int = 1_760_000_100) -> bytes:
    """Give a checkpoint with the cosignatures of these witnesses added."""
    text = parse_note(note).text
    return add_cosignatures(
        note, [cosign(text, name=name, key=key_of(f"witness {name}"), time_seconds=time_seconds) for name in witnesses]
    )


def render_trust(trust: Trust) -> bytes:
    """Give the trust file of these pins."""
    return json.dumps(
        {
            "origin": trust.origin,
            "genesis": trust.genesis.hex(),
            "log_key": render_vkey(trust.log_key),
            "witnesses": [render_vkey(key) for key in trust.witnesses],
            "witness_quorum": trust.witness_quorum,
        }
    ).encode()


def started(**options: Any) -> Ledger:
    """Give a ledger with genesis, charter, a gateway's and an ingest's lane, and two principals."""
    ledger = Ledger(**options)
    ledger.genesis()
    ledger.enact()
    ledger.certify(GATEWAY)
    ledger.certify(INGEST, duty="ingest")
    ledger.register(APP, "app")
    ledger.register(PARENT, "parent")
    return ledger


def whole(**options: Any) -> Ledger:
    """Give a ledger with an entry of every kind, two earlier checkpoints, an erasure and a narrower charter."""
    ledger = started(**options)
    ledger.batch(GATEWAY, ledger.access(), ledger.access(principal=PARENT), ledger.access(BOB))
    ledger.checkpoint()
    write = ledger.access(verb="write")
    ledger.batch(INGEST, write, ledger.downgrade(), seal=False)
    ledger.batch(GATEWAY, ledger.bulk(40))
    ledger.batch(INGEST, ledger.access(verb="write"))
    ledger.batch(GATEWAY, ledger.bulk(40), ledger.bulk(40, refused=True))
    refusals = e.Refusals(principal=0, reason="unauthenticated", requests=7, since_ms=ledger.now_ms)
    ledger.batch(GATEWAY, (refusals, b""), (e.Outcome(n=1, position=0, result="unavailable"), b""))
    ledger.erase(ALICE)
    ledger.checkpoint()
    ledger.batch(GATEWAY, ledger.access(BOB))
    ledger.enact(NARROWER, version=2)
    ledger.batch(GATEWAY, ledger.access(BOB))
    return ledger


def _no_tile(level: int, index: int, width: int) -> bytes:
    raise ProofInvalidError(f"a new tree has no tile {level}/{index}/{width}")
