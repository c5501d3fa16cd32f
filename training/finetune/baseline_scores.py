"""The baselines on the rows of a run, in the figures of the run."""

from __future__ import annotations

from typing import Any

from training.finetune.data import RunData
from training.finetune.linear import fit_linear, linear_logits
from training.finetune.metrics import majority_scores, score
from training.finetune.seed_run import RunParts
from training.tables import TOKEN_TASKS, Task


def baseline_scores(task: Task, data: RunData, parts: RunParts) -> dict[str, Any]:
    """``{"majority": {split: figures}, "tfidf_logistic": {...}}``; the second for classification only."""
    splits = {name: split for name, split in (("dev", parts.dev), ("test", parts.test)) if split.features}
    result: dict[str, Any] = {
        "majority": {
            name: majority_scores(task, parts.labels, parts.train, split.examples, split.features)
            for name, split in splits.items()
        }
    }
    if task in TOKEN_TASKS:
        return result
    model = fit_linear(task, data.train, parts.labels)
    result["tfidf_logistic"] = {
        name: score(
            task,
            parts.labels,
            split.examples,
            split.features,
            list(linear_logits(model, task, split.examples, parts.labels)),
        )
        for name, split in splits.items()
    }
    return result
