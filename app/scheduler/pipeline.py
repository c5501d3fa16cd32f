"""The batches between the queue and the engine: which run, which lie ready, and how fast they go."""

from __future__ import annotations

from collections.abc import Callable

from app.scheduler.lane import Batch, Lane
from app.scheduler.queue import BatchQueue
from app.scheduler.worker import Report, Worker

DELAY_DECAY = 0.9
"""Of what is remembered, at each batch, of how late the event loop heard of earlier ones."""


class Pipeline:
    """Keeps the worker's tray filled.

    One batch lies ready when the engine has finished another, and one more for each of its threads that is
    idle. Still more do when the event loop is late, as it is when requests come faster than it can read them:
    an engine that waited for the loop between two batches would stand still just when there is most to do.
    """

    def __init__(self, queue: BatchQueue, worker: Worker, clock: Callable[[], float]) -> None:
        self._queue = queue
        self._worker = worker
        self._clock = clock
        # By the moment at which each was handed over.
        self._engaged: dict[Batch, float] = {}
        self._last_finished = 0.0
        self._delay = 0.0

    @property
    def tokens(self) -> int:
        """Tokens that run or lie ready."""
        return sum(batch.tokens for batch in self._engaged)

    @property
    def seconds(self) -> float:
        """How long the engine needs for them."""
        return sum(map(_seconds_of, self._engaged))

    def fill(self) -> list[Lane]:
        """Plan as far ahead as need be; returns the lanes out of whose queue rows were taken."""
        staged = list(self._worker.staged())
        if staged and self._can_grow(staged[-1]):
            self._take_back()
            staged.pop()
        taken: list[Lane] = []
        ahead = sum(map(_seconds_of, staged))
        running = len(self._engaged) - len(staged)
        wanted = 1 + max(0, self._worker.parallel - running)
        while len(staged) + len(taken) < wanted or ahead < self._delay:
            batch = self._queue.take(self._clock())
            if batch is None:
                break
            self._engaged[batch] = self._clock()
            self._worker.offer(batch)
            taken.append(batch.lane)
            ahead += _seconds_of(batch)
        return taken

    def finished(self, report: Report) -> bool:
        """Learn from a batch how fast its lane is; False for one that nobody waits for any more.

        Predictions need the engine's time from batch to batch, the gap before this one included.
        """
        offered = self._engaged.pop(report.batch, None)
        if offered is None:
            return False
        self._delay = max(self._clock() - report.finished, DELAY_DECAY * self._delay)
        begun = max(offered, self._last_finished)
        self._last_finished = report.finished
        if report.results and not report.retried:
            report.batch.lane.measured(report.tokens, report.finished - begun)
        return True

    def clear(self) -> None:
        """Forget everything."""
        self._engaged.clear()

    def _can_grow(self, last: Batch) -> bool:
        """Whether newcomers may join it, and are not so many that planning anew would cost too much."""
        deep = last.lane.waiting_tokens >= last.lane.lookahead_tokens
        return not last.full and not deep and self._queue.rows > 0

    def _take_back(self) -> None:
        last = self._worker.retract()
        if last is not None:
            self._engaged.pop(last, None)
            self._queue.add(entry for entry in last.entries if not entry.call.dropped)


def _seconds_of(batch: Batch) -> float:
    return batch.tokens * batch.lane.seconds_per_token
