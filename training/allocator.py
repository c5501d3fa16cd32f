"""Keep memory that was freed, for the next step of training wants as much again.

The C library of Linux hands large blocks back to the kernel when they are freed, and gets every page of them
anew, and zeroed, at the next step: 53,000 page faults an update of ``small``, an eighth of its time on a
virtual machine.
"""

from __future__ import annotations

import ctypes

# Parameters of mallopt(3), and values in bytes.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
_NEVER = 2**31 - 1
_OURS = {_MMAP_THRESHOLD: _NEVER, _TRIM_THRESHOLD: _NEVER, _TOP_PAD: 64 * 2**20}
# Where the thresholds of glibc end up by themselves when large blocks are freed (malloc.c).
_ITS_OWN = {_MMAP_THRESHOLD: 32 * 2**20, _TRIM_THRESHOLD: 64 * 2**20, _TOP_PAD: 128 * 2**10}


def keep_freed_memory() -> bool:
    """Let this process keep what it frees; returns whether its C library can."""
    return _set(_OURS)


def return_freed_memory() -> bool:
    """Let this process hand back what it frees, as it does unless told otherwise."""
    return _set(_ITS_OWN)


def _set(parameters: dict[int, int]) -> bool:
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library, or another system
        return False
    return all(mallopt(name, value) for name, value in parameters.items())
