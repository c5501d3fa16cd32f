"""Texts or token ids, and two names for one thing."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from app.api.schemas.classify import ClassifyRequest


def read(**body: object) -> ClassifyRequest:
    return ClassifyRequest.model_validate_json(json.dumps(body))


@pytest.mark.parametrize(
    ("given", "texts", "ids"),
    [
        ("好", ["好"], None),
        (["好", ""], ["好", ""], None),
        ([2, 7, 3], [], [[2, 7, 3]]),
        ([[2, 3], []], [], [[2, 3], []]),
        ([], [], None),
    ],
)
def test_input_is_texts_or_ids(given: object, texts: list[str], ids: list[list[int]] | None) -> None:
    request = read(input=given)
    assert (request.texts, request.token_ids) == (texts, ids)


@pytest.mark.parametrize("given", [["好", 1], [1, "好"], [[1], "好"], [True], [[1.0]], None])
def test_a_mixture_is_refused(given: object) -> None:
    with pytest.raises(ValidationError):
        read(input=given)


@pytest.mark.parametrize(
    ("body", "function"),
    [
        ({}, None),
        ({"use_activation": True}, None),
        ({"use_activation": False}, "none"),
        ({"use_activation": False, "function_to_apply": "sigmoid"}, "sigmoid"),
    ],
)
def test_both_names_of_the_activation(body: dict[str, object], function: str | None) -> None:
    assert read(input="好", **body).function == function


@pytest.mark.parametrize(
    "field", [{"top_k": 0}, {"truncate_prompt_tokens": -2}, {"add_special_tokens": False}]
)
def test_limits(field: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        read(input="好", **field)
