"""Want of memory, which each library tells in words of its own: no fault of the file that was opened."""

from __future__ import annotations

_WORDS = ("bad_alloc", "memoryerror", "out of memory", "failed to allocate", "cannot allocate memory")


def reraise_out_of_memory(error: BaseException) -> None:
    """Raise ``MemoryError`` from ``error`` if that is what it means; else return.

    Raises:
        MemoryError: whoever tries again later may have it.
    """
    text = f"{type(error).__name__}: {error}"
    if any(word in text.lower() for word in _WORDS):
        raise MemoryError(" ".join(text.split())) from error
