"""From the request's fields to the task's options."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.service import FixedModels, started

TEXT = "我喜欢吃苹果。今天天气很好！他说的是新闻。"


def post(models: FixedModels, **body: Any) -> dict[str, Any]:
    async def scenario() -> dict[str, Any]:
        async with started(models) as running:
            answer: dict[str, Any] = (await running.client.post("/summarize", json=body)).json()
            return answer

    return asyncio.run(scenario())


@pytest.mark.parametrize("length", [{"num_sentences": 1}, {"ratio": 0.3}, {"max_chars": 8}])
@pytest.mark.parametrize("method", ["kmeans", "centroid", "textrank", "lead"])
def test_length_and_method_arrive(models: FixedModels, length: dict[str, Any], method: str) -> None:
    (item,) = post(models, input=TEXT, method=method, **length)["data"]
    assert (item["k"], item["method"]) == (1, method)
    assert item["summary_text"] in TEXT


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"truncate": True}, "truncate"),
        ({"num_sentences": 1, "ratio": 0.5}, "ratio"),
        ({"method": "scorer"}, "method"),
        ({"max_chars": 0}, "max_chars"),
    ],
)
def test_what_cannot_be_had_is_named(models: FixedModels, body: dict[str, Any], field: str) -> None:
    answer = post(models, input=TEXT, **body)
    assert (answer["status"], answer["errors"][0]["field"]) == (422, field)
