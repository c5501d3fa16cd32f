"""Probes tell states apart."""

from __future__ import annotations

import asyncio

import pytest

from tests.service import FixedModels, started


@pytest.mark.parametrize(
    ("change", "live", "ready", "status"),
    [
        (None, 200, 200, "ready"),
        ("to_draining", 200, 503, "draining"),
        ("to_dead", 503, 503, "dead"),
        ("unload", 200, 503, "starting"),
    ],
)
def test_states(models: FixedModels, change: str | None, live: int, ready: int, status: str) -> None:
    async def scenario() -> None:
        async with started(models) as running:
            if change == "unload":
                running.lifecycle.set_served(False)
            elif change:
                getattr(running.lifecycle, change)(*(["gone"] if change == "to_dead" else []))
            for path in ("/livez", "/v2/health/live"):
                assert (await running.client.get(path)).status_code == live
            for path in ("/readyz", "/health", "/v2/health/ready"):
                answer = await running.client.get(path)
                assert (answer.status_code, answer.json()["status"]) == (ready, status)
                assert answer.headers["cache-control"] == "no-store"
                assert ("retry-after" in answer.headers) is (ready == 503)

    asyncio.run(scenario())
