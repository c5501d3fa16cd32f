"""How long one text takes, alone, through the service's own code without HTTP."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import numpy as np

_WARM_UP = 3


@dataclass(frozen=True)
class Latency:
    """Milliseconds per text, one text at a time."""

    texts: int
    characters: float
    p50: float
    p95: float
    mean: float


def measure_latency(answer: Callable[[str], Awaitable[object]], texts: Sequence[str], limit: int) -> Latency:
    """Time ``answer`` on at most ``limit`` of ``texts``, evenly spread, after a few to warm up."""
    chosen = [texts[index] for index in np.linspace(0, len(texts) - 1, min(limit, len(texts))).astype(int)]

    async def run() -> list[float]:
        for text in chosen[:_WARM_UP]:
            await answer(text)
        times = []
        for text in chosen:
            started = time.perf_counter()
            await answer(text)
            times.append((time.perf_counter() - started) * 1e3)
        return times

    times = np.array(asyncio.run(run()))
    return Latency(
        texts=len(chosen),
        characters=float(np.mean([len(text) for text in chosen])),
        p50=float(np.percentile(times, 50)),
        p95=float(np.percentile(times, 95)),
        mean=float(times.mean()),
    )
