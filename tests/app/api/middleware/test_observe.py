"""Whatever happens inside, the answer is well-formed, counted and logged."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from app.api.middleware.headers import CONTENT_SECURITY_POLICY
from app.api.middleware.observe import refusals
from app.errors import EngineDead, HeadersTooLarge, QueueFull
from app.telemetry import Metrics
from tests.service import FixedModels, started


def test_an_unforeseen_error_is_a_problem_that_gives_nothing_away(
    models: FixedModels, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(context: Any) -> None:
        raise RuntimeError("secret detail")

    async def scenario() -> None:
        models.engine.before = fail
        async with started(models) as running:
            answer = await running.client.post(
                "/classify", json={"input": "好"}, headers={"X-Request-ID": "r-1"}
            )
            assert answer.status_code == 500
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["request_id"] == answer.headers["x-request-id"] == "r-1"
            assert "secret" not in answer.text

    with caplog.at_level(logging.ERROR):
        asyncio.run(scenario())
    (record,) = [record for record in caplog.records if record.message == "unhandled error"]
    assert record.fields["request_id"] == "r-1"  # type: ignore[attr-defined]
    assert record.exc_info is not None


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [(QueueFull("full", 3.2), 429, "overloaded"), (EngineDead("dead"), 503, "backend")],
)
def test_refusals_are_counted_by_reason(
    models: FixedModels, error: Exception, status: int, reason: str
) -> None:
    def refuse(context: Any) -> None:
        raise error

    async def scenario() -> None:
        models.engine.before = refuse
        async with started(models) as running:
            answer = await running.client.post("/classify", json={"input": "好"})
            assert answer.status_code == status
            assert int(answer.headers["retry-after"]) >= 1
            assert (
                f'electra_rejected_total{{reason="{reason}"}} 1.0'
                in (await running.client.get("/metrics")).text
            )

    asyncio.run(scenario())


def test_every_answer_keeps_browsers_strict(models: FixedModels) -> None:
    async def scenario() -> None:
        async with started(models) as running:
            for path in ("/", "/nowhere", "/docs", "/info", "/livez", "/js/api.js"):
                answer = await running.client.get(path)
                assert answer.headers["content-security-policy"] == CONTENT_SECURITY_POLICY, path
                assert answer.headers["x-content-type-options"] == "nosniff"
                assert "server-timing" in answer.headers
                assert "x-request-id" in answer.headers

    asyncio.run(scenario())
    assert "unsafe" not in CONTENT_SECURITY_POLICY
    assert "default-src 'none'" in CONTENT_SECURITY_POLICY


def test_routes_not_paths_are_counted(models: FixedModels) -> None:
    async def scenario() -> None:
        async with started(models) as running:
            for name in ("a", "b", "c" * 1000):
                await running.client.get(f"/v1/models/{name}")
                await running.client.get(f"/nowhere/{name}")
            metrics = (await running.client.get("/metrics")).text
            assert (
                'electra_requests_total{method="GET",route="/v1/models/{name}",status="404"} 3.0' in metrics
            )
            assert 'electra_requests_total{method="GET",route="other",status="404"} 3.0' in metrics

    asyncio.run(scenario())


def test_what_is_refused_before_the_router_belongs_to_its_route(models: FixedModels) -> None:
    async def scenario() -> None:
        async with started(models, api_keys="secret") as running:
            for path in ("/classify", "/v1/models", "/nowhere"):
                assert (await running.client.post(path, json={"input": "好"})).status_code == 401
            metrics = (await running.client.get("/metrics")).text
            for route in ("/classify", "/v1/models", "other"):
                assert f'electra_requests_total{{method="POST",route="{route}",status="401"}} 1.0' in metrics

    asyncio.run(scenario())


def test_tokens_are_counted_where_a_model_reads_them(models: FixedModels) -> None:
    async def scenario() -> None:
        async with started(models) as running:
            for path, field in (("/classify", "input"), ("/tokenize", "prompt")):
                assert (await running.client.post(path, json={field: "我喜欢"})).status_code == 200
            metrics = (await running.client.get("/metrics")).text
            assert 'electra_tokens_total{route="/classify"} 5.0' in metrics
            assert 'electra_tokens_total{route="/tokenize"} 0.0' in metrics
            assert 'electra_phase_seconds_count{phase="queue",route="/tokenize"} 0.0' in metrics

    asyncio.run(scenario())


def test_what_the_protocol_refuses_is_counted_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    metrics = Metrics("0")
    with caplog.at_level(logging.INFO):
        refusals(metrics, access_log=True)("r-1", "10.0.0.1", 431, HeadersTooLarge("too large"))
        refusals(None, access_log=False)("r-2", "10.0.0.1", 431, HeadersTooLarge("too large"))
    (record,) = caplog.records
    assert record.fields == {  # type: ignore[attr-defined]
        "request_id": "r-1",
        "status": 431,
        "caller": "10.0.0.1",
        "error_type": "headers_too_large",
    }
    assert 'electra_rejected_total{reason="headers_too_large"} 1.0' in metrics.render()[0].decode()


def test_text_is_logged_only_on_request(models: FixedModels, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(**settings: Any) -> list[dict[str, Any]]:
        caplog.clear()
        async with started(models, **settings) as running:
            await running.client.post("/classify", json={"input": "好" * 300})
        return [record.fields for record in caplog.records if record.message == "request"]  # type: ignore[attr-defined]

    with caplog.at_level(logging.INFO):
        (silent,) = asyncio.run(scenario())
        assert "text" not in silent
        assert silent["characters"] == 300
        (open_,) = asyncio.run(scenario(log_text=True))
        assert open_["text"] == "好" * 200
        assert asyncio.run(scenario(access_log=False)) == []


def test_a_stopping_service_sends_its_clients_elsewhere(models: FixedModels) -> None:
    async def scenario() -> None:
        async with started(models) as running:
            assert "connection" not in (await running.client.get("/info")).headers
            running.lifecycle.to_draining()
            answer = await running.client.post("/classify", json={"input": "好"})
            assert (answer.status_code, answer.headers["connection"]) == (200, "close")
            assert (await running.client.get("/readyz")).status_code == 503
            assert (await running.client.get("/livez")).status_code == 200

    asyncio.run(scenario())
