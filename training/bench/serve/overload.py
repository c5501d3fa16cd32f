"""Three times as much as the service can carry: what it still delivers, and whether it tells the truth."""

from __future__ import annotations

import asyncio
import bisect
import math
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from training.bench.serve.cells import Load
from training.bench.serve.figures import median, percentile, rate
from training.bench.serve.load import Sample, closed_loop, http_request, open_loop
from training.bench.serve.processes import ServerProcess
from training.bench.serve.subjects import Subject

FACTOR = 3.0
_PEAK_CLIENTS = 64
_RAMP = 0.25
"""Share of the time after which the queue is full and figures are taken."""


@dataclass(frozen=True)
class Overload:
    """Of a run at ``FACTOR`` times the peak.

    Attributes:
        peak: texts per second that the service carries when the clients wait for their answers.
        offered: texts per second that were sent.
        goodput: texts per second answered within their deadline.
        refused: share of requests that got 429.
        other: requests with any other status than 200 and 429, broken ones too.
        retry_right: share of Retry-After headers that were within a factor of two of the truth.
        retry_ratio: median of truth over promise.
        deadline, p99: of accepted requests, seconds.
        growth: of resident memory, last quarter over the quarter after the ramp, minus 1.
        driver: CPU seconds of the driver per second.
    """

    peak: float
    offered: float
    goodput: float
    refused: float
    other: int
    retry_right: float
    retry_ratio: float
    deadline: float
    p99: float
    growth: float
    driver: float


def measure_overload(
    subject: Subject, server: ServerProcess, load: Load, *, seconds: float, deadline: float
) -> Overload:
    """Find the peak for a sixth of ``seconds``, then offer ``FACTOR`` times as much for ``seconds``."""
    requests = [http_request(subject.path, subject.body(texts)) for texts in load.texts]
    weights = [tokens / load.unit_tokens for tokens in load.tokens]
    calm = max(3.0, seconds / 6)
    at_peak = asyncio.run(closed_loop(server.port, requests, clients=_PEAK_CLIENTS, seconds=calm))
    peak = rate(at_peak, weights, calm / 4)
    memory: list[float] = []
    finished = threading.Event()

    def watch() -> None:
        while not finished.wait(0.5):
            memory.append(float(server.resident_bytes()))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    cpu, begun = time.process_time(), time.perf_counter()
    samples = asyncio.run(
        open_loop(
            server.port,
            requests,
            rate=FACTOR * max(peak, 1.0),
            seconds=seconds,
            # A request that outlives its deadline must show, not be cut off here.
            patience=2 * deadline + 10,
        )
    )
    driver = (time.process_time() - cpu) / (time.perf_counter() - begun)
    finished.set()
    watcher.join()
    return summarise_overload(samples, weights, peak, deadline, memory, driver)


def summarise_overload(
    samples: Sequence[Sample],
    weights: Sequence[float],
    peak: float,
    deadline: float,
    memory: Sequence[float],
    driver: float = 0.0,
) -> Overload:
    """Figures after the ramp. ``weights`` by ``Sample.index``; ``memory`` in even steps of time."""
    first = min(sample.started for sample in samples)
    stop = max(sample.started for sample in samples)
    begin = first + _RAMP * (stop - first)
    sent = [sample for sample in samples if sample.started >= begin]
    accepted = [sample for sample in samples if sample.answer.status == 200]
    good = [s for s in accepted if begin < s.finished <= stop and s.seconds <= deadline]
    refused = [sample for sample in sent if sample.answer.status == 429]
    ratios = retry_ratios(accepted, refused)
    steady = memory[int(_RAMP * len(memory)) :]
    part = max(1, len(steady) // 4)
    return Overload(
        peak=peak,
        offered=sum(weights[s.index] for s in sent) / (stop - begin) if stop > begin else math.nan,
        goodput=sum(weights[s.index] for s in good) / (stop - begin) if stop > begin else math.nan,
        refused=len(refused) / len(sent) if sent else math.nan,
        other=sum(sample.answer.status not in (200, 429) for sample in samples),
        retry_right=sum(0.5 <= ratio <= 2 for ratio in ratios) / len(ratios) if ratios else math.nan,
        retry_ratio=median(ratios),
        deadline=deadline,
        p99=percentile([sample.seconds for sample in accepted if sample.started >= begin], 0.99),
        growth=median(steady[-part:]) / median(steady[:part]) - 1 if steady else math.nan,
        driver=driver,
    )


def retry_ratios(accepted: Sequence[Sample], refused: Sequence[Sample]) -> list[float]:
    """For each refusal: the time until as much was done as waited at that moment, over its Retry-After.

    Refusals so late that the run ended first are left out.
    """
    starts = sorted(sample.started for sample in accepted)
    ends = sorted(sample.finished for sample in accepted)
    ratios = []
    for sample in refused:
        promised = float(sample.answer.headers.get("retry-after", "nan"))
        moment = sample.finished
        done = bisect.bisect_right(ends, moment)
        waiting = bisect.bisect_right(starts, moment) - done
        if waiting and promised > 0 and done + waiting <= len(ends):
            ratios.append((ends[done + waiting - 1] - moment) / promised)
    return ratios
