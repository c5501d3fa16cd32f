"""The scheduler's promises, in simulated time."""

from __future__ import annotations

import asyncio
import gc
import weakref
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.scheduler.engine import RequestContext
from app.scheduler.errors import BadItem, DeadlineExceeded, EngineDead, NotReady, QueueFull
from app.scheduler.lane import Lane
from app.scheduler.scheduler import FAILED_BATCHES
from app.text.sequence import TokenSequence
from tests.app.scheduler.simulation import POISON, Bench, EchoSession, row, simulate, within_budget


def test_answers_stand_in_the_order_of_the_rows() -> None:
    async def story() -> None:
        bench = Bench(budget=64)
        answers = await bench.infer(30, 5, 17, 30, 2)
        assert [len(answer["logits"]) for answer in answers] == [30, 5, 17, 30, 2]
        assert [int(answer["logits"][0]) for answer in answers] == [1000, 1001, 1002, 1003, 1004]
        assert await bench.infer() == []

    simulate(story)


def test_an_idle_engine_starts_at_once() -> None:
    async def story() -> None:
        bench = Bench(per_token=1e-3, overhead=0.0)
        await bench.infer(10)
        assert asyncio.get_running_loop().time() == pytest.approx(0.01)

    simulate(story)


def test_requests_of_one_moment_share_a_batch() -> None:
    async def story() -> None:
        bench = Bench(budget=1024)
        await asyncio.gather(*(bench.infer(64) for _ in range(16)))
        assert bench.session.batches == [[64] * 16]

    simulate(story)


def test_what_arrives_while_the_engine_works_joins_the_staged_batch() -> None:
    async def story() -> None:
        bench = Bench(budget=1024, overhead=0.1)
        tasks = [asyncio.create_task(bench.infer(64))]
        for _ in range(5):
            await asyncio.sleep(0.01)
            tasks.append(asyncio.create_task(bench.infer(64)))
        await asyncio.gather(*tasks)
        assert [len(batch) for batch in bench.session.batches] == [1, 5]

    simulate(story)


def test_a_poisoned_row_fails_its_own_request_only() -> None:
    async def story() -> None:
        bench = Bench()
        good = [bench.infer(20) for _ in range(5)]
        answers = await asyncio.gather(bench.infer(20, first=POISON), *good, return_exceptions=True)
        assert isinstance(answers[0], BadItem)
        assert "poisoned row" in str(answers[0])
        assert all(isinstance(answer, list) and len(answer[0]["logits"]) == 20 for answer in answers[1:])
        assert bench.worker.retried == 1
        assert bench.scheduler.pending_tokens == 0

    simulate(story)


class Failing(EchoSession):
    """Computes nothing from a moment on."""

    broken = False

    def run(self, sequences: list[TokenSequence]) -> list[Any]:
        if self.broken:
            raise RuntimeError("CUDA error:\nan illegal memory access")
        return super().run(sequences)


def test_an_engine_that_computes_nothing_any_more_is_dead() -> None:
    async def story() -> None:
        deaths: list[str] = []
        session = Failing()
        bench = Bench(session=session, on_dead=deaths.append)
        bench.lane.probe = row(4)
        await bench.infer(5)
        session.broken = True
        for number in range(FAILED_BATCHES):
            assert bench.scheduler.state == "running", number
            with pytest.raises(EngineDead, match="a text that it had computed before"):
                await bench.infer(5)
        assert deaths == [
            "toy can compute nothing any more (RuntimeError: CUDA error: an illegal memory access)"
        ]

    simulate(story)


@pytest.mark.parametrize("known", [True, False], ids=["row", "moment"])
def test_bad_rows_and_passing_faults_do_not_end_it(known: bool) -> None:
    async def story() -> None:
        session = Failing()
        bench = Bench(session=session)
        bench.lane.probe = row(4)
        for _ in range(3 * FAILED_BATCHES):
            session.broken = not known
            with pytest.raises(BadItem if known else EngineDead):
                await bench.infer(20, first=POISON)
            session.broken = False
            if not known:
                await bench.infer(5)
        assert bench.scheduler.state == "running"

    simulate(story)


