"""An event loop on which time is a number, and a worker that needs as long for a batch as it is told."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import numpy as np

from app.runtime.batch import padded_tokens
from app.scheduler.engine import RequestContext
from app.scheduler.lane import Batch, Call, Entry, Lane
from app.scheduler.scheduler import Scheduler
from app.scheduler.worker import Report, run_batch
from app.text.sequence import TokenSequence

T = TypeVar("T")
POISON = 666
END_OF_TIME = 1e6


class SimulatedLoop(asyncio.SelectorEventLoop):
    """Instead of waiting for the next timer it sets the clock forward."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        select = self._selector.select

        def jump(timeout: float | None) -> list[Any]:
            events = select(0)
            if not events and timeout != 0:
                if timeout is None or self.now > END_OF_TIME:
                    raise RuntimeError("nothing will ever happen again: somebody waits for ever")
                self.now += timeout
            return events

        self._selector.select = jump

    def time(self) -> float:
        return self.now


def simulate(story: Callable[[], Awaitable[T]]) -> T:
    """Run ``story`` in simulated time."""
    with asyncio.Runner(loop_factory=SimulatedLoop) as runner:
        return runner.run(story())


class EchoSession:
    """A session whose ``logits`` are the row's own ids, so that no answer can be mistaken for another's."""

    backend = "echo"
    precision = "fp32"

    def __init__(self, max_tokens: int = 512) -> None:
        self.max_tokens = max_tokens
        self.batches: list[list[int]] = []
        self.closed = False

    def run(self, sequences: list[TokenSequence]) -> list[dict[str, Any]]:
        self.batches.append([len(sequence) for sequence in sequences])
        if any(POISON in sequence.input_ids for sequence in sequences):
            raise ValueError("poisoned row")
        return [{"logits": sequence.input_ids.copy()} for sequence in sequences]

    def close(self) -> None:
        self.closed = True


class SimulatedWorker:
    """Computes at once, reports ``cost(batch)`` seconds later; treats its tray as the threads do.

    Each of ``parallel`` batches at once takes as long as it would alone.
    """

    def __init__(
        self,
        on_report: Callable[[Report], None],
        cost: Callable[[Batch], float],
        clock: Callable[[], float],
        parallel: int = 1,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_report = on_report
        self._cost = cost
        self._clock = clock
        self._tray: list[Batch] = []
        self.parallel = parallel
        self._running = 0
        self.sick: str | None = None
        self.batches: list[Batch] = []
        # Of what was reported; not the reports, which would keep lanes alive.
        self.rows = self.tokens = self.padded_tokens = self.retried = 0
        self.busy_seconds = 0.0

    def offer(self, batch: Batch) -> None:
        self._tray.append(batch)
        self._loop.call_soon(self._start)

    def retract(self) -> Batch | None:
        return self._tray.pop() if self._tray else None

    def staged(self) -> tuple[Batch, ...]:
        return tuple(self._tray)

    def trouble(self) -> str | None:
        return self.sick

    def stop(self) -> None:
        self._tray.clear()

    def _start(self) -> None:
        if self._running == self.parallel or not self._tray or self.sick:
            return
        batch = self._tray.pop(0)
        self._running += 1
        self.batches.append(batch)
        started = self._clock()
        report = run_batch(batch, self._clock)
        seconds = self._cost(batch) if report.results else 0.0
        self.busy_seconds += seconds
        self._loop.call_later(seconds, self._finish, report, started)

    def _finish(self, report: Report, started: float) -> None:
        self._running -= 1
        if self.sick:
            return
        self._start()
        self.rows += len(report.results)
        self.tokens += report.tokens
        self.padded_tokens += report.padded_tokens
        self.retried += report.retried
        self._on_report(dataclasses.replace(report, started=started, finished=self._clock()))


class Bench:
    """A scheduler in simulated time with one lane."""

    def __init__(
        self,
        *,
        budget: int = 1024,
        per_token: float = 1e-4,
        overhead: float = 2e-3,
        session: EchoSession | None = None,
        parallel: int = 1,
        **options: Any,
    ) -> None:
        loop = asyncio.get_running_loop()
        self.session = session or EchoSession()

        def cost(batch: Batch) -> float:
            return overhead + per_token * batch.padded_tokens

        def worker(on_report: Any, on_death: Any, clock: Any) -> SimulatedWorker:
            self.worker = SimulatedWorker(on_report, cost, clock, parallel)
            return self.worker

        self.scheduler = Scheduler(clock=loop.time, worker=worker, **options)
        self.lane = Lane("toy", "model", self.session, budget, per_token, overhead / per_token)

    @property
    def padding_ratio(self) -> float:
        """Computed over real tokens; 1 is no padding."""
        return self.worker.padded_tokens / self.worker.tokens

    async def infer(self, *lengths: int, deadline: float | None = None, first: int = 1000) -> list[Any]:
        rows = [row(length, first + index) for index, length in enumerate(lengths)]
        return await self.scheduler.infer(self.lane, rows, RequestContext(deadline=deadline))


def row(length: int, mark: int = 1) -> TokenSequence:
    """A row of ``length`` tokens that all equal ``mark``."""
    return TokenSequence(np.full(length, mark, np.int64))


def within_budget(batch: Batch) -> bool:
    """The budget holds, or the row stands alone."""
    rows = [entry.sequence for entry in batch.entries]
    return len(rows) == 1 or padded_tokens(rows) <= batch.lane.batch_tokens


def some_lane(budget: int = 1024, positions: int = 256) -> Lane:
    return Lane("toy", "model", EchoSession(), budget, 1e-4, batch_positions=positions)


def entry(lane: Lane, tokens: int, turn: float = 0.0, due: float = 1e9) -> Entry:
    call = Call(RequestContext())
    made = Entry(call, lane, 0, row(tokens), tokens, turn, turn, due)
    call.entries.append(made)
    return made


def lengths(entries: tuple[Entry, ...] | list[Entry]) -> list[int]:
    return sorted(one.tokens for one in entries)
