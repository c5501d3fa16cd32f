"""The port, or one clear line."""

import socket
import sys

import pytest

from app.api.listener import BindError, bind, turn_newcomers_away


def test_a_free_port_is_taken_and_handed_on() -> None:
    with bind("127.0.0.1", 0) as listener:
        assert listener.getsockname()[1] > 0
        assert listener.get_inheritable()


def test_a_port_in_use_names_itself_and_the_setting() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(BindError, match=rf"port {port} on 127.0.0.1 is in use; .* ELECTRA_PORT"):
            bind("127.0.0.1", port)


def test_of_two_that_come_together_one_gets_the_port() -> None:
    """Also while the first has not begun to take connections."""
    with bind("127.0.0.1", 0) as first, pytest.raises(BindError, match="is in use"):
        bind("127.0.0.1", first.getsockname()[1])


@pytest.mark.parametrize("host", ["203.0.113.9", "no such host"])
def test_a_foreign_host_names_the_setting(host: str) -> None:
    with pytest.raises(BindError, match="ELECTRA_HOST"):
        bind(host, 0)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a filter of Linux")
def test_who_is_in_the_queue_stays_and_nobody_new_gets_in() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as late:
        listener.setblocking(False)
        with socket.create_connection(listener.getsockname()) as waiting:
            waiting.sendall(b"hello")
            turn_newcomers_away(listener)
            late.settimeout(0.2)
            with pytest.raises(TimeoutError):
                late.connect(listener.getsockname())
            accepted, _ = listener.accept()
            with accepted:
                accepted.settimeout(5)
                assert accepted.recv(5) == b"hello"
                accepted.sendall(b"welcome")
                assert waiting.recv(7) == b"welcome"
            with pytest.raises(BlockingIOError):
                listener.accept()
