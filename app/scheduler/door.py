"""Who is in, so that a service that stops can wait for them."""

from __future__ import annotations

import asyncio


class Door:
    """Counts requests, and their calls to the engine, in and out.

    A request of several stages is nowhere in the engine between two of them, yet it is in.
    """

    def __init__(self) -> None:
        self._inside: set[object] = set()
        self._nobody = asyncio.Event()
        self._nobody.set()

    def __contains__(self, guest: object) -> bool:
        return guest in self._inside

    def enter(self, guest: object) -> None:
        """``guest``, which is known by its identity, is in."""
        self._inside.add(guest)
        self._nobody.clear()

    def leave(self, guest: object) -> None:
        """``guest`` is not in, whether or not it was."""
        self._inside.discard(guest)
        if not self._inside:
            self._nobody.set()

    def clear(self) -> None:
        """Nobody who is in can be served any more: wait for none of them."""
        self._inside.clear()
        self._nobody.set()

    async def wait_until_empty(self) -> None:
        """Return once all who are in have left."""
        await self._nobody.wait()
