"""The port, or one clear line."""

import socket

import pytest

from app.api.listener import BindError, bind


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


@pytest.mark.parametrize("host", ["203.0.113.9", "no such host"])
def test_a_foreign_host_names_the_setting(host: str) -> None:
    with pytest.raises(BindError, match="ELECTRA_HOST"):
        bind(host, 0)
