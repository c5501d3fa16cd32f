"""What an administrator changed, told from the worker that was asked to all the others.

The workers of one service share a directory. A change is one line appended to a file in it; every worker
reads what the others wrote, and a worker that starts later reads all of it. Of each model only the last
change is applied, and whose line stands last in the file has the last word: so all workers end alike, also
where two of them were asked at the same moment. A line is far shorter than what the system appends in one
piece.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

_log = logging.getLogger("electra")
POLL_S = 0.5
Action = Literal["load", "unload", "pin"]


@dataclass(frozen=True, slots=True)
class Change:
    """One change to what is served; ``worker`` is the process that has already made it."""

    action: Action
    name: str
    version: str | None
    worker: int


class ChangeLog:
    """The shared file."""

    def __init__(self, directory: Path) -> None:
        self._file = directory / "changes.jsonl"
        self._read = 0
        self._readable = True
        self._worker = os.getpid()
        # Models that this worker changed after its last look at the file.
        self._ours: set[str] = set()

    def append(self, action: Action, name: str, version: str | None) -> None:
        """Tell the other workers."""
        self._ours.add(name)
        line = json.dumps(asdict(Change(action, name, version, self._worker))) + "\n"
        descriptor = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(descriptor, line.encode())
        finally:
            os.close(descriptor)

    def news(self) -> list[Change]:
        """What other workers wrote since the last time, and this one has not changed after them. A line that
        says nothing is logged and passed over.

        Raises:
            OSError: the file is there and cannot be read.
        """
        try:
            with self._file.open("rb") as stream:
                stream.seek(self._read)
                lines = stream.readlines()
        except FileNotFoundError:
            return []
        self._ours.clear()
        changes: list[Change] = []
        for line in lines:
            if not line.endswith(b"\n"):
                break
            self._read += len(line)
            try:
                change = Change(**json.loads(line))
            except (ValueError, TypeError) as error:
                _log.error("a line of %s is no change: %s", self._file, error)
                continue
            if change.worker == self._worker:
                changes = [earlier for earlier in changes if earlier.name != change.name]
            else:
                changes.append(change)
        return changes

    def overtaken(self, change: Change) -> bool:
        """Whether this worker has changed the same model since :meth:`news` gave ``change``."""
        return change.name in self._ours

    async def catch_up(self, apply: Callable[[Change], Awaitable[None]]) -> None:
        """Apply what the others have changed: of each model the last change, which says all that holds.

        One that cannot be applied is logged and passed over; a file that cannot be read is left for the next
        time.
        """
        try:
            news = self.news()
        except OSError as error:
            # Asked for again in half a second, and so told once.
            if self._readable:
                _log.error("cannot read what other workers changed, trying again: %s", error)
            self._readable = False
            return
        self._readable = True
        for change in {change.name: change for change in news}.values():
            try:
                await apply(change)
            except Exception as error:
                _log.error(
                    "could not follow another worker's %s of %s: %s", change.action, change.name, error
                )

    async def follow(self, apply: Callable[[Change], Awaitable[None]]) -> None:
        """Apply what the others change, for ever."""
        while True:
            await self.catch_up(apply)
            await asyncio.sleep(POLL_S)
