"""One seed: trained, scored, and kept on disk, so that an interrupted run goes on where it was."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from transformers import set_seed

from training.electra.huggingface import quiet_hub
from training.files import atomic_directory
from training.finetune.config import FinetuneConfig
from training.finetune.features import Feature
from training.finetune.kernels import use_fast_kernels
from training.finetune.losses import class_weights
from training.finetune.metrics import has_failed, score
from training.finetune.model import load_model, save_checkpoint
from training.finetune.pooling import start_with_mean
from training.finetune.predict import predict_logits
from training.finetune.trainer import ElectraTrainer, Split, last_checkpoint, training_arguments
from training.hardware import default_device
from training.tokenizer import special_tokens

RESULT_NAME = "result.json"


@dataclass(frozen=True)
class SeedResult:
    """What one run reached. ``failed``: no better than the majority class on dev; ``train_loss``: the mean of
    all steps, None for a run that was interrupted, whose first steps nobody has any more.
    """

    seed: int
    dev: dict[str, float]
    test: dict[str, float]
    failed: bool
    steps: int
    best_step: int
    train_loss: float | None
    seconds: float
    tokens_per_second: float
    resumed: bool = False
    distilled: bool = field(default=False)


@dataclass(frozen=True)
class RunParts:
    """What all seeds share. ``majority``: dev figures of the majority class."""

    config: FinetuneConfig
    labels: Sequence[str]
    tokenizer: Tokenizer
    train: Sequence[Feature]
    dev: Split
    test: Split
    majority: dict[str, float]
    metric: str
    bf16: bool
    progress: bool

    @property
    def pad_id(self) -> int:
        return special_tokens(self.tokenizer).pad


def run_seed(parts: RunParts, seed: int, work: Path, train: Sequence[Feature] | None = None) -> SeedResult:
    """Train one seed, leaving its best model in ``work/model``; a finished run is only read back.

    Args:
        train: rows instead of ``parts.train``, such as rows with a teacher's logits.
    """
    done = work / "model" / RESULT_NAME
    if done.is_file():
        return SeedResult(**json.loads(done.read_text(encoding="utf-8")))
    config, rows = parts.config, parts.train if train is None else train
    set_seed(seed)
    model = load_model(
        Path(config.checkpoint),
        config.task,
        parts.labels,
        dropout=config.dropout,
        plain_head=config.head == "plain",
    )
    if config.last_layer == "mean":
        start_with_mean(model)
    use_fast_kernels(model, bf16=parts.bf16)
    arguments = training_arguments(
        config, work, len(rows), seed, parts.metric, bf16=parts.bf16, progress=parts.progress
    )
    labelled = rows if train is None else parts.train
    weights = class_weights(config.class_weights, config.task, parts.labels, labelled)
    trainer = ElectraTrainer(
        model,
        config,
        arguments,
        parts.labels,
        rows,
        parts.dev,
        parts.pad_id,
        weights=weights,
        bf16=parts.bf16,
    )
    checkpoint = last_checkpoint(work)
    start = time.perf_counter()
    with quiet_hub():  # the trainer's own bar stays
        outcome = trainer.train(resume_from_checkpoint=checkpoint)
    seconds = time.perf_counter() - start
    result = SeedResult(
        seed=seed,
        dev=_scored(parts, model, parts.dev),
        test=_scored(parts, model, parts.test),
        failed=False,
        steps=trainer.state.global_step,
        best_step=trainer.state.best_global_step or trainer.state.global_step,
        train_loss=None if checkpoint is not None else float(outcome.training_loss),
        seconds=seconds,
        tokens_per_second=int(trainer.tokens_seen) / max(seconds, 1e-9),
        resumed=checkpoint is not None,
        distilled=train is not None,
    )
    result = SeedResult(**{**asdict(result), "failed": has_failed(result.dev, parts.majority, parts.metric)})
    with atomic_directory(work / "model") as directory:
        save_checkpoint(model.to("cpu"), parts.tokenizer, directory)
        text = json.dumps(asdict(result), indent=2)
        (directory / RESULT_NAME).write_text(text, encoding="utf-8")
    for old in work.glob("checkpoint-*"):
        shutil.rmtree(old)
    return result


def seed_logits(parts: RunParts, work: Path, rows: Sequence[Feature]) -> list[np.ndarray]:
    """Logits of a finished run's model for ``rows``."""
    model = load_model(work / "model", parts.config.task, parts.labels).to(default_device())
    return predict_logits(model, rows, parts.pad_id, bf16=parts.bf16)


def _scored(parts: RunParts, model: torch.nn.Module, split: Split) -> dict[str, float]:
    if not split.features:
        return {}
    logits = predict_logits(model, split.features, parts.pad_id, bf16=parts.bf16)
    return score(parts.config.task, parts.labels, split.examples, split.features, logits)
