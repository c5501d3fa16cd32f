"""A moment of measuring at start: which backend is faster here, and how large a batch should be.

How much a larger batch helps depends on the arithmetic. On two CPU threads fp32 and int8 gain up to about
1,000 padded tokens and then lose to their caches, on a single thread hardly beyond 512; bf16 with AMX gains
up to 4,000; a GPU up to 16,000. A budget that is too large costs more than one that is too small: it also
makes everybody wait longer. Where batches run beside each other, they are measured beside each other.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from app.runtime.batch import Session, padded_tokens
from app.runtime.rows import GraphShape
from app.text.sequence import TokenSequence

MARGIN = 1.1
"""What another backend must gain over onnxruntime to be worth its memory."""
ROW_TOKENS = 64
"""Length of the rows that are measured: most texts are short."""
START_BUDGET = 512
WORTHWHILE = 1.04
"""Twice the batch must gain this much in tokens per second, else the smaller one is kept."""
REPEATS = 2
MOST_OVERHEAD = 1 / 8
"""Of the budget: a disturbed measurement must not make padding look free."""
LARGEST_BUDGET = {"onnxruntime": 2048, "openvino": 8192, "cuda": 32768}
DEFAULT_BUDGET = {"onnxruntime": 1024, "openvino": 2048, "cuda": 16384}


@dataclass(frozen=True, slots=True)
class Calibration:
    """What was measured.

    Attributes:
        batch_tokens: padded tokens that one batch should hold.
        seconds_per_token: of batches of that size, as many at once as there will be.
        overhead_tokens: fixed cost of a batch, in tokens at that speed.
    """

    batch_tokens: int
    seconds_per_token: float
    overhead_tokens: float


def calibrate(
    session: Session,
    shape: GraphShape,
    *,
    seconds: float = 0.4,
    batch_tokens: int | None = None,
    parallel: int = 1,
    clock: Callable[[], float] = time.perf_counter,
) -> Calibration:
    """Find the budget of padded tokens per batch; this is the warm-up too.

    Args:
        seconds: roughly how long it may take. A machine too slow for that gets the backend's default budget.
        batch_tokens: a budget that is already decided; only the speed is measured then.
        parallel: batches that will run at once.

    Raises:
        ValueError, RuntimeError: the graph cannot compute ordinary rows.
    """
    started = clock()
    row = min(ROW_TOKENS, shape.max_tokens)
    with ThreadPoolExecutor(parallel) as pool:

        def speed_of(budget: int) -> float:
            rows = sample_rows(shape, max(1, budget // row))
            best = float("inf")
            for _ in range(REPEATS):
                begun = clock()
                list(pool.map(session.run, [rows] * parallel))
                best = min(best, clock() - begun)
            return max(best, 1e-9) / (parallel * padded_tokens(rows))

        def result(budget: int, speed: float) -> Calibration:
            overhead = row * (alone / speed - 1)
            return Calibration(budget, speed, min(max(overhead, 0.0), MOST_OVERHEAD * budget))

        session.run(sample_rows(shape, 1))
        alone = speed_of(row)
        if batch_tokens is not None:
            return result(batch_tokens, speed_of(batch_tokens))
        budget = START_BUDGET
        speed = speed_of(budget)
        largest = LARGEST_BUDGET.get(session.backend, LARGEST_BUDGET["onnxruntime"])
        while budget < largest:
            if clock() - started + REPEATS * parallel * 2 * budget * speed > seconds:
                default = DEFAULT_BUDGET.get(session.backend, DEFAULT_BUDGET["onnxruntime"])
                return result(max(budget, default // parallel), speed)
            larger = speed_of(2 * budget)
            if larger * WORTHWHILE > speed:
                break
            budget, speed = 2 * budget, larger
        return result(budget, speed)


def race(
    sessions: Sequence[Session],
    shape: GraphShape,
    *,
    rounds: int = 3,
    clock: Callable[[], float] = time.perf_counter,
) -> Session:
    """The session that computes a batch fastest, the first one if none beats it by ``MARGIN``.

    Turns alternate, so that a noisy moment hits all.
    """
    if len(sessions) == 1:
        return sessions[0]
    rows = sample_rows(shape, 8)
    best = [float("inf")] * len(sessions)
    for session in sessions:
        session.run(rows)
    for _ in range(rounds):
        for index, session in enumerate(sessions):
            started = clock()
            session.run(rows)
            best[index] = min(best[index], clock() - started)
    winner = best.index(min(best))
    return sessions[winner if best[winner] * MARGIN < best[0] else 0]


def sample_rows(shape: GraphShape, count: int, tokens: int = ROW_TOKENS) -> list[TokenSequence]:
    """``count`` equal rows with ids from the whole vocabulary, its last one among them."""
    length = min(tokens, shape.max_tokens)
    ids = np.linspace(0, shape.vocab_size - 1, length).astype(np.int64)
    positions = np.arange(min(4, length), dtype=np.int64) if shape.layout == "positions" else None
    return [TokenSequence(ids, None, positions) for _ in range(count)]
