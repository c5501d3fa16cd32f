"""uvicorn's HTTP protocol with the guards it leaves to a proxy, so that the service can also stand alone.

Clients that send their headers slowly, or without end, or do not read what they asked for, are cut off; a
request that is no HTTP is refused with a problem document; an offer to speak another protocol is passed over;
and a connection that is idle when the service stops gets a moment for a request that is already on its way.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Callable
from typing import Any

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from app.api.call import ARRIVED, new_request_id
from app.api.errors import render
from app.errors import BadRequest, HeadersTooLarge, RequestTimeout, ServiceError

Refused = Callable[[str, str, int, ServiceError], None]
MAX_HEADER_BYTES = 64 * 1024
LEAST_READ_BYTES = 256 * 1024
"""Of an answer: what a client must have read after each ``body_timeout_s``, or else all of it."""
_LINGER_S = 0.25
_SLACK_S = 1.0
_UPGRADE = frozenset({b"upgrade", b"http2-settings"})


class GuardedConfig(uvicorn.Config):
    """uvicorn's configuration with the times that :class:`GuardedProtocol` keeps, in seconds.

    ``refused`` is told of each answer that no application gave: request id, client's address, status, error.
    """

    def __init__(
        self,
        app: Any,
        *,
        header_timeout_s: float,
        body_timeout_s: float,
        refused: Refused = lambda *_: None,
        **options: Any,
    ) -> None:
        super().__init__(app, http=GuardedProtocol, ws="none", **options)
        self.header_timeout_s = header_timeout_s
        self.body_timeout_s = body_timeout_s
        self.refused = refused


class GuardedProtocol(HttpToolsProtocol):
    """One connection.

    Two timers end it, whatever the client does. The first runs while something is to come: headers, a body,
    the next request. (A request that is being answered has its deadline from the application.) The second
    always runs, and looks whether the client takes what is written to it.
    """

    config: GuardedConfig

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._timer: asyncio.TimerHandle | None = None
        self._reading_timer: asyncio.TimerHandle | None = None
        self._unread: float = math.inf
        self._head_bytes = 0
        self._moved = False
        self._receiving = False
        self._in_headers = False
        self._stopping = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._arm(self.config.header_timeout_s)
        self._watch_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        if self._reading_timer is not None:
            self._reading_timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._moved = False
        try:
            self._parse(data)
        except httptools.HttpParserError:
            self._refuse(BadRequest("the request is not valid HTTP/1.1"))
            return
        if not self._receiving:
            return
        # Headers, and what stands around the pieces of a chunked body: its trailers above all.
        self._head_bytes = 0 if self._moved else self._head_bytes + len(data)
        if self._head_bytes > MAX_HEADER_BYTES and not self.transport.is_closing():
            self._refuse(HeadersTooLarge(f"the headers are larger than {MAX_HEADER_BYTES} bytes"))

    def _parse(self, data: bytes) -> None:
        """Feed the parser; an offer to speak another protocol is read as the request that it also is.

        The parser takes all that follows such an offer for the other protocol, and loses the body.
        """
        rest = memoryview(data)
        while True:
            try:
                self.parser.feed_data(rest)
                return
            except httptools.HttpParserUpgrade as upgrade:
                if not self._offers_upgrade():
                    return
                rest = rest[upgrade.args[0] :]
            head = self._head_without_upgrade()
            # The old parser may take the connection for closed.
            self.parser = httptools.HttpRequestParser(self)
            with contextlib.suppress(AttributeError):  # as uvicorn does for older versions of httptools
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
            self.parser.feed_data(head)

    def _offers_upgrade(self) -> bool:
        return self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT"

    def _head_without_upgrade(self) -> bytes:
        version = self.parser.get_http_version().encode()
        lines = [b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, version)]
        for name, value in self.headers:
            if name == b"connection":
                kept = [token for token in value.split(b",") if token.strip().lower() not in _UPGRADE]
                lines.append(b"connection: %s" % b",".join(kept))
            elif name not in _UPGRADE:
                lines.append(b"%s: %s" % (name, value))
        return b"\r\n".join([*lines, b"", b""])

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head_bytes = 0
        self._receiving = self._in_headers = True
        self._arm(self.config.header_timeout_s)

    def on_header(self, name: bytes, value: bytes) -> None:
        # Trailers come here too. Nothing reads them, and there may be any number.
        if self._in_headers:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if self._offers_upgrade():
            return
        self._in_headers = False
        # The body has its own deadline, which is answered with 408. This one ends a client that goes on
        # sending a body that has been refused.
        self._arm(self.config.body_timeout_s + _SLACK_S)
        self.scope[ARRIVED] = self.loop.time()  # type: ignore[literal-required]
        super().on_headers_complete()
        if self._stopping:
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        self._moved = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self._offers_upgrade():
            return
        self._moved = True
        self._receiving = False
        self._disarm()
        super().on_message_complete()
        self._await_next()

    def on_response_complete(self) -> None:
        if self.pipeline:
            # Until now it waited for its predecessor, which says nothing about how busy we are.
            self.pipeline[-1][0].scope[ARRIVED] = self.loop.time()  # type: ignore[literal-required]
        super().on_response_complete()
        # uvicorn's own timer ends with the next byte, which need not be the beginning of a request.
        self._unset_keepalive_if_required()
        self._await_next()
        self._watch_reading()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._unread = math.inf

    def shutdown(self) -> None:
        """Finish what is in flight; close what is idle, after a moment."""
        self._stopping = True
        self._watch_reading()
        if self._idle():
            self.loop.call_later(_LINGER_S, self._close_if_idle)
        elif not self._in_headers:
            super().shutdown()

    def _idle(self) -> bool:
        return not self._in_headers and (self.cycle is None or self.cycle.response_complete)

    def _close_if_idle(self) -> None:
        if self._idle() and not self.transport.is_closing():
            self.transport.close()

    def _await_next(self) -> None:
        if self._idle() and not self._receiving:
            self._arm(self.timeout_keep_alive)

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
        if self.flow.read_paused:
            # It is we who do not read: a request that came in one breath with others waits for its turn.
            self._arm(self.config.header_timeout_s)
        elif self._in_headers:
            self._refuse(
                RequestTimeout(f"the headers did not arrive within {self.config.header_timeout_s:g} s")
            )
        else:
            self.transport.close()

    def _watch_reading(self) -> None:
        if self._reading_timer is not None:
            self._reading_timer.cancel()
        self._unread = self.transport.get_write_buffer_size() or math.inf
        self._reading_timer = self.loop.call_later(self.config.body_timeout_s, self._check_reading)

    def _check_reading(self) -> None:
        """End a client that does not read; when the service stops, also one that is slow."""
        unread = self.transport.get_write_buffer_size()
        stalled = unread > self._unread - LEAST_READ_BYTES
        if unread and (stalled or (self._stopping and self._idle())):
            self.transport.abort()
        else:
            self._watch_reading()

    def _refuse(self, error: ServiceError) -> None:
        """Answer without an application, then close."""
        cycle = self.cycle
        in_body = self._receiving and not self._in_headers
        if cycle is not None and (
            self.pipeline or (cycle.response_started if in_body else not cycle.response_complete)
        ):
            # An answer is due or being written; another one would corrupt it.
            self.transport.close()
            return
        request_id = new_request_id()
        status, headers, body = render(error, path="", request_id=request_id)
        headers = [*headers, (b"x-request-id", request_id.encode())]
        head = [STATUS_LINE[status], *(b"%s: %s\r\n" % header for header in headers)]
        self.transport.write(b"".join([*head, b"connection: close\r\n\r\n", body]))
        self.transport.close()
        if in_body:
            return  # the application's log has the request, as one that was broken off
        self.config.refused(request_id, self.client[0] if self.client else "unknown", status, error)
