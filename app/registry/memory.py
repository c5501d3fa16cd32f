"""Give memory of a dropped model back to the system: glibc keeps freed pages for itself otherwise."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import logging
import weakref

from app.registry.loading import LiveModel

_log = logging.getLogger(__name__)


class MemoryReturn:
    """Trims off the event loop. Its methods are called on it."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def trim_after(self, live: LiveModel) -> None:
        """Once the last request has let go of ``live``, log it and give its memory back."""
        name, version, loop = live.served.name, live.version, asyncio.get_running_loop()

        def freed() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._freed, name, version)

        weakref.finalize(live.served.engine, freed).atexit = False

    def trim_soon(self) -> None:
        """Give back what is free already."""
        task = asyncio.create_task(asyncio.to_thread(trim_memory))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def close(self) -> None:
        """Wait for nothing any more."""
        for task in list(self._tasks):
            task.cancel()

    def _freed(self, name: str, version: str) -> None:
        _log.info("freed %s/%s", name, version)
        self.trim_soon()


def trim_memory() -> None:
    """Collect garbage and return free heap pages; does nothing where the C library cannot."""
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError):
        return
