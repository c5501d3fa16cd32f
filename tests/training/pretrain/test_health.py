"""Figures against scikit-learn, and alarms that ring when and only when something failed."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, balanced_accuracy_score, roc_auc_score

from tests.training.electra.test_losses import MASK, make_batch
from tests.training.electra.test_model import TINY
from training.electra.losses import joint_forward
from training.electra.model import Electra
from training.pretrain.health import Health, alarms, evaluate

FINE = Health(5.0, 4.0, 0.3, 0.2, 0.2, 0.7, 0.85, 0.5, 0.1, 0.05)
VOCABULARY = 20_000


def test_figures_are_scikit_learns_with_padding_left_out() -> None:
    torch.manual_seed(0)
    model = Electra(TINY).eval()
    batches = [make_batch(seed=seed) for seed in range(3)]
    health = evaluate(model, batches, MASK, torch.autocast("cpu", enabled=False))
    scores, labels = [], []
    for batch in batches:
        sums = joint_forward(model, batch, MASK)
        real = batch.segments > 0
        scores.append(sums.logits[real].numpy())
        labels.append(sums.labels[real].numpy())
    score, label = np.concatenate(scores), np.concatenate(labels)
    assert health.auroc == pytest.approx(roc_auc_score(label, score))
    assert health.average_precision == pytest.approx(average_precision_score(label, score))
    assert health.balanced_accuracy == pytest.approx(balanced_accuracy_score(label, score > 0))
    assert health.replaced_rate == pytest.approx(label.mean())


def test_evaluation_leaves_training_mode_as_it_was() -> None:
    model = Electra(TINY).train()
    evaluate(model, [make_batch()], MASK, torch.autocast("cpu", enabled=False))
    assert model.training


def test_no_alarm_while_all_is_well_or_still_warming_up() -> None:
    assert alarms([(step, FINE) for step in range(100, 1000, 100)], 50, VOCABULARY) == []
    poor = replace(FINE, auroc=0.5, generator_loss=math.log(VOCABULARY))
    assert alarms([(step, poor) for step in (10, 20, 30)], 100, VOCABULARY) == []


def test_a_generator_that_does_not_learn_is_named() -> None:
    stuck = replace(FINE, generator_loss=math.log(VOCABULARY) - 0.1)
    (text,) = alarms([(100, stuck), (200, stuck)], 50, VOCABULARY)
    assert "the generator does not learn" in text
    assert "learning rate" in text


def test_a_generator_that_gets_worse_is_named() -> None:
    history = [(100 * n, replace(FINE, generator_loss=4 + 0.4 * n)) for n in range(1, 5)]
    assert "gets worse" in alarms(history, 50, VOCABULARY)[0]


def test_a_discriminator_at_chance_is_named() -> None:
    history = [(100 * n, replace(FINE, auroc=0.505)) for n in range(1, 5)]
    assert "cannot tell replaced from original" in alarms(history, 50, VOCABULARY)[0]


def test_collapse_to_the_majority_class_is_named() -> None:
    history = [(100 * n, replace(FINE, auroc=0.57, flagged_rate=0.0)) for n in range(1, 3)]
    assert "majority class" in alarms(history, 50, VOCABULARY)[0]
