"""Settings that contradict each other are refused where they are built."""

from __future__ import annotations

from typing import Any

import pytest

from training.config import from_mapping
from training.errors import UserError
from training.finetune.config import FinetuneConfig

GOOD = {"checkpoint": "c", "train": ["t.tsv"]}


def test_a_recipe_section_becomes_a_config() -> None:
    values = {**GOOD, "learning_rate": "3e-4", "class_weights": {"a": 2}, "columns": {"text": "body"}}
    config = from_mapping(FinetuneConfig, values, "r.yaml")
    assert (config.learning_rate, config.class_weights, config.columns.text) == (3e-4, {"a": 2.0}, "body")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layer_decay": 1.5}, "layer_decay must be in"),
        ({"dev_fraction": 2.0}, "dev_fraction must be between 0 and 1"),
        ({"dev_fraction": 0.0}, "without dev, dev_fraction must be between"),
        ({"seeds": [1, 1]}, "seeds must be one or more different numbers"),
        ({"seeds": [1], "distill_seeds": True}, "distill_seeds needs two or more seeds"),
        ({"unlabelled": ["x.txt"]}, "unlabelled text needs a teacher"),
        ({"corruption": {"text": ["x.txt"]}}, "corruption needs task: error_detection"),
        ({"task": "token_labels", "head": "plain"}, "do not fit task token_labels"),
        ({"task": "token_labels", "teacher": "tfidf"}, "do not fit task token_labels"),
        ({"task": "token_labels", "ngrams": 3}, "do not fit task token_labels"),
        ({"ngrams": 9}, "ngrams must be 0 to 5"),
        ({"seeds": [-1]}, "none below 0"),
        ({"dropout": 1.5}, "dropout must be between 0 and 0.9"),
        ({"max_tokens": 4}, "max_tokens must be 8 or more"),
        ({"epochs": 0.0}, "must be above 0"),
        ({"epochs": "inf"}, r"r\.yaml\.epochs: inf is not finite"),
        ({"learning_rate": 5}, "learning_rate must be at most 1, such as 3e-4, not 5"),
        ({"batch_size": 0}, "must be 1 or more"),
        ({"class_weights": "even"}, "class_weights"),
        ({"leyer_decay": 0.8}, "did you mean 'layer_decay'"),
    ],
)
def test_contradictions_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        from_mapping(FinetuneConfig, {**GOOD, **changes}, "r.yaml")
