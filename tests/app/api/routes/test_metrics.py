"""The exposition, or a word on why there is none."""

from __future__ import annotations

import asyncio

from tests.service import FixedModels, started


def test_metrics_can_be_switched_off(models: FixedModels) -> None:
    async def scenario() -> None:
        async with started(models) as running:
            answer = await running.client.get("/metrics")
            assert answer.headers["content-type"].startswith("text/plain; version=")
        async with started(models, metrics=False) as running:
            answer = await running.client.get("/metrics")
            assert answer.status_code == 404
            assert "ELECTRA_METRICS" in answer.json()["detail"]

    asyncio.run(scenario())
