"""uvicorn's HTTP protocol with the guards it leaves to a proxy, so that the service can also stand alone.

Clients that send their headers slowly, or without end, are cut off; a request that is no HTTP is refused with
a problem document; and a connection that is idle when the service stops gets a moment for a request that is
already on its way.
"""

from __future__ import annotations

import asyncio
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from app.api.call import ARRIVED, new_request_id
from app.api.errors import render
from app.errors import BadRequest, HeadersTooLarge, RequestTimeout, ServiceError

MAX_HEADER_BYTES = 64 * 1024
_LINGER_S = 0.25
_SLACK_S = 1.0


class GuardedConfig(uvicorn.Config):
    """uvicorn's configuration with the times that :class:`GuardedProtocol` keeps, in seconds."""

    def __init__(self, app: Any, *, header_timeout_s: float, body_timeout_s: float, **options: Any) -> None:
        super().__init__(app, http=GuardedProtocol, ws="none", **options)
        self.header_timeout_s = header_timeout_s
        self.body_timeout_s = body_timeout_s


class GuardedProtocol(HttpToolsProtocol):
    """One connection."""

    config: GuardedConfig

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._timer: asyncio.TimerHandle | None = None
        self._header_bytes = 0
        self._in_headers = False
        self._stopping = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._arm(self.config.header_timeout_s)

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        before = self._header_bytes if self._in_headers else 0
        super().data_received(data)
        if not self._in_headers:
            return
        self._header_bytes = before + len(data)
        if self._header_bytes > MAX_HEADER_BYTES and not self.transport.is_closing():
            self._refuse(HeadersTooLarge(f"the headers are larger than {MAX_HEADER_BYTES} bytes"))

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_headers = True
        self._arm(self.config.header_timeout_s)

    def on_headers_complete(self) -> None:
        self._in_headers = False
        # The body has its own deadline, which is answered with 408. This one ends a client that goes on
        # sending a body that has been refused.
        self._arm(self.config.body_timeout_s + _SLACK_S)
        self.scope[ARRIVED] = self.loop.time()  # type: ignore[literal-required]
        super().on_headers_complete()
        if self._stopping:
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        self._disarm()
        super().on_message_complete()

    def shutdown(self) -> None:
        """Finish what is in flight; close what is idle, after a moment."""
        self._stopping = True
        if self._idle():
            self.loop.call_later(_LINGER_S, self._close_if_idle)
        else:
            super().shutdown()

    def send_400_response(self, msg: str) -> None:
        self._refuse(BadRequest("the request is not valid HTTP/1.1"))

    def _idle(self) -> bool:
        return not self._in_headers and (self.cycle is None or self.cycle.response_complete)

    def _close_if_idle(self) -> None:
        if self._idle() and not self.transport.is_closing():
            self.transport.close()

    def _arm(self, seconds: float) -> None:
        self._disarm()
        self._timer = self.loop.call_later(seconds, self._too_slow)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_slow(self) -> None:
        self._timer = None
        if self.transport.is_closing():
            return
        if self._in_headers:
            self._refuse(
                RequestTimeout(f"the headers did not arrive within {self.config.header_timeout_s:g} s")
            )
        else:
            self.transport.close()

    def _refuse(self, error: ServiceError) -> None:
        """Answer without an application, then close."""
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete and (self._in_headers or cycle.response_started):
            # An answer to an earlier request is due or being written; another one would corrupt it.
            self.transport.close()
            return
        status, headers, body = render(error, path="", request_id=new_request_id())
        head = [STATUS_LINE[status], *(b"%s: %s\r\n" % header for header in headers)]
        self.transport.write(b"".join([*head, b"connection: close\r\n\r\n", body]))
        self.transport.close()
