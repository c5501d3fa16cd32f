"""Figures against scikit-learn."""

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, balanced_accuracy_score, roc_auc_score

from tests.training.electra.test_losses import MASK, make_batch
from tests.training.electra.test_model import TINY
from training.electra.losses import joint_forward
from training.electra.model import Electra
from training.pretrain.health import evaluate


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


def test_guessing_by_frequency_costs_the_entropy_of_what_is_masked() -> None:
    batch = make_batch()
    batch.masked_weights[::2] = 0.0  # places that only fill the row up
    logs = torch.randn(TINY.vocab_size).log_softmax(0)
    still = torch.autocast("cpu", enabled=False)
    health = evaluate(Electra(TINY), [batch], MASK, still, log_probabilities=logs)
    originals = batch.ids.reshape(-1)[batch.masked][batch.masked_weights > 0]
    assert health.frequency_loss == pytest.approx(-float(logs[originals].mean()), rel=1e-5)
    assert math.isnan(evaluate(Electra(TINY), [batch], MASK, still).frequency_loss)
