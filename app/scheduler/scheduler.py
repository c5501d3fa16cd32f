"""The asyncio side of inference: one scheduler in a process, whatever the number of models.

All state lives on the event loop; the worker's thread sees only the batches in its tray. A batch starts the
moment the engine is free: nothing here sleeps.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from typing import Literal

from app.runtime.batch import Outputs
from app.scheduler.admission import Load, admit, check_lengths, enqueue
from app.scheduler.door import Door
from app.scheduler.engine import RequestContext
from app.scheduler.errors import BadItem, DeadlineExceeded, EngineDead, NotReady
from app.scheduler.fair_clock import FairClock
from app.scheduler.lane import Call, Entry, Lane
from app.scheduler.observer import NullObserver, Observer
from app.scheduler.pipeline import Pipeline
from app.scheduler.queue import BatchQueue
from app.scheduler.worker import InferenceThreads, Report, Worker
from app.text.sequence import TokenSequence

_log = logging.getLogger(__name__)

State = Literal["running", "draining", "closed", "dead"]
SUPERVISION_SECONDS = 1.0
FAILED_BATCHES = 3
"""In a row, of one lane, each with a fault of the engine: then it is taken for dead."""
_STOPPING = "the service is stopping; send the request again"
_FAULT = "the engine failed, also at a text that it had computed before; send the request again"

WorkerFactory = Callable[[Callable[[Report], None], Callable[[str], None], Callable[[], float]], Worker]


class Scheduler:
    """Runs rows of any number of lanes on one worker. Create it on the event loop that uses it.

    Args:
        queue_tokens: tokens that may wait or run at once; a request beyond that is refused. One that is
            larger than this by itself is admitted when nothing else is there.
        age_limit: seconds after which a row that was passed over is served in its turn (see ``grouping``).
        observer: hears of batches and queue depth.
        on_dead: called once when the worker is lost, after every waiting request has failed.
        clock: seconds, the event loop's (``loop.time``), which is the monotonic clock.
        parallel: batches that run at once.
        worker: makes the worker; by default :class:`InferenceThreads`, ``parallel`` of them.
    """

    def __init__(
        self,
        *,
        queue_tokens: int = 131_072,
        age_limit: float = 2.0,
        observer: Observer | None = None,
        on_dead: Callable[[str], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
        parallel: int = 1,
        worker: WorkerFactory | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._limit = queue_tokens
        self._age_limit = age_limit
        self._observer = observer or NullObserver()
        self._on_dead = on_dead
        self._clock = clock
        self._queue = BatchQueue()
        self._turns = FairClock(clock())
        self._calls: dict[Call, asyncio.Future[list[Outputs]]] = {}
        self._door = Door()
        self._planned: asyncio.Handle | None = None
        self._cause = ""
        self.state: State = "running"
        if worker is None:
            self._worker: Worker = InferenceThreads(self._loop, self._finished, self._died, clock, parallel)
        else:
            self._worker = worker(self._finished, self._died, clock)
        self._pipeline = Pipeline(self._queue, self._worker, clock)
        self._supervision = self._loop.call_later(SUPERVISION_SECONDS, self._supervise)

    # ---- what engines ask

    def accept(self, lane: Lane, context: RequestContext, characters: int = 0, texts: int = 0) -> None:
        """Let a request in ahead of its first rows, until it ends (``context.end()``): whoever drains waits
        for it, between its stages too.

        Where its rows would be refused anyway, as far as ``characters`` tell, it is refused now, before
        anything is spent on its texts.

        Raises:
            NotReady, EngineDead: the service takes no new request.
            QueueFull: as :meth:`infer`.
        """
        if context in self._door:
            return
        self._check_open(context)
        tokens = lane.estimate(characters, texts)
        if tokens and self._queue.rows:
            # Only the tokens themselves can tell whether a request is too large for its deadline.
            with contextlib.suppress(DeadlineExceeded):
                self._check_room(lane, [tokens], context)
        context.characters = characters
        self._door.enter(context)
        context.on_end(lambda: self._door.leave(context))

    async def infer(
        self, lane: Lane, sequences: Sequence[TokenSequence], context: RequestContext
    ) -> list[Outputs]:
        """Results of ``sequences`` in their order; see :meth:`app.scheduler.engine.Engine.infer`."""
        if not sequences:
            return []
        call = self._admit(lane, sequences, context)
        answer: asyncio.Future[list[Outputs]] = self._loop.create_future()
        self._calls[call] = answer
        self._door.enter(call)
        self._tell_queue(lane)
        self._plan_soon()
        try:
            async with asyncio.timeout_at(context.deadline):
                return await answer
        except TimeoutError:
            raise DeadlineExceeded(
                "the answer was not ready by the request's deadline; ask for less or later"
            ) from None
        finally:
            call.tell_timing()
            self._forget(call)

    @property
    def pending_tokens(self) -> int:
        """Tokens that wait or run."""
        return self._queue.tokens + self._pipeline.tokens

    async def drain(self) -> None:
        """Take no new request, and return once those that are in have ended, or cannot end any more.

        A request that was let in may need the engine several times: its later rows are still admitted.
        """
        if self.state == "running":
            self.state = "draining"
        if self.state == "draining":
            await self._door.wait_until_empty()

    async def close(self) -> None:
        """Fail what still waits, end the worker after its present batch, and return when it has ended."""
        if self._serving:
            self.state = "closed"
            self._fail_all(NotReady(_STOPPING))
        self._supervision.cancel()
        self._worker.stop()
        if isinstance(self._worker, InferenceThreads) and self.state != "dead":
            await asyncio.to_thread(self._worker.join, 30.0)

    # ---- admission

    def _admit(self, lane: Lane, sequences: Sequence[TokenSequence], context: RequestContext) -> Call:
        self._check_open(context)
        check_lengths(lane, sequences)
        sizes = [len(sequence) for sequence in sequences]
        if context.characters and context.turn is None:
            lane.counted(sum(sizes), context.characters)
        load, wait = self._check_room(lane, sizes, context)
        call = enqueue(lane, sequences, context, load, wait, self._age_limit)
        self._queue.add(call.entries)
        return call

    def _check_room(self, lane: Lane, sizes: Sequence[int], context: RequestContext) -> tuple[Load, float]:
        load = self._load()
        return load, admit(load, self._queue, lane, sizes, context)

    @property
    def _serving(self) -> bool:
        return self.state in ("running", "draining")

    def _check_open(self, context: RequestContext) -> None:
        if self.state == "dead":
            raise EngineDead(f"{self._cause}; the process is about to be replaced")
        known = context.turn is not None or context in self._door
        if self.state == "closed" or (self.state == "draining" and not known):
            raise NotReady(_STOPPING)

    def _load(self) -> Load:
        now = self._clock()
        turn = self._turns.read(now, len(self._calls))
        return Load(now, turn, self._limit, self.pending_tokens, self._pipeline.seconds)

    # ---- batches

    def _plan_soon(self) -> None:
        # Not at once: what else arrives in this turn of the event loop can share the batch.
        if self._planned is None:
            self._planned = self._loop.call_soon(self._plan)

    def _plan(self) -> None:
        self._planned = None
        if self._serving:
            for lane in self._pipeline.fill():
                self._tell_queue(lane)

    def _finished(self, report: Report) -> None:
        if not self._pipeline.finished(report):
            return
        self._tell_batch(report)
        lane = report.batch.lane
        if report.results:
            lane.failed_batches = lane.failed_batches + 1 if report.fault else 0
        for entry, result in report.results:
            call = entry.call
            if call.dropped or call not in self._calls:
                continue
            call.ran(report.started, report.finished)
            if isinstance(result, Exception):
                self._observer.failed(lane.label)
                self._resolve(call, EngineDead(_FAULT) if report.fault else _bad_item(entry, result))
                continue
            call.keep(entry.index, result)
            if not call.remaining:
                self._resolve(call, None)
        if lane.failed_batches >= FAILED_BATCHES:
            self._died(f"{lane.label} can compute nothing any more ({report.fault})")
        self._plan()

    def _resolve(self, call: Call, error: Exception | None) -> None:
        answer = self._calls.get(call)
        if answer is None or answer.done():
            return
        if error is not None:
            answer.set_exception(error)
            # Its other rows are of no use to anybody now.
            self._drop(call)
        else:
            answer.set_result([result for result in call.results if result is not None])

    def _drop(self, call: Call) -> None:
        if not call.dropped:
            call.dropped = True
            self._queue.discard(call)

    def _forget(self, call: Call) -> None:
        """The caller has its answer or is gone; rows that have not started must not cost anything."""
        if call not in self._calls:
            return
        self._turns.read(self._clock(), len(self._calls))
        del self._calls[call]
        if call.remaining:
            self._drop(call)
            self._tell_queue(call.entries[0].lane)
            self._plan_soon()
        # Breaks the circle between a call and its rows: a model is freed with its last request.
        call.entries = []
        self._door.leave(call)

    # ---- the end of the worker

    def _supervise(self) -> None:
        trouble = self._worker.trouble()
        if trouble is not None:
            self._died(trouble)
            return
        self._supervision = self._loop.call_later(SUPERVISION_SECONDS, self._supervise)

    def _died(self, cause: str) -> None:
        if not self._serving:
            return
        self.state = "dead"
        self._cause = cause
        self._supervision.cancel()
        _log.critical("inference is dead: %s", cause)
        self._fail_all(EngineDead(f"{cause}; the process is about to be replaced"))
        if self._on_dead is not None:
            self._on_dead(cause)

    def _fail_all(self, error: Exception) -> None:
        self._queue.clear()
        self._pipeline.clear()
        self._door.clear()
        for call, answer in list(self._calls.items()):
            call.dropped = True
            if not answer.done():
                # One exception object for each waiter: they would share and overwrite its traceback.
                answer.set_exception(type(error)(*error.args))

    # ---- what it tells

    def _tell_queue(self, lane: Lane) -> None:
        self._observer.queue(lane.label, sequences=lane.waiting_rows, tokens=lane.waiting_tokens)

    def _tell_batch(self, report: Report) -> None:
        if report.results:
            self._observer.batch(
                report.batch.lane.label,
                sequences=len(report.results),
                tokens=report.tokens,
                padded_tokens=report.padded_tokens,
                seconds=report.seconds,
            )


def _bad_item(entry: Entry, error: Exception) -> BadItem:
    lines = str(error).strip().splitlines()
    _log.warning(
        "request %s: row %d failed in %s: %s",
        entry.call.context.request_id,
        entry.index,
        entry.lane.model,
        error,
    )
    return BadItem(f"row {entry.index} could not be computed: {lines[0] if lines else type(error).__name__}")
