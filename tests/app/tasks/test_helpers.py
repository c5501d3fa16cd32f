"""Long work is done beside the event loop, by few threads, and not for the dead."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
import weakref
from collections.abc import Awaitable, Callable

import pytest

from app.tasks.helpers import HELPERS, HUGE, _Line, check_wanted, help_out


class Text:
    """Something long that a piece of work holds on to."""


def run(story: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(story(), 60))


async def until(check: Callable[[], bool]) -> None:
    while not check():  # noqa: ASYNC110 - it waits for threads
        await asyncio.sleep(0.005)


def test_it_returns_what_the_work_returns_and_raises_what_it_raises() -> None:
    async def story() -> None:
        assert await help_out(0, lambda a, *, b: (a + b, threading.current_thread().name), 1, b=2) != (3, "")
        with pytest.raises(ZeroDivisionError):
            await help_out(0, lambda: 1 // 0)
        assert await help_out(0, threading.current_thread) is not threading.main_thread()

    run(story)


def test_few_work_at_a_time_and_the_event_loop_goes_on() -> None:
    lock, now, most = threading.Lock(), 0, 0

    def work() -> None:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.02)
        with lock:
            now -= 1

    async def story() -> None:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(0.005)
                ticks += 1

        ticking = asyncio.create_task(tick())
        await asyncio.gather(*(help_out(0, work) for _ in range(20)))
        ticking.cancel()
        assert ticks >= 10

    run(story)
    assert most == HELPERS


def test_those_who_leave_before_their_turn_cost_nothing_and_leave_nothing_behind() -> None:
    begun: list[Text] = []
    go_on = threading.Event()

    def work(text: Text) -> None:
        begun.append(text)
        assert go_on.wait(30)

    async def story() -> None:
        before = threading.active_count()
        texts = [Text() for _ in range(50)]
        kept = [weakref.ref(text) for text in texts]
        tasks = [asyncio.create_task(help_out(0, work, text)) for text in texts]
        del texts
        await until(lambda: len(begun) == HELPERS)
        assert threading.active_count() <= before + HELPERS
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        tasks.clear()
        del task
        await asyncio.sleep(0)
        gc.collect()
        alive = sum(text() is not None for text in kept)
        assert alive == HELPERS, "only what was begun is still held"
        # The threads are still busy with the dead: the next in line waits for one of them.
        following = asyncio.create_task(help_out(0, lambda: "done"))
        await asyncio.sleep(0.05)
        assert not following.done()
        go_on.set()
        assert await following == "done"
        assert len(begun) == HELPERS

    run(story)


def test_a_huge_text_waits_for_a_huge_one_and_nobody_else_does() -> None:
    go_on, begun = threading.Event(), 0

    def work() -> None:
        nonlocal begun
        begun += 1
        assert go_on.wait(30)

    async def story() -> None:
        huge = [asyncio.create_task(help_out(HUGE, work)) for _ in range(3)]
        await until(lambda: begun == 1)
        assert await help_out(HUGE - 1, lambda: 7) == 7
        assert begun == 1
        go_on.set()
        await asyncio.gather(*huge)
        assert begun == 3

    run(story)


def test_work_in_steps_ends_when_nobody_wants_it() -> None:
    steps = 0
    ended = threading.Event()

    def work() -> None:
        nonlocal steps
        try:
            while True:
                check_wanted()
                steps += 1
                time.sleep(0.001)
        finally:
            ended.set()

    async def story() -> None:
        task = asyncio.create_task(help_out(0, work))
        await until(lambda: steps > 3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(ended.is_set)
        assert await help_out(0, lambda: 7) == 7

    run(story)


def test_whoever_is_cancelled_as_the_turn_comes_hands_it_on() -> None:
    async def story() -> None:
        for _ in range(200):
            tasks = [asyncio.create_task(help_out(0, time.sleep, 0)) for _ in range(6)]
            await asyncio.sleep(0)
            for task in tasks[1::2]:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(help_out(0, time.sleep, 0) for _ in range(HELPERS)))

    run(story)


def test_a_helper_that_is_handed_to_someone_cancelled_in_the_same_moment_is_not_lost() -> None:
    async def story() -> None:
        line = _Line(1)
        await line.turn()
        gone = asyncio.create_task(line.turn())
        await asyncio.sleep(0)
        line.next()
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        await asyncio.wait_for(line.turn(), 1)

    run(story)


def test_a_helper_that_becomes_free_right_after_a_cancellation_is_not_lost() -> None:
    async def story() -> None:
        line = _Line(1)
        await line.turn()
        gone = asyncio.create_task(line.turn())
        waiting = asyncio.create_task(line.turn())
        await asyncio.sleep(0)
        # Both in one turn of the loop: the cancelled one hears of it when its place is gone already.
        gone.cancel()
        line.next()
        with pytest.raises(asyncio.CancelledError):
            await gone
        await asyncio.wait_for(waiting, 1)

    run(story)


def test_nothing_is_asked_of_work_on_the_event_loop() -> None:
    check_wanted()
