"""The outermost layer: request ids, timing, headers of every answer, one line of log for each call."""

from __future__ import annotations

import logging
from collections.abc import Container

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.call import Call, ClientGone, open_call
from app.api.lifecycle import Lifecycle
from app.api.middleware.headers import SECURITY_HEADERS
from app.api.protocol import Refused
from app.errors import ServiceError
from app.telemetry import Metrics, RequestFacts
from app.tracing import Span, Tracer

_log = logging.getLogger("electra.access")
_CLIENT_GONE = 499


class Observe:
    """Pure ASGI middleware. Whatever was answered, or not, is counted and logged once."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        lifecycle: Lifecycle,
        metrics: Metrics | None,
        tracer: Tracer | None,
        access_log: bool,
        root_path: str,
        paths: Container[str] = (),
    ) -> None:
        """``paths``: those that are a route's as they are, for what is refused before the router."""
        self._app = app
        self._lifecycle = lifecycle
        self._metrics = metrics
        self._tracer = tracer
        self._access_log = access_log
        self._root_path = root_path
        self._paths = paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if self._root_path:
            # The router takes the prefix off where it is there: proxies strip it or do not.
            scope["root_path"] = self._root_path
        call = open_call(scope)
        if self._metrics:
            self._metrics.started()
        span = self._tracer.start(call.method, scope["headers"]) if self._tracer else None

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                call.status = message["status"]
                message["headers"] = [*message.get("headers", ()), *self._headers(call)]
            await send(message)

        try:
            await self._app(scope, receive, answer)
        except ClientGone:
            call.status = _CLIENT_GONE
        finally:
            # As documented (/v1/models/{name}), so that metrics have few labels whatever clients ask for.
            unrouted = call.path if call.path in self._paths else "other"
            call.route = getattr(scope.get("route"), "path_format", unrouted)
            self._report(call, span)

    def _headers(self, call: Call) -> list[tuple[bytes, bytes]]:
        timing = call.context.timing
        phases = (
            f"tokenize;dur={timing.tokenize * 1000:.3f}, queue;dur={timing.queue * 1000:.3f}, "
            f"inference;dur={timing.inference * 1000:.3f}, total;dur={call.seconds * 1000:.3f}"
        )
        headers = [
            (b"x-request-id", call.request_id.encode()),
            (b"server-timing", phases.encode()),
            *SECURITY_HEADERS,
        ]
        if call.model:
            headers.append((b"x-model-version", f"{call.model}/{call.version}".encode()))
        if self._lifecycle.stopping:
            # Keep-alive clients move on to another process before this one closes its connections.
            headers.append((b"connection", b"close"))
        return headers

    def _report(self, call: Call, span: Span | None) -> None:
        timing = call.context.timing
        facts = RequestFacts(
            route=call.route,
            method=call.method,
            status=call.status,
            error_type=call.error_type,
            seconds=call.seconds,
            tokenize_s=timing.tokenize,
            queue_s=timing.queue,
            inference_s=timing.inference,
            items=call.items,
            tokens=call.tokens,
            accepted=call.context.turn is not None,
            computed=call.computes and call.status < 400,
        )
        if self._metrics:
            self._metrics.finished(facts)
        if span:
            span.finish(f"{call.method} {call.route}", _attributes(call, facts), failed=call.status >= 500)
        if self._access_log:
            _log.info("request", extra={"fields": _fields(call, facts)})


def refusals(metrics: Metrics | None, access_log: bool) -> Refused:
    """Counts and logs what the protocol refuses before there is a request: id, address, status and error."""

    def refused(request_id: str, caller: str, status: int, error: ServiceError) -> None:
        if metrics:
            metrics.refused(status, error.error_type)
        if access_log:
            fields = {
                "request_id": request_id,
                "status": status,
                "caller": caller,
                "error_type": error.error_type,
            }
            _log.info("request", extra={"fields": fields})

    return refused


def _fields(call: Call, facts: RequestFacts) -> dict[str, str | int | float]:
    fields: dict[str, str | int | float] = {
        "request_id": call.request_id,
        "method": call.method,
        "path": call.path,
        "status": call.status,
        "ms": round(facts.seconds * 1000, 3),
        "caller": call.caller,
    }
    if call.items:
        fields |= {
            "model": call.model,
            "version": call.version,
            "items": call.items,
            "characters": call.characters,
            "tokens": call.tokens,
            "tokenize_ms": round(facts.tokenize_s * 1000, 3),
            "queue_ms": round(facts.queue_s * 1000, 3),
            "inference_ms": round(facts.inference_s * 1000, 3),
        }
    if call.error_type:
        fields["error_type"] = call.error_type
    if call.text:
        fields["text"] = call.text
    return fields


def _attributes(call: Call, facts: RequestFacts) -> dict[str, str | int | float]:
    return {
        "http.request.method": call.method,
        "http.route": call.route,
        "http.response.status_code": call.status,
        "electra.request_id": call.request_id,
        "electra.model": call.model,
        "electra.model_version": call.version,
        "electra.items": call.items,
        "electra.tokens": call.tokens,
        "electra.tokenize_s": facts.tokenize_s,
        "electra.queue_s": facts.queue_s,
        "electra.inference_s": facts.inference_s,
    }
