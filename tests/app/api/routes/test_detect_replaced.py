"""From the request's fields to the task's options."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.service import FixedModels, started


def post(models: FixedModels, **body: Any) -> dict[str, Any]:
    async def scenario() -> dict[str, Any]:
        async with started(models) as running:
            answer: dict[str, Any] = (await running.client.post("/detect-replaced", json=body)).json()
            return answer

    return asyncio.run(scenario())


@pytest.mark.parametrize(
    ("body", "spans"),
    [
        ({}, ["错"]),
        ({"threshold": 1}, []),
        ({"threshold": 0, "granularity": "char", "ignore": []}, ["今天错。"]),
        ({"protected": ["错"]}, []),
        ({"protected": [{"start": 2, "end": 3}]}, []),
    ],
)
def test_options_arrive(models: FixedModels, body: dict[str, Any], spans: list[str]) -> None:
    (item,) = post(models, input="今天错。", **body)["data"]
    assert "".join(span["text"] for span in item["spans"]) == "".join(spans)


def test_suggestions_are_as_many_as_asked(models: FixedModels) -> None:
    (item,) = post(models, input="今天错。", suggestions=2, sound_alike=True, shape_alike=True)["data"]
    assert len(item["spans"][0]["suggestions"]) == 2


def test_a_classifier_is_not_asked(models: FixedModels) -> None:
    answer = post(models, input="今天", model="sentiment")
    assert (answer["status"], answer["error_type"]) == (404, "model_not_found")
