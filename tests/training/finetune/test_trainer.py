"""Steps of evaluation, and which checkpoint a resumed run starts from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from transformers import TrainingArguments

from training.finetune.config import FinetuneConfig
from training.finetune.trainer import last_checkpoint, training_arguments


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
