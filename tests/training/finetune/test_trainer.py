"""Settings, optimiser, loss and choice of the best weights; which checkpoint a resumed run starts from."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import TrainingArguments

from training.finetune.config import FinetuneConfig
from training.finetune.features import FeatureBuilder, collate, with_teacher
from training.finetune.losses import task_loss, teacher_loss
from training.finetune.model import load_model
from training.finetune.sampler import LengthGroupedSampler, epoch_order
from training.finetune.trainer import ElectraTrainer, Split, last_checkpoint, training_arguments
from training.tables import Example
from training.tokenizer import load_tokenizer


@pytest.mark.parametrize(
    ("rows", "epochs", "per_epoch", "steps", "every"),
    [(100, 3.0, 1, 12, 4), (100, 0.5, 1, 2, 2), (10, 1.0, 5, 1, 1), (320, 2.0, 2, 20, 5)],
)
def test_evaluations_fall_on_whole_shares_of_an_epoch(
    tmp_path: Path, rows: int, epochs: float, per_epoch: int, steps: int, every: int
) -> None:
    config = FinetuneConfig("c", ("t",), epochs=epochs, evaluations_per_epoch=per_epoch, warmup_fraction=0.5)
    arguments = training_arguments(config, tmp_path, rows, 3, "accuracy", bf16=False, progress=False)
    assert (arguments.max_steps, arguments.eval_steps, arguments.save_steps) == (steps, every, every)
    assert (arguments.warmup_steps, arguments.seed) == (round(steps / 2), 3)
    assert arguments.lr_scheduler_type == "linear"


@pytest.mark.parametrize("norm", [0.0, 1.0])
def test_gradients_are_clipped_as_configured(tmp_path: Path, norm: float) -> None:
    config = FinetuneConfig("c", ("t",), max_grad_norm=norm)
    arguments = training_arguments(config, tmp_path, 9, 3, "accuracy", bf16=False, progress=False)
    assert arguments.max_grad_norm == norm


def _trainer(checkpoint: Path, work: Path, *, teacher: bool = False, **changes: float) -> ElectraTrainer:
    """Eight rows in two batches an epoch, evaluated after each epoch, on a tiny model without dropout."""
    config = FinetuneConfig(str(checkpoint), ("t",), batch_size=4, dropout=0.0, **changes)
    examples = [Example("味道很好" * (at % 3 + 1), "", ("ab"[at % 2],)) for at in range(8)]
    rows = FeatureBuilder(load_tokenizer(checkpoint), "single_label", ["a", "b"], 32).build(examples)
    if teacher:
        rows = with_teacher(rows, [np.array([at / 4, 1.0], np.float32) for at in range(8)])
    arguments = training_arguments(config, work, len(rows), 3, "accuracy", bf16=False, progress=False)
    torch.manual_seed(0)
    model = load_model(checkpoint, "single_label", ["a", "b"], dropout=0.0)
    return ElectraTrainer(model, config, arguments, ["a", "b"], rows, Split(examples, rows), 0)


def test_the_optimiser_is_adam_with_the_epsilon_of_the_paper_and_a_rate_for_each_depth(
    checkpoint: Path, tmp_path: Path
) -> None:
    optimizer = _trainer(
        checkpoint, tmp_path, learning_rate=1e-3, layer_decay=0.5, weight_decay=0.01
    ).create_optimizer()
    assert isinstance(optimizer, torch.optim.AdamW)
    assert (optimizer.defaults["eps"], optimizer.defaults["betas"]) == (1e-6, (0.9, 0.999))
    # Two layers: head, layers, embeddings.
    assert {group["lr"] for group in optimizer.param_groups} == {1e-3, 5e-4, 2.5e-4, 1.25e-4}
    assert {group["weight_decay"] for group in optimizer.param_groups} == {0.0, 0.01}


@pytest.mark.parametrize("weight", [0.0, 0.25, 1.0])
def test_distill_weight_is_the_share_of_the_teacher_in_the_loss(
    checkpoint: Path, tmp_path: Path, weight: float
) -> None:
    trainer = _trainer(checkpoint, tmp_path, teacher=True, distill_weight=weight, distill_temperature=3.0)
    batch = collate(trainer.train_dataset.features, 0)
    with torch.no_grad():
        loss, outputs = trainer.compute_loss(trainer.model, dict(batch), return_outputs=True)
    hard = task_loss("single_label", outputs.logits, batch["target"])
    soft = teacher_loss("single_label", outputs.logits, batch["teacher"], torch.ones(8), 3.0)
    assert abs(float(hard - soft)) > 0.01
    torch.testing.assert_close(loss, (1 - weight) * hard + weight * soft)


def test_every_epoch_has_an_order_of_its_own(checkpoint: Path, tmp_path: Path) -> None:
    trainer = _trainer(checkpoint, tmp_path, epochs=3.0)
    orders: list[list[int]] = []
    drawn = trainer.sampler.__class__.__iter__

    class Recorded(LengthGroupedSampler):
        def __iter__(self) -> Iterator[int]:
            orders.append(list(drawn(self)))
            return iter(orders[-1])

    trainer.sampler.__class__ = Recorded
    trainer.train()
    assert orders == [epoch_order(trainer.sampler.lengths, 4, 3, epoch).tolist() for epoch in range(3)]


def test_the_weights_of_the_best_evaluation_come_back_and_no_number_is_the_worst(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = _trainer(checkpoint, tmp_path, epochs=3.0, learning_rate=1e-3)
    figures, weights = iter([math.nan, 0.5, 0.25]), []

    def score(*_: object) -> dict[str, float]:
        weights.append(trainer.model.classifier.out_proj.weight.detach().clone())
        return {"accuracy": next(figures)}

    monkeypatch.setattr("training.finetune.trainer.score", score)
    trainer.train()
    assert len(weights) == 3
    assert trainer.state.best_metric == 0.5
    torch.testing.assert_close(trainer.model.classifier.out_proj.weight.detach(), weights[1], rtol=0, atol=0)
    assert not torch.equal(weights[1], weights[2])


def test_several_gpus_do_not_multiply_the_rows_of_a_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def two_gpus(arguments: TrainingArguments) -> torch.device:
        arguments._n_gpu = 2
        return torch.device("cpu")

    monkeypatch.setattr(TrainingArguments, "_setup_devices", property(two_gpus))
    config = FinetuneConfig("c", ("t",), batch_size=16)
    arguments = training_arguments(config, tmp_path, 64, 3, "accuracy", bf16=False, progress=False)
    monkeypatch.undo()
    assert arguments.train_batch_size == 16


def test_the_newest_whole_checkpoint_wins_and_half_ones_go(tmp_path: Path) -> None:
    assert last_checkpoint(tmp_path) is None
    for step, state in ((9, "{}"), (10, "{}"), (11, '{"half'), (12, None)):
        directory = tmp_path / f"checkpoint-{step}"
        directory.mkdir()
        if state is not None:
            (directory / "trainer_state.json").write_text(state)
    assert last_checkpoint(tmp_path) == str(tmp_path / "checkpoint-10")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint-10", "checkpoint-9"]
    assert json.loads((tmp_path / "checkpoint-9" / "trainer_state.json").read_text()) == {}
