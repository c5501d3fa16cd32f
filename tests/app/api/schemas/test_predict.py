"""TEI's reading of ``inputs``: a flat list of two is a pair, a batch is a list of lists."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from app.api.schemas.predict import PredictInputs, PredictRequest


def read(inputs: object) -> PredictInputs:
    return PredictRequest.model_validate_json(json.dumps({"inputs": inputs, "unknown": 1})).inputs


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        ("a", PredictInputs(["a"], None, batch=False)),
        (["a"], PredictInputs(["a"], None, batch=False)),
        (["a", "b"], PredictInputs(["a"], ["b"], batch=False)),
        ([["a"], ["b"]], PredictInputs(["a", "b"], None, batch=True)),
        ([["a"], "b"], PredictInputs(["a", "b"], None, batch=True)),
        ([["a", "b"], ["c", "d"]], PredictInputs(["a", "c"], ["b", "d"], batch=True)),
    ],
)
def test_what_is_read(inputs: object, expected: PredictInputs) -> None:
    assert read(inputs) == expected


@pytest.mark.parametrize(
    ("inputs", "cure"),
    [
        ([], "a pair"),
        ([1], "a batch"),
        (["a", "b", "c"], 'send a batch as [["a"], ["b"]]'),
        ([["a"], ["b", "c"]], "send them apart"),
        ([[]], "send a batch"),
    ],
)
def test_anything_else_names_the_cure(inputs: object, cure: str) -> None:
    with pytest.raises(ValidationError) as caught:
        read(inputs)
    assert cure in str(caught.value)
