"""Takes the port, with one clear line when it cannot be had, and leaves it without losing anybody."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import socket
import struct
import sys

from app.settings import variable

BACKLOG = 2048
_SO_ATTACH_FILTER = 26
# Classic BPF, instruction by instruction: load the byte of TCP's flags; where SYN is set drop, else keep all.
_NO_SYN = b"".join(
    struct.pack("=HBBI", *instruction)
    for instruction in ((0x30, 0, 0, 13), (0x45, 0, 1, 0x02), (0x06, 0, 0, 0), (0x06, 0, 0, 0xFFFFFFFF))
)


class BindError(Exception):
    """The address cannot be listened on. The message is one line with the cure."""


def bind(host: str, port: int) -> socket.socket:
    """A TCP socket that listens and that child processes inherit.

    It listens at once: of two services that start together only one may think that the port is its own.
    Clients that come before anybody accepts wait.

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
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise BindError(_explain(error, host, port)) from None
    listener.set_inheritable(True)
    return listener


def turn_newcomers_away(listener: socket.socket) -> None:
    """From now on nobody new gets into the queue of ``listener``, whoever shares it; it can then be emptied.

    Closing a listening socket resets all who wait in its queue, and between a last look and the close
    somebody may come in. A filter that drops what asks for a connection leaves those who are in alone:
    newcomers hear nothing, ask again after a second and are refused. Elsewhere than on Linux this does
    nothing.
    """
    if not sys.platform.startswith("linux"):
        return
    code = ctypes.create_string_buffer(_NO_SYN, len(_NO_SYN))
    program = struct.pack("HP", len(_NO_SYN) // 8, ctypes.addressof(code))
    with contextlib.suppress(OSError):  # a sandbox may forbid it; then only the short moment remains
        listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)


def _explain(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} on {host} is in use; stop what uses it, or set {variable('port')} to another"
    if error.errno == errno.EACCES:
        return f"port {port} needs more rights than this user has; set {variable('port')} to 1024 or more"
    return f"cannot listen on {host} port {port}: {error.strerror}; set {variable('host')}"
