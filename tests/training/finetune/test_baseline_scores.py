"""Baselines in a report are those of scikit-learn on the very rows of the run."""

from __future__ import annotations

from pathlib import Path

import pytest

from training.baselines import TfidfLogistic
from training.finetune.baseline_scores import baseline_scores
from training.finetune.config import FinetuneConfig
from training.finetune.data import RunData
from training.finetune.dry_run import reviews
from training.finetune.features import FeatureBuilder
from training.finetune.seed_run import RunParts
from training.finetune.trainer import Split
from training.tables import Example
from training.tokenizer import load_tokenizer


@pytest.mark.parametrize("task", ["single_label", "multi_label"])
def test_figures_are_those_of_the_models(checkpoint: Path, task: str) -> None:
    train = [Example(text, "", (label,)) for label, text in reviews(60, seed=1)]
    test = [Example(text, "", (label,)) for label, text in reviews(30, seed=2)]
    labels = ["negative", "positive"]
    builder = FeatureBuilder(load_tokenizer(checkpoint), task, labels, 48)
    parts = RunParts(
        FinetuneConfig("c", ("t",), task=task),
        labels,
        builder.tokenizer,
        builder.build(train),
        Split([], []),
        Split(test, builder.build(test)),
        {},
        "accuracy",
        False,
        False,
    )
    figures = baseline_scores(task, RunData(train, [], test, labels), parts)
    assert set(figures["majority"]) == set(figures["tfidf_logistic"]) == {"test"}
    if task == "single_label":
        model = TfidfLogistic.fit([e.text for e in train], [e.label for e in train])
        right = [a == e.label for a, e in zip(model.predict([e.text for e in test]), test, strict=True)]
        assert figures["tfidf_logistic"]["test"]["accuracy"] == sum(right) / 30
        assert figures["majority"]["test"]["accuracy"] == 0.5
    else:
        assert figures["tfidf_logistic"]["test"]["micro_f1"] > 0.9
