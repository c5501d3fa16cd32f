"""TEI's answer around the classifier's."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from tests.service import FixedModels, started


def post(models: FixedModels, body: object) -> httpx.Response:
    async def scenario() -> httpx.Response:
        async with started(models) as running:
            return await running.client.post("/predict", json=body)

    return asyncio.run(scenario())


def test_the_shape_follows_the_request(models: FixedModels) -> None:
    one, both = post(models, {"inputs": "好"}).json(), post(models, {"inputs": [["好"], ["坏"]]}).json()
    assert {item["label"] for item in one} == {"negative", "positive"}
    assert [len(scores) for scores in both] == [2, 2]


def test_a_left_cut_keeps_the_end(models: FixedModels) -> None:
    room = models.served["sentiment"].encoder.room
    body = {"truncate": True, "raw_scores": True, "truncation_direction": "Left"}
    cut = post(models, {"inputs": "坏" * 50 + "好" * room, **body}).json()
    assert cut == post(models, {"inputs": "好" * room, **body}).json()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"inputs": ""}, "inputs"),
        ({"inputs": [["好"], [" "]]}, "inputs.1"),
        ({"inputs": ["好" * 90, "坏" * 90]}, "inputs"),
        ({"inputs": ["好", "坏"], "truncate": True, "truncation_direction": "Left"}, "truncation_direction"),
    ],
)
def test_errors_name_the_fields_of_this_request(models: FixedModels, body: object, field: str) -> None:
    answer = post(models, body)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)
