"""Nothing half-written: files and directories appear under their name only when they are complete."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from training.errors import UserError


@contextmanager
def atomic_file(path: Path, mode: str = "wb", **kwargs: Any) -> Iterator[IO[Any]]:
    """Open a temporary file beside ``path``; rename it into place (after fsync) when the
    block ends without error.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open(mode, **kwargs) as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


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
