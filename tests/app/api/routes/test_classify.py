"""Cuts that vLLM's fields ask for."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.service import FixedModels, started


def post(models: FixedModels, **body: Any) -> dict[str, Any]:
    async def scenario() -> dict[str, Any]:
        async with started(models) as running:
            answer: dict[str, Any] = (await running.client.post("/classify", json=body)).json()
            return answer

    return asyncio.run(scenario())


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_number_of_tokens_is_kept(models: FixedModels, side: str) -> None:
    answer = post(models, input=["好" * 9, "坏"], truncate_prompt_tokens=6, truncation_side=side)
    assert [item["truncated"] for item in answer["data"]] == [True, False]
    assert answer["usage"]["prompt_tokens"] == 6 + 3


def test_token_ids_are_cut_plainly(models: FixedModels) -> None:
    answer = post(models, input=[2, 7, 8, 9, 3], truncate_prompt_tokens=3, truncation_side="left")
    assert answer["usage"]["prompt_tokens"] == 3
    assert answer["data"][0]["truncated"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"input": "好", "text_pair": "坏", "truncate_prompt_tokens": 4}, "truncation_side"),
        ({"input": [2, 3], "text_pair": "坏"}, "text_pair"),
        ({"input": [2, 3], "truncate_prompt_tokens": 0}, "truncate_prompt_tokens"),
        ({"input": [2, 10**30]}, "input"),
        ({"input": []}, "input"),
    ],
)
def test_what_cannot_be_had_is_named(models: FixedModels, body: dict[str, Any], field: str) -> None:
    answer = post(models, **body)
    assert (answer["status"], answer["errors"][0]["field"]) == (422, field)
