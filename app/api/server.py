"""Runs one worker: uvicorn with our protocol, our way of stopping, and an exit code that tells the truth."""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import socket
import time
from types import FrameType

import uvicorn

from app.api.lifecycle import Lifecycle
from app.api.listener import BACKLOG, turn_newcomers_away
from app.api.protocol import GuardedConfig, GuardedProtocol, Refused
from app.settings import Settings

EXIT_STARTUP = 1
EXIT_DIED = 70
_GRACE_AFTER_DEATH_S = 2
MOST_AT_ONCE = 64
"""Connections taken in one turn of the event loop."""
_MOST_OF_MANY = 2
"""The same of one worker of several: clients that come together are to spread over them."""


class Server(uvicorn.Server):
    """Stops in order: not ready, then (after ``drain_delay_s``) no new connections, then what is in flight.

    Attributes:
        exit_code: 0 after a signal, however much was in flight; something else when the service died.
    """

    def __init__(
        self, config: GuardedConfig, lifecycle: Lifecycle, drain_delay_s: float, pipe: int | None = None
    ) -> None:
        """``pipe``: file descriptor whose end tells that the supervisor is gone, however it went."""
        super().__init__(config)
        self._pipe = pipe
        self._spare: list[socket.socket] = []
        self._greeting: set[asyncio.Task[object]] = set()
        self.exit_code = 0
        self._lifecycle = lifecycle
        self._drain_delay_s = drain_delay_s
        self._signalled = False
        self._stop_at: float | None = None
        lifecycle.on_death(self._on_death)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """First signal: drain. Second: leave at once. (uvicorn's own would exit with the signal's code.)

        Python calls this between any two instructions of the event loop, also while they hold a lock, such as
        that of the metrics, which draining needs too. So it only takes a note; the next tick drains.
        """
        if self._signalled:
            self.force_exit = self.should_exit = True
        self._signalled = True

    def begin_drain(self) -> None:
        """Stop being ready, and stop when the delay is over."""
        if self._stop_at is None:
            self._lifecycle.to_draining()
            self._stop_at = time.monotonic() + self._drain_delay_s

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        if self._pipe is not None:
            asyncio.get_running_loop().add_reader(self._pipe, self._on_orphaned, self._pipe)
        # A second handle on the same sockets, which we accept from ourselves.
        self._spare = [_second_handle(each) for each in sockets or ()]
        draining = asyncio.create_task(self._drain_early())
        try:
            await super().startup(sockets)
        finally:
            draining.cancel()
        for spare in self._spare:
            asyncio.get_running_loop().add_reader(spare, self._on_knocking, spare)

    async def _drain_early(self) -> None:
        """Until the first tick there may be a long wait, for models beside workers that serve."""
        while not self._signalled:  # noqa: ASYNC110 - a signal's handler must not touch an event
            await asyncio.sleep(0.1)
        self.begin_drain()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self._accept_rest()
        await super().shutdown(sockets)

    async def _accept_rest(self) -> None:
        """Stop listening without resetting the connections that the system has taken for us in the meantime.

        Closing a listening socket resets whoever waits in its queue, and they may have sent their request. So
        newcomers are turned away first (of several workers by their supervisor, when all of them stop), then
        the event loop's handle is closed, then the queue is emptied by hand, then the socket goes.
        """
        if self._pipe is None:
            for spare in self._spare:
                turn_newcomers_away(spare)
        for server in self.servers:
            server.close()
        await asyncio.sleep(0)
        loop = asyncio.get_running_loop()
        for spare in self._spare:
            loop.remove_reader(spare)
            accepted = _accept(spare)
            spare.close()
            for connection in accepted:
                await loop.connect_accepted_socket(self._protocol, connection)
        if self._greeting:
            await asyncio.wait(self._greeting)

    def _on_knocking(self, spare: socket.socket) -> None:
        """Take in whoever waits at the port.

        uvloop takes one connection in each turn of the loop. When a turn is long, because much is to be done,
        new clients would wait for seconds where nobody sees them, while old ones are served at once.
        """
        loop = asyncio.get_running_loop()
        for connection in _accept(spare, MOST_AT_ONCE if self._pipe is None else _MOST_OF_MANY):
            greeting = loop.create_task(loop.connect_accepted_socket(self._protocol, connection))
            self._greeting.add(greeting)
            greeting.add_done_callback(self._greeting.discard)

    def _protocol(self) -> GuardedProtocol:
        return GuardedProtocol(
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )

    async def on_tick(self, counter: int) -> bool:
        if self._signalled:
            self.begin_drain()
        if self._stop_at is not None and time.monotonic() >= self._stop_at:
            self.should_exit = True
        return await super().on_tick(counter)

    def _on_orphaned(self, pipe: int) -> None:
        asyncio.get_running_loop().remove_reader(pipe)
        os.close(pipe)
        self.begin_drain()

    def _on_death(self, reason: str) -> None:
        self.exit_code = EXIT_DIED if self._lifecycle.was_ready else EXIT_STARTUP
        self.config.timeout_graceful_shutdown = _GRACE_AFTER_DEATH_S
        self.should_exit = True


def _second_handle(listener: socket.socket) -> socket.socket:
    """Another handle on a listening socket, never blocking.

    ``listener.dup()`` would make the socket block, for every worker that shares it: one that accepts from it
    while another starts would stand still until the next client comes.
    """
    spare = socket.socket(fileno=os.dup(listener.fileno()))
    spare.setblocking(False)
    return spare


def _accept(listener: socket.socket, most: float = math.inf) -> list[socket.socket]:
    """Connections that wait at ``listener``, at most so many."""
    accepted: list[socket.socket] = []
    with contextlib.suppress(OSError):
        while len(accepted) < most:
            accepted.append(listener.accept()[0])
    return accepted


def make_config(app: object, settings: Settings, refused: Refused = lambda *_: None) -> GuardedConfig:
    """uvicorn's configuration for a worker; ``refused`` as :class:`GuardedConfig` has it."""
    return GuardedConfig(
        app,
        header_timeout_s=settings.header_timeout_s,
        body_timeout_s=settings.body_timeout_s,
        refused=refused,
        timeout_keep_alive=settings.keep_alive_s,
        timeout_graceful_shutdown=settings.shutdown_timeout_s,
        forwarded_allow_ips=settings.trusted_proxies,
        backlog=BACKLOG,
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
    )
