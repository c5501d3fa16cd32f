"""Batches by length give the logits that each row gets alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from training.finetune.features import FeatureBuilder
from training.finetune.model import load_model
from training.finetune.predict import predict_logits
from training.tables import Example
from training.tokenizer import load_tokenizer


@pytest.mark.parametrize("task", ["single_label", "token_labels", "error_detection"])
def test_rows_get_the_logits_they_get_alone(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch, task: str
) -> None:
    model = load_model(checkpoint, task, ["a", "b"])
    texts = ["好", "味道很好，今天的价格", "very nice", "我"]
    spans = [tuple((at, at + 1) for at in range(len(text))) for text in texts]
    examples = [
        Example(text, "", ("a",) * (len(text) if task != "single_label" else 1), None, span)
        for text, span in zip(texts, spans, strict=True)
    ]
    rows = FeatureBuilder(load_tokenizer(checkpoint), task, ["a", "b"], 64).build(examples)
    model.train()
    together = predict_logits(model, rows, 0)
    assert model.training
    model.eval()
    for row, logits in zip(rows, together, strict=True):
        with torch.no_grad():
            alone = model(torch.tensor(row.input_ids)[None]).logits[0].numpy()
        np.testing.assert_allclose(logits, alone, atol=1e-5)
