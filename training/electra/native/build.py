"""Compiling the kernels of this directory: once for a machine.

Training on a CPU with AMX spends most of its time in torch on passes over memory between matrix products. The
C++ files here do that work in a core's caches. They need nothing but a compiler: no headers of torch or
Python, so that they compile in seconds and go on working when either is updated.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import suppress
from pathlib import Path

SOURCES = Path(__file__).parent
_SECONDS = 300  # that a compiler may take


class UnavailableError(Exception):
    """Why the kernels cannot be used here. ``curable``: something that can be installed or mended."""

    def __init__(self, reason: str, curable: bool) -> None:
        super().__init__(reason)
        self.curable = curable


def compiled() -> Generator[Path]:
    """Compiled kernels to try; the next where one cannot be loaded. The last is gone when this is closed.

    Raises:
        UnavailableError: there is no compiler, or it fails.
        OSError: no folder is left that a file could be put into.
    """
    # Where somebody has compiled these sources beforehand (docker/train.Dockerfile).
    prebuilt = SOURCES / f"kernels-{digest()}.so"
    if prebuilt.is_file():
        yield prebuilt
    compiler = shlex.split(os.environ.get("CXX", "")) or find_compiler()
    name, cached = f"kernels-{digest(*compiler)}.so", _cache_directory()
    if cached is not None:
        if (cached / name).is_file():
            yield cached / name
        # That one is of another system, or damaged.
        made = None
        with suppress(OSError):
            made = compile_kernels(compiler, cached / name)
        if made is not None:
            yield made
    # The cache is full, or may not be written to, or nothing may be run from there.
    with tempfile.TemporaryDirectory(prefix="electra-kernels-") as fallback:
        yield compile_kernels(compiler, Path(fallback) / name)


def digest(*more: str) -> str:
    """Of all that goes into a compiled file: ``cat flags *.cpp *.hpp``, and ``more``."""
    found = hashlib.sha256()
    for path in [SOURCES / "flags", *sorted(SOURCES.glob("*.cpp")), *sorted(SOURCES.glob("*.hpp"))]:
        found.update(path.read_bytes())
    found.update(" ".join(more).encode())
    return found.hexdigest()[:16]


def find_compiler() -> list[str]:
    """The system's C++ compiler, as the beginning of a command.

    Raises:
        UnavailableError: there is none.
    """
    found = shutil.which("g++") or shutil.which("clang++")
    if found is None:
        raise UnavailableError("there is no C++ compiler; install g++ (11 or later)", curable=True)
    return [found]


def compile_kernels(compiler: list[str], path: Path) -> Path:
    """Compile the kernels into ``path``, which appears whole or not at all; returns it.

    Raises:
        UnavailableError: the compiler fails or takes too long.
        OSError: it cannot be started, or the file cannot be written.
    """
    sources = map(str, sorted(SOURCES.glob("*.cpp")))
    with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
        made = Path(scratch) / path.name
        command = [*compiler, f"@{SOURCES / 'flags'}", *sources, "-o", str(made)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise UnavailableError(f"{compiler[0]} took longer than {_SECONDS} s", curable=True) from error
        if done.returncode:
            lines = [line for line in done.stderr.splitlines() if "error" in line.lower()]
            said = (lines or [done.stderr[-500:]])[0].strip()
            raise UnavailableError(
                f"{shlex.join(compiler)} could not compile the kernels: {said}", curable=True
            )
        made.replace(path)  # processes that compile at once end with one file
    return path


def _cache_directory() -> Path | None:
    """A folder that nobody else writes to; None where there can be none."""
    try:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser())
        directory = base / "electra-platform"
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = directory.stat()
    except (OSError, RuntimeError):  # no home, or one that may not be written to
        return None
    return directory if status.st_uid == os.getuid() and not status.st_mode & 0o022 else None
