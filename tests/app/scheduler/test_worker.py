"""The real inference threads: their tray, their faults, their end."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Callable

import numpy as np
import pytest

from app.scheduler.engine import RequestContext
from app.scheduler.errors import EngineDead
from app.scheduler.lane import Batch, Call, Entry, Lane
from app.scheduler.scheduler import Scheduler
from app.scheduler.worker import GIVE_WAY_SECONDS, InferenceThreads, run_batch
from app.text.sequence import TokenSequence
from tests.app.scheduler.simulation import POISON, EchoSession, row


class Gate(EchoSession):
    """Blocks each batch until it is let through; can be told to end its thread."""

    def __init__(self) -> None:
        super().__init__()
        self.entered = threading.Event()
        self.open = threading.Event()
        self.threads: set[str] = set()
        self.end: BaseException | None = None

    def run(self, sequences: list[TokenSequence]) -> list[dict[str, np.ndarray]]:
        self.threads.add(threading.current_thread().name)
        self.entered.set()
        assert self.open.wait(10)
        if self.end is not None:
            raise self.end
        return super().run(sequences)


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(2000):
        if condition():
            return
        await asyncio.sleep(0.002)
    raise AssertionError("never came true")


@pytest.mark.parametrize("parallel", [1, 2, 3])
def test_few_threads_answer_many_clients(parallel: int) -> None:
    async def story() -> None:
        gate = Gate()
        gate.open.set()
        scheduler = Scheduler(parallel=parallel)
        lane = Lane("toy", "model", gate, 256, 1e-5)

        async def client(number: int) -> None:
            for turn in range(20):
                mark = 10_000 + number * 100 + turn
                answer = await scheduler.infer(lane, [row(1 + (mark * 7) % 90, mark)], RequestContext())
                assert (answer[0]["logits"] == mark).all()

        await asyncio.gather(*(client(number) for number in range(16)))
        assert gate.threads <= {f"inference-{number}" for number in range(parallel)}
        assert sum(map(len, gate.batches)) == 320
        await scheduler.close()

    asyncio.run(story())


def test_two_threads_run_two_batches_at_once() -> None:
    async def story() -> None:
        gate = Gate()
        scheduler = Scheduler(parallel=2)
        lane = Lane("toy", "model", gate, 64, 1e-5)
        tasks = [
            asyncio.create_task(scheduler.infer(lane, [row(40, mark)], RequestContext())) for mark in range(3)
        ]
        await until(lambda: len(gate.threads) == 2)
        gate.open.set()
        answers = await asyncio.gather(*tasks)
        assert [int(answer[0]["logits"][0]) for answer in answers] == [0, 1, 2]
        await scheduler.close()

    asyncio.run(story())


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_one_thread_of_two_that_ends_fails_all_who_wait() -> None:
    class OneEnds(Gate):
        def run(self, sequences: list[TokenSequence]) -> list[dict[str, np.ndarray]]:
            if int(sequences[0].input_ids[0]) == 7:
                raise SystemExit("no more")
            return super().run(sequences)

    async def story() -> None:
        gate, causes = OneEnds(), []
        scheduler = Scheduler(on_dead=causes.append, parallel=2)
        lane = Lane("toy", "model", gate, 64, 1e-5)
        tasks = [
            asyncio.create_task(scheduler.infer(lane, [row(40, mark)], RequestContext()))
            for mark in (1, 7, 2)
        ]
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(answer, EngineDead) for answer in answers)
        assert "SystemExit: no more" in causes[0]
        assert len(causes) == 1
        gate.open.set()
        await scheduler.close()

    asyncio.run(story())


def test_the_tray_is_planned_anew_until_the_thread_takes_it() -> None:
    async def story() -> None:
        gate = Gate()
        scheduler = Scheduler()
        lane = Lane("toy", "model", gate, 1024, 1e-5)

        def ask(tokens: int) -> asyncio.Task[object]:
            return asyncio.create_task(scheduler.infer(lane, [row(tokens)], RequestContext()))

        tasks = [ask(10)]
        await until(gate.entered.is_set)
        for tokens in (20, 21, 22, 23):
            tasks.append(ask(tokens))
            await asyncio.sleep(0.005)
        tasks[2].cancel()
        await asyncio.sleep(0.005)
        gate.open.set()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert gate.batches[0] == [10]
        assert sorted(gate.batches[1]) == [20, 22, 23]
        await scheduler.close()

    asyncio.run(story())


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_ends_fails_all_who_wait_at_once() -> None:
    async def story() -> None:
        gate, causes = Gate(), []
        gate.end = SystemExit("no more")
        scheduler = Scheduler(on_dead=causes.append)
        lane = Lane("toy", "model", gate, 64, 1e-5)
        tasks = [
            asyncio.create_task(scheduler.infer(lane, [row(40, mark)], RequestContext())) for mark in range(5)
        ]
        await until(gate.entered.is_set)
        began = time.monotonic()
        gate.open.set()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        assert time.monotonic() - began < 1.0
        assert all(isinstance(answer, EngineDead) for answer in answers)
        assert "SystemExit: no more" in causes[0]
        assert len(causes) == 1
        await scheduler.close()

    asyncio.run(story())


def test_a_hung_batch_is_noticed() -> None:
    async def story() -> None:
        gate, causes = Gate(), []
        loop = asyncio.get_running_loop()
        scheduler = Scheduler(
            on_dead=causes.append,
            worker=lambda report, death, clock: InferenceThreads(loop, report, death, clock, stall_limit=0.2),
        )
        lane = Lane("toy", "model", gate, 64, 1e-5)
        with pytest.raises(EngineDead):
            await scheduler.infer(lane, [row(40)], RequestContext())
        assert "running for more than" in causes[0]
        gate.open.set()
        await scheduler.close()

    asyncio.run(story())


def batch_of(lane: Lane, tokens: int, mark: int = 1) -> Batch:
    return Batch(lane, (Entry(Call(RequestContext()), lane, 0, row(tokens, mark), tokens, 0.0, 0.0, 1e9),))


def test_a_hung_batch_is_noticed_beside_a_thread_that_works() -> None:
    async def story() -> None:
        gate, now = Gate(), 0.0
        lane = Lane("toy", "model", gate, 64, 1e-5)
        loop = asyncio.get_running_loop()
        threads = InferenceThreads(loop, lambda _: None, lambda _: None, lambda: now, 2, stall_limit=300.0)
        threads.offer(batch_of(lane, 5))
        await until(lambda: len(gate.threads) == 1)
        now = 299.0
        threads.offer(batch_of(lane, 6))
        await until(lambda: len(gate.threads) == 2)
        assert threads.trouble() is None
        now = 301.0
        assert threads.trouble() == "a batch has been running for more than 300 s"
        gate.open.set()
        await until(lambda: threads.trouble() is None)
        threads.stop()
        threads.join(10)

    asyncio.run(story())


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_is_gone_without_a_word_is_noticed_beside_another() -> None:
    async def story() -> None:
        gate = Gate()
        gate.end = SystemExit("no more")
        gate.open.set()
        lane = Lane("toy", "model", gate, 64, 1e-5)
        reports: list[object] = []
        loop = asyncio.get_running_loop()
        threads = InferenceThreads(loop, reports.append, lambda cause: None, time.monotonic, parallel=2)
        assert threads.trouble() is None
        threads.offer(batch_of(lane, 5))
        await until(lambda: threads.trouble() is not None)
        assert threads.trouble() == "an inference thread is gone"
        assert reports == []
        threads.stop()
        threads.join(10)

    asyncio.run(story())


def test_rows_of_a_request_that_ends_meanwhile_are_not_run_again() -> None:
    calls = [Call(RequestContext()) for _ in range(3)]

    class Leaves(EchoSession):
        def run(self, sequences: list[TokenSequence]) -> list[dict[str, np.ndarray]]:
            calls[1].dropped = True
            return super().run(sequences)

    session = Leaves()
    lane = Lane("toy", "model", session, 64, 1e-5)
    rows = [row(5), row(6), row(7, POISON)]
    entries = tuple(
        Entry(call, lane, 0, each, len(each), 0.0, 0.0, 1e9) for call, each in zip(calls, rows, strict=True)
    )
    report = run_batch(Batch(lane, entries), time.monotonic)
    assert session.batches == [[5, 6, 7], [5], [7]]
    assert [entry for entry, _ in report.results] == [entries[0], entries[2]]
    assert report.retried


def test_the_probe_tells_whose_fault_it_is() -> None:
    lane = Lane("toy", "model", EchoSession(), 64, 1e-5)
    poisoned = batch_of(lane, 5, POISON)
    assert run_batch(poisoned, time.monotonic).fault == "", "nothing to tell it by"
    lane.probe = row(3)
    assert run_batch(poisoned, time.monotonic).fault == ""
    lane.probe = row(3, POISON)
    assert run_batch(poisoned, time.monotonic).fault.endswith("poisoned row")
    assert run_batch(batch_of(lane, 5), time.monotonic).fault == ""


def test_a_busy_event_loop_gives_python_s_lock_away_soon() -> None:
    async def story() -> None:
        sys.setswitchinterval(0.005)
        scheduler = Scheduler()
        assert sys.getswitchinterval() == pytest.approx(GIVE_WAY_SECONDS)
        await scheduler.close()

    asyncio.run(story())


def test_close_lets_the_running_batch_end() -> None:
    async def story() -> None:
        gate = Gate()
        scheduler = Scheduler()
        lane = Lane("toy", "model", gate, 64, 1e-5)
        task = asyncio.create_task(scheduler.infer(lane, [row(40)], RequestContext()))
        await until(gate.entered.is_set)
        asyncio.get_running_loop().call_later(0.05, gate.open.set)
        await scheduler.drain()
        assert len(await task) == 1
        await scheduler.close()
        assert not any(thread.name.startswith("inference") for thread in threading.enumerate())

    asyncio.run(story())
