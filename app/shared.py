"""The directory that the workers of one service share: their metrics, and what an administrator asked of one.

It lies in memory where the system offers that (``/dev/shm``), for metrics are files mapped into memory:
where their disk is full, the first write to a new page ends the process (SIGBUS), and a log may fill a disk
at any time. Directories that a killed service left behind are removed by the next.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from app.settings import variable

MULTIPROCESS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
MEMORY = Path("/dev/shm")
LEAST_FREE_BYTES = 8 * 2**20
"""Some 300 KiB for each worker that ever ran, and room for other services."""
_PREFIX = "electra-"


class NoRoomError(Exception):
    """There is no directory to share. The message is one line with the cure."""


@contextlib.contextmanager
def shared_directory() -> Iterator[Path]:
    """A new directory, removed at the end.

    Raises:
        NoRoomError: neither memory nor the temporary folder can be written and has room.
    """
    parent = _parent()
    _remove_left_behind(parent)
    with tempfile.TemporaryDirectory(prefix=_PREFIX, dir=parent, ignore_cleanup_errors=True) as name:
        lock = os.open(name, os.O_RDONLY)
        try:
            # Held as long as we live, however we end; what cleans temporary folders respects it too.
            fcntl.flock(lock, fcntl.LOCK_SH)
            yield Path(name)
        finally:
            os.close(lock)


def free_bytes(place: Path) -> int:
    """What may still be written there."""
    found = os.statvfs(place)
    return found.f_bavail * found.f_frsize


def _parent() -> Path:
    places = [MEMORY]
    with contextlib.suppress(FileNotFoundError):  # not one folder for temporary files can be written
        places.append(Path(tempfile.gettempdir()))
    for place in places:
        if os.access(place, os.W_OK | os.X_OK) and free_bytes(place) >= LEAST_FREE_BYTES:
            return place
    raise NoRoomError(
        f"several workers share a directory, and of {' and '.join(map(str, places))} none can be written and "
        f"has {LEAST_FREE_BYTES >> 20} MiB free; set TMPDIR to one that has, or {variable('workers')} to 1"
    )


def _remove_left_behind(parent: Path) -> None:
    for directory in parent.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):  # another user's, or just gone
            lock = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(directory, ignore_errors=True)
            finally:
                os.close(lock)
