"""Times are of the texts asked for, one by one."""

from __future__ import annotations

import asyncio

import pytest

from training.evaluate.latency import measure_latency


def test_slow_answers_are_measured_as_slow() -> None:
    seen: list[str] = []

    async def answer(text: str) -> None:
        seen.append(text)
        await asyncio.sleep(0.02 if text == "long" * 2 else 0.001)

    texts = ["s"] * 9 + ["long" * 2]
    latency = measure_latency(answer, texts, 10)
    assert latency.texts == 10
    assert latency.characters == pytest.approx(1.7)
    assert latency.p50 < 20 <= latency.p95 + 10
    assert latency.p95 > latency.p50
    assert len(seen) == 13


def test_no_more_than_the_limit_evenly_spread() -> None:
    seen: list[str] = []

    async def answer(text: str) -> None:
        seen.append(text)

    assert measure_latency(answer, [str(i) for i in range(100)], 3).texts == 3
    assert seen[-3:] == ["0", "49", "99"]
