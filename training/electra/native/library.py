"""The kernels of this directory, compiled once for a machine and loaded.

Training on a CPU with AMX spends most of its time in torch on passes over memory between matrix products. The
C++ files here do that work in a core's caches. They need nothing but a compiler: no headers of torch or
Python, so that they compile in seconds and go on working when either is updated.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import shlex
import shutil
import subprocess
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import torch

from training.hardware import cpu_flags

_SOURCES = Path(__file__).parent
_FLAGS = _SOURCES / "flags"
_NEEDED = {"amx_tile", "amx_bf16", "avx512f", "avx512bw", "avx512vl", "avx512dq", "avx512_bf16", "vaes"}
_SECONDS = 300  # that a compiler may take

_COUNT, _SEED = ctypes.c_int64, ctypes.c_uint64
_INT, _FLOAT = ctypes.c_int, ctypes.c_float
_DROPOUT = (_INT, _SEED)
_HALF, _FULL, _SHORT, _LONG = torch.bfloat16, torch.float32, torch.int32, torch.int64
# What each kernel takes: a dtype is the address of a contiguous tensor of that type.
SIGNATURES: dict[str, tuple[Any, ...]] = {
    "linear": (_HALF, _FULL, _FULL, _HALF, *[_COUNT] * 3, _INT),
    "linear_gelu": (_HALF, _FULL, _FULL, _HALF, _HALF, *[_COUNT] * 3, _INT),
    "input_gradient": (_HALF, _FULL, _HALF, _HALF, _HALF, *[_COUNT] * 3, _INT),
    "weight_gradient": (_HALF, _HALF, _FULL, _FULL, *[_COUNT] * 3, _INT),
    "attention": (_HALF, _SHORT, _HALF, _FULL, *[_COUNT] * 4, *_DROPOUT, _INT),
    "attention_gradient": (_HALF, _SHORT, _HALF, _FULL, _HALF, _HALF, *[_COUNT] * 4, *_DROPOUT, _INT),
    "add_norm": (_HALF, _HALF, _FULL, _FULL, _HALF, _FULL, *[_COUNT] * 2, _FLOAT, *_DROPOUT, _INT),
    "add_norm_gradient": (
        *[_HALF] * 3,
        *[_FULL] * 2,
        *[_HALF] * 2,
        *[_FULL] * 2,
        *[_COUNT] * 2,
        *_DROPOUT,
        _INT,
    ),
    "dropout_factors": (_FULL, *[_COUNT] * 2, *_DROPOUT, _INT),
    "vocabulary_loss": (_HALF, _FULL, _FULL, _LONG, *[_FULL] * 3, _LONG, *[_COUNT] * 3, _INT),
    "vocabulary_gradient": (_HALF, _FULL, _FULL, _LONG, *[_FULL] * 5, *[_COUNT] * 3, _INT),
}


class UnavailableError(Exception):
    """Why the kernels cannot be used here. ``curable``: something that can be installed or mended."""

    def __init__(self, reason: str, curable: bool) -> None:
        super().__init__(reason)
        self.curable = curable


def usable(speak: bool = True) -> bool:
    """Whether this machine has the kernels; says once (``speak``) what would give it to them."""
    try:
        load()
    except UnavailableError as reason:
        if reason.curable and speak:
            _say(str(reason))
        return False
    return True


@cache
def _say(reason: str) -> None:
    print(f"note: training could run about twice as fast on this machine, but {reason}")


def load() -> ctypes.CDLL:
    """The compiled kernels; compiles them where no earlier call on this machine has.

    Raises:
        UnavailableError: the processor lacks AMX, or there is no compiler, or it fails.
    """
    found = _attempt()
    if isinstance(found, UnavailableError):
        raise found
    return found


@cache
def _attempt() -> ctypes.CDLL | UnavailableError:
    """A failure is kept too: a compiler that fails once is not asked again in this process."""
    try:
        return _found()
    except UnavailableError as error:
        return error


def _found() -> ctypes.CDLL:
    missing = _NEEDED - cpu_flags()
    if missing:
        raise UnavailableError(f"the processor has no {', '.join(sorted(missing))}", curable=False)
    # Where somebody has compiled these sources beforehand (docker/train.Dockerfile).
    prebuilt = _SOURCES / f"kernels-{_digest()}.so"
    command = shlex.split(os.environ.get("CXX", ""))
    failed: OSError | None = None
    with tempfile.TemporaryDirectory(prefix="electra-kernels-") as fallback:
        try:
            if prebuilt.is_file():
                return _opened(prebuilt)
            command = command or _found_compiler()
            name = f"kernels-{_digest(*command)}.so"
            cached = _cache_directory()
            if cached is not None and (cached / name).is_file():
                with suppress(OSError):  # of another system, or damaged: compiled anew
                    return _opened(cached / name)
        except OSError as error:
            raise UnavailableError(f"the compiled kernels cannot be loaded: {error}", curable=True) from error
        for directory in (cached, Path(fallback)):
            if directory is None:
                continue
            try:
                _compile(command, directory / name)
                return _opened(directory / name)
            except OSError as error:  # full, may not be written to, or may not be run from
                failed = error
    raise UnavailableError(f"the kernels cannot be compiled and loaded: {failed}", curable=True)


def _opened(path: Path) -> ctypes.CDLL:
    library = ctypes.CDLL(str(path))
    for name, arguments in SIGNATURES.items():
        function = getattr(library, f"electra_{name}")
        function.argtypes = [ctypes.c_void_p if isinstance(each, torch.dtype) else each for each in arguments]
        function.restype = None
    if not library.electra_request_tiles():
        raise UnavailableError("the kernel of this system does not give out AMX's registers", curable=False)
    return library


def _digest(*more: str) -> str:
    """Of all that goes into a compiled file: ``cat flags *.cpp *.hpp``, and ``more``."""
    digest = hashlib.sha256()
    for path in [_FLAGS, *sorted(_SOURCES.glob("*.cpp")), *sorted(_SOURCES.glob("*.hpp"))]:
        digest.update(path.read_bytes())
    digest.update(" ".join(more).encode())
    return digest.hexdigest()[:16]


def _found_compiler() -> list[str]:
    found = shutil.which("g++") or shutil.which("clang++")
    if found is None:
        raise UnavailableError("there is no C++ compiler; install g++ (11 or later)", curable=True)
    return [found]


def _cache_directory() -> Path | None:
    """A folder that nobody else writes to; None where there can be none."""
    try:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser())
        directory = base / "electra-platform"
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = directory.stat()
        ours = status.st_uid == os.getuid() and not status.st_mode & 0o022
        return directory if ours else None
    except (OSError, RuntimeError):  # no home, or one that may not be written to
        return None


def _compile(compiler: list[str], path: Path) -> None:
    sources = map(str, sorted(_SOURCES.glob("*.cpp")))
    with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
        made = Path(scratch) / path.name
        command = [*compiler, f"@{_FLAGS}", *sources, "-o", str(made)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise UnavailableError(f"{compiler[0]} took longer than {_SECONDS} s", curable=True) from error
        if done.returncode:
            said = next(
                (line for line in done.stderr.splitlines() if "error" in line.lower()), done.stderr[-500:]
            )
            reason = f"{' '.join(compiler)} could not compile the kernels: {said.strip()}"
            raise UnavailableError(reason, curable=True)
        made.replace(path)  # processes that compile at once end with one file, and none sees half of it