def test_rows_run_one_by_one_say_nothing_of_the_speed_of_batches() -> None:
    async def story() -> None:
        bench = Bench(overhead=0.1)
        before = bench.lane.seconds_per_token
        answers = await asyncio.gather(
            bench.infer(20, first=POISON), bench.infer(10), bench.infer(10), return_exceptions=True
        )
        assert isinstance(answers[0], BadItem)
        assert bench.lane.seconds_per_token == before
        assert bench.padding_ratio == 1.0, "each was as wide as itself"

    simulate(story)


def test_a_row_that_cannot_run_is_refused_before_it_waits() -> None:
    async def story() -> None:
        bench = Bench(session=EchoSession(max_tokens=32))
        for length in (0, 33):
            with pytest.raises(BadItem, match=f"row of {length} tokens"):
                await bench.infer(8, length)
        assert bench.session.batches == []

    simulate(story)


def test_cancelled_requests_cost_nothing() -> None:
    async def story() -> None:
        bench = Bench(overhead=1.0)
        running = asyncio.create_task(bench.infer(10))
        await asyncio.sleep(0.1)
        waiting = [asyncio.create_task(bench.infer(length)) for length in (11, 12, 13)]
        await asyncio.sleep(0.1)
        waiting[0].cancel()
        waiting[2].cancel()
        await asyncio.gather(running, *waiting, return_exceptions=True)
        assert bench.session.batches == [[10], [12]]
        assert bench.scheduler.pending_tokens == 0

    simulate(story)


def test_a_cancelled_document_frees_the_queue() -> None:
    async def story() -> None:
        bench = Bench(budget=512, queue_tokens=6000, overhead=1.0)
        document = asyncio.create_task(bench.infer(*[500] * 10))
        await asyncio.sleep(0.5)
        with pytest.raises(QueueFull):
            await bench.infer(500, 500, 500)
        document.cancel()
        await asyncio.gather(document, return_exceptions=True)
        await bench.infer(500, 500, 500)
        assert len(bench.session.batches) <= 5

    simulate(story)


def test_admission_is_bounded_in_tokens_and_says_when_to_come_back() -> None:
    async def story() -> None:
        loop = asyncio.get_running_loop()
        bench = Bench(budget=1000, queue_tokens=10_000, per_token=1e-3, overhead=0.0)
        accepted = [asyncio.create_task(bench.infer(100)) for _ in range(100)]
        await asyncio.sleep(0)
        with pytest.raises(QueueFull) as refused:
            await bench.infer(1)
        await asyncio.gather(*accepted)
        assert loop.time() == pytest.approx(10.0)
        assert refused.value.retry_after_s == pytest.approx(10.0, rel=0.01)

    simulate(story)


def test_a_request_larger_than_the_queue_passes_alone() -> None:
    async def story() -> None:
        bench = Bench(queue_tokens=1000)
        assert len(await bench.infer(*[400] * 5)) == 5
        blocked = asyncio.create_task(bench.infer(10))
        await asyncio.sleep(0)
        with pytest.raises(QueueFull):
            await bench.infer(*[400] * 5)
        await blocked

    simulate(story)


def test_a_wait_past_the_deadline_is_refused_at_once() -> None:
    async def story() -> None:
        loop = asyncio.get_running_loop()
        bench = Bench(budget=1000, per_token=1e-3, overhead=0.0)
        backlog = [asyncio.create_task(bench.infer(500)) for _ in range(10)]
        await asyncio.sleep(0)
        with pytest.raises(QueueFull) as refused:
            await bench.infer(100, deadline=loop.time() + 2.0)
        assert refused.value.retry_after_s == pytest.approx(5.0, rel=0.3)
        with pytest.raises(DeadlineExceeded, match="ask for less"):
            await bench.infer(500, 500, 500, 500, deadline=loop.time() + 1.5)
        assert loop.time() == 0.0
        assert len(await bench.infer(100, deadline=loop.time() + 11.0)) == 1
        await asyncio.gather(*backlog)

    simulate(story)


