"""The compiled kernels: loaded once for a process, and what each of them takes."""

from __future__ import annotations

import ctypes
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

import torch

from training.electra.native.build import UnavailableError, compiled
from training.hardware import cpu_flags

NEEDED = {"amx_tile", "amx_bf16", "avx512f", "avx512bw", "avx512vl", "avx512dq", "avx512_bf16", "vaes"}

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
    missing = NEEDED - cpu_flags()
    if missing:
        raise UnavailableError(f"the processor has no {', '.join(sorted(missing))}", curable=False)
    failed: OSError | None = None
    try:
        with closing(compiled()) as paths:
            for path in paths:
                try:
                    return _opened(path)
                except OSError as error:
                    failed = error
    except OSError as error:
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
