"""Keys of an evaluation."""

from __future__ import annotations

import pytest

from training.config import from_mapping
from training.errors import UserError
from training.evaluate.config import EvaluateConfig


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"resamplings": 10}, "resamplings must be 100 or more"),
        ({"num_sentences": 0}, "num_sentences must be at least 1"),
        ({"poolings": []}, "poolings is empty"),
        ({"error": ["x"]}, "did you mean 'errors'"),
        ({"floor": 90}, "floor is a share between 0 and 1, such as 0.9, not 90"),
        ({"floor": -0.1}, "floor is a share between 0 and 1"),
    ],
)
def test_bad_values_are_named(values: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        from_mapping(EvaluateConfig, values, "recipe.yaml: evaluate")
