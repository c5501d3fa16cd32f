"""A row that was asked for once is not computed again."""

from __future__ import annotations

import asyncio

import numpy as np

from app.scheduler.engine import RequestContext
from app.tasks.model import ServedModel
from training.evaluate.caching import CachingEngine, with_cache


class Counting:
    def __init__(self, engine: object) -> None:
        self.engine, self.rows = engine, 0

    async def infer(self, sequences, context, *, graph="model"):  # type: ignore[no-untyped-def]
        self.rows += len(sequences)
        return await self.engine.infer(sequences, context, graph=graph)  # type: ignore[attr-defined]


def test_the_same_results_with_fewer_rows(detector: ServedModel) -> None:
    counting = Counting(detector.engine)
    engine = CachingEngine(counting)
    rows = [detector.encoder.sequence(np.array(ids)) for ids in ([7, 8], [9], [7, 8], [10, 11, 12])]
    expected = asyncio.run(detector.engine.infer(rows, RequestContext()))
    for _ in range(2):
        found = asyncio.run(engine.infer(rows, RequestContext()))
        for ours, theirs in zip(found, expected, strict=True):
            np.testing.assert_allclose(ours["hidden"], theirs["hidden"], atol=1e-6)
    assert counting.rows == 3
    engine.clear()
    asyncio.run(engine.infer(rows[:1], RequestContext()))
    assert counting.rows == 4


def test_positions_are_never_remembered(detector: ServedModel) -> None:
    counting = Counting(detector.engine)
    engine = CachingEngine(counting)
    for position in (0, 1):
        row = detector.encoder.sequence(np.array([7, 8]), positions=np.array([position]))
        asyncio.run(engine.infer([row], RequestContext(), graph="generator"))
    assert counting.rows == 2
    assert with_cache(detector)[0].encoder is detector.encoder
