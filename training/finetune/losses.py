"""Losses: the task's own with class weights, and what a teacher adds.

Shapes of logits by task: single_label and multi_label ``[batch, labels]``, token_labels
``[batch, tokens, labels]``, error_detection ``[batch, tokens]``. Losses are means over what is labelled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch.nn import functional as F

from training.errors import UserError
from training.finetune.features import IGNORED, Feature
from training.tables import Task


def task_loss(
    task: Task, logits: torch.Tensor, target: torch.Tensor, weights: torch.Tensor | None = None
) -> torch.Tensor:
    """Cross entropy (single_label, token_labels) or binary cross entropy (multi_label, error_detection).

    ``weights``: per class, or for the binary losses the weight of the positive side, ``[labels]`` or ``[1]``.
    Rows and tokens without a target do not count; where none has one the loss is 0.
    """
    logits = logits.float()
    if task in ("single_label", "token_labels"):
        flat, wanted = logits.reshape(-1, logits.shape[-1]), target.reshape(-1)
        losses = F.cross_entropy(flat, wanted, weight=weights, ignore_index=IGNORED, reduction="sum")
        known = wanted[wanted != IGNORED]
        total = weights[known].sum() if weights is not None else known.numel()
        return losses / max(float(total), 1e-9)
    asked = ~torch.isnan(target) if task == "multi_label" else target != IGNORED
    wanted = torch.where(asked, target, torch.zeros_like(target)).float()
    losses = F.binary_cross_entropy_with_logits(logits, wanted, pos_weight=weights, reduction="none")
    return (losses * asked).sum() / asked.sum().clamp(min=1)


def teacher_loss(
    task: Task, logits: torch.Tensor, teacher: torch.Tensor, asked: torch.Tensor, temperature: float
) -> torch.Tensor:
    """Divergence from the teacher at ``temperature``, times its square (Hinton et al., 2015).

    ``asked``: bool ``[batch]`` or ``[batch, tokens]``, what counts.
    """
    student, goal = logits.float() / temperature, teacher.float() / temperature
    if task in ("single_label", "token_labels"):
        losses = F.kl_div(
            student.log_softmax(-1), goal.log_softmax(-1), log_target=True, reduction="none"
        ).sum(-1)
    else:
        losses = F.binary_cross_entropy_with_logits(student, goal.sigmoid(), reduction="none")
        if task == "multi_label":
            losses = losses.mean(-1)
    return (losses * asked).sum() / asked.sum().clamp(min=1) * temperature**2


def class_weights(
    choice: str | Mapping[str, float], task: Task, labels: Sequence[str], features: Sequence[Feature]
) -> torch.Tensor | None:
    """Weights for ``task_loss``.

    ``balanced``: rows / (classes * rows of the class), so that the mean over rows is 1; for the binary losses
    negatives / positives.

    Raises:
        UserError: a weight for a label that is not there, or one that is not positive.
    """
    if choice == "none":
        return None
    binary = task in ("multi_label", "error_detection")
    if isinstance(choice, str):
        targets = [feature.target for feature in features]
        if task == "multi_label":
            positives = np.stack(targets).sum(0)
            return torch.tensor((len(targets) - positives) / np.maximum(positives, 1), dtype=torch.float32)
        flat = np.concatenate([np.atleast_1d(target) for target in targets])
        flat = flat[flat != IGNORED]
        counts = np.bincount(flat, minlength=2 if binary else len(labels))
        if binary:
            return torch.tensor([counts[0] / max(counts[1], 1)], dtype=torch.float32)
        return torch.tensor(len(flat) / (len(labels) * np.maximum(counts, 1)), dtype=torch.float32)
    unknown = [name for name in choice if name not in labels]
    if unknown:
        raise UserError(f"class_weights: no label {unknown[0]!r}; labels are {', '.join(labels)}")
    if min(choice.values(), default=1.0) <= 0:
        raise UserError("class_weights: weights must be above 0")
    if task == "error_detection":
        return torch.tensor([choice.get(labels[1], 1.0) / choice.get(labels[0], 1.0)])
    return torch.tensor([choice.get(label, 1.0) for label in labels])
