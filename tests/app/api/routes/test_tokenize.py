"""Ids with their places, and whose tokenizer they are of."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.service import FixedModels, started
from tests.toy import toy_tokenizer


def post(models: FixedModels, **body: Any) -> dict[str, Any]:
    async def scenario() -> dict[str, Any]:
        async with started(models) as running:
            answer: dict[str, Any] = (await running.client.post("/tokenize", json=body)).json()
            return answer

    return asyncio.run(scenario())


def test_special_tokens_stand_nowhere_in_the_text(models: FixedModels) -> None:
    answer = post(models, prompt="我 喜", return_token_strs=True)
    vocabulary = toy_tokenizer().get_vocab()
    assert answer["token_strs"] == ["[CLS]", "我", "喜", "[SEP]"]
    assert answer["tokens"] == [vocabulary[word] for word in answer["token_strs"]]
    assert answer["offsets"] == [[0, 0], [0, 1], [2, 3], [0, 0]]
    assert (answer["count"], answer["max_model_len"]) == (4, 64)


def test_they_can_be_left_out(models: FixedModels) -> None:
    answer = post(models, prompt="我喜", add_special_tokens=False)
    assert (answer["count"], answer["token_strs"]) == (2, None)


@pytest.mark.parametrize(("model", "status"), [("sentiment", None), ("encoder", None), ("other", 404)])
def test_any_served_model_can_be_asked(models: FixedModels, model: str, status: int | None) -> None:
    assert post(models, prompt="我", model=model).get("status") == status


def test_a_blank_text_names_its_field(models: FixedModels) -> None:
    assert post(models, prompt=" ")["errors"][0]["field"] == "prompt"
