"""Takes the port, with one clear line when it cannot be had."""

from __future__ import annotations

import errno
import socket

from app.settings import variable


class BindError(Exception):
    """The address cannot be listened on. The message is one line with the cure."""


def bind(host: str, port: int) -> socket.socket:
    """A bound TCP socket that child processes inherit.

    Raises:
        BindError: the port is taken or forbidden, or the host is not one of this machine's.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror as error:
        reason = error.strerror or "unknown"
        raise BindError(f"host {host!r} cannot be resolved ({reason}); set {variable('host')}") from None
    listener = socket.socket(family, kind, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise BindError(_explain(error, host, port)) from None
    listener.set_inheritable(True)
    return listener


def _explain(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} on {host} is in use; stop what uses it, or set {variable('port')} to another"
    if error.errno == errno.EACCES:
        return f"port {port} needs more rights than this user has; set {variable('port')} to 1024 or more"
    return f"cannot listen on {host} port {port}: {error.strerror}; set {variable('host')}"
