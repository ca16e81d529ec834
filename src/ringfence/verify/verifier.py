"""The verifier: does this bundle prove what it claims?

The main path; each number stands again at its code.

     1. The signed head. The bundle's key is the pinned one, the newest checkpoint bears both of its signatures and
        those of the pinned quorum of witnesses.
     2. The files. Exactly those that a tree of this size has, and nothing else.
     3. The earlier heads. Every earlier checkpoint, and the one that the reader kept, is by the same key; sizes and
        times only grow.
     4. Genesis. Leaf 1 is the pinned one, and names this origin and this key.
     5. The rules, folded in order. They give the state that each part of the ledger starts from. The charters are
        there, by digest, and no other file is.
     6. The parts, side by side: leaves and tiles; batches, seals, epochs, times; every decision made again; openings.
     7. The joints: each part goes on where the one before ended, lane by lane, counter by counter, each
        outcome to its access.
     8. The tree above: every tile is what the level below hashes to, and every signed root, old and new, follows.
     9. The end: all that is published is sealed.
    10. The verdict: with pins, verified or refuted; without, at best self-consistent. What was asserted and what was
        withheld is said in numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ringfence.core.errors import DeviceError, InvalidInputError, ProofInvalidError
from ringfence.core.ledger.entry import Genesis, parse_entry
from ringfence.core.ledger.merkle import hash_leaf
from ringfence.core.ledger.signed_note import render_vkey
from ringfence.verify.bundle import Bundle, Listing, entries_tile, place_of_leaf
from ringfence.verify.checkpoints import Notes, open_earlier, open_newest, time_limits
from ringfence.verify.conclusion import conclude, unreadable
from ringfence.verify.counters import CounterBook
from ringfence.verify.grants import named_users
from ringfence.verify.lanes import LaneBook
from ringfence.verify.outcomes import OutcomeLedger
from ringfence.verify.parts import PartReport
from ringfence.verify.processes import check_parts, require_jobs
from ringfence.verify.rules import RuleBook, read_rules
from ringfence.verify.scope import Scope
from ringfence.verify.tree import TileTower, check_roots
from ringfence.verify.trust import Trust
from ringfence.verify.verdict import REFUTATIONS_MAX, Findings, Tally, Verdict

GENESIS_LEAF = 1

Progress = Callable[[int, int], None]
"""`progress(done, total)` is told how many leaves are checked."""


def verify_bundle(
    directory: Path,
    *,
    trust: Trust | None,
    from_leaf: int = 0,
    since: bytes | None = None,
    jobs: int = 1,
    now_seconds: int | None = None,
    refutations_max: int = REFUTATIONS_MAX,
    progress: Progress | None = None,
) -> Verdict:
    """Check an evidence bundle whole, and say what it proves. Reads files, writes none, needs no network.

    Args:
        directory: the bundle, as `ringfence ledger export` writes it.
        trust: the pins; None when the reader has none.
        from_leaf: entries before this leaf are not decided again; tree, lanes, rules and counters still are checked. At
            most the number of leaves: from beyond them nothing would be checked, and `unreadable` says so.
        since: a signed checkpoint that the reader kept from before; the bundle must be a growth of it.
        jobs: processes to use; the verdict is the same for any number.
        now_seconds: the reader's clock, POSIX, for the age of the newest checkpoint.
        refutations_max: how many refutations to name, the first ones in the order of the ledger.
        progress: told now and then how far the check is.

    Returns:
        The verdict; a bundle that cannot be read gives one too, with the outcome `unreadable`.

    Raises:
        InvalidInputError: `jobs` is out of range, or `from_leaf` is negative.
    """
    require_jobs(jobs)
    if from_leaf < 0:
        raise InvalidInputError("--from must be the index of a leaf, from 0", place="--from")
    findings = Findings(refutations_max)
    bundle = Bundle(directory)
    try:
        _require_bundle(directory)
        try:
            notes = open_newest(bundle, trust)  # 1
            listing = bundle.list_files(size=notes.newest.checkpoint.size)  # 2
        except ProofInvalidError as error:
            findings.refute_error(error)
            return conclude(findings, trust=trust)
        notes = open_earlier(bundle, notes, trust, sizes=listing.checkpoints, since=since, findings=findings)  # 3
        return _verify_tree(
            bundle,
            notes,
            listing,
            findings,
            trust=trust,
            from_leaf=from_leaf,
            since=since,
            jobs=jobs,
            now_seconds=now_seconds,
            progress=progress or _no_progress,
        )
    except (InvalidInputError, DeviceError) as error:
        return unreadable(error)


def _verify_tree(
    bundle: Bundle,
    notes: Notes,
    listing: Listing,
    findings: Findings,
    *,
    trust: Trust | None,
    from_leaf: int,
    since: bytes | None,
    jobs: int,
    now_seconds: int | None,
    progress: Progress,
) -> Verdict:
    """Check all that the newest checkpoint stands for (steps 4 to 10)."""
    size = notes.newest.checkpoint.size
    if from_leaf > size and not findings:  # of a tree that was cut, that it was cut is the answer
        raise InvalidInputError(
            f"--from names leaf {from_leaf}, and the tree has {size}",
            place="--from",
            hint="nothing would be decided again",
        )
    genesis = _check_genesis(bundle, notes, trust, findings)  # 4
    rules = read_rules(bundle, size=size, detail=listing.detail, findings=findings)  # 5
    _check_blobs(listing, rules, findings)
    scope = Scope(
        bundle=bundle,
        origin=notes.origin,
        size=size,
        times=time_limits(notes),
        detail=listing.detail,
        erased=rules.erased,
        granted_users=named_users(rules.state.standing),
        from_leaf=from_leaf,
        refutations_max=findings.limit,
    )
    joints = _Joints(bundle, size, findings)
    for report in check_parts(scope, rules.starts, jobs=jobs):  # 6
        joints.take(report)  # 7
        progress(min(size, report.end), size)
    joints.close(notes)  # 8, 9
    return conclude(  # 10
        findings,
        trust=trust,
        notes=notes,
        genesis=genesis,
        rules=rules,
        tally=joints.tally,
        lanes=len(joints.lanes),
        detail=listing.detail,
        from_leaf=from_leaf,
        since=since,
        now_seconds=now_seconds,
    )


class _Joints:
    """Puts the parts' reports together, in order (steps 7 to 9)."""

    def __init__(self, bundle: Bundle, size: int, findings: Findings) -> None:
        self._bundle = bundle
        self._findings = findings
        self._end = 0
        self._hashed = True
        self._walked = True
        self._tower = TileTower(bundle, size=size, findings=findings)
        self._counters = CounterBook(findings)
        self.lanes = LaneBook(findings)
        self.tally = Tally()
        self._outcomes = OutcomeLedger(bundle, size=size, tally=self.tally, findings=findings)

    def take(self, report: PartReport) -> None:
        """Join one part to those before it."""
        findings = self._findings
        findings.extend(report.refutations)
        findings.more = findings.more or report.refutations_more
        self.tally.add(report.tally)
        self._hashed = self._hashed and report.hashed
        if self._hashed:
            self._take_hashes(report)
        if self._walked and report.walked and report.start != self._end:
            what = "the leaves from here are in no batch, or in two"
            expected, found = f"a header or a seal at leaf {self._end}", f"one at leaf {report.start}"
            findings.refute(place_of_leaf(self._end), what, expected=expected, found=found, leaf=self._end)
        if self._walked:
            self.lanes.take(report.lanes)
            self._counters.take(report.counters)
            self._outcomes.take(report.outcomes, start=report.start, end=report.end)
        self._walked = self._walked and report.walked
        self._end = report.end

    def close(self, notes: Notes) -> None:
        """Check what only the end can show."""
        if self._hashed:
            try:
                self._tower.close()  # 8
                check_roots(self._bundle, notes, self._findings)
            except ProofInvalidError as error:
                self._findings.refute_error(error)
        if self._walked:
            self._counters.close()
            self._close_outcomes()
            self.lanes.close()  # 9

    def _close_outcomes(self) -> None:
        try:
            self._outcomes.close()
        except ProofInvalidError as error:
            self._findings.refute_error(error)

    def _take_hashes(self, report: PartReport) -> None:
        try:
            self._tower.take(report.roots)
        except ProofInvalidError as error:
            self._hashed = False
            self._findings.refute_error(error)


