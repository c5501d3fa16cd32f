"""API keys: from settings and from a file that may change while serving; compared in constant time."""

from __future__ import annotations

import hashlib
import hmac
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from app.settings import SettingsError

_CHECK_FILE_EVERY_S = 1.0


def fingerprint(key: str) -> str:
    """Eight hexadecimal digits that name a key in logs without giving it away."""
    return _digest(key.encode()).hex()[:8]


class KeyRing:
    """The keys that open a door. An empty ring leaves it open (``enforced`` is False).

    Args:
        keys: fixed keys.
        file: one key a line, ``#`` for comments; read again when its modification time or size changes.
        clock: monotonic seconds.

    Raises:
        SettingsError: the file cannot be read or holds no key.
    """

    def __init__(
        self, keys: Iterable[str] = (), file: Path | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._fixed = [_digest(key.encode()) for key in keys]
        self._file = file
        self._clock = clock
        self._from_file: list[bytes] = []
        self._stamp: tuple[int, int] | None = None
        self._next_check = 0.0
        if file is not None:
            self._from_file = _read_keys(file)
            self._next_check = clock() + _CHECK_FILE_EVERY_S

    @property
    def enforced(self) -> bool:
        """Whether a key is needed at all."""
        return bool(self._fixed) or self._file is not None

    def accepts(self, presented: bytes) -> bool:
        """Whether ``presented`` is one of the keys. Every key is compared, whichever matches."""
        self._refresh()
        digest = _digest(presented)
        accepted = False
        for known in (*self._fixed, *self._from_file):
            # Digests of equal length: the comparison tells nothing about how much of a key was right.
            accepted |= hmac.compare_digest(digest, known)
        return accepted

    def _refresh(self) -> None:
        if self._file is None or self._clock() < self._next_check:
            return
        self._next_check = self._clock() + _CHECK_FILE_EVERY_S
        try:
            stamp = _stamp(self._file)
            if stamp != self._stamp:
                self._from_file, self._stamp = _read_keys(self._file), stamp
        except (OSError, SettingsError):
            # A file that is being replaced, or was emptied by mistake, locks nobody out: the old keys stay.
            return


def presented_key(headers: Iterable[tuple[bytes, bytes]]) -> bytes | None:
    """The key in ``Authorization: Bearer <key>`` or ``X-API-Key: <key>``; an empty one is none."""
    for name, value in headers:
        if name == b"authorization" and value[:7].lower() == b"bearer ":
            return value[7:].strip() or None
        if name == b"x-api-key":
            return value.strip() or None
    return None


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()


def _stamp(file: Path) -> tuple[int, int]:
    status = os.stat(file)
    return status.st_mtime_ns, status.st_size


def _read_keys(file: Path) -> list[bytes]:
    try:
        # Some editors put a mark at the beginning, which is no part of the first key.
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file}: cannot be read as a list of keys ({error})") from None
    keys = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    if not keys:
        raise SettingsError(f"{file}: holds no key; write one a line")
    return [_digest(key.encode()) for key in keys]
