"""Whoever is in is waited for."""

from __future__ import annotations

import asyncio

from app.scheduler.door import Door


def test_it_is_empty_when_the_last_has_left() -> None:
    async def story() -> None:
        door = Door()
        await door.wait_until_empty()
        first, second = object(), object()
        for guest in (first, second, second):
            door.enter(guest)
        assert first in door
        waiting = asyncio.create_task(door.wait_until_empty())
        door.leave(first)
        door.leave(object())
        await asyncio.sleep(0)
        assert first not in door
        assert not waiting.done()
        door.leave(second)
        await waiting

    asyncio.run(story())


def test_those_that_cannot_be_served_are_not_waited_for() -> None:
    async def story() -> None:
        door = Door()
        door.enter("a")
        door.clear()
        await door.wait_until_empty()
        assert "a" not in door

    asyncio.run(story())
