"""Losses against the definitions written out."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from training.errors import UserError
from training.finetune.features import IGNORED, Feature
from training.finetune.losses import class_weights, task_loss, teacher_loss


def _rows(targets: list[np.ndarray]) -> list[Feature]:
    ids = np.zeros(3, np.int64)
    return [Feature(ids, ids, target, 0, np.zeros((0, 2), np.int64)) for target in targets]


def test_single_label_is_weighted_cross_entropy_over_the_labelled() -> None:
    logits, weights = torch.randn(5, 3), torch.tensor([0.5, 1.0, 2.0])
    target = torch.tensor([0, 2, IGNORED, 1, 2])
    known = target != IGNORED
    wanted = F.cross_entropy(logits[known], target[known], weight=weights)
    torch.testing.assert_close(task_loss("single_label", logits, target, weights), wanted)
    assert task_loss("single_label", logits, torch.full((5,), IGNORED)).item() == 0.0


def test_token_losses_count_tokens_not_rows() -> None:
    logits, target = torch.randn(2, 4, 3), torch.tensor([[IGNORED, 1, 2, IGNORED], [0, IGNORED, 1, 1]])
    known = target != IGNORED
    wanted = F.cross_entropy(logits[known], target[known])
    torch.testing.assert_close(task_loss("token_labels", logits, target), wanted)
    binary, flags = torch.randn(2, 4), target.clamp(max=1)
    wanted = F.binary_cross_entropy_with_logits(binary[known], flags[known].float())
    torch.testing.assert_close(task_loss("error_detection", binary, flags), wanted)


def test_multi_label_leaves_unlabelled_rows_out() -> None:
    logits = torch.randn(3, 2)
    target = torch.tensor([[1.0, 0.0], [math.nan, math.nan], [1.0, 1.0]])
    wanted = F.binary_cross_entropy_with_logits(logits[[0, 2]], target[[0, 2]])
    torch.testing.assert_close(task_loss("multi_label", logits, target), wanted)


def test_teacher_loss_is_zero_at_the_teacher_and_a_divergence_elsewhere() -> None:
    teacher, student = torch.randn(4, 3), torch.randn(4, 3)
    asked = torch.ones(4)
    assert teacher_loss("single_label", teacher + 7, teacher, asked, 2.0).item() == pytest.approx(0, abs=1e-5)
    p, q = (teacher / 2).softmax(-1), (student / 2).softmax(-1)
    wanted = (p * (p / q).log()).sum(-1).mean() * 4
    torch.testing.assert_close(teacher_loss("single_label", student, teacher, asked, 2.0), wanted)


def test_teacher_loss_has_its_minimum_at_the_teacher_for_binary_tasks() -> None:
    teacher = torch.randn(2, 5)
    asked = torch.tensor([[1.0, 1, 1, 0, 0], [1, 1, 1, 1, 1]])
    student = teacher.clone().requires_grad_()
    teacher_loss("error_detection", student, teacher, asked, 3.0).backward()
    assert student.grad is not None
    assert student.grad.abs().max() < 1e-6


def test_balanced_weights_make_classes_equal() -> None:
    rows = _rows([np.asarray(label, np.int64) for label in [0, 0, 0, 1]])
    weights = class_weights("balanced", "single_label", ["a", "b"], rows)
    assert weights is not None
    assert weights.tolist() == pytest.approx([4 / 6, 2.0])
    flags = _rows([np.array([IGNORED, 0, 0, 0, 1, IGNORED])])
    assert class_weights("balanced", "error_detection", ["o", "r"], flags).tolist() == [3.0]
    several = _rows(
        [np.array([1, 0], np.float32), np.array([0, 0], np.float32), np.array([0, 1], np.float32)]
    )
    assert class_weights("balanced", "multi_label", ["a", "b"], several).tolist() == [2.0, 2.0]


def test_named_weights_are_checked() -> None:
    assert class_weights("none", "single_label", ["a"], []) is None
    assert class_weights({"b": 3.0}, "single_label", ["a", "b"], []).tolist() == [1.0, 3.0]
    with pytest.raises(UserError, match="no label 'c'; labels are a, b"):
        class_weights({"c": 1.0}, "single_label", ["a", "b"], [])
    with pytest.raises(UserError, match="must be above 0"):
        class_weights({"a": 0.0}, "single_label", ["a", "b"], [])


def test_of_two_named_weights_only_their_ratio_counts_where_the_loss_is_binary() -> None:
    weights = class_weights(
        {"original": 2.0, "replaced": 6.0}, "error_detection", ["original", "replaced"], []
    )
    assert weights is not None
    assert weights.tolist() == [3.0]
