"""The page and the reference are published where they are switched on, and nothing else is."""

from __future__ import annotations

import asyncio

import pytest

from tests.service import FixedModels, started


@pytest.mark.parametrize(
    ("page", "docs", "found"),
    [
        (True, True, {"/", "/docs", "/openapi.json", "/favicon.svg"}),
        (True, False, {"/", "/favicon.svg"}),
        (False, True, {"/docs", "/openapi.json", "/favicon.svg"}),
        (False, False, set()),
    ],
)
def test_what_is_published(models: FixedModels, page: bool, docs: bool, found: set[str]) -> None:
    async def scenario() -> None:
        async with started(models, page=page, docs=docs, api_keys="k") as running:
            for path in ("/", "/docs", "/openapi.json", "/favicon.svg"):
                answer = await running.client.get(path)
                assert (answer.status_code == 200) is (path in found), path
            for outside in ("/js/../../main.py", "/js/%2e%2e/%2e%2e/main.py", "/index.html"):
                assert (await running.client.get(outside)).status_code != 200

    asyncio.run(scenario())


def test_browsers_ask_again_and_are_told_when_nothing_changed(models: FixedModels) -> None:
    async def scenario() -> None:
        async with started(models) as running:
            first = await running.client.get("/js/api.js")
            assert first.headers["cache-control"] == "no-cache"
            again = await running.client.get("/js/api.js", headers={"If-None-Match": first.headers["etag"]})
            assert again.status_code == 304

    asyncio.run(scenario())
