"""Optional OpenTelemetry: one span for each request, a child of the caller's W3C trace context."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from app.settings import SettingsError


class Span(Protocol):
    """The part of an OpenTelemetry span that is used here."""

    def finish(self, name: str, attributes: Mapping[str, str | int | float], *, failed: bool) -> None:
        """Give the span its final name and ``attributes``, and end it."""


class Tracer(Protocol):
    """Starts a span for an incoming request."""

    def start(self, name: str, headers: Iterable[tuple[bytes, bytes]]) -> Span:
        """Begin a span under the trace that ``headers`` carry (``traceparent``, ``tracestate``)."""

    def close(self) -> None:
        """Send what has not been sent."""


def make_tracer(endpoint: str | None, service_name: str, version: str) -> Tracer | None:
    """A tracer that exports to ``endpoint`` over OTLP/HTTP, or None without one.

    Raises:
        SettingsError: an endpoint is set and the ``otel`` extra is not installed.
    """
    if endpoint is None:
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        raise SettingsError(
            "ELECTRA_OTEL_ENDPOINT is set but OpenTelemetry is not installed; "
            "pip install 'electra-platform[otel]' or unset it"
        ) from None
    provider = TracerProvider(
        resource=Resource.create({"service.name": service_name, "service.version": version})
    )
    exporter = OTLPSpanExporter(endpoint=endpoint.rstrip("/") + "/v1/traces")
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return OpenTelemetryTracer(provider)


class OpenTelemetryTracer:
    """Adapts an OpenTelemetry tracer provider."""

    def __init__(self, provider: Any) -> None:
        from opentelemetry.trace import SpanKind
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._provider = provider
        self._tracer = provider.get_tracer("electra")
        self._propagator = TraceContextTextMapPropagator()
        self._kind = SpanKind.SERVER

    def start(self, name: str, headers: Iterable[tuple[bytes, bytes]]) -> Span:
        carrier = {
            key.decode("latin-1"): value.decode("latin-1")
            for key, value in headers
            if key in (b"traceparent", b"tracestate")
        }
        context = self._propagator.extract(carrier)
        return _OpenSpan(self._tracer.start_span(name, context=context, kind=self._kind))

    def close(self) -> None:
        shutdown = getattr(self._provider, "shutdown", None)
        if shutdown is not None:
            shutdown()


class _OpenSpan:
    def __init__(self, span: Any) -> None:
        self._span = span

    def finish(self, name: str, attributes: Mapping[str, str | int | float], *, failed: bool) -> None:
        from opentelemetry.trace import StatusCode

        self._span.update_name(name)
        for key, value in attributes.items():
            self._span.set_attribute(key, value)
        if failed:
            self._span.set_status(StatusCode.ERROR)
        self._span.end()
