"""A few threads beside the event loop for what takes long: tokenising long texts and reading long answers.

They are few, so that the engine keeps its cores. One more takes the huge texts, one at a time: a tokenizer
needs 600 bytes for a character, and nobody else is to wait behind one.

Nobody waits inside the pool: a request that ends while it waits for its turn leaves nothing behind, neither
work nor text. Work that has begun cannot be stopped from outside; it asks :func:`check_wanted` between two
texts.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
import weakref
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

HELPERS = 2
"""For texts that are not huge; more would take the engine's cores."""
HUGE = 100_000
"""Code points from which a text goes to the one helper for such."""

_pool = ThreadPoolExecutor(HELPERS + 1, thread_name_prefix="helper")
_lines: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, tuple[_Line, _Line]] = (
    weakref.WeakKeyDictionary()
)
_abandoned: contextvars.ContextVar[threading.Event | None] = contextvars.ContextVar("abandoned", default=None)


class Unwanted(Exception):  # noqa: N818 - named by what happened, as in app.errors
    """Whoever asked for the work is gone. Nobody sees this: their wait was cancelled before."""


def check_wanted() -> None:
    """End the work of a request that has ended meanwhile.

    Raises:
        Unwanted: it has.
    """
    abandoned = _abandoned.get()
    if abandoned is not None and abandoned.is_set():
        raise Unwanted


async def help_out(characters: int, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run ``work`` on a text of so many ``characters`` in a helper thread; in turn, where all are busy."""
    loop = asyncio.get_running_loop()
    line = _lines.setdefault(loop, (_Line(HELPERS), _Line(1)))[characters >= HUGE]
    await line.turn()
    abandoned = threading.Event()

    def run() -> T:
        _abandoned.set(abandoned)
        check_wanted()
        return work(*args, **kwargs)

    try:
        running = _pool.submit(run)
    except BaseException:
        line.next()
        raise
    # A helper is free when its thread is, whether or not anybody still waits for it.
    running.add_done_callback(lambda _: _tell(loop, line))
    try:
        return await asyncio.wrap_future(running)
    except asyncio.CancelledError:
        abandoned.set()
        raise


def _tell(loop: asyncio.AbstractEventLoop, line: _Line) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(line.next)


class _Line:
    """Who waits for a helper, on one event loop, in the order in which they came."""

    def __init__(self, helpers: int) -> None:
        self._free = helpers
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def turn(self) -> None:
        """Return with a helper to oneself; :meth:`next` gives it back."""
        if self._free:
            self._free -= 1
            return
        mine = asyncio.get_running_loop().create_future()
        self._waiting.append(mine)
        try:
            await mine
        except asyncio.CancelledError:
            if mine.done() and not mine.cancelled():
                # It was handed over in the very moment of the cancellation.
                self.next()
            elif mine in self._waiting:
                # Not there any more where a helper became free between the cancellation and this moment.
                self._waiting.remove(mine)
            raise

    def next(self) -> None:
        """Hand a free helper to whoever has waited longest."""
        while self._waiting:
            first = self._waiting.popleft()
            if not first.done():
                first.set_result(None)
                return
        self._free += 1
