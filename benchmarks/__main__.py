"""Run every benchmark, one after the other: `python -m benchmarks` (or `make bench`).

Each prints how it measures, then lines of name, value, unit and ratio to its baseline. Figures of one machine and one
run; the ratios are what to compare.
"""

from __future__ import annotations

import subprocess
import sys

BENCHMARKS = (
    "reading",
    "stages",
    "ingest",
    "ledger",
    "verify",
    "governance",
    "people",
    "revocation",
    "prover",
    "coalition",
)


def main() -> int:
    """Run them; gives 1 when one failed."""
    failed = []
    for name in BENCHMARKS:
        print(f"== {name}", flush=True)
        done = subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False)
        if done.returncode != 0:
            failed.append(name)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
