"""What every request holds to, whatever it is sent."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from app.api.errors import from_validation
from app.api.schemas.classify import ClassifyRequest
from app.api.schemas.common import MOST_FIELDS, Request, TaskRequest
from app.api.schemas.detect_replaced import DetectRequest


@pytest.mark.parametrize("name", ["input", "inputs", "text"])
def test_one_text_is_a_list_of_one(name: str) -> None:
    assert TaskRequest.model_validate_json(json.dumps({name: "好"})).input == ["好"]
    assert TaskRequest.model_validate_json(json.dumps({name: ["好", "坏"]})).input == ["好", "坏"]


@pytest.mark.parametrize("body", [{}, {"input": 3}, {"input": "a", "text": "b"}, {"input": "a", "x": 1}])
def test_anything_else_is_refused(body: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        TaskRequest.model_validate_json(json.dumps(body))


@pytest.mark.parametrize(
    ("schema", "body"),
    [
        (ClassifyRequest, {"input": [1.5] * 10_000}),
        (ClassifyRequest, {"input": [[1.5] * 10_000] * 10}),
        (ClassifyRequest, {"input": "a", "text_pair": [None] * 10_000}),
        (ClassifyRequest, {"input": "a"} | {f"k{number}": 1 for number in range(10_000)}),
        (DetectRequest, {"input": "a", "ignore": ["x"] * 10_000}),
        (DetectRequest, {"input": "a", "protected": [1.5] * 900}),
        (DetectRequest, {"input": "a", "protected": [{f"k{number}": 1 for number in range(10_000)}]}),
        (DetectRequest, {"input": "a", "protected": ["x"] * 1001}),
    ],
)
def test_a_body_full_of_faults_is_answered_with_a_few(schema: type[Request], body: object) -> None:
    """A body of 8 MB holds two million: to list them all took minutes and gigabytes."""
    with pytest.raises(ValidationError) as caught:
        schema.model_validate_json(json.dumps(body))
    assert caught.value.error_count() <= 3


def test_as_many_fields_as_there_may_be_are_named() -> None:
    body = {"input": "a"} | {f"k{number}": 1 for number in range(MOST_FIELDS - 1)}
    with pytest.raises(ValidationError) as caught:
        TaskRequest.model_validate_json(json.dumps(body))
    assert caught.value.error_count() == MOST_FIELDS - 1


def test_a_made_up_name_is_not_repeated_at_length() -> None:
    with pytest.raises(ValidationError) as caught:
        TaskRequest.model_validate_json(json.dumps({"input": "a", "x" * 100_000: 1}))
    assert len(str(from_validation(caught.value))) < 300
