"""A bar on standard error for long work, where a person looks at it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress, ProgressColumn


@contextmanager
def show_progress(what: str, *columns: ProgressColumn, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """Show how far some work is while the block runs; nothing where no person looks.

    Args:
        what: is done.
        columns: of the bar; those that are usual when none is given.
        quiet: the result goes to a program, which wants no bar.

    Returns:
        What is to be told of progress: how much is done, and how much there is in all.
    """
    hidden = quiet or not sys.stderr.isatty()
    with Progress(*columns, console=Console(stderr=True), disable=hidden, transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