def test_a_document_whose_turn_comes_later_does_not_count_against_a_sentence() -> None:
    async def story() -> None:
        loop = asyncio.get_running_loop()
        bench = Bench(budget=500, per_token=1e-3, overhead=0.0, age_limit=60.0)
        document = asyncio.create_task(bench.infer(*[500] * 40))
        await asyncio.sleep(1.0)
        began = loop.time()
        assert len(await bench.infer(50, deadline=began + 3.0)) == 1
        assert loop.time() - began < 1.6
        await document
        assert loop.time() == pytest.approx(20.05, rel=0.01)

    simulate(story)


def test_an_answer_that_is_late_is_an_error_and_its_rows_are_dropped() -> None:
    async def story() -> None:
        loop = asyncio.get_running_loop()
        bench = Bench(overhead=5.0)
        first = asyncio.create_task(bench.infer(10))
        await asyncio.sleep(0.1)
        with pytest.raises(DeadlineExceeded):
            await bench.infer(11, deadline=loop.time() + 1.0)
        assert loop.time() == pytest.approx(1.1)
        await first
        await bench.scheduler.drain()
        assert bench.session.batches == [[10]]

    simulate(story)


def test_a_dead_worker_fails_everybody_at_once() -> None:
    async def story() -> None:
        deaths: list[str] = []
        bench = Bench(overhead=60.0, on_dead=deaths.append)
        tasks = [asyncio.create_task(bench.infer(10)) for _ in range(3)]
        await asyncio.sleep(0.5)
        tasks.append(asyncio.create_task(bench.infer(10)))
        await asyncio.sleep(0.1)
        bench.worker.sick = "the inference thread is gone"
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(answer, EngineDead) for answer in answers)
        assert len(set(map(id, answers))) == 4, "each raises an error of its own"
        assert asyncio.get_running_loop().time() < 2.5
        assert deaths == ["the inference thread is gone"]
        assert bench.scheduler.state == "dead"
        with pytest.raises(EngineDead):
            await bench.infer(10)

    simulate(story)


def test_drain_waits_for_what_is_in_and_lets_nobody_else_in() -> None:
    async def story() -> None:
        loop = asyncio.get_running_loop()
        bench = Bench(overhead=1.0, budget=10)
        tasks = [asyncio.create_task(bench.infer(10)) for _ in range(3)]
        await asyncio.sleep(0.5)
        draining = asyncio.create_task(bench.scheduler.drain())
        await asyncio.sleep(0)
        for attempt in (bench.infer(10), bench.infer(11)):
            with pytest.raises(NotReady, match="stopping") as refused:
                await attempt
            assert refused.value.retry_after_s == 1.0
        with pytest.raises(NotReady):
            bench.scheduler.accept(bench.lane, RequestContext())
        await draining
        assert loop.time() == pytest.approx(3.0, rel=0.01)
        assert all([len(await task) == 1 for task in tasks])
        assert sum(map(len, bench.session.batches)) == 3

    simulate(story)


@pytest.mark.parametrize("announced", [True, False])
def test_a_request_that_is_in_finishes_its_stages_while_others_are_refused(announced: bool) -> None:
    """Announced, it may be at its texts when the service stops, and is waited for between its stages."""

    async def story() -> None:
        loop = asyncio.get_running_loop()
        bench = Bench(overhead=1.0, budget=10)
        context = RequestContext()
        if announced:
            bench.scheduler.accept(bench.lane, context)
            bench.scheduler.accept(bench.lane, context)

        async def request() -> float:
            if announced:
                await asyncio.sleep(1)
            for _ in range(3):
                await bench.scheduler.infer(bench.lane, [row(10)], context)
                if announced:
                    await asyncio.sleep(2)
            context.end()
            return loop.time()

        running = asyncio.create_task(request())
        await asyncio.sleep(0.5)
        draining = asyncio.create_task(bench.scheduler.drain())
        await asyncio.sleep(0)
        with pytest.raises(NotReady):
            await bench.infer(10)
        await draining
        if announced:
            assert running.done(), "between its stages it was in"
        assert await running == loop.time()

    simulate(story)


