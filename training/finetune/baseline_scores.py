"""The baselines on the rows of a run, in the figures of the run."""

from __future__ import annotations

from typing import Any

import numpy as np

from training.baselines import TfidfLogistic
from training.finetune.data import RunData
from training.finetune.metrics import majority_scores, score
from training.finetune.seed_run import RunParts
from training.tables import TOKEN_TASKS, Example, Task


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
    texts, pairs = _texts(data.train)
    if task == "single_label":
        model = TfidfLogistic.fit(texts, [example.label for example in data.train], pairs)
    else:
        model = TfidfLogistic.fit_multi_label(texts, [e.labels for e in data.train], parts.labels, pairs)
    order = [model.labels.index(label) for label in parts.labels]
    result["tfidf_logistic"] = {}
    for name, split in splits.items():
        shares = np.clip(model.probabilities(*_texts(split.examples))[:, order], 1e-9, 1 - 1e-9)
        logits = np.log(shares / (1 - shares)) if task == "multi_label" else np.log(shares)
        result["tfidf_logistic"][name] = score(
            task, parts.labels, split.examples, split.features, list(logits)
        )
    return result


def _texts(examples: list[Example] | Any) -> tuple[list[str], list[str] | None]:
    texts = [example.text for example in examples]
    if examples[0].text_pair is None:
        return texts, None
    return texts, [example.text_pair or "" for example in examples]
