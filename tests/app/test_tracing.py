"""Spans carry what they should, under the caller's trace; tracing that is missing is said so."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from app.settings import SettingsError
from app.tracing import OpenTelemetryTracer, make_tracer
from tests.service import fixed_models, started


class RecordingSpan:
    def __init__(self, name: str, context: Any) -> None:
        self.name, self.context = name, context
        self.attributes: dict[str, Any] = {}
        self.status: Any = None
        self.ended = 0

    def update_name(self, name: str) -> None:
        self.name = name

    def set_attribute(self, name: str, value: Any) -> None:
        self.attributes[name] = value

    def set_status(self, status: Any) -> None:
        self.status = status

    def end(self) -> None:
        self.ended += 1


class RecordingProvider:
    """A tracer provider that keeps its spans."""

    def __init__(self) -> None:
        self.spans: list[RecordingSpan] = []
        self.closed = False

    def get_tracer(self, name: str) -> RecordingProvider:
        return self

    def start_span(self, name: str, context: Any, kind: Any) -> RecordingSpan:
        self.spans.append(RecordingSpan(name, context))
        return self.spans[-1]

    def shutdown(self) -> None:
        self.closed = True


def test_without_an_endpoint_nothing_is_traced() -> None:
    assert make_tracer(None, "electra", "0") is None


def test_an_endpoint_without_the_extra_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(SettingsError, match=r"electra-platform\[otel\]"):
        make_tracer("http://collector:4318", "electra", "0")


@pytest.mark.parametrize(
    ("fault", "status", "failed"), [(None, 200, False), (RuntimeError("bug"), 500, True)]
)
def test_a_fault_of_ours_is_a_failed_span(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Exception | None, status: int, failed: bool
) -> None:
    class Tracer:
        def __init__(self) -> None:
            self.finished: list[tuple[object, bool]] = []

        def start(self, method: str, headers: object) -> Tracer:
            return self

        def finish(self, name: str, attributes: dict[str, object], *, failed: bool) -> None:
            self.finished.append((attributes["http.response.status_code"], failed))

        def close(self) -> None:
            pass

    tracer = Tracer()
    monkeypatch.setattr("app.main.make_tracer", lambda *_: tracer)
    models = fixed_models(tmp_path)

    def before(context: object) -> None:
        if fault is not None:
            raise fault

    async def scenario() -> None:
        models.engine.before = before  # type: ignore[assignment]
        async with started(models) as running:
            await running.client.post("/classify", json={"input": "好"})

    asyncio.run(scenario())
    assert tracer.finished == [(status, failed)]


def test_a_request_is_one_span_of_the_callers_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trace = pytest.importorskip("opentelemetry.trace", reason="needs the otel extra")
    provider = RecordingProvider()
    monkeypatch.setattr("app.main.make_tracer", lambda *_: OpenTelemetryTracer(provider))
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

    async def scenario() -> None:
        async with started(fixed_models(tmp_path)) as running:
            await running.client.post("/classify", json={"input": "好"}, headers={"traceparent": parent})
            await running.client.post("/classify", json={"input": ""})

    asyncio.run(scenario())
    good, bad = provider.spans
    context = trace.get_current_span(good.context).get_span_context()
    assert format(context.trace_id, "032x") == "0af7651916cd43dd8448eb211c80319c"
    assert good.name == "POST /classify"
    assert good.attributes["http.route"] == "/classify"
    assert good.attributes["electra.tokens"] == 3
    assert good.attributes["electra.model"] == "sentiment"
    assert bad.attributes["http.response.status_code"] == 422
    assert (good.ended, bad.ended) == (1, 1)
    assert good.status is None
    assert provider.closed
