"""What lies ready for the engine, and how its pace is learned."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import pytest

from app.scheduler.engine import RequestContext
from app.scheduler.lane import Entry
from app.scheduler.worker import Report
from tests.app.scheduler.simulation import Bench, row, simulate


def test_one_batch_lies_ready_while_the_event_loop_is_in_time() -> None:
    async def story() -> None:
        bench = Bench(budget=100, per_token=1e-3, overhead=0.0)
        tasks = [asyncio.create_task(bench.infer(100)) for _ in range(20)]
        for _ in range(10):
            await asyncio.sleep(0.1)
            assert len(bench.worker.staged()) <= 1
        await asyncio.gather(*tasks)

    simulate(story)


def test_every_idle_thread_gets_a_batch_at_once() -> None:
    async def story() -> None:
        bench = Bench(budget=100, per_token=1e-3, overhead=0.0, parallel=3)
        began = asyncio.get_running_loop().time()
        tasks = [asyncio.create_task(bench.infer(100)) for _ in range(9)]
        await asyncio.sleep(0.05)
        assert len(bench.worker.batches) == 3
        assert len(bench.worker.staged()) == 1
        await asyncio.gather(*tasks)
        assert asyncio.get_running_loop().time() - began == pytest.approx(0.3)
        # What is predicted is what the threads do together.
        assert bench.lane.seconds_per_token < 0.7e-3

    simulate(story)


def test_an_event_loop_that_is_late_does_not_let_the_engine_stand_still() -> None:
    async def story() -> None:
        loop = asyncio.get_running_loop()
        bench = Bench(budget=100, per_token=1e-4, overhead=0.0)
        hear = bench.worker._on_report
        # The loop hears of a batch of 10 ms half a second after it has ended.
        bench.worker._on_report = lambda report: loop.call_later(0.5, hear, report)
        began = loop.time()
        await asyncio.gather(*(bench.infer(100) for _ in range(200)))
        # Two seconds of work. With one batch ready at a time each pair of them would cost half a second.
        assert loop.time() - began < 5.0

    simulate(story)


def test_the_predicted_pace_has_the_gaps_between_batches_in_it() -> None:
    async def story() -> None:
        bench = Bench(per_token=1e-3, overhead=0.0, budget=100)
        start = bench.worker._start
        # The engine's thread gets no CPU for a while after every batch.
        bench.worker._start = lambda: asyncio.get_running_loop().call_later(0.1, start)  # type: ignore[method-assign]
        await asyncio.gather(*(bench.infer(100) for _ in range(60)))
        assert bench.lane.seconds_per_token == pytest.approx(2e-3, rel=0.02)

    simulate(story)


def test_a_request_that_ends_while_its_batch_lies_ready_does_not_wait_again() -> None:
    async def story() -> None:
        bench = Bench(budget=1024, overhead=1.0)
        running = asyncio.create_task(bench.infer(10))
        await asyncio.sleep(0.1)
        staged = asyncio.create_task(bench.infer(20))
        await asyncio.sleep(0.1)
        assert [batch.tokens for batch in bench.worker.staged()] == [20]
        staged.cancel()
        joined = asyncio.create_task(bench.infer(30))
        queued: list[list[int]] = []
        add = bench.scheduler._queue.add

        def watched(entries: Iterable[Entry]) -> None:
            kept = list(entries)
            queued.append([entry.tokens for entry in kept])
            add(kept)

        bench.scheduler._queue.add = watched  # type: ignore[method-assign]
        await asyncio.sleep(0.1)
        assert queued == [[30], []], "the newcomer; and nothing out of the tray"
        await asyncio.gather(running, joined)

    simulate(story)


def test_a_report_that_nobody_waits_for_is_passed_over() -> None:
    async def story() -> None:
        bench = Bench(overhead=1.0)
        task = asyncio.create_task(bench.infer(10))
        await asyncio.sleep(0.1)
        pipeline = bench.scheduler._pipeline
        assert (pipeline.tokens, pipeline.seconds) == (10, pytest.approx(1e-3))
        pipeline.clear()
        assert pipeline.tokens == 0
        assert not pipeline.finished(Report(bench.worker.batches[0], 0.0, 1.0))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert await bench.scheduler.infer(bench.lane, [row(3)], RequestContext())

    simulate(story)
