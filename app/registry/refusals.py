"""Versions on disk that are not served: why, and when each is worth another try."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from app.bundle import version_key
from app.registry.repository import Found, Key

FIRST_PAUSE_SECONDS = 60.0
LONGEST_PAUSE_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class _Refusal:
    reason: str
    mark: object
    pause: float
    due: float


class Refusals:
    """What was refused, by name and version.

    A bundle with a fault of its own is tried again when its files have changed. One that failed for another
    reason (memory, a disk) may be sound, so it is tried again after a pause, which doubles every time: a load
    costs those who are served.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._refused: dict[Key, _Refusal] = {}
        self._unreadable: dict[Key, str] = {}

    def keys(self) -> list[Key]:
        """Of all that were tried and refused."""
        return list(self._refused)

    def add(self, key: Key, reason: str, mark: object) -> None:
        """A version was refused. ``mark``: fingerprint of its files from before; None when they are not what
        is wrong."""
        before = self._refused.get(key)
        pause = FIRST_PAUSE_SECONDS if before is None else min(2 * before.pause, LONGEST_PAUSE_SECONDS)
        self._refused[key] = _Refusal(reason, mark, pause, self._clock() + pause)

    def remove(self, key: Key) -> None:
        """A version is served."""
        self._refused.pop(key, None)

    def look(self, found: Found) -> dict[Key, str]:
        """Forget what is on disk no longer; returns what cannot be read, where that is news."""
        self._refused = {
            key: refusal for key, refusal in self._refused.items() if key[1] in found.versions.get(key[0], ())
        }
        news = {key: why for key, why in found.unreadable.items() if key not in self._unreadable}
        self._unreadable = found.unreadable
        return news

    def worth_trying(self, key: Key, mark: object) -> bool:
        """Whether a version whose fingerprint is ``mark`` now may fare better than the last time."""
        known = self._refused.get(key)
        if known is None:
            return True
        return self._clock() >= known.due if known.mark is None else known.mark != mark

    def reasons(self) -> dict[Key, str]:
        """Why each is not served."""
        tried = {key: refusal.reason for key, refusal in self._refused.items()}
        return dict(sorted({**self._unreadable, **tried}.items()))

    def reason_of(self, name: str) -> str | None:
        """Why nothing of a model is served: what is wrong with its highest version."""
        found = {version: why for (model, version), why in self.reasons().items() if model == name}
        return found[max(found, key=version_key)] if found else None