def _require_bundle(directory: Path) -> None:
    """Refuse what is no directory with a checkpoint in it: there is nothing to refute then."""
    if not directory.is_dir():
        raise InvalidInputError(
            f"{directory} is no directory", place=str(directory), hint="give the bundle's directory"
        )
    if not (directory / "checkpoint").exists():
        raise InvalidInputError(
            f"{directory} has no checkpoint", place="checkpoint", hint="`ringfence ledger export` writes a bundle"
        )


def _check_genesis(bundle: Bundle, notes: Notes, trust: Trust | None, findings: Findings) -> Genesis | None:
    """Check that the ledger begins with the pinned entry (step 4)."""
    size, place = notes.newest.checkpoint.size, place_of_leaf(GENESIS_LEAF)
    if size <= GENESIS_LEAF:
        findings.refute("checkpoint", "the tree has no genesis", expected="2 leaves or more", found=str(size))
        return None
    try:
        leaf = bundle.read_leaves(entries_tile(0, size=size))[GENESIS_LEAF]
        genesis = parse_entry(leaf, place=place)
    except ProofInvalidError as error:
        findings.refute_error(error)
        return None
    if trust and hash_leaf(leaf) != trust.genesis:
        what = "this is not the genesis that the trust file pins"
        findings.refute(place, what, expected=trust.genesis.hex(), found=hash_leaf(leaf).hex())
    if not isinstance(genesis, Genesis):
        findings.refute(place, "the first entry is not genesis", found=type(genesis).__name__)
        return None
    for what, expected, found in (
        ("genesis is of another origin than the checkpoint", notes.origin, genesis.origin),
        ("genesis names another log key", render_vkey(notes.log_key), genesis.log_key),
    ):
        if expected != found:
            findings.refute(place, what, expected=expected, found=found)
    return genesis


def _check_blobs(listing: Listing, rules: RuleBook, findings: Findings) -> None:
    """Refuse files that no rule names; those that one names were read when it was folded."""
    for digest in sorted(listing.blobs - rules.blobs):
        findings.refute(f"blobs/{digest.hex()}", "no rule names this file")
    for commitment in sorted(listing.facts - rules.facts):
        findings.refute(f"facts/{commitment.hex()}", "no rule commits to these facts")


def _no_progress(done: int, total: int) -> None:
    """Tell nobody."""
