"""Nothing half-written: files and directories appear under their name only when they are complete."""

from __future__ import annotations

import errno
import fcntl
import glob
import os
import re
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from training.errors import UserError

# Some network file systems and containers have no locks: work goes on there as it did without them.
_NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP)
_LEFT = re.compile(r"[0-9]+(-[0-9a-f]{8})?")  # between the name of a file and the ending of its temporary one


@contextmanager
def atomic_file(path: Path, mode: str = "wb", **kwargs: Any) -> Iterator[IO[Any]]:
    """Open a temporary file beside ``path``; rename it into place (after fsync) when the
    block ends without error. What killed processes left of such files goes.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_left_behind(path)
    # Another host or container may have a process of the same number.
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        with _open_locked(temporary, mode, **kwargs) as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
            temporary.replace(path)  # while it is locked
    finally:
        temporary.unlink(missing_ok=True)


def _open_locked(temporary: Path, mode: str, **kwargs: Any) -> IO[Any]:
    while True:
        stream: IO[Any] = temporary.open(mode, **kwargs)
        _lock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(stream.fileno()).st_nlink:
            return stream
        stream.close()  # taken for one left behind, before it was locked


def _remove_left_behind(path: Path) -> None:
    """Remove temporary files of ``path`` that nobody writes any more.

    Their locks tell, for a process id says nothing of another host or container that shares the file system.
    Where there are no locks they stay.
    """
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        if not _LEFT.fullmatch(left.name.removeprefix(f".{path.name}.").removesuffix(".tmp")):
            continue
        with suppress(OSError), left.open("r+b") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(left.stat(), os.fstat(stream.fileno())):
                left.unlink()


def _lock(stream: IO[Any], how: int) -> None:
    try:
        fcntl.flock(stream, how)
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise


def _held(file: Path) -> IO[Any] | None:
    """``file``, locked; None while another process holds it."""
    for _ in range(5):
        # Its holder may delete it, and its directory, at any moment: then we come next.
        with suppress(FileNotFoundError):
            file.parent.mkdir(parents=True, exist_ok=True)
            stream = file.open("a")
            try:
                _lock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                stream.close()
                return None
            if os.fstat(stream.fileno()).st_nlink:
                return stream
            stream.close()
    return None


@contextmanager
def only_one(directory: Path) -> Iterator[None]:
    """Make ``directory`` and hold its lock; the system lets go of it however the process ends.

    A directory that was made here and got nothing in the block goes again.

    Raises:
        UserError: another process holds it.
    """
    made = not directory.exists()
    file = directory / ".lock"
    stream = _held(file)
    if stream is None:
        raise UserError(
            f"{directory}: another process is writing there; wait for it to end, or choose another output"
        )
    with stream:
        try:
            yield
        finally:
            with suppress(OSError):  # the block may have deleted the directory
                if made and list(directory.iterdir()) == [file]:
                    file.unlink()
                    directory.rmdir()


def disk_is_full(error: BaseException) -> bool:
    """Whether ``error`` says that there was no room to write.

    Libraries that are not Python raise errors of their own: safetensors with the system's words, torch for
    an archive that ends too early.
    """
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    said = str(error)
    return any(words in said for words in ("No space left", "Disk quota exceeded", "] . unexpected pos "))


def require_paths(paths: Iterable[Path | str | None]) -> None:
    """Refuse what does not exist, before anything slow starts; ``None`` is passed over.

    Patterns, and paths with a variable or ``~``, are left to who reads them.

    Raises:
        UserError: naming the first path that does not exist.
    """
    for path in paths:
        if path is None or any(mark in str(path) for mark in "*?[$~"):
            continue
        if not Path(path).exists():
            raise UserError(f"{path}: no such file; check the path")


def refuse_to_replace(directory: Path, mark: str, what: str) -> None:
    """Refuse a directory that holds something else than ``what``, which the file named ``mark`` tells.

    Raises:
        UserError: it does, or it is a file; what stands there would be lost.
    """
    if directory.is_file():
        raise UserError(f"{directory}: is a file; name a directory as output")
    if directory.is_dir() and not (directory / mark).is_file() and any(directory.iterdir()):
        raise UserError(f"{directory}: exists and holds no {what}; name another directory as output")


@contextmanager
def atomic_directory(path: Path) -> Iterator[Path]:
    """Yield a temporary directory beside ``path``; rename it to ``path`` when the block ends without error.

    An existing ``path`` is replaced: moved aside first and deleted after the rename.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        yield temporary
        old = path.with_name(f".{path.name}.{os.getpid()}.old")
        if path.exists():
            path.rename(old)
        temporary.rename(path)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
