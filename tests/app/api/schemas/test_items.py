"""The documented items are exactly what the tasks return, but for the tokens that go into the usage."""

from __future__ import annotations

import dataclasses

import pytest
from pydantic import BaseModel

from app.api.schemas import classify, detect_replaced, summarize
from app.tasks import classify as classify_task
from app.tasks import detect as detect_task
from app.tasks import summarize as summarize_task


@pytest.mark.parametrize(
    ("schema", "result"),
    [
        (classify.Classification, classify_task.Classification),
        (classify.LabelScore, classify_task.LabelScore),
        (detect_replaced.Detection, detect_task.Detection),
        (detect_replaced.ReplacedToken, detect_task.ReplacedToken),
        (detect_replaced.ReplacedSpan, detect_task.ReplacedSpan),
        (detect_replaced.Suggestion, detect_task.Suggestion),
        (summarize.Summary, summarize_task.Summary),
        (summarize.SummarySentence, summarize_task.SummarySentence),
    ],
)
def test_documented_fields_are_the_results(schema: type[BaseModel], result: type) -> None:
    fields = [field.name for field in dataclasses.fields(result) if field.name != "prompt_tokens"]
    assert list(schema.model_fields) == fields


@pytest.mark.parametrize(
    ("schema", "options"),
    [
        (detect_replaced.DetectRequest, detect_task.DetectOptions),
        (summarize.SummarizeRequest, summarize_task.SummarizeOptions),
    ],
)
def test_every_option_can_be_asked_for(schema: type[BaseModel], options: type) -> None:
    shared = {"input", "model", "user", "truncate"}
    assert set(schema.model_fields) - shared == {field.name for field in dataclasses.fields(options)} - shared
    for field in dataclasses.fields(options):
        if field.name not in shared:
            default = schema.model_fields[field.name].default
            assert (tuple(default) if isinstance(default, list) else default) == field.default