def test_nobody_waits_for_the_requests_of_a_dead_engine() -> None:
    async def story() -> None:
        bench = Bench(overhead=60.0)
        context = RequestContext()
        bench.scheduler.accept(bench.lane, context)
        draining = asyncio.create_task(bench.scheduler.drain())
        await asyncio.sleep(0.1)
        assert not draining.done()
        bench.worker.sick = "the inference thread is gone"
        await draining
        assert bench.scheduler.state == "dead", "death is noticed while draining too"
        await bench.scheduler.drain()
        context.end()
        with pytest.raises(EngineDead):
            bench.scheduler.accept(bench.lane, RequestContext())

    simulate(story)


def test_close_fails_what_still_waits() -> None:
    async def story() -> None:
        bench = Bench(overhead=1.0, budget=10)
        late = asyncio.create_task(bench.infer(10))
        await asyncio.sleep(0.1)
        await bench.scheduler.close()
        for attempt in (late, bench.infer(10)):
            with pytest.raises(NotReady):
                await attempt

    simulate(story)


def test_the_next_stage_of_a_request_goes_ahead_of_those_that_came_after_it() -> None:
    async def story() -> None:
        loop = asyncio.get_running_loop()
        bench = Bench(overhead=1.0, budget=10)
        context = RequestContext(deadline=loop.time() + 5.0)
        first = asyncio.create_task(bench.scheduler.infer(bench.lane, [row(10)], context))
        await asyncio.sleep(0.5)
        others = [asyncio.create_task(bench.infer(10)) for _ in range(20)]
        await first
        # One batch runs and one is staged by the time it comes back; twenty would be too late.
        await bench.scheduler.infer(bench.lane, [row(10)], context)
        assert loop.time() < 4.5
        await asyncio.gather(*others)

    simulate(story)


def test_what_would_be_refused_is_refused_before_anything_is_spent_on_its_texts() -> None:
    async def story() -> None:
        loop = asyncio.get_running_loop()
        bench = Bench(budget=100, per_token=1e-3, overhead=0.0, age_limit=60.0)

        def knock(characters: int, seconds: float | None = None, texts: int = 1) -> RequestContext:
            deadline = None if seconds is None else loop.time() + seconds
            context = RequestContext(deadline=deadline)
            bench.scheduler.accept(bench.lane, context, characters, texts)
            return context

        # Two characters make one token; before the first request nobody can know.
        knock(10**9, 0.1).end()
        await bench.scheduler.infer(bench.lane, [row(100)], knock(200))
        tasks = [asyncio.create_task(bench.infer(100)) for _ in range(40)]
        await asyncio.sleep(0.05)
        with pytest.raises(QueueFull) as refused:
            knock(200, 4.0)
        assert refused.value.retry_after_s == pytest.approx(4.0, rel=0.05)
        assert bench.session.batches == [[100], [100]]
        knock(200, 12.0).end()
        knock(0, 0.1).end()
        # It may be cut to a row, so its length alone is no reason.
        knock(10**9, 20.0).end()
        await asyncio.gather(*tasks)
        knock(200, 1.0).end()

    simulate(story)


