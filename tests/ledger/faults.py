"""A store and a disk that fail on order: before a step, after it, or in the middle of a write.

"Before" is a fault that was not persisted, "after" one that was. Whatever holds them then dies: nothing more of it
runs, as after SIGKILL.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ringfence.core.ports import Store
from ringfence.ledger.disk import Disk

BEFORE, AFTER, TORN = "before", "after", "torn"


class CrashError(BaseException):
    """The process is gone. Not an `Exception`, so that no handler can live on."""


class Steps:
    """Counts durable steps, and crashes at one of them."""

    def __init__(self, crash_at: int = -1, when: str = BEFORE) -> None:
        self.names: list[str] = []
        self.crashed = False
        self._crash_at = crash_at
        self._when = when

    def enter(self, name: str) -> str:
        """Count a step; gives how it must end, or "" when it just works."""
        if self.crashed:
            raise CrashError(name)
        self.names.append(name)
        if len(self.names) - 1 != self._crash_at:
            return ""
        self.crashed = True
        if self._when == BEFORE:
            raise CrashError(name)
        return self._when

    @staticmethod
    def leave(ending: str) -> None:
        if ending:
            raise CrashError(ending)


class FailingStore:
    """A real store behind faults. Reads count too: a crash there must leave nothing half done."""

    def __init__(self, store: Store, steps: Steps) -> None:
        self._store = store
        self._steps = steps

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._store, name)

        async def call(*args: Any, **kwargs: Any) -> Any:
            ending = self._steps.enter(f"store.{name}")
            result = await method(*args, **kwargs)
            self._steps.leave(ending)
            return result

        return call


class FailingDisk(Disk):
    """A real disk behind faults; a torn write leaves half of the files, and half of each."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps

    def write_all(self, files: Sequence[tuple[Path, bytes]]) -> None:
        ending = self._steps.enter("disk.write_all")
        torn = [(path, data[: len(data) // 2]) for path, data in files[: 1 + len(files) // 2]]
        super().write_all(torn if ending == TORN else files)
        self._steps.leave(ending)

    def rename(self, source: Path, target: Path) -> None:
        ending = self._steps.enter(f"disk.rename {target.name}")
        super().rename(source, target)
        self._steps.leave(ending)

    def make_directory(self, path: Path) -> None:
        ending = self._steps.enter("disk.make_directory")
        super().make_directory(path)
        self._steps.leave(ending)

    def sync_directory(self, path: Path) -> None:
        ending = self._steps.enter("disk.sync_directory")
        super().sync_directory(path)
        self._steps.leave(ending)

    def remove_directory(self, path: Path) -> None:
        ending = self._steps.enter("disk.remove_directory")
        super().remove_directory(path)
        self._steps.leave(ending)
