"""What the backend can do without a service around it: the ceiling that the service is measured against."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from app.bundle import Bundle, Precision
from app.runtime import Backend, open_session
from app.runtime.batch import Session
from app.tasks.local import batches_by_length
from app.text.sequence import TokenSequence

BATCHES = (1, 4, 8, 16, 32)
BUDGETS = (512, 1024, 2048, 4096)
_LEAST_RUNS = 4
_AT_ONCE = 2


@dataclass(frozen=True, slots=True)
class Ceiling:
    """Of one backend and precision.

    Attributes:
        by_batch: texts per second of the short length, by texts in a batch.
        alone_seconds: median time of one short text.
        cpu_ms: CPU milliseconds of one short text in the best batch.
        together: texts per second of two batches of that size at once.
    """

    by_batch: dict[int, float]
    alone_seconds: float
    cpu_ms: float = math.nan
    together: float = math.nan

    @property
    def best(self) -> float:
        return max(self.by_batch.values())


def open_engine(bundle: Bundle, backend: Backend, precision: Precision | None) -> Session:
    """The session as the service opens it."""
    return open_session(bundle, backend=backend, precision=precision, parallel=_AT_ONCE)


def raw_ceiling(session: Session, rows: Sequence[TokenSequence], seconds: float) -> Ceiling:
    """Median speed on batches of ``rows``, all of one length; ``seconds`` for all sizes together."""
    by_batch: dict[int, float] = {}
    cpu: dict[int, float] = {}
    alone = 0.0
    for size in BATCHES:
        batch = [rows[index % len(rows)] for index in range(size)]
        taken, used = _median_seconds(partial(session.run, batch), seconds / len(BATCHES))
        by_batch[size] = size / taken
        cpu[size] = 1000 * used / size
        alone = taken if size == 1 else alone
    best = max(by_batch, key=lambda size: by_batch[size])
    return Ceiling(by_batch, alone, cpu[best], _together(session, rows[:best], seconds / len(BATCHES)))


def _together(session: Session, batch: Sequence[TokenSequence], seconds: float) -> float:
    """Texts per second of as many batches at once as the service runs."""
    end = time.perf_counter() + seconds

    def rate(_: int) -> float:
        # By its own time: whichever loop ends first would otherwise count as standing still.
        begun, runs = time.perf_counter(), 0
        while runs < _LEAST_RUNS or time.perf_counter() < end:
            session.run(list(batch))
            runs += 1
        return runs * len(batch) / (time.perf_counter() - begun)

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return sum(pool.map(rate, range(_AT_ONCE)))


def offline_plans(session: Session, rows: Sequence[TokenSequence], repeats: int) -> dict[int, float]:
    """Texts per second over ``rows``, sorted by length and batched under each budget of padded tokens."""
    lengths = [len(row) for row in rows]
    session.run([max(rows, key=len)])
    rates: dict[int, float] = {}
    for budget in BUDGETS:
        plan = batches_by_length(lengths, budget)
        times = []
        for _ in range(repeats):
            begun = time.perf_counter()
            for group in plan:
                session.run([rows[index] for index in group])
            times.append(time.perf_counter() - begun)
        rates[budget] = len(rows) / statistics.median(times)
    return rates


def _median_seconds(run: Callable[[], object], seconds: float) -> tuple[float, float]:
    """Median seconds of a run, and the mean CPU seconds of all threads in it."""
    run()
    times: list[float] = []
    end, cpu = time.perf_counter() + seconds, time.process_time()
    while len(times) < _LEAST_RUNS or time.perf_counter() < end:
        begun = time.perf_counter()
        run()
        times.append(time.perf_counter() - begun)
    return statistics.median(times), (time.process_time() - cpu) / len(times)
