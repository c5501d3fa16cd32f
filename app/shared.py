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
_PREFIX, _LOCK = "electra-workers-", "held"


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
        directory = Path(name)
        with (directory / "new").open("w") as lock:
            with contextlib.suppress(OSError):  # a file system without locks: what is left behind there stays
                fcntl.flock(lock, fcntl.LOCK_SH)
            # Under its name it is locked from the beginning; it tells ours from directories of others.
            (directory / "new").rename(directory / _LOCK)
            yield directory


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
    for lock in parent.glob(f"{_PREFIX}*/{_LOCK}"):
        with contextlib.suppress(OSError), lock.open("r+") as stream:  # another's, in use, or just gone
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(stream.fileno()).st_uid == os.geteuid():
                shutil.rmtree(lock.parent, ignore_errors=True)
