"""What a process does about garbage once it has started: little, for hardly any of what it makes refers in circles."""

from __future__ import annotations

import gc


def settle_garbage(threshold: int) -> None:
    """Leave all that is there out of every later collection, and collect seldom: after so many more new values.

    Looking through what start-up made, or through the rows of a transaction again and again, takes as long as the
    work itself.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(threshold)
