"""How long does it take to count who must join the parent, and what does the gate add to a change?

    python -m benchmarks.coalition [--rounds N]

Method: a governed ledger is founded as in the tests, with a charter that asks for three people. Then its register is
widened to 50,000 people with 200,000 facts that bind them (employer, pay, line manager, who directs; managers in a tree
of eight, and a director drawn from those beside the manager), some of them the parent's, and 800 of them are members
with duties.

    all goals     everything that `ringfence prove coalition` does for every goal: who is in it, the counts, clingo, the
                  check by the closure, and the runs; in seconds, and the largest memory of the process
    baseline      the same ledger with 50 people, all of them members
    gate          what the gate adds to an appointment with 5,000 people and 800 members: one that was agreed to is
                  completed by its writer, and folded by every process that reads it, the writer's among them; with the
                  charter's number and without it; the median of N rounds (default 5), the first of which is left out.
                  Where a chief alone brings enough people, the state before is counted as well: told besides

In processor time, on one core. Left out: reading the state, signatures, the ledger. The run fails at 5 s, 500 MB or
300 ms and more.
"""

from __future__ import annotations

import argparse
import random
import resource
import statistics
import sys
import time
from dataclasses import replace

from ringfence.core import changes as c
from ringfence.core.folding import RuleSource, complete, fold
from ringfence.core.ledger.governed_entry import Carried
from ringfence.core.people.register import PersonFacts, record
from ringfence.core.people.standing import Appointment, Member, SigningKey
from ringfence.core.state import Principal, State
from ringfence.prover.coalition.answers import Coalition
from tests.governed import CHARTER, NUMBERS, Ground
from tests.prover.powers import COUNTED

PEOPLE, MEMBERS, GATED = 50_000, 800, 5_000
FEW = 50
SECONDS_MAX, BYTES_MAX, GATE_SECONDS_MAX = 5.0, 500_000_000, 0.3
DUTIES = ("engineer", "officer", "manager", "people", "inspector")


def widen(ground: Ground, *, people: int, members: int, flat: bool = False) -> State:
    """Give the ledger's state with so many people more, of whom so many are members with a duty.

    Where it is flat nobody manages or directs these, so that the charter's number holds.
    """
    state, drawn = ground.state, random.Random(7)
    standing = state.governed
    assert standing.register is not None
    first = state.principal_last + 1
    theirs = range(
        first, first + people // 20
    )  # the parent's: the first of the tree are not among those of the members
    facts = []
    for position in range(people):
        number = first + position
        own = number in theirs
        above = first + (position - 1) // 8 if own else first + len(theirs) + max(position - len(theirs) - 1, 0) // 8
        facts.append(
            PersonFacts(
                number=number,
                reference=f"hr-{number}",
                name=f"person {number}",
                party="parent" if own else "trust",
                residence="US",
                works_in="US",
                manager=above if above < number and not (flat and position >= people - members) else 0,
                directed_by=(drawn.randrange(above + 1, min(above + 8, number)),)
                if above + 1 < number and not (flat and position >= people - members)
                else (),
                team=f"team {above}",
            )
        )
    chosen = [fact.number for fact in facts if fact.party == "trust"][-members:]
    epoch = state.epoch
    wide = standing.members.mutate()
    keys, principals = standing.keys.mutate(), state.principals.mutate()
    for position, number in enumerate(chosen):
        duty = DUTIES[position % len(DUTIES)]
        wide[number] = Member(number, "trust", {duty: Appointment(duty, epoch, 0)})
        keys[1000 + number] = SigningKey(1000 + number, number, number.to_bytes(51, "big"), epoch)
        principals[number] = Principal(number, "trust")
    standing = replace(
        standing,
        register=record(standing.register, facts, at_ms=ground.now_ms),
        members=wide.finish(),
        keys=keys.finish(),
    )
    return replace(
        state, standing=standing, principals=principals.finish(), principal_last=state.principal_last + people
    )


def count_all(state: State, *, at_ms: int) -> float:
    """Give the processor seconds of all goals."""
    begin = time.process_time()
    coalition = Coalition(state, at_ms=at_ms)
    told = [coalition.answer(goal) for goal in coalition.goals]
    seconds = time.process_time() - begin
    exact = sum(answer.is_exact for answer in told)
    print(f"{len(told)} goals, {exact} of them exact; {len(coalition.world.kinds)} kinds of people")
    return seconds


def carry_once(ground: Ground, *, flat: bool) -> float:
    """Give the processor seconds of carrying one appointment that was agreed to."""
    person = ground.hire(f"hired {len(NUMBERS)}")
    ground.admit(next(name for name, number in NUMBERS.items() if number == person))
    proposal = ground.propose("dot", c.Appoint(person=person, duty="inspector"))
    ground.approve(proposal, "ada", "ben")
    state = widen(ground, people=GATED, members=MEMBERS, flat=flat)
    begin = time.process_time()
    source = RuleSource(lane=0, at_ms=ground.now_ms + 1000)
    rule = complete(state, Carried(proposal=proposal), source)
    fold(state, rule, source)
    return time.process_time() - begin


def main() -> int:
    """Measure; gives 1 when a limit is reached."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    ground = Ground.founded(COUNTED)
    few = count_all(widen(ground, people=FEW, members=FEW // 2), at_ms=ground.now_ms)
    many = count_all(widen(ground, people=PEOPLE, members=MEMBERS), at_ms=ground.now_ms)
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(f"{'baseline, all goals':<32} {few:>12,.2f} {'s':<16}")
    print(f"{'all goals':<32} {many:>12,.2f} {'s':<16} {many / few:.1f} of the baseline")
    print(f"{'largest memory':<32} {largest / 1e6:>12,.0f} {'MB':<16}")
    seconds = {}
    for name, charter, flat in (("without", CHARTER, True), ("gate", COUNTED, True), ("few", COUNTED, False)):
        ledger = Ground.founded(charter)
        seconds[name] = statistics.median([carry_once(ledger, flat=flat) for _ in range(options.rounds + 1)][1:])
    added, worst = seconds["gate"] - seconds["without"], seconds["few"] - seconds["without"]
    print(f"{'carry without a number':<32} {seconds['without'] * 1000:>12,.1f} {'ms':<16}")
    print(f"{'gate':<32} {added * 1000:>12,.1f} {'ms more':<16}")
    print(f"{'gate, where fewer than asked':<32} {worst * 1000:>12,.1f} {'ms more':<16}")
    return 1 if many >= SECONDS_MAX or largest >= BYTES_MAX or added >= GATE_SECONDS_MAX else 0


if __name__ == "__main__":
    sys.exit(main())