def test_one_stall_of_the_host_does_not_make_an_idle_engine_refuse_for_ever() -> None:
    async def story() -> None:
        loop = asyncio.get_running_loop()
        bench = Bench(budget=512, per_token=4e-4, overhead=0.01)
        usual, bench.worker._cost = bench.worker._cost, lambda batch: 20.0
        with pytest.raises(DeadlineExceeded):
            await bench.infer(110, deadline=loop.time() + 5.0)
        await asyncio.sleep(60.0)
        bench.worker._cost = usual
        assert len(await bench.infer(110, deadline=loop.time() + 5.0)) == 1
        assert bench.lane.seconds_per_token < 2e-3
        # However wrong the speed is: whoever comes to an idle engine has it measured.
        bench.lane._seconds *= 1000
        bench.lane.measured(0, 0.0)
        for _ in range(200):
            await bench.infer(110, deadline=loop.time() + 5.0)
        assert bench.lane.seconds_per_token < 1e-3

    simulate(story)


def test_timing_tells_waiting_from_computing() -> None:
    async def story() -> None:
        bench = Bench(budget=100, per_token=1e-2, overhead=0.0)
        blocked = asyncio.create_task(bench.infer(100))
        await asyncio.sleep(0.25)
        context = RequestContext()
        await bench.scheduler.infer(bench.lane, [row(50), row(50)], context)
        assert context.timing.queue == pytest.approx(0.75)
        assert context.timing.inference == pytest.approx(1.0)
        await blocked

    simulate(story)


@pytest.mark.parametrize("parallel", [1, 2])
def test_the_phases_of_a_long_text_are_no_longer_than_the_whole(parallel: int) -> None:
    async def story() -> None:
        loop = asyncio.get_running_loop()
        bench = Bench(budget=100, per_token=1e-2, overhead=0.0, parallel=parallel)
        context = RequestContext()
        began = loop.time()
        await bench.scheduler.infer(bench.lane, [row(100)] * 8, context)
        assert context.timing.queue == pytest.approx(0.0)
        assert context.timing.inference == pytest.approx(loop.time() - began) == pytest.approx(8.0 / parallel)

    simulate(story)


def test_the_observer_hears_of_batches_and_queue() -> None:
    class Ear:
        def __init__(self) -> None:
            self.batches: list[dict[str, Any]] = []
            self.depths: list[tuple[int, int]] = []

        def batch(self, model: str, **facts: Any) -> None:
            self.batches.append({"model": model, **facts})

        def queue(self, model: str, *, sequences: int, tokens: int) -> None:
            self.depths.append((sequences, tokens))

    async def story() -> None:
        ear = Ear()
        bench = Bench(overhead=0.3, per_token=0.01, observer=ear)
        await bench.infer(10, 8)
        assert ear.batches == [
            {"model": "toy", "sequences": 2, "tokens": 18, "padded_tokens": 20, "seconds": pytest.approx(0.5)}
        ]
        assert ear.depths[0] == (2, 18)
        assert ear.depths[-1] == (0, 0)
        assert bench.padding_ratio == pytest.approx(20 / 18)
        # Whoever gives up while it waits is told of as well: nothing else may come for hours.
        running = [asyncio.create_task(bench.infer(500, 500)) for _ in range(2)]
        await asyncio.sleep(0.1)
        waiting = asyncio.create_task(bench.infer(500, 501))
        await asyncio.sleep(0.1)
        assert ear.depths[-1] == (2, 1001)
        waiting.cancel()
        await asyncio.sleep(0.1)
        assert ear.depths[-1] == (0, 0)
        await asyncio.gather(*running)

    simulate(story)


def test_a_deep_queue_is_not_planned_anew_for_each_newcomer() -> None:
    async def story() -> None:
        bench = Bench(budget=256, overhead=1.0)
        takes = 0
        take = bench.scheduler._queue.take

        def counting(now: float) -> Any:
            nonlocal takes
            takes += 1
            return take(now)

        bench.scheduler._queue.take = counting  # type: ignore[method-assign]
        tasks = [asyncio.create_task(bench.infer(10 + number % 50)) for number in range(300)]
        await asyncio.sleep(0.5)
        before = takes
        for number in range(100):
            tasks.append(asyncio.create_task(bench.infer(10 + number % 50)))
            await asyncio.sleep(0.001)
        assert takes - before <= 1
        await asyncio.gather(*tasks)

    simulate(story)


