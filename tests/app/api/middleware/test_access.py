"""Keys and rates at the door."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.service import FixedModels, started

OPEN = ["/livez", "/readyz", "/health", "/v2/health/live", "/v2/health/ready", "/metrics", "/", "/docs"]
CLOSED = ["/v1/models", "/info", "/v1/models/sentiment"]


def test_without_keys_everything_is_open(models: FixedModels) -> None:
    async def scenario() -> None:
        async with started(models) as running:
            for path in OPEN + CLOSED:
                assert (await running.client.get(path)).status_code == 200, path

    asyncio.run(scenario())


def test_with_keys_only_what_holds_no_texts_is_open(models: FixedModels, tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("from-file\n", encoding="utf-8")

    async def scenario() -> None:
        settings = {"api_keys": "fixed", "api_keys_file": tmp_path / "keys", "admin_key": "boss"}
        async with started(models, **settings) as running:
            for path in [*OPEN, "/js/api.js", "/openapi.json", "/favicon.svg"]:
                assert (await running.client.get(path)).status_code == 200, path
            for path in [*CLOSED, "/nowhere", "/js", "/INFO", "/info/"]:
                refused = await running.client.get(path)
                assert refused.status_code == 401, path
                assert refused.headers["www-authenticate"] == 'Bearer realm="electra"'
                assert refused.json()["error_type"] == "unauthorized"
            assert (await running.client.post("/classify", json={"input": "好"})).status_code == 401
            for key in ("fixed", "from-file", "boss"):
                headers = {"Authorization": f"Bearer {key}"}
                answer = await running.client.post("/classify", json={"input": "好"}, headers=headers)
                assert answer.status_code == 200, key
            assert (await running.client.get("/info", headers={"X-API-Key": "fixed"})).status_code == 200
            assert (await running.client.get("/info", headers={"X-API-Key": "fixed2"})).status_code == 401

    asyncio.run(scenario())


def test_a_callers_rate_does_not_touch_another(models: FixedModels) -> None:
    async def scenario() -> None:
        settings = {"api_keys": "one,two", "rate_limit_per_minute": 6, "rate_limit_burst": 2}
        async with started(models, **settings) as running:

            async def ask(key: str) -> int:
                return (await running.client.get("/info", headers={"X-API-Key": key})).status_code

            assert [await ask("one") for _ in range(3)] == [200, 200, 429]
            assert await ask("two") == 200
            refused = await running.client.get("/info", headers={"X-API-Key": "one"})
            assert refused.json()["error_type"] == "rate_limited"
            assert 8 <= int(refused.headers["retry-after"]) <= 10
            assert (await running.client.get("/readyz")).status_code == 200

    asyncio.run(scenario())


def test_administration_is_off_without_its_key(models: FixedModels) -> None:
    async def scenario() -> None:
        async with started(models, api_keys="one") as running:
            answer = await running.client.post(
                "/v1/models/sentiment/load", json={}, headers={"X-API-Key": "one"}
            )
            assert answer.status_code == 403
            assert "ELECTRA_ADMIN_KEY" in answer.json()["detail"]
        async with started(models, api_keys="one", admin_key="boss") as running:
            for key, status in (("one", 403), ("boss", 204)):
                answer = await running.client.post("/v1/models/sentiment/unload", headers={"X-API-Key": key})
                assert answer.status_code == status

    asyncio.run(scenario())
    assert models.done == [("unload", "sentiment", None)]


@pytest.mark.parametrize(
    ("origin", "allowed"), [("https://good.example", True), ("https://bad.example", False)]
)
def test_only_named_origins_may_call_from_a_browser(models: FixedModels, origin: str, allowed: bool) -> None:
    async def scenario() -> None:
        async with started(models, cors_origins="https://good.example", api_keys="one") as running:
            asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
            preflight = await running.client.options("/classify", headers=asked)
            assert (preflight.headers.get("access-control-allow-origin") == origin) is allowed
            answer = await running.client.post(
                "/classify", json={"input": "好"}, headers={"Origin": origin, "X-API-Key": "one"}
            )
            assert (answer.headers.get("access-control-allow-origin") == origin) is allowed
            refused = await running.client.post("/classify", json={"input": "好"}, headers={"Origin": origin})
            assert refused.status_code == 401
            assert (refused.headers.get("access-control-allow-origin") == origin) is allowed, (
                "why, it may know"
            )

    asyncio.run(scenario())
