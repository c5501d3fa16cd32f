"""Logits for many rows: sorted by length, under a budget of padded tokens, back in order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from transformers import ElectraForPreTraining, ElectraForTokenClassification, PreTrainedModel

from app.tasks.local import batches_by_length
from training.finetune.features import Feature, collate
from training.ngrams.model import NgramClassifier

# Larger batches stop paying on a processor; on a GPU memory is the bound.
_BUDGET = {"cpu": 8192, "cuda": 65536}
_LOOKED_UP = 65536  # padded tokens whose n-grams are looked up at once


def predict_logits(
    model: PreTrainedModel, rows: Sequence[Feature], pad_id: int, *, bf16: bool = False
) -> list[np.ndarray]:
    """Logits of each row, float32, padding cut off: ``[labels]``, ``[tokens, labels]`` or ``[tokens]``."""
    device = next(model.parameters()).device
    result: list[np.ndarray] = [np.empty(0)] * len(rows)
    per_token = isinstance(model, ElectraForPreTraining | ElectraForTokenClassification)
    training = model.training
    model.eval()
    with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=bf16):
        for indices in batches_by_length([len(row) for row in rows], _BUDGET.get(device.type, 8192)):
            batch = collate([rows[at] for at in indices], pad_id)
            inputs = {
                name: batch[name].to(device) for name in ("input_ids", "attention_mask", "token_type_ids")
            }
            logits = model(**inputs).logits.float().cpu().numpy()
            for at, row in zip(indices, logits, strict=True):
                result[at] = row[: len(rows[at])].copy() if per_token else row.copy()
    model.train(training)
    return result


def ngram_logits(ngrams: NgramClassifier, rows: Sequence[Feature], pad_id: int) -> np.ndarray:
    """Logits of the n-grams alone, before their share, float32 ``[rows, labels]``."""
    result = np.zeros((len(rows), len(ngrams.bias)), np.float32)
    with torch.inference_mode():
        for indices in batches_by_length([len(row) for row in rows], _LOOKED_UP):
            result[indices] = ngrams(collate([rows[at] for at in indices], pad_id)["input_ids"]).numpy()
    return result
