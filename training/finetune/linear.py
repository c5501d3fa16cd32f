"""TF-IDF + logistic regression in the terms of a run: as a baseline, and as a teacher (`teacher: tfidf`).

As a teacher it pays where pretraining was short: the linear model knows which words count after a few
thousand rows, and what it says of unlabelled text carries that over (Hinton et al. 2015).
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import numpy as np

from training.baselines import TfidfLogistic
from training.errors import UserError
from training.tables import Example, Task

# The value of `teacher` that means this model and not a folder.
TFIDF = "tfidf"
_FOLDS = 5


def fit_linear(task: Task, examples: Sequence[Example], labels: Sequence[str]) -> TfidfLogistic:
    """Fit on labelled examples; ``task`` is single_label or multi_label."""
    texts, pairs = _texts(examples)
    if task == "single_label":
        return TfidfLogistic.fit(texts, [example.label for example in examples], pairs)
    return TfidfLogistic.fit_multi_label(texts, [example.labels for example in examples], labels, pairs)


def linear_logits(
    model: TfidfLogistic, task: Task, examples: Sequence[Example], labels: Sequence[str]
) -> np.ndarray:
    """Log-odds (multi_label) or log-probabilities, float64 ``[examples, labels]``."""
    order = [model.labels.index(label) for label in labels]
    shares = np.clip(model.probabilities(*_texts(examples))[:, order], 1e-9, 1 - 1e-9)
    return np.log(shares / (1 - shares)) if task == "multi_label" else np.log(shares)


def linear_teacher(
    task: Task, train: Sequence[Example], unlabelled: Sequence[Example], labels: Sequence[str]
) -> list[np.ndarray]:
    """The teacher's logits for ``train``, then for ``unlabelled``.

    Each fifth of train, with its share of every label, is answered by a model of the other four: of rows
    that it was fitted on, a linear model says no more than their labels do.

    Raises:
        UserError: a label is too rare to be left out of a fifth.
    """
    answers: list[np.ndarray] = [np.empty(0)] * len(train)
    order = list(range(len(train)))
    Random(0).shuffle(order)
    order.sort(key=lambda at: train[at].labels)  # dealt out like cards, every label goes to every fold
    for fold in range(_FOLDS):
        part = order[fold::_FOLDS]
        if not part:
            continue
        inside = set(part)
        rest = [example for at, example in enumerate(train) if at not in inside]
        missing = set(labels) - {label for example in rest for label in example.labels}
        if missing:
            raise UserError(
                f"teacher: {TFIDF}: label {sorted(missing)[0]!r} has too few rows in train; "
                "give more, or leave the teacher out"
            )
        model = fit_linear(task, rest, labels)
        for at, answer in zip(
            part, linear_logits(model, task, [train[at] for at in part], labels), strict=True
        ):
            answers[at] = answer
    if unlabelled:
        answers += list(linear_logits(fit_linear(task, train, labels), task, unlabelled, labels))
    return answers


def _texts(examples: Sequence[Example]) -> tuple[list[str], list[str] | None]:
    texts = [example.text for example in examples]
    if examples[0].text_pair is None:
        return texts, None
    return texts, [example.text_pair or "" for example in examples]
