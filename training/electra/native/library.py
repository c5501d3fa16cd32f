"""The kernels of this directory, compiled once for a machine and loaded.

Training on a CPU with AMX spends most of its time in torch on passes over memory between matrix products. The
C++ files here do that work in a core's caches. They need nothing but a compiler: no headers of torch or
Python, so that they compile in seconds and go on working when either is updated.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from training.hardware import cpu_flags

_SOURCES = Path(__file__).parent
_FLAGS = _SOURCES / "flags"
# Where somebody has compiled them beforehand (docker/train.Dockerfile).
_PREBUILT = _SOURCES / "kernels.so"
_NEEDED = {"amx_tile", "amx_bf16", "avx512f", "avx512bw", "avx512vl", "avx512dq", "avx512_bf16", "vaes"}
_SECONDS = 300  # that a compiler may take

_TENSOR, _COUNT, _SEED = ctypes.c_void_p, ctypes.c_int64, ctypes.c_uint64
_INT, _FLOAT = ctypes.c_int, ctypes.c_float
_DROPOUT = (_INT, _SEED)
_SIGNATURES = {
    "electra_linear": (*[_TENSOR] * 4, *[_COUNT] * 3, _INT),
    "electra_linear_gelu": (*[_TENSOR] * 5, *[_COUNT] * 3, _INT),
    "electra_input_gradient": (*[_TENSOR] * 5, *[_COUNT] * 3, _INT),
    "electra_weight_gradient": (*[_TENSOR] * 4, *[_COUNT] * 3, _INT),
    "electra_attention": (*[_TENSOR] * 4, *[_COUNT] * 4, *_DROPOUT, _INT),
    "electra_attention_gradient": (*[_TENSOR] * 6, *[_COUNT] * 4, *_DROPOUT, _INT),
    "electra_add_norm": (*[_TENSOR] * 6, *[_COUNT] * 2, _FLOAT, *_DROPOUT, _INT),
    "electra_add_norm_gradient": (*[_TENSOR] * 9, *[_COUNT] * 2, *_DROPOUT, _INT),
    "electra_dropout_factors": (_TENSOR, *[_COUNT] * 2, *_DROPOUT),
    "electra_vocabulary_loss": (*[_TENSOR] * 8, *[_COUNT] * 3, _INT),
    "electra_vocabulary_gradient": (*[_TENSOR] * 9, *[_COUNT] * 3, _INT),
}


class UnavailableError(Exception):
    """Why the kernels cannot be used here. ``curable``: something that can be installed or mended."""

    def __init__(self, reason: str, curable: bool) -> None:
        super().__init__(reason)
        self.curable = curable


@cache
def load() -> ctypes.CDLL:
    """The compiled kernels; compiles them where no earlier call on this machine has.

    Raises:
        UnavailableError: the processor lacks AMX, or there is no compiler, or it fails.
    """
    missing = _NEEDED - cpu_flags()
    if missing:
        raise UnavailableError(f"the processor has no {', '.join(sorted(missing))}", curable=False)
    path = _PREBUILT if _PREBUILT.is_file() else _compiled()
    try:
        library = ctypes.CDLL(str(path))
    except OSError as error:
        if path != _PREBUILT:
            path.unlink(missing_ok=True)  # of another system, or damaged: the next run compiles anew
        raise UnavailableError(f"the compiled kernels cannot be loaded: {error}", curable=True) from error
    for name, arguments in _SIGNATURES.items():
        function = getattr(library, name)
        function.argtypes, function.restype = arguments, None
    if not library.electra_request_tiles():
        raise UnavailableError("the kernel of this system does not give out AMX's registers", curable=False)
    return library


def _compiled() -> Path:
    compiler = os.environ.get("CXX") or shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        raise UnavailableError("there is no C++ compiler; install g++ (12 or later)", curable=True)
    sources = sorted(_SOURCES.glob("*.cpp"))
    digest = hashlib.sha256(compiler.encode())
    for path in [_FLAGS, *sources, *sorted(_SOURCES.glob("*.hpp"))]:
        digest.update(path.read_bytes())
    try:
        directory = _cache_directory()
        path = directory / f"kernels-{digest.hexdigest()[:16]}.so"
        if path.is_file():
            return path
        with tempfile.TemporaryDirectory(dir=directory) as scratch:
            made = Path(scratch) / path.name
            _run([compiler, f"@{_FLAGS}", *map(str, sources), "-o", str(made)])
            made.replace(path)  # processes that compile at once end with one file, and none sees half of it
    except OSError as error:
        raise UnavailableError(f"the kernels cannot be compiled: {error}", curable=True) from error
    return path


def _cache_directory() -> Path:
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser())
    directory = base / "electra-platform"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if os.access(directory, os.W_OK):
            return directory
    except OSError:  # a home that is not there or may not be written to
        pass
    return Path(tempfile.mkdtemp(prefix="electra-kernels-"))


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise UnavailableError(f"{command[0]} took longer than {_SECONDS} s", curable=True) from error
    if done.returncode:
        said = next((line for line in done.stderr.splitlines() if "error" in line), done.stderr[-500:])
        raise UnavailableError(f"{command[0]} could not compile the kernels: {said.strip()}", curable=True)
