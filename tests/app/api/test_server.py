"""When a worker stops, and with what code."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time

import pytest
import uvicorn
import uvloop

from app.api.lifecycle import Lifecycle, State
from app.api.protocol import GuardedProtocol
from app.api.server import EXIT_DIED, EXIT_STARTUP, MOST_AT_ONCE, Server, _second_handle, make_config
from app.settings import Settings


async def application(scope: object, receive: object, send: object) -> None:
    """Nobody calls it."""


@pytest.fixture
def lifecycle() -> Lifecycle:
    return Lifecycle()


def server(lifecycle: Lifecycle, drain_delay_s: float = 0.0) -> Server:
    return Server(make_config(application, Settings(shutdown_timeout_s=7)), lifecycle, drain_delay_s)


def test_the_first_signal_drains_and_the_second_leaves(lifecycle: Lifecycle) -> None:
    made = server(lifecycle, drain_delay_s=60)
    before = lifecycle.state
    made.handle_exit(signal.SIGTERM, None)
    assert lifecycle.state is before, "a signal may come while a lock is held that draining needs"
    assert asyncio.run(made.on_tick(1)) is False
    assert lifecycle.state is State.DRAINING
    assert not made.should_exit
    made.handle_exit(signal.SIGTERM, None)
    assert made.should_exit
    assert made.force_exit
    assert made.exit_code == 0


def test_a_signal_ends_the_wait_for_models_before_the_first_tick(
    lifecycle: Lifecycle, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def loading(self: uvicorn.Server, sockets: object = None) -> None:
        while lifecycle.loading:  # noqa: ASYNC110 - as the application does
            await asyncio.sleep(0.01)

    async def story() -> None:
        made = server(lifecycle, drain_delay_s=60)
        starting = asyncio.create_task(made.startup())
        await asyncio.sleep(0.05)
        assert not starting.done()
        made.handle_exit(signal.SIGTERM, None)
        await asyncio.wait_for(starting, 5)

    monkeypatch.setattr(uvicorn.Server, "startup", loading)
    asyncio.run(story())
    assert lifecycle.state is State.DRAINING


def test_it_stops_once_the_delay_is_over(lifecycle: Lifecycle, monkeypatch: pytest.MonkeyPatch) -> None:
    made = server(lifecycle, drain_delay_s=5)
    made.begin_drain()
    assert asyncio.run(made.on_tick(1)) is False
    later = time.monotonic() + 6
    monkeypatch.setattr("app.api.server.time.monotonic", lambda: later)
    assert asyncio.run(made.on_tick(2)) is True
    assert not made.force_exit, "what is in flight is finished"


@pytest.mark.parametrize(("ready", "code"), [(False, EXIT_STARTUP), (True, EXIT_DIED)])
def test_a_death_says_whether_it_ever_served(lifecycle: Lifecycle, ready: bool, code: int) -> None:
    made = server(lifecycle)
    if ready:
        lifecycle.to_ready()
    lifecycle.to_dead("gone")
    assert made.should_exit
    assert made.exit_code == code
    assert made.config.timeout_graceful_shutdown < 7, "nobody gets an answer any more"


def test_the_configuration_keeps_our_times() -> None:
    config = make_config(application, Settings(header_timeout_s=3, body_timeout_s=4, keep_alive_s=5))
    assert (config.header_timeout_s, config.body_timeout_s, config.timeout_keep_alive) == (3, 4, 5)
    config.load()
    assert config.http_protocol_class is GuardedProtocol


def test_newcomers_do_not_wait_for_a_turn_of_the_event_loop_each(lifecycle: Lifecycle) -> None:
    """Where turns are long they would wait for seconds, and nobody would see them."""
    clients: list[socket.socket] = []

    async def quiet(scope: dict[str, object], receive: object, send: object) -> None:
        raise RuntimeError("no lifespan, no requests")

    async def story() -> None:
        config = make_config(quiet, Settings())
        config.lifespan = "off"
        made = Server(config, lifecycle, 0.0)
        with socket.create_server(("127.0.0.1", 0), backlog=256) as listener:
            serving = asyncio.create_task(made.serve([listener]))
            while not made.started:  # noqa: ASYNC110 - it has no event to wait for
                await asyncio.sleep(0.01)
            for _ in range(2 * MOST_AT_ONCE):
                clients.append(socket.create_connection(listener.getsockname()))
            for _ in range(8):
                await asyncio.sleep(0.001)
            assert len(made.server_state.connections) == len(clients)
            clients.append(socket.create_connection(listener.getsockname()))
            made.should_exit = True
            await asyncio.wait_for(serving, 30)
        # The last one came when the door was being closed: it was taken in, then let go in order.
        clients[-1].settimeout(10)
        assert clients[-1].recv(1) == b""

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(story())
    for client in clients:
        client.close()


def test_a_second_handle_never_makes_a_shared_socket_block() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        with _second_handle(listener) as spare:
            assert not os.get_blocking(listener.fileno())
            assert spare.getsockname() == listener.getsockname()
            with pytest.raises(BlockingIOError):
                spare.accept()
