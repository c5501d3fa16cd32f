"""Give memory of a dropped model back to the system: glibc keeps freed pages for itself otherwise."""

from __future__ import annotations

import ctypes
import gc


def trim_memory() -> None:
    """Collect garbage and return free heap pages; does nothing where the C library cannot."""
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError):
        return