def test_lanes_never_share_a_batch_and_take_turns() -> None:
    async def story() -> None:
        bench = Bench(overhead=1.0)
        other = Lane("other", "model", EchoSession(), 1024, 1e-4)
        blocked = asyncio.create_task(bench.infer(10))
        await asyncio.sleep(0.1)
        tasks = []
        for number in range(6):
            lane = other if number % 2 else bench.lane
            tasks.append(
                asyncio.create_task(bench.scheduler.infer(lane, [row(10, number)], RequestContext()))
            )
            await asyncio.sleep(0.01)
        answers = await asyncio.gather(*tasks)
        assert [int(answer[0]["logits"][0]) for answer in answers] == list(range(6))
        assert [len(batch) for batch in bench.session.batches] == [1, 3]
        assert [len(batch) for batch in other.session.batches] == [3]
        await blocked

    simulate(story)


def test_a_lane_is_freed_with_its_last_request() -> None:
    async def story() -> None:
        bench = Bench(overhead=1.0)
        lane = Lane("other", "model", EchoSession(), 64, 1e-4)
        session = weakref.ref(lane.session)
        tasks = [
            asyncio.create_task(bench.scheduler.infer(lane, [row(40)], RequestContext())) for _ in range(3)
        ]
        await asyncio.sleep(0.5)
        tasks[2].cancel()
        del lane
        await asyncio.gather(*tasks, return_exceptions=True)
        bench.worker.batches.clear()
        tasks.clear()
        await asyncio.sleep(0)
        gc.collect()
        assert session() is None

    simulate(story)


calls = st.lists(
    st.tuples(
        st.lists(st.integers(1, 120), min_size=1, max_size=6),
        st.floats(0, 0.05),
        st.sampled_from(["patient", "patient", "patient", "cancelled", "poisoned", "hurried"]),
    ),
    max_size=40,
)


@settings(max_examples=120, deadline=None)
@given(calls, st.integers(64, 400), st.floats(0.001, 1.0))
def test_nothing_is_lost_mixed_or_over_budget(
    story_calls: list[tuple[list[int], float, str]], budget: int, age_limit: float
) -> None:
    async def story() -> None:
        loop = asyncio.get_running_loop()
        bench = Bench(budget=budget, age_limit=age_limit, queue_tokens=5000)
        tasks: list[tuple[asyncio.Task[list[Any]], list[int], int, str]] = []
        for number, (lengths, pause, kind) in enumerate(story_calls):
            rows = [row(length, 1000 * (number + 1) + index) for index, length in enumerate(lengths)]
            if kind == "poisoned":
                rows[-1] = row(lengths[-1], POISON)
            deadline = loop.time() + 0.02 if kind == "hurried" else None
            context = RequestContext(deadline=deadline)
            task = asyncio.create_task(bench.scheduler.infer(bench.lane, rows, context))
            tasks.append((task, lengths, 1000 * (number + 1), kind))
            await asyncio.sleep(pause)
            if kind == "cancelled":
                task.cancel()
        answers = await asyncio.gather(*(task for task, *_ in tasks), return_exceptions=True)
        for answer, (_, lengths, first, kind) in zip(answers, tasks, strict=True):
            if isinstance(answer, list):
                assert kind != "poisoned"
                got = [np.asarray(one["logits"]) for one in answer]
                assert [len(one) for one in got] == lengths
                assert all((one == first + index).all() for index, one in enumerate(got))
            else:
                expected = {
                    "patient": QueueFull,
                    "cancelled": (asyncio.CancelledError, QueueFull),
                    "poisoned": (BadItem, QueueFull),
                    "hurried": (DeadlineExceeded, QueueFull),
                }[kind]
                assert isinstance(answer, expected)
        assert all(within_budget(batch) for batch in bench.worker.batches)
        await bench.scheduler.drain()
        await asyncio.sleep(10)
        assert bench.scheduler.pending_tokens == 0
        assert bench.lane.waiting == []

    simulate(story)
