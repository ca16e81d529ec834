"""Commands of people who ask and agree, used wrongly: what is missing is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.journeys.programs import complained, run_inside
from tests.services.world import EXAMPLE

CHARTER = str(EXAMPLE)
AGREED = {
    "found": ["none.sig"],
    "statement new": ["change.yaml", "--by", "1", "--reason", "x", "--out", "bytes"],
    "statement get": ["1", "--out", "bytes"],
    "statement users": ["none.sig", "ann"],
    "propose": ["bytes", "none.sig"],
    "proposals": [],
    "approve": ["1", "none.sig"],
    "decline": ["1", "none.sig"],
    "carry": ["1"],
    "order": ["bytes", "none.sig"],
    "grants": [],
    "session": ["1"],
}
"""What needs a governed deployment; what they do when all is well is in test_governance and test_ceremony."""


@pytest.mark.parametrize("words", [words for words in AGREED if words != "found"])
def test_call_of_governance_says_what_is_missing(tmp_path: Path, words: str) -> None:
    options = ["--url", "http://127.0.0.1:9", "--token", "x"]

    done = run_inside(*words.split(), *AGREED[words], *options, cwd=tmp_path)

    reads_first = "none.sig" in AGREED[words] or words == "statement new"
    complained(done, 1 if reads_first else 3, hint=not reads_first)
    assert ("cannot be read" if reads_first else "does not answer") in done.stderr
