"""The inference threads: each takes the first batch of the tray, runs it, reports, takes the next.

Two threads run all graphs of a process on the same pool of cores. A batch that is alone has all cores. Two at
once have about half each, and gain by it beside a busy event loop: within a batch the cores wait for the
slowest at every operator, between batches they do not (5 to 10 % more single texts a second on two cores;
``docs/benchmarks.md``).

The tray holds what runs next, so that the engine does not wait for the event loop between two batches; until
a thread takes a batch, the scheduler may take it back and plan anew with what has arrived since.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from app.runtime.batch import Outputs
from app.scheduler.lane import Batch, Entry, Lane

GIVE_WAY_SECONDS = 0.0005
"""How long the event loop may keep Python's global lock while an inference thread waits for it. With
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
        fault: of the engine, where not a row could be computed, nor the lane's probe; empty else.
    """

    batch: Batch
    started: float
    finished: float
    results: list[tuple[Entry, Result]] = field(default_factory=list)
    retried: bool = False
    fault: str = ""

    @property
    def seconds(self) -> float:
        return self.finished - self.started

    @property
    def tokens(self) -> int:
        """Real ones of the rows that ran."""
        return sum(entry.tokens for entry, _ in self.results)

    @property
    def padded_tokens(self) -> int:
        """What was computed for them."""
        if self.retried or not self.results:
            return self.tokens
        return max(entry.tokens for entry, _ in self.results) * len(self.results)


class Worker(Protocol):
    """Where batches run. Reports arrive on the event loop."""

    @property
    def parallel(self) -> int:
        """Batches that run at once."""

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


class InferenceThreads:
    """A :class:`Worker` on threads of its own.

    Args:
        loop: on which ``on_report`` and ``on_death`` are called.
        on_report: a batch is finished.
        on_death: a thread ends though nobody asked it to.
        clock: seconds, as the scheduler's.
        parallel: threads, and so batches that run at once.
        stall_limit: a batch that runs for longer than this many seconds is taken for hung.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        on_report: Callable[[Report], None],
        on_death: Callable[[str], None],
        clock: Callable[[], float],
        parallel: int = 1,
        stall_limit: float = 300.0,
    ) -> None:
        self._loop = loop
        self._on_report = on_report
        self._on_death = on_death
        self._clock = clock
        self._stall_limit = stall_limit
        self._changed = threading.Condition()
        self._tray: deque[Batch] = deque()
        # Of each thread that runs a batch: since when.
        self._busy_since: dict[str, float] = {}
        self._stopping = False
        sys.setswitchinterval(min(sys.getswitchinterval(), GIVE_WAY_SECONDS))
        self._threads = [
            threading.Thread(target=self._main, name=f"inference-{number}", daemon=True)
            for number in range(parallel)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def parallel(self) -> int:
        """See :class:`Worker`."""
        return len(self._threads)

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
        if not all(thread.is_alive() for thread in self._threads):
            return "an inference thread is gone"
        with self._changed:
            since = min(self._busy_since.values(), default=None)
        if since is not None and self._clock() - since > self._stall_limit:
            return f"a batch has been running for more than {self._stall_limit:.0f} s"
        return None

    def stop(self) -> None:
        """See :class:`Worker`."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    def join(self, timeout: float) -> None:
        """Wait for the threads' end, at most ``timeout`` seconds for all of them."""
        end = time.monotonic() + timeout
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))

    def _main(self) -> None:
        try:
            while (batch := self._next()) is not None:
                self._tell(self._on_report, run_batch(batch, self._clock))
                # A batch keeps its model and its requests alive; while waiting for the next, let go of it.
                del batch
        except BaseException as error:  # whatever it was, somebody waits for an answer
            self._tell(self._on_death, f"an inference thread ended with {type(error).__name__}: {error}")

    def _next(self) -> Batch | None:
        name = threading.current_thread().name
        with self._changed:
            self._busy_since.pop(name, None)
            while not self._tray:
                if self._stopping:
                    return None
                self._changed.wait()
            batch = self._tray.popleft()
            self._busy_since[name] = self._clock()
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
            alone: list[tuple[Entry, Result]] = [(entries[0], error)]
            return Report(batch, started, clock(), alone, fault=_fault(batch.lane, alone))
    results: list[tuple[Entry, Result]] = []
    for entry in entries:
        if entry.call.dropped:
            continue
        try:
            results.append((entry, session.run([entry.sequence])[0]))
        except Exception as error:
            results.append((entry, error))
    return Report(batch, started, clock(), results, retried=True, fault=_fault(batch.lane, results))


def _fault(lane: Lane, results: Sequence[tuple[Entry, Result]]) -> str:
    """What is wrong with the engine, as far as a row that it computed before can tell; empty if nothing."""
    errors = [result for _, result in results if isinstance(result, Exception)]
    if lane.probe is None or not errors or len(errors) < len(results):
        return ""
    try:
        lane.session.run([lane.probe])
    except Exception as error:
        return " ".join(f"{type(error).__name__}: {error}".split())
    return ""
