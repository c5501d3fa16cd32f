"""Takes a request in: its body within limits, then the work under a deadline while the client listens."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.call import ARRIVED, Call, ClientGone, call_of, header
from app.errors import BadRequest, DeadlineExceeded, QueueFull, RequestTimeout, TooLarge, ValidationFailed

_BODYLESS = frozenset({"GET", "HEAD", "OPTIONS"})
LOOP_SHARE = 0.05
"""Of its time: what a request may have waited for its first turn on the event loop. It has more turns to wait
for, and the engine. When requests come faster than the loop can take them, this refuses the rest while they
have cost next to nothing; without it all of them would wait longer and longer, and be late together."""
LEAST_LAG_S = 0.05
"""So long a turn of an idle service may take: below it nothing is overloaded, however short a deadline is."""
MOST_BODIES = 16
"""Bodies of the largest size that may be in memory at once: many clients together must not fill it either."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How many ``seconds`` an answer may take, and the ``message`` (of ``{seconds}``) for when it is late."""

    seconds: float
    message: str


class Intake:
    """Pure ASGI middleware.

    Args:
        max_body_bytes: beyond it 413.
        body_timeout_s: within which the body must be complete.
        task: the deadline of a request, and what to say when it passes.
        administration: the same for paths for which ``administers`` is true.

    The body is counted as it arrives, so that a chunked one cannot pass the limit either, and is complete
    before anything is parsed. A client that hangs up, or a deadline that passes, cancels the work, and the
    scheduler drops what had not been started.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        max_body_bytes: int,
        body_timeout_s: float,
        task: Patience,
        administration: Patience,
        administers: Callable[[str], bool],
    ) -> None:
        self._app = app
        self._max_body_bytes = max_body_bytes
        self._body_timeout_s = body_timeout_s
        self._task = task
        self._administration = administration
        self._administers = administers
        self._held_bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in _BODYLESS:
            await self._app(scope, receive, send)
            return
        call = call_of(scope)
        patience = self._administration if self._administers(call.path) else self._task
        timeout_s = _timeout_of(scope, patience.seconds)
        loop = asyncio.get_running_loop()
        lag = loop.time() - scope.get(ARRIVED, loop.time())
        if lag > max(LOOP_SHARE * timeout_s, LEAST_LAG_S) and patience is self._task:
            raise QueueFull(f"more requests come than can be read: {lag:.1f} s behind; try again later", lag)
        try:
            call.body = await self._read(call, scope, receive)
            call.context.deadline = loop.time() + timeout_s - lag
            await self._work(call, timeout_s, patience, scope, receive, send)
        finally:
            self._held_bytes -= call.body_bytes
            call.context.end()

    async def _read(self, call: Call, scope: Scope, receive: Receive) -> bytes:
        declared = header(scope, b"content-length")
        if declared is not None:
            if not declared.isdigit():
                raise BadRequest("Content-Length is not a number")
            if int(declared) > self._max_body_bytes:
                raise self._too_large()
        try:
            async with asyncio.timeout(self._body_timeout_s):
                return await self._collect(call, receive)
        except TimeoutError:
            raise RequestTimeout(f"the body did not arrive within {self._body_timeout_s:g} s") from None

    async def _collect(self, call: Call, receive: Receive) -> bytes:
        pieces: list[bytes] = []
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            piece = message.get("body", b"")
            call.body_bytes += len(piece)
            self._held_bytes += len(piece)
            if call.body_bytes > self._max_body_bytes:
                raise self._too_large()
            if self._held_bytes > MOST_BODIES * self._max_body_bytes:
                raise QueueFull(
                    f"the bodies of other requests take {self._held_bytes} bytes; try again in a moment", 1.0
                )
            pieces.append(piece)
            if not message.get("more_body", False):
                return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _too_large(self) -> TooLarge:
        return TooLarge(f"the body is larger than {self._max_body_bytes} bytes; send less at a time")

    async def _work(
        self, call: Call, timeout_s: float, patience: Patience, scope: Scope, receive: Receive, send: Send
    ) -> None:
        task = asyncio.current_task()
        assert task is not None
        gone = asyncio.Event()
        first = True

        async def replay() -> Message:
            nonlocal first
            if first:
                first = False
                return {"type": "http.request", "body": call.body, "more_body": False}
            await gone.wait()
            return {"type": "http.disconnect"}

        async def watch() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            # The server also reports a disconnect once the answer is out; then there is nothing to cancel.
            if not call.status:
                gone.set()
                task.cancel()

        watcher = asyncio.create_task(watch())
        deadline = asyncio.timeout_at(call.context.deadline)
        try:
            async with deadline:
                await self._app(scope, replay, send)
        except TimeoutError:
            if not deadline.expired():
                raise
            raise DeadlineExceeded(patience.message.format(seconds=f"{timeout_s:g}")) from None
        except asyncio.CancelledError:
            if not gone.is_set():
                raise
            task.uncancel()
            raise ClientGone from None
        finally:
            watcher.cancel()


def _timeout_of(scope: Scope, longest: float) -> float:
    asked = header(scope, b"x-request-timeout")
    if asked is None:
        return longest
    try:
        seconds = float(asked)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds < float("inf"):
        raise ValidationFailed("X-Request-Timeout", "is a number of seconds above 0, such as 2.5")
    return min(seconds, longest)
