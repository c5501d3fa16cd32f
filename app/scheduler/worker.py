"""The inference thread: takes the first batch of its tray, runs it, reports, takes the next.

One thread runs all graphs of a process: two at once would only share the same cores and get in each other's
way. The tray holds what runs next, so that the engine does not wait for the event loop between two batches;
until the thread takes a batch, the scheduler may take it back and plan anew with what has arrived since.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from app.runtime.batch import Outputs
from app.scheduler.queue import Batch, Entry

GIVE_WAY_SECONDS = 0.0005
"""How long the event loop may keep Python's global lock while the inference thread waits for it. With
Python's own 5 ms, an engine that computes a batch in 16 ms would stand still for up to a third of the time:
it needs the lock for a moment after every batch, when the loop is busiest with the answers to the last
one."""
Result = Outputs | Exception
_Told = TypeVar("_Told")


@dataclass(frozen=True, slots=True)
class Report:
    """What became of a batch. Times on the scheduler's clock, in seconds.

    Attributes:
        results: one per row that ran; rows whose request was dropped before the start are not in it.
        retried: whether the batch failed as a whole and its rows were run one by one.
    """

    batch: Batch
    started: float
    finished: float
    results: list[tuple[Entry, Result]] = field(default_factory=list)
    retried: bool = False


class Worker(Protocol):
    """Where batches run. Reports arrive on the event loop."""

    def offer(self, batch: Batch) -> None:
        """Put ``batch`` behind those that lie in the tray."""

    def retract(self) -> Batch | None:
        """Take the tray's last batch back; None when all have been started."""

    def staged(self) -> Sequence[Batch]:
        """What lies in the tray, not yet started, in its order."""

    def trouble(self) -> str | None:
        """Why no more reports will come, as far as can be seen from outside; None while all is well."""

    def stop(self) -> None:
        """End after the batch that is running."""


class InferenceThread:
    """A :class:`Worker` on a thread of its own.

    Args:
        loop: on which ``on_report`` and ``on_death`` are called.
        on_report: a batch is finished.
        on_death: the thread ends though nobody asked it to.
        clock: seconds, as the scheduler's.
        stall_limit: a batch that runs for longer than this many seconds is taken for hung.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        on_report: Callable[[Report], None],
        on_death: Callable[[str], None],
        clock: Callable[[], float],
        stall_limit: float = 300.0,
    ) -> None:
        self._loop = loop
        self._on_report = on_report
        self._on_death = on_death
        self._clock = clock
        self._stall_limit = stall_limit
        self._changed = threading.Condition()
        self._tray: deque[Batch] = deque()
        self._busy_since: float | None = None
        self._stopping = False
        sys.setswitchinterval(min(sys.getswitchinterval(), GIVE_WAY_SECONDS))
        self._thread = threading.Thread(target=self._main, name="inference", daemon=True)
        self._thread.start()

    def offer(self, batch: Batch) -> None:
        """See :class:`Worker`."""
        with self._changed:
            self._tray.append(batch)
            self._changed.notify()

    def retract(self) -> Batch | None:
        """See :class:`Worker`."""
        with self._changed:
            return self._tray.pop() if self._tray else None

    def staged(self) -> Sequence[Batch]:
        """See :class:`Worker`."""
        with self._changed:
            return tuple(self._tray)

    def trouble(self) -> str | None:
        """See :class:`Worker`."""
        if not self._thread.is_alive():
            return "the inference thread is gone"
        since = self._busy_since
        if since is not None and self._clock() - since > self._stall_limit:
            return f"a batch has been running for more than {self._stall_limit:.0f} s"
        return None

    def stop(self) -> None:
        """See :class:`Worker`."""
        with self._changed:
            self._stopping = True
            self._changed.notify()

    def join(self, timeout: float | None = None) -> None:
        """Wait for the thread's end."""
        self._thread.join(timeout)

    def _main(self) -> None:
        try:
            while (batch := self._next()) is not None:
                self._tell(self._on_report, run_batch(batch, self._clock))
                # A batch keeps its model and its requests alive; while waiting for the next, let go of it.
                del batch
        except BaseException as error:  # whatever it was, somebody waits for an answer
            self._tell(self._on_death, f"the inference thread ended with {type(error).__name__}: {error}")

    def _next(self) -> Batch | None:
        with self._changed:
            self._busy_since = None
            while not self._tray:
                if self._stopping:
                    return None
                self._changed.wait()
            batch = self._tray.popleft()
            self._busy_since = self._clock()
            return batch

    def _tell(self, callback: Callable[[_Told], None], argument: _Told) -> None:
        try:
            self._loop.call_soon_threadsafe(callback, argument)
        except RuntimeError:  # the loop is closed: nobody is left to tell
            self._stopping = True


def run_batch(batch: Batch, clock: Callable[[], float]) -> Report:
    """Run ``batch`` without the rows of dropped requests; if it fails, run its rows one by one."""
    started = clock()
    session = batch.lane.session
    entries = [entry for entry in batch.entries if not entry.call.dropped]
    if not entries:
        return Report(batch, started, started)
    try:
        outputs = session.run([entry.sequence for entry in entries])
        return Report(batch, started, clock(), list(zip(entries, outputs, strict=True)))
    except Exception as error:
        if len(entries) == 1:
            return Report(batch, started, clock(), [(entries[0], error)])
    results: list[tuple[Entry, Result]] = []
    for entry in entries:
        if entry.call.dropped:
            continue
        try:
            results.append((entry, session.run([entry.sequence])[0]))
        except Exception as error:
            results.append((entry, error))
    return Report(batch, started, clock(), results, retried=True)
